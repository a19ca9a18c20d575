"""Environments: their rules, when they are open or frozen, which runs are in them and which wait, and what was deployed last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

from fastapi import Path
from pydantic import Field

from towpath.core.gates import WINDOW_PREFIX
from towpath.definition.project import Approval, Environment
from towpath.errors import NotFound
from towpath.people import calendars
from towpath.server.api import finding, reach
from towpath.server.api.run_answers import Run
from towpath.server.api.runs import told
from towpath.server.api.told import MICROS, Told
from towpath.server.call import Asked, Call, target_of
from towpath.server.routing import Routes
from towpath.server.shapes.moments import stamp, stamp_or_none
from towpath.store.contract import RunFilter, RunRow

ROUTES = Routes(prefix="/api/v1/environments", tag="environments")
RUNS_SHOWN_MAX: Final = 20
"""Runs in an environment, and that wait for it, that one answer tells."""
DEPLOYMENTS_SHOWN_MAX: Final = 10
FREEZES_SHOWN_MAX: Final = 20
"""Freezes to come that one answer tells."""
AHEAD: Final = 366 * 86_400 * MICROS
"""How far ahead freezes are looked for."""


class Gate(Told):
    """The approval before the first step in an environment."""

    who: list[str] = Field(description="Who may approve.")
    quorum: int = Field(description="Approvals that are needed.")
    four_eyes: bool = Field(description="Whether neither who started the run nor who edited the file may.")
    answer_within_seconds: float | None = Field(description="How long people have.")
    if_unanswered: str | None = Field(description="What silence means.")


class Freeze(Told):
    """A time in which nothing starts."""

    calendar: str = Field(description="Which calendar says so.")
    title: str = Field(description="Why, where the file says so.")
    start: str | None = Field(description="From when on.")
    end: str | None = Field(description="Up to when.")
    name: str = Field(description="The entry in words.")


class EnvironmentOf(Told):
    """An environment of the project's file."""

    name: str = Field(description="What workflows call it.")
    title: str | None = Field(description="What people are shown.")
    url: str | None = Field(description="Where it can be looked at.")
    approval: Gate | None = Field(description="The approval before the first step in it.")
    windows: list[str] = Field(description="Calendars: steps start only when one of them is open.")
    freezes: list[str] = Field(description="Calendars whose freezes keep steps from starting.")
    places: int | None = Field(description="How many runs may be in it; null: any number.")
    when_full: str | None = Field(description="What a run does that finds no place.")
    secrets: list[str] = Field(description="The names of the secrets that only its steps get.")
    variables: list[str] = Field(description="The names of the environment variables of its scripts.")
    policies: list[str] = Field(description="Policies that a run has to pass.")
    is_open: bool = Field(description="Whether a step may start in it now, but for approval and places.")
    opens_at: str | None = Field(description="When it is open next; null: never, as it stands.")
    closes_at: str | None = Field(description="When its windows close, where they are open.")
    frozen_by: Freeze | None = Field(description="What freezes it now.")
    inside: int = Field(description="Open runs that hold a place in it.")


class EnvironmentDetail(EnvironmentOf):
    """An environment with the runs that are about it."""

    coming_freezes: list[Freeze] = Field(description="What will freeze it within a year.")
    runs_inside: list[Run] = Field(description="Open runs in it, the newest first.")
    runs_waiting: list[Run] = Field(description="Runs that wait for a place, a window or an approval of it.")
    deployments: list[Run] = Field(description="What was deployed to it last, the newest first.")


class Environments(Told):
    """The environments of the project."""

    items: list[EnvironmentOf] = Field(description="In the order of the file.")


@ROUTES.get("", permission="environment.view", operation_id="list_environments")
def list_environments(call: Asked) -> Environments:
    """List the environments of the project: their rules, and whether they are open, frozen or full."""
    return Environments(items=[_environment(call, name, said) for name, said in _visible(call)])


@ROUTES.get("/{environment}", permission="environment.view", operation_id="show_environment")
def show_environment(
    call: Asked,
    environment: Annotated[str, Path(min_length=1, max_length=128, description="An environment's name.")],
) -> EnvironmentDetail:
    """Show an environment: its rules, its freezes to come, who is in it, who waits for it, what was deployed last."""
    reach.allow_in(call, "environment.view", environment)
    said = call.app.project_file().environments.get(environment)
    if said is None:
        raise NotFound(f"there is no environment {environment!r}", help="GET /api/v1/environments lists them")
    has_runs = call.may_at_all("run.view")
    return EnvironmentDetail(
        **_environment(call, environment, said).model_dump(),
        coming_freezes=_coming_freezes(call, said),
        runs_inside=told(call, _inside(call, environment)) if has_runs else [],
        runs_waiting=told(call, _waiting(call, environment)) if has_runs else [],
        deployments=told(call, _deployments(call, environment)) if has_runs else [],
    )


