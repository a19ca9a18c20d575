"""What every store promises: the same tests run on SQLite and on memory."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from over_http import StoreOverHttp

from towpath.core.run import Answer, Question, RunId
from towpath.errors import BugError, LimitExceeded, NotFound, Refused, StoreUnavailable, TowpathError
from towpath.store import contract
from towpath.store.contract import (
    ArtifactRow,
    AskingRun,
    Change,
    Definition,
    Journal,
    Life,
    Message,
    MessageId,
    MessageTaken,
    NewRun,
    OpenQuestion,
    OwnerId,
    Place,
    PlacesFull,
    Record,
    RunFilter,
    RunNumber,
    RunRow,
    Slot,
    SlotsFull,
    StaleChange,
    Started,
    Store,
    Summary,
    Taken,
    Trial,
    TrialFull,
)
from towpath.store.memory import MemoryStore
from towpath.store.sqlite import SqliteStore, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

NOW = 1_700_000_000_000_000
RUNNING = Summary(status="running", started_at=NOW)
WAITING = Summary(status="waiting", waiting_for="an approval", waiting_since=NOW + 5, started_at=NOW)
ASKED = OpenQuestion(
    path="fleet[web1]/go",
    question=Question(
        kind="approval",
        text="Go live?",
        choices=("approve", "reject"),
        who=("group:ops",),
        quorum=2,
        four_eyes=True,
        digest="d",
        asked_at=NOW + 5,
        answer_within=60,
        if_unanswered="reject",
        escalate=((30, ("oncall:platform",)),),
    ),
    fields=("ticket",),
    edited_by="grace@example.com",
    answers=(Answer(by="user:ben", decision="approve", at=NOW + 7),),
    claimed_by="user:ben",
    handed_to=("user:carl",),
    told_reminders=2,
    told_rungs=1,
    comments=3,
)
ASKING = replace(WAITING, questions=(ASKED,), questions_more=4)
DONE = Summary(status="succeeded", started_at=NOW, ended_at=NOW + 9, outcome="fine", message="all went well")
TEXT = Definition(digest="d1", text="name: shop", path="workflows/shop.yaml", commit="c0ffee")
ONE = RunNumber(1)
MISSING = RunNumber(9)


class Views:
    """A store, and the same data as other processes would open it."""

    def __init__(self, another: Callable[[], MemoryStore | SqliteStore]) -> None:
        self._another = another
        self._open: list[MemoryStore | SqliteStore] = []
        self.main = self.another()

    def another(self) -> MemoryStore | SqliteStore:
        """Open the same data once more."""
        view = self._another()
        self._open.append(view)
        return view

    def close(self) -> None:
        """Close every view."""
        for view in self._open:
            view.close()


@pytest.fixture(params=["memory", "sqlite", "http"])
def views(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Views]:
    """Give a store of each kind; `http` is one whose reader asks a server."""
    memory, data = MemoryStore(), tmp_path / "data"
    kinds: dict[str, Callable[[], MemoryStore | SqliteStore]] = {
        "memory": memory.another,
        "sqlite": lambda: open_store(data),
        "http": lambda: StoreOverHttp(data),
    }
    found = Views(kinds[request.param])
    yield found
    found.close()


@pytest.fixture
def store(views: Views) -> Store:
    """Give the first view."""
    return views.main


@pytest.fixture
def journal(store: Store) -> Iterator[Journal]:
    """Give a journal whose callbacks come at once."""
    opened = store.open_journal(call_now)
    yield opened
    opened.close()


def call_now(callback: Callable[..., object], *values: object) -> None:
    """Deliver in whatever thread this is."""
    callback(*values)


def records(first: int, last: int) -> tuple[Record, ...]:
    """Make records with the sequences from *first* to *last*."""
    return tuple((n, NOW + n, f"event {n}".encode()) for n in range(first, last + 1))


def new_run(name: str = "r1", **different: Any) -> NewRun:
    """Make a run to be accepted."""
    values: dict[str, Any] = {
        "id": RunId(name),
        "workflow": "shop",
        "definition": TEXT,
        "owner": None,
        "started_by": "user:ada",
        "accepted_at": NOW,
        "summary": RUNNING,
        "records": records(1, 2),
    }
    return NewRun(**(values | different))


def answer_of(ask: Callable[[Callable[[Any], None]], None]) -> Any:
    """Wait for what the journal answers."""
    future: Future[Any] = Future()
    ask(future.set_result)
    return future.result(timeout=30)


def try_start(journal: Journal, new: NewRun) -> Started | Exception:
    """Start a run and return the answer."""
    answer: Started | Exception = answer_of(lambda told: journal.start(new, told))
    return answer


def start(journal: Journal, new: NewRun) -> RunNumber:
    """Start a run that must be accepted."""
    answer = try_start(journal, new)
    assert isinstance(answer, Started), answer
    return answer.number


def commit(journal: Journal, change: Change) -> Exception | None:
    """Commit a change and return the answer."""
    answer: Exception | None = answer_of(lambda told: journal.commit(change, told))
    return answer


def owned_run(view: Store, journal: Journal, name: str = "r1") -> tuple[RunNumber, OwnerId]:
    """Start a run with an owner of its own."""
    owner = view.owners.enter("tow run shop")
    return start(journal, new_run(name, owner=owner)), owner


# Runs and records.


def test_a_started_run_is_there_as_a_whole(store: Store, journal: Journal) -> None:
    """A run's row, definition and first records become durable together."""
    new = new_run(
        kind="deployment",
        environment="production",
        labels={"team": "shop"},
        start_key="cron:1",
        origin=RunNumber(7),
        origin_reason="rerun",
        owner=OwnerId("o1"),
    )

    number = start(journal, new)

    assert store.reader.run(number) == RunRow(
        number=number,
        id=RunId("r1"),
        workflow="shop",
        kind="deployment",
        environment="production",
        definition="d1",
        started_by="user:ada",
        origin=RunNumber(7),
        origin_reason="rerun",
        start_key="cron:1",
        slot_group=None,
        holds_slot=False,
        owner=OwnerId("o1"),
        labels={"team": "shop"},
        accepted_at=NOW,
        summary=RUNNING,
        last_sequence=2,
    )
    assert tuple(store.reader.events(number)) == records(1, 2)
    assert store.reader.definition("d1") == TEXT


