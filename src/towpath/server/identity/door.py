"""The door: what signing in needs beside the store, one for each server. It counts wrong attempts and knows the identity provider."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING, Final

from towpath.errors import NotFound, OperatorError, RemoteError
from towpath.server.call import Unauthenticated
from towpath.server.identity import signing_in
from towpath.server.identity.attempts import Attempts
from towpath.server.identity.oidc import carried, people
from towpath.server.identity.oidc.carried import Carried, Seal
from towpath.server.identity.oidc.verifying import NotVouched
from towpath.server.identity.signing_in import NewSession

if TYPE_CHECKING:
    from fastapi import Request

    from towpath.app import App
    from towpath.definition.project import Oidc
    from towpath.server.identity.oidc.provider import Client, Provider

_LOG = logging.getLogger("towpath.server")
BACK_PATH: Final = "/login/oidc/back"


class Door:
    """Lets people in."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._seal = Seal()
        self.attempts = Attempts(app.now)

    @functools.cached_property
    def _provider(self) -> Provider:
        from towpath.server.identity.oidc.provider import Provider
        from towpath.steps.egress import GuardedEgress

        return Provider(GuardedEgress(), self._app.now)

    def show(self, *, link: str, token: str, address: str, agent: str) -> NewSession:
        """Signs somebody in who shows a one-time link or a token; raises Unauthenticated or LimitExceeded. Blocks."""
        self.attempts.check(address)
        try:
            if link:
                return signing_in.with_link(self._app, link, agent=agent)
            return signing_in.with_token(self._app, token, agent=agent)
        except Unauthenticated:
            self.attempts.failed(address)
            raise

    async def way_to_provider(self, *, base_url: str, next_path: str) -> tuple[str, str]:
        """Where the browser goes to sign in, and the cookie that it carries; raises NotFound or RemoteError."""
        begun = carried.begin(signing_in.safe_next(next_path), at=self._app.now())
        return await self._provider.way_there(await self._client(base_url), begun), self._seal.write(begun)

    def came_back(self, cookie: str, *, state: str) -> Carried:
        """What the browser has carried; raises Unauthenticated where this sign-in did not begin here."""
        found = self._seal.read(cookie, state=state, at=self._app.now())
        if found is None:
            raise Unauthenticated(
                "this sign-in did not begin here, or took too long", help="begin again at /login"
            )
        return found

    async def vouched_claims(self, begun: Carried, *, base_url: str, code: str) -> dict[str, object]:
        """What the provider says of whoever comes back; raises Unauthenticated or RemoteError."""
        return await self._provider.claims(await self._client(base_url), begun, code)

    def let_in(self, claims: dict[str, object], *, agent: str) -> NewSession:
        """Begins the session of whoever the claims are about; raises NotVouched or Unauthenticated. Blocks."""
        settings = self.oidc
        principal = people.person_of(self._app, settings.issuer, claims)
        return signing_in.vouched_for(
            self._app,
            principal,
            groups=people.groups_of(claims, settings.groups_claim),
            seconds=settings.session,
            agent=agent,
            said=f"through {settings.issuer}",
        )

    @property
    def oidc(self) -> Oidc:
        """The identity provider of the project; raises NotFound where it has none."""
        settings = self._app.project_file().access.oidc
        if settings is None:
            raise NotFound(
                "this project has no identity provider", help="towpath.yaml names one under access: oidc:"
            )
        return settings

    async def _client(self, base_url: str) -> Client:
        from towpath.server.identity.oidc.provider import Client

        settings = self.oidc
        secret = ""
        if settings.client_secret is not None:
            try:
                secret = await asyncio.to_thread(self._app.secrets.get, settings.client_secret)
            except OperatorError as error:  # nobody outside is told what is missing here
                raise NotVouched(f"access: oidc: client_secret: {error.message}") from None
        return Client(settings=settings, secret=secret, redirect_uri=base_url.rstrip("/") + BACK_PATH)


def door_of(request: Request) -> Door:
    """The door of the server that is asked."""
    state = request.app.state
    found: Door | None = getattr(state, "login_door", None)
    if found is None:
        found = state.login_door = Door(state.parts.app)
    return found


def not_vouched(error: RemoteError) -> Unauthenticated:
    """What somebody is told whom the provider could not bring in: the reason is in the log, for it may tell who there is."""
    _LOG.warning("identity.oidc_refused %s", error)
    return Unauthenticated(
        "signing in with the identity provider did not work",
        help="try again; the server's log says why (identity.oidc_refused)",
    )
