"""Owners and mailboxes between real processes."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

import pytest
from store_support import call_now, new_run, program, start

from towpath.errors import StoreUnavailable
from towpath.store.contract import Life, OwnerId, RunNumber
from towpath.store.sqlite import SqliteStore, open_store

if TYPE_CHECKING:
    from pathlib import Path

RIVALS = 4


def race(data: Path, wish: str) -> list[str]:
    """Let several processes want the same at the same moment; returns what each got."""
    rivals = [program("rival", data, wish, f"rival{n}") for n in range(RIVALS)]
    for rival in rivals:
        assert rival.stdout is not None
        assert rival.stdout.readline() == "ready\n"
    for rival in rivals:
        assert rival.stdin is not None
        rival.stdin.write("go\n")
        rival.stdin.flush()
    got = [rival.stdout.readline() for rival in rivals if rival.stdout is not None]
    for rival in rivals:
        rival.communicate("end\n", timeout=60)
    assert [rival.returncode for rival in rivals] == [0] * RIVALS
    return got


def test_processes_that_start_with_the_same_key_get_one_run(data: Path) -> None:
    """Of several processes with the same start keys one starts each run, and all learn which (P4)."""
    open_store(data).close()

    got = race(data, "start")

    assert len(set(got)) == 1
    store = open_store(data)
    assert sorted(row.id for row in store.reader.runs()) == sorted(got[0].split())
    store.close()


def test_a_run_is_claimed_by_one_of_many_processes(data: Path) -> None:
    """However many try at once, a run whose owner died has one new owner."""
    store = open_store(data)
    journal = store.open_journal(call_now)
    for n in range(30):
        start(journal, new_run(f"r{n}", owner=OwnerId("dead")))

    got = race(data, "claim")

    claimed = [int(run) for line in got for run in line.split()]
    assert sorted(claimed) == list(range(1, 31))
    store.close()


def test_messages_of_many_processes_arrive_once_and_in_order(data: Path) -> None:
    """What several processes post at once is all there; each one's messages are in its order."""
    store = open_store(data)
    journal = store.open_journal(call_now)
    owner = store.owners.enter("test")
    start(journal, new_run(owner=owner))

    race(data, "post")

    taken = [message.stimulus.decode() for message in store.mailbox.take(owner)]
    by_rival = [[text for text in taken if text.startswith(f"rival{n} ")] for n in range(RIVALS)]
    assert by_rival == [[f"rival{n} {count}" for count in range(30)] for n in range(RIVALS)]
    assert store.mailbox.take(owner) == ()
    store.close()


def test_a_killed_owner_is_dead_at_once(store: SqliteStore, data: Path) -> None:
    """The kernel lets go of the lock with the process; no clock and no process number is asked."""
    chain = program("chain", data, "there")
    assert chain.stdout is not None
    _, run, owner = chain.stdout.readline().split()
    mine = store.owners.enter("tow resume")
    assert store.owners.life(OwnerId(owner)) is Life.ALIVE
    assert not store.owners.claim(RunNumber(int(run)), mine)

    chain.kill()
    chain.communicate(timeout=60)

    assert store.owners.life(OwnerId(owner)) is Life.DEAD
    listed = {row.id: row.life for row in store.owners.owners()}
    assert listed == {mine: Life.ALIVE, OwnerId(owner): Life.DEAD}
    assert store.owners.claim(RunNumber(int(run)), mine)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_does_not_keep_its_parent_alive(store: SqliteStore) -> None:
    """A child that outlives its parent must not look like the owner."""
    owner = store.owners.enter("parent")
    ready, done = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.write(ready[1], b".")
        os.read(done[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    descriptor = store.owners._held[owner]

    os.close(descriptor)
    store.owners._held.clear()

    assert store.owners.life(owner) is Life.DEAD
    os.write(done[1], b".")
    os.waitpid(child, 0)
    for end in (*ready, *done):
        os.close(end)


def test_a_program_that_a_step_runs_does_not_inherit_the_lock(store: SqliteStore) -> None:
    """Descriptors of locks are closed on exec."""
    owner = store.owners.enter("parent")

    assert not os.get_inheritable(store.owners._held[owner])


def test_lock_files_of_the_dead_are_removed(store: SqliteStore, data: Path) -> None:
    """The next owner cleans up; the files of the living stay."""
    alive = store.owners.enter("alive")
    (data / "owners" / "0123456789abcdef.lock").write_text("1\n")
    stale = data / "owners" / "fedcba9876543210.new"
    stale.write_text("")
    os.utime(stale, (0, 0))

    second = store.owners.enter("second")

    assert sorted(path.stem for path in (data / "owners").iterdir()) == sorted([alive, second])


def test_leaving_removes_the_lock_file(store: SqliteStore, data: Path) -> None:
    """A process that ends properly leaves nothing behind."""
    owner = store.owners.enter("x")

    store.owners.leave(owner)
    store.owners.leave(owner)

    assert list((data / "owners").iterdir()) == []


def test_an_owner_that_cannot_be_noted_holds_no_lock(store: SqliteStore, data: Path) -> None:
    """Entering is all or nothing."""
    with store._desk.connection() as connection:
        connection.execute("ALTER TABLE owners RENAME TO elsewhere")

    with pytest.raises(StoreUnavailable, match="owners"):
        store.owners.enter("x")

    assert list((data / "owners").iterdir()) == []


def test_an_owner_file_is_locked_before_it_can_be_seen(
    store: SqliteStore, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can take a beginning owner for a dead one."""
    seen: list[list[str]] = []
    flock = fcntl.flock

    def watch(descriptor: int, operation: int) -> None:
        seen.append([path.suffix for path in (data / "owners").iterdir()])
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", watch)

    store.owners.enter("x")

    assert seen[0] == [".new"]
