"""The page of what comes: every start that schedules have ahead, day by day, with freezes and the hours in which environments are open.

A week is a grid of seven days where there is room, and a list on a telephone; a month is a grid with less in each day. Days are those of
one time zone, which the page names: that of whoever looks, unless they choose another one.
"""

from __future__ import annotations

import datetime
import itertools
import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

from fastapi import Query
from starlette.responses import HTMLResponse

from towpath.core.run import Micros
from towpath.definition.project import is_time_zone
from towpath.people import calendars
from towpath.policy.access import Target
from towpath.server.api import reach
from towpath.server.call import Asked, Call
from towpath.server.routing import Routes
from towpath.server.web import pages
from towpath.triggers import ahead
from towpath.triggers.ahead import Start
from towpath.triggers.contract import Broken

ROUTES = Routes(is_page=True)
View: TypeAlias = Literal["week", "month"]
STARTS_MAX: Final = 1_500
"""Starts of one workflow that a page looks at; of a schedule that comes round more often, the page says that there is more."""
SINGLY_MAX: Final = 3
"""Starts of one schedule on one day that are shown one by one; more are told together."""
MICROS: Final = 1_000_000
_DAYS: Final[Mapping[View, int]] = {"week": 7, "month": 42}
_AHEAD_DAYS_MAX: Final = 3_660
_BEHIND_DAYS_MAX: Final = 31


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one schedule starts on one day."""

    first: Start
    starts: tuple[Micros, ...]

    @property
    def is_many(self) -> bool:
        """Whether they are told together."""
        return len(self.starts) > SINGLY_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A freeze that falls into a day."""

    name: str
    calendar: str
    environments: tuple[str, ...]
    start: Micros | None
    end: Micros | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """When an environment is open on a day."""

    environments: tuple[str, ...]
    calendar: str
    spans: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day of the calendar."""

    date: datetime.date
    is_today: bool
    is_past: bool
    entries: tuple[Entry, ...]
    bands: tuple[Band, ...]
    hours: tuple[Hours, ...]


@ROUTES.get("/schedule", permission="workflow.view")
def schedule_page(
    call: Asked,
    view: View = "week",
    day: Annotated[str, Query(max_length=10)] = "",
    zone: Annotated[str, Query(max_length=128)] = "",
) -> HTMLResponse:
    """What comes in a week or a month."""
    chosen = zone if is_time_zone(zone) else zone_of(call)
    info = zoneinfo.ZoneInfo(chosen)
    now = call.app.now()
    today = _date(now, info)
    first = _first_day(view, _day_named(day, today))
    days = [first + datetime.timedelta(days=each) for each in range(_DAYS[view])]
    found, cut = _starts(call, _instant(days[0], info), _instant(days[-1] + datetime.timedelta(days=1), info))
    step = datetime.timedelta(days=7 if view == "week" else 31)
    return pages.page(
        call,
        "schedule.html",
        title="Schedule",
        section="schedule",
        view=view,
        days=[_day(call, one, info, today, found) for one in days],
        month=(first + datetime.timedelta(days=10)).strftime("%B %Y") if view == "month" else "",
        first=first,
        last=days[-1],
        today=today,
        earlier=_middle(view, first) - step,
        later=_middle(view, first) + step,
        is_earliest=first <= today,
        zone=chosen,
        zones=_zones(call, chosen),
        cut=cut,
        clock=lambda at: _local(at, info).strftime("%H:%M"),
        clock_in=lambda at, name: _local(at, zoneinfo.ZoneInfo(name)).strftime("%H:%M"),
        broken=tuple(one for one in call.app.listening.listeners() if isinstance(one, Broken)),
    )


def zone_of(call: Call) -> str:
    """The time zone of whoever looks: their own, else that of the server."""
    user = call.app.project_file().people.users.get(call.by.removeprefix("user:"))
    if user is not None and user.time_zone is not None:
        return user.time_zone
    local = datetime.datetime.now().astimezone().tzinfo
    name = getattr(local, "key", "") or ""
    return name if is_time_zone(name) else "UTC"


# --- what comes ----------------------------------------------------------------------------------------


def _starts(call: Call, start: Micros, end: Micros) -> tuple[list[Start], tuple[str, ...]]:
    """Every start between two instants that one may see, and the workflows of which there are more."""
    app, found, cut = call.app, list[Start](), list[str]()
    after = max(start, app.now()) - 1
    for listener in app.listening.listeners():
        if isinstance(listener, Broken):
            continue
        name = listener.workflow.name
        if not reach.may_with(call, "workflow.view", name, listener.workflow.environment):
            continue
        coming = ahead.starts(
            [listener], after=after, until=end - 1, is_open=app.listening.is_open, starts_max=STARTS_MAX
        )
        found += [one for one in coming if one.at < end]
        cut += [name] if len(coming) == STARTS_MAX else []
    return sorted(found), tuple(cut)


def _day(
    call: Call, date: datetime.date, info: zoneinfo.ZoneInfo, today: datetime.date, starts: Sequence[Start]
) -> Day:
    start, end = _instant(date, info), _instant(date + datetime.timedelta(days=1), info)
    here = [one for one in starts if start <= one.at < end]
    return Day(
        date=date,
        is_today=date == today,
        is_past=date < today,
        entries=_entries(here),
        bands=_bands(call, start, end),
        hours=_hours(call, start, end, info),
    )


def _entries(starts: Sequence[Start]) -> tuple[Entry, ...]:
    """The starts of a day, those of one schedule together where they are many."""

    def schedule_of(one: Start) -> tuple[str, str]:
        return one.workflow, one.schedule

    found: list[Entry] = []
    for _, group in itertools.groupby(sorted(starts, key=schedule_of), key=schedule_of):
        together = sorted(group)
        if len(together) > SINGLY_MAX:
            found.append(Entry(first=together[0], starts=tuple(one.at for one in together)))
        else:
            found += [Entry(first=one, starts=(one.at,)) for one in together]
    return tuple(sorted(found, key=lambda entry: (entry.first.at, entry.first.workflow)))


# --- freezes and hours -----------------------------------------------------------------------------------


def _bands(call: Call, start: Micros, end: Micros) -> tuple[Band, ...]:
    """The freezes of all calendars that fall into a stretch of time."""
    found: dict[tuple[str, str], Band] = {}
    for name, calendar in call.app.project_file().calendars.items():
        for entry in calendars.timetable(calendar).freezes:
            if (entry.start or 0) < end and (entry.end is None or entry.end > start):
                found[name, entry.name] = Band(
                    name=entry.title or entry.text,
                    calendar=name,
                    environments=_environments(call, name, is_freeze=True),
                    start=entry.start,
                    end=entry.end,
                )
    return tuple(found.values())


def _hours(call: Call, start: Micros, end: Micros, info: zoneinfo.ZoneInfo) -> tuple[Hours, ...]:
    """When the calendars that are windows of environments are open in a stretch of time."""
    found = []
    for name, calendar in call.app.project_file().calendars.items():
        environments = _environments(call, name, is_freeze=False)
        if not environments:
            continue
        spans = _merged(
            [(piece.start, piece.end) for piece in calendars.pieces(calendar, start, end) if piece.is_open]
        )
        told = ", ".join(
            f"{_local(opens, info):%H:%M}–{_closing(closes, end, info)}" for opens, closes in spans
        )
        found.append(Hours(environments=environments, calendar=name, spans=told or "closed"))
    return tuple(found)


def _closing(at: Micros, end: Micros, info: zoneinfo.ZoneInfo) -> str:
    return "24:00" if at == end else f"{_local(at, info):%H:%M}"


def _merged(spans: Sequence[tuple[Micros, Micros]]) -> list[tuple[Micros, Micros]]:
    """Spans in order, neighbours put together."""
    found: list[tuple[Micros, Micros]] = []
    for start, end in spans:
        if found and found[-1][1] == start:
            found[-1] = found[-1][0], end
        else:
            found.append((start, end))
    return found


def _environments(call: Call, calendar: str, *, is_freeze: bool) -> tuple[str, ...]:
    """The environments that a calendar keeps, and that one may see."""
    return tuple(
        name
        for name, environment in call.app.project_file().environments.items()
        if calendar in (environment.freeze if is_freeze else environment.windows)
        and call.may("environment.view", Target(environment=name))
    )


# --- days ------------------------------------------------------------------------------------------------


def _first_day(view: View, day: datetime.date) -> datetime.date:
    """With which a page begins: a week with the day itself, the grid of a month with a Monday."""
    if view == "week":
        return day
    first = day.replace(day=1)
    return first - datetime.timedelta(days=first.weekday())


def _middle(view: View, first: datetime.date) -> datetime.date:
    """A day of the month, or of the week, that the grid is about."""
    return first if view == "week" else (first + datetime.timedelta(days=7)).replace(day=15)


def _day_named(text: str, today: datetime.date) -> datetime.date:
    """The day that the address names; today where it names none, or one that is too far away."""
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError:
        return today
    return day if -_BEHIND_DAYS_MAX <= (day - today).days <= _AHEAD_DAYS_MAX else today


def _instant(day: datetime.date, info: zoneinfo.ZoneInfo) -> Micros:
    midnight = datetime.datetime(day.year, day.month, day.day, tzinfo=info)
    return round(midnight.timestamp()) * MICROS


def _date(at: Micros, info: zoneinfo.ZoneInfo) -> datetime.date:
    return _local(at, info).date()


def _local(at: Micros, info: zoneinfo.ZoneInfo) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(at // MICROS, tz=info)


def _zones(call: Call, chosen: str) -> tuple[str, ...]:
    """The time zones that the project speaks of."""
    file = call.app.project_file()
    found = {"UTC", chosen, zone_of(call)}
    found |= {calendar.time_zone for calendar in file.calendars.values()}
    found |= {user.time_zone for user in file.people.users.values() if user.time_zone is not None}
    return tuple(sorted(found))