def test_records_are_kept_in_order_and_read_from_anywhere(store: Store, journal: Journal) -> None:
    """What was committed is read back unchanged, from any sequence on, across pages."""
    number = start(journal, new_run())

    assert commit(journal, Change(number, 2, records(3, 2_500))) is None

    assert tuple(store.reader.events(number)) == records(1, 2_500)
    assert tuple(store.reader.events(number, after=2_498)) == records(2_499, 2_500)
    assert tuple(store.reader.events(number, after=2_500)) == ()
    assert store.reader.last_sequence(number) == 2_500
    assert store.reader.last_sequence(RunNumber(99)) == 0


def test_a_summary_changes_with_its_records(store: Store, journal: Journal) -> None:
    """The list shows a new summary as soon as the records behind it are durable."""
    number = start(journal, new_run())

    assert commit(journal, Change(number, 2, records(3, 3), summary=DONE)) is None

    row = store.reader.run(number)
    assert (row.summary, row.last_sequence, row.is_open) == (DONE, 3, False)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(Change(ONE, 1, records(2, 2)), StaleChange, id="behind"),
        pytest.param(Change(ONE, 3, records(4, 4)), StaleChange, id="ahead"),
        pytest.param(Change(ONE, 1, (), summary=DONE), StaleChange, id="behind-without-records"),
        pytest.param(Change(ONE, 3, (), summary=DONE), StaleChange, id="ahead-without-records"),
        pytest.param(Change(MISSING, 1, records(2, 2)), StaleChange, id="no-such-run"),
        pytest.param(Change(ONE, 1, records(2, 2), summary=DONE), StaleChange, id="behind-with-summary"),
        pytest.param(Change(ONE, 2, records(4, 4)), BugError, id="gap"),
        pytest.param(Change(ONE, 2, (*records(3, 3), *records(5, 5))), BugError, id="inner-gap"),
        pytest.param(Change(MISSING, 0, records(1, 1)), BugError, id="never-started"),
        pytest.param(
            Change(ONE, 2, ((3, NOW, bytes(contract.RECORD_BYTES_MAX + 1)),)), LimitExceeded, id="too-long"
        ),
        pytest.param(
            Change(ONE, 2, records(3, 3), took=(Taken(message=MessageId(5)),)), MessageTaken, id="no-message"
        ),
        pytest.param(
            Change(ONE, 2, records(3, 3), holds=Slot(group="g", maximum=0)), SlotsFull, id="no-slot"
        ),
    ],
)
def test_a_change_that_cannot_be_kept_leaves_nothing(
    store: Store, journal: Journal, change: Change, expected: type[TowpathError]
) -> None:
    """A change is all or nothing, and says why it is nothing."""
    number = start(journal, new_run())
    before = store.reader.run(number)

    error = commit(journal, change)

    assert type(error) is expected
    assert store.reader.run(number) == before
    assert tuple(store.reader.events(number)) == records(1, 2)
    assert tuple(store.reader.events(MISSING)) == ()
    assert commit(journal, Change(number, 2, records(3, 3))) is None


