"""Stimuli from one process to the owner of a run in another: durable, in order, taken exactly once.

Taking is not done here: the change that a message causes takes it, in its own transaction (`Change.took`).
Until then the message waits, and whoever owns the run next sees it again.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from towpath.errors import LimitExceeded, NotFound
from towpath.store import rows
from towpath.store.connections import transaction
from towpath.store.contract import MAILBOX_MESSAGES_MAX, STIMULUS_BYTES_MAX, Message, MessageId
from towpath.store.queries import queries

if TYPE_CHECKING:
    from towpath.store.contract import OwnerId, RunNumber
    from towpath.store.desk import Desk

TAKEN_AT_ONCE_MAX = 1_000
"""Messages that one look into the mailbox returns."""

_SQL = queries("mailbox")


class SqliteMailbox:
    """Keeps `contract.Mailbox`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lock = threading.Lock()
        self._returned: frozenset[MessageId] = frozenset()

    def post(self, run: RunNumber, stimulus: bytes) -> MessageId:
        """Leave a stimulus; it is durable when this returns."""
        check_stimulus(stimulus)
        with self._desk.connection() as connection, transaction(connection):
            if not connection.execute(_SQL["has_run"], (run,)).fetchone():
                raise NotFound(f"no run {run}", help="List the runs with `tow ps --all`.")
            (waiting,) = connection.execute(_SQL["waiting"], (run,)).fetchone()
            check_room(run, waiting)
            now = time.time_ns() // 1_000
            return MessageId(connection.execute(_SQL["post"], (run, now, stimulus)).lastrowid or 0)

    def take(self, owner: OwnerId) -> tuple[Message, ...]:
        """Return messages for the runs of *owner* that this object has not returned before, oldest first."""
        with self._lock:
            limit = len(self._returned) + TAKEN_AT_ONCE_MAX
            with self._desk.connection() as connection:
                found = connection.execute(_SQL["waiting_for_owner"], (owner, limit)).fetchall()
            if not found:
                self._returned = frozenset()
                return ()
            messages = tuple(map(rows.message, found))
            fresh = tuple(message for message in messages if message.id not in self._returned)
            self._returned = frozenset(message.id for message in messages)
            return fresh

    def message(self, message: MessageId) -> Message:
        """Look at a message, for its sender: whether it was taken, and the reply."""
        with self._desk.connection() as connection:
            found = connection.execute(_SQL["message"], (message,)).fetchone()
        if not found:
            raise no_message(message)
        return rows.message(found)


def check_stimulus(stimulus: bytes) -> None:
    """Refuse a stimulus that is too long for a mailbox."""
    if len(stimulus) > STIMULUS_BYTES_MAX:
        raise LimitExceeded(
            f"a stimulus of {len(stimulus)} bytes is longer than {STIMULUS_BYTES_MAX}",
            limit="STIMULUS_BYTES_MAX",
            help="Say less in a comment or a form; put big things into a file and name it.",
        )


def check_room(run: RunNumber, waiting: int) -> None:
    """Refuse one more message for a run that nobody empties."""
    if waiting >= MAILBOX_MESSAGES_MAX:
        raise LimitExceeded(
            f"{waiting} messages wait for run {run} already",
            limit="MAILBOX_MESSAGES_MAX",
            help="Look at the run with `tow show`; if its owner died, take it over with `tow resume`.",
        )


def no_message(message: MessageId) -> NotFound:
    """Say that a message is not there any more."""
    return NotFound(f"no message {message}", help="Answers are kept for a day after they were taken.")
