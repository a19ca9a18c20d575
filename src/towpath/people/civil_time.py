"""Civil time: what the clock on the wall of a time zone says, and which instant that is.

An *instant* is microseconds since the epoch, in UTC. A *wall time* is what a wall clock shows at that
instant, as microseconds since 1970-01-01 00:00 on the same wall. The two differ by the zone's offset, and the
offset jumps twice a year in many places. Two rules say what that means everywhere in Towpath:

- A wall time that does not exist, because the clocks go forward over it, stands for the instant at which they
  go forward.
- A wall time that comes twice, because the clocks go back, stands for its first occurrence where something
  begins or changes hands, and for its last where something ends.

Everything else is arithmetic on stretches of constant offset, in which the wall clock is as good as a ruler.
"""

from __future__ import annotations

import datetime
import zoneinfo

from towpath.core.run import Micros

Wall = int
"""Microseconds since 1970-01-01 00:00 on a wall clock."""
Day = int
"""Days since 1970-01-01 on a wall calendar."""

SECOND: Micros = 1_000_000
MINUTE: Micros = 60 * SECOND
HOUR: Micros = 60 * MINUTE
DAY: Micros = 24 * HOUR
WEEK: Micros = 7 * DAY
FOREVER: Micros = 2**62
"""Later than any instant that a calendar can name."""

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_EPOCH_WALL = _EPOCH.replace(tzinfo=None)
_EPOCH_ORDINAL = _EPOCH.toordinal()
_MICROSECOND = datetime.timedelta(microseconds=1)
_EARLIEST = (datetime.datetime(2, 1, 1, tzinfo=datetime.UTC) - _EPOCH) // _MICROSECOND
_LATEST = (datetime.datetime(9998, 1, 1, tzinfo=datetime.UTC) - _EPOCH) // _MICROSECOND
_THURSDAY = 3  # 1970-01-01 was one


def zone_of(name: str) -> zoneinfo.ZoneInfo:
    """The time zone of that name in the IANA database."""
    return zoneinfo.ZoneInfo(name)


def offset_at(zone: zoneinfo.ZoneInfo, at: Micros) -> Micros:
    """How far the wall clocks of *zone* are ahead of UTC at an instant."""
    moment = _EPOCH + datetime.timedelta(microseconds=min(max(at, _EARLIEST), _LATEST))
    return _micros(moment.astimezone(zone).utcoffset())


def wall_at(zone: zoneinfo.ZoneInfo, at: Micros) -> Wall:
    """What the wall clocks of *zone* show at an instant."""
    return at + offset_at(zone, at)


def instant_of(zone: zoneinfo.ZoneInfo, wall: Wall, *, is_last: bool = False) -> Micros:
    """The instant of a wall time; *is_last* takes the second occurrence of one that comes twice."""
    shown = _EPOCH_WALL + datetime.timedelta(microseconds=min(max(wall, _EARLIEST), _LATEST))
    before = _micros(shown.replace(tzinfo=zone, fold=0).utcoffset())
    after = _micros(shown.replace(tzinfo=zone, fold=1).utcoffset())
    if before < after:  # the clocks go forward over it
        change = offset_change(zone, wall - after, wall - before)
        return wall - before if change is None else change
    return wall - (after if is_last else before)


def offset_change(zone: zoneinfo.ZoneInfo, start: Micros, end: Micros) -> Micros | None:
    """The instant in (*start*, *end*] from which the offset is another one; None where the ends agree.

    The two ends have to be so near each other that the clocks change at most once in between: a day, not a
    year.
    """
    offset = offset_at(zone, start)
    if offset_at(zone, end) == offset:
        return None
    while end - start > 1:
        middle = (start + end) // 2
        if offset_at(zone, middle) == offset:
            start = middle
        else:
            end = middle
    return end


def day_of(wall: Wall) -> Day:
    """The day that a wall time belongs to."""
    return wall // DAY


def weekday_of(day: Day) -> int:
    """The day of the week, Monday being 0."""
    return (day + _THURSDAY) % 7


def day_named(text: str) -> Day:
    """The day that `2026-12-24` names."""
    return datetime.date.fromisoformat(text).toordinal() - _EPOCH_ORDINAL


def is_day(text: str) -> bool:
    """Whether a moment of the project's file is a whole day, `2026-12-24`, and not a point in time."""
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def start_of(text: str, zone: zoneinfo.ZoneInfo) -> Micros:
    """The instant at which a span begins that is written `from: 2026-12-24` or `from: 2026-12-24T18:00`."""
    if is_day(text):
        return instant_of(zone, day_named(text) * DAY)
    return _point(text, zone, is_last=False)


def end_of(text: str, zone: zoneinfo.ZoneInfo) -> Micros:
    """The instant at which a span is over that is written `until: …`; a day belongs to it to its end."""
    if is_day(text):
        return instant_of(zone, (day_named(text) + 1) * DAY)
    return _point(text, zone, is_last=True)


def said(at: Micros, zone: zoneinfo.ZoneInfo) -> str:
    """An instant as people read it: `Mon 2026-11-23 09:00 CET`."""
    moment = _EPOCH + datetime.timedelta(microseconds=min(max(at, _EARLIEST), _LATEST))
    return f"{moment.astimezone(zone):%a %Y-%m-%d %H:%M %Z}"


def _point(text: str, zone: zoneinfo.ZoneInfo, *, is_last: bool) -> Micros:
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        return (moment - _EPOCH) // _MICROSECOND
    return instant_of(zone, (moment - _EPOCH_WALL) // _MICROSECOND, is_last=is_last)


def _micros(offset: datetime.timedelta | None) -> Micros:
    assert offset is not None  # a ZoneInfo always knows its offset
    return offset // _MICROSECOND
