"""Users and tokens as the commands ask for them: beside the data folder, or of a server. What is shown is the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from towpath.app import App
    from towpath.cli.remote.app import RemoteApp
    from towpath.server.identity.accounts import Account, RoleHeld
    from towpath.server.identity.tokens import NewToken
    from towpath.store.contract import TokenRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Somebody, with what they may do and why. What is None is not told to whoever asks."""

    account: Account
    held: tuple[RoleHeld, ...]
    actor: str
    principals: frozenset[str]
    permissions: tuple[str, ...]
    tokens: int | None
    """How many that are valid."""
    sessions: int | None
    seen_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeLink:
    """A link that was just made: shown this once."""

    url: str
    owner: str
    micros: int
    """How long it works."""


class Identities(Protocol):
    """Who may come in, and with what."""

    def tokens(self, owner: str | None) -> Sequence[TokenRow]:
        """Tokens, the newest first: of one owner, or all that whoever asks may see."""

    def make_token(
        self, *, owner: str | None, name: str, scope: tuple[str, ...], seconds: float, by: str
    ) -> NewToken:
        """Makes a token; without an owner for whoever makes it."""

    def revoke_token(self, token: str, *, by: str) -> tuple[str, bool]:
        """Makes a token void; gives its id, and whether it was not so before."""

    def everybody(self) -> Sequence[tuple[Account, tuple[RoleHeld, ...]]]:
        """All users and service accounts, with their roles."""

    def standing(self, name: str) -> Standing:
        """What somebody may do; raises NotFound."""

    def add(self, name: str, *, title: str, email: str, by: str) -> str:
        """Makes a user; gives the name."""

    def disable(self, name: str, *, by: str) -> bool:
        """Lets somebody in no more; False where it was so already."""

    def enable(self, name: str, *, by: str) -> bool:
        """Lets somebody in again; False where they were not disabled."""

    def make_link(self, name: str, *, seconds: float, by: str) -> MadeLink:
        """Makes a link with which somebody signs in, once."""


def identities_of(app: App) -> Identities:
    """Those of the data folder, or of the server that was named."""
    if app.serves_elsewhere:
        from towpath.cli.remote.identities import ServedIdentities

        return ServedIdentities(cast("RemoteApp", app).wire)
    return _Here(app)


class _Here:
    """The users and tokens in the data folder."""

    def __init__(self, app: App) -> None:
        self._app = app

    def tokens(self, owner: str | None) -> Sequence[TokenRow]:
        """Tokens, the newest first."""
        from towpath.server.identity import accounts

        return self._app.store.identities.tokens(None if owner is None else accounts.principal_of(owner))

    def make_token(
        self, *, owner: str | None, name: str, scope: tuple[str, ...], seconds: float, by: str
    ) -> NewToken:
        """Makes a token."""
        from towpath.server.identity import accounts, tokens

        whose = by if owner is None else accounts.principal_of(owner)
        return tokens.make(self._app, owner=whose, name=name, scope=scope, seconds=seconds, by=by)

    def revoke_token(self, token: str, *, by: str) -> tuple[str, bool]:
        """Makes a token void."""
        from towpath.server.identity import tokens

        row = tokens.find(self._app, token)
        return row.id, tokens.revoke(self._app, row.id, by=by)

    def everybody(self) -> Sequence[tuple[Account, tuple[RoleHeld, ...]]]:
        """All users and service accounts."""
        from towpath.server.identity import accounts
        from towpath.server.identity.standing import Standings

        standings = Standings()
        return [
            (one, accounts.roles_of(self._app, accounts.actor_of(self._app, one, standings=standings)))
            for one in accounts.everybody(self._app)
        ]

    def standing(self, name: str) -> Standing:
        """What somebody may do."""
        from towpath.server.identity import accounts

        app = self._app
        account = accounts.known(app, accounts.principal_of(name))
        actor = accounts.actor_of(app, account)
        now, identities = app.now(), app.store.identities
        signed_in = identities.sessions(now, account.principal)
        return Standing(
            account=account,
            held=accounts.roles_of(app, actor),
            actor=actor.name,
            principals=actor.principals,
            permissions=accounts.permissions_of(app, actor),
            tokens=sum(row.is_valid(now) for row in identities.tokens(account.principal)),
            sessions=len(signed_in),
            seen_at=max((row.seen_at for row in signed_in), default=None),
        )

    def add(self, name: str, *, title: str, email: str, by: str) -> str:
        """Makes a user."""
        from towpath.server.identity import accounts

        return accounts.add(self._app, name, title=title, email=email, by=by).name

    def disable(self, name: str, *, by: str) -> bool:
        """Lets somebody in no more."""
        from towpath.server.identity import accounts

        return accounts.disable(self._app, name, by=by)

    def enable(self, name: str, *, by: str) -> bool:
        """Lets somebody in again."""
        from towpath.server.identity import accounts

        return accounts.enable(self._app, name, by=by)

    def make_link(self, name: str, *, seconds: float, by: str) -> MadeLink:
        """Makes a link with which somebody signs in."""
        from towpath.server.identity import links

        made = links.make(self._app, name, seconds=seconds, by=by)
        return MadeLink(
            url=_address(self._app) + made.path,
            owner=made.row.owner,
            micros=made.row.ends_at - made.row.made_at,
        )


def _address(app: App) -> str:
    """Where people reach the server: as it was told, else where it runs now, else where it would."""
    from towpath import settings
    from towpath.server.running.holding import holder_of

    holder = holder_of(app.folder)
    running = holder.address if holder is not None else ""
    return app.settings.base_url or running or f"http://{settings.LISTEN_DEFAULT}"
