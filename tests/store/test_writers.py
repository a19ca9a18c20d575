"""Two who write to one database: the lock for writing is taken before anything is read."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from towpath.store.connections import connect, is_busy, transaction


def test_two_writers_wait_for_each_other(data: Path) -> None:
    """Who has begun a transaction and only read so far keeps others from writing, and can write what it decided."""
    data.mkdir(parents=True, exist_ok=True)
    database = data / "shared.db"
    first = connect(database)
    first.execute("CREATE TABLE shared (number INTEGER)")
    second = connect(database, busy_seconds=0)
    with transaction(first):
        (count,) = first.execute("SELECT count(*) FROM shared").fetchone()
        with pytest.raises(sqlite3.OperationalError) as waits, transaction(second):
            second.execute("INSERT INTO shared VALUES (100)")
        first.execute("INSERT INTO shared VALUES (?)", (count,))
    with transaction(second):
        second.execute("INSERT INTO shared SELECT count(*) FROM shared")
    found = first.execute("SELECT number FROM shared ORDER BY number").fetchall()
    first.close()
    second.close()

    assert is_busy(waits.value)
    assert found == [(0,), (1,)]
