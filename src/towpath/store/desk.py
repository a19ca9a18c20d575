"""The connection for small acts: posting a message, claiming a run, noting a file.

One at a time in a process. The journal's writer has its own connection; SQLite makes the two wait for each
other.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from towpath.store.connections import connect, explained

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path


class Desk:
    """A writing connection that threads share, one at a time."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._lock = threading.RLock()
        self._connection = connect(database)

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Have the connection for a moment; what SQLite says of a sick database is explained."""
        with self._lock, explained(self._database):
            yield self._connection

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()
