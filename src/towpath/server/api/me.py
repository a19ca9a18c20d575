"""Whoever asks: their name, their roles and why they have them, what they may do."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from towpath.server.call import Asked
from towpath.server.identity import accounts
from towpath.server.routing import SIGNED_IN, Routes
from towpath.server.shapes import identities as shapes

ROUTES = Routes(prefix="/api/v1/me", tag="me")


class Role(BaseModel):
    """A role that somebody has, for what, and why."""

    model_config = ConfigDict(extra="forbid")

    role: str = Field(description="Its name.")
    title: str = Field(description="What people are shown.")
    permissions: list[str] = Field(description="What it allows: permissions, or patterns of them.")
    through: list[str] = Field(
        description="Through whom: the principals of the grant, such as `group:operators`."
    )
    workflows: list[str] = Field(description="For which workflows, as patterns; empty: all.")
    environments: list[str] = Field(description="In which environments; empty: all.")


class Me(BaseModel):
    """Whoever asks."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="As the journal names them: `user:ada`.", examples=["user:ada"])
    title: str = Field(description="What others are shown.")
    email: str = Field(description="Their address.")
    way: Literal["session", "token"] = Field(description="How they are known.")
    key: str = Field(description="The id of the session or of the token.")
    is_owner: bool = Field(
        description="Whether they started the server of a project that grants nothing to anybody: they may do everything."
    )
    scope: list[str] = Field(description="What their token may be used for, at most.")
    principals: list[str] = Field(description="All whom a grant may name when it means them, now.")
    roles: list[Role] = Field(description="What they have been granted, and why.")
    permissions: list[str] = Field(description="Every permission that they have for anything at all.")


@ROUTES.get("", permission=SIGNED_IN, response_model=Me, operation_id="me")
def me(call: Asked) -> Me:
    """Tell who asks, and what they may do."""
    account = accounts.find(call.app, call.by)
    return Me(
        name=call.by,
        title="" if account is None else account.title,
        email="" if account is None else account.email,
        way=call.visitor.way,
        key=call.visitor.key,
        is_owner=call.actor.is_owner,
        scope=list(call.actor.scope),
        principals=sorted(call.actor.principals),
        roles=[
            Role.model_validate(shapes.role_object(held)) for held in accounts.roles_of(call.app, call.actor)
        ],
        permissions=list(accounts.permissions_of(call.app, call.actor)),
    )
