"""Sessions: the browsers in which somebody is signed in."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from towpath.errors import NotFound
from towpath.server.api.tokens import check_may_do_all
from towpath.server.call import Asked, Call
from towpath.server.identity import signing_in
from towpath.server.routing import SIGNED_IN, Routes
from towpath.server.shapes import identities as shapes
from towpath.store.contract import SessionId, SessionRow

ROUTES = Routes(prefix="/api/v1/sessions", tag="sessions")
ID_CHARS_MAX = 64


class Session(BaseModel):
    """A browser in which somebody is signed in."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(description="By which it is named; no secret.")
    owner: str = Field(description="Who is signed in.")
    way: Literal["link", "token", "oidc"] = Field(description="How they signed in.")
    token: str | None = Field(description="The id of the token that was shown.")
    groups: list[str] = Field(description="Groups that the identity provider vouches for.")
    agent: str = Field(description="The browser, in short.")
    made_at: str = Field(description="Since when.")
    seen_at: str = Field(description="When it was used last, to the minute.")
    ends_at: str = Field(description="When it ends at the latest.")
    is_current: bool = Field(description="Whether it is the one that asks.")


class Sessions(BaseModel):
    """Some sessions, the newest first."""

    model_config = ConfigDict(extra="forbid")

    items: list[Session] = Field(description="The sessions, the newest first.")


@ROUTES.get("", permission=SIGNED_IN, response_model=Sessions, operation_id="list_sessions")
def list_sessions(call: Asked, all: bool = False) -> Sessions:  # noqa: A002, FBT001, FBT002 - the parameter of a URL
    """List one's own sessions that go on; with `all` those of everybody (`user.manage`)."""
    if all:
        call.allow("user.manage")
    return Sessions(items=[_session(call, row) for row in sessions_of(call, everybody=all)])


@ROUTES.delete("/{session}", permission=SIGNED_IN, response_model=Session, operation_id="end_session")
def end_session(call: Asked, session: Annotated[str, Path(max_length=ID_CHARS_MAX)]) -> Session:
    """End a session: whoever is in that browser has to sign in again."""
    return _session(call, end(call, session))


def sessions_of(call: Call, *, everybody: bool = False) -> tuple[SessionRow, ...]:
    """The sessions that go on: of whoever asks, or of all."""
    at = call.app.now()
    found = call.app.store.identities.sessions(at, None if everybody else call.by)
    return tuple(row for row in found if signing_in.is_live(row, at))


def end(call: Call, session: str) -> SessionRow:
    """Ends a session as whoever asks may; raises Forbidden or NotFound."""
    row = call.app.store.identities.session(SessionId(session))
    if row is not None and row.owner == call.by:
        if row.id != call.visitor.key:
            check_may_do_all(call, "end sessions")
    else:
        call.allow("user.manage")
    if row is None:
        raise NotFound("there is no such session")
    signing_in.sign_out(call.app, session, by=call.by, did="ended a session")
    return row


def _session(call: Call, row: SessionRow) -> Session:
    return Session.model_validate(shapes.session_object(row, current=call.visitor.key))
