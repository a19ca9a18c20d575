"""What `tow gc` lets go, and what it never touches."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from store_support import DONE, NOW, answer_of, call_now, commit, new_run, records, start

from towpath.core.run import RunId
from towpath.errors import AuthorError, NotFound
from towpath.store.contract import (
    ArtifactRow,
    Change,
    Definition,
    OwnerId,
    RunNumber,
    Started,
    Summary,
    Taken,
)
from towpath.store.retention import DAY, RetentionRule, chosen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from towpath.store.journal import SqliteJournal
    from towpath.store.sqlite import SqliteStore

EVERYTHING = (RetentionRule(age_max=0),)
LATER = NOW + 100 * DAY


@pytest.fixture
def journal(store: SqliteStore) -> Iterator[SqliteJournal]:
    """Give a journal."""
    opened = store.open_journal(call_now)
    yield opened
    opened.close()


def ended(name: str, *, days_ago: int = 50, status: str = "succeeded", **different: Any) -> Any:
    """Make a run that ended so many days before LATER."""
    return new_run(name, summary=Summary(status=status, ended_at=LATER - days_ago * DAY), **different)


ROWS = [  # number, id, workflow, status, ended how many days ago, belongs to an open run
    (8, "shop", "succeeded", 1, False),
    (7, "shop", "failed", 2, False),
    (6, "shop", "succeeded", 3, False),
    (5, "db", "succeeded", 4, False),
    (4, "shop", "succeeded", 40, False),
    (3, "shop", "failed", 50, False),
    (2, "shop", "succeeded", 60, True),
    (1, "db", "succeeded", 70, False),
]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param((), [], id="no-rule-keeps-everything"),
        pytest.param((RetentionRule(),), [], id="an-empty-rule-keeps-everything"),
        pytest.param((RetentionRule(age_max=30 * DAY),), [4, 3, 1], id="age"),
        pytest.param(
            (RetentionRule(age_max=0),), [8, 7, 6, 5, 4, 3, 1], id="never-what-belongs-to-an-open-run"
        ),
        pytest.param((RetentionRule(runs_max=2),), [6, 4, 3], id="number-of-each-workflow"),
        pytest.param((RetentionRule(runs_max=0, workflow="db"),), [5, 1], id="workflow"),
        pytest.param((RetentionRule(age_max=0, status=("failed",)),), [7, 3], id="status"),
        pytest.param((RetentionRule(age_max=45 * DAY, runs_max=3),), [4, 3, 1], id="age-or-number"),
        pytest.param(
            (RetentionRule(status=("failed",)), RetentionRule(age_max=30 * DAY)),
            [4, 1],
            id="the-first-that-fits",
        ),
    ],
)
def test_rules_choose_what_goes(rules: tuple[RetentionRule, ...], expected: list[int]) -> None:
    """Rules choose by age and number, for a workflow and an end state; the first that fits decides."""
    rows = [
        (n, f"r{n}", flow, status, LATER - days * DAY, is_open) for n, flow, status, days, is_open in ROWS
    ]

    assert [row[0] for row in chosen(rows, rules, LATER)] == expected


@pytest.mark.parametrize("wrong", [{"age_max": -1}, {"runs_max": -1}])
def test_a_negative_rule_is_refused(wrong: dict[str, Any]) -> None:
    """A rule that makes no sense is the author's to mend."""
    with pytest.raises(AuthorError):
        RetentionRule(**wrong)


