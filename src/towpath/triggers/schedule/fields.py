"""The five fields of a cron expression as sets, and which days and minutes they name.

The text was checked when the file was loaded (`definition.triggers.parse_cron`). A day has to fit both fields for days where one of them
begins with `*`, else either of them: so it is in every cron, and so people know it.
"""

from __future__ import annotations

import calendar
import datetime
import functools
from dataclasses import dataclass

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_SUNDAY_AGAIN = 7
_SATURDAY = 5
_WEEK = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """What a cron expression names."""

    minutes: tuple[int, ...]
    """Of a day, from 0 to 1439, rising."""
    days: frozenset[int]
    is_last_day: bool
    is_last_weekday: bool
    months: frozenset[int]
    weekdays: frozenset[int]
    """Sunday is 0."""
    nth_weekdays: frozenset[tuple[int, int]]
    """`fri#2` is (5, 2)."""
    last_weekdays: frozenset[int]
    """`5L`: the last Friday of the month."""
    needs_both: bool
    """Whether a day has to fit both fields."""
    follows_the_clock: bool
    """Whether it names times of the day, and not every so many minutes or hours: decides what the change of the clocks does to it."""

    def names(self, day: datetime.date) -> bool:
        """Whether it is a day on which anything happens."""
        if day.month not in self.months:
            return False
        of_month, of_week = self._of_month(day), self._of_week(day)
        return (of_month and of_week) if self.needs_both else (of_month or of_week)

    def _of_month(self, day: datetime.date) -> bool:
        if day.day in self.days:
            return True
        if not (self.is_last_day or self.is_last_weekday):
            return False
        last = calendar.monthrange(day.year, day.month)[1]
        if self.is_last_day and day.day == last:
            return True
        over = max(0, day.replace(day=last).weekday() - _SATURDAY + 1)
        return self.is_last_weekday and day.day == last - over

    def _of_week(self, day: datetime.date) -> bool:
        weekday = day.isoweekday() % _WEEK
        if weekday in self.weekdays or (weekday, (day.day + 6) // _WEEK) in self.nth_weekdays:
            return True
        is_last = (day + datetime.timedelta(days=_WEEK)).month != day.month
        return is_last and weekday in self.last_weekdays


@functools.lru_cache(maxsize=1024)
def read(cron: str) -> Fields:
    """The fields of a checked cron expression."""
    minute, hour, of_month, month, of_week = cron.upper().split()
    minutes, hours = _numbers(minute, range(60)), _numbers(hour, range(24))
    plain_days = [part for part in of_month.split(",") if part.partition("/")[0] not in ("L", "LW")]
    last_days = {part.partition("/")[0] for part in of_month.split(",")}
    week = of_week.split(",")
    named = [part for part in week if "#" not in part and not part.endswith("L")]
    return Fields(
        minutes=tuple(60 * each + one for each in sorted(hours) for one in sorted(minutes)),
        days=_numbers(",".join(plain_days), range(1, 32)),
        is_last_day="L" in last_days,
        is_last_weekday="LW" in last_days,
        months=_numbers(month, range(1, 13), _MONTHS, first=1),
        weekdays=frozenset(day % _SUNDAY_AGAIN for day in _numbers(",".join(named), range(8), _DAYS)),
        nth_weekdays=frozenset(_nth(part) for part in week if "#" in part),
        last_weekdays=frozenset(
            _weekday(part[:-1]) for part in week if part.endswith("L") and "#" not in part
        ),
        needs_both=of_month.startswith("*") or of_week.startswith("*"),
        follows_the_clock=not minute.startswith("*") and not hour.startswith("*"),
    )


def _nth(part: str) -> tuple[int, int]:
    day, _, number = part.partition("#")
    return _weekday(day), int(number)


def _weekday(text: str) -> int:
    return _number(text, _DAYS, first=0) % _SUNDAY_AGAIN


def _numbers(field: str, space: range, words: tuple[str, ...] = (), *, first: int = 0) -> frozenset[int]:
    found: set[int] = set()
    for part in field.split(",") if field else ():
        span, slash, step = part.partition("/")
        found.update(_span(span, space, words, first, is_open=bool(slash))[:: int(step) if slash else 1])
    return frozenset(found)


def _span(text: str, space: range, words: tuple[str, ...], first: int, *, is_open: bool) -> range:
    """A span of numbers; a single number with a step goes on to the end."""
    if text == "*":
        return space
    low, dash, high = text.partition("-")
    start = _number(low, words, first=first)
    if dash:
        return range(start, _number(high, words, first=first) + 1)
    return range(start, space.stop if is_open else start + 1)


def _number(text: str, words: tuple[str, ...], *, first: int) -> int:
    return words.index(text) + first if text in words else int(text)
