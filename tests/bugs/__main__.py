"""The job: every known mistake is planted, and the suite has to notice each. `./dev bugs [ID…]`; exit code 1 where one is missed.

First the named tests run without a mistake and have to pass, or their failing would prove nothing.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bug_list import BUGS, Bug

import promise_counts
from trials import ROOT, CannotPlant, Outcome, try_tests

PROCESSES = 2


def main() -> int:
    """Plants what was asked for, or everything, and prints what came of each."""
    asked = _arguments()
    if asked.list:
        _list()
        return 0
    unknown = sorted(set(asked.ids) - {bug.id for bug in BUGS})
    if unknown:
        print(f"no such bug: {', '.join(unknown)}; ./dev bugs --list names them", file=sys.stderr)
        return 2
    chosen = [bug for bug in BUGS if not asked.ids or bug.id in asked.ids]
    with tempfile.TemporaryDirectory(prefix="towpath-bugs-") as made, ThreadPoolExecutor(PROCESSES) as pool:
        folder = Path(made)
        sound = pool.submit(
            _try, None, tuple(dict.fromkeys(t for bug in chosen for t in bug.noticed_by)), folder
        )
        trials = [(bug, pool.submit(_try, bug, bug.noticed_by, folder)) for bug in chosen]
        without = sound.result()
        failing = [name for name, passed in without.calls.items() if not passed]
        if without.trouble or failing:
            print(f"without any mistake: {without.trouble or ', '.join(failing)}", file=sys.stderr)
            pool.shutdown(cancel_futures=True)
            return 1
        print(f"without a mistake {len(without.calls)} tests pass ({without.seconds:.0f} s)\n")
        width = max(len(bug.id) for bug in chosen)
        found = {bug.id: _report(bug, trial.result(), width) for bug, trial in trials}
    if asked.counts:
        _keep(found, Path(asked.counts))
    missed = [name for name, noticed in found.items() if not noticed]
    print(f"\n{len(found) - len(missed)} of {len(found)} known mistakes are noticed")
    return 1 if missed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./dev bugs", description="Brings known mistakes back and sees whether the tests notice."
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help="only these")
    parser.add_argument("--list", action="store_true", help="name them all and end")
    parser.add_argument("--counts", metavar="FILE", help="keep the figures for docs/explain/promises.md")
    return parser.parse_args()


def _list() -> None:
    width = max(len(bug.id) for bug in BUGS)
    for bug in BUGS:
        print(f"{bug.promise:4} {bug.id:{width}}  {bug.brings_back}")


def _try(bug: Bug | None, tests: tuple[str, ...], folder: Path) -> Outcome:
    place = folder / (bug.id if bug is not None else "none")
    place.mkdir()
    try:
        return try_tests(bug, tests, place)
    except CannotPlant as error:
        return Outcome(calls={}, reasons={}, trouble=str(error), processes=0, seconds=0.0)


def _report(bug: Bug, outcome: Outcome, width: int) -> bool:
    missed = outcome.missed_by(bug.noticed_by)
    noticed = not outcome.trouble and not missed
    processes = f"{outcome.processes} process{'es' if outcome.processes != 1 else ''}"
    word = "noticed" if noticed else "MISSED "
    print(
        f"{word}  {bug.promise:4} {bug.id:{width}}  {outcome.seconds:5.1f} s  {processes:13}  {bug.brings_back}",
        flush=True,
    )
    if outcome.trouble:
        print(f"         {outcome.trouble}")
    for test in missed:
        reasons = [why for name, why in outcome.reasons.items() if name.startswith(test)]
        print(f"         it passes: {test}{''.join(f' ({why})' for why in reasons[:1])}")
    return noticed


def _keep(found: dict[str, bool], file: Path) -> None:
    figures = promise_counts.read(file)
    day = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    ran = {"day": day, "commit": promise_counts.commit(ROOT)}
    known = {bug.id for bug in BUGS}
    kept = {name: row for name, row in figures["bugs"].items() if name in known}
    figures["bugs"] = kept | {name: {"noticed": noticed, **ran} for name, noticed in found.items()}
    promise_counts.write(file, figures)


if __name__ == "__main__":
    sys.exit(main())
