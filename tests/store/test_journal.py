"""The journal on SQLite: what only a disk, a loop or another process can show."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import threading
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from store_support import DONE, answer_of, call_now, commit, new_run, program, records, start

from towpath.core.run import RunId
from towpath.errors import LimitExceeded, StoreUnavailable
from towpath.store import journal as journal_module
from towpath.store import writing
from towpath.store.chain import Chain
from towpath.store.contract import Change, RunNumber, StaleChange, Started
from towpath.store.sqlite import SqliteStore, open_reader, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from towpath.store.journal import SqliteJournal

ONE = RunNumber(1)


@pytest.fixture
def journal(store: SqliteStore) -> Iterator[SqliteJournal]:
    """Give a journal whose callbacks come at once, from its thread."""
    opened = store.open_journal(call_now)
    yield opened
    opened.close()


class Held:
    """A connection that stands still before its next writing statement, until it is let go."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self.commits = 0

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        """Wait, then do it."""
        self.commits += sql == "COMMIT"
        self.reached.set()
        assert self.go_on.wait(60)
        return self._connection.execute(sql, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class Failing:
    """A connection whose statements that begin with *prefix* fail like a sick disk."""

    def __init__(self, connection: sqlite3.Connection, prefix: str, code: int) -> None:
        self._connection = connection
        self._prefix = prefix
        self._code = code
        self.calls = 0

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        """Fail, or do it."""
        if sql.startswith(self._prefix):
            self.calls += 1
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = self._code
            raise error
        return self._connection.execute(sql, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def test_what_gathers_meanwhile_shares_one_commit(store: SqliteStore, journal: SqliteJournal) -> None:
    """While a group waits for the disk the next ones gather, and cost one sync together."""
    runs = [start(journal, new_run(f"r{n}")) for n in range(20)]
    held = Held(journal._there)
    journal._there = held  # type: ignore[assignment] # stands in for the connection
    told: list[Exception | None] = []
    for run in runs:
        journal.commit(Change(run, 2, records(3, 3), summary=DONE), told.append)
    assert held.reached.wait(60)
    for run in runs:
        journal.commit(Change(run, 3, records(4, 4), summary=DONE), told.append)

    held.go_on.set()
    journal.close()

    assert told == [None] * 40
    assert held.commits <= 3
    assert [store.reader.last_sequence(run) for run in runs] == [4] * 20


def test_a_mixed_group_is_written_as_if_one_by_one(store: SqliteStore, journal: SqliteJournal) -> None:
    """Starts, changes, repeated keys and refusals of one group do not disturb each other."""
    runs = [start(journal, new_run(f"r{n}", start_key=f"key {n}")) for n in range(3)]
    held = Held(journal._there)
    journal._there = held  # type: ignore[assignment] # stands in for the connection
    told: dict[str, Any] = {}
    journal.commit(Change(runs[0], 2, records(3, 3)), partial(told.__setitem__, "first"))
    assert held.reached.wait(60)
    tell = {name: partial(told.__setitem__, name) for name in ("new", "same", "old", "end", "plain")}
    journal.start(new_run("new", start_key="fresh"), tell["new"])
    journal.start(new_run("same", start_key="fresh"), tell["same"])
    journal.start(new_run("old", start_key="key 1"), tell["old"])
    journal.commit(Change(runs[1], 2, records(3, 3), summary=DONE), tell["end"])
    journal.commit(Change(runs[2], 2, records(3, 70)), tell["plain"])

    held.go_on.set()
    journal.close()

    new = Started(number=RunNumber(4), id=RunId("new"))
    assert told == {
        "first": None,
        "new": new,
        "same": replace(new, existing=True),
        "old": Started(number=runs[1], id=RunId("r1"), existing=True),
        "end": None,
        "plain": None,
    }
    assert [store.reader.last_sequence(run) for run in (*runs, new.number)] == [3, 3, 70, 2]
    assert store.reader.run(runs[1]).summary == DONE
    assert [row.id for row in store.reader.runs()] == ["new", "r2", "r1", "r0"]


def test_one_wake_up_serves_a_whole_group(store: SqliteStore) -> None:
    """Callbacks of a group come with one delivery, not one each."""
    deliveries: list[tuple[object, ...]] = []

    def deliver(callback: Callable[..., object], *values: object) -> None:
        deliveries.append(values)
        callback(*values)

    journal = store.open_journal(deliver)
    held = Held(journal._there)
    journal._there = held  # type: ignore[assignment] # stands in for the connection
    told: list[object] = []
    for n in range(50):
        journal.start(new_run(f"r{n}"), told.append)

    held.go_on.set()
    journal.close()

    assert len(told) == 50
    assert len(deliveries) <= 2


@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_WRITE]
)
@pytest.mark.parametrize("prefix", ["INSERT INTO journal", "BEGIN", "COMMIT"])
def test_a_sick_disk_stops_the_journal_for_good(
    store: SqliteStore, journal: SqliteJournal, prefix: str, code: int
) -> None:
    """After a failed write or sync nothing is acknowledged and nothing is tried again (P11)."""
    run = start(journal, new_run())
    failing = Failing(journal._there, prefix, code)
    journal._there = failing  # type: ignore[assignment] # stands in for the connection
    summary = None if prefix.startswith("INSERT") else DONE

    first = commit(journal, Change(run, 2, records(3, 3), summary=summary))
    second = commit(journal, Change(run, 2, records(3, 3)))

    assert type(first) is StoreUnavailable
    assert second is first
    assert journal.stopped is first
    assert first.help
    assert failing.calls == 1
    assert store.reader.last_sequence(run) == 2


