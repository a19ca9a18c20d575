"""One request, as those who answer it see it: who asks, what they may do, and the parts of the server that do it.

Whether somebody may do something is asked twice. The route's permission is asked before anything is read: does this person
have it for anything at all? What a route then finds (a run of some workflow, in some environment) is asked about once more,
with `allow`; lists leave out what `may` denies.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

from fastapi import Depends, Request

from towpath.errors import IllegalStimulus, Refused
from towpath.policy import access
from towpath.policy.access import ANYTHING, Actor, Deny, Target
from towpath.server.folds import Folds
from towpath.server.pulse import Pulse

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from towpath.app import App
    from towpath.core.stimuli import AnyStimulus
    from towpath.definition.project import Access
    from towpath.engines.embedded import EmbeddedEngine
    from towpath.server.live import Live
    from towpath.store.contract import AskingRun, RunRow

VisitorWay = Literal["session", "token"]


class Forbidden(Refused):
    """Whoever asks is known, and may not."""


class Unauthenticated(Refused):
    """Nobody knows who asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Somebody who is known to the server."""

    actor: Actor
    way: VisitorWay
    """A browser with a session, which other sites could misuse, or a program that shows its token."""
    key: str = ""
    """The id of the session or of the token."""


class Identity(Protocol):
    """Knows who asks."""

    def visitor_of(self, connection: HTTPConnection) -> Visitor | None:
        """Who asks, by a session or a token; None where nobody can tell. May block for one short transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a server consists of; made once, before the first request."""

    app: App
    engine: EmbeddedEngine
    identity: Identity
    live: Live
    pulse: Pulse = field(default_factory=Pulse)
    """How the parts are that work by themselves, and whether work is taken."""
    folds: Folds = field(default_factory=Folds)
    """The runs that were looked at lately."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request of somebody who is known."""

    parts: Parts
    visitor: Visitor

    @property
    def app(self) -> App:
        """The project and its data."""
        return self.parts.app

    @property
    def actor(self) -> Actor:
        """Who asks."""
        return self.visitor.actor

    @property
    def by(self) -> str:
        """Who asks, as the journal names them: `user:ada`."""
        return self.visitor.actor.name

    @property
    def via(self) -> str:
        """Where it was said, as the audit record has it."""
        return "web" if self.visitor.way == "session" else "api"

    def may(self, permission: str, target: Target = ANYTHING) -> bool:
        """Whether whoever asks may do this with *target*."""
        return not isinstance(access.authorize(self._access, self.actor, permission, target), Deny)

    def may_at_all(self, permission: str) -> bool:
        """Whether there is anything that whoever asks may do this with."""
        return not isinstance(access.authorize_at_all(self._access, self.actor, permission), Deny)

    def allow(self, permission: str, target: Target = ANYTHING) -> None:
        """Raises Forbidden, with the reason, where whoever asks may not do this with *target*."""
        _raise_denied(access.authorize(self._access, self.actor, permission, target))

    def allow_at_all(self, permission: str) -> None:
        """Raises Forbidden where there is nothing that whoever asks may do this with."""
        _raise_denied(access.authorize_at_all(self._access, self.actor, permission))

    async def tell(self, row: RunRow, stimulus: AnyStimulus) -> None:
        """Has a run told something; durable when this returns; raises Refused. Who may is asked before."""
        try:
            await self.app.tell_with(self.parts.engine, row, stimulus)
        except IllegalStimulus as error:  # it came too late, or means a step that is not there
            raise Refused(error.message, help=f"look at run {row.number} as it is now") from None

    @property
    def _access(self) -> Access:
        return self.app.project_file().access


def target_of(row: RunRow | AskingRun) -> Target:
    """What a run is, for whoever wants to do something with it."""
    return Target(workflow=row.workflow, environment=row.environment or "")


def call_of(request: Request) -> Call:
    """The call of a request that `routing` has let in."""
    call: Call = request.state.call
    return call


Asked = Annotated[Call, Depends(call_of)]
"""A parameter of a route: who asks, with all that is needed to answer."""


def _raise_denied(verdict: access.Verdict) -> None:
    if isinstance(verdict, Deny):
        raise Forbidden(verdict.reason, help=verdict.help)
