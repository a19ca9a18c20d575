"""What people are to be told, and whether they were: one row for each notice, recipient and channel.

A notice comes with everybody who is told, in one transaction, and under an id that follows from what happened. So putting it again, as a
process does that starts after a crash, changes nothing. An attempt is counted before it is made: whoever dies while sending
leaves a row that says so, and the next process knows that this message may have arrived.
"""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING

from towpath.errors import LimitExceeded
from towpath.store.connections import transaction
from towpath.store.contract import (
    NOTICE_BYTES_MAX,
    OUTBOX_OPEN_MAX,
    PAGE_ROWS_MAX,
    SENDING_ERROR_CHARS_MAX,
    SENDINGS_MAX,
    Life,
    OwnerId,
    SendingFilter,
    SendingRow,
)
from towpath.store.queries import queries

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from towpath.store.contract import (
        Microseconds,
        NewNotice,
        Owners,
        RunNumber,
        SendingEnded,
        SendingId,
        SendingState,
    )
    from towpath.store.desk import Desk
    from towpath.store.rows import Row

_SQL = queries("outbox")


class SqliteOutbox:
    """Keeps `contract.Outbox`."""

    def __init__(self, desk: Desk, owners: Owners) -> None:
        self._desk = desk
        self._owners = owners

    def put(self, notices: Sequence[NewNotice], *, owner: OwnerId) -> tuple[bool, ...]:
        """Keep notices to be sent; tells which were new. A notice that is known already is left as it is."""
        for notice in notices:
            check_notice(notice)
        with self._desk.connection() as connection, transaction(connection):
            new = tuple(_put(connection, notice, owner) for notice in notices)
            (waiting,) = connection.execute(_SQL["count_open"], (OUTBOX_OPEN_MAX + 1,)).fetchone()
            check_open(waiting)
            return new

    def take(
        self, owner: OwnerId, channel: str, *, at: Microseconds, rows_max: int
    ) -> tuple[SendingRow, ...]:
        """Begin an attempt of the owner's sendings that are due in a channel, oldest first."""
        with self._desk.connection() as connection:
            due = connection.execute(_SQL["due"], (owner, channel, at, rows_max)).fetchall()
            if not due:
                return ()
            with transaction(connection):
                begun = [row for (row,) in due if connection.execute(_SQL["begin"], (at, row)).rowcount == 1]
                return tuple(
                    sending_row(connection.execute(_SQL["sending"], (row,)).fetchone()) for row in begun
                )

    def end(self, ended: Sequence[SendingEnded], *, owner: OwnerId) -> None:
        """Note how attempts ended; one whose sending was taken over meanwhile is passed over."""
        with self._desk.connection() as connection, transaction(connection):
            for one in ended:
                error = one.error[:SENDING_ERROR_CHARS_MAX]
                values = (one.at, error, one.again_at, one.sending, one.attempt, owner)
                connection.execute(_SQL["end"], values)

    def recall(self, run: RunNumber, path: str, why: Sequence[str], *, at: Microseconds, reason: str) -> int:
        """Say that nobody needs to be told any more; returns how many were waiting."""
        names = json.dumps(list(why))
        error = reason[:SENDING_ERROR_CHARS_MAX]
        with self._desk.connection() as connection, transaction(connection):
            connection.execute(_SQL["recall_sending"], (at, run, path, names))
            return connection.execute(_SQL["recall_waiting"], (at, error, run, path, names)).rowcount

    def adopt(self, owner: OwnerId, *, at: Microseconds) -> int:
        """Take over what processes left that are gone; returns how many sendings."""
        with self._desk.connection() as connection:
            others = [other for (other,) in connection.execute(_SQL["other_owners"], (owner,))]
        gone = [other for other in others if self._owners.life(OwnerId(other)) is not Life.ALIVE]
        if not gone:
            return 0
        with self._desk.connection() as connection, transaction(connection):
            return sum(connection.execute(_SQL["adopt"], (owner, at, other)).rowcount for other in gone)

    def next_due(self, owner: OwnerId, channel: str) -> Microseconds | None:
        """When the owner's next sending in a channel is due."""
        with self._desk.connection() as connection:
            (due,) = connection.execute(_SQL["next_due"], (owner, channel)).fetchone()
        return None if due is None else int(due)

    def channels_waiting(self, owner: OwnerId) -> tuple[str, ...]:
        """The channels in which something of the owner's waits."""
        with self._desk.connection() as connection:
            return tuple(channel for (channel,) in connection.execute(_SQL["channels_waiting"], (owner,)))

    def try_again(self, sending: SendingId, *, at: Microseconds) -> bool:
        """Have something that was given up, or that waits for its next attempt, sent again."""
        with self._desk.connection() as connection, transaction(connection):
            return connection.execute(_SQL["try_again"], (at, sending)).rowcount == 1

    def sendings(self, where: SendingFilter | None = None) -> tuple[SendingRow, ...]:
        """List sendings, newest first, one page."""
        where = where or SendingFilter()
        check_page(where)
        states = json.dumps(list(where.states))
        values = (where.run, where.path, where.notice, where.recipient, where.channel, states, where.before)
        query = "sendings" if where.run is None else "sendings_of_run"
        with self._desk.connection() as connection:
            found = connection.execute(_SQL[query], (*values, where.rows_max)).fetchall()
        return tuple(map(sending_row, found))

    def counts(self) -> Mapping[SendingState, int]:
        """Count the sendings by state."""
        with self._desk.connection() as connection:
            return MappingProxyType(dict(connection.execute(_SQL["counts"]).fetchall()))


