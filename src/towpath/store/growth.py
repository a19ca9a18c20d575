"""Noticing that somebody has written, this process or another one, without reading anything.

SQLite counts for every connection the commits of all the others (`PRAGMA data_version`). Asking costs a look at shared memory, a few
microseconds, and never waits for a writer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from towpath.store.connections import connect, explained

if TYPE_CHECKING:
    from pathlib import Path


class Growth:
    """A connection that only looks whether the database has changed. For one thread at a time."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._connection = connect(database, read_only=True)
        self._seen = self._version()

    def has_grown(self) -> bool:
        """Whether anything was committed since the last time this was asked; raises StoreUnavailable."""
        now = self._version()
        has_grown, self._seen = now != self._seen, now
        return has_grown

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _version(self) -> int:
        with explained(self._database):
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])
