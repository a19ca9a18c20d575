"""One-time links: how somebody signs in for the first time, or where there is no identity provider.

A link is for one person, works once, and not for long. Looking at it does nothing, for mail scanners look at everything: the page that it
opens has a button, and the button uses it up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from towpath.errors import Refused
from towpath.policy import access
from towpath.server.identity import accounts, codes
from towpath.server.identity.codes import Kind
from towpath.store.contract import LinkId, LinkRow

if TYPE_CHECKING:
    from towpath.app import App

LINK_SECONDS: Final = 24 * 3600.0
"""How long a link that somebody asked for works."""
LINK_SECONDS_MAX: Final = 7 * 86_400.0
LOGIN_PATH: Final = "/login"
SIGNED_IN: Final = "signed in"
"""What the record of acts says of whoever came in."""
MADE_LINK: Final = "made a login link"
_MICROS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLink:
    """A link that was just made; its path is shown this once."""

    row: LinkRow
    path: str = field(repr=False)
    """Where it leads, below the server's address."""


def make(app: App, user: str, *, seconds: float = LINK_SECONDS, by: str) -> NewLink:
    """Makes a link with which *user* signs in once; links that they had before are void then."""
    account = accounts.known(app, accounts.USER + user.removeprefix(accounts.USER))
    if account.is_disabled:
        raise Refused(f"{account.name} is disabled", help=f"`tow users enable {account.name}` comes first")
    if not 0 < seconds <= LINK_SECONDS_MAX:
        raise Refused(f"a link works for at most {LINK_SECONDS_MAX / 86_400:g} days")
    code = codes.make(Kind.LINK)
    at = app.now()
    row = LinkRow(
        id=LinkId(code.id),
        digest=code.digest,
        owner=account.principal,
        made_at=at,
        made_by=by,
        ends_at=at + round(seconds * _MICROS),
    )
    app.store.identities.add_link(row, accounts.act(app, by, MADE_LINK, account.principal))
    return NewLink(row=row, path=f"{LOGIN_PATH}?link={code.text}")


def first_link(app: App) -> str | None:
    """The path of a link for the first person, as long as nobody has ever signed in; None afterwards."""
    if app.store.identities.has_done(SIGNED_IN):
        return None
    user = first_person(app)
    return None if user is None else make(app, user, by=accounts.USER + app.settings.user).path


def first_person(app: App) -> str | None:
    """Whom the first link is for: whoever started the server where they may do anything at all, else the first who may manage users."""
    here = accounts.find(app, accounts.USER + app.settings.user)
    if here is not None and not here.is_disabled:
        actor = accounts.actor_of(app, here, groups=())
        if actor.is_owner or accounts.roles_of(app, actor):
            return here.name
    rules = app.project_file().access
    for account in accounts.people(accounts.everybody(app)):
        actor = accounts.actor_of(app, account, groups=())
        may = access.authorize(rules, actor, "user.manage")
        if not account.is_disabled and isinstance(may, access.Allow):
            return account.name
    return None if here is None or here.is_disabled else here.name