def test_one_bad_change_does_not_spoil_its_group(store: Store, journal: Journal) -> None:
    """Changes that are written together fail one by one."""
    numbers = [start(journal, new_run(f"r{n}")) for n in range(40)]
    answers: dict[int, Exception | None] = {}
    all_told = threading.Event()

    def told(number: RunNumber, error: Exception | None) -> None:
        answers[number] = error
        if len(answers) == len(numbers):
            all_told.set()

    for number in numbers:
        after = 1 if number % 10 == 0 else 2
        change = Change(number, after, records(after + 1, after + 1))
        journal.commit(change, partial(told, number))
    assert all_told.wait(30)

    failed = {number for number, error in answers.items() if isinstance(error, StaleChange)}
    assert failed == {number for number in numbers if number % 10 == 0}
    assert [store.reader.last_sequence(n) for n in numbers] == [2 if n in failed else 3 for n in numbers]


def test_callbacks_come_in_the_order_of_the_commits(store: Store, journal: Journal) -> None:
    """Changes of one run that are committed without waiting are kept and told in order."""
    number = start(journal, new_run())
    told: list[tuple[int, Exception | None]] = []
    last = threading.Event()

    def tell(sequence: int, error: Exception | None) -> None:
        told.append((sequence, error))
        if sequence == 202:
            last.set()

    for sequence in range(3, 203):
        change = Change(number, sequence - 1, records(sequence, sequence))
        journal.commit(change, partial(tell, sequence))
    assert last.wait(30)

    assert told == [(sequence, None) for sequence in range(3, 203)]
    assert store.reader.last_sequence(number) == 202


def test_a_start_key_starts_one_run(store: Store, journal: Journal) -> None:
    """The second start with a key gives the first run and writes nothing (P4)."""
    first = start(journal, new_run("r1", start_key="delivery:7"))

    second = try_start(journal, new_run("r2", start_key="delivery:7"))

    assert second == Started(number=first, id=RunId("r1"), existing=True)
    assert [row.id for row in store.reader.runs()] == ["r1"]
    found = store.reader.run_by_start_key("delivery:7")
    assert found is not None
    assert found.id == "r1"
    assert store.reader.run_by_start_key("delivery:8") is None


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(new_run("r2", records=()), id="no-record"),
        pytest.param(new_run("r2", records=records(2, 2)), id="not-from-one"),
        pytest.param(new_run("used"), id="id-used"),
    ],
)
def test_a_wrong_start_leaves_nothing(store: Store, journal: Journal, wrong: NewRun) -> None:
    """A run that must not exist is refused as our mistake."""
    start(journal, new_run("used"))

    answer = try_start(journal, wrong)

    assert type(answer) is BugError
    assert [row.id for row in store.reader.runs()] == ["used"]


def test_numbers_rise_and_definitions_are_kept_once(store: Store, journal: Journal) -> None:
    """Every run gets the next number; the first to bring a text says where it came from."""
    numbers = [start(journal, new_run(f"r{n}", definition=replace(TEXT, path=f"{n}.yaml"))) for n in range(3)]

    assert numbers == [1, 2, 3]
    assert store.reader.definition("d1") == replace(TEXT, path="0.yaml")
    with pytest.raises(NotFound):
        store.reader.definition("d2")


