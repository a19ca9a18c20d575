"""Actions for SQLite databases.

A project's own actions are typed functions in `actions/`, named after the file and the function.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What a backup made."""

    path: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What is in a database."""

    intact: bool
    problems: list[str]
    rows: dict[str, int]


def backup(*, source: str, target: str) -> Backup:
    """Copy a database while it is in use, to a file that is complete or not there at all."""
    partial = Path(f"{target}.partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.unlink(missing_ok=True)
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as original,
            closing(sqlite3.connect(partial)) as copy,
        ):
            original.backup(copy)
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)
    return Backup(path=target, bytes=Path(target).stat().st_size)


def inspect(*, path: str) -> Contents:
    """Read every page of a database and count the rows of every table."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        problems = [row[0] for row in database.execute("PRAGMA integrity_check") if row[0] != "ok"]
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        rows = {
            table: database.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]  # noqa: S608 - a table's own name
            for table in tables
        }
    return Contents(intact=not problems, problems=problems, rows=rows)
