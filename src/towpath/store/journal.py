"""The one writer of a process: group commit.

Changes gather. All that have gathered are written in one transaction, and then their callbacks are called in
the loop's thread, once for the whole group: many runs share one sync, and one run alone pays for one.

Where a group is written depends on the disk. A few changes on a disk that syncs within a millisecond are
written right here, in the loop, at the end of the turn in which they came: handing them to a thread and being
woken again would cost as much as the sync itself. Large groups, slow disks and a database that another
process is writing to go to a thread, and the loop goes on meanwhile. The order of the commits stays: while
the thread has anything, everything goes there.

What cannot fail alone is the disk. After a full disk, an I/O error or a failed sync nobody knows what the
kernel still holds, so the journal stops for good: that group and everything after it is refused, and only a
restart, which reads what is really there, goes on (P11).
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from towpath.errors import LimitExceeded, StoreUnavailable
from towpath.store.chain import Chain
from towpath.store.connections import checkpoint, connect, is_busy, unavailable
from towpath.store.contract import QUEUED_CHANGES_MAX
from towpath.store.writing import roll_back, write_group

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from towpath.store.contract import Change, Deliver, NewRun, OnDurable, OnStarted
    from towpath.store.writing import Item, Outcome

GROUP_CHANGES_MAX = 4_096
"""After so many changes a transaction takes no more of what waits."""
HERE_CHANGES_MAX = 4
"""A group in the loop's own thread is not larger."""
HERE_SECONDS_MAX = 0.001
"""A disk on which small groups take longer is left to the thread."""
PACE_GROUPS = 8
"""Over about how many groups the pace of the disk is averaged."""
CHECKPOINT_PAGES = 1_000
"""About how many pages the write-ahead log gathers before they are moved into the database file."""
CHECKPOINT_PAGES_BUSY = 8_000
"""The same while large groups come: a page that changes often is then moved once."""
IDLE_SECONDS = 0.5
"""After this long what the write-ahead log holds is moved anyhow."""

_CHECKPOINT: list[Item] = []
"""What stands in the queue for a group when the write-ahead log is to be moved."""

ENDING_HELP = "This process is ending; start `tow` again."
BUG_HELP = "This is our mistake; please report it. Start `tow` again; the journal goes on."


