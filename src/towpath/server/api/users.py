"""Users and service accounts: who may come, and what they may do."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from towpath.definition.project import NAME_CHARS_MAX, NAME_PATTERN
from towpath.server.api.me import Role
from towpath.server.call import Asked, Call, Forbidden
from towpath.server.identity import accounts, links
from towpath.server.identity.accounts import USER, Account
from towpath.server.identity.standing import Standings
from towpath.server.routing import Routes
from towpath.server.shapes import identities as shapes
from towpath.server.shapes.moments import stamp, stamp_or_none
from towpath.store.contract import IDENTITY_ACTS_MAX

ROUTES = Routes(prefix="/api/v1/users", tag="users")
CREATED = 201
HOUR_SECONDS: Final = 3600.0
HOURS_MAX: Final = links.LINK_SECONDS_MAX / HOUR_SECONDS
UserName = Annotated[str, Path(max_length=NAME_CHARS_MAX, description="The user, without `user:`.")]


class User(BaseModel):
    """Somebody, or some program, that may come."""

    model_config = ConfigDict(extra="forbid")

    principal: str = Field(description="`user:ada`, `service:deployer`.")
    name: str = Field(description="Without what it is.")
    title: str = Field(description="What people are shown.")
    email: str = Field(description="The address.")
    source: Literal["file", "store", "process", "service"] = Field(
        description="From where they are known: towpath.yaml, made here, whoever started the server, a service account."
    )
    owner: str = Field(description="Who answers for a service account.")
    disabled_at: str | None = Field(description="Since when nobody is let in as them.")
    made_at: str | None = Field(description="When they were made here.")
    roles: list[str] = Field(description="The roles that they have for anything at all.")


class ChangedUser(User):
    """Somebody who was let in no more, or again."""

    changed: bool = Field(description="False where it was so already.")


class UserDetail(User):
    """Somebody, with all that they may do and why."""

    principals: list[str] = Field(description="All whom a grant may name when it means them, now.")
    grants: list[Role] = Field(description="What they have been granted, and why.")
    permissions: list[str] = Field(description="Every permission that they have for anything at all.")
    tokens: int | None = Field(
        description="How many valid tokens they have; null for those who may not see them."
    )
    sessions: int | None = Field(
        description="In how many browsers they are signed in; null for those who may not see them."
    )
    seen_at: str | None = Field(description="When one of these was used last.")


class Users(BaseModel):
    """Everybody."""

    model_config = ConfigDict(extra="forbid")

    items: list[User] = Field(description="The users, by name.")


class NewUser(BaseModel):
    """Somebody who is to be let in."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        pattern=NAME_PATTERN, max_length=NAME_CHARS_MAX, description="Without `user:`.", examples=["dora"]
    )
    title: str = Field(default="", max_length=accounts.TEXT_CHARS_MAX, description="What others are shown.")
    email: str = Field(
        default="", max_length=accounts.TEXT_CHARS_MAX, description="How a sign-in is recognised."
    )


class NewLink(BaseModel):
    """A link that is to be made."""

    model_config = ConfigDict(extra="forbid")

    hours: float = Field(
        default=links.LINK_SECONDS / HOUR_SECONDS,
        gt=0,
        le=HOURS_MAX,
        description="For how many hours it works, used or not; 168 at most.",
    )


