"""Keeps `call.Identity`: whoever shows a token or the cookie of a session is known, and everybody else is nobody.

Who that is, and what they may do, is worked out anew for each request: being disabled, losing a token and leaving a group count at once.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from towpath.errors import StoreUnavailable
from towpath.server.call import Visitor, VisitorWay
from towpath.server.guarding import SESSION_COOKIE
from towpath.server.identity import accounts, codes, signing_in
from towpath.server.identity.codes import Kind
from towpath.server.identity.standing import Standings
from towpath.store.contract import SessionId, SessionRow, TokenId, TokenRow

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from towpath.app import App

SEEN_EVERY: Final = 60 * 1_000_000
"""How often it is written down that a token or a session was used; microseconds."""


class SignedIn:
    """Knows who asks, by the store and the project's file."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._standings = Standings()

    def visitor_of(self, connection: HTTPConnection) -> Visitor | None:
        """Who asks; where a token is shown, it alone counts."""
        shown = connection.headers.get("authorization")
        if shown is not None:
            scheme, _, text = shown.partition(" ")
            return self._by_token(text.strip()) if scheme.lower() == "bearer" else None
        cookie = connection.cookies.get(SESSION_COOKIE)
        return None if cookie is None else self._by_session(cookie)

    def _by_token(self, text: str) -> Visitor | None:
        shown = codes.read(Kind.TOKEN, text)
        row = None if shown is None else self._app.store.identities.token(TokenId(shown.id))
        at = self._app.now()
        if shown is None or row is None or not shown.fits(row.digest) or not row.is_valid(at):
            return None
        visitor = self._visitor(row.owner, way="token", key=row.id, scope=row.scope)
        if visitor is not None and at - (row.last_used_at or 0) >= SEEN_EVERY:
            with contextlib.suppress(StoreUnavailable):  # whoever may look may look at a full disk too
                self._app.store.identities.touch_token(row.id, at)
        return visitor

    def _by_session(self, cookie: str) -> Visitor | None:
        shown = codes.read(Kind.SESSION, cookie)
        row = None if shown is None else self._app.store.identities.session(SessionId(shown.id))
        at = self._app.now()
        if shown is None or row is None or not shown.fits(row.digest) or not signing_in.is_live(row, at):
            return None
        token = None if row.token is None else self._app.store.identities.token(row.token)
        if row.token is not None and (token is None or not token.is_valid(at)):
            return None
        visitor = self._of_session(row, token)
        if visitor is not None and at - row.seen_at >= SEEN_EVERY:
            with contextlib.suppress(StoreUnavailable):  # as above
                self._app.store.identities.touch_session(row.id, at)
        return visitor

    def _of_session(self, row: SessionRow, token: TokenRow | None) -> Visitor | None:
        return self._visitor(
            row.owner,
            way="session",
            key=row.id,
            scope=("*",) if token is None else token.scope,
            groups=row.groups if row.way == "oidc" else None,
        )

    def _visitor(
        self,
        owner: str,
        *,
        way: VisitorWay,
        key: str,
        scope: tuple[str, ...],
        groups: tuple[str, ...] | None = None,
    ) -> Visitor | None:
        account = accounts.find(self._app, owner)
        if account is None or account.is_disabled:
            return None
        actor = accounts.actor_of(self._app, account, scope=scope, groups=groups, standings=self._standings)
        return Visitor(actor=actor, way=way, key=key)
