"""Which ways through a workflow its tests have gone: every step, and every side of what can go one way or another.

A branch is something that the file says can happen: a step runs; its `if` does not hold; a branch of a `choose` is taken; an attempt is
repeated; a check finds the work done; people approve, reject, or say nothing; a failure is passed over. Steps in `catch`, `rollback`,
`on_failure` and `finally` are steps as well, so a handler counts as tried when its steps have run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from towpath.core import events
from towpath.core.plan import Plan, PlanStep
from towpath.core.run import Path
from towpath.definition import model
from towpath.trials.testing import addresses

if TYPE_CHECKING:
    from towpath.trials.testing.bench import Piece
    from towpath.trials.testing.world import Drive

NONE_HOLDS = "no branch holds"
_APPROVED = {"approve": "is approved", "reject": "is rejected", "send_back": "is sent back"}
_DONE = {"done": "is done", "failed": "could not be done"}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Branch:
    """One way that a workflow can go at one step."""

    step: int
    """The step's number in the workflow."""
    side: str
    """What happens there: `runs`, `is skipped`, `is approved`."""
    name: str
    """The step, as a person would name it."""

    def __str__(self) -> str:
        return f"{self.name} {self.side}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How much of one workflow was tried."""

    workflow: str
    branches: tuple[Branch, ...]
    taken: frozenset[Branch]

    @property
    def missing(self) -> tuple[Branch, ...]:
        """What no test has tried, in the order of the file."""
        return tuple(branch for branch in self.branches if branch not in self.taken)

    @property
    def percent(self) -> float:
        """How much of all branches was taken."""
        return 100.0 * len(self.taken) / len(self.branches) if self.branches else 100.0


class Surveyor:
    """Notes which branches were taken, over any number of runs."""

    def __init__(self) -> None:
        self._pieces: dict[str, Piece] = {}
        self._taken: dict[str, set[tuple[int, str]]] = {}

    def note(self, drive: Drive) -> None:
        """Takes in one run."""
        name = drive.piece.workflow.name
        self._pieces[name] = drive.piece
        self._taken.setdefault(name, set()).update(_taken(drive.piece.plan, drive.facts))

    def coverage(self, names: Iterable[str]) -> tuple[Coverage, ...]:
        """The coverage of those workflows that were run at all."""
        return tuple(self._coverage(name) for name in sorted(set(names) & self._pieces.keys()))

    def _coverage(self, name: str) -> Coverage:
        branches = branches_of(self._pieces[name].plan)
        taken = self._taken[name]
        return Coverage(
            workflow=name,
            branches=branches,
            taken=frozenset(branch for branch in branches if (branch.step, branch.side) in taken),
        )


def branches_of(plan: Plan) -> tuple[Branch, ...]:
    """Every branch of a workflow, in the order of the file."""
    return tuple(
        Branch(step=planned.number, side=side, name=_name(planned))
        for planned in plan.steps
        for side in _sides(planned)
    )


def _name(planned: PlanStep) -> str:
    step = planned.step
    return step.id if step is not None and step.id is not None else addresses.shape_of(planned)


def _sides(planned: PlanStep) -> Iterator[str]:  # noqa: C901 - one line for each thing that can go two ways
    step = planned.step
    assert step is not None, "the run itself is no step"
    if not isinstance(step, model.ApproveStep | model.TaskStep | model.ChooseStep):
        yield "runs"
    if step.if_ is not None:
        yield "is skipped"
    if isinstance(step, model.ChooseStep):
        yield from _branch_sides(step)
    if isinstance(step, model.ApproveStep):
        yield _APPROVED["approve"]
        yield _APPROVED["reject"]
        if step.send_back_to is not None:
            yield _APPROVED["send_back"]
    if isinstance(step, model.TaskStep):
        yield from _DONE.values()
    if isinstance(step, model.Question) and step.answer_within is not None:
        yield "is not answered"
    if step.retry is not None and step.retry.attempts > 1:
        yield "is tried again"
    if step.check is not None:
        yield "is done already"
    if step.on_failure == "continue":
        yield "fails, and the run goes on"
    if step.on_failure == "ask":
        yield "fails, and people are asked"
    if isinstance(step, model.RepeatStep) and step.times is not None:
        yield "gives up"


