"""What every store promises of what arrives from outside: the same tests run on SQLite and on memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from towpath.errors import LimitExceeded, NotFound
from towpath.store import events, memory_events
from towpath.store.contract import (
    EVENT_BYTES_MAX,
    PAGE_ROWS_MAX,
    EventFilter,
    EventHold,
    EventId,
    EventRow,
    EventSettled,
    KeptEvent,
    Mark,
    NewEvent,
    Reaction,
    StaleMark,
    event_state,
)
from towpath.store.memory import MemoryStore
from towpath.store.sqlite import SqliteStore, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOW = 1_700_000_000_000_000
SECOND = 1_000_000


class Process:
    """A store as one process has it, with its owner."""

    def __init__(self, store: MemoryStore | SqliteStore) -> None:
        self.store = store
        self.events = store.events
        self.owner = store.owners.enter("test")

    def put(self, delivery: str = "d1", **different: Any) -> KeptEvent:
        """Keep one event."""
        (kept,) = self.events.put([event(delivery, **different)])
        return kept

    def take(self) -> EventRow | None:
        """Begin to decide about an event."""
        return self.events.take(self.owner)

    def settle(self, row: EventRow | None, *reactions: Reaction, **different: Any) -> bool:
        """Note what was decided."""
        assert row is not None
        settled = EventSettled(event=row.id, at=NOW + 5, reactions=reactions, **different)
        return self.events.settle(settled, owner=self.owner)

    def states(self) -> dict[int, str]:
        """The state of every event."""
        return {row.id: row.state for row in self.events.events()}


def event(delivery: str = "d1", **different: Any) -> NewEvent:
    """Make an event."""
    values: dict[str, Any] = {
        "source": "github",
        "delivery": delivery,
        "kind": "github.push",
        "title": "push octo/shop main",
        "received_at": NOW,
        "way": "signature",
        "secrets": ("github_webhook",),
        "headers": {"x-github-event": "push"},
        "payload": b'{"ref": "refs/heads/main"}',
    }
    return NewEvent(**(values | different))


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


def test_an_event_is_kept_as_it_came(process: Process) -> None:
    """Everything that was said of an event is there again, its payload apart from its row."""
    kept = process.put()
    row = process.events.event(kept.id)

    assert not kept.existing
    assert (row.source, row.delivery, row.kind, row.title) == (
        "github",
        "d1",
        "github.push",
        "push octo/shop main",
    )
    assert (row.way, row.secrets, dict(row.headers)) == (
        "signature",
        ("github_webhook",),
        {"x-github-event": "push"},
    )
    assert (row.state, row.attempts, row.size, row.reactions, row.owner) == ("received", 0, 26, (), None)
    assert process.events.payload(kept.id) == b'{"ref": "refs/heads/main"}'


def test_a_delivery_is_kept_once(process: Process) -> None:
    """The same delivery of the same source is the same event, whatever it holds; of another source it is another one."""
    first = process.put()
    again = process.put(payload=b"{}", received_at=NOW + 1)
    other = process.put(source="gitlab")

    assert (again, other.existing) == (KeptEvent(id=first.id, existing=True), False)
    row = process.events.event(first.id)
    assert (row.repeats, row.repeated_at, row.size) == (1, NOW + 1, 26)


def test_the_same_delivery_twice_in_one_go_is_one_event(process: Process) -> None:
    """Two in one transaction are told apart like two in two."""
    first, second = process.events.put([event("d1"), event("d1")])

    assert (first.existing, second) == (False, KeptEvent(id=first.id, existing=True))


def test_several_processes_keep_a_delivery_once(another: Callable[[], Process]) -> None:
    """Of many who put the same delivery at the same time, one makes the event and all get its number."""
    processes = [another() for _ in range(4)]
    kept: list[KeptEvent] = []
    threads = [
        threading.Thread(target=lambda one=one: kept.extend(one.put(f"d{n}") for n in range(10)))
        for one in processes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(not one.existing for one in kept) == 10
    assert len(processes[0].events.events()) == 10


def test_events_are_taken_in_order_and_by_one(another: Callable[[], Process]) -> None:
    """The oldest event comes first; what a living process decides about, nobody else takes."""
    one, two = another(), another()
    first, second = one.put("d1").id, one.put("d2").id

    taken, other = one.take(), two.take()
    assert taken is not None
    assert other is not None
    assert (taken.id, taken.attempts, other.id) == (first, 1, second)
    assert two.settle(other, Reaction(workflow="shop", run=1))
    assert two.take() is None
    assert one.settle(taken, Reaction(workflow="shop", run=2))
    assert one.take() is None


def test_what_a_dead_process_was_deciding_is_decided_anew(another: Callable[[], Process]) -> None:
    """When the process is gone another one takes the event, sees that it is not the first try, and settles it."""
    one, two = another(), another()
    one.put()
    taken = one.take()
    one.store.owners.leave(one.owner)

    again = two.take()
    assert again is not None
    assert again.attempts == 2
    assert not one.settle(taken, Reaction(workflow="shop", because="late"))
    assert two.settle(again, Reaction(workflow="shop", run=1))
    assert two.states() == {1: "matched"}


@pytest.mark.parametrize(
    ("reactions", "expected"),
    [
        ((), "ignored"),
        ((Reaction(workflow="a", because="no"),), "ignored"),
        ((Reaction(workflow="a", because="no"), Reaction(workflow="b", run=7)), "matched"),
        ((Reaction(workflow="a", run=7, told=True),), "matched"),
        ((Reaction(workflow="a", because="wrong", is_failure=True),), "failed"),
        (
            (Reaction(workflow="a", run=7), Reaction(workflow="b", because="wrong", is_failure=True)),
            "matched",
        ),
        ((Reaction(workflow="a", run=7), Reaction(workflow="b", held_until=9)), "held"),
    ],
)
def test_the_state_follows_from_what_everybody_made_of_it(
    process: Process, reactions: tuple[Reaction, ...], expected: str
) -> None:
    """An event matched as soon as one run came of it, waits as long as one entry waits, and is never silent about a mistake."""
    process.put()
    process.settle(process.take(), *reactions, because="no workflow listens")
    row = process.events.event(EventId(1))

    assert event_state(reactions) == expected
    assert (row.state, row.reactions, row.because, row.settled_at) == (
        expected,
        reactions,
        "no workflow listens",
        NOW + 5,
    )


def test_an_event_can_be_decided_about_again(process: Process) -> None:
    """A replay begins as if the event had just come; one that was not decided yet, and one that is not there, say so."""
    kept = process.put()
    assert not process.events.again(kept.id)
    process.settle(process.take(), Reaction(workflow="shop", because="no"))

    assert process.events.again(kept.id)
    row = process.take()
    assert row is not None
    assert (row.id, row.attempts, row.reactions, row.settled_at) == (kept.id, 1, (), None)
    with pytest.raises(NotFound):
        process.events.again(EventId(99))


def hold(process: Process, delivery: str, due_at: int) -> EventHold:
    """Keep an event that its entry holds back."""
    process.put(delivery)
    row = process.take()
    assert row is not None
    made = EventHold(key="shop/0", event=row.id, due_at=due_at)
    process.settle(row, Reaction(workflow="shop", kind="github.push", held_until=due_at), holds=(made,))
    return made


def test_the_last_event_of_an_entry_is_held_back(process: Process) -> None:
    """A later event takes the place of an earlier one, which says so; only the last one starts something, once."""
    first = hold(process, "d1", NOW + 30 * SECOND)
    assert (process.events.next_hold(), process.states()) == (NOW + 30 * SECOND, {1: "held"})
    second = hold(process, "d2", NOW + 40 * SECOND)

    assert process.states() == {1: "ignored", 2: "held"}
    (told,) = process.events.event(first.event).reactions
    assert (told.because, told.kind, told.held_until) == ("event 2 came after it", "github.push", None)
    assert process.events.due_holds(NOW + 39 * SECOND) == ()
    assert process.events.due_holds(NOW + 40 * SECOND) == (second,)

    started = Reaction(workflow="shop", run=7)
    assert not process.events.release(first, started, at=NOW)
    assert process.events.release(second, started, at=NOW)
    assert not process.events.release(second, started, at=NOW)
    assert (process.events.next_hold(), process.states()) == (None, {1: "ignored", 2: "matched"})


def test_a_replay_of_an_old_event_does_not_displace_a_later_one(process: Process) -> None:
    """An earlier event that is decided about again finds that a later one is held back already."""
    first, second = hold(process, "d1", NOW + 1), hold(process, "d2", NOW + 2)
    process.events.again(first.event)
    row = process.take()
    process.settle(
        row,
        Reaction(workflow="shop", held_until=NOW + 3),
        holds=(EventHold(key="shop/0", event=first.event, due_at=NOW + 3),),
    )

    assert process.events.due_holds(NOW + 9) == (second,)
    assert process.states() == {1: "ignored", 2: "held"}


def test_a_mark_moves_with_its_events(process: Process) -> None:
    """Events and mark are kept together: whoever comes second with the same mark keeps nothing of both."""
    assert process.events.mark("schedule/shop") is None
    process.events.put([event("d1")], mark=Mark(name="schedule/shop", value=b"1"))
    mark = process.events.mark("schedule/shop")
    assert mark == Mark(name="schedule/shop", value=b"1", version=1)

    process.events.put([event("d2")], mark=Mark(name="schedule/shop", value=b"2", version=1))
    for late in (Mark(name="schedule/shop", value=b"x", version=1), Mark(name="schedule/shop", value=b"x")):
        with pytest.raises(StaleMark):
            process.events.put([event("d3")], mark=late)

    assert process.events.mark("schedule/shop") == Mark(name="schedule/shop", value=b"2", version=2)
    assert len(process.events.events()) == 2


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (EventFilter(), [4, 3, 2, 1]),
        (EventFilter(rows_max=2), [4, 3]),
        (EventFilter(before=EventId(3)), [2, 1]),
        (EventFilter(source="github"), [2, 1]),
        (EventFilter(source="webhook"), [4, 3]),
        (EventFilter(source="webhook/go"), [3]),
        (EventFilter(source="web"), []),
        (EventFilter(kind="github"), [2, 1]),
        (EventFilter(kind="github.issues"), [2]),
        (EventFilter(states=("received",)), [4, 3, 2]),
        (EventFilter(states=("ignored", "failed")), [1]),
        (EventFilter(since=NOW + 1), [4]),
    ],
)
def test_events_are_listed_newest_first(process: Process, where: EventFilter, expected: list[int]) -> None:
    """Filters by source, kind, state and time; a page ends where the next one begins."""
    process.put("d1")
    process.settle(process.take())
    process.put("d2", kind="github.issues")
    process.put("d3", source="webhook/go", kind="webhook")
    process.put("d4", source="webhook/stop", kind="webhook", received_at=NOW + 1)

    assert expected == [row.id for row in process.events.events(where)]


def test_events_are_counted_and_found(process: Process) -> None:
    """Counts by state; one by its number, or the last one; none says so."""
    with pytest.raises(NotFound, match="nothing has arrived"):
        process.events.event("last")
    process.put("d1")
    process.put("d2")
    process.settle(process.take())

    assert dict(process.events.counts()) == {"ignored": 1, "received": 1}
    assert process.events.event("last").id == 2
    with pytest.raises(NotFound, match="there is no event 9"):
        process.events.payload(EventId(9))


def test_old_events_are_forgotten_and_open_ones_stay(process: Process) -> None:
    """What was decided about before a moment goes; what waits, or is held back, never does; numbers are not used again."""
    process.put("d1")
    process.settle(process.take())
    hold(process, "d2", NOW + 1)
    process.put("d3")

    assert process.events.forget(NOW + 5) == 0
    assert process.events.forget(NOW + 6, dry_run=True) == 1
    assert process.events.forget(NOW + 6) == 1
    assert process.states() == {2: "held", 3: "received"}
    assert process.put("d1").id == 4


def test_limits_are_named(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too long, too many and too large a page are refused with the limit's name, and nothing is kept."""
    for module in (events, memory_events):
        monkeypatch.setattr(module, "EVENTS_WAITING_MAX", 2)
    with pytest.raises(LimitExceeded, match="EVENT_BYTES_MAX"):
        process.put(payload=b"x" * (EVENT_BYTES_MAX + 1))
    with pytest.raises(LimitExceeded, match="a page has"):
        process.events.events(EventFilter(rows_max=PAGE_ROWS_MAX + 1))
    process.put("d1")
    process.put("d2")

    with pytest.raises(LimitExceeded, match="more than 2 events wait"):
        process.put("d3")
    assert process.put("d1").existing
    assert len(process.events.events()) == 2
