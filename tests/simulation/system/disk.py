"""The disk of a simulated machine, and the store that processes open on it.

Everything that a process writes becomes one operation in a log, in the order of writing; the tables are nothing but the fold of that
log, kept by the store's twin in memory. A change is on the disk some time after it was handed in, and its writer hears of it some time
after that, so a process may die before its change is durable, and after it but before it knows.

A power loss tears the log off behind what was synced. An honest disk has synced whatever was acknowledged; with `syncs=False` it has
not, which must be noticed: it proves that the simulator sees losses.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from simulation.system.machine import SECOND, Machine, ProcessLoop
from towpath.core.run import Micros
from towpath.errors import BugError, StoreUnavailable
from towpath.store import memory
from towpath.store.contract import (
    ArtifactRow,
    Change,
    Deliver,
    Life,
    Message,
    MessageId,
    NewNotice,
    NewRun,
    OnDurable,
    OnStarted,
    OwnerId,
    OwnerRow,
    Projection,
    RunNumber,
    SendingEnded,
    SendingFilter,
    SendingId,
    SendingRow,
    SendingState,
    Started,
)
from towpath.store.memory_outbox import MemoryOutbox

WRITE_MICROS_MAX: Final = 4_000
"""How long a group of changes may take to the disk, where the disk is as it should be."""
HEARD_MICROS_MAX: Final = 2_000
"""How long its writer may take to hear of it."""

SYNCS_SELDOM: Final = 8
"""One write in so many is synced, where the disk does not sync each."""
Callback: TypeAlias = Callable[[Any], None]


class Observer(Protocol):
    """Who looks on while the disk is written."""

    def wrote_change(self, change: Change) -> None:
        """A change of a run is durable."""

    def wrote_start(self, new: NewRun, number: RunNumber) -> None:
        """A run is durable."""

    def wrote_letter(self, run: RunNumber) -> None:
        """A letter for the owner of a run is durable."""

    def owners_changed(self) -> None:
        """A process came or went, or took a run over."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One write: which part of the store did what, and when."""

    at: Micros
    part: str
    name: str
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]


class Disk:
    """What is written, and the tables that follow from it."""

    def __init__(self, machine: Machine, *, syncs: bool = True) -> None:
        self.machine = machine
        self.syncs = syncs
        self.slowness = 1.0
        """How many times as long as usual a write takes."""
        self.log: list[Operation] = []
        self.observer: Observer | None = None
        self._synced = 0
        self._make_tables()

    def _make_tables(self) -> None:
        self.tables = memory.MemoryStore()
        self._parts: dict[str, Any] = {
            "journal": memory.MemoryJournal(self.tables._data, _call),
            "mailbox": self.tables.mailbox,
            "owners": self.tables.owners,
            "outbox": self.tables.outbox,
            "store": self.tables,
            "events": getattr(self.tables, "events", None),
        }

    def write(self, part: str, name: str, *arguments: Any, **keywords: Any) -> Any:
        """Writes at once, durably; what is refused is not written, and raises or returns its reason."""
        result = getattr(self._parts[part], name)(*arguments, **keywords)
        if not isinstance(result, Exception):
            self.log.append(Operation(self.machine.now, part, name, arguments, keywords))
            if self.syncs or self.machine.chance.randrange(SYNCS_SELDOM) == 0:
                self._synced = len(self.log)
        return result

    def lose_power(self) -> int:
        """Tears off what was not synced; returns how many operations are lost."""
        unsynced = len(self.log) - self._synced
        if not unsynced:
            return 0
        kept = self._synced + self.machine.chance.randrange(unsynced + 1)
        lost = len(self.log) - kept
        written, self.log = self.log[:kept], []
        self._make_tables()
        for operation in written:
            self.machine_time_is(operation.at)
            getattr(self._parts[operation.part], operation.name)(*operation.arguments, **operation.keywords)
        self.machine_time_is(None)
        self.log = written
        self._synced = len(written)
        for owner in self.tables.owners.owners():
            if owner.life is Life.ALIVE:  # a lock is not a write: nobody holds one after a power loss
                self.write("owners", "_end", owner.id, Life.DEAD)
        return lost

    now_is: Micros | None = None

    def machine_time_is(self, at: Micros | None) -> None:
        """What time the tables go by while the log is read again."""
        self.now_is = at

    def time(self) -> Micros:
        """The time that is written into rows."""
        return self.machine.now if self.now_is is None else self.now_is

    def journal_bytes(self) -> bytes:
        """Every record of every run, in the order of writing."""
        found = bytearray()
        for operation in self.log:
            if operation.name in ("_change", "_start"):
                for sequence, at, record in operation.arguments[0].records:
                    found += b"%d %d " % (sequence, at) + record + b"\n"
        return bytes(found)

    def digest(self) -> str:
        """A sum over everything that was written, in order, with its time."""
        summed = hashlib.sha256(self.journal_bytes())
        for operation in self.log:
            summed.update(f"{operation.at} {operation.part} {operation.name}\n".encode())
            if operation.part in ("mailbox", "owners"):
                summed.update(repr(operation.arguments).encode())
        return summed.hexdigest()


