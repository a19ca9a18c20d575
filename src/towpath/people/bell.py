"""The bell: what an engine wants people to be told becomes notices in the outbox.

An engine says once that somebody is to be told, and says again after a restart what is still asked. So when it says that a question is
asked, the rungs that were reached and the last reminder are put as well: they were decided before, and if the process died before they
were kept, they are kept now. What was kept already is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, get_args

from towpath.errors import BugError, TowpathError
from towpath.people import escalation
from towpath.people.channels.contract import Why
from towpath.people.messages import notice_of
from towpath.store.contract import NewSending

if TYPE_CHECKING:
    from towpath.core.run import Micros, Node, Run
    from towpath.definition.project import Calendar
    from towpath.people.directory import Directory
    from towpath.people.outbox import Outbox
    from towpath.store.contract import RunNumber

_REASONS: Final[Mapping[str, Why]] = {why: why for why in get_args(Why)}
_MEANT_FOR_ALL: Final = frozenset({"decided", "withdrawn", "review"})


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
        if reason == "decided":
            self._outbox.recall(number, node.path, reason="it was decided before it could be sent")
        self._put(number, run, node, why=reason, times=times, to=to)
        if reason == "asked":
            for rung, (_, told) in enumerate(question.escalate[: node.told_rungs], start=1):
                self._put(number, run, node, why="rung", times=rung, to=told)
            if node.told_reminders:
                reached = question.escalate[: node.told_rungs]
                everybody = (*question.who, *(one for _, told in reached for one in told))
                self._put(number, run, node, why="reminder", times=node.told_reminders, to=everybody)

    def _put(
        self, number: RunNumber, run: Run, node: Node, *, why: Why, times: int, to: tuple[str, ...]
    ) -> None:
        question = node.question
        assert question is not None, node.path
        now = self._now()
        reached: dict[str, str] = {}
        until = question.due
        nobody: tuple[NewSending, ...] | None = None
        try:
            for principal in (*to, *(node.handed_to if why in _MEANT_FOR_ALL else ())):
                for name in sorted(self._directory().people((principal,), now)):
                    reached.setdefault(name, principal)
            until = escalation.expires_at(question, self._calendar(question.hours))
        except TowpathError as error:
            # A project file that has errors at this moment keeps no engine from going on.
            nobody = (
                NewSending(recipient="user:", channel="", error=f"nobody could be told: {error.message}"),
            )
        notice = notice_of(number, run, node, why=why, times=times, at=now, to=reached, until=until)
        self._outbox.put(notice, nobody)
