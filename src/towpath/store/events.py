"""What arrived from outside: one row for each delivery, and what became of it.

A sender is answered when its event is durable, and not before. What an event starts is decided afterwards, by a process
that takes it; taking counts, so an event that kills its process is noticed. When such a process is gone, another one decides anew, and
the start keys of runs see to it that nothing starts twice.
"""

from __future__ import annotations

import dataclasses
import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import msgspec

from towpath.errors import LimitExceeded, NotFound
from towpath.store.connections import transaction
from towpath.store.contract import (
    EVENT_BYTES_MAX,
    EVENT_TITLE_CHARS_MAX,
    EVENTS_WAITING_MAX,
    PAGE_ROWS_MAX,
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
    StaleMark,
    event_state,
)
from towpath.store.queries import queries

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from towpath.store.contract import EventSettled, EventState, Microseconds, NewEvent, Owners
    from towpath.store.desk import Desk
    from towpath.store.rows import Row

FORGOTTEN_AT_ONCE = 1_000
"""Rows that one transaction forgets, so that nobody waits long."""
_SQL = queries("events")
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(tuple[Reaction, ...])


class SqliteEvents:
    """Keeps `contract.Events`."""

    def __init__(self, desk: Desk, owners: Owners) -> None:
        self._desk = desk
        self._owners = owners

    def put(self, events: Sequence[NewEvent], *, mark: Mark | None = None) -> tuple[KeptEvent, ...]:
        """Keep events, and move a mark with them; all or nothing, and durable when this returns."""
        for event in events:
            check_event(event)
        with self._desk.connection() as connection, transaction(connection):
            kept = tuple(_put(connection, event) for event in events)
            if any(not one.existing for one in kept):
                check_waiting(
                    connection.execute(_SQL["count_waiting"], (EVENTS_WAITING_MAX + 1,)).fetchone()[0]
                )
            if mark is not None:
                moved_at = max((event.received_at for event in events), default=0)
                _move(connection, mark, moved_at)
            return kept

    def mark(self, name: str) -> Mark | None:
        """Up to where everything is done; None where nobody has said so yet."""
        with self._desk.connection() as connection:
            found = connection.execute(_SQL["mark"], (name,)).fetchone()
        return None if found is None else Mark(name=name, value=found[0], version=found[1])

    def take(self, owner: OwnerId) -> EventRow | None:
        """Begin to decide about the oldest event that waits; None where there is none."""
        with self._desk.connection() as connection:
            owners = [OwnerId(one) for (one,) in connection.execute(_SQL["waiting_owners"])]
        busy = [one for one in owners if one != owner and self._owners.life(one) is Life.ALIVE]
        with self._desk.connection() as connection:
            # Most looks find nothing, and need no lock for that.
            if connection.execute(_SQL["next_waiting"], (json.dumps(busy),)).fetchone() is None:
                return None
            with transaction(connection):
                found = connection.execute(_SQL["next_waiting"], (json.dumps(busy),)).fetchone()
                if found is None or connection.execute(_SQL["begin"], (owner, found[0])).rowcount != 1:
                    return None
                return event_row(connection.execute(_SQL["event"], found).fetchone())

    def settle(self, settled: EventSettled, *, owner: OwnerId) -> bool:
        """Note what was decided; False where another process has taken the event over."""
        kept = settled.reactions[:REACTIONS_MAX]
        state = settled.state or event_state(kept)
        values = (state, settled.because, _ENCODER.encode(kept).decode(), settled.at, settled.event, owner)
        with self._desk.connection() as connection, transaction(connection):
            if connection.execute(_SQL["settle"], values).rowcount != 1:
                return False
            for hold in settled.holds:
                _hold(connection, hold, at=settled.at)
            return True

    def due_holds(self, at: Microseconds) -> tuple[EventHold, ...]:
        """What was held back for long enough, in the order of its time."""
        with self._desk.connection() as connection:
            found = connection.execute(_SQL["due_holds"], (at,)).fetchall()
        return tuple(EventHold(key=key, event=event, due_at=due_at) for key, event, due_at in found)

    def next_hold(self) -> Microseconds | None:
        """When something that is held back is due next."""
        with self._desk.connection() as connection:
            (due,) = connection.execute(_SQL["next_hold"]).fetchone()
        return None if due is None else int(due)

    def release(self, hold: EventHold, reaction: Reaction, *, at: Microseconds) -> bool:
        """Note what a held entry made of its event in the end; False where a later event has taken its place."""
        with self._desk.connection() as connection, transaction(connection):
            if connection.execute(_SQL["release"], (hold.key, hold.event)).rowcount != 1:
                return False
            _react(connection, hold.event, reaction, at=at)
            return True

    def again(self, event: EventId) -> bool:
        """Have an event decided about once more; False where that has not happened yet."""
        self.event(event)
        with self._desk.connection() as connection, transaction(connection):
            connection.execute(_SQL["release_event"], (event,))
            return connection.execute(_SQL["again"], (event,)).rowcount == 1

    def event(self, event: EventId | Literal["last"]) -> EventRow:
        """Return one event."""
        with self._desk.connection() as connection:
            number = connection.execute(_SQL["last"]).fetchone()[0] if event == "last" else event
            found = connection.execute(_SQL["event"], (number,)).fetchone()
        if found is None:
            raise no_event(event)
        return event_row(found)

    def payload(self, event: EventId) -> bytes:
        """Return what an event holds."""
        with self._desk.connection() as connection:
            found = connection.execute(_SQL["payload"], (event,)).fetchone()
        if found is None:
            raise no_event(event)
        return bytes(found[0])

    def events(self, where: EventFilter | None = None) -> tuple[EventRow, ...]:
        """List events, newest first, one page."""
        where = where or EventFilter()
        check_event_page(where)
        values = (
            json.dumps(where.states),
            where.source,
            where.kind,
            where.since,
            where.before,
            where.rows_max,
        )
        with self._desk.connection() as connection:
            return tuple(map(event_row, connection.execute(_SQL["events"], values).fetchall()))

    def counts(self) -> Mapping[EventState, int]:
        """Count the events by state."""
        with self._desk.connection() as connection:
            return MappingProxyType(dict(connection.execute(_SQL["counts"]).fetchall()))

    def forget(self, before: Microseconds, *, dry_run: bool = False) -> int:
        """Forget the events that were decided about before a moment; returns how many."""
        if dry_run:
            with self._desk.connection() as connection:
                return int(connection.execute(_SQL["count_old"], (before,)).fetchone()[0])
        gone = 0
        while True:
            with self._desk.connection() as connection, transaction(connection):
                count = connection.execute(_SQL["forget"], (before, FORGOTTEN_AT_ONCE)).rowcount
            gone += count
            if count < FORGOTTEN_AT_ONCE:
                return gone


