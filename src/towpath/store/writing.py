"""Writing one group of changes on one connection: the statements behind the journal.

A group is one transaction. What a guard refuses (no slot free, message gone, sequence taken) is left out of
it. When the tables refuse something that no guard had seen, the group is rolled back and written again with a
savepoint around every change, so that one that cannot be kept fails alone. Whatever else SQLite raises is
about the disk and goes up.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from towpath.errors import BugError, LimitExceeded
from towpath.store import rows
from towpath.store.contract import (
    RECORD_BYTES_MAX,
    Change,
    MessageTaken,
    NewRun,
    PlacesFull,
    RunNumber,
    SlotsFull,
    StaleChange,
    Started,
    TrialFull,
)
from towpath.store.many_rows import ManyRows
from towpath.store.queries import queries

if TYPE_CHECKING:
    from towpath.store.chain import Chain
    from towpath.store.contract import Place, Record, Slot, Summary, Taken, Trial

_SQL = queries("journal")
_APPEND = ManyRows(_SQL["append"], columns=5)
_ACCEPT = ManyRows(_SQL["accept"], columns=23)
_SUMMARISE = ManyRows(_SQL["summarise"], columns=9)
_FENCE_ERRORS = ("SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_TRIGGER")

Outcome: TypeAlias = Started | Exception | None
Item: TypeAlias = tuple[Change | NewRun, Callable[[Any], None]]
"""What is to be written and who is to be told; Any: OnDurable for a change, OnStarted for a run."""


class _Rows:
    """Rows of the journal that are to be written, each with its link."""

    __slots__ = ("_chain", "_connection", "values")

    def __init__(self, connection: sqlite3.Connection, chain: Chain) -> None:
        self._connection = connection
        self._chain = chain
        self.values: list[Any] = []
        """One flat list of run, sequence, at, record and link, again and again (Any: what SQLite takes)."""

    def add(self, run: RunNumber, after: int, records: tuple[Record, ...]) -> None:
        """Adds what a run gets."""
        self._chain.extend(self.values, self._connection, run, after, records)

    def write(self) -> None:
        """Writes what has gathered, inside of a transaction."""
        _APPEND.write(self._connection, self.values)
        self.values.clear()

    def write_durably(self) -> None:
        """Writes what has gathered in a transaction of its own."""
        _APPEND.write_durably(self._connection, self.values)


def write_group(connection: sqlite3.Connection, group: list[Item], chain: Chain) -> list[Outcome] | None:
    """Make a group durable; None says that all of it was kept and nobody waits for a value.

    Raises what SQLite raises when the disk, and not a change, is the reason.
    """
    chain.trim()
    try:
        outcomes = _written(connection, group, chain)
    except BaseException:
        chain.forget()
        raise
    if outcomes is not None and any(isinstance(outcome, Exception) for outcome in outcomes):
        chain.forget()
    return outcomes


def _written(connection: sqlite3.Connection, group: list[Item], chain: Chain) -> list[Outcome] | None:
    try:
        plain = _Rows(connection, chain)
        if not _are_records_only(group, plain):
            return _write_together(connection, group, chain)
        plain.write_durably()
    except (sqlite3.IntegrityError, sqlite3.DataError):
        chain.forget()
        return _write_singly(connection, group, chain)
    return None


def _write_singly(connection: sqlite3.Connection, group: list[Item], chain: Chain) -> list[Outcome]:
    """Write a group in which a change cannot be kept: a savepoint for each change, one sync for all."""
    roll_back(connection)
    connection.execute("BEGIN IMMEDIATE")
    outcomes = [_write_one(connection, what, chain) for what, _ in group]
    connection.execute("COMMIT")
    return outcomes


def _are_records_only(group: list[Item], rows: _Rows) -> bool:
    """Add a group's journal rows to *rows*; False when a change carries more."""
    for change, _ in group:
        if (
            change.__class__ is not Change
            or change.summary is not None
            or change.took
            or change.holds is not None
            or change.enters is not None
            or not change.records
            or change.after < 1
        ):
            return False
        expected = change.after
        for sequence, _, _ in change.records:
            expected += 1
            if sequence != expected:
                return False
        rows.add(change.run, change.after, change.records)
    return True


def _write_together(connection: sqlite3.Connection, group: list[Item], chain: Chain) -> list[Outcome]:
    """Write a group in one transaction; what a guard refuses is left out, anything worse raises."""
    connection.execute("BEGIN IMMEDIATE")
    if all(map(_is_plain, group)):
        outcomes = _write_plain(connection, group, chain)
    else:
        records = _Rows(connection, chain)
        outcomes = [_apply(connection, what, records) for what, _ in group]
        records.write()
    connection.execute("COMMIT")
    return outcomes


