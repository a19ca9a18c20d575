"""Databases of every version are brought to this one, or refused."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from store_support import call_now, commit, new_run, records, start

from towpath.errors import BugError, StoreUnavailable
from towpath.store import migrations
from towpath.store.connections import connect
from towpath.store.contract import Change, RunNumber
from towpath.store.folder import DataFolder
from towpath.store.migrations import Migration, current_version, migrate, statements, version_of
from towpath.store.sqlite import open_reader, open_store

DATABASES = Path(__file__).parent / "databases"


def test_every_released_version_has_an_example() -> None:
    """Nobody adds a migration without keeping a database of the version before."""
    kept = sorted(int(path.stem.removeprefix("version_")) for path in DATABASES.glob("version_*.sql"))

    assert kept == list(range(1, current_version() + 1))


@pytest.mark.parametrize("path", sorted(DATABASES.glob("version_*.sql")), ids=lambda path: path.stem)
def test_an_old_database_is_read_and_goes_on(data: Path, path: Path) -> None:
    """A database as an older version has left it keeps its runs and takes new records."""
    DataFolder(data).make()
    old = sqlite3.connect(DataFolder(data).database)
    old.executescript(path.read_text(encoding="utf-8"))
    old.close()

    store = open_store(data)

    journal = store.open_journal(call_now)
    row = store.reader.run("last")
    assert (row.number, row.id, row.workflow, row.labels) == (2, "second", "shop", {"team": "shop"})
    assert store.reader.counts() == {"running": 1, "succeeded": 1}
    assert [record for _, _, record in store.reader.events(RunNumber(1))] == [
        b"event 1",
        b"event 2",
        b"event 3",
    ]
    assert store.reader.definition("d1").text == "name: shop"
    assert [row.name for row in store.reader.artifacts(RunNumber(1))] == ["dist/a.tgz"]
    assert store.mailbox.message(store.mailbox.post(RunNumber(2), b"x")).stimulus == b"x"
    assert commit(journal, Change(RunNumber(2), 1, records(2, 2))) is None
    assert start(journal, new_run("third")) == 3
    store.close()


def test_a_new_database_has_the_current_version(data: Path) -> None:
    """Opening makes everything; opening again changes nothing."""
    open_store(data).close()
    connection = connect(DataFolder(data).database)

    assert version_of(connection) == current_version()
    assert migrate(connection, DataFolder(data).database) == ()
    connection.close()


def test_a_newer_database_is_refused(data: Path) -> None:
    """What a newer program has written is left alone, for reading and for writing."""
    open_store(data).close()
    connection = sqlite3.connect(DataFolder(data).database)
    connection.execute(f"PRAGMA user_version = {current_version() + 1}")
    connection.close()
    before = DataFolder(data).database.read_bytes()

    for opening in (open_store, open_reader):
        with pytest.raises(StoreUnavailable, match="knows versions up to"):
            opening(data)

    assert DataFolder(data).database.read_bytes() == before


def test_an_older_database_is_not_read_before_it_is_migrated(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader changes nothing; it says what does."""
    open_store(data).close()
    monkeypatch.setattr(migrations, "current_version", lambda: 99)

    with pytest.raises(StoreUnavailable, match="reads version 99"):
        open_reader(data)


def test_a_migration_that_fails_leaves_the_version_before(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a migration never stays, tables that it made included."""
    open_store(data).close()
    broken = Migration(
        version=current_version() + 1,
        name="broken",
        sql="CREATE TABLE half (x);\nINSERT INTO nowhere VALUES (1);\n",
    )
    known = migrations.migrations()
    monkeypatch.setattr(migrations, "migrations", lambda: (*known, broken))
    connection = connect(DataFolder(data).database)

    with pytest.raises(StoreUnavailable, match="nowhere"):
        migrate(connection, DataFolder(data).database)

    assert version_of(connection) == len(known)
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    assert "half" not in tables
    connection.close()


def test_processes_that_start_together_migrate_once(data: Path) -> None:
    """Whoever comes second waits and finds the work done."""
    errors: list[BaseException] = []

    def open_it() -> None:
        try:
            open_store(data).close()
        except BaseException as error:  # noqa: BLE001 - told below
            errors.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("", 0),
        ("CREATE TABLE a (x);", 1),
        ("-- only a word\nCREATE TABLE a (x); -- and another\nCREATE TABLE b (x);", 2),
        ("CREATE TRIGGER t BEFORE DELETE ON a BEGIN SELECT 1; SELECT 2; END;\nCREATE TABLE b (x);", 2),
        ("INSERT INTO a VALUES ('; --');", 1),
    ],
)
def test_scripts_are_split_at_statements(script: str, expected: int) -> None:
    """Triggers and texts stay whole."""
    assert len(list(statements(script))) == expected


def test_a_script_that_ends_in_the_middle_is_our_mistake() -> None:
    """A forgotten semicolon is found."""
    with pytest.raises(BugError):
        list(statements("CREATE TABLE a (x"))
