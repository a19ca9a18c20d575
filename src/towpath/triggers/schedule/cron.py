"""The instants of a cron expression in a time zone.

Clocks are put forward and back, and then a wall time does not exist, or comes twice. The rule, which is that of Debian's cron:

- An expression that names **times of the day** (neither its minute nor its hour begins with `*`) happens once on
  each of its days. A time that the clocks jump over happens right after the jump; one that comes twice happens
  the first time.
- An expression that says **every so often** (`*/10 * * * *`, `0 * * * *`) counts time: nothing happens in the hour
  that is not there, and the hour that comes twice has twice as many.

A day on which the clocks do not change is plain arithmetic; only the few others are looked at minute by minute.
"""

from __future__ import annotations

import datetime
import functools
import zoneinfo
from collections.abc import Iterator

from towpath.core.run import Micros
from towpath.triggers.schedule import fields

HORIZON_DAYS = 366 * 50
"""How far ahead, and back, a day is looked for: a 29 February on one day of the week comes every 28 years, or after 40."""
DAYS_KEPT = 64
"""Days whose instants one expression remembers."""

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)
_DAY = datetime.timedelta(days=1)
_MINUTE: Micros = 60_000_000
_NOON = 720
"""In minutes."""


class CronTimes:
    """The instants of one expression in one time zone; a value that remembers the days it was asked for."""

    def __init__(self, cron: str, timezone: str) -> None:
        self.fields = fields.read(cron)
        self.zone = zoneinfo.ZoneInfo(timezone)
        self._instants = functools.lru_cache(maxsize=DAYS_KEPT)(self._instants_of)

    def after(self, at: Micros) -> Iterator[Micros]:
        """The instants after *at*, in order."""
        last = at
        for day in self._days(at, step=1):
            for instant in self._instants(day):
                if instant > last:
                    last = instant
                    yield instant

    def until(self, at: Micros) -> Iterator[Micros]:
        """The instants up to *at*, that one included, the latest first."""
        last = at + 1
        for day in self._days(at, step=-1):
            for instant in reversed(self._instants(day)):
                if instant < last:
                    last = instant
                    yield instant

    def _days(self, at: Micros, *, step: int) -> Iterator[datetime.date]:
        """The days that are named, from the one that *at* is in: beginning a day earlier, for the clocks' sake."""
        day = (_EPOCH + at * _MICROSECOND).astimezone(self.zone).date() - step * _DAY
        for _ in range(HORIZON_DAYS):
            if self.fields.names(day):
                yield day
            try:
                day += step * _DAY
            except OverflowError:
                return

    def _instants_of(self, day: datetime.date) -> tuple[Micros, ...]:
        if not self._clocks_change(day):
            start = self._instant(day, 0)
            return tuple(start + minute * _MINUTE for minute in self.fields.minutes)
        by_wall = self._once if self.fields.follows_the_clock else self._each
        return tuple(sorted({instant for minute in self.fields.minutes for instant in by_wall(day, minute)}))

    def _clocks_change(self, day: datetime.date) -> bool:
        """Whether a wall time of the day is missing or comes twice, as far as its ends and its middle tell."""
        looks = [
            self._wall(each, minute, fold)
            for each, minute in ((day, 0), (day, _NOON), (day + _DAY, 0))
            for fold in (0, 1)
        ]
        return len({look.utcoffset() for look in looks}) > 1

    def _once(self, day: datetime.date, minute: int) -> tuple[Micros, ...]:
        """The one instant of a time of the day: the first of two, or the first after a jump."""
        first, second = self._instant(day, minute), self._instant(day, minute, fold=1)
        if first > second:  # the clocks jump over it
            return (_end_of_gap(self.zone, second, first),)
        return (first,)

    def _each(self, day: datetime.date, minute: int) -> tuple[Micros, ...]:
        """All instants at which the wall shows a time: none, one or two."""
        first, second = self._instant(day, minute), self._instant(day, minute, fold=1)
        if first > second:
            return ()
        return (first,) if first == second else (first, second)

    def _instant(self, day: datetime.date, minute: int, *, fold: int = 0) -> Micros:
        return (self._wall(day, minute, fold) - _EPOCH) // _MICROSECOND

    def _wall(self, day: datetime.date, minute: int, fold: int) -> datetime.datetime:
        clock = datetime.time(minute // 60, minute % 60, tzinfo=self.zone, fold=fold)
        return datetime.datetime.combine(day, clock)


def _end_of_gap(zone: zoneinfo.ZoneInfo, before: Micros, after: Micros) -> Micros:
    """The instant in (*before*, *after*] at which the clocks jump."""
    offset = _offset_at(zone, before)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset_at(zone, middle) == offset:
            before = middle
        else:
            after = middle
    return after


def _offset_at(zone: zoneinfo.ZoneInfo, at: Micros) -> datetime.timedelta | None:
    return (_EPOCH + at * _MICROSECOND).astimezone(zone).utcoffset()