def _is_plain(item: Item) -> bool:
    """Tell whether nothing has to be asked of the database before a change is written but its start key."""
    what, _ = item
    if what.took or not what.records:
        return False
    if isinstance(what, Change):
        guards = what.holds is not None or what.enters is not None
        return not guards and what.after >= 1 and check_gaps(what.records, what.after) is None
    return what.slot is None and what.trial is None and check_gaps(what.records, 0) is None


def _write_plain(connection: sqlite3.Connection, group: list[Item], chain: Chain) -> list[Outcome]:
    """Write changes and starts that do not depend on each other: few statements for each table."""
    keys = [what.start_key for what, _ in group if isinstance(what, NewRun) and what.start_key is not None]
    started = _started_by_keys(connection, keys)
    (last_number,) = connection.execute(_SQL["last_number"]).fetchone() or (0,)
    accepted: list[Any] = []
    records = _Rows(connection, chain)
    summaries: dict[RunNumber, Summary] = {}
    definitions: dict[str, NewRun] = {}
    outcomes: list[Outcome] = []
    for what, _ in group:
        outcome: Outcome = None
        if isinstance(what, Change):
            run = what.run
            if what.summary is not None:
                summaries[run] = what.summary
        elif what.start_key is not None and what.start_key in started:
            outcomes.append(replace(started[what.start_key], existing=True))
            continue
        else:
            last_number += 1
            run = RunNumber(last_number)
            outcome = Started(number=run, id=what.id)
            accepted += (run, *rows.new_run_values(what))
            definitions.setdefault(what.definition.digest, what)
            if what.start_key is not None:
                started[what.start_key] = outcome
        outcomes.append(outcome)
        records.add(run, what.after if isinstance(what, Change) else 0, what.records)
    for new in definitions.values():
        _keep_definition(connection, new)
    _ACCEPT.write(connection, accepted)
    records.write()
    _SUMMARISE.write(
        connection,
        [value for run, summary in summaries.items() for value in (*rows.summary_values(summary), run)],
    )
    return outcomes


def _started_by_keys(connection: sqlite3.Connection, keys: list[str]) -> dict[str, Started]:
    """Find the runs that start keys have started before."""
    if not keys:
        return {}
    found = connection.execute(_SQL["started_by_keys"], (json.dumps(keys),))
    return {key: Started(number=number, id=run, existing=True) for key, number, run in found}


def _write_one(connection: sqlite3.Connection, what: Change | NewRun, chain: Chain) -> Outcome:
    """Write one change or one run behind a savepoint; returns why it was not kept."""
    connection.execute("SAVEPOINT one")
    try:
        records = _Rows(connection, chain)
        outcome = _apply(connection, what, records)
        records.write()
    except sqlite3.IntegrityError as error:
        outcome = _stale_or_bug(what, error)
    except sqlite3.DataError as error:
        outcome = too_long(error)
    else:
        connection.execute("RELEASE one")
        return outcome
    chain.forget()
    connection.execute("ROLLBACK TO one")
    connection.execute("RELEASE one")
    return outcome


def _apply(connection: sqlite3.Connection, what: Change | NewRun, records: _Rows) -> Outcome:
    """Check the guards, then write everything but the records, which are added to *records*."""
    if isinstance(what, Change):
        return _apply_change(connection, what, records)
    return _apply_start(connection, what, records)


def _apply_change(connection: sqlite3.Connection, change: Change, records: _Rows) -> Exception | None:
    refused = (
        _check_sequence(connection, change, records)
        or _check_messages(connection, change.run, change.took)
        or (_check_slot(connection, change.holds, change.run) if change.holds else None)
        or (_enter(connection, change.enters, change.run) if change.enters else None)
    )
    if refused:
        return refused
    if change.records:
        records.add(change.run, change.after, change.records)
    _take_messages(connection, change.took)
    if change.holds:
        connection.execute(_SQL["hold_slot"], (change.holds.group, change.run))
    if change.summary:
        connection.execute(_SQL["summarise"], (*rows.summary_values(change.summary), change.run))
    return None


def _apply_start(connection: sqlite3.Connection, new: NewRun, records: _Rows) -> Started | Exception:
    if new.start_key is not None:
        started = _started_by_keys(connection, [new.start_key])
        if started:
            return started[new.start_key]
    refused = (
        check_first(new.records)
        or _check_messages(connection, None, new.took)
        or (_check_slot(connection, new.slot, None) if new.slot and new.slot.enter == "hold" else None)
        or (_check_trial(connection, new, new.trial) if new.trial else None)
    )
    if refused:
        return refused
    _keep_definition(connection, new)
    number = RunNumber(connection.execute(_SQL["accept"], (None, *rows.new_run_values(new))).lastrowid or 0)
    records.add(number, 0, new.records)
    _take_messages(connection, new.took)
    return Started(number=number, id=new.id)


