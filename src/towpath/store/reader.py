"""Reading a store while others write: every question is a short transaction of its own.

A stream of records is read page by page, so that a slow reader never keeps the write-ahead log from
shrinking. Each thread has a connection of its own; they are read-only.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING

from towpath.errors import LimitExceeded, NotFound, Refused
from towpath.store import rows, searching
from towpath.store.connections import connect, explained
from towpath.store.contract import (
    PAGE_ROWS_MAX,
    ArtifactRow,
    AskingRun,
    Definition,
    News,
    RunFilter,
    RunNumber,
    RunRow,
)
from towpath.store.migrations import check_version
from towpath.store.queries import queries
from towpath.store.versions import SqliteVersions

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from towpath.store.contract import Record
    from towpath.store.rows import Row

EVENT_PAGE_ROWS = 1_000
"""Records that are read at once."""
NAMES_SHOWN_MAX = 5
"""Runs that are named when a beginning of an id is not unique."""
LIST_RUNS_HELP = "List the runs with `tow ps --all`."

_SQL = queries("reader")


class SqliteReader:
    """Keeps `contract.Reader`."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._local = threading.local()
        self._lock = threading.Lock()
        self._connections: list[sqlite3.Connection] = []
        self._connection()

    def events(self, run: RunNumber, *, after: int = 0) -> Iterator[Record]:
        """Stream the records of a run in order, those behind *after* only."""
        while True:
            page = self._rows(_SQL["events"], (run, after, EVENT_PAGE_ROWS))
            yield from page
            if len(page) < EVENT_PAGE_ROWS:
                return
            after = page[-1][0]

    def last_sequence(self, run: RunNumber) -> int:
        """Return the sequence of the run's last record, 0 when there is none."""
        return self._rows(_SQL["last_sequence"], (run,))[0][0] or 0

    def run(self, name: str | RunNumber) -> RunRow:
        """Find a run by number, id, unique beginning of an id, or `last`."""
        text = str(name).strip().removeprefix("#")
        if text == "last":
            found = self._runs("ORDER BY number DESC LIMIT 1", ())
        elif text.isascii() and text.isdecimal() and len(text) < len(str(2**63)):
            found = self._runs("WHERE number = ?", (int(text),)) or self._beginning(text)
        else:
            found = self._beginning(text)
        return only_run(text, found)

    def run_by_start_key(self, start_key: str) -> RunRow | None:
        """Return the run that a start key has started."""
        found = self._runs("WHERE start_key = ?", (start_key,))
        return found[0] if found else None

    def runs(self, where: RunFilter | None = None) -> tuple[RunRow, ...]:
        """List runs, newest first, one page."""
        clause, values = _clause(where or RunFilter())
        return self._runs(clause, values)

    def open_questions(
        self, *, after: RunNumber | None = None, rows_max: int = PAGE_ROWS_MAX
    ) -> tuple[AskingRun, ...]:
        """List the open runs that ask people something, oldest first, one page: those with a number beyond *after*."""
        check_rows(rows_max)
        return tuple(map(rows.asking_run, self._rows(_SQL["open_questions"], (after or 0, rows_max))))

    def count_asking(self) -> int:
        """Count the open runs that ask people something."""
        return int(self._rows(_SQL["count_asking"], ())[0][0])

    def act_records(
        self, *, before: tuple[int, int, int], since: int = 0, rows_max: int = PAGE_ROWS_MAX
    ) -> tuple[tuple[RunNumber, Record], ...]:
        """List the records that may tell of what somebody did, in all runs, the newest first, one page.

        Args:
            before: (at, run, sequence) of the last one seen.
            since: the earliest moment.
            rows_max: how many at most.

        """
        check_rows(rows_max)
        found = self._rows(_SQL["act_records"], (since, *before, rows_max))
        return tuple((RunNumber(run), (sequence, at, record)) for run, sequence, at, record in found)

    def counts(self) -> Mapping[str, int]:
        """Count the runs by status."""
        return MappingProxyType(dict(self._rows(_SQL["counts"], ())))

    def news(self, *, after: int, rows_max: int = PAGE_ROWS_MAX) -> tuple[News, ...]:
        """List what has changed in the lists behind a position, each thing once, in the order of its last change."""
        check_rows(rows_max)
        return tuple(
            News(position=position, about=about, number=number)
            for position, about, number in self._rows(_SQL["news"], (after, rows_max))
        )

    def last_news(self) -> int:
        """Return the position of the last change that there ever was."""
        return int(self._rows(_SQL["last_news"], ())[0][0])

    def runs_of(self, numbers: Collection[int]) -> tuple[RunRow, ...]:
        """List the runs with these numbers, newest first; those that are not there are left out."""
        check_rows(len(numbers) or 1)
        clause = "WHERE number IN (SELECT value FROM json_each(?)) ORDER BY number DESC"
        return self._runs(clause, (json.dumps(list(numbers)),))

    def definition(self, digest: str) -> Definition:
        """Return the definition with this digest."""
        found = self._rows(_SQL["definition"], (digest,))
        if not found:
            raise NotFound(f"no definition {digest}", help=LIST_RUNS_HELP)
        (digest, text, path, commit) = found[0]
        return Definition(digest=digest, text=text, path=path, commit=commit)

    def artifacts(self, run: RunNumber) -> tuple[ArtifactRow, ...]:
        """List what the steps of a run kept, in the order of keeping."""
        return tuple(rows.artifact_row(row) for row in self._rows(_SQL["artifacts"], (run,)))

    def slots_taken(self, group: str) -> int:
        """Count the open runs that hold a slot of the group."""
        return int(self._rows(_SQL["slots_taken"], (group,))[0][0])

    def slot_queue(self, group: str) -> tuple[RunRow, ...]:
        """List the runs that queue for the group, first come first."""
        where = "WHERE slot_group = ? AND ended_at IS NULL AND holds_slot = 0 ORDER BY number LIMIT ?"
        return self._runs(where, (group, PAGE_ROWS_MAX))

    def places_taken(self, environment: str) -> tuple[RunNumber, ...]:
        """List the open runs that have a place in the environment, the oldest first."""
        return tuple(RunNumber(run) for (run,) in self._rows(_SQL["places_taken"], (environment,)))

    @property
    def versions(self) -> SqliteVersions:
        """The versions of workflows, to look at."""
        return SqliteVersions(self)

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Have this thread's connection for a moment; what SQLite says of a sick database is explained."""
        with explained(self._database):
            yield self._connection()

    def close(self) -> None:
        """Close the connections of every thread."""
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
            self._local = threading.local()

    def _beginning(self, text: str) -> tuple[RunRow, ...]:
        if not text:
            return ()
        end = text[:-1] + chr(min(ord(text[-1]) + 1, 0x10FFFF))
        found = self._runs("WHERE id >= ? AND id < ? ORDER BY id LIMIT ?", (text, end, NAMES_SHOWN_MAX))
        return tuple(row for row in found if row.id == text) or found

    def _runs(self, clause: str, values: Row) -> tuple[RunRow, ...]:
        return tuple(map(rows.run_row, self._rows(f"{_SQL['runs']} {clause}", values)))

    def _rows(self, sql: str, values: Row) -> list[Row]:
        with explained(self._database):
            return self._connection().execute(sql, values).fetchall()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = connect(self._database, read_only=True)
            with explained(self._database):
                check_version(connection, self._database)
            self._local.connection = connection
            with self._lock:
                self._connections.append(connection)
        return connection