class LoginLink(BaseModel):
    """A link with which somebody signs in, once."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(description="Where it leads, below the server's address. It is told this once.")
    owner: str = Field(description="Whom it lets in.")
    made_at: str = Field(description="When it was made.")
    ends_at: str = Field(description="Until when it works.")
    address: str = Field(description="The server's address, where it was told (TOW_BASE_URL); else empty.")


class IdentityAct(BaseModel):
    """What somebody did to users, tokens, sessions and login links."""

    model_config = ConfigDict(extra="forbid")

    number: int = Field(description="Rising, without a gap.")
    at: str = Field(description="When.")
    by: str = Field(description="Who did it.")
    did: str = Field(description="What, in a few words.")
    about: str = Field(description="Whom or what it is about.")
    text: str = Field(description="More of it.")


class IdentityActs(BaseModel):
    """Some acts, the newest first."""

    model_config = ConfigDict(extra="forbid")

    items: list[IdentityAct] = Field(description="What was done, the newest first.")
    next: int | None = Field(description="`before` of the next page; null where this is the last.")


@ROUTES.get("", permission="people.view", response_model=Users, operation_id="list_users")
def list_users(call: Asked) -> Users:
    """List all people and service accounts, with their roles."""
    standings = Standings()
    return Users(items=[_user(call, one, standings) for one in accounts.everybody(call.app)])


@ROUTES.get("/acts", permission="audit.view", response_model=IdentityActs, operation_id="list_identity_acts")
def list_acts(
    call: Asked,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    limit: Annotated[int, Query(ge=1, le=IDENTITY_ACTS_MAX)] = 100,
) -> IdentityActs:
    """List who let whom in, made and revoked which tokens, signed in and out; the newest first."""
    call.allow("audit.view")
    found = call.app.store.identities.acts(before=before, rows_max=limit)
    return IdentityActs(
        items=[IdentityAct.model_validate(shapes.identity_act_object(one)) for one in found],
        next=found[-1].number if len(found) == limit else None,
    )


@ROUTES.get("/{name}", permission="people.view", response_model=UserDetail, operation_id="get_user")
def user(call: Asked, name: UserName) -> UserDetail:
    """Tell what somebody may do, and why."""
    account = accounts.known(call.app, accounts.principal_of(name))
    actor = accounts.actor_of(call.app, account)
    held = accounts.roles_of(call.app, actor)
    told: dict[str, Any] = {
        **shapes.user_object(account, held),
        "principals": sorted(actor.principals),
        "grants": [shapes.role_object(one) for one in held],
        "permissions": list(accounts.permissions_of(call.app, actor)),
        **_comings(call, account),
    }
    return UserDetail.model_validate(told)


@ROUTES.post("", permission="user.manage", status_code=CREATED, response_model=User, operation_id="make_user")
def make_user(call: Asked, new: NewUser) -> User:
    """Make a user, in a project whose file does not name its people."""
    call.allow("user.manage")
    made = accounts.add(call.app, new.name, title=new.title, email=new.email, by=call.by)
    return _user(call, made)


@ROUTES.post(
    "/{name}/disable", permission="user.manage", response_model=ChangedUser, operation_id="disable_user"
)
def disable_user(call: Asked, name: UserName) -> ChangedUser:
    """Let somebody in no more: sessions and links end, tokens are refused, from this moment."""
    call.allow("user.manage")
    changed = accounts.disable(call.app, name, by=call.by)
    return _changed(call, name, changed=changed)


@ROUTES.post(
    "/{name}/enable", permission="user.manage", response_model=ChangedUser, operation_id="enable_user"
)
def enable_user(call: Asked, name: UserName) -> ChangedUser:
    """Let somebody in again."""
    call.allow("user.manage")
    changed = accounts.enable(call.app, name, by=call.by)
    return _changed(call, name, changed=changed)


@ROUTES.post(
    "/{name}/link",
    permission="user.manage",
    status_code=CREATED,
    response_model=LoginLink,
    operation_id="make_login_link",
)
def make_link(call: Asked, name: UserName, new: NewLink | None = None) -> LoginLink:
    """Make a link with which somebody signs in, once; links that they had before are void then."""
    call.allow("user.manage")
    check_may_let_in(call, name)
    seconds = links.LINK_SECONDS if new is None else new.hours * HOUR_SECONDS
    made = links.make(call.app, name, seconds=seconds, by=call.by)
    return LoginLink(
        path=made.path,
        owner=made.row.owner,
        made_at=stamp(made.row.made_at),
        ends_at=stamp(made.row.ends_at),
        address=call.app.settings.base_url or "",
    )


def check_may_let_in(call: Call, name: str) -> None:
    """Raises Forbidden where a link would let whoever asks do more than they may: it could be used by themselves."""
    account = accounts.known(call.app, USER + name)
    theirs = accounts.permissions_of(call.app, accounts.actor_of(call.app, account))
    missing = [one for one in theirs if not call.may(one)]
    if missing:
        raise Forbidden(
            f"{name} may do what you may not ({', '.join(missing[:3])}), and a link would let you in as {name}",
            help="ask somebody who may do as much",
        )


def _changed(call: Call, name: str, *, changed: bool) -> ChangedUser:
    found = _user(call, accounts.known(call.app, USER + name))
    return ChangedUser(**found.model_dump(), changed=changed)


def _comings(call: Call, account: Account) -> dict[str, Any]:
    """With what somebody comes in, as far as whoever asks may list it."""
    now, identities = call.app.now(), call.app.store.identities
    is_oneself = account.principal == call.by
    tokens = sessions = seen_at = None
    if is_oneself or call.may("token.manage"):
        tokens = sum(row.is_valid(now) for row in identities.tokens(account.principal))
    if is_oneself or call.may("user.manage"):
        signed_in = identities.sessions(now, account.principal)
        sessions = len(signed_in)
        seen_at = max((row.seen_at for row in signed_in), default=None)
    return {"tokens": tokens, "sessions": sessions, "seen_at": stamp_or_none(seen_at)}


def _user(call: Call, account: Account, standings: Standings | None = None) -> User:
    actor = accounts.actor_of(call.app, account, standings=standings)
    return User.model_validate(shapes.user_object(account, accounts.roles_of(call.app, actor)))
