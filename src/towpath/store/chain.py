"""The chain: every record of the journal carries a digest of itself and of the link before it.

    link(run 7, record 3) = H(link(run 7, record 2), run, sequence, at, record)
    link(run 7, record 1) = H(link(run 6, record 1), run, sequence, at, record)

So the records of a run are one chain, and the beginnings of all runs are another. It is written in the statement that writes the record:
what somebody did and the proof of it are durable together. Whoever changes, removes or adds a record later breaks the chain at that
place, and `verify` says where, with nothing but the database. Who can write the database can of course make a whole new chain:
against that, keep an anchor (a record and its link) elsewhere, and verify against it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from towpath.errors import Refused
from towpath.store import encoding
from towpath.store.contract import RunNumber
from towpath.store.queries import queries

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from towpath.store.contract import Record

LINK_BYTES = 16
ENDS_MAX = 10_000
"""Runs whose last links a writer remembers."""
BREAKS_LISTED_MAX = 100
"""Places that a verification names; it counts all."""
_SQL = queries("journal")
_RUN_ENDED = "run_ended"


def link(previous: bytes, run: int, sequence: int, at: int, record: bytes) -> bytes:
    """The link of a record behind *previous*."""
    return hashlib.blake2b(
        b"%b%d.%d.%d:%b" % (previous, run, sequence, at, record), digest_size=LINK_BYTES
    ).digest()


class Chain:
    """Makes the links of what one process writes."""

    def __init__(self) -> None:
        self._ends: dict[RunNumber, tuple[int, bytes]] = {}
        """Of each run, the last sequence that was written here and its link."""
        self._start: tuple[int, bytes] = (0, b"")
        """The newest run that began here, and its first link."""

    def extend(
        self,
        values: list[Any],
        connection: sqlite3.Connection,
        run: RunNumber,
        after: int,
        records: Iterable[Record],
    ) -> None:
        """Adds the rows of *records* to *values*, one flat list: run, sequence, at, record, link (Any: what SQLite takes)."""
        sequence, previous = self._ends.get(run, (-1, b""))
        if sequence != after:
            previous = self._before(connection, run, after)
        sequence = after
        for sequence, at, record in records:
            previous = link(previous, run, sequence, at, record)
            if sequence == 1:
                self._start = (run, previous)
            values += (run, sequence, at, record, previous)
        self._ends[run] = (sequence, previous)

    def _before(self, connection: sqlite3.Connection, run: RunNumber, after: int) -> bytes:
        if after:
            return _first(connection.execute(_SQL["link"], (run, after)).fetchone())
        if self._start[0] == run - 1:
            return self._start[1]
        found = connection.execute(_SQL["link"], (run - 1, 1)).fetchone()
        return _first(found or connection.execute(_SQL["forgotten_link"], (run - 1,)).fetchone())

    def forget(self) -> None:
        """Something was not written: what is remembered may not be true."""
        self._ends.clear()
        self._start = (0, b"")

    def trim(self) -> None:
        """Keeps the memory bounded; between two groups only, because a group builds on what it has not written yet."""
        if len(self._ends) > ENDS_MAX:
            self._ends.clear()


def _first(row: tuple[bytes | None] | None) -> bytes:
    return b"" if row is None or row[0] is None else row[0]


BreakKind = Literal["changed", "missing", "removed", "cut", "unlisted", "anchor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """A place at which the chain does not hold."""

    kind: BreakKind
    run: int
    sequence: int = 0
    at: int = 0
    """Microseconds since 1970 in UTC, as the record says; 0 where there is none."""
    text: str = ""
    """What is wrong, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A record and its link, to be kept elsewhere."""

    run: int
    sequence: int
    link: bytes

    def __str__(self) -> str:
        return f"{self.run}.{self.sequence}:{self.link.hex()}"


def read_anchor(text: str) -> Anchor:
    """Reads `RUN.SEQUENCE:HEX`; raises Refused."""
    place, _, digest = text.strip().partition(":")
    run, _, sequence = place.partition(".")
    try:
        found = Anchor(run=int(run), sequence=int(sequence), link=bytes.fromhex(digest))
    except ValueError:
        found = None
    if found is None or len(found.link) != LINK_BYTES:
        raise Refused(
            f"{text!r} is no anchor", help="an anchor is what `tow audit verify` printed: RUN.RECORD:DIGEST"
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a verification found."""

    runs: int
    records: int
    unlinked: int
    """Records from before there was a chain: nothing can be said of them."""
    forgotten: int
    """Runs that retention has removed."""
    breaks: tuple[Break, ...]
    """The first BREAKS_LISTED_MAX of them."""
    breaks_more: int
    anchor: Anchor | None
    """The newest linked record: keep it elsewhere."""

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.breaks


def verify(connection: sqlite3.Connection, anchor: Anchor | None = None) -> Verdict:
    """Reads the whole journal once and checks every link; linear in its size. The database is only read."""
    return _Verifier(connection, anchor).verdict()


