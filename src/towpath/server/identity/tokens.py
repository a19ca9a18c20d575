"""Tokens: what programs show instead of signing in.

A token acts for one user or service account, may be used for its scope at most, and ends at a set time. What it does is done by its owner:
`user:ada`'s token is Ada, and whoever made a token of a service account may not approve what that account started.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from towpath.errors import LimitExceeded, NotFound, Refused
from towpath.policy import access
from towpath.server.identity import accounts, codes
from towpath.server.identity.codes import Kind
from towpath.store.contract import TokenId, TokenRow

if TYPE_CHECKING:
    from towpath.app import App

DAY_SECONDS: Final = 86_400.0
TOKEN_SECONDS_DEFAULT: Final = 90 * DAY_SECONDS
TOKEN_SECONDS_MAX: Final = 366 * DAY_SECONDS
"""How long a token may be valid."""
SCOPE_MAX: Final = 100
"""Permissions or patterns that one scope holds."""
_MICROS: Final = 1_000_000
_PATTERN: Final = re.compile(r"\*|(\*|[a-z][a-z_]*)\.(\*|[a-z][a-z_]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token that was just made; its text is shown this once."""

    row: TokenRow
    text: str = field(repr=False)


def make(
    app: App,
    *,
    owner: str,
    name: str,
    scope: tuple[str, ...] = ("*",),
    seconds: float = TOKEN_SECONDS_DEFAULT,
    by: str,
) -> NewToken:
    """Makes a token that acts for *owner*; raises Refused, NotFound or LimitExceeded."""
    account = accounts.known(app, owner)
    if account.is_disabled:
        raise Refused(f"{owner} is disabled", help=f"`tow users enable {account.name}` comes first")
    check_wish(name, scope, seconds)
    code = codes.make(Kind.TOKEN)
    at = app.now()
    row = TokenRow(
        id=TokenId(code.id),
        digest=code.digest,
        owner=account.principal,
        name=name,
        scope=tuple(dict.fromkeys(scope)),
        made_at=at,
        made_by=by,
        expires_at=at + round(seconds * _MICROS),
    )
    said = f"{name}: {', '.join(row.scope)}"
    app.store.identities.add_token(
        row, accounts.act(app, by, "made a token", f"{row.owner} token {row.id}", said)
    )
    return NewToken(row=row, text=code.text)


def revoke(app: App, token: str, *, by: str) -> bool:
    """Makes a token void from this moment, with the sessions that began with it; False where it was void already."""
    row = find(app, token)
    return app.store.identities.revoke_token(
        row.id, accounts.act(app, by, "revoked a token", f"{row.owner} token {row.id}", row.name)
    )


def find(app: App, token: str) -> TokenRow:
    """The token with this id; a whole token that somebody pastes is found too. Raises NotFound."""
    shown = codes.read(Kind.TOKEN, token)
    row = app.store.identities.token(TokenId(token if shown is None else shown.id))
    if row is None or (shown is not None and not shown.fits(row.digest)):
        raise NotFound("there is no such token", help="`tow tokens list --all` shows their ids")
    return row


def check_wish(name: str, scope: tuple[str, ...], seconds: float) -> None:
    """Raises Refused or LimitExceeded for what no token can be."""
    _check_name(name)
    check_scope(scope)
    if not 0 < seconds <= TOKEN_SECONDS_MAX:
        raise LimitExceeded(
            f"a token is valid for at most {TOKEN_SECONDS_MAX / DAY_SECONDS:g} days",
            limit="TOKEN_SECONDS_MAX",
            help="make a new one before the old one ends: both are valid meanwhile",
        )


def check_scope(scope: tuple[str, ...]) -> None:
    """Raises Refused for a scope that would allow nothing, or that has a slip of the pen."""
    if not scope:
        raise Refused(
            "a token without a scope could do nothing", help="write `*`, or permissions such as run.view"
        )
    if len(scope) > SCOPE_MAX:
        raise LimitExceeded(f"a scope holds at most {SCOPE_MAX} permissions", limit="SCOPE_MAX")
    wrong = [one for one in scope if not _PATTERN.fullmatch(one)] or list(access.unknown_permissions(scope))
    if wrong:
        raise Refused(
            f"there is no permission {', '.join(wrong[:3])}",
            help=f"there are {', '.join(access.PERMISSIONS)}; run.* and * are more",
        )


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > accounts.TEXT_CHARS_MAX or not name.isprintable():
        raise Refused(f"a token needs a name of at most {accounts.TEXT_CHARS_MAX} characters: what it is for")
