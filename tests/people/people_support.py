"""What the tests of people share: projects from plain values, instants from wall clocks, and time zones."""

from __future__ import annotations

import datetime
import functools
import zoneinfo
from collections.abc import Mapping
from typing import Any

from towpath.core.run import Micros, Question
from towpath.definition.project import Calendar, ProjectFile
from towpath.people import Directory

SECOND: Micros = 1_000_000
MINUTE: Micros = 60 * SECOND
HOUR: Micros = 60 * MINUTE
DAY: Micros = 24 * HOUR
BERLIN = "Europe/Berlin"
ZONES = sorted(zoneinfo.available_timezones())
"""Every zone of the IANA database."""
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def at(text: str, zone: str = BERLIN, *, fold: int = 0) -> Micros:
    """The instant of `2026-11-23 09:00` in a zone, as the standard library has it."""
    moment = datetime.datetime.fromisoformat(text).replace(tzinfo=zoneinfo.ZoneInfo(zone), fold=fold)
    return micros(moment)


def micros(moment: datetime.datetime) -> Micros:
    """Microseconds since the epoch of a moment with a zone."""
    return (moment.astimezone(datetime.UTC) - EPOCH) // datetime.timedelta(microseconds=1)


def local(instant: Micros, zone: str) -> datetime.datetime:
    """What the wall clock of a zone shows at an instant, as the standard library has it."""
    moment = EPOCH + datetime.timedelta(microseconds=instant)
    return moment.astimezone(zoneinfo.ZoneInfo(zone)).replace(tzinfo=None, fold=0)


def calendar(**keys: Any) -> Calendar:
    """A calendar from plain values."""
    return Calendar.model_validate(keys)


def directory(people: Mapping[str, Any] | None = None) -> Directory:
    """A directory of a project whose file says this of people."""
    return Directory(ProjectFile.model_validate({} if people is None else {"people": people}))


def question(**keys: Any) -> Question:
    """An approval, with the given fields changed."""
    given = {
        "kind": "approval",
        "text": "Release?",
        "choices": ("approve", "reject"),
        "who": ("group:managers",),
        **keys,
    }
    return Question(**given)


@functools.cache
def changes_of_clocks(zone: str, year: int) -> tuple[Micros, ...]:
    """The instants of a year at which the clocks of a zone change, to the hour before."""
    start = micros(datetime.datetime(year, 1, 1, tzinfo=datetime.UTC))
    info = zoneinfo.ZoneInfo(zone)

    def offset(instant: Micros) -> datetime.timedelta | None:
        return (EPOCH + datetime.timedelta(microseconds=instant)).astimezone(info).utcoffset()

    days = [start + day * DAY for day in range(366)]
    changing = [day for day in days if offset(day) != offset(day + DAY)]
    return tuple(
        next(
            day + hour * HOUR
            for hour in range(24)
            if offset(day + hour * HOUR) != offset(day + (hour + 1) * HOUR)
        )
        for day in changing
    )
