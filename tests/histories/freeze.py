"""Plays scenarios and freezes their journals beside this file; run by hand when the vocabulary of events grows.

    python tests/histories/freeze.py FILE "NAME OF THE SCENARIO" …

A frozen journal is never written again: what once was true has to stay readable. So a file that exists is left alone.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import yaml

HERE = Path(__file__).parent
SCENARIOS = HERE.parent / "scenarios"
SCRIPT_KEYS = {"steps", "answers", "children", "windows", "happens", "editor"}


def main(file: str, *names: str) -> None:
    """Freezes the scenarios with these names, or all of a file."""
    sys.path.insert(0, str(HERE.parent))
    from simulation.world import Script, World, plan_of

    for case in yaml.safe_load_all((SCENARIOS / f"{file}.yaml").read_text(encoding="utf-8")):
        target = HERE / f"{file}_{re.sub('[^a-z0-9]+', '_', case['name'].lower())[:60]}.jsonl"
        if (names and case["name"] not in names) or target.exists():
            continue
        plan = plan_of(case["workflow"], is_checked=not case.get("unchecked", False))
        world = World(plan, Script(**{key: case[key] for key in SCRIPT_KEYS if key in case}))
        world.start(inputs=case.get("inputs", {}), **case.get("start", {}))
        head = {"workflow": case["workflow"], "expect": portrait(world.run)}
        target.write_bytes(b"\n".join([msgspec.json.encode(head), *world.journal, b""]))


def portrait(run: Any) -> dict[str, Any]:
    """What a run looks like from outside: its end, and how every step of it stands."""
    return {
        "status": run.status,
        "sequence": run.sequence,
        "outputs": run.outputs,
        "error": None if run.error is None else [run.error.kind, run.error.message, run.error.step],
        "nodes": {
            path: [run.nodes[path].status, run.nodes[path].attempt, run.nodes[path].undone]
            for path in sorted(run.nodes)
        },
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