def _call(callback: Callable[..., object], *values: object) -> None:
    callback(*values)


class ProcessStore:
    """The store as one process has opened it; keeps `contract.Store`."""

    def __init__(self, disk: Disk, loop: ProcessLoop) -> None:
        self.disk = disk
        self.loop = loop
        self.journal: ProcessJournal | None = None
        self._mailbox = _Mailbox(self)
        self._owners = _Owners(self)
        self._outbox = _Outbox(self)

    @property
    def reader(self) -> memory.MemoryReader:
        """What may be asked."""
        return self.disk.tables.reader

    @property
    def mailbox(self) -> _Mailbox:
        """Stimuli between processes."""
        return self._mailbox

    @property
    def owners(self) -> _Owners:
        """Who drives which run."""
        return self._owners

    @property
    def outbox(self) -> _Outbox:
        """What people are to be told."""
        return self._outbox

    @property
    def events(self) -> Any:
        """What arrived from outside; keeps `contract.Events`."""
        return _Events(self)

    def open_journal(self, deliver: Deliver, soon: Deliver | None = None) -> ProcessJournal:
        """Start the writer."""
        self.journal = ProcessJournal(self, deliver, soon or deliver)
        return self.journal

    def keep_artifact(self, row: ArtifactRow) -> None:
        """Note that a step kept a file."""
        self.write("store", "keep_artifact", row)

    def rebuild(self, projection: Projection) -> int:
        """Write every row of the run list anew from the journal; returns how many."""
        return self.disk.tables.rebuild(projection)

    def close(self) -> None:
        """Close the journal; the owner leaves."""

    def write(self, part: str, name: str, *arguments: Any, **keywords: Any) -> Any:
        """Writes for this process: a dead one writes nothing, and one whose disk is broken is told so."""
        if self.loop.is_dead:
            raise BugError(f"{self.loop.name} is dead and writes {name}")
        if self.journal is not None and self.journal.stopped is not None:
            raise self.journal.stopped
        return self.disk.write(part, name, *arguments, **keywords)

    def die(self) -> None:
        """The process is gone: what it had handed in may just have got to the disk, or not."""
        if self.journal is not None:
            self.journal.die()
        self.owners.die()


