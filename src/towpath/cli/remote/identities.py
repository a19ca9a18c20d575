"""The users and tokens of a server, through its API: it judges who may see and change them, and how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from towpath.cli.identities import MadeLink, Standing
from towpath.cli.remote.wire import API, NotAllowed, Wire, segment
from towpath.server.identity import accounts, codes
from towpath.server.identity import tokens as made_tokens
from towpath.server.identity.accounts import USER, Account, RoleHeld
from towpath.server.identity.codes import Kind
from towpath.server.shapes.moments import micros_of
from towpath.store.contract import TokenId, TokenRow

HOUR_SECONDS: Final = 3600.0
Object = dict[str, Any]  # JSON


class ServedIdentities:
    """Keeps `cli.identities.Identities` over HTTP. Who acts is told by the token, so *by* is not sent."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def tokens(self, owner: str | None) -> Sequence[TokenRow]:
        """Tokens, the newest first: everybody's for those who may see them, else one's own and those of one's service accounts."""
        try:
            found = self._wire.call("GET", f"{API}/tokens?all=true")
        except NotAllowed:
            found = self._wire.call("GET", f"{API}/tokens")
        whose = None if owner is None else accounts.principal_of(owner)
        rows = [_token(one) for one in found["items"] if whose in (None, one["owner"])]
        return sorted(rows, key=lambda row: row.made_at, reverse=True)

    def make_token(
        self,
        *,
        owner: str | None,
        name: str,
        scope: tuple[str, ...],
        seconds: float,
        by: str,  # noqa: ARG002 - the token says who
    ) -> made_tokens.NewToken:
        """Makes a token."""
        made_tokens.check_wish(name, scope, seconds)
        body = {
            "name": name,
            "owner": None if owner is None else accounts.principal_of(owner),
            "scope": list(scope),
            "days": seconds / made_tokens.DAY_SECONDS,
        }
        told = self._wire.post(f"{API}/tokens", body)
        return made_tokens.NewToken(row=_token(told), text=told["token"])

    def revoke_token(self, token: str, *, by: str) -> tuple[str, bool]:  # noqa: ARG002 - the token says who
        """Makes a token void. Of a whole token only its id is sent: a secret has no place in a URL."""
        shown = codes.read(Kind.TOKEN, token)
        told = self._wire.call("DELETE", f"{API}/tokens/{segment(token if shown is None else shown.id)}")
        return told["id"], told["changed"]

    def everybody(self) -> Sequence[tuple[Account, tuple[RoleHeld, ...]]]:
        """All users and service accounts; of their roles the names."""
        found = self._wire.call("GET", f"{API}/users")["items"]
        return [(_account(one), tuple(_role({"role": name}) for name in one["roles"])) for one in found]

    def standing(self, name: str) -> Standing:
        """What somebody may do."""
        told = self._wire.call("GET", f"{API}/users/{segment(name)}")
        return Standing(
            account=_account(told),
            held=tuple(map(_role, told["grants"])),
            actor=told["principal"],
            principals=frozenset(told["principals"]),
            permissions=tuple(told["permissions"]),
            tokens=told["tokens"],
            sessions=told["sessions"],
            seen_at=_moment_or_none(told["seen_at"]),
        )

    def add(self, name: str, *, title: str, email: str, by: str) -> str:  # noqa: ARG002 - the token says who
        """Makes a user."""
        name = name.removeprefix(USER)
        accounts.check_name(name)
        made = self._wire.post(f"{API}/users", {"name": name, "title": title, "email": email})
        return str(made["name"])

    def disable(self, name: str, *, by: str) -> bool:  # noqa: ARG002 - the token says who
        """Lets somebody in no more."""
        return bool(self._wire.post(f"{_user(name)}/disable")["changed"])

    def enable(self, name: str, *, by: str) -> bool:  # noqa: ARG002 - the token says who
        """Lets somebody in again."""
        return bool(self._wire.post(f"{_user(name)}/enable")["changed"])

    def make_link(self, name: str, *, seconds: float, by: str) -> MadeLink:  # noqa: ARG002 - the token says who
        """Makes a link with which somebody signs in."""
        told = self._wire.post(f"{_user(name)}/link", {"hours": seconds / HOUR_SECONDS})
        return MadeLink(
            url=(told["address"] or self._wire.url) + told["path"],
            owner=told["owner"],
            micros=micros_of(told["ends_at"]) - micros_of(told["made_at"]),
        )


def _user(name: str) -> str:
    return f"{API}/users/{segment(name.removeprefix(USER))}"


def _token(told: Object) -> TokenRow:
    return TokenRow(
        id=TokenId(told["id"]),
        digest=b"",  # the server keeps it to itself
        owner=told["owner"],
        name=told["name"],
        scope=tuple(told["scope"]),
        made_at=micros_of(told["made_at"]),
        made_by=told["made_by"],
        expires_at=micros_of(told["expires_at"]),
        last_used_at=_moment_or_none(told["last_used_at"]),
        revoked_at=_moment_or_none(told["revoked_at"]),
    )


def _account(told: Object) -> Account:
    return Account(
        principal=told["principal"],
        title=told["title"],
        email=told["email"],
        source=told["source"],
        owner=told["owner"],
        is_disabled=told["disabled_at"] is not None,
        disabled_at=_moment_or_none(told["disabled_at"]),
        made_at=_moment_or_none(told["made_at"]),
    )


def _role(told: Object) -> RoleHeld:
    return RoleHeld(
        role=told["role"],
        title=told.get("title", ""),
        permissions=tuple(told.get("permissions", ())),
        through=tuple(told.get("through", ())),
        workflows=tuple(told.get("workflows", ())),
        environments=tuple(told.get("environments", ())),
    )


def _moment_or_none(stamp: str | None) -> int | None:
    return None if stamp is None else micros_of(stamp)
