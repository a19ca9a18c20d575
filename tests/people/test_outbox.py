"""The outbox at work: everything is told once, whatever fails, and nothing waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from outbox_support import BUSY, MINUTE, NOW, Scripted, notice, process, routes, states

from towpath.engines.clock import HandClock
from towpath.errors import Refused, StoreUnavailable
from towpath.people.channels.contract import SENDS_MAX, Notice, SendFailed
from towpath.people.outbox import (
    AT_ONCE_MAX,
    DELAY_SECONDS_MAX,
    JITTER,
    NOTICE_ATTEMPTS_MAX,
    Outbox,
    Patience,
    decode,
    encode,
    key_of,
)
from towpath.store.contract import NewSending, RunNumber, SendingFilter
from towpath.store.memory import MemoryStore
from towpath.store.sqlite import SqliteStore, open_store

RUN = RunNumber(12)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MemoryStore | SqliteStore]:
    """Give a store of each kind."""
    opened = MemoryStore() if request.param == "memory" else open_store(tmp_path / "data")
    yield opened
    opened.close()


@pytest.fixture
def memory() -> Iterator[MemoryStore]:
    """Give a store without a disk."""
    opened = MemoryStore()
    yield opened
    opened.close()


async def test_everybody_is_told_through_their_own_way(store: MemoryStore | SqliteStore) -> None:
    """A notice goes to each person through their channel, in words, and that it was sent is noted."""
    mail, chat = Scripted(), Scripted()

    async with process(store, {"mail": mail, "chat": chat}) as outbox:
        outbox.put(notice())
        await outbox.settle()

    assert mail.told == [("user:ada", "ada@example.com", 1)]
    assert chat.told == [("user:ben", "U012AB3", 1)]
    assert mail.sent[0].text.subject == "Approval wanted: release_shop #12, go_live"
    assert "Until: Mon 23 Nov 2026 04:43 CET" in mail.sent[0].text.plain
    assert "Until: Mon 23 Nov 2026 03:43 UTC" in chat.sent[0].text.plain
    assert states(store) == [("user:ada", "mail", "sent", 1), ("user:ben", "chat", "sent", 1)]


async def test_a_restart_tells_nobody_twice(store: MemoryStore | SqliteStore) -> None:
    """A process that starts again puts what is still asked again; whoever was told is not told again."""
    mail, chat = Scripted(), Scripted()
    for _ in range(2):
        async with process(store, {"mail": mail, "chat": chat}) as outbox:
            outbox.put(notice())
            outbox.put(notice())
            await outbox.settle()

    assert (len(mail.sent), len(chat.sent)) == (1, 1)


async def test_what_a_process_left_is_sent_by_the_next(store: MemoryStore | SqliteStore) -> None:
    """A process that ends before a channel takes something loses nothing: the next process sends it."""
    owner = store.owners.enter("first")
    down, up = Scripted(*[BUSY] * 50), Scripted()
    async with process(store, {"mail": down}, owner=owner) as outbox:
        outbox.put(notice(to={"ada": ""}))
        await outbox.settle()
    store.owners.leave(owner)
    assert states(store) == [("user:ada", "mail", "waiting", 1)]

    clock = HandClock(NOW + MINUTE)
    async with process(store, {"mail": up}, clock=clock) as outbox:
        await until(lambda: states(store)[0][2] == "sent")

    assert [(one.key, one.attempt) for one in up.sent] == [(down.sent[0].key, 2)]


async def test_what_fails_is_tried_again_later_each_time(memory: MemoryStore) -> None:
    """After a failure the channel is left alone for a while; the attempt and its error are on record."""
    clock = HandClock(NOW)
    mail = Scripted(BUSY, BUSY, None)

    async with process(memory, {"mail": mail}, clock=clock) as outbox:
        outbox.put(notice(to={"ada": ""}))
        await outbox.settle()
        (row,) = memory.outbox.sendings()
        assert (row.state, row.attempts, row.error) == ("waiting", 1, "the server is busy")
        clock.wind(4.9)
        await outbox.settle()
        assert len(mail.sent) == 1
        clock.wind(1.2)
        await settled(outbox, mail, 2)
        clock.wind(20)
        await settled(outbox, mail, 3)

    (row,) = memory.outbox.sendings()
    assert (row.state, row.attempts, row.error) == ("sent", 3, "")


async def test_what_never_works_is_given_up_visibly(memory: MemoryStore) -> None:
    """After NOTICE_ATTEMPTS_MAX attempts nobody tries any more, and the last reason stays."""
    clock = HandClock(NOW)
    mail = Scripted(*[BUSY] * 100)

    async with process(memory, {"mail": mail}, clock=clock) as outbox:
        outbox.put(notice(to={"ada": ""}, until=None))
        for attempt in range(1, NOTICE_ATTEMPTS_MAX + 1):
            await settled(outbox, mail, attempt)
            clock.wind(DELAY_SECONDS_MAX * (1 + JITTER))
        await outbox.settle()

    (row,) = memory.outbox.sendings()
    assert (row.state, row.attempts, row.error) == ("given_up", NOTICE_ATTEMPTS_MAX, "the server is busy")


async def test_a_final_failure_is_not_tried_again(memory: MemoryStore) -> None:
    """Where the channel says that it never will, it is believed, and its help is on record."""
    mail = Scripted(SendFailed("no such address", is_final=True, help="mend it"))

    async with process(memory, {"mail": mail}) as outbox:
        outbox.put(notice(to={"ada": ""}))
        await outbox.settle()

    (row,) = memory.outbox.sendings()
    assert (row.state, row.attempts, row.error) == ("given_up", 1, "no such address (mend it)")


async def test_a_service_that_asks_for_time_gets_it(memory: MemoryStore) -> None:
    """The next attempt comes no earlier than the service asked for."""
    mail = Scripted(SendFailed("answered 429", retry_after_seconds=600))

    async with process(memory, {"mail": mail}) as outbox:
        outbox.put(notice(to={"ada": ""}))
        await outbox.settle()

    (row,) = memory.outbox.sendings()
    assert row.due_at == NOW + 600_000_000


async def test_a_channel_that_breaks_in_any_way_is_only_itself_broken(memory: MemoryStore) -> None:
    """An error that no channel should raise is the outcome of that attempt, and the others go on."""
    mail, chat = Scripted(RuntimeError("boom")), Scripted()

    async with process(memory, {"mail": mail, "chat": chat}) as outbox:
        outbox.put(notice())
        await outbox.settle()

    assert states(memory) == [("user:ada", "mail", "waiting", 1), ("user:ben", "chat", "sent", 1)]
    assert memory.outbox.sendings(SendingFilter(channel="mail"))[0].error == (
        "the channel failed: RuntimeError: boom"
    )


async def test_a_slow_channel_holds_up_nobody(memory: MemoryStore) -> None:
    """While one channel stands still, putting returns at once and the other channels send; it works on a few at a time."""
    slow, chat = Scripted(), Scripted()
    slow.hold = asyncio.Event()

    async with process(memory, {"mail": slow, "chat": chat}) as outbox:
        for number in range(10):
            outbox.put(notice(id=f"n{number}"))
        await until(lambda: len(chat.sent) == 10)
        assert len(slow.sent) == SENDS_MAX
        slow.hold.set()
        await outbox.settle()

    assert (len(slow.sent), slow.at_once_max) == (10, SENDS_MAX)


async def test_an_attempt_has_an_end(memory: MemoryStore) -> None:
    """A channel that never answers is given up for this time, and it is said that the message may have arrived."""
    never = Scripted()
    never.hold = asyncio.Event()

    async with process(memory, {"mail": never}, patience=Patience(send_seconds=0.01)) as outbox:
        outbox.put(notice(to={"ada": ""}))
        await outbox.settle()

    (row,) = memory.outbox.sendings()
    assert (row.state, row.error) == ("waiting", "it took more than 0.01 s, and may have arrived")


async def test_a_process_that_ends_gives_back_what_it_was_sending(memory: MemoryStore) -> None:
    """What was on its way when the process ended is sent by the next one, who knows that it may have arrived."""
    slow, mail = Scripted(), Scripted()
    slow.hold = asyncio.Event()
    owner = memory.owners.enter("first")
    outbox = Outbox(
        memory.outbox, owner=owner, clock=HandClock(NOW), channel_of={"mail": slow}.get, routes=routes
    )
    async with outbox:
        outbox.put(notice(to={"ada": ""}))
        await until(lambda: bool(slow.sent))
        await outbox.stop(grace_seconds=0.01)
    (row,) = memory.outbox.sendings()
    assert (row.state, row.error) == (
        "waiting",
        "the process ended while it was being sent: it may have arrived",
    )
    memory.owners.leave(owner)

    async with process(memory, {"mail": mail}):
        await until(lambda: states(memory)[0][2] == "sent")

    assert mail.sent[0].key == slow.sent[0].key


async def test_what_was_decided_is_not_asked_any_more(memory: MemoryStore) -> None:
    """Nobody is called to a question that has its answer; the decision itself is told."""
    clock = HandClock(NOW)
    mail = Scripted(BUSY)

    async with process(memory, {"mail": mail}, clock=clock) as outbox:
        outbox.put(notice(to={"ada": ""}))
        outbox.put(notice(to={"ada": ""}, id="reminder", why="reminder", number=1))
        await outbox.settle()
        outbox.recall(RUN, "go_live", reason="ben approved it")
        outbox.put(notice(to={"ada": ""}, id="decided", why="decided", decision="approve", by="user:ben"))
        await outbox.settle()

    assert [(one.notice.why, one.attempt) for one in mail.sent] == [
        ("asked", 1),
        ("reminder", 1),
        ("decided", 1),
    ]
    assert [row.state for row in reversed(memory.outbox.sendings())] == ["recalled", "sent", "sent"]


async def test_what_was_recalled_before_it_was_written_never_is(memory: MemoryStore) -> None:
    """A question that is answered in the same breath calls nobody."""
    mail = Scripted()

    async with process(memory, {"mail": mail}) as outbox:
        outbox.put(notice(to={"ada": ""}))
        outbox.put(notice(to={"ada": ""}, id="other", path="other"))
        outbox.recall(RUN, "go_live", reason="answered")
        await outbox.settle()

    assert [one.notice.path for one in mail.sent] == ["other"]


async def test_nobody_is_called_after_the_time_is_over(memory: MemoryStore) -> None:
    """A message that could not be sent in time is given up with that reason, and nobody gets up for nothing."""
    clock = HandClock(NOW)
    mail = Scripted(BUSY, None)

    async with process(memory, {"mail": mail}, clock=clock) as outbox:
        outbox.put(notice(to={"ada": ""}, until=NOW + 1_000_000))
        await outbox.settle()
        clock.wind(30)
        await until(lambda: states(memory)[0][2] == "given_up")

    (row,) = memory.outbox.sendings()
    assert (len(mail.sent), row.error) == (1, "the time to answer was over before it could be sent")


async def test_that_nobody_could_be_told_is_on_record(memory: MemoryStore) -> None:
    """Where no channel leads to a person, and where nobody is asked, the outbox says so."""
    async with process(memory, {}) as outbox:
        outbox.put(notice(to={"eve": ""}))
        outbox.put(notice(to={}, id="nobody"))
        await outbox.settle()

    rows = memory.outbox.sendings()
    assert [(row.recipient, row.state) for row in rows] == [
        ("user:", "unreachable"),
        ("user:eve", "unreachable"),
    ]
    assert rows[0].error == "nobody could be told: nobody stands behind those who are asked"
    assert rows[1].error.startswith("nobody could be told: eve has no contact or e-mail address")


async def test_a_project_that_cannot_be_read_stops_no_gate(memory: MemoryStore) -> None:
    """When the ways to people cannot be found out, putting a notice raises nothing and the reason is on record."""

    def broken() -> Any:
        raise Refused("towpath.yaml has errors")

    async with process(memory, {}, ways=broken) as outbox:
        outbox.put(notice())
        await outbox.settle()

    assert [row.error for row in memory.outbox.sendings()] == [
        "nobody could be told: the ways to people cannot be read: towpath.yaml has errors"
    ]


@pytest.mark.parametrize(
    ("name", "state", "said"),
    [
        ("terminal", "given_up", "the terminal that it was for is gone"),
        ("pager", "waiting", "towpath.yaml has no channel 'pager'"),
    ],
)
async def test_a_channel_that_is_gone_is_named(memory: MemoryStore, name: str, state: str, said: str) -> None:
    """What is for a channel that there is not waits for it to come back; a terminal does not come back."""
    async with process(memory, {}) as outbox:
        outbox.put(notice(), [NewSending(recipient="user:ada", channel=name)])
        await outbox.settle()

    (row,) = memory.outbox.sendings()
    assert (row.state, row.error[: len(said)]) == (state, said)


async def test_a_notice_that_cannot_be_read_stops_nothing(memory: MemoryStore) -> None:
    """A damaged notice is given up with the reason, and the next one is sent."""
    mail = Scripted()
    clock = HandClock(NOW)
    async with process(memory, {"mail": mail}, clock=clock) as outbox:
        outbox.put(notice(to={"ada": ""}, id="fine"))
        outbox.put(notice(to={"ada": ""}, id="damaged"))
        damaged = outbox._queued["damaged"]
        outbox._queued["damaged"] = type(damaged)(
            **{name: getattr(damaged, name) for name in damaged.__slots__} | {"body": b"{"}
        )
        await outbox.settle()

    assert [(row.notice, row.state) for row in memory.outbox.sendings()] == [
        ("damaged", "given_up"),
        ("fine", "sent"),
    ]


async def test_what_kills_its_process_every_time_is_given_up(memory: MemoryStore) -> None:
    """An attempt counts when it begins, so a notice at which processes die is not tried for ever."""
    clock = HandClock(NOW)
    first = memory.owners.enter("first")
    async with process(memory, {}, owner=first) as outbox:
        outbox.put(notice(to={"ada": ""}, until=None))
        await outbox.flush()
        for task in outbox._tasks:
            task.cancel()
    at = NOW
    owner = first
    for _ in range(NOTICE_ATTEMPTS_MAX):
        memory.outbox.adopt(owner, at=at)
        at += 10 * round(DELAY_SECONDS_MAX * 1_000_000)
        memory.outbox.take(owner, "mail", at=at, rows_max=1)
        memory.owners.leave(owner)
        owner = memory.owners.enter("next")
    mail = Scripted()
    clock.wind((at - NOW) / 1_000_000 + 1)

    async with process(memory, {"mail": mail}, clock=clock, owner=owner):
        await until(lambda: states(memory)[0][2] == "given_up")

    (row,) = memory.outbox.sendings()
    assert mail.sent == []
    assert row.error.endswith("it may have arrived; no attempt is left")


async def test_a_disk_that_fails_for_a_while_loses_nothing(
    memory: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be written now is written when it can."""
    clock = HandClock(NOW)
    mail = Scripted()
    put = memory.outbox.put
    calls = iter([True, False])

    def sometimes(*values: Any, **named: Any) -> tuple[bool, ...]:
        if next(calls, False):
            raise StoreUnavailable("the disk is full")
        return put(*values, **named)

    monkeypatch.setattr(memory.outbox, "put", sometimes)
    async with process(memory, {"mail": mail}, clock=clock) as outbox:
        outbox.put(notice(to={"ada": ""}))
        await until(lambda: next(calls, None) is not None)
        clock.wind(31)
        await until(lambda: len(mail.sent) == 1)


