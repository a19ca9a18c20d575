"""The store on SQLite: one data folder that several processes may share."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from towpath.errors import StoreUnavailable
from towpath.store import rows
from towpath.store.artifacts import Artifacts
from towpath.store.connections import checkpoint, connect, explained, is_busy, transaction
from towpath.store.contract import OwnerId, RunNumber
from towpath.store.desk import Desk
from towpath.store.events import SqliteEvents
from towpath.store.folder import FILE_MODE, DataFolder
from towpath.store.growth import Growth
from towpath.store.identities import SqliteIdentities
from towpath.store.journal import SqliteJournal
from towpath.store.logs import LogReader, Logs
from towpath.store.mailbox import SqliteMailbox
from towpath.store.migrations import migrate
from towpath.store.outbox import SqliteOutbox
from towpath.store.owners import SqliteOwners, is_locked
from towpath.store.queries import queries
from towpath.store.reader import EVENT_PAGE_ROWS, SqliteReader
from towpath.store.requests import SqliteRequests
from towpath.store.retention import Retention
from towpath.store.versions import SqliteVersions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from towpath.store.contract import ArtifactRow, Deliver, Projection, Record

SETTLE_MILLISECONDS_MAX = 100
"""How long opening waits for a moment in which nobody else uses the write-ahead log."""

_SQL = queries("store")
_EVENTS = queries("reader")["events"]


class SqliteStore:
    """Keeps `contract.Store`; made by `open_store`."""

    def __init__(self, folder: DataFolder) -> None:
        self.folder = folder
        self._desk = Desk(folder.database)
        self._reader = SqliteReader(folder.database)
        self._mailbox = SqliteMailbox(self._desk)
        self._owners = SqliteOwners(self._desk, folder.owners)
        self._outbox = SqliteOutbox(self._desk, self._owners)
        self._events = SqliteEvents(self._desk, self._owners)
        self._identities = SqliteIdentities(self._desk)
        self._versions = SqliteVersions(self._desk)
        self._requests = SqliteRequests(self._desk, self._owners)
        self._logs = Logs(folder.logs)
        self._artifacts = Artifacts(folder.artifacts)
        self._journals: list[SqliteJournal] = []

    @property
    def reader(self) -> SqliteReader:
        """What may be asked."""
        return self._reader

    @property
    def mailbox(self) -> SqliteMailbox:
        """Stimuli between processes."""
        return self._mailbox

    @property
    def owners(self) -> SqliteOwners:
        """Who drives which run."""
        return self._owners

    @property
    def outbox(self) -> SqliteOutbox:
        """What people are to be told."""
        return self._outbox

    @property
    def events(self) -> SqliteEvents:
        """What arrived from outside."""
        return self._events

    @property
    def identities(self) -> SqliteIdentities:
        """Who may sign in, and with what."""
        return self._identities

    @property
    def versions(self) -> SqliteVersions:
        """The versions of workflows, and the commits of a project that is followed in Git."""
        return self._versions

    @property
    def requests(self) -> SqliteRequests:
        """What was asked with a key of its own, and how it was answered."""
        return self._requests

    def open_journal(self, deliver: Deliver, soon: Deliver | None = None) -> SqliteJournal:
        """Start the writer; *deliver* is `loop.call_soon_threadsafe`, *soon* is `loop.call_soon`."""
        journal = SqliteJournal(self.folder.database, deliver, soon)
        self._journals.append(journal)
        return journal

    def growth(self) -> Growth:
        """What notices that somebody has written."""
        return Growth(self.folder.database)

    @property
    def artifacts(self) -> Artifacts:
        """Kept files, by content."""
        return self._artifacts

    @property
    def logs(self) -> Logs:
        """What steps print."""
        return self._logs

    @property
    def retention(self) -> Retention:
        """What is forgotten, and when."""
        return Retention(self._desk, self.folder, self._owners)

    def log_reader(self, run: RunNumber, *, step: str | None = None, attempt: int | None = None) -> LogReader:
        """Read a run's log: everything, or a step with all that is inside of it."""
        return LogReader(self._logs.folder_of(run), step=step, attempt=attempt)

    def keep_artifact(self, row: ArtifactRow) -> None:
        """Note that a step kept a file; its bytes are in `Artifacts` already. Doing it twice is harmless."""
        values = (row.run, row.path, row.attempt, row.name, row.digest, row.size, row.kept_at)
        with self._desk.connection() as connection, transaction(connection):
            connection.execute(_SQL["keep_artifact"], values)

    def rebuild(self, projection: Projection) -> int:
        """Write every row of the run list anew from the journal; returns how many."""
        with self._desk.connection() as connection, transaction(connection):
            owners: dict[int, OwnerId] = dict(connection.execute(_SQL["owners_of_runs"]))
            connection.execute(_SQL["forget_rows"])
            count = 0
            for run in _journalled_runs(connection):
                row = replace(projection(run, _records(connection, run)), number=run, owner=owners.get(run))
                connection.execute(_SQL["write_row"], rows.run_values(row))
                count += 1
            return count

    def close(self) -> None:
        """Close every connection; owners that were entered here leave."""
        for journal in self._journals:
            journal.close()
        self._logs.close()
        try:
            self._owners.close()
        finally:
            self._reader.close()
            self._desk.close()


def open_store(data: Path) -> SqliteStore:
    """Open the data folder to write; what is missing is made, what is old is brought up to date."""
    folder = DataFolder(data)
    folder.make()
    _prepare(folder)
    return SqliteStore(folder)


def open_reader(data: Path) -> SqliteReader:
    """Open the data folder to look only: nothing is made or changed."""
    return SqliteReader(DataFolder(data).database)


def _prepare(folder: DataFolder) -> None:
    """Bring the database up to date, and its write-ahead log into its file."""
    database = folder.database
    try:
        database.touch(mode=FILE_MODE)
    except OSError as error:
        raise StoreUnavailable(
            f"cannot write {database}: {error.strerror or error}",
            help="Give this user the right to write the data folder, on a disk that is not full.",
        ) from error
    connection = connect(database)
    try:
        migrate(connection, database)
        if not any(is_locked(lock) for lock in folder.owners.glob("*.lock")):
            with explained(database):
                _settle_log(connection)
    finally:
        connection.close()


def _settle_log(connection: sqlite3.Connection) -> None:
    """Move an old write-ahead log into the database file before anything is added to it.

    After a failed sync the kernel may show what the disk does not hold. Written again and synced, it is held.
    While another process drives runs its log is left alone, for that process has not failed.
    """
    connection.execute(f"PRAGMA busy_timeout = {SETTLE_MILLISECONDS_MAX}")
    try:
        checkpoint(connection, truncate=True)
    except sqlite3.OperationalError as error:
        if not is_busy(error):
            raise


def _journalled_runs(connection: sqlite3.Connection) -> Iterator[RunNumber]:
    """Walk over the runs that the journal knows."""
    run = 0
    while found := connection.execute(_SQL["next_journalled_run"], (run,)).fetchone():
        run = found[0]
        yield RunNumber(run)


def _records(connection: sqlite3.Connection, run: RunNumber) -> Iterator[Record]:
    after = 0
    while page := connection.execute(_EVENTS, (run, after, EVENT_PAGE_ROWS)).fetchall():
        yield from page
        after = page[-1][0]
