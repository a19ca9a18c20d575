"""Every document of every YAML file beside this one is a workflow, a script of what the world does, and what has to come of it.

A case may say under `expect`: `status`, `performed` (everything that was ordered, in order, as one text), `stopped`,
`refused` (parts of the reasons), `steps` (path to the fields to look at), `outputs`, `error`, `outcome`, `message`,
`waits_for`, `works` (path to what its last attempt was to do), and `seconds` (how long it took).
Whatever it says, its journal has to obey the laws of `simulation.laws`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from simulation import laws
from simulation.world import DAY_ONE, SECOND, Script, World, continue_run, plan_of
from towpath.core.run import Error, Node

FOLDER = Path(__file__).parent
KEYS = {
    "name",
    "workflow",
    "idempotent_actions",
    "start",
    "inputs",
    "then",
    "expect",
    "continued",
    "unchecked",
}
SCRIPT_KEYS = {"steps", "answers", "children", "windows", "places", "happens", "editor"}


def cases() -> list[Any]:
    """Every document, named after its file and its own name."""
    found = []
    for file in sorted(FOLDER.glob("*.yaml")):
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            assert set(document) <= KEYS | SCRIPT_KEYS, f"{file.name}: {set(document) - KEYS - SCRIPT_KEYS}"
            found.append(pytest.param(document, id=f"{file.stem}: {document['name']}"))
    return found


@pytest.mark.parametrize("case", cases())
def test_scenario(case: dict[str, Any]) -> None:
    """The run goes the expected way to the expected end, and its journal obeys every law."""
    plan = plan_of(
        case["workflow"],
        idempotent_actions=tuple(case.get("idempotent_actions", ())),
        is_checked=not case.get("unchecked", False),
    )
    world = World(plan, script_of(case))
    world.start(inputs=case.get("inputs", {}), **case.get("start", {}))

    check(world, case["expect"])
    for part in case.get("continued", ()):
        world = continue_run(world, part["how"], script_of(part))
        check(world, part["expect"])


def script_of(said: Mapping[str, Any]) -> Script:
    """The script in a case."""
    return Script(**{key: said[key] for key in SCRIPT_KEYS if key in said})


def check(world: World, expected: Mapping[str, Any]) -> None:
    """Compares what came of it with what was expected, and asks the laws."""
    assert seen(world, expected) == expected
    laws.check_all(world)


def seen(world: World, expected: Mapping[str, Any]) -> dict[str, Any]:
    """What came of it, as far as the case asks."""
    run = world.run
    whole = {
        "status": run.status,
        "performed": " ".join(world.performed),
        "stopped": world.stopped,
        "refused": world.refused,
        "outputs": run.outputs,
        "outcome": run.outcome,
        "message": run.message,
        "waits_for": sorted(run.leaves),
        "seconds": round((world.now - DAY_ONE) / SECOND),
    }
    found = {key: whole[key] for key in expected if key in whole}
    if "error" in expected:
        found["error"] = fields(run.error, expected["error"])
    if "steps" in expected:
        found["steps"] = {path: fields(run.nodes.get(path), want) for path, want in expected["steps"].items()}
    if "works" in expected:
        found["works"] = {
            path: {key: world.works.get(path, {}).get(key) for key in want}
            for path, want in expected["works"].items()
        }
    if "refused" in expected and len(world.refused) == len(expected["refused"]):
        found["refused"] = [
            part if part in reason else reason
            for part, reason in zip(expected["refused"], world.refused, strict=True)
        ]
    return found


def fields(value: Node | Error | None, wanted: Any) -> Any:
    """The fields of a node or an error that are asked for; a bare word asks for the status or the kind."""
    if value is None:
        return None
    if not isinstance(wanted, Mapping):
        return value.status if isinstance(value, Node) else value.kind
    found = {key: getattr(value, key) for key in wanted}
    for key, part in wanted.items():
        if key == "error" and found[key] is not None:
            found[key] = fields(found[key], part)
        elif key == "message" and isinstance(part, str) and part in str(found[key]):
            found[key] = part
    return found
