"""Signing in and out: a one-time link, a token or the word of an identity provider becomes a session; the browser keeps its cookie.

Whoever shows something that is wrong, used or too old gets one and the same answer: it tells nobody who or what there is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from towpath.server.call import Unauthenticated
from towpath.server.identity import accounts, codes
from towpath.server.identity.codes import Kind
from towpath.server.identity.links import SIGNED_IN
from towpath.store.contract import LinkId, SessionId, SessionRow, SessionWay, TokenId

if TYPE_CHECKING:
    from towpath.app import App
    from towpath.server.identity.accounts import Account

SESSION_SECONDS: Final = 30 * 86_400.0
"""How long a session lasts at most, used or not."""
IDLE_SECONDS: Final = 7 * 86_400.0
"""A session that nobody has used for so long is over."""
AGENT_CHARS_MAX: Final = 80
NEXT_CHARS_MAX: Final = 2_000
SIGNED_OUT: Final = "signed out"
_MICROS: Final = 1_000_000
_AGENTS: Final = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
)
_SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """Somebody has signed in."""

    row: SessionRow
    cookie: str = field(repr=False)
    """What the browser keeps."""


def with_link(app: App, text: str, *, agent: str = "") -> NewSession:
    """Uses a one-time link up; raises Unauthenticated."""
    shown = codes.read(Kind.LINK, text)
    row = None if shown is None else app.store.identities.link(LinkId(shown.id))
    if shown is None or row is None or not shown.fits(row.digest) or not row.is_open(app.now()):
        raise refused()
    said = f"with a link that {row.made_by} made"
    how = _How(way="link", agent=agent, link=row.id, said=said)
    return _begin(app, _let_in(app, row.owner), how)


def with_token(app: App, text: str, *, agent: str = "") -> NewSession:
    """Begins a session that may do what the token may, and is over when the token is; raises Unauthenticated."""
    shown = codes.read(Kind.TOKEN, text)
    row = None if shown is None else app.store.identities.token(TokenId(shown.id))
    at = app.now()
    if shown is None or row is None or not shown.fits(row.digest) or not row.is_valid(at):
        raise refused()
    seconds = (row.expires_at - at) / _MICROS
    said = f"with the token {row.id}"
    how = _How(way="token", agent=agent, token=row.id, seconds=seconds, said=said)
    return _begin(app, _let_in(app, row.owner), how)


def vouched_for(
    app: App, principal: str, *, groups: tuple[str, ...], seconds: float, agent: str = "", said: str = ""
) -> NewSession:
    """Begins a session of somebody for whom the identity provider vouches; raises Unauthenticated where they are disabled."""
    how = _How(way="oidc", agent=agent, groups=groups, seconds=seconds, said=said)
    return _begin(app, _let_in(app, principal), how)


def sign_out(app: App, session: str, *, by: str, did: str = SIGNED_OUT) -> bool:
    """Ends a session; False where it was over already."""
    row = app.store.identities.session(SessionId(session))
    if row is None:
        return False
    about = f"{row.owner} session {row.id}"
    return app.store.identities.end_session(row.id, accounts.act(app, by, did, about, row.agent))


def is_live(row: SessionRow, at: int) -> bool:
    """Whether a session goes on: nobody has ended it, its time is not up, and it was used lately."""
    return row.is_live(at) and at - row.seen_at < IDLE_SECONDS * _MICROS


def refused() -> Unauthenticated:
    """The one answer to whatever does not open the door."""
    return Unauthenticated(
        "this does not let you in: it is wrong, was used already, or is too old",
        help="ask for a new link (`tow users link NAME` makes one), or show a token that is valid",
    )


def safe_next(path: str) -> str:
    """Where somebody goes who has signed in: a path of ours, or the first page."""
    is_plain = len(path) <= NEXT_CHARS_MAX and path.isprintable() and "\\" not in path
    if not is_plain or not path.startswith("/") or path.startswith("//"):
        return "/"
    try:
        found = urlsplit(path)
    except ValueError:
        return "/"
    if found.scheme or found.netloc or re.match(r"/(login|logout)(/|\?|$)", path):
        return "/"
    return path


def agent_in_short(text: str) -> str:
    """A browser as people know it: `Firefox on Linux`."""
    browser = next((name for mark, name in _AGENTS if mark in text), "")
    system = next((name for mark, name in _SYSTEMS if mark in text), "")
    plain = "".join(each for each in text if each.isprintable())
    return (" on ".join(filter(None, (browser, system))) or plain)[:AGENT_CHARS_MAX]


def _let_in(app: App, principal: str) -> Account:
    account = accounts.find(app, principal)
    if account is None or account.is_disabled:
        raise refused()
    return account


def _begin(app: App, account: Account, how: _How) -> NewSession:
    code = codes.make(Kind.SESSION)
    at = app.now()
    row = SessionRow(
        id=SessionId(code.id),
        digest=code.digest,
        owner=account.principal,
        way=how.way,
        token=how.token,
        groups=how.groups,
        agent=agent_in_short(how.agent),
        made_at=at,
        seen_at=at,
        ends_at=at + round(min(how.seconds, SESSION_SECONDS) * _MICROS),
    )
    act = accounts.act(app, account.principal, SIGNED_IN, f"{account.principal} session {row.id}", how.said)
    if not app.store.identities.add_session(row, act, link=how.link):
        raise refused()  # of several who press the button at once, one is let in
    return NewSession(row=row, cookie=code.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class _How:
    """How somebody signs in, and for how long."""

    way: SessionWay
    agent: str
    said: str
    seconds: float = SESSION_SECONDS
    groups: tuple[str, ...] = ()
    token: TokenId | None = None
    link: LinkId | None = None