def _put(connection: sqlite3.Connection, event: NewEvent) -> KeptEvent:
    known = connection.execute(_SQL["known"], (event.source, event.delivery)).fetchone()
    if known is not None:
        connection.execute(_SQL["repeat"], (event.received_at, known[0]))
        return KeptEvent(id=EventId(known[0]), existing=True)
    values = (
        event.source,
        event.delivery,
        event.kind,
        event.title[:EVENT_TITLE_CHARS_MAX],
        event.received_at,
        event.way,
        json.dumps(list(event.secrets)),
        json.dumps(dict(event.headers)),
        event.payload,
    )
    number = connection.execute(_SQL["put"], values).lastrowid
    assert number is not None  # an insert always gives one
    return KeptEvent(id=EventId(number))


def _move(connection: sqlite3.Connection, mark: Mark, at: Microseconds) -> None:
    if mark.version:
        done = connection.execute(_SQL["move_mark"], (mark.value, at, mark.name, mark.version))
    else:
        done = connection.execute(_SQL["set_first_mark"], (mark.name, mark.value, at))
    if done.rowcount != 1:
        raise stale_mark(mark)


def _hold(connection: sqlite3.Connection, hold: EventHold, *, at: Microseconds) -> None:
    """Hold an event back; the one that was held back before starts nothing any more."""
    before = connection.execute(_SQL["held"], (hold.key,)).fetchone()
    if before is not None and before[0] > hold.event:
        _react(connection, hold.event, superseded(hold.key, before[0]), at=at)
        return
    if before is not None and before[0] != hold.event:
        _react(connection, EventId(before[0]), superseded(hold.key, hold.event), at=at)
    connection.execute(_SQL["hold"], (hold.key, hold.event, hold.due_at))


