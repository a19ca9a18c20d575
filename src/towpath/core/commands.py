"""Orders to the world, derived from events: what has to happen because something became true.

Every command has an id made of run, path and attempt. Doing one twice must be harmless, or the step says openly that it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from towpath.core import events
from towpath.core.run import Awaited, Json, Micros, Node, Path, Question, Run, RunId, Stage, Work


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="command", omit_defaults=True, gc=False):
    """Something that the world is asked to do for a run."""

    path: Path

    @property
    def id(self) -> str:
        """The command's name within its run: the same command always has the same."""
        return self.path


class PerformStep(Command, frozen=True, tag="perform_step"):
    """Perform one attempt of a script or an action, or its check."""

    attempt: int
    stage: Stage
    work: Work
    plan: int

    @property
    def id(self) -> str:
        """`path#attempt`, with `:check` for the check."""
        return f"{self.path}#{self.attempt}" + (":check" if self.stage == "check" else "")


class SetTimer(Command, frozen=True, tag="set_timer"):
    """Tell the core `TimerFired` when the time has come."""

    purpose: Literal["due", "timeout"]
    due: Micros

    @property
    def id(self) -> str:
        """`path@purpose:due`."""
        return f"{self.path}@{self.purpose}:{self.due}"


class AwaitWindow(Command, frozen=True, tag="await_window"):
    """Tell the core `Signalled` with kind `window` when the calendar's window opens."""

    window: str


class AwaitPlace(Command, frozen=True, tag="await_place"):
    """Tell the core `Signalled` with kind `place` when the run has a place in the environment."""

    environment: str


class AskPeople(Command, frozen=True, tag="ask_people"):
    """Put a question before people."""

    question: Question


class TellPeople(Command, frozen=True, tag="tell_people"):
    """Tell people about a question: that it waits for them still, or from now on, or that their answers are void."""

    why: Literal["reminder", "rung", "handed_over", "voided"]
    number: int
    to: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """`path!why` and the number."""
        return f"{self.path}!{self.why}{self.number}"


class StartChild(Command, frozen=True, tag="start_child"):
    """Start a run of another workflow."""

    child: RunId
    plan: int
    with_: Mapping[str, Json] = msgspec.field(name="with", default_factory=dict)

    @property
    def id(self) -> str:
        """`path>child`: the child's id has the attempt in it."""
        return f"{self.path}>{self.child}"


class StopSteps(Command, frozen=True, tag="stop_steps"):
    """Stop these attempts and child runs; each answers by its end."""

    leaves: tuple[Path, ...]


AnyCommand: TypeAlias = (
    PerformStep | SetTimer | AwaitWindow | AwaitPlace | AskPeople | TellPeople | StartChild | StopSteps
)


def commands(event: events.AnyEvent) -> tuple[AnyCommand, ...]:
    """What *event* asks the world to do."""
    build = _BUILDERS.get(type(event))
    return build(event) if build else ()


def outstanding(run: Run) -> tuple[AnyCommand, ...]:
    """What the world still owes *run*: asked after a restart."""
    found: list[AnyCommand] = []
    for leaf in run.open_leaves():
        found.extend(_owed(leaf))
    if not run.has_ended:
        timed = [
            (node.timeout_at, node.path)
            for node in run.nodes.values()
            if node.timeout_at is not None and _can_time_out(run, node)
        ]
        found.extend(SetTimer(path=path, purpose="timeout", due=due) for due, path in sorted(timed))
    return tuple(found)


def _can_time_out(run: Run, node: Node) -> bool:
    return node.is_open and node.phase == "body" and run.stop_reason(node.path) is None


def _owed(node: Node) -> list[AnyCommand]:
    found: list[AnyCommand] = []
    if node.status == "performing" and node.work is not None and node.child is not None:
        found.append(StartChild(path=node.path, child=node.child, plan=node.plan, with_=node.work.with_))
        if node.stopping:
            found.append(StopSteps(path=node.path, leaves=(node.path,)))
    elif node.status == "performing" and node.work is not None:
        found.append(
            PerformStep(
                path=node.path, attempt=node.attempt, stage=node.stage, work=node.work, plan=node.plan
            )
        )
    elif node.status == "asking" and node.question is not None:
        found.append(AskPeople(path=node.path, question=node.question))
    elif node.status == "waiting" and node.awaited is not None:
        found.extend(_awaits(node.path, node.awaited))
    if node.due is not None:
        found.append(SetTimer(path=node.path, purpose="due", due=node.due))
    return found


