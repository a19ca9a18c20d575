"""What happened in a run, fact by fact, in the words of an operator: for terminals, for pages and for a pipe while the run goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, TypeAlias

from towpath.core import events
from towpath.core.evolve import parent_path
from towpath.core.run import Error, Micros, Path
from towpath.engines.summaries import awaited_in_words
from towpath.observe import words
from towpath.observe.plain_text import first_line, safe

Role: TypeAlias = Literal["plain", "good", "bad", "warn", "busy", "ask", "dim"]
"""How a thing that happened is to be taken."""

_STATUS_ROLES: Final[Mapping[str, Role]] = {
    "succeeded": "good",
    "partially_succeeded": "warn",
    "rolled_back": "warn",
    "cancelled": "warn",
    "skipped": "dim",
    "queued": "dim",
    "running": "busy",
    "waiting": "warn",
}


def status_role(status: str) -> Role:
    """How a run's status is to be taken."""
    return _STATUS_ROLES.get(status, "bad")


ENTERED: Mapping[str, str] = {
    "approved": "it was approved",
    "unanswered": "nobody answered in time, which counts as approved",
    "window": "its window is open",
    "place": "there is a place in it",
    "break_glass": "the glass was broken",
}
"""Why a run may go into an environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened."""

    at: Micros
    path: Path
    text: str
    role: Role = "plain"
    by: str = ""
    """Who did it, when it was a person."""

    @property
    def is_notable(self) -> bool:
        """Whether it is told even of one among ten thousand items."""
        return self.role in ("bad", "warn", "ask") or bool(self.by)