class SqliteJournal:
    """Keeps `contract.Journal`."""

    def __init__(self, database: Path, deliver: Deliver, soon: Deliver | None) -> None:
        self._database = database
        self._deliver = deliver
        self._soon = soon
        self._lock = threading.Lock()
        """Over what has gathered and who writes it: closing may come from another thread than the loop's."""
        self._gathered: list[Item] = []
        self._queue: SimpleQueue[list[Item] | None] = SimpleQueue()
        self._away = 0
        """What the thread has and the loop has not heard of yet: changes, and checkpoints as one each."""
        self._pace_seconds = 0.0
        """How long a small group takes here, averaged."""
        self._chain = Chain()
        self._pages = 0
        """About how many pages the write-ahead log holds."""
        self._stopped: StoreUnavailable | None = None
        self._closed = False
        self._here = connect(database, busy_seconds=0) if soon else None
        self._there = connect(database)
        self._thread = threading.Thread(target=self._work, name="towpath-journal", daemon=True)
        self._thread.start()

    @property
    def stopped(self) -> Exception | None:
        """Why nothing can be written any more, or None."""
        return self._stopped

    def commit(self, change: Change, on_durable: OnDurable) -> None:
        """Make *change* durable, then call *on_durable*."""
        self._gather((change, on_durable))

    def start(self, new: NewRun, on_started: OnStarted) -> None:
        """Accept a run, then call *on_started*."""
        self._gather((new, on_started))

    def close(self) -> None:
        """Commit what is queued, then end the writer; may be called from any thread."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._hand_over()
                self._queue.put(None)
        self._thread.join()
        if self._here is not None:
            _disconnect(self._here)

    # In the loop's thread.

    def _gather(self, item: Item) -> None:
        with self._lock:
            is_refused = self._closed or self._away + len(self._gathered) >= QUEUED_CHANGES_MAX
            if not is_refused:
                self._gathered.append(item)
                if self._soon is None:
                    self._hand_over()
        if is_refused:
            self._deliver(item[1], self._refusal())
        elif self._soon is not None and len(self._gathered) == 1:
            self._soon(self._flush)

    def _flush(self) -> None:
        """Write what this turn of the loop has gathered: here if that is quick, else in the thread."""
        with self._lock:
            group = self._gathered
            if (
                self._here is None
                or self._away
                or not 0 < len(group) <= HERE_CHANGES_MAX
                or self._pace_seconds >= HERE_SECONDS_MAX
            ):
                self._hand_over()
                return
            began = time.perf_counter()
            try:
                outcomes = self._write(self._here, group)
            except _BusyError:
                self._hand_over()
                return
            self._gathered = []
            self._keep_pace(time.perf_counter() - began)
            self._tend_log(len(group))
        _settle(group, outcomes)

    def _tend_log(self, pages: int) -> None:
        """Let the thread move the write-ahead log; commits queue behind it, or the log would never get empty.

        A log that got empty is written over from its beginning; one that grows makes every sync slower.
        """
        if self._pages == 0:
            self._queue.put([])
        self._pages += pages
        if self._pages >= CHECKPOINT_PAGES:
            self._away += 1
            self._queue.put(_CHECKPOINT)

    def _hand_over(self) -> None:
        if self._gathered:
            group, self._gathered = self._gathered, []
            self._away += len(group)
            self._queue.put(group)

    def _log_moved(self) -> None:
        with self._lock:
            self._away -= 1

    def _settle_there(self, group: list[Item], outcomes: list[Outcome] | None) -> None:
        with self._lock:
            self._away -= len(group)
        _settle(group, outcomes)

    def _refusal(self) -> Exception:
        if self._closed:
            return StoreUnavailable("the journal is closed", help=ENDING_HELP)
        return LimitExceeded(
            f"more than {QUEUED_CHANGES_MAX} changes wait for the disk",
            limit="QUEUED_CHANGES_MAX",
            help="The disk is too slow for this many runs at once; start fewer.",
        )

    # In the writer's thread.

    def _work(self) -> None:
        """Write group after group until told to end."""
        while True:
            try:
                group = self._queue.get(timeout=IDLE_SECONDS) if self._pages else self._queue.get()
            except Empty:
                self._checkpoint()
                continue
            if group is None:
                break
            if group is _CHECKPOINT:
                self._checkpoint()
                self._tell(self._log_moved)
            elif group:
                self._write_there(group)
        _disconnect(self._there)

    def _write_there(self, group: list[Item]) -> None:
        """Write a group and whatever has gathered behind it; wake the loop once."""
        while len(group) < GROUP_CHANGES_MAX and not self._queue.empty():
            more = self._queue.get()
            if more is None or more is _CHECKPOINT:
                self._queue.put(more)
                break
            group += more
        began = time.perf_counter()
        outcomes = self._write(self._there, group)
        is_small = len(group) <= HERE_CHANGES_MAX
        if is_small:
            self._keep_pace(time.perf_counter() - began)
        self._pages += len(group)
        is_long = self._pages >= (CHECKPOINT_PAGES if is_small else CHECKPOINT_PAGES_BUSY)
        if is_long:
            with self._lock:
                self._away += 1
        self._tell(self._settle_there, group, outcomes)
        if is_long:
            self._checkpoint()
            self._tell(self._log_moved)

    def _checkpoint(self) -> None:
        """Move the write-ahead log into the database file; a sync that fails here stops the journal too."""
        self._pages = 0
        if self._stopped is not None:
            return
        try:
            checkpoint(self._there)
        except sqlite3.Error as error:
            if not is_busy(error):
                self._stop(error)

    def _tell(self, callback: Callable[..., None], *values: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left who could be told
            self._deliver(callback, *values)

    # In either.

    def _write(self, connection: sqlite3.Connection, group: list[Item]) -> list[Outcome] | None:
        """Make a group durable, or stop for good; only the connection that does not wait may find it busy."""
        if self._stopped is not None:
            return [self._stopped] * len(group)
        try:
            return write_group(connection, group, self._chain)
        except Exception as error:
            if connection is self._here and isinstance(error, sqlite3.Error) and is_busy(error):
                with suppress(sqlite3.Error):
                    roll_back(connection)
                raise _BusyError from error
            self._stop(error)
            _disconnect(connection)
            return [self._stopped] * len(group)

    def _stop(self, error: Exception) -> None:
        """Never write again: nobody knows what the disk holds until a new process has read it."""
        if isinstance(error, sqlite3.Error):
            self._stopped = unavailable(self._database, error)
        else:
            self._stopped = StoreUnavailable(
                f"the journal failed: {type(error).__name__}: {error}", help=BUG_HELP
            )
        self._stopped.__cause__ = error

    def _keep_pace(self, seconds: float) -> None:
        self._pace_seconds += (seconds - self._pace_seconds) / PACE_GROUPS


class _BusyError(Exception):
    """Another process is writing; this group has to wait for it in the thread."""


def _settle(group: list[Item], outcomes: list[Outcome] | None) -> None:
    """Call each callback with its own outcome; one that raises does not rob the others of theirs."""
    position = 0
    try:
        for _, callback in group:
            outcome = outcomes[position] if outcomes else None
            position += 1
            callback(outcome)
    except Exception:
        _settle(group[position:], outcomes[position:] if outcomes else None)
        raise


def _disconnect(connection: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):
        roll_back(connection)
    with suppress(sqlite3.Error):
        connection.close()
