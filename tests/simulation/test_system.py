"""The whole system on seeds: whatever goes wrong, what was promised holds when the world has come to rest.

`./dev simulate --minutes 10` plays more of the same. A seed that finds something is shrunk and its case committed in `histories/`.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pytest

import towpath
from simulation.system import cases, shrinking, soak
from simulation.system.cases import Case, Fault, FaultKind, Start
from simulation.system.world import play
from tiers import Tier
from towpath.core import commands, stimuli
from towpath.core.blocks import people as people_rules
from towpath.core.plan import Plan
from towpath.core.run import Error
from towpath.engines import history, summaries
from towpath.engines.embedded import recovery
from towpath.engines.embedded.attempts import Attempts
from towpath.engines.embedded.loop import EmbeddedEngine
from towpath.engines.embedded.mailroom import Mailroom
from towpath.engines.embedded.questions import Questions
from towpath.engines.embedded.queues import Queues
from towpath.people.desk import Desk
from towpath.store import memory, memory_outbox

Sabotage: TypeAlias = Callable[[pytest.MonkeyPatch], None]
HERE = Path(__file__).parent
HISTORIES = sorted((HERE / "histories").glob("*.json"))
SEEDS_AT_ONCE = 6
BATCHES = 8
SWEEP_TURNS_MAX = 300
SWEEP_TURNS = 30
"""Of these, how many are tried in the quick tier."""
SABOTAGE_CASES = 60
"""Cases within which a mistake that was put in has to be found."""


@pytest.mark.parametrize("batch", range(BATCHES))
def test_no_seed_of_the_slice_finds_anything(batch: int, tier: Tier, played: Callable[[int], None]) -> None:
    """Under crashes, stops, full disks, jumping clocks and contending people every promise holds for every run."""
    count = SEEDS_AT_ONCE * tier.rounds(quick=1, full=10)
    tally = soak.play_seeds(range(batch * count, (batch + 1) * count))
    played(tally.runs)

    assert tally.violations == []
    assert tally.runs > 0


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
def test_a_history_that_found_a_mistake_finds_it_no_more(file: Path) -> None:
    """What was found once and mended stays mended."""
    assert play(cases.read(file.read_bytes())).violations == ()


def test_a_seed_gives_the_same_journal_bit_by_bit() -> None:
    """The same seed twice tells the same story: the same bytes at the same times, in the same order."""
    case = cases.make_case(7)
    first, second = play(case), play(case)

    assert (first.journal, first.digest, first.turns) == (second.journal, second.digest, second.turns)
    assert len(first.journal) > 10_000


def test_a_seed_gives_the_same_journal_in_any_process() -> None:
    """Nothing depends on addresses, hashes or the clock of the machine: another process writes the same bytes."""
    program = (
        "from simulation.system import cases; from simulation.system.world import play;"
        "print(*(play(cases.make_case(seed)).digest for seed in (3, 11)))"
    )
    path = os.pathsep.join([str(Path(towpath.__file__).parent.parent), str(HERE.parent)])
    told = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
            timeout=300,
        ).stdout.split()
        for seed in ("1", "77")
    ]

    assert told[0] == told[1] == [play(cases.make_case(seed)).digest for seed in (3, 11)]


@pytest.mark.parametrize("kind", ["kill", "stop", "power", "resume"])
def test_it_may_happen_at_every_turn(kind: FaultKind, tier: Tier, played: Callable[[int], None]) -> None:
    """Three runs, and a death, a stop, a power loss or a takeover after each of the callbacks that drive them."""
    case = Case(
        seed=5,
        slots=2,
        tells=False,
        acts=(
            Start(number=0, at=0.0, slot=0, workflow="release"),
            Start(number=1, at=0.01, slot=1, workflow="parent", key="once"),
            Start(number=2, at=0.02, slot=0, workflow="docking"),
        ),
    )
    whole = play(case)
    found = {}
    turns = tier.some_of(range(min(whole.turns, SWEEP_TURNS_MAX)), quick=SWEEP_TURNS)
    for turn in turns:
        for slot in range(case.slots):
            outcome = play(msgspec.structs.replace(case, faults=(Fault(turn=turn, kind=kind, slot=slot),)))
            if outcome.violations:
                found[turn, slot] = outcome.violations[0]
    played(len(turns) * case.slots)

    assert whole.violations == ()
    assert found == {}


def test_a_disk_that_loses_what_it_acknowledged_is_noticed() -> None:
    """A power loss behind a disk that does not sync breaks a promise, and the simulator says so."""
    power = tuple(Fault(turn=turn, kind="power") for turn in range(200, 2_000, 150))
    lossy = [
        msgspec.structs.replace(cases.make_case(seed), syncs=False, tells=False, faults=power)
        for seed in range(6)
    ]

    assert any(play(case).violations for case in lossy)


# ---- the simulator is awake: mistakes that are put in are found ------------------------------------------------------


def _performs_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a crash an attempt is simply made once more."""

    def go_on(engine: Any, row: Any) -> None:
        run = history.load_run(engine.store.reader, row, engine.plans)
        drive = engine.adopt(row, run)
        for command in commands.outstanding(run):
            engine.order(drive, command)

    monkeypatch.setattr(recovery, "go_on", go_on)


def _repeats_what_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step counts as harmless to repeat."""
    monkeypatch.setattr(Plan, "is_idempotent", lambda *_: True)


def _performs_before_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders are given before the facts behind them are durable."""
    real = EmbeddedEngine._commit

    def commit(self: Any, drive: Any, before: Any, decision: Any, on_settled: Any, **more: Any) -> None:
        real(self, drive, before, decision, on_settled, **more)
        for fact in decision.facts:
            for command in commands.commands(fact):
                if isinstance(command, commands.PerformStep):
                    self.order(drive, command)

    monkeypatch.setattr(EmbeddedEngine, "_commit", commit)


