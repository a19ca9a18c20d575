"""The page of environments: their rules, whether one may go in now, who is in, who queues, what was deployed last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.responses import HTMLResponse

from towpath.core.gates import WINDOW_PREFIX
from towpath.core.run import Micros
from towpath.definition.project import Environment
from towpath.people import calendars, choices
from towpath.people.calendars import Entry
from towpath.server.api import finding, reach
from towpath.server.call import Asked, Call
from towpath.server.routing import Routes
from towpath.server.web import pages
from towpath.store.contract import RunFilter, RunRow

ROUTES = Routes(is_page=True)
RUNS_SHOWN: Final = 5
"""Runs of each kind on one card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """A time in which nothing starts in an environment."""

    calendar: str
    entry: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An environment as its card shows it."""

    name: str
    environment: Environment
    frozen: Freeze | None
    """The freeze of this moment."""
    next_freeze: Freeze | None
    opens_at: Micros | None
    """When steps may start in it next: now, later, or never (None)."""
    windows: Mapping[str, str]
    """Calendars and their hours in words."""
    inside: tuple[RunRow, ...]
    inside_more: bool
    places_taken: int
    last: tuple[RunRow, ...]
    """Its latest runs that have ended."""


@ROUTES.get("/environments", permission="environment.view")
def environments_page(call: Asked) -> HTMLResponse:
    """All environments that one may see."""
    file = call.app.project_file()
    shown = tuple(
        show(call, name, environment)
        for name, environment in file.environments.items()
        if reach.may_in(call, "environment.view", name)
    )
    return pages.page(
        call,
        "environments.html",
        title="Environments",
        section="environments",
        shown=shown,
        silence=choices.silence,
    )


def show(call: Call, name: str, environment: Environment) -> Shown:
    """What there is to say of an environment now."""
    now = call.app.now()
    inside = finding.page_of(call, RunFilter(environment=name, is_open=True, rows_max=RUNS_SHOWN))
    last = finding.page_of(call, RunFilter(environment=name, is_open=False, rows_max=RUNS_SHOWN))
    return Shown(
        name=name,
        environment=environment,
        frozen=_frozen(call, environment, now),
        next_freeze=_next_freeze(call, environment, now),
        opens_at=call.app.desk.window_opens_at(f"{WINDOW_PREFIX}{name}", now),
        windows={window: _hours(call, window) for window in environment.windows},
        inside=inside.rows,
        inside_more=inside.next is not None,
        places_taken=len(call.app.reader.places_taken(name)),
        last=last.rows,
    )


def _frozen(call: Call, environment: Environment, at: Micros) -> Freeze | None:
    for name in environment.freeze:
        calendar = call.app.desk.calendar(name)
        entry = None if calendar is None else calendars.freezes_at(calendar, at)
        if entry is not None:
            return Freeze(calendar=name, entry=entry)
    return None


def _next_freeze(call: Call, environment: Environment, at: Micros) -> Freeze | None:
    """The freeze that begins next."""
    coming = [
        (entry.start, name, entry)
        for name in environment.freeze
        if (calendar := call.app.desk.calendar(name)) is not None
        for entry in calendars.timetable(calendar).freezes
        if entry.start is not None and entry.start > at
    ]
    if not coming:
        return None
    _, name, entry = min(coming, key=lambda one: one[0])
    return Freeze(calendar=name, entry=entry)


def _hours(call: Call, name: str) -> str:
    """When a calendar is open, in words."""
    calendar = call.app.desk.calendar(name)
    if calendar is None:
        return "this calendar is not in the project any more"
    hours = ", ".join(f"{days} {spans}" for days, spans in calendar.hours.items()) or "always"
    return f"{hours} ({calendar.time_zone})"