def _branch_sides(step: model.ChooseStep) -> Iterator[str]:
    for position, branch in enumerate(step.choose, start=1):
        yield _branch_side(position, is_else=branch.else_ is not None)
    if all(branch.else_ is None for branch in step.choose):
        yield NONE_HOLDS


def _branch_side(position: int, *, is_else: bool) -> str:
    return "takes else" if is_else else f"takes branch {position}"


# --- what the facts say -------------------------------------------------------------------------------------


class _Reader:
    """Reads the facts of one run; remembers which step stands at which path."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.steps: dict[Path, int] = {}
        self.kinds: dict[Path, str] = {}
        """What is asked at a path."""
        self.found: set[tuple[int, str]] = set()

    def read(self, facts: Iterable[events.AnyEvent]) -> set[tuple[int, str]]:
        """The branches that these facts have taken."""
        for fact in facts:
            rule = _RULES.get(type(fact))
            if rule is not None:
                rule(self, fact)
        return self.found

    def took(self, path: Path, side: str) -> None:
        """A branch was taken at the step that stands at *path*."""
        if path in self.steps:
            self.found.add((self.steps[path], side))

    def started(self, fact: events.StepStarted) -> None:
        if fact.frame == "branch":
            self._branch(fact)
        if fact.frame:
            return
        self.steps[fact.path] = fact.plan
        if fact.stage == "main":
            self.took(fact.path, "runs")

    def _branch(self, fact: events.StepStarted) -> None:
        path, _, position = fact.path.rpartition("[")
        step = self.plan[fact.plan].step
        if isinstance(step, model.ChooseStep):
            number = int(position.rstrip("]"))
            is_else = step.choose[number - 1].else_ is not None
            self.steps.setdefault(path, fact.plan)
            self.took(path, _branch_side(number, is_else=is_else))

    def ended(self, fact: events.StepEnded) -> None:
        if fact.plan >= 0 and not fact.frame:
            self.steps.setdefault(fact.path, fact.plan)
        if fact.status == "skipped" and fact.reason == "condition":
            self.took(fact.path, "is skipped")
        if fact.reason == "already_done":
            self.took(fact.path, "is done already")
        if fact.reason == "unanswered":
            self.took(fact.path, "is not answered")
        if fact.status == "skipped" and fact.reason == NONE_HOLDS:
            self.took(fact.path, NONE_HOLDS)

    def body_ended(self, fact: events.BodyEnded) -> None:
        if fact.error is None or fact.outcome != "failed":
            return
        step = self.plan[self.steps[fact.path]].step if fact.path in self.steps else None
        is_silence = fact.error.message == "nobody answered in time" and fact.error.step == fact.path
        if isinstance(step, model.Question) and is_silence:
            self.took(fact.path, "is not answered")
        if isinstance(step, model.RepeatStep) and fact.error.step == fact.path:
            self.took(fact.path, "gives up")

    def retrying(self, fact: events.StepRetrying) -> None:
        self.took(fact.path, "is tried again")

    def asked(self, fact: events.PeopleAsked) -> None:
        self.kinds[fact.path] = fact.question.kind
        if fact.question.kind == "failure":
            self.took(fact.path, "fails, and people are asked")

    def answered(self, fact: events.AnswerGiven) -> None:
        sides = {"approval": _APPROVED, "task": _DONE}.get(self.kinds.get(fact.path, ""), {})
        if fact.answer.decision in sides:
            self.took(fact.path, sides[fact.answer.decision])

    def settled(self, fact: events.FailureSettled) -> None:
        if fact.how == "continued":
            self.took(fact.path, "fails, and the run goes on")


def _taken(plan: Plan, facts: Iterable[events.AnyEvent]) -> set[tuple[int, str]]:
    return _Reader(plan).read(facts)


_RULES: Mapping[type, Callable[[_Reader, Any], None]] = {
    events.StepStarted: _Reader.started,
    events.StepEnded: _Reader.ended,
    events.BodyEnded: _Reader.body_ended,
    events.StepRetrying: _Reader.retrying,
    events.PeopleAsked: _Reader.asked,
    events.AnswerGiven: _Reader.answered,
    events.FailureSettled: _Reader.settled,
}
