"""Writing many rows with few statements.

Python lets go of its lock around every step of a statement, and getting it back from a busy loop costs more
than the row. One statement with 64 rows pays once. The sizes are few, so that SQLite prepares each statement
once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from towpath.errors import BugError

if TYPE_CHECKING:
    import sqlite3

SIZES = (256, 128, 64, 32, 16, 8, 7, 6, 5, 4, 3, 2, 1)
"""How many rows one statement may have."""
VALUES_MAX = 2_048
"""Values of one statement; SQLite takes 32,766."""


class ManyRows:
    """A query that holds the place of one row, `(?, ?, …)`, made fit for many."""

    def __init__(self, query: str, *, columns: int) -> None:
        row = f"({', '.join('?' * columns)})"
        if query.count(row) != 1:
            raise BugError(f"the query has no place for a row of {columns} values: {query}")
        self._columns = columns
        self._sizes = tuple(size for size in SIZES if size * columns <= VALUES_MAX)
        self._queries = {size: query.replace(row, ", ".join([row] * size)) for size in self._sizes}
        self._one = self._queries[1]

    def write(self, connection: sqlite3.Connection, values: list[Any]) -> None:
        """Write rows inside of a transaction; *values* is one flat list (Any: what SQLite takes)."""
        left, position = len(values) // self._columns, 0
        for size in self._sizes:
            while left >= size:
                end = position + size * self._columns
                connection.execute(self._queries[size], values[position:end])
                left -= size
                position = end

    def write_durably(self, connection: sqlite3.Connection, values: list[Any]) -> None:
        """Write rows in a transaction of their own; a single statement is one by itself."""
        if len(values) == self._columns:
            connection.execute(self._one, values)
            return
        query = self._queries.get(len(values) // self._columns)
        if query is not None:
            connection.execute(query, values)
            return
        connection.execute("BEGIN IMMEDIATE")
        self.write(connection, values)
        connection.execute("COMMIT")
