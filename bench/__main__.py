"""`./dev bench`: what the engine costs, as ratios against the plain thing, measured in one run on one machine.

Every case measures Towpath and its peer in turn, several times, and reports the median of the ratios; a machine that becomes
slower meanwhile makes both slower. Limits are what the project promises itself; a case that misses its limit says so, and the
exit code is 1.

    ./dev bench                 all cases
    ./dev bench sequential each only these
    ./dev bench --write         and put the figures into docs/explain/performance.md
"""

from __future__ import annotations

import argparse
import datetime
import platform
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import cases
import rig

PAGE = Path(__file__).parent.parent / "docs" / "explain" / "performance.md"


def main() -> int:
    """Measures, prints, and tells by the exit code whether every limit holds."""
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", choices=[*cases.CASES, []], help="only these")
    parser.add_argument("--write", action="store_true", help=f"put the figures into {PAGE.name}")
    wanted = parser.parse_args()
    figures: list[rig.Figure] = []
    for name in wanted.cases or cases.CASES:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        figures.extend(cases.CASES[name]())
    table = rig.table(figures)
    print(f"{_machine()}\n\n{table}")
    if wanted.write:
        _write(table)
    return 0 if all(figure.holds for figure in figures) else 1


def _machine() -> str:
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    machine = f"{rig.cores()} cores ({rig.processor()}), {platform.system()}"
    return f"{today}, {machine}, Python {platform.python_version()}, SQLite {rig.sqlite_version()}"


def _write(table: str) -> None:
    begin, end = "<!-- figures -->", "<!-- end of figures -->"
    text = PAGE.read_text(encoding="utf-8")
    figures = f"{begin}\n\nMeasured {_machine()}.\n\n{table}\n\n{end}"
    PAGE.write_text(re.sub(f"{begin}.*{end}", lambda _: figures, text, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