# Finding and listing.


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("1", "abc1"),
        ("#2", "abd2"),
        (3, "1234"),
        ("abc1", "abc1"),
        ("abc", "abc1"),
        ("1234", "1234"),
        ("12", "1234"),
        ("last", "1234"),
        (" last ", "1234"),
    ],
)
def test_a_run_is_found_by_what_people_type(
    store: Store, journal: Journal, name: str | RunNumber, expected: str
) -> None:
    """A run has a number, an id, a beginning of an id, and may be the last."""
    for run in ("abc1", "abd2", "1234"):
        start(journal, new_run(run))

    assert store.reader.run(name).id == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ab", Refused),
        ("x", NotFound),
        ("", NotFound),
        ("77", NotFound),
        ("%", NotFound),
        ("9" * 30, NotFound),
    ],
)
def test_a_name_that_is_not_one_run_is_refused(
    store: Store, journal: Journal, name: str, expected: type[TowpathError]
) -> None:
    """A name of several runs or of none is an error, never a guess."""
    for run in ("abc1", "abd2"):
        start(journal, new_run(run))

    with pytest.raises(expected):
        store.reader.run(name)


def test_last_of_nothing_is_not_found(store: Store) -> None:
    """An empty store has no last run."""
    with pytest.raises(NotFound):
        store.reader.run("last")


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (RunFilter(), [5, 4, 3, 2, 1]),
        (RunFilter(status=("waiting",)), [4]),
        (RunFilter(status=("waiting", "succeeded")), [4, 3]),
        (RunFilter(workflow="shop"), [5, 4, 3, 1]),
        (RunFilter(environment="production"), [2]),
        (RunFilter(kind="incident"), [5]),
        (RunFilter(owner=OwnerId("o1")), [3]),
        (RunFilter(origin=ONE), [5]),
        (RunFilter(is_open=True), [5, 4, 2, 1]),
        (RunFilter(is_open=False), [3]),
        (RunFilter(is_waiting=True), [4]),
        (RunFilter(is_waiting=False), [5, 3, 2, 1]),
        (RunFilter(since=NOW + 4), [5, 4]),
        (RunFilter(labels={"team": "shop"}), [2, 1]),
        (RunFilter(labels={"team": "shop", "tier": "1"}), [2]),
        (RunFilter(before=RunNumber(4), rows_max=2), [3, 2]),
        (RunFilter(workflow="nothing"), []),
        (RunFilter(text="DB"), [2]),
        (RunFilter(text="PROD tier"), [2]),
        (RunFilter(text="shop ada", is_open=False), [3]),
        (RunFilter(text="#4"), [4]),
        (RunFilter(text="r4"), [4]),
        (RunFilter(text="100%"), []),
        (RunFilter(text="s_op"), []),
        (RunFilter(text="  "), [5, 4, 3, 2, 1]),
        (RunFilter(text="shop nothing"), []),
    ],
)
def test_lists_are_filtered(store: Store, journal: Journal, where: RunFilter, expected: list[int]) -> None:
    """Every filter restricts the list, and they restrict it together."""
    start(journal, new_run("r1", labels={"team": "shop"}))
    start(
        journal, new_run("r2", workflow="db", environment="production", labels={"team": "shop", "tier": "1"})
    )
    start(journal, new_run("r3", owner=OwnerId("o1"), summary=DONE))
    start(journal, new_run("r4", summary=WAITING, accepted_at=NOW + 4))
    start(journal, new_run("r5", kind="incident", origin=ONE, accepted_at=NOW + 5))

    assert [row.number for row in store.reader.runs(where)] == expected


@pytest.mark.parametrize("rows_max", [0, -1, contract.PAGE_ROWS_MAX + 1])
def test_a_page_has_a_limit(store: Store, rows_max: int) -> None:
    """A page without rows or with too many is refused."""
    with pytest.raises(LimitExceeded):
        store.reader.runs(RunFilter(rows_max=rows_max))


@pytest.mark.parametrize("text", ["x" * 201, "a b c d e f g h i"])
def test_a_search_has_a_limit(store: Store, journal: Journal, text: str) -> None:
    """A search of too many words or letters is refused."""
    start(journal, new_run("r1"))

    with pytest.raises(LimitExceeded):
        store.reader.runs(RunFilter(text=text))


