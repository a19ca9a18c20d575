"""Schedules come round: each start that is due becomes an event, kept together with the mark up to which everything is done.

The mark of a schedule is the last instant that it has named. It moves in the transaction that keeps the events, and only for the one who
knew where it was: of several processes that look at the same time, one keeps the events. An event is known by its schedule and
its instant, so even a mark that was lost repeats nothing.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from towpath.core.run import Json, Micros
from towpath.definition.triggers import Schedule, Trigger
from towpath.errors import NotFound
from towpath.store.contract import Events, KeptEvent, Mark, NewEvent, StaleMark
from towpath.triggers import listening, schedule
from towpath.triggers.contract import Listener, Project
from towpath.triggers.inbox import local_event
from towpath.triggers.payloads import source_named
from towpath.triggers.schedule import Tick

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_SOURCE = source_named("schedule")


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What one look at the schedules gave."""

    kept: int
    """Starts that were due."""
    missed: int
    """Starts that were let go, as `catch_up` and calendars say."""
    next_at: Micros | None
    """When the next start is due; None where there is no schedule."""


class Scheduler:
    """Looks at every schedule of the project. How often it is asked does not matter."""

    def __init__(self, events: Events, project: Project, *, now: Callable[[], Micros]) -> None:
        self._events = events
        self._project = project
        self._now = now

    def look(self) -> Looked:
        """Keep an event for every start that is due; durable when this returns."""
        now = self._now()
        kept = missed = 0
        ahead: list[Micros] = []
        for listener, trigger, said in self._schedules():
            found = self._look_at(listener, trigger, said, now)
            kept += found.kept
            missed += found.missed
            ahead += [] if found.next_at is None else [found.next_at]
        return Looked(kept=kept, missed=missed, next_at=min(ahead, default=None))

    def _schedules(self) -> Iterator[tuple[Listener, Trigger, Schedule]]:
        for listener, trigger in listening.entries(self._project.listeners()):
            if isinstance(trigger.settings, Schedule):
                yield listener, trigger, trigger.settings

    def _look_at(self, listener: Listener, trigger: Trigger, said: Schedule, now: Micros) -> Looked:
        name = listener.workflow.name
        identity = schedule.identity_of(trigger)
        mark = self._events.mark(f"schedule/{name}/{identity}")
        kept: tuple[KeptEvent, ...] = ()
        missed = 0
        if mark is None:
            # A schedule that is seen for the first time has missed nothing.
            self._put((), Mark(name=f"schedule/{name}/{identity}", value=_written(now)))
        else:
            due = schedule.due(
                said, workflow=name, done_until=int(mark.value), now=now, is_open=self._is_open
            )
            missed = due.missed
            events = tuple(self._event(name, identity, said, tick, due.missed, now) for tick in due.ticks)
            if due.done_until != int(mark.value):
                moved = Mark(name=mark.name, value=_written(due.done_until), version=mark.version)
                kept = self._put(events, moved)
        following = next(schedule.upcoming(said, workflow=name, after=now, is_open=self._is_open), None)
        return Looked(
            kept=sum(not one.existing for one in kept),
            missed=missed,
            next_at=None if following is None else following.due_at,
        )

    def _put(self, events: tuple[NewEvent, ...], mark: Mark) -> tuple[KeptEvent, ...]:
        try:
            return self._events.put(events, mark=mark)
        except StaleMark:
            return ()  # another process was quicker, and has kept the same

    def _is_open(self, calendar: str, at: Micros) -> bool:
        """Whether a calendar is open; one that the project does not have any more keeps nothing closed."""
        try:
            return self._project.is_open(calendar, at)
        except NotFound:
            return True

    def _event(
        self, workflow: str, identity: str, said: Schedule, tick: Tick, missed: int, now: Micros
    ) -> NewEvent:
        payload: Json = {
            "workflow": workflow,
            "schedule": identity,
            "scheduled_at": _stamp(tick.at),
            "due_at": _stamp(tick.due_at),
            "timezone": said.timezone,
            "late_seconds": max(0, now - tick.due_at) // 1_000_000,
            "missed": missed,
        }
        return local_event(_SOURCE, payload, kind="schedule", at=now)


def _written(at: Micros) -> bytes:
    return str(at).encode()


def _stamp(at: Micros) -> str:
    """An instant as events tell it: RFC 3339, in UTC."""
    moment = _EPOCH + datetime.timedelta(microseconds=at)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
