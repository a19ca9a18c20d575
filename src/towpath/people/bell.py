"""The bell: what an engine wants people to be told becomes notices in the outbox.

An engine says once that somebody is to be told, and says again after a restart what is still asked. So when it says that a question is
asked, the rungs that were reached and the last reminder are put as well: they were decided before, and if the process died before they
were kept, they are kept now. What was kept already is left alone.

A question that names nobody (a failure, an unknown outcome, a failed rollback) is for whoever operates: who started the run is told, and so
are the places to which the project's default channels lead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, get_args

from towpath.errors import BugError, TowpathError
from towpath.people import authority, escalation, messages, review
from towpath.people.channels.contract import Why
from towpath.store.contract import NewSending

if TYPE_CHECKING:
    from towpath.core.run import Micros, Node, Question, Run
    from towpath.definition.project import Calendar
    from towpath.people.directory import Directory
    from towpath.people.outbox import Outbox
    from towpath.store.contract import RunNumber

_REASONS: Final[Mapping[str, Why]] = {why: why for why in get_args(Why)}
_OVER: Final[Mapping[Why, str]] = {
    "decided": "it was decided before it could be sent",
    "withdrawn": "the run was stopped before it could be sent",
    "voided": "it was asked again before it could be sent",
}
"""What ends a question as it was; what was still to be told about that one is not sent."""


class OutboxBell:
    """Keeps `people.desk.Bell`."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        directory: Callable[[], Directory],
        calendar: Callable[[str | None], Calendar | None],
        now: Callable[[], Micros],
    ) -> None:
        self._outbox = outbox
        self._directory = directory
        self._calendar = calendar
        self._now = now

    def ring(
        self, number: RunNumber, run: Run, node: Node, *, why: str, times: int, to: tuple[str, ...]
    ) -> None:
        """Has the people behind *to* told about a question, once; returns at once."""
        reason = _REASONS.get(why)
        if reason is None:
            raise BugError(f"nobody is told anything because of {why!r}")
        question = node.question
        if question is None:
            return
        if reason in _OVER:
            self._outbox.recall(number, node.path, reason=_OVER[reason])
        if reason in messages.OVER:
            to = (*to, *node.handed_to)
        is_review = reason == "asked" and review.is_review(run)
        self._put(number, run, node, why="review" if is_review else reason, times=times, to=to)
        if reason == "asked":
            self._put_what_was_reached(number, run, node, question)

    def _put_what_was_reached(self, number: RunNumber, run: Run, node: Node, question: Question) -> None:
        reached = question.escalate[: node.told_rungs]
        for rung, (_, told) in enumerate(reached, start=1):
            self._put(number, run, node, why="rung", times=rung, to=told)
        for times, heir in enumerate(node.handed_to, start=1):
            self._put(number, run, node, why="handed_over", times=times, to=(heir,))
        if node.told_reminders:
            everybody = (*question.who, *(one for _, told in reached for one in told), *node.handed_to)
            self._put(number, run, node, why="reminder", times=node.told_reminders, to=everybody)

    def _put(
        self, number: RunNumber, run: Run, node: Node, *, why: Why, times: int, to: tuple[str, ...]
    ) -> None:
        question = node.question
        assert question is not None, node.path
        now = self._now()
        reached: Mapping[str, str] = {}
        until = question.due
        nobody: tuple[NewSending, ...] | None = None
        try:
            reached = self._reached(run, to, now)
            until = escalation.expires_at(question, self._calendar(question.hours))
        except TowpathError as error:
            # A project file that has errors at this moment keeps no engine from going on.
            nobody = (
                NewSending(recipient="user:", channel="", error=f"nobody could be told: {error.message}"),
            )
        notice = messages.notice_of(number, run, node, why=why, times=times, at=now, to=reached, until=until)
        self._outbox.put(notice, nobody)

    def _reached(self, run: Run, to: tuple[str, ...], now: Micros) -> dict[str, str]:
        """Who is told, each with the principal behind which they stand; where nobody is named, who started the run."""
        directory = self._directory()
        if not to:
            starter = authority.person_of(directory, run.started_by)
            return {} if starter is None else {starter: ""}
        found: dict[str, str] = {}
        for principal in to:
            for name in sorted(directory.people((principal,), now)):
                found.setdefault(name, principal)
        return found