def only_run(text: str, found: tuple[RunRow, ...]) -> RunRow:
    """Return the one run that was found, or say why it is not one."""
    if not found:
        raise NotFound(f"no run {text!r}", help=LIST_RUNS_HELP)
    if len(found) > 1:
        names = ", ".join(row.id for row in found[:NAMES_SHOWN_MAX])
        raise Refused(f"{text!r} is the beginning of several runs: {names}", help="Type more of the id.")
    return found[0]


def check_rows(rows_max: int) -> None:
    """Refuse a page that is larger than a page may be."""
    if not 1 <= rows_max <= PAGE_ROWS_MAX:
        raise LimitExceeded(
            f"a page has 1 to {PAGE_ROWS_MAX} rows, not {rows_max}",
            limit="PAGE_ROWS_MAX",
            help="Ask for the next page with the number of the last run you got.",
        )


def _clause(where: RunFilter) -> tuple[str, Row]:
    """Write a filter as WHERE, ORDER BY and LIMIT; every value is a parameter."""
    check_rows(where.rows_max)
    conditions: list[tuple[str, Row]] = []
    if where.status:
        conditions.append((f"status IN ({', '.join('?' * len(where.status))})", where.status))
    for column in ("workflow", "environment", "kind", "owner", "origin"):
        value = getattr(where, column)
        if value is not None:
            conditions.append((f"{column} = ?", (value,)))
    if where.is_open is not None:
        conditions.append(("ended_at IS NULL" if where.is_open else "ended_at IS NOT NULL", ()))
    if where.is_waiting is not None:
        conditions.append(("waiting_for IS NOT NULL" if where.is_waiting else "waiting_for IS NULL", ()))
    if where.since is not None:
        conditions.append(("accepted_at >= ?", (where.since,)))
    if where.before is not None:
        conditions.append(("number < ?", (where.before,)))
    for key, value in where.labels.items():
        conditions.append(
            ("EXISTS (SELECT 1 FROM json_each(labels) WHERE key = ? AND value = ?)", (key, value))
        )
    conditions.extend(searching.conditions(where.text))
    text = " AND ".join(condition for condition, _ in conditions)
    values = tuple(value for _, some in conditions for value in some)
    return f"{f'WHERE {text}' if text else ''} ORDER BY number DESC LIMIT ?", (*values, where.rows_max)
