"""The schedule: what starts by itself between two moments, and when calendars are closed or frozen meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

from fastapi import Query
from pydantic import Field

from towpath.definition.inputs import InputsInvalid
from towpath.people import calendars
from towpath.server.api import catalogue
from towpath.server.api.told import MICROS, Moment, Told, moment_of
from towpath.server.call import Asked, Call
from towpath.server.routing import Routes
from towpath.server.shapes.moments import stamp
from towpath.server.shapes.schedule import start_object
from towpath.triggers import ahead
from towpath.triggers.ahead import Start

ROUTES = Routes(prefix="/api/v1", tag="schedule")
STARTS_MAX: Final = 2_000
"""Starts that one answer tells."""
PIECES_MAX: Final = 2_000
"""Stretches of time that one answer tells of all calendars."""
SPAN_DAYS_MAX: Final = 400
"""How much time one answer spans."""
_DAY: Final = 86_400 * MICROS


class Coming(Told):
    """A start that a schedule has ahead."""

    at: str = Field(description="When, with its jitter.")
    scheduled_at: str = Field(description="The instant that the schedule names.")
    workflow: str = Field(description="What it starts.")
    schedule: str = Field(description="Its times, as the file says them.")
    timezone: str = Field(description="In which they are read.")


class Stretch(Told):
    """A time in which a calendar says one thing."""

    calendar: str = Field(description="Which calendar.")
    start: str = Field(description="From when on.")
    end: str = Field(description="Up to when.")
    is_open: bool = Field(description="Whether it is open.")
    kind: str = Field(description="What says so: `freeze`, `maintenance`, `holiday`, `hours` or `always`.")
    title: str = Field(description="Why, where the file says so.")
    text: str = Field(description="Its times, as they are written.")


class CalendarOf(Told):
    """A calendar of the project."""

    name: str = Field(description="Its name.")
    title: str | None = Field(description="What people are shown.")
    time_zone: str = Field(description="In which its times are read.")
    environments: list[str] = Field(description="The environments whose windows or freezes it says.")
    is_open: bool = Field(description="Whether it is open now.")
    because: str = Field(description="What says so.")


class Agenda(Told):
    """What comes between two moments."""

    since: str = Field(description="From when on.")
    until: str = Field(description="Up to when.")
    starts: list[Coming] = Field(description="What schedules start, in order.")
    is_complete: bool = Field(description="False where there is more than one answer tells.")
    calendars: list[CalendarOf] = Field(description="The calendars of the project.")
    stretches: list[Stretch] = Field(
        description="Maintenance, holidays and freezes, and the hours, in order of time."
    )


@ROUTES.get("/schedule", permission="workflow.view", operation_id="show_schedule")
def show_schedule(
    call: Asked,
    since: Annotated[Moment | None, Query(description="From this moment on; left out: now.")] = None,
    until: Annotated[Moment | None, Query(description="Up to this moment; left out: a week later.")] = None,
    workflow: Annotated[str | None, Query(max_length=128, description="Only of this workflow.")] = None,
) -> Agenda:
    """Show what schedules start between two moments, and what calendars say of that time: freezes, maintenance, holidays, hours."""
    now = call.app.now()
    start = now if since is None else moment_of(since, now=now)
    end = start + 7 * _DAY if until is None else moment_of(until, now=now)
    return agenda(call, start, end, workflow=workflow)


def agenda(call: Call, start: int, end: int, *, workflow: str | None = None) -> Agenda:
    """What comes between two moments; raises InputsInvalid where they are in the wrong order, or too far apart."""
    if not start <= end <= start + SPAN_DAYS_MAX * _DAY:
        raise InputsInvalid([f"`until` has to lie after `since`, by at most {SPAN_DAYS_MAX} days"])
    starts = coming(call, start, end, workflow=workflow, starts_max=STARTS_MAX + 1)
    stretches = sorted(_stretches(call, start, end), key=_in_time)
    return Agenda(
        since=stamp(start),
        until=stamp(end),
        starts=[Coming.model_validate(start_object(one)) for one in starts[:STARTS_MAX]],
        is_complete=len(starts) <= STARTS_MAX and len(stretches) <= PIECES_MAX,
        calendars=list(_calendars(call)),
        stretches=stretches[:PIECES_MAX],
    )


def coming(
    call: Call, start: int, end: int, *, workflow: str | None = None, starts_max: int = STARTS_MAX
) -> list[Start]:
    """What schedules start between two moments, of the workflows that whoever asks may see."""
    heard = catalogue.listeners(call)
    listeners = [
        heard[name] for name, _ in catalogue.workflows(call) if name in heard and workflow in (None, name)
    ]
    # A schedule names what comes after an instant: one microsecond less takes in the instant itself.
    return ahead.starts(
        listeners, after=start - 1, until=end - 1, is_open=call.app.listening.is_open, starts_max=starts_max
    )


def _calendars(call: Call) -> Iterator[CalendarOf]:
    file = call.app.project_file()
    for name, calendar in file.calendars.items():
        opening = calendars.is_open(calendar, call.app.now())
        yield CalendarOf(
            name=name,
            title=calendar.title,
            time_zone=str(calendar.time_zone),
            environments=[
                environment
                for environment, said in file.environments.items()
                if name in said.windows or name in said.freeze
            ],
            is_open=opening.is_open,
            because=opening.entry.name,
        )


def _stretches(call: Call, start: int, end: int) -> Iterator[Stretch]:
    """What every calendar says piece by piece, but for one that says one thing all the time."""
    for name, calendar in call.app.project_file().calendars.items():
        for number, piece in enumerate(calendars.pieces(calendar, start, end)):
            if number > PIECES_MAX:
                return
            if piece.entry.kind != "always":
                yield Stretch(
                    calendar=name,
                    start=stamp(max(piece.start, start)),
                    end=stamp(min(piece.end, end)),
                    is_open=piece.is_open,
                    kind=piece.entry.kind,
                    title=piece.entry.title,
                    text=piece.entry.text,
                )


def _in_time(one: Stretch) -> tuple[str, Any]:
    return one.start, one.calendar