def test_a_failed_sync_of_the_database_file_stops_the_journal(journal: SqliteJournal) -> None:
    """Moving the write-ahead log is checked too: SQLite itself would pass over the failure."""
    run = start(journal, new_run())
    failing = Failing(journal._there, "PRAGMA wal_checkpoint", sqlite3.SQLITE_IOERR_FSYNC)
    journal._there = failing  # type: ignore[assignment] # stands in for the connection

    journal._checkpoint()

    assert type(commit(journal, Change(run, 2, records(3, 3)))) is StoreUnavailable
    assert failing.calls == 1


def test_a_full_disk_refuses_new_work_and_a_restart_goes_on(data: Path) -> None:
    """When SQLite finds no room, what was acknowledged stays and a new journal goes on behind it."""
    store = open_store(data)
    journal = store.open_journal(call_now)
    run = start(journal, new_run())
    (pages,) = journal._there.execute("PRAGMA page_count").fetchone()
    journal._there.execute(f"PRAGMA max_page_count = {pages + 20}")
    acknowledged, error = 2, None
    while error is None:
        change = Change(run, acknowledged, records(acknowledged + 1, acknowledged + 1, size=2_000))
        error = commit(journal, change)
        acknowledged += error is None

    assert type(error) is StoreUnavailable
    assert "full" in error.message
    assert type(answer_of(lambda told: journal.start(new_run("r2"), told))) is StoreUnavailable
    assert store.reader.last_sequence(run) == acknowledged > 2
    store.close()
    again = open_store(data)
    second = again.open_journal(call_now)
    assert commit(second, Change(run, acknowledged, records(acknowledged + 1, acknowledged + 1))) is None
    again.close()


@pytest.mark.parametrize("where", ["here", "there"])
def test_a_file_that_may_not_grow_stops_the_process_cleanly(data: Path, where: str) -> None:
    """A write that the kernel refuses is told as such; everything acknowledged is there afterwards."""
    open_store(data).close()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    with program("chain", data, where) as chain:
        resource.prlimit(chain.pid, resource.RLIMIT_FSIZE, (400_000, before[1]))
        lines = chain.communicate(timeout=60)[0].splitlines()

    assert lines[-1].startswith("stopped StoreUnavailable")
    acknowledged = int(lines[-2])
    reader = open_reader(data)
    assert reader.last_sequence(ONE) == acknowledged
    assert [sequence for sequence, _, _ in reader.events(ONE)] == list(range(1, acknowledged + 1))
    reader.close()


@pytest.mark.parametrize("where", ["here", "there"])
def test_a_failing_sync_of_the_kernel_stops_the_process(data: Path, where: str) -> None:
    """A real sync that fails is told, nothing behind it is acknowledged, and a restart goes on."""
    open_store(data).close()
    failing = ["strace", "-f", "-o", "/dev/null", "-e", "trace=fdatasync,fsync"]
    failing += ["-e", "inject=fdatasync:error=EIO:when=40"]

    with program("chain", data, where, through=failing) as chain:
        lines = chain.communicate(timeout=60)[0].splitlines()

    assert lines[-1].startswith("stopped StoreUnavailable")
    acknowledged = int(lines[-2])
    store = open_store(data)
    last = store.reader.last_sequence(ONE)
    assert acknowledged <= last <= acknowledged + 1
    journal = store.open_journal(call_now)
    assert commit(journal, Change(ONE, last, records(last + 1, last + 1))) is None
    store.close()


