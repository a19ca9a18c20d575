"""Calendars: when something is open, and how much open time has passed. Pure arithmetic, without a clock.

What a calendar says of an instant is settled by the first of these that has something to say:

1. a **freeze**: closed;
2. **maintenance**: open;
3. a **holiday**: closed;
4. the **hours** of that day of the week, as the wall clocks of the calendar's time zone show them: open
   inside, closed outside. A day that no line names is closed; of two lines that name the same day, the later
   one counts;
5. nothing at all: open.

A stretch of time takes in its beginning and leaves out its end: at 17:00 sharp, `09:00-17:00` is closed. In
the night in which the clocks go back, hours that come twice count twice; hours that the clocks jump over do
not come at all.

A calendar is worked through piece by piece: the state at an instant, and how long it certainly lasts. Nothing
looks further ahead than `HORIZON`: what does not open within ten years never opens.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from towpath.core.run import Micros
from towpath.definition.project import Calendar, Span, days_of, parse_clock
from towpath.people import civil_time
from towpath.people.civil_time import DAY, FOREVER, MINUTE, WEEK, Day

HORIZON: Micros = 3_660 * DAY
"""How far ahead a calendar is looked at, in microseconds: ten years."""

EntryKind: TypeAlias = Literal["freeze", "maintenance", "holiday", "hours", "always"]
Spans: TypeAlias = tuple[tuple[Micros, Micros], ...]
"""Open stretches of one day, in microseconds since its midnight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The line of a calendar that says whether it is open."""

    kind: EntryKind
    text: str = ""
    """Its times, as they are written in the file."""
    title: str = ""
    """Why, where the file says so."""
    start: Micros | None = None
    """When it begins; None for a line without a beginning."""
    end: Micros | None = None
    """When it is over; None for a line without an end."""

    @property
    def name(self) -> str:
        """The entry as people are told: `the freeze 'Year end' (2026-12-20 to 2027-01-02)`."""
        match self.kind:
            case "always":
                return "a calendar that is always open"
            case "hours":
                return f"the hours {self.text}"
            case "holiday":
                return f"the holiday {self.text}"
            case _ if self.title:
                return f"the {self.kind} '{self.title}' ({self.text})"
            case _:
                return f"the {self.kind} {self.text}"


class Opening(NamedTuple):
    """Whether a calendar is open at an instant, and the entry that says so."""

    is_open: bool
    entry: Entry


class Piece(NamedTuple):
    """A stretch of time in which one entry says one thing: from *start* up to, and without, *end*."""

    start: Micros
    end: Micros
    is_open: bool
    entry: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """A calendar, read once for many questions: its time zone found, its spans as instants."""

    zone: zoneinfo.ZoneInfo
    hours: tuple[Spans, ...] | None
    """The open stretches of each day of the week, Monday first; None where no hours are said."""
    hours_entry: Entry
    holidays: Mapping[Day, Entry]
    maintenance: tuple[Entry, ...]
    freezes: tuple[Entry, ...]


AnyCalendar: TypeAlias = Calendar | Timetable
"""A calendar as the file has it, or read already."""


def timetable(calendar: AnyCalendar) -> Timetable:
    """The calendar, read."""
    if isinstance(calendar, Timetable):
        return calendar
    zone = civil_time.zone_of(calendar.time_zone)
    hours = ", ".join(f"{days} {spans}" for days, spans in calendar.hours.items())
    return Timetable(
        zone=zone,
        hours=_week(calendar.hours) if calendar.hours else None,
        hours_entry=Entry(kind="hours", text=hours) if hours else Entry(kind="always"),
        holidays={civil_time.day_named(day): _holiday(day, zone) for day in calendar.holidays},
        maintenance=_entries("maintenance", calendar.maintenance, zone),
        freezes=_entries("freeze", calendar.freezes, zone),
    )


def is_open(calendar: AnyCalendar, at: Micros) -> Opening:
    """Whether *calendar* is open at an instant, and the entry that says so."""
    piece = piece_at(timetable(calendar), at)
    return Opening(piece.is_open, piece.entry)


def next_open(calendar: AnyCalendar, at: Micros) -> Micros | None:
    """The first instant, not before *at*, at which *calendar* is open; None where it never opens."""
    return _next(calendar, at, is_open=True)


def next_close(calendar: AnyCalendar, at: Micros) -> Micros | None:
    """The first instant, not before *at*, at which *calendar* is closed; None where it never closes."""
    return _next(calendar, at, is_open=False)


def add_working(calendar: AnyCalendar, at: Micros, duration: Micros) -> Micros | None:
    """The first instant at which *duration* of open time has passed since *at*; None where it never has."""
    table = timetable(calendar)
    each_week = _open_in_a_week(table)
    here, left = at, max(duration, 0)
    while left > 0:
        if here >= at + HORIZON:
            return None
        if left > each_week and _is_plain_week(table, here):
            here, left = here + WEEK, left - each_week
            continue
        piece = piece_at(table, here)
        gone = min(piece.end - here, left) if piece.is_open else 0
        here, left = (here + gone if gone == left else piece.end), left - gone
    return here


def open_time(calendar: AnyCalendar, start: Micros, end: Micros) -> Micros:
    """How much of the time between two instants *calendar* is open, in microseconds."""
    table = timetable(calendar)
    each_week = _open_in_a_week(table)
    here, last, found = start, min(end, start + HORIZON), 0
    while here < last:
        if last - here >= WEEK and _is_plain_week(table, here):
            here, found = here + WEEK, found + each_week
            continue
        piece = piece_at(table, here)
        found += min(piece.end, last) - here if piece.is_open else 0
        here = piece.end
    return found


def freezes_at(calendar: AnyCalendar, at: Micros) -> Entry | None:
    """The freeze that *at* falls into: of several, the one that lasts longest; None where there is none."""
    return _covering(timetable(calendar).freezes, at)


def pieces(calendar: AnyCalendar, start: Micros, end: Micros) -> Iterator[Piece]:
    """What *calendar* says from *start* up to *end*, piece by piece, without a gap; neighbours may agree.

    It goes no further than `HORIZON` beyond the start.
    """
    table = timetable(calendar)
    last = min(end, start + HORIZON)
    while start < last:
        piece = piece_at(table, start)
        yield piece._replace(end=min(piece.end, last))
        start = piece.end


def piece_at(table: Timetable, at: Micros) -> Piece:
    """What the calendar says at an instant, and until when it certainly says the same."""
    frozen = _covering(table.freezes, at)
    if frozen is not None:
        return Piece(at, _end(frozen), is_open=False, entry=frozen)
    freeze_starts = _next_start(table.freezes, at)
    kept_open = _covering(table.maintenance, at)
    if kept_open is not None:
        return Piece(at, min(_end(kept_open), freeze_starts), is_open=True, entry=kept_open)
    piece = _ordinary(table, at)
    return piece._replace(end=min(piece.end, freeze_starts, _next_start(table.maintenance, at)))


# --- a week like any other ---------------------------------------------------------------------------------
# Time limits of weeks and months are counted in whole weeks where nothing but the hours has a say in them.


def _open_in_a_week(table: Timetable) -> Micros:
    """How much of a week is open where nothing but the hours has a say."""
    if table.hours is None:
        return WEEK
    return sum(end - start for spans in table.hours for start, end in spans)


def _is_plain_week(table: Timetable, at: Micros) -> bool:
    """Whether nothing but the hours has a say in the seven days from *at* on, and the clocks do not change."""
    end = at + WEEK
    if any(_start(entry) < end and at < _end(entry) for entry in (*table.freezes, *table.maintenance)):
        return False
    first, middle, last = (civil_time.wall_at(table.zone, look) for look in (at, at + WEEK // 2, end))
    if last - first != WEEK or middle - first != WEEK // 2:
        return False
    days = range(civil_time.day_of(first), civil_time.day_of(last) + 1)
    return not any(day in days for day in table.holidays)


# --- a day like any other -----------------------------------------------------------------------------------


def _ordinary(table: Timetable, at: Micros) -> Piece:
    """What holidays and hours say: until the day, the open stretch or the time zone's offset ends."""
    if table.hours is None and not table.holidays:
        return Piece(at, FOREVER, is_open=True, entry=table.hours_entry)
    wall = civil_time.wall_at(table.zone, at)
    day = civil_time.day_of(wall)
    clock = wall - day * DAY
    holiday = table.holidays.get(day)
    if holiday is not None:
        lasts, opened, entry = DAY - clock, False, holiday
    elif table.hours is None:
        lasts, opened, entry = DAY - clock, True, table.hours_entry
    else:
        lasts, opened = _by_the_clock(table.hours[civil_time.weekday_of(day)], clock)
        entry = table.hours_entry
    change = civil_time.offset_change(table.zone, at, at + lasts)
    return Piece(at, at + lasts if change is None else change, is_open=opened, entry=entry)


