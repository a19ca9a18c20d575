"""The clock on the wall jumps, forwards and backwards, while real processes wait: libfaketime moves it, and only it.

The clock that counts up (`CLOCK_MONOTONIC`) goes on as it does when an operator or a time server sets the other one. Processes look at the
clock at least every 30 seconds, so a jump forwards is noticed within that time. The quick tier has them look every second.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import pytest
from fault_support import Place, kill, needed, wait_for

from tiers import Tier

HOUR = 3_600
NOTICED_SECONDS_MAX = 180.0
"""How long a jump may take to be noticed on a machine that is busy with other tests."""
LOOKS_SECONDS_QUICK, LOOKS_SECONDS_FULL = 1.0, 30.0
"""How often the processes look at the clock."""
LOOKS = 3
"""After so many looks, what does not happen is taken not to happen."""
PATIENT = """
steps:
  - {id: first, run: 'echo "$TOW_STEP" >> ledger', idempotent: true}
"""
LONG = PATIENT + "  - {id: w, wait: 1h}\n"
RETRYING = """
steps:
  - id: r
    run: 'echo "$TOW_STEP $TOW_ATTEMPT" >> ledger; [ -e sound ]'
    retry: {attempts: 5, delay: 1h, factor: 1, max_delay: 1h, jitter: false}
"""
LADDER = """
steps:
  - id: q
    approve: Go on?
    who: ["user:bob"]
    remind: 2h
    escalate: [{after: 3h, to: ["user:cy"]}]
    answer_within: 1d
    if_unanswered: reject
"""


def _library() -> Path:
    """Where libfaketime lies. The program `faketime` would tell, but asks for shared memory that other processes may hold."""
    needed("faketime")
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    assert found, "faketime is there without its library"
    return found[0]


class WallClock:
    """The time that all processes of one place see."""

    def __init__(self, folder: Path, *, looks_seconds: float = LOOKS_SECONDS_QUICK) -> None:
        library = _library()
        self._file = folder / "clock"
        self.set(0)
        paths = [str(Path(__file__).with_name("under_faketime")), os.environ.get("PYTHONPATH", "")]
        self.environment = {
            "PYTHONPATH": ":".join(filter(None, paths)),
            "LOOK_AGAIN_SECONDS": f"{looks_seconds:g}",
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, seconds: int) -> None:
        """Sets the clock to so many seconds after what it is, or before."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.rename(self._file)


class Case:
    """A place with a clock of its own, and `tow run w` on it."""

    def __init__(self, folder: Path, looks_seconds: float, workflow: str) -> None:
        folder.mkdir()
        self.looks_seconds = looks_seconds
        self.place = Place(folder / "project", w=workflow)
        self.place.folder.joinpath("towpath.yaml").write_text(
            "name: clocks\npeople: {users: {ann: {}, bob: {}, cy: {}}}\n"
        )
        self.clock = WallClock(folder, looks_seconds=looks_seconds)
        self.process = self.begin("run", "w", "--no-ask")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            kill(self.process)

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts `tow` under the clock."""
        return self.place.begin(*arguments, **self.clock.environment)

    def tow(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Runs `tow` under the clock."""
        return self.place.tow(*arguments, **self.clock.environment, **env)

    def events(self, *names: str) -> list[Mapping[str, Any]]:
        """The events of these kinds in the journal of run 1."""
        try:
            found = [json.loads(record) for _, record in self.place.facts()]
        except sqlite3.OperationalError:  # it is being made
            return []
        return [event for event in found if event["event"] in names]

    def until(self, *names: str, count: int = 1) -> None:
        """Waits until so many such events are in the journal."""
        wait_for(
            lambda: len(self.events(*names)) >= count,
            seconds=NOTICED_SECONDS_MAX,
            what=f"{count} of {', '.join(names)}",
        )

    def stays(self, holds: Callable[[], object]) -> bool:
        """Whether something stays as it is while the process looks at the clock a few times."""
        until = time.monotonic() + LOOKS * self.looks_seconds
        while time.monotonic() < until:
            if not holds():
                return False
            time.sleep(0.1)
        return True

    def ended(self) -> str:
        """Waits for the end of the process; what is wrong with it."""
        out, err = self.process.communicate(timeout=NOTICED_SECONDS_MAX)
        return "" if self.process.returncode == 0 else f"exit {self.process.returncode}: {out}{err}"


def forwards_over_a_wait(folder: Path, looks_seconds: float) -> str:
    """A wait of an hour is over when the clock says so, once."""
    with Case(folder, looks_seconds, LONG) as case:
        case.until("wait_started")
        case.clock.set(2 * HOUR)
        wrong = case.ended()
        ends = [event for event in case.events("step_ended") if event.get("path") == "w"]
        return wrong or ("" if len(ends) == 1 else f"the wait ended {len(ends)} times")


