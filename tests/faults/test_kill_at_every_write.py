"""`kill -9` at every write to the journal, before and after it is durable, and again during the recovery.

The workflow writes a ledger with every step that begins. Whatever was killed when: idempotent steps ran at least once, the others were
never begun a second time, every fact is recorded once, and the end is the same.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from tiers import Tier
from towpath import app as towpath_app
from towpath.settings import Settings

PROCESSES = 2
KILLS_QUICK, TWICE_QUICK = 12, 3
"""At how many writes the quick tier kills, before and after; and at how many it kills again."""
LIVES_QUICK = 5
LIVES_MAX = 12
"""Processes that one case may need; each but the last is killed."""

LEDGER = "run: 'echo \"$TOW_STEP $TOW_ATTEMPT\" >> ledger'"
FLEET = f"""
name: fleet
steps:
  - {{id: prepare, {LEDGER}, idempotent: true}}
  - id: both
    parallel:
      - {{id: left, {LEDGER}, idempotent: true}}
      - {{id: right, {LEDGER}}}
      - {{id: last, {LEDGER}, needs: [left, right], idempotent: true}}
  - id: flaky
    run: 'echo "$TOW_STEP $TOW_ATTEMPT" >> ledger; [ "$TOW_ATTEMPT" != 1 ]'
    retry: {{attempts: 9, delay: 0s}}
    idempotent: true
  - {{id: call, workflow: part}}
  - {{id: gate, approve: "Go on?", who: ["user:bob"]}}
  - id: hosts
    each: [a, b, c]
    batch: [1, 100%]
    steps:
      - {{id: install, {LEDGER}, rollback: {{{LEDGER}, idempotent: true}}}}
      - {{id: smoke, {LEDGER}, idempotent: true}}
  - id: risky
    steps:
      - {{id: change, {LEDGER}, rollback: {{{LEDGER}, idempotent: true}}}}
      - {{id: breaks, run: 'echo "$TOW_STEP $TOW_ATTEMPT" >> ledger; exit 3', idempotent: true}}
    catch:
      - {{id: mended, {LEDGER}, idempotent: true}}
finally: [{{{LEDGER}, idempotent: true}}]
outputs: {{part: "${{{{ steps.call.outputs.word }}}}"}}
"""
PART = """
name: part
steps:
  - id: once
    run: 'echo "$TOW_STEP $TOW_ATTEMPT" >> ledger; echo word=done >> "$TOW_OUTPUT"'
    outputs: [word]
  - {id: again, run: 'echo "$TOW_STEP $TOW_ATTEMPT" >> ledger', idempotent: true}
outputs: {word: "${{ default(steps.once.outputs.word, 'said by a person') }}"}
"""
PROJECT = "name: faults\npeople: {users: {ann: {name: Ann}, bob: {name: Bob}}}\n"

ONCE = {
    "both/right",
    "once",
    *(f"hosts[{n}]/install" for n in "abc"),
    "risky/change",
}
REPEATABLE = {
    "prepare",
    "both/left",
    "both/last",
    "flaky",
    "again",
    *(f"hosts[{n}]/smoke" for n in "abc"),
    "risky/breaks",
    "risky~catch/mended",
    "risky/change~rollback/1",
    "~finally/1",
}


class Zygotes:
    """A few processes that play cases."""

    def __init__(self) -> None:
        program = [sys.executable, str(Path(__file__).with_name("zygote.py"))]
        self._free: SimpleQueue[subprocess.Popen[str]] = SimpleQueue()
        self._all = [
            subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(PROCESSES)
        ]
        for one in self._all:
            self._free.put(one)

    def play(self, project: Path, **case: Any) -> dict[str, Any]:
        """Plays one process's life."""
        one = self._free.get()
        try:
            assert one.stdin is not None
            assert one.stdout is not None
            one.stdin.write(json.dumps({"project": str(project), **case}) + "\n")
            one.stdin.flush()
            found: dict[str, Any] = json.loads(one.stdout.readline())
        finally:
            self._free.put(one)
        return found

    def close(self) -> None:
        """Ends them."""
        for one in self._all:
            assert one.stdin is not None
            assert one.stdout is not None
            one.stdin.close()
            one.wait()
            one.stdout.close()


@pytest.fixture(scope="module")
def zygotes() -> Iterator[Zygotes]:
    """The processes that play cases."""
    made = Zygotes()
    yield made
    made.close()


def new_project(folder: Path) -> Path:
    """A project for one case."""
    (folder / "workflows").mkdir(parents=True)
    (folder / "towpath.yaml").write_text(PROJECT)
    (folder / "workflows" / "fleet.yaml").write_text(FLEET)
    (folder / "workflows" / "part.yaml").write_text(PART)
    return folder


def story(zygotes: Zygotes, project: Path, kills: tuple[tuple[int, str], ...]) -> list[str]:
    """Plays a case: one life after another, killed as *kills* says, then one to the end; returns what is wrong."""
    for kill_at, when in kills:
        played = zygotes.play(project, kill_at=kill_at, when=when)
        if played["status"] not in (-9, 0):
            return [f"a life ended with {played['status']}: {played['note']}"]
    last = zygotes.play(project)
    if last["status"] != 0:
        return [f"the last life ended with {last['status']}: {last['note']}"]
    return verdict(project)


