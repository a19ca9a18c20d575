"""People: users, groups and rotas as the project's file has them; who is away, and who is on call now and ahead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

from fastapi import Path, Query
from pydantic import Field

from towpath.people.directory import Directory, Shift
from towpath.policy import access
from towpath.policy.access import Actor
from towpath.server.api.told import MICROS, Told
from towpath.server.call import Asked, Call
from towpath.server.routing import Routes
from towpath.server.shapes.moments import stamp
from towpath.server.shapes.people import shift_object

ROUTES = Routes(prefix="/api/v1", tag="people")
DAYS_DEFAULT: Final = 28
DAYS_MAX: Final = 3_660
_DAY: Final = 86_400 * MICROS
_NAME_CHARS_MAX: Final = 128


class OnCallShift(Told):
    """A time in which the same people are on call."""

    rota: str = Field(description="Which rota.")
    from_: str = Field(alias="from", description="From when on.")
    until: str = Field(description="Up to when.")
    people: list[str] = Field(description="Names of users; empty where nobody is on call.")
    principal: str | None = Field(description="Who has the turn.")
    because: str = Field(description="What says so: `an override`, `rotation 1`.")
    reason: str = Field(description="Why nobody is on call.")


class UserOf(Told):
    """A user of the project's file."""

    name: str = Field(description="What principals call them: `user:` and this.")
    title: str | None = Field(description="What others are shown.")
    email: str | None = Field(description="Where mail goes.")
    time_zone: str | None = Field(description="Where they live.")
    groups: list[str] = Field(description="The groups that they belong to.")
    roles: list[str] = Field(description="The roles that they have, anywhere.")
    on_call: list[str] = Field(description="The rotas that they have the turn of now.")
    away_until: str | None = Field(description="Until when they are not asked; null: they are there.")
    deputy: str | None = Field(description="Who is asked instead.")


class GroupOf(Told):
    """A group of the project's file."""

    name: str = Field(description="What principals call it: `group:` and this.")
    title: str | None = Field(description="What others are shown.")
    members: list[str] = Field(description="Principals, as the file has them.")
    people: list[str] = Field(description="The users who stand behind it now.")


class RotaOf(Told):
    """A rota of the project's file."""

    name: str = Field(description="What principals call it: `oncall:` and this.")
    title: str | None = Field(description="What others are shown.")
    time_zone: str = Field(description="In which its times are read.")
    now: OnCallShift = Field(description="Who is on call.")
    next: OnCallShift | None = Field(description="Who is next; null: the same, as far as is planned.")


class Everybody(Told):
    """Who there is."""

    provider: str = Field(description="Where groups come from: `file` or `oidc`.")
    users: list[UserOf] = Field(description="Users.")
    groups: list[GroupOf] = Field(description="Groups.")
    rotas: list[RotaOf] = Field(description="Rotas.")


class Shifts(Told):
    """The shifts of a rota."""

    rota: str = Field(description="Which rota.")
    title: str | None = Field(description="What others are shown.")
    time_zone: str = Field(description="In which its times are read.")
    shifts: list[OnCallShift] = Field(description="The present one first, without a gap.")


@ROUTES.get("/people", permission="people.view", operation_id="list_people")
def list_people(call: Asked) -> Everybody:
    """List users, groups and rotas: who stands behind them now, who is away, who is on call."""
    directory, now = call.app.desk.directory, call.app.now()
    file = directory.file.people
    return Everybody(
        provider=file.provider,
        users=list(_users(call, directory, now)),
        groups=[
            GroupOf(
                name=name,
                title=group.title,
                members=list(group.members),
                people=sorted(directory.people([f"group:{name}"], now)),
            )
            for name, group in file.groups.items()
        ],
        rotas=[_rota(directory, name, now) for name in file.on_call],
    )


@ROUTES.get("/on_call/{rota}", permission="people.view", operation_id="list_shifts")
def list_shifts(
    call: Asked,
    rota: Annotated[str, Path(min_length=1, max_length=_NAME_CHARS_MAX, description="A rota's name.")],
    days: Annotated[int, Query(ge=1, le=DAYS_MAX, description="How far to look ahead.")] = DAYS_DEFAULT,
) -> Shifts:
    """List who is on call in a rota, now and ahead. Absences and overrides count."""
    directory, now = call.app.desk.directory, call.app.now()
    found = directory.shifts(rota, now, now + days * _DAY)
    said = directory.file.people.on_call[rota]
    return Shifts(
        rota=rota,
        title=said.title,
        time_zone=str(said.time_zone),
        shifts=[_shift(rota, one) for one in found],
    )


def _users(call: Call, directory: Directory, now: int) -> Iterator[UserOf]:
    file = directory.file.people
    behind = {f"group:{name}": directory.people([f"group:{name}"], now) for name in file.groups}
    on_call = {f"oncall:{name}": directory.people([f"oncall:{name}"], now) for name in file.on_call}
    grants = call.app.project_file().access
    for name, user in file.users.items():
        groups = [group for group, people in behind.items() if name in people]
        rotas = [rota for rota, people in on_call.items() if name in people]
        actor = Actor(name=f"user:{name}", principals=frozenset({f"user:{name}", *groups, *rotas}))
        away = directory.away(name, now)
        yield UserOf(
            name=name,
            title=user.name,
            email=user.email,
            time_zone=user.time_zone,
            groups=[group.removeprefix("group:") for group in groups],
            roles=list(access.roles_of(grants, actor)),
            on_call=[rota.removeprefix("oncall:") for rota in rotas],
            away_until=None if away is None else stamp(away.end),
            deputy=None if away is None else away.deputy,
        )


def _rota(directory: Directory, name: str, now: int) -> RotaOf:
    said = directory.file.people.on_call[name]
    current, *following = directory.shifts(name, now, now + DAYS_DEFAULT * _DAY)[:2]
    return RotaOf(
        name=name,
        title=said.title,
        time_zone=str(said.time_zone),
        now=_shift(name, current),
        next=_shift(name, following[0]) if following else None,
    )


def _shift(rota: str, shift: Shift) -> OnCallShift:
    return OnCallShift.model_validate(shift_object(rota, shift))