def backwards_in_a_wait(folder: Path, looks_seconds: float) -> str:
    """A wait whose time has moved away goes on waiting, and ends when the clock comes to it."""
    with Case(folder, looks_seconds, LONG) as case:
        case.until("wait_started")
        case.clock.set(-HOUR)
        if not case.stays(lambda: not any(one.get("path") == "w" for one in case.events("step_ended"))):
            return "the wait was over before the clock said so"
        case.clock.set(2 * HOUR)
        return case.ended()


def forwards_and_backwards_over_a_retry(folder: Path, looks_seconds: float) -> str:
    """A retry is due once: a clock that is set back and comes to the same time again repeats nothing."""
    with Case(folder, looks_seconds, RETRYING) as case:
        case.until("step_retrying")
        case.clock.set(HOUR + 60)
        case.until("step_retrying", count=2)
        for seconds in (0, HOUR + 120):
            case.clock.set(seconds)
            case.stays(lambda: True)
        attempts = case.place.folder.joinpath("ledger").read_text().splitlines()
        case.place.folder.joinpath("sound").touch()
        case.clock.set(3 * HOUR)
        wrong = case.ended()
        after = case.place.folder.joinpath("ledger").read_text().splitlines()
        return wrong or (
            "" if (attempts, after) == (["r 1", "r 2"], ["r 1", "r 2", "r 3"]) else f"{attempts}, {after}"
        )


def forwards_and_backwards_over_a_ladder(folder: Path, looks_seconds: float) -> str:
    """Reminders and rungs that a jump passes over are told once, however often the clock passes them."""
    with Case(folder, looks_seconds, LADDER) as case:
        case.until("people_asked")
        for seconds in (4 * HOUR, 0, 4 * HOUR):
            case.clock.set(seconds)
            case.until("people_told", count=2)
            case.stays(lambda: True)
        answered = case.tow("approve", "1", "q", TOW_USER="bob")
        if answered.returncode != 0:
            return f"the approval is refused: {answered.stderr}"
        wrong = case.ended()
        told = sorted((event["kind"], event["number"]) for event in case.events("people_told"))
        return wrong or ("" if told == [("reminder", 2), ("rung", 1)] else f"told: {told}")


def backwards_over_a_death(folder: Path, looks_seconds: float) -> str:
    """A run whose owner died goes on under a clock that is a day behind its journal, and can be shown."""
    with Case(folder, looks_seconds, LONG) as case:
        case.until("wait_started")
        kill(case.process)
        case.clock.set(-24 * HOUR)
        case.process = case.begin("resume", "1", "--no-ask")
        wait_for(
            lambda: case.place.runs()[0]["owner_life"] == "alive", what="the next owner", of=case.process
        )
        shown = [
            case.tow(*words) for words in (("show", "1"), ("show", "1", "--timeline"), ("ps",), ("logs", "1"))
        ]
        case.clock.set(2 * HOUR)
        wrong = case.ended()
        bad = [one.stderr for one in shown if one.returncode != 0 or "Traceback" in one.stderr]
        return wrong or "".join(bad)


CASES: tuple[Callable[[Path, float], str], ...] = (
    forwards_over_a_wait,
    backwards_in_a_wait,
    forwards_and_backwards_over_a_retry,
    forwards_and_backwards_over_a_ladder,
    backwards_over_a_death,
)


def test_a_wait_is_as_long_as_the_clock_says(
    tier: Tier, tmp_path: Path, played: Callable[[int], None]
) -> None:
    """Whichever way the clock jumps: nothing is due early, nothing is left out, nothing happens twice."""
    looks_seconds = LOOKS_SECONDS_QUICK if tier is Tier.QUICK else LOOKS_SECONDS_FULL
    with ThreadPoolExecutor(len(CASES)) as pool:
        found = list(pool.map(lambda case: case(tmp_path / case.__name__, looks_seconds), CASES))
    played(len(CASES))

    assert {case.__name__: wrong for case, wrong in zip(CASES, found, strict=True) if wrong} == {}


@pytest.mark.parametrize(
    "seconds", [-400 * 24 * HOUR, 30 * 365 * 24 * HOUR], ids=["in the past", "in the future"]
)
def test_a_clock_that_is_wrong_from_the_beginning(seconds: int, tmp_path: Path) -> None:
    """A machine whose clock is years off runs workflows all the same; when it is set right, the next run is in order."""
    place = Place(tmp_path / "project", w=PATIENT)
    clock = WallClock(tmp_path)
    clock.set(seconds)
    codes = [place.tow("run", "w", **clock.environment).returncode]
    clock.set(0)
    codes += [place.tow(*words, **clock.environment).returncode for words in (("run", "w"), ("ps", "--all"))]

    assert (codes, [run["status"] for run in place.runs()]) == ([0, 0, 0], ["succeeded"] * 2)
