"""The store in memory, for tests: the same promises, kept until the process ends.

One object may be opened by several "processes" of a test: `MemoryStore.another()` gives a second view on the
same data, with owners of its own. `die()` ends the owners of a view as `kill -9` would.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from towpath.errors import BugError, NotFound, StoreUnavailable
from towpath.store import searching
from towpath.store.contract import (
    PAGE_ROWS_MAX,
    RECORD_BYTES_MAX,
    AskingRun,
    Change,
    Life,
    Message,
    MessageId,
    MessageTaken,
    OwnerId,
    OwnerRow,
    PlacesFull,
    RunFilter,
    RunNumber,
    RunRow,
    SlotsFull,
    Started,
    TrialFull,
)
from towpath.store.mailbox import check_room, check_stimulus, no_message
from towpath.store.memory_events import EventsData, MemoryEvents
from towpath.store.memory_outbox import MemoryOutbox, OutboxData
from towpath.store.reader import LIST_RUNS_HELP, check_rows, only_run
from towpath.store.writing import check_continued, check_first, check_gaps, stale, too_long

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from towpath.store.contract import (
        ArtifactRow,
        Definition,
        Deliver,
        NewRun,
        OnDurable,
        OnStarted,
        Place,
        Projection,
        Record,
        Slot,
        Taken,
        Trial,
    )


@dataclass(slots=True)
class _Data:
    """What several views share; changed only under its lock."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    records: dict[RunNumber, list[Record]] = field(default_factory=dict)
    rows: dict[RunNumber, RunRow] = field(default_factory=dict)
    definitions: dict[str, Definition] = field(default_factory=dict)
    messages: dict[MessageId, Message] = field(default_factory=dict)
    owners: dict[OwnerId, OwnerRow] = field(default_factory=dict)
    artifacts: dict[tuple[RunNumber, str, int, str], ArtifactRow] = field(default_factory=dict)
    places: set[tuple[str, RunNumber]] = field(default_factory=set)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    outbox: OutboxData = field(default_factory=OutboxData)
    events: EventsData = field(default_factory=EventsData)


class MemoryStore:
    """Keeps `contract.Store` without a disk."""

    def __init__(self, data: _Data | None = None) -> None:
        self._data = data or _Data()
        self._reader = MemoryReader(self._data)
        self._mailbox = MemoryMailbox(self._data)
        self._owners = MemoryOwners(self._data)
        self._outbox = MemoryOutbox(self._data.outbox, self._owners)
        self._events = MemoryEvents(self._data.events, self._owners)
        self._journals: list[MemoryJournal] = []

    @property
    def reader(self) -> MemoryReader:
        """What may be asked."""
        return self._reader

    @property
    def mailbox(self) -> MemoryMailbox:
        """Stimuli between processes."""
        return self._mailbox

    @property
    def owners(self) -> MemoryOwners:
        """Who drives which run."""
        return self._owners

    @property
    def outbox(self) -> MemoryOutbox:
        """What people are to be told."""
        return self._outbox

    @property
    def events(self) -> MemoryEvents:
        """What arrived from outside."""
        return self._events

    def open_journal(self, deliver: Deliver, soon: Deliver | None = None) -> MemoryJournal:
        """Start the writer; *deliver* is `loop.call_soon_threadsafe`, *soon* is `loop.call_soon`."""
        journal = MemoryJournal(self._data, soon or deliver)
        self._journals.append(journal)
        return journal

    def keep_artifact(self, row: ArtifactRow) -> None:
        """Note that a step kept a file. Doing it twice is harmless."""
        with self._data.lock:
            self._data.artifacts[row.run, row.path, row.attempt, row.name] = row

    def rebuild(self, projection: Projection) -> int:
        """Write every row of the run list anew from the journal; returns how many."""
        data = self._data
        with data.lock:
            owners = {number: row.owner for number, row in data.rows.items()}
            made = {run: projection(run, iter(records)) for run, records in sorted(data.records.items())}
            data.rows = {
                run: replace(row, number=run, owner=owners.get(run), last_sequence=len(data.records[run]))
                for run, row in made.items()
            }
            return len(data.rows)

    def another(self) -> MemoryStore:
        """Open the same data as another process would."""
        return MemoryStore(self._data)

    def die(self) -> None:
        """End this view's owners without a goodbye."""
        self._owners.die()

    def close(self) -> None:
        """Close the journals; owners that were entered here leave."""
        for journal in self._journals:
            journal.close()
        self._owners.close()


