"""Opening SQLite the one way that keeps the promises, and telling its errors apart.

WAL with `synchronous=FULL`: a commit that returned survives a power loss. Transactions are `BEGIN IMMEDIATE`,
so two writers wait for each other instead of failing halfway. Checkpoints are never left to SQLite: its
automatic ones swallow a failed sync of the database file and would try it again as if nothing had happened;
ours (`checkpoint`) raise.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from towpath.errors import StoreUnavailable
from towpath.store.contract import RECORD_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SQLITE_VERSION_MIN = (3, 34, 0)
SWITCH_SECONDS = 5.0
"""How long a connection waits for another one that switches a new database to the write-ahead log."""
SWITCH_LOOK_SECONDS = 0.01
BUSY_SECONDS_MAX = 30.0
"""How long one transaction waits for the other processes' transactions."""
WAL_BYTES_KEPT_MAX = 64 * 1024 * 1024
"""To what size the write-ahead log shrinks after a checkpoint."""
CACHED_STATEMENTS_MAX = 256
CACHE_KIBIBYTES_MAX = 16 * 1024
"""Pages that a connection keeps in memory; taken only when used."""
PRIMARY_CODE = 0xFF
"""SQLite's extended error codes keep the primary one in the lowest byte."""
VALUE_BYTES_MAX = RECORD_BYTES_MAX

RESTORE_HELP = "Stop every `tow` process, then bring the last backup back: `tow restore FILE`."
SPACE_HELP = "Free some space on the disk of the data folder, then start `tow` again; the journal goes on."
DEVICE_HELP = "Look at the disk (`dmesg`). When it is sound, start `tow` again; the journal goes on."
ACCESS_HELP = "Give this user the right to read and write the data folder, then try again."
LOCAL_HELP = (
    "Put the data folder on a local disk; network file systems cannot share memory between processes."
)
NOTHING_HELP = "Nothing has run here yet: start a run with `tow run`."

_HELP = {
    sqlite3.SQLITE_FULL: ("the disk is full", SPACE_HELP),
    sqlite3.SQLITE_IOERR: ("the disk reported an error", DEVICE_HELP),
    sqlite3.SQLITE_CORRUPT: ("the database file is damaged", RESTORE_HELP),
    sqlite3.SQLITE_NOTADB: ("the database file is damaged", RESTORE_HELP),
    sqlite3.SQLITE_CANTOPEN: ("the database file cannot be opened", ACCESS_HELP),
    sqlite3.SQLITE_READONLY: ("the database file cannot be written", ACCESS_HELP),
    sqlite3.SQLITE_PERM: ("the database file cannot be written", ACCESS_HELP),
    sqlite3.SQLITE_BUSY: (
        "another process has kept the database locked for too long",
        "Find the process that holds the database (`tow ps`, `fuser`), end it, then try again.",
    ),
}


def connect(
    database: Path, *, read_only: bool = False, busy_seconds: float = BUSY_SECONDS_MAX
) -> sqlite3.Connection:
    """Open a connection that any one thread at a time may use; a read-only one can never write."""
    if sqlite3.sqlite_version_info < SQLITE_VERSION_MIN:
        raise StoreUnavailable(
            f"SQLite {sqlite3.sqlite_version} is too old; {'.'.join(map(str, SQLITE_VERSION_MIN))} is needed",
            help="Use a newer Python, or one that brings its own SQLite.",
        )
    if read_only and not database.exists():
        raise StoreUnavailable(f"there is no database at {database}", help=NOTHING_HELP)
    with explained(database):
        connection = sqlite3.connect(
            database,
            isolation_level=None,
            timeout=busy_seconds,
            check_same_thread=False,
            cached_statements=CACHED_STATEMENTS_MAX,
        )
        try:
            _prepare(connection, read_only=read_only)
        except BaseException:
            connection.close()
            raise
    return connection


def _write_ahead(connection: sqlite3.Connection) -> str:
    """Switch to the write-ahead log; while another process does so, SQLite says busy at once and does not wait."""
    until = time.monotonic() + SWITCH_SECONDS
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(SWITCH_LOOK_SECONDS)
        else:
            return str(mode)


def _prepare(connection: sqlite3.Connection, *, read_only: bool) -> None:
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX)
    mode = _write_ahead(connection)
    if mode != "wal":
        raise StoreUnavailable(
            f"the file system of the data folder cannot do write-ahead logging (got {mode!r})",
            help=LOCAL_HELP,
        )
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_KEPT_MAX}")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIBIBYTES_MAX}")
    connection.execute("PRAGMA trusted_schema = OFF")
    if read_only:
        connection.execute("PRAGMA query_only = ON")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Do everything inside, or nothing; the lock for writing is taken first."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    try:
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def explained(database: Path) -> Iterator[None]:
    """Turn what SQLite says of a sick database into StoreUnavailable with what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise unavailable(database, error) from error
    except UnicodeDecodeError as error:  # SQLite's message quotes the bytes that it could not make sense of
        raise StoreUnavailable(f"the database file is damaged: {database}", help=RESTORE_HELP) from error


def unavailable(database: Path, error: sqlite3.Error) -> StoreUnavailable:
    """Say what is wrong with the database file and what to do."""
    primary: int = getattr(error, "sqlite_errorcode", 0) & PRIMARY_CODE
    what, help_text = _HELP.get(primary, ("the database failed", RESTORE_HELP))
    return StoreUnavailable(f"{what}: {database}: {error}", help=help_text)


def is_busy(error: sqlite3.Error) -> bool:
    """Tell whether another connection is in the way, and nothing is wrong."""
    code: int = getattr(error, "sqlite_errorcode", 0) & PRIMARY_CODE
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def checkpoint(connection: sqlite3.Connection, *, truncate: bool = False) -> int:
    """Move the write-ahead log into the database file; returns the pages still to move.

    Raises when a sync fails.
    """
    mode = "TRUNCATE" if truncate else "PASSIVE"
    _busy, in_log, moved = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    return int(in_log) - int(moved)
