"""What arrived from outside, in memory, for tests."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from towpath.store.contract import (
    EVENTS_WAITING_MAX,
    REACTIONS_MAX,
    EventFilter,
    EventHold,
    EventId,
    EventRow,
    KeptEvent,
    Life,
    Mark,
    OwnerId,
    Reaction,
    event_state,
)
from towpath.store.events import (
    as_row,
    asked_again,
    check_event,
    check_event_page,
    check_waiting,
    no_event,
    replaced,
    stale_mark,
    superseded,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from towpath.store.contract import EventSettled, EventState, Microseconds, NewEvent, Owners


@dataclass(slots=True)
class EventsData:
    """What several views share; changed only under its lock."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    rows: dict[EventId, EventRow] = field(default_factory=dict)
    payloads: dict[EventId, bytes] = field(default_factory=dict)
    holds: dict[str, EventHold] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)
    last: int = 0


class MemoryEvents:
    """Keeps `contract.Events` without a disk."""

    def __init__(self, data: EventsData, owners: Owners) -> None:
        self._data = data
        self._owners = owners

    def put(self, events: Sequence[NewEvent], *, mark: Mark | None = None) -> tuple[KeptEvent, ...]:
        """Keep events, and move a mark with them; all or nothing."""
        for event in events:
            check_event(event)
        data = self._data
        with data.lock:
            if (
                mark is not None
                and (data.marks[mark.name].version if mark.name in data.marks else 0) != mark.version
            ):
                raise stale_mark(mark)
            known = {(row.source, row.delivery) for row in data.rows.values()}
            new = {(event.source, event.delivery) for event in events} - known
            if new:
                waiting = sum(row.state == "received" for row in data.rows.values())
                check_waiting(min(waiting + len(new), EVENTS_WAITING_MAX + 1))
            kept = tuple(self._put(event) for event in events)
            if mark is not None:
                data.marks[mark.name] = replace(mark, version=mark.version + 1)
            return kept

    def mark(self, name: str) -> Mark | None:
        """Up to where everything is done; None where nobody has said so yet."""
        with self._data.lock:
            return self._data.marks.get(name)

    def take(self, owner: OwnerId) -> EventRow | None:
        """Begin to decide about the oldest event that waits; None where there is none."""
        with self._data.lock:
            for row in self._data.rows.values():
                is_busy = row.owner not in (None, owner) and self._owners.life(row.owner) is Life.ALIVE
                if row.state == "received" and not is_busy:
                    return self._set(replace(row, owner=owner, attempts=row.attempts + 1))
            return None

    def settle(self, settled: EventSettled, *, owner: OwnerId) -> bool:
        """Note what was decided; False where another process has taken the event over."""
        with self._data.lock:
            row = self._data.rows.get(settled.event)
            if row is None or row.owner != owner or row.state != "received":
                return False
            kept = settled.reactions[:REACTIONS_MAX]
            state = settled.state or event_state(kept)
            self._set(
                replace(
                    row,
                    state=state,
                    because=settled.because,
                    reactions=kept,
                    settled_at=settled.at,
                    owner=None,
                )
            )
            for hold in settled.holds:
                self._hold(hold, at=settled.at)
            return True

    def due_holds(self, at: Microseconds) -> tuple[EventHold, ...]:
        """What was held back for long enough, in the order of its time."""
        with self._data.lock:
            due = [hold for hold in self._data.holds.values() if hold.due_at <= at]
        return tuple(sorted(due, key=lambda hold: (hold.due_at, hold.key)))

    def next_hold(self) -> Microseconds | None:
        """When something that is held back is due next."""
        with self._data.lock:
            return min((hold.due_at for hold in self._data.holds.values()), default=None)

    def release(self, hold: EventHold, reaction: Reaction, *, at: Microseconds) -> bool:
        """Note what a held entry made of its event in the end; False where a later event has taken its place."""
        with self._data.lock:
            found = self._data.holds.get(hold.key)
            if found is None or found.event != hold.event:
                return False
            del self._data.holds[hold.key]
            self._react(hold.event, reaction, at=at)
            return True

    def again(self, event: EventId) -> bool:
        """Have an event decided about once more; False where that has not happened yet."""
        with self._data.lock:
            row = self.event(event)
            for key in [key for key, hold in self._data.holds.items() if hold.event == event]:
                del self._data.holds[key]
            if row.state == "received":
                return False
            self._set(asked_again(row))
            return True

    def event(self, event: EventId | Literal["last"]) -> EventRow:
        """Return one event."""
        with self._data.lock:
            number = EventId(max(self._data.rows, default=0)) if event == "last" else event
            if number not in self._data.rows:
                raise no_event(event)
            return self._data.rows[number]

    def payload(self, event: EventId) -> bytes:
        """Return what an event holds."""
        with self._data.lock:
            if event not in self._data.payloads:
                raise no_event(event)
            return self._data.payloads[event]

    def events(self, where: EventFilter | None = None) -> tuple[EventRow, ...]:
        """List events, newest first, one page."""
        where = where or EventFilter()
        check_event_page(where)
        with self._data.lock:
            found = [row for row in reversed(self._data.rows.values()) if _matches(row, where)]
        return tuple(found[: where.rows_max])

    def counts(self) -> Mapping[EventState, int]:
        """Count the events by state."""
        with self._data.lock:
            counted = Counter(row.state for row in self._data.rows.values())
        return MappingProxyType(dict(sorted(counted.items())))

    def forget(self, before: Microseconds, *, dry_run: bool = False) -> int:
        """Forget the events that were decided about before a moment; returns how many."""
        with self._data.lock:
            old = [
                row.id
                for row in self._data.rows.values()
                if row.settled_at is not None
                and row.settled_at < before
                and row.state not in ("received", "held")
            ]
            for number in () if dry_run else old:
                del self._data.rows[number], self._data.payloads[number]
            return len(old)

    def _put(self, event: NewEvent) -> KeptEvent:
        data = self._data
        for row in data.rows.values():
            if (row.source, row.delivery) == (event.source, event.delivery):
                self._set(replace(row, repeats=row.repeats + 1, repeated_at=event.received_at))
                return KeptEvent(id=row.id, existing=True)
        data.last += 1
        number = EventId(data.last)
        data.payloads[number] = event.payload
        self._set(as_row(number, event))
        return KeptEvent(id=number)

    def _set(self, row: EventRow) -> EventRow:
        self._data.rows[row.id] = row
        return row

    def _hold(self, hold: EventHold, *, at: Microseconds) -> None:
        before = self._data.holds.get(hold.key)
        if before is not None and before.event > hold.event:
            self._react(hold.event, superseded(hold.key, before.event), at=at)
            return
        if before is not None and before.event != hold.event:
            self._react(before.event, superseded(hold.key, hold.event), at=at)
        self._data.holds[hold.key] = hold

    def _react(self, event: EventId, reaction: Reaction, *, at: Microseconds) -> None:
        row = self._data.rows.get(event)
        if row is not None:
            told = replaced(row.reactions, reaction)
            self._set(replace(row, state=event_state(told), reactions=told, settled_at=at))


def _matches(row: EventRow, where: EventFilter) -> bool:
    return (
        (not where.states or row.state in where.states)
        and (where.source is None or row.source == where.source or row.source.startswith(f"{where.source}/"))
        and (where.kind is None or row.kind == where.kind or row.kind.startswith(f"{where.kind}."))
        and (where.since is None or row.received_at >= where.since)
        and (where.before is None or row.id < where.before)
    )