def _check_sequence(connection: sqlite3.Connection, change: Change, records: _Rows) -> Exception | None:
    """Check the fence of a change without records here; with records, the table itself is the fence.

    What was decided before in the same group has to be in the table first: it still waits in *records*.
    """
    refused = check_continued(change)
    if refused or change.records:
        return refused or check_gaps(change.records, change.after)
    records.write()
    (last,) = connection.execute(_SQL["last_sequence"], (change.run,)).fetchone()
    return None if (last or 0) == change.after else stale(change)


def check_gaps(records: tuple[Record, ...], after: int) -> Exception | None:
    """Refuse records that do not go on from *after* without a gap; it would be our mistake."""
    sequences = [sequence for sequence, _, _ in records]
    if sequences == list(range(after + 1, after + 1 + len(sequences))):
        return None
    return BugError(f"records are numbered {sequences}, not on from {after}")


def check_continued(change: Change) -> Exception | None:
    """Refuse a change to a run that has no record yet; it would be our mistake."""
    return BugError(f"run {change.run} has no record to continue from") if change.after < 1 else None


def check_first(records: tuple[Record, ...]) -> Exception | None:
    """Refuse a run without a record; it would be our mistake."""
    return check_gaps(records, 0) if records else BugError("a run starts with at least one record")


def _check_messages(
    connection: sqlite3.Connection, run: RunNumber | None, took: tuple[Taken, ...]
) -> Exception | None:
    for taken in took:
        if not connection.execute(_SQL["message_waits"], (taken.message, run)).fetchone():
            return MessageTaken(f"message {taken.message} was taken already")
    return None


def _take_messages(connection: sqlite3.Connection, took: tuple[Taken, ...]) -> None:
    for taken in took:
        now = time.time_ns() // 1_000
        connection.execute(_SQL["take_message"], (now, taken.reply, taken.message))


def _check_slot(connection: sqlite3.Connection, slot: Slot, run: RunNumber | None) -> Exception | None:
    (taken,) = connection.execute(_SQL["slots_taken"], (slot.group,)).fetchone()
    if taken >= slot.maximum:
        return SlotsFull(slot.group, maximum=slot.maximum)
    if slot.in_turn and connection.execute(_SQL["queues_before"], (slot.group, run)).fetchone():
        return SlotsFull(slot.group, maximum=slot.maximum)
    return None


def _check_trial(connection: sqlite3.Connection, new: NewRun, trial: Trial) -> Exception | None:
    values = (new.workflow, new.definition.digest, trial.after)
    (tried,) = connection.execute(_SQL["trials"], values).fetchone()
    return TrialFull(new.workflow, maximum=trial.maximum) if tried >= trial.maximum else None


def _enter(connection: sqlite3.Connection, place: Place, run: RunNumber) -> Exception | None:
    """Have a run enter an environment; the last guard, because it writes."""
    connection.execute(_SQL["leave_places"], (place.environment,))
    connection.execute(_SQL["enter"], (place.environment, run, place.maximum))
    is_in = connection.execute(_SQL["is_in"], (place.environment, run)).fetchone()
    return None if is_in else PlacesFull(place)


def _keep_definition(connection: sqlite3.Connection, new: NewRun) -> None:
    definition = new.definition
    if not connection.execute(_SQL["knows_definition"], (definition.digest,)).fetchone():
        values = (definition.digest, definition.text, definition.path, definition.commit, new.accepted_at)
        connection.execute(_SQL["keep_definition"], values)


def stale(change: Change) -> StaleChange:
    """Say that somebody else has continued the run."""
    return StaleChange(
        f"run {change.run} has gone on since record {change.after}",
        help="Another process drives this run now; look at it with `tow show`.",
    )


def _stale_or_bug(what: Change | NewRun, error: sqlite3.IntegrityError) -> Exception:
    """Tell the fence of the journal from every other broken rule of the schema, which would be ours."""
    if isinstance(what, Change) and error.sqlite_errorname in _FENCE_ERRORS:
        return stale(what)
    bug = BugError(f"the store refuses a row: {error}")
    bug.__cause__ = error
    return bug


def too_long(cause: Exception | None = None) -> LimitExceeded:
    """Say that a record is longer than a record may be."""
    exceeded = LimitExceeded(
        f"a record is longer than {RECORD_BYTES_MAX} bytes",
        limit="RECORD_BYTES_MAX",
        help="Keep big outputs in a file (`artifacts:`) and pass its name on.",
    )
    exceeded.__cause__ = cause
    return exceeded


def roll_back(connection: sqlite3.Connection) -> None:
    """Undo what a failed transaction has left open."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")