async def test_ten_thousand_people_are_not_told_at_once(memory: MemoryStore) -> None:
    """A group of any size makes a notice of a limited size, and the record says that some could not be told."""
    many = {f"user{number:05}": "group:everybody" for number in range(10_000)}
    channels = {"hook": {"kind": "webhook", "url": "https://hooks.example.com/"}}
    users = {name: {"contact": {"hook": name}} for name in many}
    ways = routes({"people": {"users": users}, "channels": channels})

    async with process(memory, {"hook": Scripted()}, ways=lambda: ways) as outbox:
        outbox.put(notice(to=many))
        await outbox.flush()

    rows = memory.outbox.sendings(SendingFilter(states=("unreachable",)))
    assert [row.error for row in rows] == ["9001 more could not be told: SENDINGS_MAX is 1000"]


def test_delays_grow_to_a_limit_and_spread() -> None:
    """The delay depends on nothing but the key and the attempt, grows threefold, and is a little different for each."""
    patience = Patience()
    delays = [patience.delay("key", attempt) / 1_000_000 for attempt in range(1, 40)]

    assert delays == [patience.delay("key", attempt) / 1_000_000 for attempt in range(1, 40)]
    assert all(
        low <= delay <= low * (1 + JITTER)
        for low, delay in zip([5, 15, 45, 135, 405, 1215, 3600, 3600], delays, strict=False)
    )
    assert len({patience.delay(f"key{number}", 3) for number in range(50)}) > 20
    assert patience.delay("key", 1, asked_for=1e12) <= DELAY_SECONDS_MAX * (1 + JITTER) * 1_000_000


