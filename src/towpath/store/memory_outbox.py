"""The outbox in memory, for tests."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from towpath.store.contract import (
    OUTBOX_OPEN_MAX,
    SENDING_ERROR_CHARS_MAX,
    Life,
    NoticeId,
    OwnerId,
    SendingFilter,
    SendingId,
    SendingRow,
)
from towpath.store.outbox import check_notice, check_open, check_page

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from towpath.store.contract import (
        Microseconds,
        NewNotice,
        NewSending,
        Owners,
        RunNumber,
        SendingEnded,
        SendingState,
    )

_NOBODY = OwnerId("")
_OPEN = ("waiting", "sending")


@dataclass(slots=True)
class OutboxData:
    """What several views share; changed only under its lock."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    rows: dict[SendingId, SendingRow] = field(default_factory=dict)
    recalled: set[SendingId] = field(default_factory=set)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))


class MemoryOutbox:
    """Keeps `contract.Outbox` without a disk."""

    def __init__(self, data: OutboxData, owners: Owners) -> None:
        self._data = data
        self._owners = owners

    def put(self, notices: Sequence[NewNotice], *, owner: OwnerId) -> tuple[bool, ...]:
        """Keep notices to be sent; tells which were new."""
        for notice in notices:
            check_notice(notice)
        with self._data.lock:
            before = dict(self._data.rows)
            new = tuple(self._put(notice, owner) for notice in notices)
            try:
                check_open(min(sum(row.state in _OPEN for row in self._rows()), OUTBOX_OPEN_MAX + 1))
            except BaseException:
                self._data.rows = before
                raise
            return new

    def take(
        self, owner: OwnerId, channel: str, *, at: Microseconds, rows_max: int
    ) -> tuple[SendingRow, ...]:
        """Begin an attempt of the owner's sendings that are due in a channel, oldest first."""
        with self._data.lock:
            due = [row for row in self._waiting(owner, channel) if row.due_at <= at]
            due.sort(key=lambda row: (row.due_at, row.id))
            return tuple(
                self._set(replace(row, state="sending", attempts=row.attempts + 1, tried_at=at))
                for row in due[:rows_max]
            )

    def end(self, ended: Sequence[SendingEnded], *, owner: OwnerId) -> None:
        """Note how attempts ended; one whose sending was taken over meanwhile is passed over."""
        with self._data.lock:
            for one in ended:
                row = self._data.rows.get(one.sending)
                if row and (row.state, row.attempts, row.owner) == ("sending", one.attempt, owner):
                    self._end(row, one)

    def recall(self, run: RunNumber, path: str, why: Sequence[str], *, at: Microseconds, reason: str) -> int:
        """Say that nobody needs to be told any more; returns how many were waiting."""
        with self._data.lock:
            about = [row for row in self._rows() if (row.run, row.path) == (run, path) and row.why in why]
            self._data.recalled.update(row.id for row in about if row.state == "sending")
            waiting = [row for row in about if row.state == "waiting"]
            for row in waiting:
                error = reason[:SENDING_ERROR_CHARS_MAX]
                self._set(replace(row, state="recalled", ended_at=at, error=error))
            return len(waiting)

    def adopt(self, owner: OwnerId, *, at: Microseconds) -> int:
        """Take over what processes left that are gone; returns how many sendings."""
        with self._data.lock:
            left = [row for row in self._rows() if row.state in _OPEN and row.owner != owner]
            gone = [row for row in left if self._owners.life(row.owner or _NOBODY) is not Life.ALIVE]
            for row in gone:
                self._adopt(row, owner, at)
            return len(gone)

    def next_due(self, owner: OwnerId, channel: str) -> Microseconds | None:
        """When the owner's next sending in a channel is due."""
        with self._data.lock:
            return min((row.due_at for row in self._waiting(owner, channel)), default=None)

    def channels_waiting(self, owner: OwnerId) -> tuple[str, ...]:
        """The channels in which something of the owner's waits."""
        with self._data.lock:
            rows = [row for row in self._rows() if row.state == "waiting" and row.owner == owner]
            return tuple(sorted({row.channel for row in rows}))

    def try_again(self, sending: SendingId, *, at: Microseconds) -> bool:
        """Have something that was given up, or that waits for its next attempt, sent again."""
        with self._data.lock:
            row = self._data.rows.get(sending)
            if row is not None and row.state == "waiting":
                self._set(replace(row, due_at=at))
                return True
            if row is None or row.state != "given_up":
                return False
            self._data.recalled.discard(sending)
            self._set(replace(row, state="waiting", owner=None, attempts=0, due_at=at, ended_at=None))
            return True

    def sendings(self, where: SendingFilter | None = None) -> tuple[SendingRow, ...]:
        """List sendings, newest first, one page."""
        where = where or SendingFilter()
        check_page(where)
        with self._data.lock:
            found = [row for row in reversed(self._rows()) if _matches(row, where)]
        return tuple(found[: where.rows_max])

    def counts(self) -> Mapping[SendingState, int]:
        """Count the sendings by state."""
        with self._data.lock:
            counted = Counter(row.state for row in self._rows())
        return MappingProxyType(dict(sorted(counted.items())))

    def _rows(self) -> list[SendingRow]:
        return [self._data.rows[number] for number in sorted(self._data.rows)]

    def _waiting(self, owner: OwnerId, channel: str) -> list[SendingRow]:
        return [
            row
            for row in self._rows()
            if (row.state, row.owner or _NOBODY, row.channel) == ("waiting", owner, channel)
        ]

    def _set(self, row: SendingRow) -> SendingRow:
        self._data.rows[row.id] = row
        return row

    def _put(self, notice: NewNotice, owner: OwnerId) -> bool:
        known = [row for row in self._rows() if row.notice == notice.id]
        if any(row.state != "unreachable" for row in known):
            return False
        body = known[0].body if known else notice.body
        for row in known:
            del self._data.rows[row.id]
        keys = dict.fromkeys((one.recipient, one.channel) for one in notice.sendings)
        for one in notice.sendings:
            if keys.pop((one.recipient, one.channel), ...) is None:
                self._set(_row(SendingId(next(self._data.numbers)), notice, one, owner, body))
        return True

    def _end(self, row: SendingRow, one: SendingEnded) -> None:
        error = one.error[:SENDING_ERROR_CHARS_MAX]
        state: SendingState = "waiting"
        if not error:
            state = "sent"
        elif row.id in self._data.recalled:
            state = "recalled"
        elif one.again_at is None:
            state = "given_up"
        ended_at = None if state == "waiting" else one.at
        due_at = row.due_at if one.again_at is None else one.again_at
        self._set(replace(row, state=state, ended_at=ended_at, due_at=due_at, error=error))

    def _adopt(self, row: SendingRow, owner: OwnerId, at: Microseconds) -> None:
        if row.state == "waiting":
            self._set(replace(row, owner=owner))
            return
        error = f"the process that sent it ended during attempt {row.attempts}: it may have arrived"
        is_recalled = row.id in self._data.recalled
        self._set(
            replace(
                row,
                owner=owner,
                error=error,
                due_at=at,
                state="recalled" if is_recalled else "waiting",
                ended_at=at if is_recalled else None,
            )
        )


def _row(number: SendingId, notice: NewNotice, one: NewSending, owner: OwnerId, body: bytes) -> SendingRow:
    return SendingRow(
        id=number,
        notice=NoticeId(notice.id),
        run=notice.run,
        path=notice.path,
        why=notice.why,
        at=notice.at,
        body=body,
        recipient=one.recipient,
        channel=one.channel,
        address=one.address,
        state="waiting" if one.channel else "unreachable",
        owner=owner or None,
        attempts=0,
        due_at=notice.at,
        tried_at=None,
        ended_at=None if one.channel else notice.at,
        error=one.error[:SENDING_ERROR_CHARS_MAX],
    )


def _matches(row: SendingRow, where: SendingFilter) -> bool:
    wanted = ("run", "path", "notice", "recipient", "channel")
    return (
        all(getattr(where, name) in (None, getattr(row, name)) for name in wanted)
        and (not where.states or row.state in where.states)
        and (where.before is None or row.id < where.before)
    )
