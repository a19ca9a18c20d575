"""Reading a store that is on the other side of HTTP: the same questions, the same values."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import msgspec

from towpath.errors import NotFound, Refused, StoreUnavailable, Unreachable
from towpath.server.shapes import rows
from towpath.store.contract import (
    PAGE_ROWS_MAX,
    ArtifactRow,
    AskingRun,
    Definition,
    EventFilter,
    EventId,
    EventRow,
    IdentityAct,
    Life,
    OwnerId,
    OwnerRow,
    Record,
    RunFilter,
    RunNumber,
    RunRow,
    SendingFilter,
    SendingRow,
    SendingState,
)
from towpath.store.logs import LogLine
from towpath.store.reader import check_rows

if TYPE_CHECKING:
    from typing import Literal, Self

    from towpath.cli.remote.wire import Wire

T = TypeVar("T")
HERE_HELP: Final = "it is about the data folder itself: use it on the server's own machine, without --server"
AWAY_SECONDS = 2.0
"""How long a server that is away is not asked for lines."""


class _Page(msgspec.Struct, frozen=True):
    """Rows of which some may have been left out, and where the next page begins."""

    rows: Any  # read with the type of the rows
    next: Any = None


class RemoteReader:
    """Keeps `store.contract.Reader`, as far as the server lets whoever asks see it."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.kept: dict[str, RunNumber] = {}
        """The digests of kept files that were listed, each with a run that keeps it."""

    def events(self, run: RunNumber, *, after: int = 0) -> Iterator[Record]:
        """Stream the records of a run in order, those behind *after* only."""
        with contextlib.suppress(NotFound):
            while page := self._wire.rows("records", tuple[Record, ...], run=run, after=after):
                yield from page
                after = page[-1][0]

    def last_sequence(self, run: RunNumber) -> int:
        """Return the sequence of the run's last record, 0 when there is none."""
        try:
            return self.run(run).last_sequence
        except NotFound:
            return 0

    def run(self, name: str | RunNumber) -> RunRow:
        """Find a run by number, id, unique beginning of an id, or `last`."""
        found: RunRow = self._wire.rows("run", RunRow, name=str(name))
        return found

    def run_by_start_key(self, start_key: str) -> RunRow | None:
        """Return the run that a start key has started."""
        found: RunRow | None = self._wire.rows("run_by_start_key", RunRow | None, key=start_key)
        return found

    def runs(self, where: RunFilter | None = None) -> tuple[RunRow, ...]:
        """List runs, newest first, one page."""
        wanted = where or RunFilter()
        check_rows(wanted.rows_max)
        found: tuple[RunRow, ...] = self._wire.rows("runs", tuple[RunRow, ...], where=_text(wanted))
        return found

    def open_questions(
        self, *, after: RunNumber | None = None, rows_max: int = PAGE_ROWS_MAX
    ) -> tuple[AskingRun, ...]:
        """List the open runs that ask people something, oldest first, one page."""
        check_rows(rows_max)
        found: list[AskingRun] = []
        begin: int | None = after or 0
        while begin is not None and len(found) < rows_max:
            page = self._wire.rows("questions", _Page, after=begin, rows_max=rows_max)
            found += msgspec.convert(page.rows, list[AskingRun])
            begin = page.next
        return tuple(found[:rows_max])

    def act_records(
        self, *, before: tuple[int, int, int], since: int = 0, rows_max: int = PAGE_ROWS_MAX
    ) -> tuple[tuple[RunNumber, Record], ...]:
        """List the records that may tell of what somebody did, in all runs, the newest first, one page."""
        begin: Any = before
        found: list[tuple[RunNumber, Record]] = []
        while begin is not None and len(found) < rows_max:
            at, run, sequence = begin
            page = self._wire.rows(
                "acts", _Page, at=at, run=run, sequence=sequence, since=since, rows_max=rows_max
            )
            found += _converted(page.rows, list[tuple[RunNumber, Record]])
            begin = page.next
        return tuple(found[:rows_max])

    def counts(self) -> Mapping[str, int]:
        """Count the runs by status."""
        return MappingProxyType(self._wire.rows("counts", dict[str, int]))

    def definition(self, digest: str) -> Definition:
        """Return the definition with this digest."""
        found: Definition = self._wire.rows("definition", Definition, digest=digest)
        return found

    def artifacts(self, run: RunNumber) -> tuple[ArtifactRow, ...]:
        """List what the steps of a run kept, in the order of keeping."""
        try:
            found: tuple[ArtifactRow, ...] = self._wire.rows("artifacts", tuple[ArtifactRow, ...], run=run)
        except NotFound:
            return ()
        self.kept.update({one.digest: one.run for one in found})
        return found

    def slots_taken(self, group: str) -> int:
        """Count the open runs that hold a slot of the group."""
        return int(self._wire.rows("slots", dict[str, Any], group=group)["taken"])

    def slot_queue(self, group: str) -> tuple[RunRow, ...]:
        """List the runs that queue for the group, first come first."""
        return tuple(_converted(self._wire.rows("slots", dict[str, Any], group=group)["queue"], list[RunRow]))

    def places_taken(self, environment: str) -> tuple[RunNumber, ...]:
        """List the open runs that have a place in the environment, the oldest first."""
        found: tuple[RunNumber, ...] = self._wire.rows(
            "places", tuple[RunNumber, ...], environment=environment
        )
        return found

    def close(self) -> None:
        """Nothing is open here."""