@pytest.mark.parametrize("where", ["here", "there"])
@pytest.mark.parametrize("lines", [1, 7, 40, 300])
def test_what_was_acknowledged_survives_a_kill(data: Path, where: str, lines: int) -> None:
    """`kill -9` between commits loses nothing that was acknowledged, and leaves no gap (P1)."""
    with program("chain", data, where) as chain:
        assert chain.stdout is not None
        chain.stdout.readline()
        acknowledged = [int(chain.stdout.readline()) for _ in range(lines)][-1]
        chain.kill()
        rest = [int(line) for line in chain.communicate(timeout=60)[0].split()]

    store = open_store(data)
    kept = [sequence for sequence, _, _ in store.reader.events(ONE)]
    assert kept == list(range(1, len(kept) + 1))
    assert len(kept) >= max([acknowledged, *rest])
    journal = store.open_journal(call_now)
    assert commit(journal, Change(ONE, len(kept), records(len(kept) + 1, len(kept) + 1))) is None
    store.close()


def in_a_loop(store: SqliteStore, play: Callable[[asyncio.AbstractEventLoop, SqliteJournal], Any]) -> Any:
    """Run a coroutine with a journal that may write in the loop's own thread."""

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        journal = store.open_journal(loop.call_soon_threadsafe, loop.call_soon)
        try:
            return await asyncio.wait_for(play(loop, journal), timeout=60)
        finally:
            journal.close()

    return asyncio.run(main())


async def chain(loop: asyncio.AbstractEventLoop, journal: SqliteJournal, last: int) -> list[object]:
    """Start a run and commit one change after the other."""
    started = loop.create_future()
    journal.start(new_run(), started.set_result)
    run = (await started).number
    answers: list[object] = []
    for sequence in range(3, last + 1):
        durable = loop.create_future()
        journal.commit(Change(run, sequence - 1, records(sequence, sequence, size=300)), durable.set_result)
        answers.append(await durable)
    return answers