def _visible(call: Call) -> Iterator[tuple[str, Environment]]:
    for name, said in call.app.project_file().environments.items():
        if reach.may_in(call, "environment.view", name):
            yield name, said


def _environment(call: Call, name: str, said: Environment) -> EnvironmentOf:
    now, desk = call.app.now(), call.app.desk
    opens_at = desk.window_opens_at(f"{WINDOW_PREFIX}{name}", now)
    is_open = opens_at is not None and opens_at <= now
    return EnvironmentOf(
        name=name,
        title=said.title,
        url=said.url,
        approval=None if said.approval is None else _gate(said.approval),
        windows=list(said.windows),
        freezes=list(said.freeze),
        places=None if said.concurrency is None else said.concurrency.max,
        when_full=None if said.concurrency is None else said.concurrency.when_full,
        secrets=list(said.secrets),
        variables=list(said.vars),
        policies=list(said.policies),
        is_open=is_open,
        opens_at=stamp_or_none(opens_at),
        closes_at=stamp_or_none(_closes_at(call, said, now)) if is_open else None,
        frozen_by=next(_frozen(call, said, now), None),
        inside=len(call.app.reader.places_taken(name)),
    )


def _gate(approval: Approval) -> Gate:
    return Gate(
        who=list(approval.who),
        quorum=approval.quorum,
        four_eyes=approval.four_eyes,
        answer_within_seconds=approval.answer_within,
        if_unanswered=approval.if_unanswered,
    )


def _closes_at(call: Call, said: Environment, now: int) -> int | None:
    """When the last of its windows closes that are open; None where it has none, or one that never closes."""
    closes: list[int] = []
    for name in said.windows:
        calendar = call.app.desk.calendar(name)
        if calendar is None or not calendars.is_open(calendar, now).is_open:
            continue
        at = calendars.next_close(calendar, now)
        if at is None:
            return None
        closes.append(at)
    return max(closes, default=None)


def _frozen(call: Call, said: Environment, now: int) -> Iterator[Freeze]:
    for name in said.freeze:
        calendar = call.app.desk.calendar(name)
        entry = None if calendar is None else calendars.freezes_at(calendar, now)
        if entry is not None:
            yield _freeze(name, entry)


def _coming_freezes(call: Call, said: Environment) -> list[Freeze]:
    now = call.app.now()
    found: list[tuple[int, Freeze]] = []
    for name in said.freeze:
        calendar = call.app.desk.calendar(name)
        entries = () if calendar is None else calendars.timetable(calendar).freezes
        found += [
            (entry.start, _freeze(name, entry))
            for entry in entries
            if entry.start is not None and now < entry.start <= now + AHEAD
        ]
    return [freeze for _, freeze in sorted(found, key=lambda one: one[0])[:FREEZES_SHOWN_MAX]]


def _freeze(calendar: str, entry: calendars.Entry) -> Freeze:
    return Freeze(
        calendar=calendar,
        title=entry.title,
        start=None if entry.start is None else stamp(entry.start),
        end=None if entry.end is None else stamp(entry.end),
        name=entry.name,
    )


def _inside(call: Call, name: str) -> tuple[RunRow, ...]:
    """Open runs of the environment: those that hold a place in it, and those whose own it is and that wait for nothing of it."""
    holding = frozenset(call.app.reader.places_taken(name))
    own = finding.page_of(call, RunFilter(environment=name, is_open=True, rows_max=RUNS_SHOWN_MAX)).rows
    rows = {row.number: row for row in own if row.number in holding or not _waits_for(row, name)}
    for number in sorted(holding - rows.keys(), reverse=True)[:RUNS_SHOWN_MAX]:
        row = call.app.reader.run(number)
        if call.may("run.view", target_of(row)):
            rows[number] = row
    return tuple(rows[number] for number in sorted(rows, reverse=True)[:RUNS_SHOWN_MAX])


def _waiting(call: Call, name: str) -> tuple[RunRow, ...]:
    """Open runs that say that they wait for the environment, the oldest of the newest first."""
    where = RunFilter(is_open=True, is_waiting=True, text=name, rows_max=RUNS_SHOWN_MAX)
    rows = finding.page_of(call, where).rows
    return tuple(row for row in reversed(rows) if _waits_for(row, name))


def _waits_for(row: RunRow, name: str) -> bool:
    text = row.summary.waiting_for or ""
    return (
        f"a place in {name}" in text
        or f"the gate of {name}" in text
        or f"the window of {name} " in text
        or any(one.path in (f"~{name}", f"~gate_{name}") for one in row.summary.questions)
    )


def _deployments(call: Call, name: str) -> tuple[RunRow, ...]:
    where = RunFilter(environment=name, kind="deployment", is_open=False, rows_max=DEPLOYMENTS_SHOWN_MAX)
    return finding.page_of(call, where).rows