def _react(connection: sqlite3.Connection, event: EventId, reaction: Reaction, *, at: Microseconds) -> None:
    found = connection.execute(_SQL["reactions"], (event,)).fetchone()
    if found is not None:
        told = replaced(_DECODER.decode(found[0]), reaction)
        connection.execute(_SQL["react"], (event_state(told), _ENCODER.encode(told).decode(), at, event))


def superseded(key: str, later: int) -> Reaction:
    """What an entry says of an event after which another one came."""
    workflow, _, position = key.rpartition("/")
    return Reaction(workflow=workflow, position=int(position), because=f"event {later} came after it")


def replaced(reactions: tuple[Reaction, ...], reaction: Reaction) -> tuple[Reaction, ...]:
    """The reactions with a new one in place of what the same entry had said."""
    entry = (reaction.workflow, reaction.position)
    return tuple(
        msgspec.structs.replace(reaction, kind=one.kind)
        if (one.workflow, one.position) == entry and not one.told
        else one
        for one in reactions
    )


def check_event(event: NewEvent) -> None:
    """Refuse an event that is too long."""
    if len(event.payload) > EVENT_BYTES_MAX:
        raise LimitExceeded(
            f"an event of {len(event.payload):,} bytes is longer than EVENT_BYTES_MAX ({EVENT_BYTES_MAX:,})",
            limit="EVENT_BYTES_MAX",
            help="Have the sender tell less.",
        )


def check_waiting(waiting: int) -> None:
    """Refuse more events than anybody decides about."""
    if waiting > EVENTS_WAITING_MAX:
        raise LimitExceeded(
            f"more than {EVENTS_WAITING_MAX:,} events wait to be looked at",
            limit="EVENTS_WAITING_MAX",
            help="See whether a process runs that looks at them, and try again later.",
        )


def check_event_page(where: EventFilter) -> None:
    """Refuse a page that would not fit into memory comfortably."""
    if not 1 <= where.rows_max <= PAGE_ROWS_MAX:
        raise LimitExceeded(
            f"a page has 1 to {PAGE_ROWS_MAX} rows, not {where.rows_max}",
            limit="PAGE_ROWS_MAX",
            help="Ask for the next page with `before`.",
        )


def no_event(event: EventId | Literal["last"]) -> NotFound:
    """Say that there is no such event."""
    if event == "last":
        return NotFound("nothing has arrived yet")
    return NotFound(f"there is no event {event}", help="`tow events` lists what arrived")


def stale_mark(mark: Mark) -> StaleMark:
    """Say that somebody else was quicker."""
    return StaleMark(
        f"somebody else has moved {mark.name} meanwhile", help="Look again from where it is now."
    )


def event_row(row: Row) -> EventRow:
    """Read a row of the query that lists events."""
    return EventRow(
        id=row[0],
        source=row[1],
        delivery=row[2],
        kind=row[3],
        title=row[4],
        received_at=row[5],
        way=row[6],
        secrets=tuple(json.loads(row[7])),
        headers=MappingProxyType(json.loads(row[8])),
        size=row[9],
        state=row[10],
        owner=row[11] or None,
        attempts=row[12],
        settled_at=row[13],
        because=row[14],
        reactions=_DECODER.decode(row[15]),
        repeats=row[16],
        repeated_at=row[17],
    )


def as_row(number: EventId, event: NewEvent) -> EventRow:
    """A new event as a row."""
    return EventRow(
        id=number,
        source=event.source,
        delivery=event.delivery,
        kind=event.kind,
        title=event.title[:EVENT_TITLE_CHARS_MAX],
        received_at=event.received_at,
        way=event.way,
        secrets=event.secrets,
        headers=MappingProxyType(dict(event.headers)),
        size=len(event.payload),
        state="received",
        owner=None,
        attempts=0,
        settled_at=None,
        because="",
        reactions=(),
        repeats=0,
        repeated_at=None,
    )


def asked_again(row: EventRow) -> EventRow:
    """A row about which is to be decided once more."""
    return dataclasses.replace(
        row, state="received", owner=None, attempts=0, settled_at=None, because="", reactions=()
    )