class _Verifier:
    """One reading of the journal, in the order of the chain."""

    def __init__(self, connection: sqlite3.Connection, anchor: Anchor | None) -> None:
        self._connection = connection
        self._anchor = anchor
        self._kept: dict[int, bool] = {
            run: bool(ended) for run, ended in connection.execute(_SQL["runs_kept"])
        }
        self._forgotten: dict[int, bytes] = {
            run: first or b"" for run, first in connection.execute(_SQL["runs_forgotten"])
        }
        self._breaks: list[Break] = []
        self._more = 0
        self._runs = self._records = self._unlinked = 0
        self._newest: Anchor | None = None
        self._is_anchored = anchor is None

    def verdict(self) -> Verdict:
        """Reads, and says what was found."""
        last, first_link, is_linked = 0, b"", False
        for run, records in self._by_run():
            first_link, is_linked = self._through_gap(last, run, first_link, is_linked=is_linked)
            first_link, is_linked = self._run(run, records, first_link, was_linked=is_linked)
            last = run
        self._through_gap(
            last, max([*self._kept, *self._forgotten, last]) + 1, first_link, is_linked=is_linked
        )
        if not self._is_anchored and self._anchor is not None:
            self._found(
                "anchor",
                self._anchor.run,
                self._anchor.sequence,
                text="the anchored record is not there, or is another",
            )
        return Verdict(
            runs=self._runs,
            records=self._records,
            unlinked=self._unlinked,
            forgotten=len(self._forgotten),
            breaks=tuple(self._breaks),
            breaks_more=self._more,
            anchor=self._newest,
        )

    def _by_run(self) -> Iterator[tuple[int, Iterator[tuple[int, int, bytes, bytes | None]]]]:
        import itertools

        rows = self._connection.execute(_SQL["chain"])
        for run, of_run in itertools.groupby(rows, key=lambda row: row[0]):
            yield run, ((sequence, at, record, found) for _, sequence, at, record, found in of_run)

    def _through_gap(self, last: int, run: int, first_link: bytes, *, is_linked: bool) -> tuple[bytes, bool]:
        """The runs between two that are there, forgotten on purpose or removed; gives the link to go on from, and whether it is one."""
        for number in range(last + 1, run):
            if number in self._forgotten:
                first_link = self._forgotten[number]
                is_linked = is_linked or bool(first_link)
            elif is_linked:
                self._found("removed", number, text="the run was removed, and not by retention")
                first_link = _UNKNOWN
        return first_link, is_linked

    def _run(
        self,
        run: int,
        records: Iterator[tuple[int, int, bytes, bytes | None]],
        start: bytes,
        *,
        was_linked: bool,
    ) -> tuple[bytes, bool]:
        """Checks one run; gives its first link, and whether it has one."""
        self._runs += 1
        if run not in self._kept:
            self._found("unlisted", run, text="the journal has a run that the list of runs does not have")
        previous, expected, record, first = start, 1, b"", None
        at = 0
        for sequence, at, record, found in records:
            self._records += 1
            if sequence != expected:
                self._found("missing", run, expected, at, f"{_records(expected, sequence - 1)} missing")
                previous = _UNKNOWN
            expected = sequence + 1
            if sequence == 1:
                first = found
            previous = self._record(
                run, sequence, at, record, found, previous, was_linked=was_linked or sequence > 1
            )
        if self._kept.get(run) and _name_of(record) != _RUN_ENDED:
            self._found("cut", run, expected, at, "the run has ended, and the record of its end is missing")
        return (first or b"", True) if first is not None else (b"", was_linked)

    def _record(
        self,
        run: int,
        sequence: int,
        at: int,
        record: bytes,
        found: bytes | None,
        previous: bytes,
        *,
        was_linked: bool,
    ) -> bytes:
        if found is None:
            if previous and was_linked and previous is not _UNKNOWN and sequence > 1:
                self._found("changed", run, sequence, at, "the record has no link, and those before it have")
            self._unlinked += 1
            return b""
        if previous is not _UNKNOWN and link(previous, run, sequence, at, record) != found:
            what = (
                "the record, or the one before it, was changed"
                if sequence > 1
                else "the record, or the run before it, was changed"
            )
            self._found("changed", run, sequence, at, what)
        self._newest = Anchor(run=run, sequence=sequence, link=found)
        if self._anchor == self._newest:
            self._is_anchored = True
        return found

    def _found(self, kind: BreakKind, run: int, sequence: int = 0, at: int = 0, text: str = "") -> None:
        if len(self._breaks) < BREAKS_LISTED_MAX:
            self._breaks.append(Break(kind=kind, run=run, sequence=sequence, at=at, text=text))
        else:
            self._more += 1


_UNKNOWN = b"unknown"
"""Stands for a link that cannot be known any more: what hangs on it is not blamed for it."""


def _records(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"


def _name_of(record: bytes) -> str:
    """The name of the event that a record holds; empty where it cannot be read."""
    try:
        return str(encoding.decode(record).__struct_config__.tag)
    except Exception:  # noqa: BLE001 - a damaged record has no name
        return ""
