"""The story of a test: what became true, in order, in words that are read at three in the morning."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from towpath.core import events
from towpath.core.run import Error, Micros
from towpath.trials.testing import times
from towpath.trials.testing.addresses import CHILD, gate_name
from towpath.trials.testing.world import Drive, Moment, World

Role: TypeAlias = Literal["plain", "good", "bad", "warn", "ask", "dim"]
TEXT_CHARS_MAX = 300
"""Of one line's text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that happened."""

    at: Micros
    place: str
    """The step that it happened to; empty for the run, or for the world."""
    text: str
    role: Role = "plain"


def story_of(world: World) -> tuple[Line, ...]:
    """Everything that happened, in order."""
    return tuple(_lines(world))


def text_of(line: Line, zone: str, *, width: int = 0) -> str:
    """One line as plain text."""
    return f"{times.moment(line.at, zone)}  {line.place or 'run':<{width}}  {line.text}".rstrip()


def _lines(world: World) -> Iterator[Line]:
    for entry in world.story:
        if isinstance(entry, Moment):
            yield Line(at=entry.at, place=entry.place, text=_short(entry.text), role="warn")
            continue
        drive, fact = entry
        if isinstance(fact, events.StepEnded) and _is_frame(drive, fact):
            continue
        teller = _TELLERS.get(type(fact))
        told = None if teller is None else teller(fact)
        if told is not None:
            text, role = told
            yield Line(at=fact.at, place=_place(drive, fact), text=_short(text), role=role)


def _is_frame(drive: Drive, fact: events.StepEnded) -> bool:
    """Whether a list of steps ended, and no step: that is told by what comes next."""
    node = drive.run.nodes.get(fact.path)
    return bool(fact.frame) or (node is not None and bool(node.frame))


def _place(drive: Drive, fact: events.AnyEvent) -> str:
    outer = "" if drive.outer is None else f"{drive.outer.full}{CHILD}"
    return f"{outer}{gate_name(getattr(fact, 'path', ''))}".removesuffix(CHILD)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= TEXT_CHARS_MAX else f"{line[: TEXT_CHARS_MAX - 1]}…"


Told: TypeAlias = "tuple[str, Role] | None"


def _accepted(fact: events.RunAccepted) -> Told:
    said = ", ".join(f"{name}={_value(value)}" for name, value in fact.inputs.items())
    emergency = f", breaking the glass: {fact.break_glass}" if fact.break_glass else ""
    inputs = f" with {said}" if said else ""
    if fact.mode == "rollback":
        return f"what it did is undone, says {_name(fact.started_by)}", "warn"
    if fact.continues is not None:
        return f"{_name(fact.started_by)} has it go on from where it failed", "plain"
    return f"{fact.workflow} is started by {_name(fact.started_by)}{inputs}{emergency}", "plain"