def test_a_notice_is_kept_as_it_is() -> None:
    """What is read again is what was put; what a later version adds is passed over."""
    told = notice(evidence=(("scan", "clean"),))

    assert decode(encode(told)) == told
    assert (
        decode(encode(Notice(id="n", run=1, run_id="r", workflow="w", path="p", why="asked", at=1))).to == {}
    )
    assert decode(encode(told)[:-1] + b',"later":1}') == told


def test_each_sending_has_a_key_of_its_own() -> None:
    """The key follows from notice, recipient and channel, and fits into a header whatever they hold."""
    keys = {
        key_of(*parts)
        for parts in [("a", "b", "c"), ("a", "bc", ""), ("ab", "", "c"), ("ä\n\ud800", "b", "c")]
    }

    assert len(keys) == 4
    assert all(key.isascii() and key.replace("_", "").isalnum() for key in keys)
    assert key_of("a", "b", "c") == key_of("a", "b", "c")


async def test_very_many_notices_are_written_a_few_at_a_time(memory: MemoryStore) -> None:
    """When thousands of questions are asked at once, all are kept, and between two transactions others may write."""
    sizes: list[int] = []
    put = memory.outbox.put

    def counted(notices: Any, **options: Any) -> tuple[bool, ...]:
        sizes.append(len(notices))
        return put(notices, **options)

    memory.outbox.put = counted  # type: ignore[method-assign] # it only counts
    async with process(memory, {}) as outbox:
        for number in range(2 * AT_ONCE_MAX + 1):
            outbox.put(notice(id=f"r1/gate{number}#0@1!asked1", to={"eve": ""}))
        await outbox.flush()

    assert sum(sizes) == 2 * AT_ONCE_MAX + 1 == len(memory.outbox.sendings(SendingFilter(rows_max=1_000)))
    assert max(sizes) <= AT_ONCE_MAX


async def settled(outbox: Outbox, channel: Scripted, sent: int) -> None:
    """Waits until a channel was used so often and its outcome is noted."""
    await until(lambda: len(channel.sent) == sent)
    await outbox.settle()


async def until(holds: Any) -> None:
    """Lets the loop go on until something holds."""
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.001)