def test_open_questions_are_listed_without_a_fold(store: Store, journal: Journal) -> None:
    """What a run asks is listed as it was written, page by page, the oldest run first, until nothing is asked."""
    first = start(journal, new_run("r1", summary=ASKING, environment="production", owner=OwnerId("o1")))
    start(journal, new_run("r2"))
    third = start(journal, new_run("r3"))
    assert commit(journal, Change(third, 2, records(3, 3), replace(RUNNING, questions=(ASKED,)))) is None

    everything = store.reader.open_questions()

    assert [(run.number, run.questions, run.questions_more) for run in everything] == [
        (first, (ASKED,), 4),
        (third, (ASKED,), 0),
    ]
    assert everything[0] == AskingRun(
        number=first,
        id=RunId("r1"),
        workflow="shop",
        kind="task",
        environment="production",
        started_by="user:ada",
        owner=OwnerId("o1"),
        accepted_at=NOW,
        questions=(ASKED,),
        questions_more=4,
    )
    assert store.reader.open_questions(rows_max=1) == everything[:1]
    assert store.reader.open_questions(after=first) == everything[1:]
    assert store.reader.run(first).summary == ASKING
    for number, after in ((first, 2), (third, 3)):
        assert commit(journal, Change(number, after, records(after + 1, after + 1), DONE)) is None
    assert store.reader.open_questions() == ()


@pytest.mark.parametrize("rows_max", [0, 1_001])
def test_a_page_of_questions_has_a_limit(store: Store, rows_max: int) -> None:
    """Nobody gets all questions at once by accident."""
    with pytest.raises(LimitExceeded, match="a page has 1 to 1000 rows"):
        store.reader.open_questions(rows_max=rows_max)


def test_runs_are_counted_by_status(store: Store, journal: Journal) -> None:
    """The counts are those of the summaries."""
    for name, summary in (("r1", RUNNING), ("r2", RUNNING), ("r3", DONE)):
        start(journal, new_run(name, summary=summary))

    assert store.reader.counts() == {"running": 2, "succeeded": 1}


def test_artifacts_are_noted_once(store: Store, journal: Journal) -> None:
    """What a step kept is listed with its run; noting it again replaces the note."""
    number = start(journal, new_run())
    row = ArtifactRow(run=number, path="build", attempt=1, name="a.tgz", digest="d" * 64, size=5, kept_at=NOW)
    other = replace(row, name="b", kept_at=NOW + 1)

    for kept in (other, row, replace(row, size=6), replace(row, size=6)):
        store.keep_artifact(kept)

    assert store.reader.artifacts(number) == (replace(row, size=6), other)
    assert store.reader.artifacts(MISSING) == ()


# Slots.


def test_slots_are_never_more_than_the_group_has(store: Store, journal: Journal) -> None:
    """A full group refuses; a run that ended leaves its place to the next."""
    slot = Slot(group="release", maximum=2)
    first = start(journal, new_run("r1", slot=slot))
    start(journal, new_run("r2", slot=slot))

    refused = try_start(journal, new_run("r3", slot=slot))

    assert type(refused) is SlotsFull
    assert store.reader.slots_taken("release") == 2
    assert commit(journal, Change(first, 2, records(3, 3), summary=DONE)) is None
    assert (store.reader.slots_taken("release"), store.reader.run(first).holds_slot) == (1, False)
    start(journal, new_run("r3", slot=slot))
    assert store.reader.slots_taken("release") == 2
    assert store.reader.slots_taken("other") == 0


def test_a_new_version_gets_no_more_first_runs_than_it_may_have(store: Store, journal: Journal) -> None:
    """Runs of the version are counted when one is accepted; those of others, those that go on from one, and earlier ones do not count."""
    old, new = (Definition(digest=digest, text=f"name: {digest}") for digest in ("old", "new"))
    before = start(journal, new_run("r1", definition=new))
    trial = Trial(after=before, maximum=2)
    first = start(journal, new_run("r2", definition=new, trial=trial))
    start(journal, new_run("r3", definition=old))
    start(journal, new_run("r4", definition=new, origin=first, origin_reason="retry"))
    start(journal, new_run("r5", definition=new, trial=trial, start_key="k"))

    refused = try_start(journal, new_run("r6", definition=new, trial=trial))

    assert type(refused) is TrialFull
    assert try_start(journal, new_run("r7", definition=new, trial=trial, start_key="k")) == Started(
        number=RunNumber(5), id=RunId("r5"), existing=True
    )
    assert [row.id for row in store.reader.runs()] == ["r5", "r4", "r3", "r2", "r1"]
    assert start(journal, new_run("r8", definition=old)) == RunNumber(6)