class ProcessJournal:
    """The writer of a process; keeps `contract.Journal`."""

    def __init__(self, store: ProcessStore, deliver: Deliver, soon: Deliver) -> None:
        self._store = store
        self._deliver = deliver
        self._soon = soon
        self._queue: list[tuple[str, Any, Callback]] = []
        self._is_writing = False
        self._heard_at: Micros = 0
        self._closed = False
        self._stopped: StoreUnavailable | None = None

    @property
    def stopped(self) -> StoreUnavailable | None:
        """Why nothing can be written any more, or None."""
        return self._stopped

    def break_down(self) -> None:
        """Has the disk be full for this process, for good."""
        self._stopped = StoreUnavailable("no space is left on the disk", help="free some space")

    def commit(self, change: Change, on_durable: OnDurable) -> None:
        """Make *change* durable, then call *on_durable*."""
        self._hand_in("_change", change, on_durable)

    def start(self, new: NewRun, on_started: OnStarted) -> None:
        """Accept a run, then call *on_started*."""
        self._hand_in("_start", new, on_started)

    def close(self) -> None:
        """Commit what is queued, then end the writer."""
        self._write()
        self._closed = True

    def die(self) -> None:
        """The process is gone in the middle of writing: the whole group got to the disk, or nothing of it."""
        if self._queue and self._stopped is None and self._store.disk.machine.chance.randrange(4) == 0:
            self._apply()
        self._queue.clear()

    def _hand_in(self, name: str, value: Any, callback: Callback) -> None:
        if self._store.loop.is_dead:
            return
        if self._closed:
            error = StoreUnavailable(
                "the journal is closed", help="this process is ending; start `tow` again"
            )
            self._soon(callback, error)
            return
        self._queue.append((name, value, callback))
        if not self._is_writing:
            self._is_writing = True
            self._write_later()

    def _write_later(self) -> None:
        """At the end of the turn of the loop, or after as long as the disk takes."""
        disk = self._store.disk
        if disk.slowness == 1.0 and disk.machine.chance.randrange(2):
            self._soon(self._write)
        else:
            micros = disk.machine.chance.randrange(WRITE_MICROS_MAX)
            disk.machine.after(micros * disk.slowness / SECOND, self._write)

    def _write(self) -> None:
        self._is_writing = False
        if self._store.loop.is_dead or not self._queue:
            return
        group = self._queue
        results = self._apply() if self._stopped is None else [self._stopped] * len(group)
        self._queue = []
        machine = self._store.disk.machine
        heard_at = machine.now + (0 if self._closed else machine.chance.randrange(HEARD_MICROS_MAX))
        self._heard_at = max(self._heard_at, heard_at)
        callbacks = [callback for _, _, callback in group]
        handle = asyncio.Handle(_hear, (callbacks, results), self._store.loop)
        machine.schedule(self._heard_at, self._store.loop, handle)

    def _apply(self) -> list[Any]:
        disk = self._store.disk
        observer = disk.observer
        results: list[Any] = []
        for name, value, _ in self._queue:
            result = disk.write("journal", name, value)
            results.append(result)
            if observer is None or isinstance(result, Exception):
                continue
            if isinstance(value, Change):
                observer.wrote_change(value)
            elif isinstance(result, Started) and not result.existing:
                observer.wrote_start(value, result.number)
        return results


def _hear(callbacks: Sequence[Callback], results: Sequence[Any]) -> None:
    for callback, result in zip(callbacks, results, strict=True):
        callback(result)


class _Mailbox:
    """Keeps `contract.Mailbox`."""

    def __init__(self, store: ProcessStore) -> None:
        self._store = store
        self._returned: frozenset[MessageId] = frozenset()

    def post(self, run: RunNumber, stimulus: bytes) -> MessageId:
        """Leave a stimulus; it is durable when this returns."""
        posted: MessageId = self._store.write("mailbox", "post", run, stimulus)
        observer = self._store.disk.observer
        if observer is not None:
            observer.wrote_letter(run)
        return posted

    def take(self, owner: OwnerId) -> tuple[Message, ...]:
        """Return messages for the runs of *owner* that this process has not seen, oldest first."""
        data = self._store.disk.tables._data
        rows = data.rows
        waiting = [message for message in data.messages.values() if message.taken_at is None]
        mine = [message for message in waiting if rows[message.run].owner == owner]
        fresh = tuple(message for message in mine if message.id not in self._returned)
        self._returned = frozenset(message.id for message in mine)
        return fresh

    def message(self, message: MessageId) -> Message:
        """Look at a message."""
        return self._store.disk.tables.mailbox.message(message)