def test_with_a_run_goes_all_that_is_its_own(store: SqliteStore, journal: SqliteJournal, data: Path) -> None:
    """Journal, messages, notes, log and list go together; other runs keep everything."""
    gone = start(journal, ended("old", definition=Definition(digest="d-old", text="old")))
    kept = start(journal, new_run("open"))
    for run in (gone, kept):
        store.logs.step(run, "build", 1).write("stdout", b"hello\n")
        store.keep_artifact(
            ArtifactRow(run=run, path="build", attempt=1, name="a", digest="a" * 64, size=1, kept_at=NOW)
        )
    message = store.mailbox.post(gone, b"x")

    plan = store.retention.plan(EVERYTHING, now=LATER)
    went = store.retention.carry_out(plan, now=LATER)

    assert [run.number for run in went.runs] == [gone]
    assert went == plan
    assert plan.bytes == plan.runs[0].journal_bytes + plan.runs[0].log_bytes + len("old")
    assert plan.runs[0].journal_bytes == sum(len(record) for _, _, record in records(1, 2))
    assert plan.runs[0].log_bytes > 6
    for lost in (gone, "old"):
        with pytest.raises(NotFound):
            store.reader.run(lost)
    with pytest.raises(NotFound):
        store.mailbox.message(message)
    with pytest.raises(NotFound):
        store.reader.definition("d-old")
    assert tuple(store.reader.events(gone)) == ()
    assert store.reader.artifacts(gone) == ()
    assert sorted(path.name for path in (data / "logs").iterdir()) == [str(kept)]
    assert tuple(store.reader.events(kept)) == records(1, 2)
    assert len(store.reader.artifacts(kept)) == 1
    assert store.reader.definition("d1").text == "name: shop"


def test_a_plan_changes_nothing(store: SqliteStore, journal: SqliteJournal) -> None:
    """A dry run lists and touches nothing."""
    start(journal, ended("old"))

    plan = store.retention.plan(EVERYTHING, now=LATER)

    assert [run.id for run in plan.runs] == ["old"]
    assert store.reader.run("old").last_sequence == 2


def test_an_open_run_and_its_family_stay(store: SqliteStore, journal: SqliteJournal) -> None:
    """Neither the parent of an open run nor its ended children go."""
    parent = start(journal, ended("parent"))
    child = start(journal, new_run("child", origin=parent))
    start(journal, ended("grandchild", origin=child))
    start(journal, ended("stranger"))

    plan = store.retention.plan(EVERYTHING, now=LATER)

    assert [run.id for run in plan.runs] == ["stranger"]


def test_a_run_that_is_open_when_its_turn_comes_stays(store: SqliteStore, journal: SqliteJournal) -> None:
    """Carrying out looks again: a plan may be old."""
    start(journal, ended("old"))
    plan = store.retention.plan(EVERYTHING, now=LATER)
    other = start(journal, new_run("open"))
    stale = replace(
        plan, runs=(replace(plan.runs[0], number=other), replace(plan.runs[0], number=RunNumber(77)))
    )

    assert store.retention.carry_out(stale, now=LATER).runs == ()

    assert len(store.reader.runs()) == 2


def test_numbers_and_start_keys_are_never_used_again(store: SqliteStore, journal: SqliteJournal) -> None:
    """A start key starts one run for ever, though the run is gone (P4)."""
    number = start(journal, ended("old", start_key="delivery:1"))
    store.retention.carry_out(store.retention.plan(EVERYTHING, now=LATER), now=LATER)

    again = answer_of(lambda told: journal.start(new_run("again", start_key="delivery:1"), told))

    assert again == Started(number=number, id=RunId("old"), existing=True)
    assert start(journal, new_run("next")) == number + 1


def test_the_journal_stays_closed_to_everybody_else(store: SqliteStore, journal: SqliteJournal) -> None:
    """After retention the journal of the others can still not be deleted."""
    start(journal, ended("old"))
    start(journal, new_run("open"))
    store.retention.carry_out(store.retention.plan(EVERYTHING, now=LATER), now=LATER)

    with store._desk.connection() as connection, pytest.raises(Exception, match="append-only"):
        connection.execute("DELETE FROM journal")


def keep(store: SqliteStore, run: RunNumber, content: bytes) -> str:
    """Keep a file with a run, long ago."""
    kept = store.artifacts.keep(io.BytesIO(content))
    store.keep_artifact(
        ArtifactRow(
            run=run, path="build", attempt=1, name="a", digest=kept.digest, size=kept.size, kept_at=NOW
        )
    )
    os.utime(store.artifacts.path(kept.digest), (0, 0))
    return kept.digest


