"""Bringing a database to this version: ordered SQL files, counted by SQLite's `user_version`.

A file `sql/migrations/0002_what.sql` brings version 1 to version 2. Each is one transaction. A file that was
released is never edited. A database that a newer Towpath has written is refused: this program cannot know
what it means.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from towpath.errors import BugError, StoreUnavailable
from towpath.store.connections import explained, transaction

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step: the SQL that brings *version* - 1 to *version*."""

    version: int
    name: str
    sql: str


@cache
def migrations() -> tuple[Migration, ...]:
    """Return every migration, in order, numbered from 1 without a gap."""
    folder = resources.files("towpath.store") / "sql" / "migrations"
    found = sorted(
        (
            Migration(version=int(file.name[:4]), name=file.name, sql=file.read_text(encoding="utf-8"))
            for file in folder.iterdir()
            if file.name.endswith(".sql")
        ),
        key=lambda migration: migration.version,
    )
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise BugError(f"migrations are not numbered 1, 2, …: {[migration.name for migration in found]}")
    return tuple(found)


def current_version() -> int:
    """Return the version that this program writes."""
    return len(migrations())


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of a database; 0 is an empty one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def check_version(connection: sqlite3.Connection, database: Path) -> None:
    """Refuse a database that this program does not understand."""
    version = version_of(connection)
    if version > current_version():
        raise StoreUnavailable(
            f"{database} has version {version}; this Towpath knows versions up to {current_version()}",
            help="A newer Towpath has written here. Install that version again, or restore an older backup.",
        )
    if version < current_version():
        raise StoreUnavailable(
            f"{database} has version {version}; this Towpath reads version {current_version()}",
            help="Any command that writes, such as `tow resume`, brings it up to date.",
        )


def migrate(connection: sqlite3.Connection, database: Path) -> tuple[str, ...]:
    """Bring a database to the current version; returns the names of the steps that were needed.

    Processes that start at the same time do not disturb each other: each step looks at the version inside its
    transaction.
    """
    with explained(database):
        if version_of(connection) > current_version():
            check_version(connection, database)
        return tuple(migration.name for migration in migrations() if _apply(connection, migration))


def _apply(connection: sqlite3.Connection, migration: Migration) -> bool:
    if version_of(connection) >= migration.version:
        return False
    with transaction(connection):
        if version_of(connection) >= migration.version:
            return False
        for statement in statements(migration.sql):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {migration.version}")
    return True


def statements(script: str) -> Iterator[str]:
    """Split a script at the semicolons that end a statement; triggers stay whole.

    `executescript` cannot be used: it commits first, and then half of a failed migration would stay.
    """
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if pending.strip():
        raise BugError(f"a migration ends in the middle of a statement: {pending.strip()[:80]!r}")
