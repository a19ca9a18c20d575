"""A crash at any moment: what was written is true, what was performed is unknown, and the run goes on to an end.

Every scenario is played once, and then again with a crash after each of its turns. What must not be repeated on its own is
repeated only after a person said so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation import laws
from simulation.chaos import Chaos
from simulation.tape import Tape
from simulation.workflows import plans
from simulation.world import Script, World, plan_of
from towpath.core import Plan, events
from towpath.core.run import END_STATES

SCENARIOS = Path(__file__).parent.parent / "scenarios"
SCRIPT_KEYS = {"steps", "answers", "children", "windows", "places", "happens", "editor"}
CRASHES_MAX = 60
"""Turns of one scenario after which the process dies, each in a run of its own."""


class Mortal(World):
    """A world whose process dies after a given turn, and whose people answer for what became unknown."""

    def __init__(self, plan: Plan, script: Script, *, dies_after: int) -> None:
        super().__init__(plan, script)
        self._lives = dies_after
        self.has_died = False

    def tell(self, stimulus: Any) -> None:
        """Decides and writes; then the process may die before anything of it is performed."""
        self._lives -= 1
        if self._lives or self.has_died:
            super().tell(stimulus)
            return
        order, self.order = self.order, lambda _: None  # type: ignore[method-assign, assignment] # nothing is performed any more
        try:
            super().tell(stimulus)
        finally:
            self.order = order  # type: ignore[method-assign] # the process is back
        self.has_died = True
        self.crash()

    def _answer_later(self, path: str) -> None:
        question = self.run.nodes[path].question
        assert question is not None
        answers = self.script.answers.get(path, [])
        listed = answers if isinstance(answers, list) else [answers]
        if question.kind == "unknown" and not any(a["decision"] in question.choices for a in listed):
            self._say_later(path, {"decision": "retry"})
        elif self._answered.get(path, 0) >= len(listed) and listed:
            self._say_later(path, listed[-1])  # the one that was on its way was lost with the process
        else:
            super()._answer_later(path)


def cases() -> list[Any]:
    """Every scenario that ends."""
    found = []
    for file in sorted(SCENARIOS.glob("*.yaml")):
        found += [
            pytest.param(document, id=f"{file.stem}: {document['name']}")
            for document in yaml.safe_load_all(file.read_text(encoding="utf-8"))
            if document["expect"]["status"] in END_STATES and "happens" not in document
        ]
    return found


@pytest.mark.parametrize("case", cases())
def test_a_run_survives_a_crash_after_every_turn(case: dict[str, Any]) -> None:
    """Whenever the process dies, the run that comes back obeys the laws, ends, and repeats nothing unasked."""
    plan = plan_of(
        case["workflow"],
        idempotent_actions=tuple(case.get("idempotent_actions", ())),
        is_checked=not case.get("unchecked", False),
    )
    script = {key: case[key] for key in SCRIPT_KEYS if key in case}
    start = {"inputs": case.get("inputs", {}), **case.get("start", {})}
    for turn in range(1, CRASHES_MAX):
        world = Mortal(plan, Script(**script), dies_after=turn)
        world.start(**start)
        if not world.has_died:
            break

        assert world.run.has_ended, f"crash after turn {turn}: waits for {list(world.run.leaves)}"
        laws.check_all(world)
        assert repeated_unasked(world) == []


def repeated_unasked(world: World) -> list[str]:
    """Attempts of what must not be repeated that began although the attempt before them was lost and nobody was asked."""
    found = []
    lost: set[str] = set()
    for fact in world.facts:
        match fact:
            case events.PeopleAsked() if fact.question.kind == "unknown":
                lost.add(fact.path)
            case events.AnswerGiven():
                lost.discard(fact.path)
            case events.StepStarted() if fact.path in lost:
                found.append(fact.path)
            case _:
                pass
    return found


@settings(max_examples=60)
@given(plan=plans(), numbers=st.lists(st.integers(0, 999), max_size=60), where=st.integers(0, 10_000))
def test_a_random_run_goes_on_from_any_prefix_of_its_journal(
    plan: Plan, numbers: list[int], where: int
) -> None:
    """Whatever was durable when the process died, `outstanding` is enough to bring the run to an end."""
    whole = Chaos(plan, Tape(numbers)).play()
    turn = where % len(whole.turns)
    again = Chaos(plan, Tape([])).come_back(whole, turn=turn).play_on()

    assert again.run.has_ended
    laws.check_all(again)