def _by_the_clock(spans: Spans, clock: Micros) -> tuple[Micros, bool]:
    """How long the day's state lasts from *clock* on, and whether it is open."""
    for start, end in spans:
        if clock < start:
            return start - clock, False
        if clock < end:
            return end - clock, True
    return DAY - clock, False


def _next(calendar: AnyCalendar, at: Micros, *, is_open: bool) -> Micros | None:
    for piece in pieces(calendar, at, at + HORIZON):
        if piece.is_open is is_open:
            return piece.start
    return None


# --- reading ------------------------------------------------------------------------------------------------


def spans_of_day(text: str) -> Spans:
    """The stretches that `09:00-12:00, 13:00-17:30` names, in order, those that touch joined."""
    found: list[tuple[Micros, Micros]] = []
    for start, end in sorted(_span_of_day(span) for span in text.split(",")):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return tuple(found)


def _span_of_day(text: str) -> tuple[Micros, Micros]:
    start, _, end = text.strip().partition("-")
    return parse_clock(start) * MINUTE, parse_clock(end) * MINUTE


def _week(hours: Mapping[str, str]) -> tuple[Spans, ...]:
    week: list[Spans] = [()] * 7
    for days, text in hours.items():
        for day in days_of(days):
            week[day] = spans_of_day(text)
    return tuple(week)


def _holiday(text: str, zone: zoneinfo.ZoneInfo) -> Entry:
    start, end = civil_time.start_of(text, zone), civil_time.end_of(text, zone)
    return Entry(kind="holiday", text=text, start=start, end=end)


def _entries(kind: EntryKind, spans: Sequence[Span], zone: zoneinfo.ZoneInfo) -> tuple[Entry, ...]:
    return tuple(
        Entry(
            kind=kind,
            text=f"{span.from_} to {span.until}",
            title=span.title or "",
            start=civil_time.start_of(span.from_, zone),
            end=civil_time.end_of(span.until, zone),
        )
        for span in spans
    )


def _covering(entries: Sequence[Entry], at: Micros) -> Entry | None:
    found = [entry for entry in entries if _start(entry) <= at < _end(entry)]
    return max(found, key=_end, default=None)


def _next_start(entries: Sequence[Entry], at: Micros) -> Micros:
    return min((_start(entry) for entry in entries if at < _start(entry)), default=FOREVER)


def _start(entry: Entry) -> Micros:
    return -FOREVER if entry.start is None else entry.start


def _end(entry: Entry) -> Micros:
    return FOREVER if entry.end is None else entry.end