def _asks_nobody_who_may_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody may say everything."""
    monkeypatch.setattr(Desk, "judge", lambda *_: None)


def _needs_one_approval(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first approval opens a gate that needs two."""
    real = people_rules._approval

    def approval(turn: Any, node: Any, question: Any, answer: Any) -> None:
        real(turn, node, msgspec.structs.replace(question, quorum=1), answer)

    monkeypatch.setitem(people_rules._RULES, "approval", approval)


def _forgets_the_list_of_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of questions is not brought up to date while another branch runs."""
    monkeypatch.setattr(summaries, "touches_questions", lambda *_: False)


def _admits_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that became free is given to nobody."""
    monkeypatch.setattr(Queues, "look", lambda _: None)
    monkeypatch.setattr(Mailroom, "admit_next", lambda *_: None)


def _gives_more_places_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store does not look whether a place is free."""
    monkeypatch.setattr(memory, "_check_slot", lambda *_: None)


def _forgets_start_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key starts as many runs as it is used."""
    monkeypatch.setattr(memory, "_started_by", lambda *_: None)


def _says_stopped_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop is answered before the attempt is over."""
    real = Attempts.stop

    def stop(self: Any, number: Any, path: str) -> bool:
        drive = self._engine.drive(number)
        node = drive.run.nodes.get(path)
        is_stopped = real(self, number, path)
        if is_stopped and node is not None:
            error = Error(kind="cancelled", message="it was stopped")
            ended = stimuli.StepEnded(
                at=self._engine.clock.now(), path=path, attempt=node.attempt, stage=node.stage, error=error
            )
            self._engine.tell_soon(number, ended)
        return is_stopped

    monkeypatch.setattr(Attempts, "stop", stop)


def _answers_letters_before_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who wrote a letter is told yes whatever becomes of it."""
    real = Mailroom._refuse
    monkeypatch.setattr(Mailroom, "_refuse", lambda self, message, _: real(self, message, None))


def _reviews_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who breaks the glass leaves no review behind."""

    def leave_review(*_: Any) -> None:
        """Does nothing."""

    monkeypatch.setattr(Questions, "leave_review", leave_review)


def _tells_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was sent is not noted as sent."""
    real = memory_outbox.MemoryOutbox.end

    def end(self: Any, ended: Any, *, owner: Any) -> None:
        again = [
            dataclasses.replace(one, error=one.error or "?", again_at=one.at + 5_000_000) for one in ended
        ]
        real(self, again if not ended[0].error else ended, owner=owner)

    monkeypatch.setattr(memory_outbox.MemoryOutbox, "end", end)


SABOTAGES: list[tuple[Sabotage, str, str]] = [
    (_performs_again, "P3", ""),
    (_repeats_what_is_unknown, "P3", ""),
    (_performs_before_it_is_written, "P3", ""),
    (_asks_nobody_who_may_answer, "P5", "wide"),
    (_needs_one_approval, "P5", "release"),
    (_forgets_the_list_of_questions, "the list of questions", "wide"),
    (_admits_nobody, "P2", "queueing"),
    (_gives_more_places_than_there_are, "places", "queueing"),
    (_forgets_start_keys, "P4", ""),
    (_says_stopped_too_early, "P7", "wide"),
    (_reviews_nothing, "left no review", ""),
    (_tells_again, "had sent it and lives", ""),
    (_answers_letters_before_they_are_written, "P1", "doubtful"),
]
"""What is put in, what the violation has to name, and the workflow that half of the starts are to be."""


@pytest.mark.parametrize(
    ("sabotage", "promise", "workflow"),
    [pytest.param(*each, id=each[0].__name__.strip("_")) for each in SABOTAGES],
)
def test_a_mistake_that_is_put_in_is_found(
    sabotage: Sabotage, promise: str, workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checks are not asleep: within a few seeds the promise that is broken is named."""
    sabotage(monkeypatch)
    played = (play(_case(seed, workflow)) for seed in range(SABOTAGE_CASES))
    found = next((outcome.violations[0] for outcome in played if outcome.violations), "")

    assert promise in found


def _case(seed: int, workflow: str) -> Case:
    """The case of a seed, with one workflow in the place of half of the others."""
    case = cases.make_case(seed)
    acts = [
        msgspec.structs.replace(act, workflow=workflow)
        if isinstance(act, Start) and workflow and act.number % 2
        else act
        for act in case.acts
    ]
    return msgspec.structs.replace(case, acts=tuple(acts))


def test_a_crash_is_told_with_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a changed source tree does that nobody has thought of is a violation too, and does not end the soak without a word."""
    monkeypatch.setattr(summaries, "summary_of", lambda *_: 1 / 0)
    tally = soak.play_seeds(range(1))

    assert [seed for seed, violation in tally.violations if "ZeroDivisionError" in violation] == [0]


def test_a_failing_case_is_made_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has nothing to do with a failure is left out of the case that is kept."""
    _needs_one_approval(monkeypatch)
    seed = next(seed for seed in range(SABOTAGE_CASES) if play(cases.make_case(seed)).violations)
    case = cases.make_case(seed)
    violation = play(case).violations[0]
    small = shrinking.shrink(case, violation, plays_max=60)

    assert len(small.acts) < len(case.acts) / 2
    assert [shrinking.kind_of(one) for one in play(small).violations] == [shrinking.kind_of(violation)]
    assert play(cases.read(cases.write(small))).violations == play(small).violations
