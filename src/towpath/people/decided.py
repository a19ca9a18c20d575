"""How a question ended: who decided it, when and how; for those who come too late, and for the record.

The state of a run forgets a question when it is over. The journal does not, so this reads the facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from towpath.core import events
from towpath.core.run import Answer, Micros, Path, Question, is_within
from towpath.people.choices import decision_of

HANDED_OVER: Final = " handed it over to "
"""Stands in the note of a hand-over, between who did it and whom."""
_SILENCE: Final[Mapping[str, str]] = {
    "approve": "so it counts as approved",
    "reject": "so it counts as rejected",
    "continue": "so the run went on",
    "fail": "so the step failed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Once that people were told of an open question: a reminder, or a rung that was reached."""

    kind: str
    number: int
    at: Micros
    to: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One question from asking to its end."""

    path: Path
    question: Question
    asked_at: Micros
    answers: tuple[Answer, ...] = ()
    told: tuple[Told, ...] = ()
    voided: tuple[tuple[Micros, str], ...] = ()
    """When answers became void, and why."""
    comments: tuple[tuple[str, Micros, str], ...] = ()
    """Who said what, and when, without deciding."""
    notes: tuple[tuple[Micros, str], ...] = ()
    """What else happened to it, in words: claims, hand-overs, second thoughts."""
    ended_at: Micros | None = None
    """None while it is open."""
    stopped: str = ""
    """Why it was stopped without a decision; empty where it was not."""

    @property
    def decided_by(self) -> tuple[Answer, ...]:
        """The answers that decided it: the last one, or as many approvals as it took; none where time or a stop did."""
        return () if self.ended_at is None else deciders(self.question, self.answers)

    def sentence(self, *, when: str = "") -> str:
        """`decided by anna at 14:02: approved`; *when* is the moment of its end, as people read it."""
        at = f" at {when}" if when else ""
        if self.ended_at is None:
            return "it is still open"
        by = self.decided_by
        if by:
            last = by[-1]
            said = f"decided by {names_of(by)}{at}: {decision_of(last.decision)}"
            return f"{said} ({last.comment})" if last.comment else said
        if self.stopped:
            return f"it was not decided: it was stopped{at} ({self.stopped})"
        silence = _SILENCE.get(self.question.if_unanswered or "fail", "")
        return f"nobody decided it in time:{at} the time was up, {silence}"


def deciders(question: Question, answers: Sequence[Answer]) -> tuple[Answer, ...]:
    """The answers that decide a question: the last one, or as many approvals as it takes; none where they do not."""
    if not answers:
        return ()
    last = answers[-1]
    if question.kind != "approval" or last.decision != "approve":
        return (last,)
    approvals = tuple(answer for answer in answers if answer.decision == "approve")
    return approvals if len(approvals) >= question.quorum else ()


def names_of(answers: Sequence[Answer]) -> str:
    """Who gave these answers, in their order: `anna`, `anna and ben`, `anna, ben and carl`."""
    *first, last = [_name(answer.by) for answer in answers] or [""]
    return f"{', '.join(first)} and {last}" if first else last


def histories(facts: Iterable[events.AnyEvent]) -> dict[Path, History]:
    """The latest question at every path that ever asked one."""
    found: dict[Path, History] = {}
    stop = ""
    for fact in facts:
        if isinstance(fact, events.StopRequested):
            stop = f"{fact.reason}, by {_name(fact.by)}" if fact.by else fact.reason
        elif isinstance(fact, events.StepsReset):
            _reset(found, fact)
        elif isinstance(fact, events.PeopleAsked):
            found[fact.path] = History(path=fact.path, question=fact.question, asked_at=fact.at)
        else:
            known = found.get(getattr(fact, "path", ""))
            if known is not None and known.ended_at is None:
                found[known.path] = _after(known, fact, stop)
    return found


def _reset(found: dict[Path, History], fact: events.StepsReset) -> None:
    """Steps will run again: what is still asked in them is asked anew then."""
    for path, known in found.items():
        if known.ended_at is None and any(is_within(path, above) for above in fact.paths):
            reason = f"sent back by {_name(fact.by)}"
            found[path] = replace(known, ended_at=fact.at, stopped=reason)


def _after(known: History, fact: events.AnyEvent, stop: str) -> History:  # noqa: C901, PLR0911 - one for each kind of fact
    match fact:
        case events.AnswerGiven():
            return _answered(known, fact)
        case events.AnswerWithdrawn():
            left = tuple(answer for answer in known.answers if answer.by != fact.by)
            return _noted(replace(known, answers=left), fact.at, f"{_name(fact.by)} took the answer back")
        case events.QuestionClaimed():
            return _noted(known, fact.at, f"{_name(fact.by)} takes care of it")
        case events.ClaimReleased():
            return _noted(known, fact.at, f"{_name(fact.by)} has given it back to the others")
        case events.QuestionHandedOver():
            why = f": {fact.comment}" if fact.comment else ""
            return _noted(known, fact.at, f"{_name(fact.by)}{HANDED_OVER}{_name(fact.to)}{why}")
        case events.CommentAdded():
            return replace(known, comments=(*known.comments, (fact.by, fact.at, fact.text)))
        case events.AnswersVoided():
            voided = (*known.voided, (fact.at, fact.reason))
            return replace(known, question=fact.question, answers=(), told=(), voided=voided)
        case events.EvidenceShown():
            return replace(known, question=fact.question)
        case events.PeopleTold():
            told = Told(kind=fact.kind, number=fact.number, at=fact.at, to=fact.to)
            return replace(known, told=(*known.told, told))
        case events.BodyEnded():
            return replace(known, ended_at=fact.at, stopped=stop if fact.outcome == "cancelled" else "")
        case events.StepEnded():
            return replace(known, ended_at=fact.at, stopped=stop if fact.status == "cancelled" else "")
        case _:
            return known


def _noted(known: History, at: Micros, text: str) -> History:
    return replace(known, notes=(*known.notes, (at, text)))


def _answered(known: History, fact: events.AnswerGiven) -> History:
    """The first answer decides, but for approvals, of which it may take several."""
    after = replace(known, answers=(*known.answers, fact.answer))
    is_approval = known.question.kind == "approval" and fact.answer.decision == "approve"
    approvals = sum(answer.decision == "approve" for answer in after.answers)
    return after if is_approval and approvals < known.question.quorum else replace(after, ended_at=fact.at)


def _name(actor: str) -> str:
    return actor.removeprefix("user:")
