"""Whoever changes the journal afterwards is found out, and where."""

from __future__ import annotations

import sqlite3
from concurrent.futures import Future
from pathlib import Path

import pytest
from store_support import DONE, NOW, call_now, commit, new_run, records, start

from towpath.core import events
from towpath.errors import Refused
from towpath.store import encoding
from towpath.store.chain import Anchor, Verdict, read_anchor, verify
from towpath.store.contract import Change, RunNumber
from towpath.store.folder import DataFolder
from towpath.store.retention import RetentionRule
from towpath.store.sqlite import SqliteStore

END = encoding.encode(events.RunEnded(at=NOW + 5, status="succeeded"))
FREELY = "journal_never_changes", "journal_is_kept", "journal_has_no_gap"
"""What keeps honest programs from mistakes, and holds up nobody who means harm."""


@pytest.fixture
def database(store: SqliteStore, data: Path) -> sqlite3.Connection:
    """Three runs of five records each, written by two processes in turn; the first two have ended."""
    one, two = store.open_journal(call_now), store.open_journal(call_now)
    for name in ("r1", "r2", "r3"):
        run = start(one, new_run(name))
        assert commit(two, Change(run, 2, records(3, 3))) is None
        assert commit(one, Change(run, 3, records(4, 4))) is None
        last = (5, NOW + 5, END)
        assert commit(one, Change(run, 4, (last,), None if name == "r3" else DONE)) is None
    one.close()
    two.close()
    connection = sqlite3.connect(DataFolder(data).database)
    for trigger in FREELY:
        connection.execute(f"DROP TRIGGER {trigger}")
    return connection


def broken(verdict: Verdict) -> list[tuple[str, int, int]]:
    """Kind, run and record of every break."""
    return [(found.kind, found.run, found.sequence) for found in verdict.breaks]


def test_what_nobody_touched_holds(database: sqlite3.Connection) -> None:
    """Records of several writers are one chain."""
    verdict = verify(database)

    assert (verdict.holds, verdict.runs, verdict.records, verdict.unlinked) == (True, 3, 15, 0)
    assert verdict.anchor is not None
    assert (verdict.anchor.run, verdict.anchor.sequence) == (3, 5)
    assert verify(database, verdict.anchor).holds


def test_runs_that_begin_in_one_transaction_are_one_chain(store: SqliteStore, data: Path) -> None:
    """Many starts at once follow each other in the chain as in the list."""
    journal = store.open_journal(call_now)
    waiting = [Future() for _ in range(50)]  # type: ignore[var-annotated] # what the journal answers
    for number, future in enumerate(waiting):
        journal.start(new_run(f"r{number}"), future.set_result)
    for future in waiting:
        future.result(timeout=60)
    journal.close()

    assert verify(sqlite3.connect(DataFolder(data).database)).holds


HARM = {
    "a record": ("UPDATE journal SET record = x'7b7d' WHERE run = 2 AND sequence = 3", [("changed", 2, 3)]),
    "a time": ("UPDATE journal SET at = at + 1 WHERE run = 1 AND sequence = 2", [("changed", 1, 2)]),
    "a first record": (
        "UPDATE journal SET record = x'00' WHERE run = 2 AND sequence = 1",
        [("changed", 2, 1)],
    ),
    "a link": (
        "UPDATE journal SET link = x'00112233445566778899aabbccddeeff' WHERE run = 2 AND sequence = 2",
        [("changed", 2, 2), ("changed", 2, 3)],
    ),
    "no link": (
        "UPDATE journal SET link = NULL WHERE run = 2 AND sequence = 3",
        [("changed", 2, 3), ("changed", 2, 4)],
    ),
    "a hole": ("DELETE FROM journal WHERE run = 1 AND sequence IN (3, 4)", [("missing", 1, 3)]),
    "the end": ("DELETE FROM journal WHERE run = 2 AND sequence = 5", [("cut", 2, 5)]),
    "a run": ("DELETE FROM journal WHERE run = 2; DELETE FROM runs WHERE number = 2", [("removed", 2, 0)]),
    "the list": ("DELETE FROM runs WHERE number = 2", [("unlisted", 2, 0)]),
    "more": (
        "INSERT INTO journal SELECT run, 6, at, record, link FROM journal WHERE run = 3 AND sequence = 5",
        [("changed", 3, 6)],
    ),
    "swapped": (
        "UPDATE journal SET sequence = 9 WHERE run = 1 AND sequence = 3;"
        "UPDATE journal SET sequence = 3 WHERE run = 1 AND sequence = 4;"
        "UPDATE journal SET sequence = 4 WHERE run = 1 AND sequence = 9",
        [("changed", 1, 3), ("changed", 1, 4), ("changed", 1, 5)],
    ),
}


@pytest.mark.parametrize(("harm", "found"), HARM.values(), ids=HARM)
def test_harm_is_found_where_it_was_done(
    database: sqlite3.Connection, harm: str, found: list[tuple[str, int, int]]
) -> None:
    """Changing, removing, adding or swapping breaks the chain at that record, and at no other run."""
    database.executescript(harm)

    assert broken(verify(database)) == found


def test_an_anchor_finds_what_was_cut_off_at_the_end(database: sqlite3.Connection) -> None:
    """Removing the newest records leaves a shorter chain that holds; only who kept an anchor knows better."""
    anchor = verify(database).anchor
    database.executescript("DELETE FROM journal WHERE run = 3; DELETE FROM runs WHERE number = 3")

    assert verify(database).holds
    assert broken(verify(database, anchor)) == [("anchor", 3, 5)]


def test_a_text_is_an_anchor_or_is_refused() -> None:
    """An anchor can be written down and read again."""
    anchor = Anchor(run=12, sequence=34, link=bytes(range(16)))

    assert read_anchor(str(anchor)) == anchor
    for text in ("", "12:ab", "12.34:xyz", "12.34:abcd", "a.b:" + "00" * 16):
        with pytest.raises(Refused, match="no anchor"):
            read_anchor(text)


def test_what_retention_removes_is_no_harm(store: SqliteStore, data: Path) -> None:
    """The chain of runs goes on over those that were forgotten on purpose."""
    journal = store.open_journal(call_now)
    ended = (*records(1, 1), (2, NOW + 2, END))
    for name in ("r1", "r2", "r3"):
        start(journal, new_run(name, records=ended, summary=DONE))
    plan = store.retention.plan((RetentionRule(age_max=0),), now=NOW + 10**15)
    store.retention.carry_out(plan)
    start(journal, new_run("r4", records=ended, summary=DONE))
    journal.close()

    verdict = verify(sqlite3.connect(DataFolder(data).database))

    assert (broken(verdict), verdict.runs, verdict.forgotten) == ([], 1, 3)


def test_records_from_before_the_chain_are_counted(store: SqliteStore, data: Path) -> None:
    """An old run that goes on is linked from then on; of what was there before nothing is claimed."""
    connection = sqlite3.connect(DataFolder(data).database)
    connection.execute("DROP TRIGGER journal_never_changes")
    journal = store.open_journal(call_now)
    run = start(journal, new_run("r1"))
    journal.close()
    connection.execute("UPDATE journal SET link = NULL")
    connection.commit()
    journal = store.open_journal(call_now)
    assert commit(journal, Change(RunNumber(run), 2, records(3, 4))) is None
    start(journal, new_run("r2"))
    journal.close()

    verdict = verify(connection)

    assert (broken(verdict), verdict.records, verdict.unlinked) == ([], 6, 2)
