"""The audit record: who did what to which run, and when.

It is no second book. Whatever people do is an event of the run, written in the transaction that makes it true, and linked to all that was
written before (`store.chain`). This picks the acts out of the journal and says them in words.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from towpath.core import events
from towpath.store import encoding
from towpath.store.contract import Record, RunNumber

MARKS = (b'"by":', b'"started_by":', b'"break_glass"')
"""One of them stands in every record of an act; a record without them need not be read."""


END_OF_TIME: Final = (2**63 - 1, 2**63 - 1, 2**63 - 1)
"""Behind everything: (at, run, sequence)."""


class Page(Protocol):
    """`SqliteReader.act_records`."""

    def __call__(
        self, *, before: tuple[int, int, int], since: int = 0
    ) -> tuple[tuple[RunNumber, Record], ...]:
        """A page of records that may tell of acts, in all runs, the newest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something that somebody did."""

    at: int
    """Microseconds since 1970 in UTC."""
    sequence: int
    """The record in the run's journal."""
    by: str
    """`user:ada`, or what acts for people: `run 12`, a trigger."""
    did: str
    """What, in one word: started, approved, rejected, claimed, cancelled, …"""
    path: str = ""
    """The step; empty for the run as a whole."""
    text: str = ""
    """A reason, a comment, to whom."""
    via: str = ""
    """Where it was said: cli, web, api, chat; empty where that is not known."""


def acts(records: Iterable[Record]) -> Iterator[Act]:
    """The acts among the records of one run, in order; what an answer brings about is not told a second time."""
    answered: tuple[str, int] | None = None
    for sequence, _, record in records:
        if not any(mark in record for mark in MARKS):
            continue
        event = encoding.decode(record)
        act = act_of(event, sequence)
        if isinstance(event, events.AnswerGiven):
            answered = (event.answer.by, event.at)
        elif act is not None and type(event) in _FOLLOW and answered == (act.by, act.at):
            continue
        if act is not None:
            yield act


def newest_first(
    page: Page, *, since: int = 0, before: tuple[int, int, int] = END_OF_TIME
) -> Iterator[tuple[RunNumber, Act]]:
    """The acts of all runs, the newest first; *page* reads records that may tell of acts, the newest first, behind a place."""
    groups = itertools.groupby(_records(page, since, before), key=lambda entry: (entry[1][1], entry[0]))
    for (_, run), entries in groups:
        records = sorted(record for _, record in entries)
        for act in reversed(tuple(acts(records))):
            yield run, act


def _records(page: Page, since: int, before: tuple[int, int, int]) -> Iterator[tuple[RunNumber, Record]]:
    while found := page(before=before, since=since):
        yield from found
        run, (sequence, at, _) = found[-1]
        before = (at, run, sequence)


def act_of(event: events.AnyEvent, sequence: int) -> Act | None:
    """What an event says that somebody did; None where nobody did anything."""
    describe = _ACTS.get(type(event))
    said = None if describe is None else describe(event)
    if said is None or not said["by"]:
        return None
    return Act(at=event.at, sequence=sequence, path=getattr(event, "path", ""), **said)


_Said = dict[str, str]

_ANSWERS: Mapping[str, str] = {
    "approve": "approved",
    "reject": "rejected",
    "send_back": "sent back",
    "done": "done",
    "failed": "could not do",
    "retry": "tried again",
    "skip": "passed over",
    "rollback": "rolled back",
    "stop": "stopped",
    "give_up": "gave up",
}
"""Decisions as acts."""


def _started(event: events.RunAccepted) -> _Said:
    if event.break_glass:
        return {"by": event.started_by, "did": "broke the glass", "text": event.break_glass}
    return {"by": event.started_by, "did": "started"}


def did_of(decision: str) -> str:
    """What somebody did who gave this answer, in one word."""
    return _ANSWERS.get(decision, decision)


def _answered(event: events.AnswerGiven) -> _Said:
    answer = event.answer
    return {"by": answer.by, "did": did_of(answer.decision), "text": answer.comment, "via": answer.via}


def _stopped(event: events.StopRequested) -> _Said:
    did = {"cancelled": "cancelled", "rollback": "rolled back"}.get(event.reason, f"stopped ({event.reason})")
    return {"by": event.by, "did": did}


def _by(did: str, text: str = "") -> Callable[[Any], _Said]:
    """An act of an event with `by`, and with a text in the field of this name (Any: the kind that it stands for)."""
    return lambda event: {"by": event.by, "did": did, "text": str(getattr(event, text, "")) if text else ""}


def _handed_over(event: events.QuestionHandedOver) -> _Said:
    why = f": {event.comment}" if event.comment else ""
    return {"by": event.by, "did": "handed over", "text": f"to {event.to}{why}"}


def _signalled(event: events.SignalReceived) -> _Said:
    return {"by": event.by, "did": f"sent the {event.kind}", "text": event.name}


_ACTS: Mapping[type, Callable[[Any], _Said]] = {
    events.RunAccepted: _started,
    events.AnswerGiven: _answered,
    events.AnswerWithdrawn: _by("took the answer back"),
    events.QuestionClaimed: _by("claimed"),
    events.ClaimReleased: _by("gave the claim back"),
    events.QuestionHandedOver: _handed_over,
    events.CommentAdded: _by("commented", "text"),
    events.StepsReset: _by("had done again", "comment"),
    events.FailureSettled: _by("passed over"),
    events.StopRequested: _stopped,
    events.StepStopRequested: _by("stopped", "reason"),
    events.SignalReceived: _signalled,
}
"""The events that tell of acts. What follows by itself (a step that begins, a time that is up) is no act."""
_FOLLOW = frozenset({events.StepsReset, events.FailureSettled, events.StopRequested})
"""Acts that are told of by the answer, where one brought them about."""