def _value(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"  # noqa: PLR2004 - as much as fits in a line


def _started(fact: events.StepStarted) -> Told:
    if fact.frame:
        return ("is undone", "warn") if fact.frame == "rollback" else None
    if fact.child is not None:
        return "starts another workflow", "plain"
    if fact.items is not None:
        return f"begins with {len(fact.items)} items", "plain"
    if fact.work is None:
        return None
    if fact.stage == "check":
        return "looks whether it is done already", "plain"
    return ("starts" if fact.attempt == 1 else f"starts attempt {fact.attempt}"), "plain"


def _retrying(fact: events.StepRetrying) -> Told:
    return f"fails: {_error(fact.error)}; again in {times.span(fact.due - fact.at)}", "warn"


def _waits(fact: events.WaitStarted) -> Told:
    awaited = fact.awaited
    if awaited.due is not None:
        return f"waits {times.span(awaited.due - fact.at)}", "plain"
    return f"waits for the {awaited.kind} {awaited.name.removeprefix('environment:')}", "plain"


def _asks(fact: events.PeopleAsked) -> Told:
    whom = f" {', '.join(fact.question.who)}" if fact.question.who else ""
    return f"asks{whom}: {fact.question.text}", "ask"


def _answered(fact: events.AnswerGiven) -> Told:
    comment = f": {fact.answer.comment}" if fact.answer.comment else ""
    return f"{_name(fact.answer.by)} says {fact.answer.decision.replace('_', ' ')}{comment}", "ask"


def _told(fact: events.PeopleTold) -> Told:
    return f"{fact.kind} {fact.number} tells {', '.join(fact.to)}", "ask"


def _body_ended(fact: events.BodyEnded) -> Told:
    if fact.outcome != "failed" or fact.error is None or fact.error.step != fact.path:
        return None
    return f"fails: {_error(fact.error)}", "bad"


def _phase(fact: events.PhaseStarted) -> Told:
    if fact.phase == "rollback":
        return f"rolls back {', '.join(fact.undo)}", "warn"
    return {
        "catch": ("tries to recover", "warn"),
        "on_failure": ("handles the failure", "warn"),
        "finally": ("begins its last steps", "plain"),
    }.get(fact.phase)  # type: ignore[return-value] # the roles above


def _settled(fact: events.FailureSettled) -> Told:
    said = {"caught": "has recovered", "continued": "may fail: the run goes on", "skipped": "is passed over"}
    by = f", says {_name(fact.by)}" if fact.by else ""
    return f"{said[fact.how]}{by}", "warn"


def _undone(fact: events.StepUndone) -> Told:
    said: Mapping[str, tuple[str, Role]] = {
        "rolled_back": ("is rolled back", "warn"),
        "by_hand": ("was undone by hand", "warn"),
        "given_up": ("its rollback is given up", "bad"),
    }
    return said[fact.how]


_REASONS: Mapping[str, str] = {
    "condition": "its `if` does not hold",
    "already_done": "it is done already",
    "carried": "it was done in the run before",
}


def _ended(fact: events.StepEnded) -> Told:
    reason = _REASONS.get(fact.reason, fact.reason)
    why = f": {reason}" if reason else ""
    if fact.status == "failed":
        return None if fact.error is None and not why else (f"has failed{why}", "bad")
    roles: Mapping[str, Role] = {"succeeded": "good", "skipped": "dim", "cancelled": "warn"}
    return f"{fact.status}{why}", roles.get(fact.status, "plain")


def _reset(fact: events.StepsReset) -> Told:
    comment = f": {fact.comment}" if fact.comment else ""
    return f"{_name(fact.by)} has it done again: {', '.join(fact.paths)}{comment}", "warn"


def _stop(fact: events.StopRequested) -> Told:
    if fact.reason == "ended":
        return None
    by = f" by {_name(fact.by)}" if fact.by else ""
    return f"is stopped{by}: {fact.reason}", "warn"


def _step_stop(fact: events.StepStopRequested) -> Told:
    return f"is stopped by {_name(fact.by)}", "warn"


def _signal(fact: events.SignalReceived) -> Told:
    return f"the {fact.kind} {fact.name} comes", "plain"


def _run_ended(fact: events.RunEnded) -> Told:
    outcome = f", {fact.outcome}" if fact.outcome else ""
    error = f": {_error(fact.error)}" if fact.error is not None else ""
    message = f" ({fact.message})" if fact.message else ""
    role: Role = (
        "good" if fact.status == "succeeded" else "warn" if fact.status == "partially_succeeded" else "bad"
    )
    return f"ends {fact.status}{outcome}{message}{error}", role


def _error(error: Error) -> str:
    if not error.message:
        return error.kind
    return error.message if error.kind == "exit" else f"{error.kind}, {error.message}"


def _name(actor: str) -> str:
    return actor.removeprefix("user:")


_TELLERS: Mapping[type, Callable[[Any], Told]] = {
    events.RunAccepted: _accepted,
    events.StepStarted: _started,
    events.StepHeld: lambda fact: (f"is held at the gate of {fact.environment}", "plain"),
    events.EnvironmentEntered: lambda fact: (f"may go into {fact.environment}: {fact.how}", "plain"),
    events.StepRetrying: _retrying,
    events.WaitStarted: _waits,
    events.PeopleAsked: _asks,
    events.AnswerGiven: _answered,
    events.AnswerWithdrawn: lambda fact: (f"{_name(fact.by)} takes the answer back", "ask"),
    events.AnswersVoided: lambda fact: (f"asks again: {fact.reason}", "warn"),
    events.QuestionClaimed: lambda fact: (f"{_name(fact.by)} takes care of it", "ask"),
    events.ClaimReleased: lambda fact: (f"{_name(fact.by)} gives it back", "ask"),
    events.QuestionHandedOver: lambda fact: (f"{_name(fact.by)} hands it over to {fact.to}", "ask"),
    events.CommentAdded: lambda fact: (f"{_name(fact.by)} says: {fact.text}", "ask"),
    events.PeopleTold: _told,
    events.BodyEnded: _body_ended,
    events.PhaseStarted: _phase,
    events.FailureSettled: _settled,
    events.StepUndone: _undone,
    events.StepEnded: _ended,
    events.StepsReset: _reset,
    events.StopRequested: _stop,
    events.StepStopRequested: _step_stop,
    events.SignalReceived: _signal,
    events.RunEnded: _run_ended,
}