class MemoryJournal:
    """Keeps `contract.Journal` without a disk; `break_down` plays a full disk."""

    def __init__(self, data: _Data, deliver: Deliver) -> None:
        self._data = data
        self._deliver = deliver
        self._stopped: StoreUnavailable | None = None
        self._closed = False

    @property
    def stopped(self) -> Exception | None:
        """Why nothing can be written any more, or None."""
        return self._stopped

    def break_down(self) -> None:
        """Stop as if the disk were full."""
        self._stopped = StoreUnavailable("the disk is full, as a test wishes", help="Free some space.")

    def commit(self, change: Change, on_durable: OnDurable) -> None:
        """Make *change* durable, then have *on_durable* called."""
        self._deliver(on_durable, self._unavailable() or self._change(change))

    def start(self, new: NewRun, on_started: OnStarted) -> None:
        """Accept a run, then have *on_started* called."""
        self._deliver(on_started, self._unavailable() or self._start(new))

    def close(self) -> None:
        """Refuse everything from now on."""
        self._closed = True

    def _unavailable(self) -> Exception | None:
        if self._closed:
            return StoreUnavailable(
                "the journal is closed", help="This process is ending; start `tow` again."
            )
        return self._stopped

    def _change(self, change: Change) -> Exception | None:
        data = self._data
        with data.lock:
            records = data.records.get(change.run, [])
            refused = (
                check_continued(change)
                or check_gaps(change.records, change.after)
                or (stale(change) if len(records) != change.after else None)
                or _check_lengths(change.records)
                or _check_messages(data, change.run, change.took)
                or (_check_slot(data, change.holds, change.run) if change.holds else None)
                or (_check_place(data, change.enters, change.run) if change.enters else None)
            )
            if refused:
                return refused
            row = data.rows[change.run]
            if change.enters:
                data.places.add((change.enters.environment, change.run))
            if change.holds:
                row = replace(row, slot_group=change.holds.group, holds_slot=True)
            if change.summary:
                held = row.holds_slot and change.summary.ended_at is None
                row = replace(row, summary=change.summary, holds_slot=held)
            records.extend(change.records)
            data.rows[change.run] = replace(row, last_sequence=len(records))
            _take_messages(data, change.took)
        return None

    def _start(self, new: NewRun) -> Started | Exception:
        data = self._data
        with data.lock:
            existing = _started_by(data, new.start_key)
            if existing:
                return Started(number=existing.number, id=existing.id, existing=True)
            refused = (
                check_first(new.records)
                or _check_lengths(new.records)
                or _check_messages(data, None, new.took)
                or (_check_slot(data, new.slot, None) if new.slot and new.slot.enter == "hold" else None)
                or (_check_trial(data, new, new.trial) if new.trial else None)
            )
            if refused:
                return refused
            if any(row.id == new.id for row in data.rows.values()):
                return BugError(f"the store refuses a row: the id {new.id} is used")
            data.definitions.setdefault(new.definition.digest, new.definition)
            number = RunNumber(next(data.numbers))
            data.records[number] = list(new.records)
            data.rows[number] = _row(number, new)
            _take_messages(data, new.took)
            return Started(number=number, id=new.id)


class MemoryReader:
    """Keeps `contract.Reader` without a disk."""

    def __init__(self, data: _Data) -> None:
        self._data = data

    def events(self, run: RunNumber, *, after: int = 0) -> Iterator[Record]:
        """Stream the records of a run in order, those behind *after* only."""
        yield from tuple(self._data.records.get(run, ()))[after:]

    def last_sequence(self, run: RunNumber) -> int:
        """Return the sequence of the run's last record, 0 when there is none."""
        return len(self._data.records.get(run, ()))

    def run(self, name: str | RunNumber) -> RunRow:
        """Find a run by number, id, unique beginning of an id, or `last`."""
        text = str(name).strip().removeprefix("#")
        with self._data.lock:
            rows = list(self._data.rows.values())
        if text == "last":
            return only_run(text, tuple(rows[-1:]))
        exact = [row for row in rows if str(row.number) == text] or [row for row in rows if row.id == text]
        return only_run(text, tuple(exact or [row for row in rows if text and row.id.startswith(text)]))

    def run_by_start_key(self, start_key: str) -> RunRow | None:
        """Return the run that a start key has started."""
        with self._data.lock:
            return _started_by(self._data, start_key)

    def runs(self, where: RunFilter | None = None) -> tuple[RunRow, ...]:
        """List runs, newest first, one page."""
        where = where or RunFilter()
        check_rows(where.rows_max)
        with self._data.lock:
            found = [row for row in reversed(self._data.rows.values()) if _matches(row, where)]
        return tuple(found[: where.rows_max])

    def open_questions(
        self, *, after: RunNumber | None = None, rows_max: int = PAGE_ROWS_MAX
    ) -> tuple[AskingRun, ...]:
        """List the open runs that ask people something, oldest first, one page: those with a number beyond *after*."""
        check_rows(rows_max)
        with self._data.lock:
            rows = [row for row in self._data.rows.values() if row.summary.questions]
        return tuple(_asking_run(row) for row in rows if row.number > (after or 0))[:rows_max]

    def counts(self) -> Mapping[str, int]:
        """Count the runs by status."""
        with self._data.lock:
            statuses = sorted(row.summary.status for row in self._data.rows.values())
        return MappingProxyType({status: len(list(some)) for status, some in itertools.groupby(statuses)})

    def definition(self, digest: str) -> Definition:
        """Return the definition with this digest."""
        if digest not in self._data.definitions:
            raise NotFound(f"no definition {digest}", help=LIST_RUNS_HELP)
        return self._data.definitions[digest]

    def artifacts(self, run: RunNumber) -> tuple[ArtifactRow, ...]:
        """List what the steps of a run kept, in the order of keeping."""
        with self._data.lock:
            kept = [row for row in self._data.artifacts.values() if row.run == run]
        return tuple(sorted(kept, key=lambda row: (row.kept_at, row.path, row.attempt, row.name)))

    def slots_taken(self, group: str) -> int:
        """Count the open runs that hold a slot of the group."""
        with self._data.lock:
            return _slots_taken(self._data, group)

    def slot_queue(self, group: str) -> tuple[RunRow, ...]:
        """List the runs that queue for the group, first come first."""
        with self._data.lock:
            return tuple(_queue(self._data, group))

    def places_taken(self, environment: str) -> tuple[RunNumber, ...]:
        """List the open runs that have a place in the environment, the oldest first."""
        with self._data.lock:
            return _places_taken(self._data, environment)


