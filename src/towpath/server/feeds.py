"""What streams tell: the facts of a run, the lines of its log, and what has changed in the lists, each from a place on.

Each is read in parts of a bounded size, and whoever follows the same thing shares them (`sharing`). What somebody may not see is left
out of what is shared when it is told to them, not when it is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from towpath.errors import NotFound
from towpath.policy.access import ANYTHING, Target
from towpath.server import event_stream
from towpath.server.call import target_of
from towpath.server.shapes import events as event_shapes
from towpath.server.shapes import runs as shapes
from towpath.server.shapes.logs import line_object
from towpath.server.sharing import Part
from towpath.store import encoding
from towpath.store.contract import EventId, Events, News, Record, RunNumber, RunRow
from towpath.store.logs import Logs, read_on
from towpath.store.reader import SqliteReader

PART_BYTES: Final = 64 * 1024
"""About as much as is read and encoded at once; one fact more is the most."""
NEWS_AT_ONCE_MAX: Final = 200
"""What has changed and is told at once."""
NEWS_BEHIND_MAX: Final = 1_000
"""Who has missed more than this is told to read the lists anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One change of a list, encoded; whoever may do *permission* with *target* may be told."""

    text: bytes
    permission: str
    target: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsPart:
    """Changes of the lists, or that there are too many of them."""

    told: tuple[Told, ...] = ()
    is_gap: bool = False


def facts(reader: SqliteReader, run: RunNumber, after: int) -> Part[bytes, int]:
    """The facts of a run behind a sequence; where the run has ended and there are none, the end."""
    texts: list[bytes] = []
    size, place = 0, after
    for record in reader.events(run, after=after):
        texts.append(_fact(run, record))
        size, place = size + len(texts[-1]), record[0]
        if size >= PART_BYTES:
            break
    if texts:
        return Part(said=b"".join(texts), size=size, place=place)
    row = _row(reader, run)
    if row is None:
        return Part(
            said=event_stream.message("end", {"status": "forgotten"}), size=0, place=after, is_end=True
        )
    if row.is_open or row.last_sequence > after:
        return Part(said=b"", size=0, place=after)
    return Part(said=_end(row), size=0, place=after, is_end=True)


def log_lines(
    reader: SqliteReader, logs: Logs, run: RunNumber, place: str, step: str | None, attempt: int | None
) -> Part[bytes, str]:
    """The lines of a log behind a place; where the run has ended and there are none, the end."""
    row = _row(reader, run)
    piece = read_on(logs.folder_of(run), place=place, step=step, attempt=attempt, piece_bytes=PART_BYTES)
    if piece.lines:
        told = [line_object(one) for one in piece.lines]
        text = event_stream.message("lines", told, place=piece.place)
        return Part(said=text, size=len(text), place=piece.place)
    if row is not None and row.is_open:
        return Part(said=b"", size=0, place=piece.place)
    said = event_stream.message("end", {"status": "forgotten"}) if row is None else _end(row)
    return Part(said=said, size=0, place=piece.place, is_end=True)


def news(reader: SqliteReader, events: Events, after: int) -> Part[NewsPart, int]:
    """What has changed in the lists behind a position."""
    last = reader.last_news()
    if not after <= last:  # the data folder was restored from an older backup
        return Part(said=NewsPart(is_gap=True), size=1, place=last)
    found = reader.news(after=after, rows_max=NEWS_AT_ONCE_MAX)
    if (
        len(found) == NEWS_AT_ONCE_MAX
        and len(reader.news(after=after, rows_max=NEWS_BEHIND_MAX)) >= NEWS_BEHIND_MAX
    ):
        return Part(said=NewsPart(is_gap=True), size=1, place=last)
    if not found:
        return Part(said=NewsPart(), size=0, place=after)
    rows = {row.number: row for row in reader.runs_of({one.number for one in found if one.about != "event"})}
    told = tuple(_each(found, rows, events))
    return Part(
        said=NewsPart(told=told), size=1 + sum(len(one.text) for one in told), place=found[-1].position
    )


def _each(found: tuple[News, ...], rows: dict[RunNumber, RunRow], events: Events) -> Iterator[Told]:
    for one in found:
        data: Any = None  # JSON
        permission, target = "event.view", ANYTHING
        if one.about == "event":
            try:
                data = event_shapes.event_object(events.event(EventId(one.number)))
            except NotFound:
                continue
        elif (row := rows.get(RunNumber(one.number))) is None:
            continue
        elif one.about == "run":
            permission, target, data = "run.view", target_of(row), shapes.run_object(row)
        else:
            permission, target = "question.view", target_of(row)
            open_ones = len(row.summary.questions) + row.summary.questions_more
            data = {"run_number": row.number, "workflow": row.workflow, "open": open_ones}
        text = event_stream.message(one.about, data, place=one.position)
        yield Told(text=text, permission=permission, target=target)


def _row(reader: SqliteReader, run: RunNumber) -> RunRow | None:
    try:
        return reader.run(run)
    except NotFound:
        return None


def _end(row: RunRow) -> bytes:
    return event_stream.message("end", {"status": row.summary.status, "outcome": row.summary.outcome})


def _fact(run: RunNumber, record: Record) -> bytes:
    sequence, _, encoded = record
    told = shapes.fact_object(encoding.decode(encoded), number=run, sequence=sequence)
    return event_stream.framed("fact", _encode(told), place=sequence)


_encode = msgspec.json.Encoder().encode