def verdict(project: Path) -> list[str]:
    """What is wrong with a project in which everything has ended."""
    wrong: list[str] = []
    begun = Counter(line.split()[0] for line in (project / "ledger").read_text().splitlines())
    wrong += [f"{path} began {begun[path]} times" for path in ONCE if begun[path] != 1]
    wrong += [f"{path} never ran" for path in REPEATABLE if not begun[path]]
    wrong += [f"{path} is unknown" for path in begun if path not in ONCE | REPEATABLE]
    app = towpath_app.build(Settings(project=project, data=project / ".towpath", user="ann"))
    rows = app.reader.runs()
    if sorted(row.workflow for row in rows) != ["fleet", "part"]:
        wrong.append(f"runs: {[row.workflow for row in rows]}")
    for row in rows:
        if row.summary.status != "succeeded":
            wrong.append(f"run {row.number} ended {row.summary.status}: {row.summary.message}")
        events = list(app.events(row))
        if [sequence for sequence, _ in events] != list(range(1, len(events) + 1)):
            wrong.append(f"run {row.number} has gaps in its journal")
        ended = Counter(event.path for _, event in events if type(event).__name__ == "StepEnded")
        wrong += [f"{path} ended {times} times" for path, times in ended.items() if times != 1]
        started = Counter(
            (event.path, event.attempt, event.stage)
            for _, event in events
            if type(event).__name__ == "StepStarted"
        )
        wrong += [f"{what} started {times} times" for what, times in started.items() if times != 1]
    app.close()
    return wrong


def play_all(
    zygotes: Zygotes, folder: Path, cases: list[tuple[tuple[int, str], ...]]
) -> dict[tuple[tuple[int, str], ...], list[str]]:
    """Plays cases side by side; returns those in which something is wrong."""

    def one(kills: tuple[tuple[int, str], ...]) -> tuple[tuple[tuple[int, str], ...], list[str]]:
        name = "-".join(f"{when}{at}" for at, when in kills) or "none"
        return kills, story(zygotes, new_project(folder / name), kills)

    with ThreadPoolExecutor(PROCESSES) as pool:
        return {kills: wrong for kills, wrong in pool.map(one, cases) if wrong}


@pytest.fixture(scope="module")
def writes(zygotes: Zygotes, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many writes an undisturbed run takes."""
    project = new_project(tmp_path_factory.mktemp("undisturbed") / "project")
    played = zygotes.play(project)

    assert (played["status"], verdict(project)) == (0, []), played["note"]
    return int(played["writes"])


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_every_write(
    when: str, zygotes: Zygotes, writes: int, tier: Tier, tmp_path: Path, played: Callable[[int], None]
) -> None:
    """Killed at any one write and resumed once, every promise holds."""
    cases = [((n, when),) for n in tier.some_of(range(1, writes + 1), quick=KILLS_QUICK)]
    wrong = play_all(zygotes, tmp_path, cases)
    played(len(cases))
    print(f"killed {when} {len(cases)} of {writes} writes")

    assert wrong == {}


def test_killed_again_during_the_recovery(
    zygotes: Zygotes, writes: int, tier: Tier, tmp_path: Path, played: Callable[[int], None]
) -> None:
    """Killed at a write, killed again at the first writes of the next life, and then resumed: every promise holds."""
    again = list(itertools.product((1, 2), ("before", "after")))
    first = tier.some_of(range(1, writes + 1), quick=TWICE_QUICK)
    cases = [((n, "after"), second) for n, second in itertools.product(first, again)]
    if tier is Tier.QUICK:
        cases = [((n, "after"), again[number % len(again)]) for number, n in enumerate([*first, *first])]
    wrong = play_all(zygotes, tmp_path, cases)
    played(len(cases))
    print(f"killed twice: {len(cases)} cases")

    assert wrong == {}


def test_killed_at_every_life(
    zygotes: Zygotes, tier: Tier, tmp_path: Path, played: Callable[[int], None]
) -> None:
    """A process that is killed again and again after few writes still comes to the end."""
    lives = LIVES_QUICK if tier is Tier.QUICK else LIVES_MAX
    cases = [tuple((n, "after") for _ in range(lives)) for n in tier.some_of((3, 4, 5, 6, 7, 8, 9), quick=2)]
    wrong = play_all(zygotes, tmp_path, cases)
    played(len(cases))
    print(f"killed {lives} times: {len(cases)} cases")

    assert wrong == {}


def test_a_mistake_would_be_noticed(zygotes: Zygotes, writes: int, tmp_path: Path) -> None:
    """With a core that repeats what must not be repeated, the same kills find steps that began twice."""
    found: list[str] = []
    for n in range(2, writes // 2):
        project = new_project(tmp_path / str(n))
        zygotes.play(project, kill_at=n, when="before")
        zygotes.play(project, repeats_everything=True)
        found += [wrong for wrong in verdict(project) if wrong.endswith("began 2 times")]
        if found:
            break

    assert found != []