def _on_accepted(event: events.RunAccepted) -> tuple[AnyCommand, ...]:
    return _timeout("", event.timeout_at)


def _on_admitted(event: events.RunAdmitted) -> tuple[AnyCommand, ...]:
    return _timeout("", event.timeout_at)


def _on_started(event: events.StepStarted) -> tuple[AnyCommand, ...]:
    if event.work is not None and event.child is not None:
        child = StartChild(path=event.path, child=event.child, plan=event.plan, with_=event.work.with_)
        return (child, *_timeout(event.path, event.timeout_at))
    if event.work is not None:
        return (
            PerformStep(
                path=event.path, attempt=event.attempt, stage=event.stage, work=event.work, plan=event.plan
            ),
        )
    return _timeout(event.path, event.timeout_at)


def _timeout(path: Path, due: Micros | None) -> tuple[AnyCommand, ...]:
    return () if due is None else (SetTimer(path=path, purpose="timeout", due=due),)


def _on_retrying(event: events.StepRetrying) -> tuple[AnyCommand, ...]:
    return (SetTimer(path=event.path, purpose="due", due=event.due),)


def _on_wait(event: events.WaitStarted) -> tuple[AnyCommand, ...]:
    awaits = _awaits(event.path, event.awaited)
    if awaits:
        return awaits
    if event.awaited.due is not None:
        return (SetTimer(path=event.path, purpose="due", due=event.awaited.due),)
    return ()


def _awaits(path: Path, awaited: Awaited) -> tuple[AnyCommand, ...]:
    if awaited.kind == "window":
        return (AwaitWindow(path=path, window=awaited.name),)
    if awaited.kind == "place":
        return (AwaitPlace(path=path, environment=awaited.name),)
    return ()


def _on_asked(event: events.PeopleAsked) -> tuple[AnyCommand, ...]:
    ask = AskPeople(path=event.path, question=event.question)
    if event.question.due is None:
        return (ask,)
    return (ask, SetTimer(path=event.path, purpose="due", due=event.question.due))


def _on_told(event: events.PeopleTold) -> tuple[AnyCommand, ...]:
    return (TellPeople(path=event.path, why=event.kind, number=event.number, to=event.to),)


def _on_handed_over(event: events.QuestionHandedOver) -> tuple[AnyCommand, ...]:
    if not event.number:
        return ()
    return (TellPeople(path=event.path, why="handed_over", number=event.number, to=(event.to,)),)


def _on_voided(event: events.AnswersVoided) -> tuple[AnyCommand, ...]:
    ask = AskPeople(path=event.path, question=event.question)
    return (
        ask,
        TellPeople(path=event.path, why="voided", number=event.question.asked_at, to=event.question.who),
    )


def _on_shown(event: events.EvidenceShown) -> tuple[AnyCommand, ...]:
    return (AskPeople(path=event.path, question=event.question),)


def _on_stop(event: events.StopRequested) -> tuple[AnyCommand, ...]:
    return (StopSteps(path=event.path, leaves=event.leaves),) if event.leaves else ()


def _on_step_stop(event: events.StepStopRequested) -> tuple[AnyCommand, ...]:
    return (StopSteps(path=event.path, leaves=(event.path,)),)


_BUILDERS: Mapping[type, Callable[[Any], tuple[AnyCommand, ...]]] = {
    events.RunAccepted: _on_accepted,
    events.RunAdmitted: _on_admitted,
    events.StepStarted: _on_started,
    events.StepRetrying: _on_retrying,
    events.WaitStarted: _on_wait,
    events.PeopleAsked: _on_asked,
    events.PeopleTold: _on_told,
    events.QuestionHandedOver: _on_handed_over,
    events.AnswersVoided: _on_voided,
    events.EvidenceShown: _on_shown,
    events.StopRequested: _on_stop,
    events.StepStopRequested: _on_step_stop,
}