class ReadOnly:
    """A part of a store that can only be read over HTTP: what changes it goes through the API, or is done beside the data folder."""

    def __getattr__(self, name: str) -> NoReturn:
        """What is not read over HTTP."""
        raise Refused(f"this cannot be done over HTTP ({name})", help=HERE_HELP)


class RemoteOwners(ReadOnly):
    """Who drives which run, as the server knows it."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def owners(self) -> tuple[OwnerRow, ...]:
        """List the owners that live or still own an open run."""
        found: tuple[OwnerRow, ...] = self._wire.rows("owners", tuple[OwnerRow, ...])
        return found

    def life(self, owner: OwnerId) -> Life:
        """Tell whether the owner's process still lives."""
        return next((one.life for one in self.owners() if one.id == owner), Life.DEAD)


class RemoteOutbox(ReadOnly):
    """What people were told, to read."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def sendings(self, where: SendingFilter | None = None) -> tuple[SendingRow, ...]:
        """List sendings, newest first, one page."""
        wanted = where or SendingFilter()
        found: list[SendingRow] = []
        while True:
            page = self._wire.rows("sendings", _Page, where=_text(wanted))
            found += _converted(page.rows, list[SendingRow])
            if page.next is None or len(found) >= wanted.rows_max:
                return tuple(found[: wanted.rows_max])
            wanted = _replaced(wanted, before=page.next)

    def counts(self) -> Mapping[SendingState, int]:
        """Count the sendings by state."""
        return MappingProxyType(self._wire.rows("sendings/counts", dict[str, int]))


class RemoteEvents(ReadOnly):
    """What arrived from outside, to read."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def event(self, event: EventId | Literal["last"]) -> EventRow:
        """Return one event."""
        found: EventRow = self._wire.rows("event", EventRow, name=str(event))
        return found

    def payload(self, event: EventId) -> bytes:
        """Return what an event holds."""
        found: bytes = self._wire.rows("event/payload", bytes, name=str(event))
        return found

    def events(self, where: EventFilter | None = None) -> tuple[EventRow, ...]:
        """List events, newest first, one page."""
        found: tuple[EventRow, ...] = self._wire.rows(
            "events", tuple[EventRow, ...], where=_text(where or EventFilter())
        )
        return found


class RemoteIdentities(ReadOnly):
    """What was done to users, tokens, sessions, login links and versions, to read."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def acts(self, *, before: int | None = None, rows_max: int = 100) -> tuple[IdentityAct, ...]:
        """List what was done, the newest first, one page."""
        place = {} if before is None else {"before": before}
        page = msgspec.json.decode(
            self._wire.get("/api/v1/users/acts", limit=rows_max, **place), type=_ActPage
        )
        return tuple(
            IdentityAct(
                number=one.number,
                at=_micros(one.at),
                by=one.by,
                did=one.did,
                about=one.about,
                text=one.text,
            )
            for one in page.items
        )


class _ToldAct(msgspec.Struct, frozen=True):
    """An act as the API tells it."""

    number: int
    at: datetime.datetime
    by: str
    did: str
    about: str
    text: str


class _ActPage(msgspec.Struct, frozen=True):
    """Some acts as the API tells them."""

    items: list[_ToldAct]


def _micros(moment: datetime.datetime) -> int:
    """Microseconds since 1970."""
    since = moment - datetime.datetime.fromtimestamp(0, tz=datetime.UTC)
    return since // datetime.timedelta(microseconds=1)


class RemoteLog:
    """Reads one run's log, from where it stopped before."""

    def __init__(
        self, wire: Wire, run: RunNumber, *, step: str | None = None, attempt: int | None = None
    ) -> None:
        self._wire = wire
        self._wanted = {"run": run, "step": step, "attempt": attempt}
        self._place = ""
        self._not_before = 0.0
        """While the server is away it is asked now and then only."""

    def more(self) -> Iterator[LogLine]:
        """Yield the lines that have come since the last call; none while the server is away."""
        while time.monotonic() >= self._not_before:
            try:
                piece = self._wire.rows("log", rows.LogPiece, place=self._place, **self._wanted)
            except (Unreachable, StoreUnavailable):
                self._not_before = time.monotonic() + AWAY_SECONDS
                return
            self._place = piece.place
            if not piece.lines:
                return
            yield from piece.lines

    def close(self) -> None:
        """Nothing is open here."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _text(value: object) -> str:
    return rows.encode(value).decode()


def _converted(value: object, kind: type[T]) -> T:
    found: T = rows.decode(rows.encode(value), kind)
    return found


def _replaced(where: SendingFilter, *, before: int) -> SendingFilter:
    return dataclasses.replace(where, before=before)  # type: ignore[arg-type] # a SendingId
