"""Tokens: one's own, those of service accounts that one answers for, and with `token.manage` those of others."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, field_validator

from towpath.errors import OperatorError
from towpath.policy import access
from towpath.server.call import Asked, Call, Forbidden
from towpath.server.identity import accounts, tokens
from towpath.server.routing import SIGNED_IN, Routes
from towpath.server.shapes import identities as shapes
from towpath.store.contract import TokenRow

ROUTES = Routes(prefix="/api/v1/tokens", tag="tokens")
CREATED: Final = 201
EVERYTHING: Final = "*"
TokenName = Annotated[str, Path(max_length=accounts.TEXT_CHARS_MAX, description="The token's id.")]


class Token(BaseModel):
    """A token, without its secret."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(description="By which it is named; no secret.")
    name: str = Field(description="What it is for.")
    owner: str = Field(description="For whom it acts.")
    scope: list[str] = Field(description="What it may be used for, at most.")
    state: Literal["valid", "expired", "revoked"] = Field(description="Whether it may be used.")
    made_at: str = Field(description="When it was made.")
    made_by: str = Field(description="By whom.")
    expires_at: str = Field(description="Until when it is valid.")
    last_used_at: str | None = Field(description="When it was used last, to the minute.")
    revoked_at: str | None = Field(description="When it was revoked.")


class MadeToken(Token):
    """A token that was just made."""

    token: str = Field(description="What to send: `Authorization: Bearer …`. It is told this once.")


class RevokedToken(Token):
    """A token that is void."""

    changed: bool = Field(description="False where it was void already.")


class Tokens(BaseModel):
    """Some tokens, the newest first."""

    model_config = ConfigDict(extra="forbid")

    items: list[Token] = Field(description="The tokens, the newest first.")