class MemoryMailbox:
    """Keeps `contract.Mailbox` without a disk."""

    def __init__(self, data: _Data) -> None:
        self._data = data
        self._returned: frozenset[MessageId] = frozenset()

    def post(self, run: RunNumber, stimulus: bytes) -> MessageId:
        """Leave a stimulus."""
        check_stimulus(stimulus)
        with self._data.lock:
            messages = self._data.messages
            if run not in self._data.rows:
                raise NotFound(f"no run {run}", help=LIST_RUNS_HELP)
            check_room(run, sum(m.run == run and m.taken_at is None for m in messages.values()))
            number = MessageId(len(messages) + 1)
            messages[number] = Message(id=number, run=run, posted_at=_now(), stimulus=stimulus)
            return number

    def take(self, owner: OwnerId) -> tuple[Message, ...]:
        """Return messages for the runs of *owner* that this object has not returned before, oldest first."""
        with self._data.lock:
            rows = self._data.rows
            waiting = [message for message in self._data.messages.values() if message.taken_at is None]
            mine = [message for message in waiting if rows[message.run].owner == owner]
            fresh = tuple(message for message in mine if message.id not in self._returned)
            self._returned = frozenset(message.id for message in mine)
            return fresh

    def message(self, message: MessageId) -> Message:
        """Look at a message, for its sender: whether it was taken, and the reply."""
        if message not in self._data.messages:
            raise no_message(message)
        return self._data.messages[message]


class MemoryOwners:
    """Keeps `contract.Owners` without a disk."""

    def __init__(self, data: _Data) -> None:
        self._data = data
        self._held: set[OwnerId] = set()

    def enter(self, command: str) -> OwnerId:
        """Become an owner until `leave` or `die`."""
        with self._data.lock:
            owner = OwnerId(f"owner{len(self._data.owners) + 1}")
            self._data.owners[owner] = OwnerRow(
                id=owner, pid=os.getpid(), host="memory", command=command, started_at=_now(), life=Life.ALIVE
            )
            self._held.add(owner)
            return owner

    def leave(self, owner: OwnerId) -> None:
        """Say goodbye: the owner's runs may be claimed."""
        self._end(owner, Life.STOPPED)

    def die(self) -> None:
        """End without a goodbye."""
        for owner in tuple(self._held):
            self._end(owner, Life.DEAD)

    def life(self, owner: OwnerId) -> Life:
        """Tell whether the owner's process still lives."""
        known = self._data.owners.get(owner)
        return known.life if known else Life.DEAD

    def lock_of(self, owner: OwnerId) -> int | None:  # noqa: ARG002 - the contract of owners
        """Return nothing: there is no file."""
        return None

    def owners(self) -> tuple[OwnerRow, ...]:
        """List the owners that live or still own an open run."""
        with self._data.lock:
            busy = {row.owner for row in self._data.rows.values() if row.is_open}
            known = tuple(self._data.owners.values())
        return tuple(owner for owner in known if owner.life is Life.ALIVE or owner.id in busy)

    def claim(self, run: RunNumber, owner: OwnerId) -> bool:
        """Take a run over from an owner that is gone, or from nobody; of several who try, one gets True."""
        with self._data.lock:
            if run not in self._data.rows:
                raise NotFound(f"no run {run}", help=LIST_RUNS_HELP)
            row = self._data.rows[run]
            if row.owner == owner:
                return True
            if row.owner is not None and self.life(row.owner) is Life.ALIVE:
                return False
            self._data.rows[run] = replace(row, owner=owner)
            return True

    def close(self) -> None:
        """Leave for every owner that was entered here."""
        for owner in tuple(self._held):
            self.leave(owner)

    def _end(self, owner: OwnerId, life: Life) -> None:
        with self._data.lock:
            if owner in self._held:
                self._held.discard(owner)
                self._data.owners[owner] = replace(self._data.owners[owner], life=life)