def test_a_stored_file_goes_with_its_last_run(store: SqliteStore, journal: SqliteJournal) -> None:
    """A file stays for as long as a run refers to it."""
    first, second = start(journal, ended("first")), start(journal, ended("second", days_ago=1))
    shared, alone = keep(store, first, b"shared"), keep(store, first, b"alone" * 10)
    assert keep(store, second, b"shared") == shared
    old_only = (RetentionRule(age_max=10 * DAY),)
    store.keep_artifact(
        ArtifactRow(run=first, path="x", attempt=1, name="b", digest=alone, size=50, kept_at=NOW)
    )
    store.keep_artifact(
        ArtifactRow(run=first, path="x", attempt=1, name="c", digest=shared, size=6, kept_at=NOW)
    )

    plan = store.retention.plan(old_only, now=LATER)
    store.retention.carry_out(plan, now=LATER)

    assert [(some.digest, some.size) for some in plan.artifacts] == [(alone, 50)]
    assert (store.artifacts.has(shared), store.artifacts.has(alone)) == (True, False)
    store.retention.carry_out(store.retention.plan(EVERYTHING, now=LATER), now=LATER)
    assert not store.artifacts.has(shared)


def test_a_file_without_a_note_yet_is_left_alone(store: SqliteStore) -> None:
    """A step may have kept a file a moment ago; its note is coming."""
    kept = store.artifacts.keep(io.BytesIO(b"x"))

    store.retention.carry_out(store.retention.plan((), now=LATER), now=LATER)

    assert store.artifacts.has(kept.digest)


def test_read_answers_and_gone_owners_are_forgotten_after_a_while(
    store: SqliteStore, journal: SqliteJournal
) -> None:
    """Replies wait for a day, messages that nobody took as long as their run; old owners go."""
    owner = store.owners.enter("tow run")
    run = start(journal, new_run(owner=owner))
    answered, waiting = store.mailbox.post(run, b"a"), store.mailbox.post(run, b"b")
    assert commit(journal, Change(run, 2, (), took=(Taken(message=answered, reply=b"ok"),))) is None
    left = store.owners.enter("gone")
    store.owners.leave(left)
    taken_at = store.mailbox.message(answered).taken_at or 0
    nothing = store.retention.plan(())

    store.retention.carry_out(nothing, now=taken_at + DAY // 2)
    assert store.mailbox.message(answered).reply == b"ok"
    store.retention.carry_out(nothing, now=taken_at + 40 * DAY)

    with pytest.raises(NotFound):
        store.mailbox.message(answered)
    assert store.mailbox.message(waiting).stimulus == b"b"
    with store._desk.connection() as connection:
        assert [name for (name,) in connection.execute("SELECT id FROM owners")] == [owner]


def test_an_owner_that_died_with_nothing_is_forgotten(store: SqliteStore, journal: SqliteJournal) -> None:
    """Only the dead that still own something are kept."""
    with store._desk.connection() as connection:
        connection.executemany(
            "INSERT INTO owners VALUES (?, 1, 'h', 'c', 0, NULL)", [("dead",), ("dead-with-run",)]
        )
    start(journal, new_run(owner=OwnerId("dead-with-run")))

    store.retention.carry_out(store.retention.plan(()), now=LATER)

    assert [row.id for row in store.owners.owners()] == ["dead-with-run"]


def test_logs_without_a_run_go_when_they_are_old(store: SqliteStore, data: Path) -> None:
    """What a crash has left between the rows and the log is removed the next time."""
    for name, age in (("98", 0.0), ("99", None)):
        (data / "logs" / name).mkdir()
        if age is not None:
            os.utime(data / "logs" / name, (age, age))

    store.retention.carry_out(store.retention.plan(()), now=LATER)

    assert [path.name for path in (data / "logs").iterdir()] == ["99"]


def test_a_run_that_has_just_ended_is_still_counted(store: SqliteStore, journal: SqliteJournal) -> None:
    """Ending a run makes it one that rules decide about."""
    run = start(journal, new_run())
    assert store.retention.plan(EVERYTHING, now=LATER).runs == ()

    assert commit(journal, Change(run, 2, records(3, 3), summary=DONE)) is None

    assert [found.number for found in store.retention.plan(EVERYTHING, now=LATER).runs] == [run]
