"""What has changed in the lists, as the tables themselves keep it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from store_support import DONE, NOW, RUNNING, call_now, commit, new_run, records, start

from towpath.core.run import Question
from towpath.store.contract import (
    Change,
    EventSettled,
    Mark,
    NewEvent,
    OpenQuestion,
    OwnerId,
    Reaction,
    RunNumber,
)
from towpath.store.retention import RetentionRule
from towpath.store.sqlite import SqliteStore, open_store

ASKED = OpenQuestion(
    path="go", question=Question(kind="approval", text="Go?", choices=("approve",), asked_at=NOW)
)
OWNER = OwnerId("o1")


def behind(store: SqliteStore, position: int) -> list[tuple[str, int]]:
    """What the news say behind a position."""
    return [(one.about, one.number) for one in store.reader.news(after=position)]


def test_each_change_of_a_list_is_news_once(tmp_path: Path) -> None:
    """Runs that begin, change and ask, and events, are told in the order of their last change; records alone are not."""
    store = open_store(tmp_path)
    journal = store.open_journal(call_now)
    one, two = start(journal, new_run("r1")), start(journal, new_run("r2"))
    begun = behind(store, 0)
    known = store.reader.last_news()
    commit(journal, Change(one, 2, records(3, 3)))
    silent = behind(store, known)
    commit(journal, Change(one, 3, records(4, 4), replace(RUNNING, questions=(ASKED,))))
    commit(journal, Change(two, 2, records(3, 3), DONE))
    commit(journal, Change(one, 4, records(5, 5), DONE))
    changed = behind(store, known)
    store.close()

    assert begun == [("run", one), ("run", two)]
    assert silent == []
    assert changed == [("run", two), ("run", one), ("questions", one)]


def test_events_are_news_when_they_come_and_when_they_are_decided_about(tmp_path: Path) -> None:
    """An event is told when it is kept, when it is decided about, and not for a mark that moves."""
    store = open_store(tmp_path)
    owner = store.owners.enter("test")
    new = NewEvent(
        source="github",
        delivery="1",
        kind="github.push",
        title="push",
        received_at=NOW,
        way="signature",
        payload=b"{}",
    )
    (kept,) = store.events.put([new], mark=Mark(name="m", value=b"1"))
    came = store.reader.last_news()
    store.events.take(owner)
    taken = behind(store, came)
    settled = EventSettled(event=kept.id, at=NOW, reactions=(Reaction(workflow="shop", run=1),))
    store.events.settle(settled, owner=owner)
    decided = behind(store, came)
    store.close()

    assert (taken, decided) == ([], [("event", kept.id)])


def test_a_position_is_never_used_twice(tmp_path: Path) -> None:
    """What was told last and is forgotten leaves its position behind: nobody who comes back with it misses anything."""
    store = open_store(tmp_path)
    journal = store.open_journal(call_now)
    start(journal, new_run("r1", summary=DONE))
    before = store.reader.last_news()
    rule = RetentionRule(age_max=0)
    store.retention.carry_out(store.retention.plan([rule]))
    start(journal, new_run("r2"))
    after = behind(store, before)
    known = store.reader.last_news()
    store.close()

    assert known > before
    assert after == [("run", RunNumber(2))]
