"""What every store promises of the outbox: the same tests run on SQLite and on memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from towpath.errors import LimitExceeded
from towpath.store import memory_outbox, outbox
from towpath.store.contract import (
    NOTICE_BYTES_MAX,
    SENDINGS_MAX,
    NewNotice,
    NewSending,
    NoticeId,
    OwnerId,
    RunNumber,
    SendingEnded,
    SendingFilter,
    SendingId,
    SendingRow,
)
from towpath.store.memory import MemoryStore
from towpath.store.sqlite import SqliteStore, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOW = 1_700_000_000_000_000
ADA = NewSending(recipient="user:ada", channel="mail", address="ada@example.com")
BEN = NewSending(recipient="user:ben", channel="chat", address="U1")
NOBODY = NewSending(recipient="user:eve", channel="", error="no channel reaches eve")


class Process:
    """A store as one process has it, with its owner."""

    def __init__(self, store: MemoryStore | SqliteStore) -> None:
        self.store = store
        self.outbox = store.outbox
        self.owner = store.owners.enter("test")

    def put(self, *sendings: NewSending, **different: Any) -> bool:
        """Put one notice."""
        (new,) = self.outbox.put([notice(*sendings, **different)], owner=self.owner)
        return new

    def take(self, channel: str = "mail", *, at: int = NOW, rows_max: int = 10) -> tuple[SendingRow, ...]:
        """Begin attempts."""
        return self.outbox.take(self.owner, channel, at=at, rows_max=rows_max)

    def end(self, row: SendingRow, **different: Any) -> None:
        """End an attempt."""
        values: dict[str, Any] = {"sending": row.id, "attempt": row.attempts, "at": NOW + 5}
        self.outbox.end([SendingEnded(**(values | different))], owner=self.owner)

    def states(self) -> list[tuple[str, str, str]]:
        """Recipient, state and error of everything, oldest first."""
        return [(row.recipient, row.state, row.error) for row in reversed(self.outbox.sendings())]


def notice(*sendings: NewSending, **different: Any) -> NewNotice:
    """Make a notice."""
    values: dict[str, Any] = {
        "id": NoticeId("r1/go!asked"),
        "run": RunNumber(1),
        "path": "go",
        "why": "asked",
        "at": NOW,
        "body": b"{}",
        "sendings": sendings,
    }
    return NewNotice(**(values | different))


@pytest.fixture(params=["memory", "sqlite"])
def another(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Process]]:
    """Give processes that share a store of each kind."""
    memory = MemoryStore()
    opened: list[Process] = []

    def start() -> Process:
        store = memory.another() if request.param == "memory" else open_store(tmp_path / "data")
        opened.append(Process(store))
        return opened[-1]

    yield start
    for process in opened:
        process.store.close()


@pytest.fixture
def process(another: Callable[[], Process]) -> Process:
    """Give one process."""
    return another()


def test_a_notice_is_put_once(process: Process) -> None:
    """Putting a notice again changes nothing, whatever it says and whomever it is for."""
    assert process.put(ADA, BEN)
    assert not process.put(ADA, replace(BEN, channel="other"), body=b"different")

    assert process.states() == [("user:ada", "waiting", ""), ("user:ben", "waiting", "")]
    assert {row.body for row in process.outbox.sendings()} == {b"{}"}


def test_a_notice_that_reached_nobody_may_be_put_again(process: Process) -> None:
    """Where no channel led to anybody, a later put may find one; what was told is never told again."""
    assert process.put(NOBODY)
    assert process.states() == [("user:eve", "unreachable", "no channel reaches eve")]

    assert process.put(replace(ADA, recipient="user:eve"))
    assert not process.put(ADA)

    assert process.states() == [("user:eve", "waiting", "")]


def test_one_recipient_and_channel_is_told_once(process: Process) -> None:
    """The same recipient twice in one channel is one sending."""
    process.put(ADA, ADA, replace(ADA, channel="chat"))

    assert [(row.recipient, row.channel) for row in process.outbox.sendings()] == [
        ("user:ada", "chat"),
        ("user:ada", "mail"),
    ]


def test_an_attempt_begins_when_it_is_taken(process: Process) -> None:
    """What was taken is not taken again, and counts as an attempt although nothing is known of its end."""
    process.put(ADA, BEN)

    (row,) = process.take()

    assert (row.recipient, row.address, row.state, row.attempts, row.tried_at, row.body) == (
        "user:ada",
        "ada@example.com",
        "sending",
        1,
        NOW,
        b"{}",
    )
    assert process.take() == ()


def test_what_is_not_due_waits(process: Process) -> None:
    """An attempt begins when its time has come, the oldest first, and no more than were asked for."""
    for number in (3, 1, 2):
        process.put(ADA, id=NoticeId(f"n{number}"), at=NOW + number)

    assert process.outbox.next_due(process.owner, "mail") == NOW + 1
    assert process.take(at=NOW) == ()
    assert [row.notice for row in process.take(at=NOW + 3, rows_max=2)] == ["n1", "n2"]
    assert process.outbox.next_due(process.owner, "mail") == NOW + 3
    assert process.outbox.next_due(process.owner, "chat") is None
    assert process.outbox.channels_waiting(process.owner) == ("mail",)
    assert process.outbox.channels_waiting(OwnerId("somebody")) == ()


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, ("sent", "", NOW + 5, NOW)),
        ({"error": "busy", "again_at": NOW + 60}, ("waiting", "busy", None, NOW + 60)),
        ({"error": "no such address"}, ("given_up", "no such address", NOW + 5, NOW)),
        ({"error": "x" * 2_000}, ("given_up", "x" * 500, NOW + 5, NOW)),
    ],
)
def test_an_attempt_ends(
    process: Process, how: dict[str, Any], expected: tuple[str, str, int | None, int]
) -> None:
    """It was sent, or is tried again, or is given up, with the reason."""
    process.put(ADA)
    (row,) = process.take()

    process.end(row, **how)

    (after,) = process.outbox.sendings()
    assert (after.state, after.error, after.ended_at, after.due_at) == expected


def test_the_next_attempt_has_the_next_number(process: Process) -> None:
    """An end that comes late, of an attempt before, is passed over."""
    process.put(ADA)
    (first,) = process.take()
    process.end(first, error="busy", again_at=NOW + 60)

    (second,) = process.take(at=NOW + 60)
    process.end(first)

    assert second.attempts == 2
    assert process.states() == [("user:ada", "sending", "busy")]


def test_what_is_recalled_is_not_sent(process: Process) -> None:
    """What waits is taken back at once; what is being sent is not sent a second time. Other questions are left alone."""
    process.put(ADA, replace(BEN, channel="mail"))
    process.put(ADA, id=NoticeId("other"), path="other")
    process.put(ADA, id=NoticeId("decided"), why="decided", at=NOW + 1)
    (sending,) = process.take(rows_max=1)

    count = process.outbox.recall(RunNumber(1), "go", ("asked", "reminder"), at=NOW + 2, reason="ben decided")
    process.end(sending, error="busy", again_at=NOW + 60)

    assert count == 1
    assert process.states() == [
        ("user:ada", "recalled", "busy"),
        ("user:ben", "recalled", "ben decided"),
        ("user:ada", "waiting", ""),
        ("user:ada", "waiting", ""),
    ]


def test_what_arrived_although_it_was_recalled_was_sent(process: Process) -> None:
    """The truth about a sending is what the channel said."""
    process.put(ADA)
    (row,) = process.take()

    process.outbox.recall(RunNumber(1), "go", ("asked",), at=NOW, reason="decided")
    process.end(row)

    assert process.states() == [("user:ada", "sent", "")]


def test_each_process_sends_its_own(another: Callable[[], Process]) -> None:
    """A process takes nothing from one that lives, and cannot end its attempts."""
    one, two = another(), another()
    one.put(ADA)

    assert two.outbox.adopt(two.owner, at=NOW) == 0
    assert two.take() == ()
    (row,) = one.take()
    two.end(row)

    assert one.states() == [("user:ada", "sending", "")]


def test_what_a_dead_process_left_is_adopted(another: Callable[[], Process]) -> None:
    """Another process sends what waited, and once more what was being sent, saying that it may have arrived."""
    one, two = another(), another()
    one.put(ADA, replace(BEN, channel="mail"))
    (begun,) = one.take(rows_max=1)
    one.store.owners.leave(one.owner)

    assert two.outbox.adopt(two.owner, at=NOW + 9) == 2
    assert two.outbox.adopt(two.owner, at=NOW + 9) == 0

    one.end(begun)
    assert two.states() == [
        ("user:ada", "waiting", "the process that sent it ended during attempt 1: it may have arrived"),
        ("user:ben", "waiting", ""),
    ]
    assert [(row.recipient, row.attempts) for row in two.take(at=NOW + 9)] == [
        ("user:ben", 1),
        ("user:ada", 2),
    ]


def test_what_was_recalled_while_its_process_died_stays_recalled(another: Callable[[], Process]) -> None:
    """A decision that came while a message was on its way counts after a crash too."""
    one, two = another(), another()
    one.put(ADA)
    one.take()
    one.outbox.recall(RunNumber(1), "go", ("asked",), at=NOW, reason="decided")
    one.store.owners.leave(one.owner)

    two.outbox.adopt(two.owner, at=NOW)

    assert [state for _, state, _ in two.states()] == ["recalled"]


def test_what_was_given_up_can_be_tried_again(another: Callable[[], Process]) -> None:
    """A person who mended a channel has the message sent by whatever process there is."""
    process = another()
    process.put(ADA)
    (row,) = process.take()
    assert not process.outbox.try_again(row.id, at=NOW)
    process.end(row, error="no")

    assert process.outbox.try_again(row.id, at=NOW + 9)
    assert process.outbox.adopt(process.owner, at=NOW + 9) == 1

    (again,) = process.take(at=NOW + 9)
    assert (again.attempts, again.ended_at) == (1, None)


def test_what_waits_for_its_next_attempt_can_be_due_at_once(another: Callable[[], Process]) -> None:
    """Whoever mended a channel need not wait an hour; it stays with its process, and its attempts go on to count."""
    process = another()
    process.put(ADA)
    (row,) = process.take()
    process.end(row, error="no", again_at=NOW + 1_000)
    assert process.take(at=NOW + 9) == ()

    assert process.outbox.try_again(row.id, at=NOW + 9)
    (again,) = process.take(at=NOW + 9)

    assert (again.attempts, again.owner) == (2, process.owner)


def test_lists_are_filtered_and_paged(process: Process) -> None:
    """The newest first, a page at a time, by run, path, state, recipient and channel."""
    process.put(ADA, BEN, NOBODY)
    process.put(ADA, id=NoticeId("two"), run=RunNumber(2), path="build")

    def found(**where: Any) -> list[tuple[int, str]]:
        return [(row.run, row.recipient) for row in process.outbox.sendings(SendingFilter(**where))]

    everything = process.outbox.sendings()
    assert found() == [(2, "user:ada"), (1, "user:eve"), (1, "user:ben"), (1, "user:ada")]
    assert found(rows_max=2) == found()[:2]
    assert found(before=everything[1].id) == found()[2:]
    assert found(run=RunNumber(1)) == found()[1:]
    assert found(run=RunNumber(1), path="build") == []
    assert found(path="build") == found()[:1]
    assert found(recipient="user:ada") == [(2, "user:ada"), (1, "user:ada")]
    assert found(run=RunNumber(1), channel="chat") == [(1, "user:ben")]
    assert found(states=("unreachable", "sent")) == [(1, "user:eve")]
    assert found(notice=NoticeId("two")) == found()[:1]
    assert process.outbox.counts() == {"unreachable": 1, "waiting": 3}
    with pytest.raises(LimitExceeded):
        found(rows_max=0)


@pytest.mark.parametrize(
    ("different", "limit"),
    [
        ({"body": b"x" * (NOTICE_BYTES_MAX + 1)}, "NOTICE_BYTES_MAX"),
        (
            {"sendings": tuple(replace(ADA, recipient=f"user:{n}") for n in range(SENDINGS_MAX + 1))},
            "SENDINGS_MAX",
        ),
    ],
)
def test_a_notice_past_a_limit_is_refused(process: Process, different: dict[str, Any], limit: str) -> None:
    """The limit is named, and nothing of what came with it is kept."""
    with pytest.raises(LimitExceeded) as refused:
        process.outbox.put([notice(BEN, id=NoticeId("fine")), notice(**different)], owner=process.owner)

    assert refused.value.limit == limit
    assert process.outbox.sendings() == ()


def test_more_sendings_than_anybody_will_send_are_refused(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken channel fills the outbox to a named limit and no further."""
    for module in (outbox, memory_outbox):
        monkeypatch.setattr(module, "OUTBOX_OPEN_MAX", 2)
    process.put(ADA, BEN)

    with pytest.raises(LimitExceeded) as refused:
        process.put(ADA, id=NoticeId("three"))

    assert refused.value.limit == "OUTBOX_OPEN_MAX"
    assert len(process.outbox.sendings()) == 2


def test_an_unknown_sending_is_nobodys(process: Process) -> None:
    """What is not there can be neither ended nor tried again."""
    process.outbox.end(
        [SendingEnded(sending=SendingId(9), attempt=1, at=NOW)], owner=OwnerId(str(process.owner))
    )

    assert not process.outbox.try_again(SendingId(9), at=NOW)