class _Owners:
    """Keeps `contract.Owners`."""

    def __init__(self, store: ProcessStore) -> None:
        self._store = store
        self._held: set[OwnerId] = set()

    def enter(self, command: str) -> OwnerId:
        """Become an owner until the process ends."""
        owner: OwnerId = self._store.write("owners", "enter", command)
        self._held.add(owner)
        self._changed()
        return owner

    def leave(self, owner: OwnerId) -> None:
        """Say goodbye."""
        self._held.discard(owner)
        try:
            self._store.write("owners", "_end", owner, Life.STOPPED)
        except StoreUnavailable:
            # The lock is let go however full the disk is.
            self._store.disk.tables.owners._end(owner, Life.DEAD)
            raise
        finally:
            self._changed()

    def die(self) -> None:
        """End without a goodbye: the lock is let go by the kernel."""
        for owner in self._held:
            self._store.disk.write("owners", "_end", owner, Life.DEAD)
        self._held.clear()
        self._changed()

    def life(self, owner: OwnerId) -> Life:
        """Tell whether the owner's process still lives."""
        return self._store.disk.tables.owners.life(owner)

    def lock_of(self, owner: OwnerId) -> int | None:  # noqa: ARG002 - the contract of owners
        """Return nothing: there is no file."""
        return None

    def owners(self) -> tuple[OwnerRow, ...]:
        """List the owners that live or still own an open run."""
        return self._store.disk.tables.owners.owners()

    def claim(self, run: RunNumber, owner: OwnerId) -> bool:
        """Take a run over from an owner that is gone."""
        claimed: bool = self._store.write("owners", "claim", run, owner)
        self._changed()
        return claimed

    def _changed(self) -> None:
        observer = self._store.disk.observer
        if observer is not None:
            observer.owners_changed()


class _Events:
    """Hands what is written on to the disk, and what is read to the tables."""

    _WRITES = frozenset({"put", "take", "settle", "release", "again", "forget"})

    def __init__(self, store: ProcessStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        if name in self._WRITES:
            return functools.partial(self._store.write, "events", name)
        return getattr(self._store.disk.tables.events, name)  # type: ignore[attr-defined, unused-ignore] # older trees have none


class _Outbox:
    """Keeps `contract.Outbox`."""

    def __init__(self, store: ProcessStore) -> None:
        self._store = store

    def put(self, notices: Sequence[NewNotice], *, owner: OwnerId) -> tuple[bool, ...]:
        """Keep notices to be sent."""
        new: tuple[bool, ...] = self._store.write("outbox", "put", tuple(notices), owner=owner)
        return new

    def take(self, owner: OwnerId, channel: str, *, at: Micros, rows_max: int) -> tuple[SendingRow, ...]:
        """Begin attempts of what is due."""
        rows: tuple[SendingRow, ...] = self._store.write(
            "outbox", "take", owner, channel, at=at, rows_max=rows_max
        )
        return rows

    def end(self, ended: Sequence[SendingEnded], *, owner: OwnerId) -> None:
        """Note how attempts ended."""
        self._store.write("outbox", "end", tuple(ended), owner=owner)

    def recall(self, run: RunNumber, path: str, why: Sequence[str], *, at: Micros, reason: str) -> int:
        """Say that nobody needs to be told any more."""
        count: int = self._store.write("outbox", "recall", run, path, tuple(why), at=at, reason=reason)
        return count

    def adopt(self, owner: OwnerId, *, at: Micros) -> int:
        """Take over what processes left that are gone."""
        count: int = self._store.write("outbox", "adopt", owner, at=at)
        return count

    def next_due(self, owner: OwnerId, channel: str) -> Micros | None:
        """When the owner's next sending in a channel is due."""
        return self._tables.next_due(owner, channel)

    def channels_waiting(self, owner: OwnerId) -> tuple[str, ...]:
        """The channels in which something of the owner's waits."""
        return self._tables.channels_waiting(owner)

    def try_again(self, sending: SendingId, *, at: Micros) -> bool:
        """Have something that was given up sent again."""
        is_tried: bool = self._store.write("outbox", "try_again", sending, at=at)
        return is_tried

    def sendings(self, where: SendingFilter | None = None) -> tuple[SendingRow, ...]:
        """List sendings, newest first."""
        return self._tables.sendings(where)

    def counts(self) -> Mapping[SendingState, int]:
        """Count the sendings by state."""
        return self._tables.counts()

    @property
    def _tables(self) -> MemoryOutbox:
        return self._store.disk.tables.outbox