def test_the_queue_of_a_group_is_first_come_first_served(store: Store, journal: Journal) -> None:
    """Who queues is listed in order, is not overtaken, and holds a slot when its turn has come."""
    slot = Slot(group="release", maximum=1)
    queue = replace(slot, enter="queue")
    holder = start(journal, new_run("r1", slot=slot))
    second, third = (start(journal, new_run(name, slot=queue)) for name in ("r2", "r3"))
    assert [row.number for row in store.reader.slot_queue("release")] == [second, third]
    assert type(commit(journal, Change(second, 2, records(3, 3), holds=slot))) is SlotsFull

    assert commit(journal, Change(holder, 2, records(3, 3), summary=DONE)) is None

    assert type(try_start(journal, new_run("r4", slot=slot))) is SlotsFull
    assert type(commit(journal, Change(third, 2, records(3, 3), holds=slot))) is SlotsFull
    assert commit(journal, Change(second, 2, records(3, 3), holds=slot)) is None
    assert [row.number for row in store.reader.slot_queue("release")] == [third]
    row = store.reader.run(second)
    assert (row.slot_group, row.holds_slot) == ("release", True)


def test_a_run_that_may_overtake_does(store: Store, journal: Journal) -> None:
    """Without `in_turn` only the number of places counts."""
    start(journal, new_run("r1", slot=Slot(group="g", enter="queue")))

    start(journal, new_run("r2", slot=Slot(group="g", in_turn=False)))

    assert store.reader.slots_taken("g") == 1


def test_a_run_that_ends_in_the_queue_leaves_it(store: Store, journal: Journal) -> None:
    """A cancelled run queues no more."""
    number = start(journal, new_run("r1", slot=Slot(group="g", enter="queue")))

    assert commit(journal, Change(number, 2, records(3, 3), summary=DONE)) is None

    assert store.reader.slot_queue("g") == ()


def test_an_environment_has_only_so_many_places(store: Store, journal: Journal) -> None:
    """A run has one place however often it asks; what finds none is not kept; whoever ends has left."""
    place = Place(environment="production", maximum=2)
    runs = [start(journal, new_run(name)) for name in ("r1", "r2", "r3")]
    first, second, third = runs
    assert commit(journal, Change(first, 2, records(3, 3), enters=place)) is None
    assert commit(journal, Change(first, 3, records(4, 4), enters=place)) is None
    assert commit(journal, Change(second, 2, records(3, 3), enters=place)) is None
    assert store.reader.places_taken("production") == (first, second)

    assert type(commit(journal, Change(third, 2, records(3, 3), enters=place))) is PlacesFull

    assert (store.reader.last_sequence(third), store.reader.places_taken("staging")) == (2, ())
    assert (
        commit(journal, Change(third, 2, records(3, 3), enters=replace(place, environment="staging"))) is None
    )
    assert commit(journal, Change(first, 4, records(5, 5), summary=DONE)) is None
    assert commit(journal, Change(third, 3, records(4, 4), enters=place)) is None
    assert store.reader.places_taken("production") == (second, third)


# Messages between processes.


def test_messages_reach_the_owner_in_order(views: Views, journal: Journal) -> None:
    """Another process posts; the owner of the run gets it once, and nobody else does."""
    number, owner = owned_run(views.main, journal)
    elsewhere = views.another()
    other = elsewhere.owners.enter("tow ps")

    posted = [elsewhere.mailbox.post(number, text) for text in (b"one", b"two")]

    assert elsewhere.mailbox.take(other) == ()
    taken = views.main.mailbox.take(owner)
    assert [(message.id, message.run, message.stimulus) for message in taken] == [
        (posted[0], number, b"one"),
        (posted[1], number, b"two"),
    ]
    assert views.main.mailbox.take(owner) == ()
    third = elsewhere.mailbox.post(number, b"three")
    assert [message.id for message in views.main.mailbox.take(owner)] == [third]