class Teller:
    """Tells facts in words; remembers what the words of later facts need."""

    def __init__(self) -> None:
        self._attempts: dict[Path, tuple[int, Micros]] = {}
        """Attempt and start of what is being performed."""
        self._began: dict[Path, Micros] = {}
        self._told: set[Path] = set()
        """Steps whose failure was told already: their end says nothing new."""
        self._frames: set[Path] = set()

    def tell(self, facts: Iterable[events.AnyEvent]) -> Iterator[Entry]:
        """The entries of facts, in their order."""
        for fact in facts:
            entry = self._entry(fact)
            if entry is not None:
                yield entry

    def _entry(self, fact: events.AnyEvent) -> Entry | None:
        rule = self._rules.get(type(fact))
        return None if rule is None else rule(self, fact)

    def _accepted(self, fact: events.RunAccepted) -> Entry:
        self._began[""] = fact.at
        text = "accepted"
        if fact.mode == "rollback":
            text += " to undo an ended run"
        elif fact.continues:
            text += ", goes on from an ended run"
        if fact.queued:
            text += f"; waits for a place in {safe(fact.group or '')}"
        if fact.break_glass:
            text += f", breaking the glass: {first_line(fact.break_glass)}"
        role: Role = "bad" if fact.break_glass else "plain"
        return Entry(at=fact.at, path="", text=text, role=role, by=safe(fact.started_by))

    def _started(self, fact: events.StepStarted) -> Entry | None:
        self._told.discard(fact.path)
        if fact.frame:
            self._frames.add(fact.path)
            return self._frame_started(fact)
        if fact.fresh or fact.path not in self._began:
            self._began[fact.path] = fact.at
        self._attempts[fact.path] = (fact.attempt, fact.at)
        if fact.items is not None:
            return Entry(
                at=fact.at, path=fact.path, text=f"begins with {words.counted(len(fact.items), 'item')}"
            )
        if fact.child is not None:
            return Entry(at=fact.at, path=fact.path, text=f"starts run {fact.child}")
        if fact.work is None:
            return None
        if fact.stage == "check":
            return Entry(at=fact.at, path=fact.path, text="looks whether it is done already")
        text = "started" if fact.attempt == 1 else f"attempt {fact.attempt} started"
        return Entry(at=fact.at, path=fact.path, text=text)

    def _frame_started(self, fact: events.StepStarted) -> Entry | None:
        self._began[fact.path] = fact.at
        if fact.frame == "rollback":
            return Entry(
                at=fact.at, path=fact.path.removesuffix("~rollback"), text="is being rolled back", role="warn"
            )
        return None

    def _retrying(self, fact: events.StepRetrying) -> Entry:
        text = (
            f"failed: {_message(fact.error)}; attempt {fact.attempt} in {words.duration(fact.due - fact.at)}"
        )
        return Entry(at=fact.at, path=fact.path, text=text, role="warn")

    def _waits(self, fact: events.WaitStarted) -> Entry:
        awaited = fact.awaited
        if awaited.kind == "time" and awaited.due is not None:
            text = f"waits {words.duration(awaited.due - fact.at)}, until {words.clock(awaited.due)}"
        else:
            text = f"waits for {safe(awaited_in_words(awaited))}"
        return Entry(at=fact.at, path=fact.path, text=text, role="warn")

    def _asks(self, fact: events.PeopleAsked) -> Entry:
        whom = f" {safe(', '.join(fact.question.who))}" if fact.question.who else ""
        text = f"asks{whom}: {first_line(fact.question.text)}"
        return Entry(at=fact.at, path=fact.path, text=text, role="ask")

    def _answered(self, fact: events.AnswerGiven) -> Entry:
        answer = fact.answer
        text = f"answered: {safe(answer.decision)}"
        if answer.comment:
            text += f" — {first_line(answer.comment)}"
        return Entry(at=fact.at, path=fact.path, text=text, by=safe(answer.by))

    def _withdrawn(self, fact: events.AnswerWithdrawn) -> Entry:
        return Entry(at=fact.at, path=fact.path, text="took the answer back", by=safe(fact.by))

    def _voided(self, fact: events.AnswersVoided) -> Entry:
        text = f"asks again, the answers so far are void: {first_line(fact.reason)}"
        return Entry(at=fact.at, path=fact.path, text=text, role="warn")

    def _claimed(self, fact: events.QuestionClaimed) -> Entry:
        return Entry(at=fact.at, path=fact.path, text="takes care of it", by=safe(fact.by))

    def _released(self, fact: events.ClaimReleased) -> Entry:
        return Entry(at=fact.at, path=fact.path, text="has given it back to the others", by=safe(fact.by))

    def _handed_over(self, fact: events.QuestionHandedOver) -> Entry:
        why = f" — {first_line(fact.comment)}" if fact.comment else ""
        return Entry(
            at=fact.at, path=fact.path, text=f"handed over to {safe(fact.to)}{why}", by=safe(fact.by)
        )

    def _commented(self, fact: events.CommentAdded) -> Entry:
        return Entry(at=fact.at, path=fact.path, text=f"says: {first_line(fact.text)}", by=safe(fact.by))

    def _people_told(self, fact: events.PeopleTold) -> Entry:
        text = f"{fact.kind} {fact.number}: tells {safe(', '.join(fact.to))}"
        return Entry(at=fact.at, path=fact.path, text=text, role="ask")

    def _held(self, fact: events.StepHeld) -> Entry:
        return Entry(
            at=fact.at, path=fact.path, text=f"is held at the gate of {safe(fact.environment)}", role="warn"
        )

    def _entered(self, fact: events.EnvironmentEntered) -> Entry:
        role: Role = "bad" if fact.how == "break_glass" else "good"
        return Entry(
            at=fact.at, path="", text=f"enters {safe(fact.environment)}: {ENTERED[fact.how]}", role=role
        )

    def _body_ended(self, fact: events.BodyEnded) -> Entry | None:
        if fact.outcome != "failed" or fact.path in self._frames or not fact.path:
            return None
        if fact.error is None or fact.error.step != fact.path:
            return None
        self._told.add(fact.path)
        text = f"failed{self._took(fact.path, fact.at)}: {_message(fact.error)}"
        return Entry(at=fact.at, path=fact.path, text=text, role="bad")

    def _phase(self, fact: events.PhaseStarted) -> Entry | None:
        if fact.phase == "rollback":
            text = f"rolls back {safe(', '.join(fact.undo))}"
            return Entry(at=fact.at, path=fact.path, text=text, role="warn")
        if fact.phase == "finally":
            return Entry(at=fact.at, path=fact.path, text="begins its last steps")
        if fact.phase in ("catch", "on_failure"):
            return Entry(at=fact.at, path=fact.path, text="handles the failure", role="warn")
        return None

    def _settled(self, fact: events.FailureSettled) -> Entry:
        text = {
            "caught": "recovered, and goes on",
            "continued": "may fail: the run goes on",
            "skipped": "was passed over",
        }[fact.how]
        return Entry(at=fact.at, path=fact.path, text=text, role="warn", by=safe(fact.by))

    def _undone(self, fact: events.StepUndone) -> Entry:
        took = self._took(f"{fact.path}~rollback", fact.at)
        text, role = {
            "rolled_back": (f"rolled back{took}", "warn"),
            "by_hand": ("was undone by hand", "warn"),
            "given_up": ("its rollback was given up", "bad"),
        }[fact.how]
        return Entry(at=fact.at, path=fact.path, text=text, role=role, by=safe(fact.by))  # type: ignore[arg-type] # roles of the table

    def _ended(self, fact: events.StepEnded) -> Entry | None:
        if fact.path in self._frames or fact.frame or fact.path in self._told:
            return None
        if fact.reason == "carried":
            return Entry(at=fact.at, path=fact.path, text="was done in the run before", role="dim")
        took = self._took(fact.path, fact.at)
        match fact.status:
            case "succeeded":
                why = f" ({safe(fact.reason)})" if fact.reason else ""
                return Entry(at=fact.at, path=fact.path, text=f"succeeded{took}{why}", role="good")
            case "skipped":
                why = _SKIPPED.get(fact.reason, safe(fact.reason))
                return Entry(at=fact.at, path=fact.path, text=f"skipped: {why}", role="dim")
            case "cancelled":
                return Entry(at=fact.at, path=fact.path, text=f"cancelled{took}", role="warn")
            case _:
                return Entry(at=fact.at, path=fact.path, text=f"failed{took}", role="bad")

    def _reset(self, fact: events.StepsReset) -> Entry:
        text = f"will run again: {safe(', '.join(fact.paths))}"
        if fact.comment:
            text += f" — {first_line(fact.comment)}"
        return Entry(
            at=fact.at, path=parent_path(fact.paths[0]) or "", text=text, role="warn", by=safe(fact.by)
        )

    def _stop(self, fact: events.StopRequested) -> Entry | None:
        if fact.reason == "ended":
            return None
        how = "" if fact.rollback is None else " and is undone" if fact.rollback else " and is left as it is"
        text = f"is being stopped: {safe(fact.reason)}{how}"
        return Entry(at=fact.at, path=fact.path, text=text, role="warn", by=safe(fact.by))

    def _step_stop(self, fact: events.StepStopRequested) -> Entry:
        why = f" — {first_line(fact.reason)}" if fact.reason else ""
        text = f"is being stopped, and nothing else{why}"
        return Entry(at=fact.at, path=fact.path, text=text, role="warn", by=safe(fact.by))

    def _admitted(self, fact: events.RunAdmitted) -> Entry:
        return Entry(at=fact.at, path="", text="has its place and begins")

    def _signal(self, fact: events.SignalReceived) -> Entry:
        return Entry(at=fact.at, path="", text=f"{fact.kind} {safe(fact.name)} came", by=safe(fact.by))

    def _run_ended(self, fact: events.RunEnded) -> Entry:
        text = f"ended: {fact.status}{self._took('', fact.at)}"
        if fact.message:
            text += f" — {first_line(fact.message)}"
        return Entry(at=fact.at, path="", text=text, role=status_role(fact.status))

    def _took(self, path: Path, at: Micros) -> str:
        began = self._began.get(path)
        return "" if began is None else f" after {words.duration(at - began)}"

    _rules: ClassVar[dict[type, Callable[[Teller, Any], Entry | None]]] = {
        events.RunAccepted: _accepted,
        events.RunAdmitted: _admitted,
        events.StepStarted: _started,
        events.StepRetrying: _retrying,
        events.WaitStarted: _waits,
        events.PeopleAsked: _asks,
        events.AnswerGiven: _answered,
        events.AnswerWithdrawn: _withdrawn,
        events.AnswersVoided: _voided,
        events.QuestionClaimed: _claimed,
        events.ClaimReleased: _released,
        events.QuestionHandedOver: _handed_over,
        events.CommentAdded: _commented,
        events.PeopleTold: _people_told,
        events.StepHeld: _held,
        events.EnvironmentEntered: _entered,
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


def _message(error: Error) -> str:
    return first_line(error.message) or error.kind


_SKIPPED = {"condition": "its `if` does not hold", "already_done": "it is done already"}
