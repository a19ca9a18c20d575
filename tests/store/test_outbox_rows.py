"""The outbox on SQLite: what goes with a run, and what a disk is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store_support import DONE, NOW, call_now, new_run, start

from towpath.store.contract import NewNotice, NewSending, NoticeId, OwnerId, RunNumber
from towpath.store.retention import RetentionRule

if TYPE_CHECKING:
    from towpath.store.sqlite import SqliteStore

ME = OwnerId("me")


def a_notice(name: str, run: int) -> NewNotice:
    """Make a notice about a run."""
    return NewNotice(
        id=NoticeId(name),
        run=RunNumber(run),
        path="go",
        why="asked",
        at=NOW,
        body=b"{}",
        sendings=(NewSending(recipient="user:ada", channel="mail"),),
    )


def test_what_people_were_told_goes_with_the_run(store: SqliteStore) -> None:
    """When a run is forgotten, so is what was told of it, and of no other run."""
    journal = store.open_journal(call_now)
    start(journal, new_run("gone", summary=DONE))
    start(journal, new_run("stays"))
    store.outbox.put([a_notice("of gone", 1), a_notice("of stays", 2)], owner=ME)

    rules = (RetentionRule(age_max=0),)
    store.retention.carry_out(store.retention.plan(rules, now=NOW + 100), now=NOW + 100)

    assert [row.notice for row in store.outbox.sendings()] == ["of stays"]
    with store._desk.connection() as connection:
        assert connection.execute("SELECT id FROM notices").fetchall() == [("of stays",)]


def test_looking_for_what_is_due_uses_an_index(store: SqliteStore) -> None:
    """A look into an outbox that holds a hundred thousand sent notices costs what one into an empty one does."""
    from towpath.store.queries import queries

    known = queries("outbox")
    plans = {
        "due": ("me", "mail", NOW, 10),
        "next_due": ("me", "mail"),
        "channels_waiting": ("me",),
        "other_owners": ("me",),
        "count_open": (10,),
    }
    with store._desk.connection() as connection:
        for name, values in plans.items():
            plan = connection.execute(f"EXPLAIN QUERY PLAN {known[name]}", values).fetchall()
            details = [row[3] for row in plan if "outbox" in row[3]]

            assert details, name
            assert all("INDEX outbox_" in detail for detail in details), (name, details)