def _put(connection: sqlite3.Connection, notice: NewNotice, owner: OwnerId) -> bool:
    if connection.execute(_SQL["is_known"], (notice.id,)).fetchone():
        return False
    connection.execute(_SQL["forget_unreachable"], (notice.id,))
    values = (notice.id, notice.run, notice.path, notice.why, notice.at, notice.body)
    connection.execute(_SQL["keep_notice"], values)
    for one in notice.sendings:
        state, ended_at = ("waiting", None) if one.channel else ("unreachable", notice.at)
        error = one.error[:SENDING_ERROR_CHARS_MAX]
        row = (notice.id, one.recipient, one.channel, one.address, state, owner, notice.at, ended_at, error)
        connection.execute(_SQL["put"], row)
    return True


def check_notice(notice: NewNotice) -> None:
    """Refuse a notice that is too long, or for too many."""
    if len(notice.body) > NOTICE_BYTES_MAX:
        raise LimitExceeded(
            f"a notice of {len(notice.body)} bytes is longer than {NOTICE_BYTES_MAX}",
            limit="NOTICE_BYTES_MAX",
            help="Show less as evidence; put big things into a file.",
        )
    if len(notice.sendings) > SENDINGS_MAX:
        raise LimitExceeded(
            f"a notice goes to {len(notice.sendings)} recipients, and at most {SENDINGS_MAX} can be told",
            limit="SENDINGS_MAX",
            help="Ask a smaller group.",
        )


def check_open(waiting: int) -> None:
    """Refuse more sendings than anybody will ever send."""
    if waiting > OUTBOX_OPEN_MAX:
        raise LimitExceeded(
            f"more than {OUTBOX_OPEN_MAX} messages to people wait to be sent",
            limit="OUTBOX_OPEN_MAX",
            help="Find out which channel of towpath.yaml does not take them.",
        )


def check_page(where: SendingFilter) -> None:
    """Refuse a page that would not fit into memory comfortably."""
    if not 1 <= where.rows_max <= PAGE_ROWS_MAX:
        raise LimitExceeded(
            f"a page has 1 to {PAGE_ROWS_MAX} rows, not {where.rows_max}",
            limit="PAGE_ROWS_MAX",
            help="Ask for the next page with `before`.",
        )


def sending_row(row: Row) -> SendingRow:
    """Read a row of the query that lists sendings."""
    return SendingRow(
        id=row[0],
        notice=row[1],
        run=row[2],
        path=row[3],
        why=row[4],
        at=row[5],
        body=row[6],
        recipient=row[7],
        channel=row[8],
        address=row[9],
        state=row[10],
        owner=row[11] or None,
        attempts=row[12],
        due_at=row[13],
        tried_at=row[14],
        ended_at=row[15],
        error=row[16],
    )