class NewToken(BaseModel):
    """A token to be made."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        min_length=1, max_length=accounts.TEXT_CHARS_MAX, description="What it is for.", examples=["ci"]
    )
    owner: str | None = Field(
        default=None,
        max_length=accounts.TEXT_CHARS_MAX,
        description="For whom it acts: yourself, or `service:…`.",
        examples=["service:deployer"],
    )
    scope: list[str] = Field(
        default=[EVERYTHING],
        min_length=1,
        max_length=tokens.SCOPE_MAX,
        description="What it may be used for, at most: permissions, or patterns of them.",
        examples=[["run.view", "run.start"]],
    )
    days: float = Field(
        default=tokens.TOKEN_SECONDS_DEFAULT / tokens.DAY_SECONDS,
        gt=0,
        le=tokens.TOKEN_SECONDS_MAX / tokens.DAY_SECONDS,
        description="For how many days it is valid.",
    )

    @field_validator("scope")
    @classmethod
    def _is_known(cls, scope: list[str]) -> list[str]:
        try:
            tokens.check_scope(tuple(scope))
        except OperatorError as error:
            raise ValueError(f"{error.message}: {error.help}") from None
        return scope

    @field_validator("name")
    @classmethod
    def _is_shown(cls, name: str) -> str:
        if not name.isprintable() or not name.strip():
            raise ValueError("has to be plain text that says what the token is for")
        return name


@ROUTES.get("", permission=SIGNED_IN, response_model=Tokens, operation_id="list_tokens")
def list_tokens(call: Asked, all: bool = False) -> Tokens:  # noqa: A002, FBT001, FBT002 - the parameter of a URL
    """List one's own tokens and those of one's service accounts; with `all` those of everybody (`token.manage`)."""
    if all:
        call.allow("token.manage")
    return Tokens(items=[_token(call, row) for row in tokens_of(call, everybody=all)])


@ROUTES.post(
    "", permission=SIGNED_IN, status_code=CREATED, response_model=MadeToken, operation_id="make_token"
)
def make_token(call: Asked, new: NewToken) -> MadeToken:
    """Make a token; its text is told this once."""
    made = make(call, new)
    told: dict[str, Any] = {**shapes.token_object(made.row, now=call.app.now()), "token": made.text}
    return MadeToken.model_validate(told)


@ROUTES.delete("/{token}", permission=SIGNED_IN, response_model=RevokedToken, operation_id="revoke_token")
def revoke_token(call: Asked, token: TokenName) -> RevokedToken:
    """Make a token void, from this moment; sessions that began with it end."""
    row, changed = revoke(call, token)
    told: dict[str, Any] = {**shapes.token_object(row, now=call.app.now()), "changed": changed}
    return RevokedToken.model_validate(told)


def tokens_of(call: Call, *, everybody: bool = False) -> tuple[TokenRow, ...]:
    """The tokens that whoever asks may see: their own, or all."""
    identities = call.app.store.identities
    if everybody:
        return identities.tokens()
    return tuple(row for owner in (call.by, *services_of(call)) for row in identities.tokens(owner))


def services_of(call: Call) -> tuple[str, ...]:
    """The service accounts that whoever asks answers for."""
    services = call.app.project_file().access.service_accounts
    return tuple(f"service:{name}" for name, account in services.items() if account.owner == call.by)


def make(call: Call, new: NewToken) -> tokens.NewToken:
    """Makes a token as whoever asks may; raises Forbidden.

    A token of another person is never made: whoever holds it would be that person. What is made allows no more than what one came with,
    and lasts no longer.
    """
    owner = call.by if new.owner is None else accounts.principal_of(new.owner)
    if owner != call.by and not owner.startswith("service:"):
        raise Forbidden(
            f"a token of {owner} is made by {owner} alone", help="people sign in and make their own"
        )
    if owner == call.by or owner in services_of(call):
        check_may_do_all(call, "make tokens")
    else:
        call.allow("token.manage")
    beyond = [one for one in new.scope if not access.covers(call.actor.scope, one)]
    if beyond:
        raise Forbidden(
            f"this token may not be used for {', '.join(beyond[:3])}, and makes none that may",
            help=f"it is for {', '.join(call.actor.scope)}",
        )
    seconds = min(new.days * tokens.DAY_SECONDS, _seconds_left(call))
    return tokens.make(
        call.app, owner=owner, name=new.name, scope=tuple(new.scope), seconds=seconds, by=call.by
    )


def revoke(call: Call, token: str) -> tuple[TokenRow, bool]:
    """Revokes a token as whoever asks may, and tells whether it was valid before; raises Forbidden or NotFound."""
    is_itself = call.visitor.way == "token" and call.visitor.key == token
    if not is_itself:
        mine = any(row.id == token for row in tokens_of(call))
        if mine:
            check_may_do_all(call, "revoke other tokens")
        else:
            call.allow("token.manage")
    changed = tokens.revoke(call.app, token, by=call.by)
    return tokens.find(call.app, token), changed


def check_may_do_all(call: Call, what: str) -> None:
    """Raises Forbidden for a token of limited scope: it is for what its scope says, and for nothing of its owner's own."""
    if EVERYTHING not in call.actor.scope:
        raise Forbidden(
            f"a token that is for {', '.join(call.actor.scope)} may not {what}", help="sign in at /login"
        )


def _seconds_left(call: Call) -> float:
    """How long what one came with is valid still, where that is a token."""
    identities = call.app.store.identities
    if call.visitor.way == "token":
        row = next((one for one in identities.tokens(call.by) if one.id == call.visitor.key), None)
        ends_at = None if row is None else row.expires_at
    else:
        session = next(
            (one for one in identities.sessions(call.app.now(), call.by) if one.id == call.visitor.key), None
        )
        ends_at = session.ends_at if session is not None and session.token is not None else None
    return tokens.TOKEN_SECONDS_MAX if ends_at is None else max((ends_at - call.app.now()) / 1_000_000, 1.0)


def _token(call: Call, row: TokenRow) -> Token:
    return Token.model_validate(shapes.token_object(row, now=call.app.now()))