def test_a_lone_change_is_written_in_its_turn_of_the_loop(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a quick disk one sequential run needs no thread."""
    monkeypatch.setattr(journal_module, "HERE_SECONDS_MAX", 3_600.0)
    there: list[int] = []
    write_there = journal_module.SqliteJournal._write_there

    def watch(self: SqliteJournal, group: list[Any]) -> None:
        there.append(len(group))
        write_there(self, group)

    monkeypatch.setattr(journal_module.SqliteJournal, "_write_there", watch)

    answers = in_a_loop(store, lambda loop, journal: chain(loop, journal, 100))

    assert answers == [None] * 98
    assert there == []
    assert store.reader.last_sequence(ONE) == 100


def test_a_slow_disk_is_left_to_the_thread(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that needs longer than a moment does not hold up the loop."""
    monkeypatch.setattr(journal_module, "HERE_SECONDS_MAX", 0.0)
    threads: set[int] = set()
    write_group = writing.write_group

    def watch(connection: sqlite3.Connection, group: list[Any], links: Chain) -> Any:
        threads.add(threading.get_ident())
        return write_group(connection, group, links)

    monkeypatch.setattr(journal_module, "write_group", watch)

    answers = in_a_loop(store, lambda loop, journal: chain(loop, journal, 50))

    assert answers == [None] * 48
    assert threading.get_ident() not in threads
    assert store.reader.last_sequence(ONE) == 50


def test_the_write_ahead_log_stays_short(
    store: SqliteStore, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that never pauses does not make the log grow for ever."""
    monkeypatch.setattr(journal_module, "CHECKPOINT_PAGES", 50)
    longest = 0

    async def play(loop: asyncio.AbstractEventLoop, journal: SqliteJournal) -> None:
        nonlocal longest
        await chain(loop, journal, 1_000)
        longest = (data / "towpath.db-wal").stat().st_size

    in_a_loop(store, play)

    assert 0 < longest < 500 * 4_096


def test_another_writer_holds_nobody_up_but_the_commit(store: SqliteStore, data: Path) -> None:
    """While another process writes, the loop goes on, and the commit follows when the other is done."""
    other = sqlite3.connect(data / "towpath.db", isolation_level=None, check_same_thread=False)
    turns = 0

    async def play(loop: asyncio.AbstractEventLoop, journal: SqliteJournal) -> object:
        nonlocal turns
        await chain(loop, journal, 3)
        other.execute("BEGIN IMMEDIATE")
        durable = loop.create_future()
        journal.commit(Change(ONE, 3, records(4, 4)), durable.set_result)
        for _ in range(200):
            await asyncio.sleep(0)
            turns += 1
        assert not durable.done()
        other.execute("COMMIT")
        return await durable

    assert in_a_loop(store, play) is None
    assert turns == 200
    assert store.reader.last_sequence(ONE) == 4
    other.close()


def test_order_holds_between_the_loop_and_the_thread(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small groups and large ones, mixed without waiting, are kept and told in order."""
    monkeypatch.setattr(journal_module, "HERE_SECONDS_MAX", 3_600.0)
    monkeypatch.setattr(journal_module, "CHECKPOINT_PAGES", 20)
    told: list[int] = []

    async def play(loop: asyncio.AbstractEventLoop, journal: SqliteJournal) -> None:
        await chain(loop, journal, 3)
        done = loop.create_future()

        def tell(sequence: int, error: Exception | None) -> None:
            told.append(sequence if error is None else -1)
            if sequence == 1_000:
                done.set_result(None)

        for sequence in range(4, 1_001):
            journal.commit(Change(ONE, sequence - 1, records(sequence, sequence)), partial(tell, sequence))
            if sequence % 13 < 4:
                await asyncio.sleep(0)
        await done

    in_a_loop(store, play)

    assert told == list(range(4, 1_001))


def test_closing_from_another_thread_loses_no_answer(store: SqliteStore) -> None:
    """While one thread commits and another closes, each change is answered exactly once."""
    answers: list[object] = []
    committed = 0

    async def play(loop: asyncio.AbstractEventLoop, journal: SqliteJournal) -> None:
        nonlocal committed
        await chain(loop, journal, 3)
        closing = loop.run_in_executor(None, journal.close)
        while not closing.done():
            journal.commit(Change(ONE, 3 + committed, records(4 + committed, 4 + committed)), answers.append)
            committed += 1
            await asyncio.sleep(0)
        await closing
        await asyncio.sleep(0)

    in_a_loop(store, play)

    kept = answers.count(None)
    assert len(answers) == committed
    assert store.reader.last_sequence(ONE) == 3 + kept
    assert {type(answer) for answer in answers} <= {type(None), StoreUnavailable}


def test_the_queue_has_a_limit(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes that nobody can write any more are refused, not gathered for ever (P9)."""
    monkeypatch.setattr(journal_module, "QUEUED_CHANGES_MAX", 5)
    journal = store.open_journal(call_now)
    held = Held(journal._there)
    journal._there = held  # type: ignore[assignment] # stands in for the connection
    told: list[object] = []

    for n in range(8):
        journal.start(new_run(f"r{n}"), told.append)

    assert [type(answer) for answer in told] == [LimitExceeded] * 3
    held.go_on.set()
    journal.close()
    assert len(told) == 8


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal SET record = x'00'",
        "DELETE FROM journal",
        "INSERT INTO journal (run, sequence, at, record) VALUES (1, 9, 1, x'00')",
        "INSERT INTO journal (run, sequence, at, record) VALUES (1, 3, 1, 'text')",
        "INSERT INTO journal (run, sequence, at, record) VALUES (1, 0, 1, x'00')",
    ],
)
def test_the_database_itself_guards_the_journal(
    store: SqliteStore, journal: SqliteJournal, statement: str
) -> None:
    """Nobody who has the file open changes, removes or skips a record by mistake."""
    start(journal, new_run())

    with store._desk.connection() as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(statement)

    assert tuple(store.reader.events(ONE)) == records(1, 2)


def test_two_processes_that_drive_one_run_do_not_mix(
    store: SqliteStore, journal: SqliteJournal, data: Path
) -> None:
    """The second to continue from the same record is refused as a whole."""
    run = start(journal, new_run())
    with open_store_of(data) as other:
        rival = other.open_journal(call_now)
        assert commit(rival, Change(run, 2, records(3, 4))) is None

        assert type(commit(journal, Change(run, 2, records(3, 3), summary=DONE))) is StaleChange

    assert store.reader.last_sequence(run) == 4
    assert store.reader.run(run).is_open


class open_store_of:  # noqa: N801 - reads as a function
    """Open a store for the length of a block."""

    def __init__(self, data: Path) -> None:
        self._store = open_store(data)

    def __enter__(self) -> SqliteStore:
        return self._store

    def __exit__(self, *_: object) -> None:
        self._store.close()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(lambda _: b"not a database" * 1_000, "damaged", id="another-file"),
        pytest.param(lambda whole: whole[:100] + bytes(8_000) + whole[8_100:], "damaged", id="overwritten"),
        pytest.param(lambda whole: whole[:5_000], "damaged", id="cut-short"),
    ],
)
def test_a_damaged_database_names_the_way_back(
    data: Path, damage: Callable[[bytes], bytes], message: str
) -> None:
    """A file that is no sound database is a clear error that says `tow restore`, at opening or at reading."""
    store = open_store(data)
    journal = store.open_journal(call_now)
    start(journal, new_run())
    store.close()
    path = data / "towpath.db"
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(StoreUnavailable, match=message) as caught:
        open_reader(data).run(ONE)

    assert "tow restore" in caught.value.help


def test_a_reader_of_nothing_says_so(data: Path) -> None:
    """Looking at a project in which nothing ran makes no files and explains itself."""
    with pytest.raises(StoreUnavailable, match="no database"):
        open_reader(data)

    assert not data.exists()