def test_a_message_is_taken_with_the_change_that_it_causes(views: Views, journal: Journal) -> None:
    """A message is gone when its records are durable; its sender reads the reply; nobody takes it again."""
    number, _ = owned_run(views.main, journal)
    message = views.main.mailbox.post(number, b"cancel")
    assert views.main.mailbox.message(message).taken_at is None

    assert (
        commit(journal, Change(number, 2, records(3, 3), took=(Taken(message=message, reply=b"ok"),))) is None
    )

    seen = views.another().mailbox.message(message)
    assert seen == Message(
        id=message,
        run=number,
        posted_at=seen.posted_at,
        stimulus=b"cancel",
        taken_at=seen.taken_at,
        reply=b"ok",
    )
    assert seen.taken_at is not None
    again = Change(number, 3, records(4, 4), took=(Taken(message=message),))
    assert type(commit(journal, again)) is MessageTaken


def test_a_message_may_be_answered_without_a_record(store: Store, journal: Journal) -> None:
    """What changes nothing is still taken, with its reply."""
    number, _ = owned_run(store, journal)
    message = store.mailbox.post(number, b"answer")

    assert commit(journal, Change(number, 2, (), took=(Taken(message=message, reply=b"too late"),))) is None

    assert store.mailbox.message(message).reply == b"too late"
    assert store.reader.last_sequence(number) == 2


def test_letters_are_answered_in_the_group_of_the_change_before_them(views: Views, journal: Journal) -> None:
    """Of many letters that come at once the first one counts, and every other gets its refusal, not silence."""
    number, owner = owned_run(views.main, journal)
    mailbox = views.main.mailbox
    letters = [mailbox.post(number, b"approve") for _ in range(64)]
    answers: list[Exception | None] = []
    all_told = threading.Event()

    def told(error: Exception | None) -> None:
        answers.append(error)
        if len(answers) == len(letters):
            all_told.set()

    journal.commit(Change(number, 2, records(3, 3), took=(Taken(message=letters[0], reply=b"yes"),)), told)
    for letter in letters[1:]:
        journal.commit(Change(number, 3, (), took=(Taken(message=letter, reply=b"no"),)), told)
    assert all_told.wait(30)

    assert answers == [None] * len(letters)
    assert [mailbox.message(letter).reply for letter in letters] == [b"yes"] + [b"no"] * 63
    assert mailbox.take(owner) == ()


def test_a_message_for_another_run_is_not_taken(store: Store, journal: Journal) -> None:
    """A change takes messages of its own run only."""
    first, _ = owned_run(store, journal, "r1")
    second, _ = owned_run(store, journal, "r2")
    took = (Taken(message=store.mailbox.post(first, b"x")),)

    assert type(commit(journal, Change(second, 2, records(3, 3), took=took))) is MessageTaken


def test_a_message_can_start_a_run(store: Store, journal: Journal) -> None:
    """A message that asks for another run is taken with the start of that run."""
    first, _ = owned_run(store, journal, "r1")
    message = store.mailbox.post(first, b"rerun")

    number = start(journal, new_run("r2", origin=first, took=(Taken(message=message, reply=b"r2"),)))

    assert store.reader.run(number).origin == first
    assert store.mailbox.message(message).reply == b"r2"


def test_waiting_messages_go_to_who_takes_the_run_over(views: Views, journal: Journal) -> None:
    """A message that the dead owner had not acted on waits for the next one."""
    number, owner = owned_run(views.main, journal)
    message = views.main.mailbox.post(number, b"cancel")
    assert len(views.main.mailbox.take(owner)) == 1
    views.main.owners.leave(owner)
    elsewhere = views.another()
    heir = elsewhere.owners.enter("tow resume")

    assert elsewhere.owners.claim(number, heir)

    assert [found.id for found in elsewhere.mailbox.take(heir)] == [message]


