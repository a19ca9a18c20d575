"""`python -m simulation`: plays the whole system on seeds, and says how to see again what it found.

It plays whatever `towpath` stands first on the path, so that a changed source tree can be tried:

    PYTHONPATH=/path/to/changed/src:tests python -m simulation --cases 100
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import msgspec

import towpath
from simulation.system import cases, shrinking, soak
from simulation.system.world import Outcome, play

Number = TypeVar("Number", int, float)
KEPT: Final = Path("simulation-failures")
"""Where failing cases are kept, unless --keep says where."""
SAY_SECONDS: Final = 10.0
"""How often it is told how far things are."""


def main(words: list[str] | None = None) -> int:
    """Plays; gives the exit code: 1 where something is wrong."""
    parser = _parser()
    asked = parser.parse_args(words)
    if asked.history:
        try:
            kept = [cases.read(file.read_bytes()) for file in asked.history]
        except (OSError, msgspec.MsgspecError) as error:
            parser.error(f"no case that can be played: {error}")
        return _again(asked.history, kept)
    seed = random.SystemRandom().randrange(1_000_000_000) if asked.seed is None else asked.seed
    is_bounded = asked.minutes is not None or asked.runs is not None or asked.cases is not None
    wanted = soak.Wanted(
        first_seed=seed,
        jobs=asked.jobs,
        cases=asked.cases if is_bounded else 1,
        runs=asked.runs,
        seconds=None if asked.minutes is None else asked.minutes * 60,
        goes_on=asked.go_on,
    )
    print(f"simulating {Path(towpath.__file__).parent} from seed {seed}", flush=True)
    began = time.monotonic()
    tally = soak.Tally()
    said, told = began, 0
    for tally in soak.soak(wanted):
        for found, violation in tally.violations[told:]:
            print(f"  seed {found}: {violation}", flush=True)
        told = len(tally.violations)
        if time.monotonic() - said > SAY_SECONDS:
            said = time.monotonic()
            print(f"  {_line(tally, said - began)}", flush=True)
    print(_line(tally, time.monotonic() - began))
    print(f"  ended: {_counted(tally.statuses)}")
    print(f"  went wrong: {_counted(tally.faults) or 'nothing'}")
    for found, violation in tally.violations:
        _tell(found, violation, keep=asked.keep, shrinks=not asked.no_shrink)
    return 1 if tally.violations else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./dev simulate",
        description="Plays the whole system on seeds: engines, disk, time, steps, people, and everything that goes wrong.",
        epilog="Without --minutes, --runs or --cases one case is played. A seed gives the same story every time.",
    )
    parser.add_argument("--minutes", type=_positive(float), help="play for so long")
    parser.add_argument("--runs", type=_positive(int), help="play until so many runs were simulated")
    parser.add_argument(
        "--cases", type=_positive(int), help="play so many cases, of about two dozen runs each"
    )
    parser.add_argument("--seed", type=int, help="the first case's seed; the others follow")
    parser.add_argument("--jobs", type=_positive(int), default=1, help="processes at a time (1)")
    parser.add_argument("--go-on", action="store_true", help="do not stop at the first violation")
    parser.add_argument("--no-shrink", action="store_true", help="do not look for a smaller case")
    parser.add_argument("--keep", type=Path, default=KEPT, help=f"where failing cases are kept ({KEPT})")
    parser.add_argument("--history", type=Path, nargs="+", metavar="FILE", help="play cases that were kept")
    return parser


def _positive(kind: Callable[[str], Number]) -> Callable[[str], Number]:
    """Reads a number above zero."""

    def read(text: str) -> Number:
        number = kind(text)
        if number <= 0:
            raise argparse.ArgumentTypeError(f"has to be more than 0, not {text}")
        return number

    read.__name__ = "number"
    return read


def _again(files: list[Path], kept: list[cases.Case]) -> int:
    outcomes = [play(case) for case in kept]
    for file, outcome in zip(files, outcomes, strict=True):
        print(f"{file}: {_verdict(outcome)}")
        if outcome.case.note:
            print(f"  found once: {outcome.case.note}")
    return 1 if any(outcome.violations for outcome in outcomes) else 0


def _verdict(outcome: Outcome) -> str:
    counted = f"{outcome.runs} runs, {outcome.events} events"
    return outcome.violations[0] if outcome.violations else f"no violation in {counted}"


def _tell(seed: int, violation: str, *, keep: Path, shrinks: bool) -> None:
    print(f"\nVIOLATION with seed {seed}: {violation}")
    print(f"  repeat: ./dev simulate --seed {seed} --cases 1", flush=True)
    case = cases.make_case(seed)
    if shrinks:
        case = shrinking.shrink(case, violation)
    keep.mkdir(parents=True, exist_ok=True)
    file = keep / f"{seed}.json"
    file.write_bytes(cases.write(case))
    print(f"  {'shrunk, and ' if shrinks else ''}kept: ./dev simulate --history {file}")
    for line in shrinking.told(case):
        print(f"    {line}")


def _line(tally: soak.Tally, seconds: float) -> str:
    crashes = sum(tally.faults[kind] for kind in ("kill", "power"))
    return (
        f"{tally.runs:,} runs in {tally.cases:,} cases, {tally.events:,} events, {crashes:,} crashes,"
        f" {len(tally.violations)} violations, {seconds:.0f} s"
    )


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items(), key=lambda each: -each[1]))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