def _row(number: RunNumber, new: NewRun) -> RunRow:
    return RunRow(
        number=number,
        id=new.id,
        workflow=new.workflow,
        kind=new.kind,
        environment=new.environment,
        definition=new.definition.digest,
        started_by=new.started_by,
        origin=new.origin,
        origin_reason=new.origin_reason,
        start_key=new.start_key,
        slot_group=new.slot.group if new.slot else None,
        holds_slot=bool(new.slot and new.slot.enter == "hold" and new.summary.ended_at is None),
        owner=new.owner,
        labels=new.labels,
        accepted_at=new.accepted_at,
        summary=new.summary,
        last_sequence=len(new.records),
    )


def _asking_run(row: RunRow) -> AskingRun:
    return AskingRun(
        number=row.number,
        id=row.id,
        workflow=row.workflow,
        kind=row.kind,
        environment=row.environment,
        started_by=row.started_by,
        owner=row.owner,
        accepted_at=row.accepted_at,
        questions=row.summary.questions,
        questions_more=row.summary.questions_more,
    )


def _matches(row: RunRow, where: RunFilter) -> bool:
    """Tell whether a filter lets a run through."""
    wanted = ("workflow", "environment", "kind", "owner", "origin")
    return (
        (not where.status or row.summary.status in where.status)
        and all(getattr(where, name) in (None, getattr(row, name)) for name in wanted)
        and where.is_open in (None, row.is_open)
        and where.is_waiting in (None, row.summary.waiting_for is not None)
        and (where.since is None or row.accepted_at >= where.since)
        and (where.before is None or row.number < where.before)
        and where.labels.items() <= row.labels.items()
        and searching.is_found(row, where.text)
    )


def _started_by(data: _Data, start_key: str | None) -> RunRow | None:
    if start_key is None:
        return None
    return next((row for row in data.rows.values() if row.start_key == start_key), None)


def _slots_taken(data: _Data, group: str) -> int:
    return sum(row.slot_group == group and row.holds_slot for row in data.rows.values())


def _queue(data: _Data, group: str) -> list[RunRow]:
    of_group = [row for row in data.rows.values() if row.slot_group == group and row.is_open]
    return [row for row in of_group if not row.holds_slot]


def _check_trial(data: _Data, new: NewRun, trial: Trial) -> Exception | None:
    tried = sum(
        (row.workflow, row.definition) == (new.workflow, new.definition.digest)
        and row.number > trial.after
        and row.origin_reason is None
        for row in data.rows.values()
    )
    return TrialFull(new.workflow, maximum=trial.maximum) if tried >= trial.maximum else None


def _check_slot(data: _Data, slot: Slot, run: RunNumber | None) -> Exception | None:
    queued_before = [row for row in _queue(data, slot.group) if run is None or row.number < run]
    if _slots_taken(data, slot.group) >= slot.maximum or (slot.in_turn and queued_before):
        return SlotsFull(slot.group, maximum=slot.maximum)
    return None


def _places_taken(data: _Data, environment: str) -> tuple[RunNumber, ...]:
    runs = sorted(run for known, run in data.places if known == environment)
    return tuple(run for run in runs if run in data.rows and data.rows[run].is_open)


def _check_place(data: _Data, place: Place, run: RunNumber) -> Exception | None:
    others = [other for other in _places_taken(data, place.environment) if other != run]
    return None if len(others) < place.maximum else PlacesFull(place)


def _check_lengths(records: tuple[Record, ...]) -> Exception | None:
    if all(len(record) <= RECORD_BYTES_MAX for _, _, record in records):
        return None
    return too_long()


def _check_messages(data: _Data, run: RunNumber | None, took: tuple[Taken, ...]) -> Exception | None:
    for taken in took:
        message = data.messages.get(taken.message)
        if message is None or message.taken_at is not None or run not in (None, message.run):
            return MessageTaken(f"message {taken.message} was taken already")
    return None


def _take_messages(data: _Data, took: tuple[Taken, ...]) -> None:
    for taken in took:
        message = data.messages[taken.message]
        data.messages[taken.message] = replace(message, taken_at=_now(), reply=taken.reply)


def _now() -> int:
    return time.time_ns() // 1_000