def test_a_mailbox_refuses_what_it_cannot_hold(
    store: Store, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages to no run, too long ones and too many are errors with a name."""
    number, _ = owned_run(store, journal)
    monkeypatch.setattr("towpath.store.mailbox.MAILBOX_MESSAGES_MAX", 2)

    with pytest.raises(NotFound):
        store.mailbox.post(MISSING, b"x")
    with pytest.raises(LimitExceeded, match="longer"):
        store.mailbox.post(number, bytes(contract.STIMULUS_BYTES_MAX + 1))
    for _ in range(2):
        store.mailbox.post(number, b"x")
    with pytest.raises(LimitExceeded, match="wait for run"):
        store.mailbox.post(number, b"x")
    with pytest.raises(NotFound):
        store.mailbox.message(MessageId(99))


# Owners.


def test_an_owner_lives_until_it_leaves(views: Views) -> None:
    """Everybody sees who lives; who left has stopped; who never was is dead."""
    owner = views.main.owners.enter("tow up")
    elsewhere = views.another()

    assert elsewhere.owners.life(owner) is Life.ALIVE
    listed = [(row.id, row.command, row.life) for row in elsewhere.owners.owners()]
    assert listed == [(owner, "tow up", Life.ALIVE)]
    views.main.owners.leave(owner)
    assert elsewhere.owners.life(owner) is Life.STOPPED
    assert elsewhere.owners.owners() == ()
    assert elsewhere.owners.life(OwnerId("nobody")) is Life.DEAD


def test_an_owner_that_left_an_open_run_is_still_listed(views: Views, journal: Journal) -> None:
    """`tow ps` can say whose run waits to be resumed."""
    _, owner = owned_run(views.main, journal)

    views.main.owners.leave(owner)

    assert [(row.id, row.life) for row in views.another().owners.owners()] == [(owner, Life.STOPPED)]


def test_a_run_is_claimed_from_the_gone_only(views: Views, journal: Journal) -> None:
    """A run with a living owner stays with it; then exactly one gets it."""
    number, owner = owned_run(views.main, journal)
    second, third = views.another(), views.another()
    heirs = (second.owners.enter("tow resume"), third.owners.enter("tow resume"))
    assert not second.owners.claim(number, heirs[0])

    views.main.owners.leave(owner)

    assert second.owners.claim(number, heirs[0])
    assert second.owners.claim(number, heirs[0])
    assert not third.owners.claim(number, heirs[1])
    assert views.main.reader.run(number).owner == heirs[0]


def test_a_run_without_owner_may_be_claimed(store: Store, journal: Journal) -> None:
    """A run that nobody owns goes to the first; a run that does not exist to nobody."""
    number = start(journal, new_run(owner=None))
    owner = store.owners.enter("tow resume")

    assert store.owners.claim(number, owner)

    with pytest.raises(NotFound):
        store.owners.claim(MISSING, owner)


# The rest.


def test_the_list_can_be_rebuilt_from_the_journal(store: Store, journal: Journal) -> None:
    """Every row is derived: written anew, the list is the same, the owners included."""
    number, _ = owned_run(store, journal)
    start(
        journal,
        new_run("r2", slot=Slot(group="g"), labels={"a": "b"}, start_key="k", summary=ASKING),
    )
    assert commit(journal, Change(number, 2, records(3, 3), summary=DONE)) is None
    before = store.reader.runs()
    lengths: dict[int, int] = {}

    def projection(run: RunNumber, of_run: Iterable[Record]) -> RunRow:
        lengths[run] = len(tuple(of_run))
        row = next(row for row in before if row.number == run)
        return replace(row, owner=None, last_sequence=0)

    assert store.rebuild(projection) == 2

    assert store.reader.runs() == before
    assert lengths == {1: 3, 2: 2}
    assert start(journal, new_run("r3")) == 3


def test_a_closed_journal_keeps_what_was_committed_and_refuses_the_rest(store: Store) -> None:
    """Closing loses nothing; after it nothing is acknowledged."""
    journal = store.open_journal(call_now)
    number = start(journal, new_run())
    answers: list[Exception | None] = []
    for sequence in range(3, 53):
        journal.commit(Change(number, sequence - 1, records(sequence, sequence)), answers.append)

    journal.close()
    journal.commit(Change(number, 52, records(53, 53)), answers.append)

    assert answers[:50] == [None] * 50
    assert type(answers[50]) is StoreUnavailable
    assert store.reader.last_sequence(number) == 52


def test_a_callback_that_raises_does_not_rob_the_others(store: Store) -> None:
    """One mistake in the engine must not keep the answers of other runs."""
    delivered: list[tuple[Callable[..., object], tuple[object, ...]]] = []
    journal = store.open_journal(lambda callback, *values: delivered.append((callback, values)))
    told: list[object] = []

    def fail(_answer: object) -> None:
        raise ZeroDivisionError

    for name in ("r1", "r2", "r3"):
        journal.start(new_run(name), fail if name == "r1" else told.append)
    journal.close()
    for callback, values in delivered:
        try:
            callback(*values)
        except ZeroDivisionError:
            continue

    assert len(told) == 2
