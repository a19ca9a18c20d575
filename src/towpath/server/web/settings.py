"""Settings: oneself with one's tokens and sessions; the project's people, channels and secrets; how the server is.

What may be changed here is what the API changes, by the same functions. A token's text is shown once, in the answer to the form that made
it, and stands in no address; the value of a secret is never shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Form, Path, Request
from pydantic import ValidationError
from starlette.responses import HTMLResponse, Response

from towpath.core.run import Micros
from towpath.errors import AuthorError, NotFound, Refused, TowpathError
from towpath.people import Shift
from towpath.server.api import me as me_api
from towpath.server.api import sessions, tokens, users
from towpath.server.call import Asked, Call, Forbidden
from towpath.server.identity import accounts, links
from towpath.server.identity import tokens as made_tokens
from towpath.server.routing import SIGNED_IN, Routes
from towpath.server.web import pages

ROUTES = Routes(is_page=True)
DAYS_CHOICES: Final[Mapping[str, str]] = {"1": "1 day", "30": "30 days", "90": "90 days", "365": "a year"}
"""How long a token may be made for on the page; the API takes any number of days."""
ON_CALL_DAYS: Final = 28
SHIFTS_SHOWN: Final = 4
_DAY: Final = 86_400 * 1_000_000
_CONFLICT: Final = 409
_ID_CHARS_MAX: Final = 200
_Text = Annotated[str, Form(max_length=10_000)]
_Id = Annotated[str, Path(max_length=_ID_CHARS_MAX)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """One of the pages of settings."""

    key: str
    title: str
    permission: str
    """Empty: for everybody who is signed in."""

    @property
    def path(self) -> str:
        """Its address."""
        return f"/settings/{self.key}"


TABS: Final = (
    Tab(key="me", title="Me", permission=""),
    Tab(key="people", title="People", permission="people.view"),
    Tab(key="on-call", title="On call", permission="people.view"),
    Tab(key="channels", title="Channels", permission="outbox.view"),
    Tab(key="secrets", title="Secrets", permission="secret.set"),
    Tab(key="health", title="Health", permission="health.view"),
)


def tab_page(
    call: Call,
    key: str,
    *,
    refused: TowpathError | None = None,
    **values: Any,  # noqa: ANN401 - what this template shows
) -> HTMLResponse:
    """One of the pages of settings, with the others beside it."""
    tabs = tuple(one for one in TABS if not one.permission or call.may_at_all(one.permission))
    title = next(one.title for one in TABS if one.key == key)
    return pages.page(
        call,
        f"settings_{key.replace('-', '_')}.html",
        title=f"{title}, settings",
        section="settings",
        status=200 if refused is None else _CONFLICT,
        tabs=tabs,
        tab=key,
        refused=refused,
        **values,
    )


@ROUTES.get("/settings", permission=SIGNED_IN)
def settings_page(call: Asked) -> HTMLResponse:
    """The first of the pages that one may see."""
    return me_page(call)


# --- me ------------------------------------------------------------------------------------------------


@ROUTES.get("/settings/me", permission=SIGNED_IN)
def me_page(call: Asked) -> HTMLResponse:
    """Who one is, what one may do, one's tokens and sessions."""
    return _me(call)


def _me(
    call: Call, *, made: made_tokens.NewToken | None = None, refused: TowpathError | None = None
) -> HTMLResponse:
    return tab_page(
        call,
        "me",
        refused=refused,
        told=me_api.me(call),
        tokens=tokens.tokens_of(call),
        services=tokens.services_of(call),
        sessions=sessions.sessions_of(call),
        current=call.visitor.key,
        made=made,
        days=DAYS_CHOICES,
    )


@ROUTES.post("/settings/tokens", permission=SIGNED_IN)
def make_token(
    call: Asked, name: _Text = "", owner: _Text = "", scope: _Text = "*", days: _Text = "90"
) -> HTMLResponse:
    """Makes a token, and shows its text this once."""
    if days not in DAYS_CHOICES:
        return _me(call, refused=Refused("choose one of the times that the form offers"))
    try:
        wanted = tokens.NewToken(
            name=name.strip(), owner=owner or None, scope=scope.split() or ["*"], days=float(days)
        )
        made = tokens.make(call, wanted)
    except ValidationError:
        return _me(
            call, refused=Refused("a token needs a name that is not too long, and not too many permissions")
        )
    except (Refused, AuthorError, NotFound) as refused:
        return _me(call, refused=refused)
    return _me(call, made=made)


@ROUTES.post("/settings/tokens/{token}/revoke", permission=SIGNED_IN)
def revoke_token(call: Asked, token: _Id) -> Response:
    """Makes a token void."""
    tokens.revoke(call, token)
    return pages.see_other("/settings/me")


@ROUTES.post("/settings/sessions/{session}/end", permission=SIGNED_IN)
def end_session(call: Asked, session: _Id) -> Response:
    """Ends a session."""
    sessions.end(call, session)
    return pages.see_other("/settings/me")


# --- people --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody as the list shows them."""

    account: accounts.Account
    roles: tuple[accounts.RoleHeld, ...]
    groups: tuple[str, ...]
    is_away: bool


@ROUTES.get("/settings/people", permission="people.view")
def people_page(call: Asked) -> HTMLResponse:
    """Users with their roles, and groups."""
    return _people(call)


def _people(
    call: Call, *, link: str = "", link_for: str = "", refused: TowpathError | None = None
) -> HTMLResponse:
    call.allow("people.view")
    file = call.app.project_file()
    return tab_page(
        call,
        "people",
        refused=refused,
        people=tuple(_person(call, account) for account in accounts.everybody(call.app)),
        groups=file.people.groups,
        link=link,
        link_for=link_for,
        may_manage=call.may("user.manage"),
        is_open_project=not call.app.desk.directory.names_people,
    )


def _person(call: Call, account: accounts.Account) -> Person:
    actor = accounts.actor_of(call.app, account)
    now = call.app.now()
    groups = tuple(sorted(one for one in actor.principals if one != account.principal))
    away = call.app.desk.directory.absences.get(account.name, ()) if account.is_person else ()
    return Person(
        account=account,
        roles=tuple(accounts.roles_of(call.app, actor)),
        groups=groups,
        is_away=any(one.start <= now < one.end for one in away),
    )


@ROUTES.post("/settings/people/{name}/link", permission="user.manage")
def make_link(call: Asked, name: _Id, request: Request) -> HTMLResponse:
    """Makes a link with which somebody signs in once, and shows it this once."""
    try:
        call.allow("user.manage")
        users.check_may_let_in(call, name)
        made = links.make(call.app, name, by=call.by)
    except (Refused, NotFound) as refused:
        return _people(call, refused=refused)
    base = (call.app.settings.base_url or str(request.base_url)).rstrip("/")
    return _people(call, link=f"{base}{made.path}", link_for=name)


@ROUTES.post("/settings/people/{name}/disable", permission="user.manage")
def disable_user(call: Asked, name: _Id) -> Response:
    """Lets somebody in no more."""
    return _changed(call, lambda: users.disable_user(call, name))


@ROUTES.post("/settings/people/{name}/enable", permission="user.manage")
def enable_user(call: Asked, name: _Id) -> Response:
    """Lets somebody in again."""
    return _changed(call, lambda: users.enable_user(call, name))


@ROUTES.post("/settings/people", permission="user.manage")
def make_user(call: Asked, name: _Text = "", title: _Text = "", email: _Text = "") -> Response:
    """Makes a user, in a project whose file names nobody."""
    try:
        wanted = users.NewUser(name=name.strip(), title=title.strip(), email=email.strip())
    except ValidationError:
        return _people(call, refused=Refused("a name has letters, digits, `_`, `.`, `@` and `-` only"))
    return _changed(call, lambda: users.make_user(call, wanted))


def _changed(call: Call, act: Callable[[], object]) -> Response:
    try:
        act()
    except Forbidden:
        raise
    except (Refused, AuthorError) as refused:
        return _people(call, refused=refused)
    return pages.see_other("/settings/people")


# --- on call -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Rota:
    """A rota with its shifts ahead."""

    name: str
    title: str
    zone: str
    shifts: tuple[Shift, ...]


@ROUTES.get("/settings/on-call", permission="people.view")
def on_call_page(call: Asked) -> HTMLResponse:
    """Who is on call, and who is next."""
    directory, now = call.app.desk.directory, call.app.now()
    file = call.app.project_file().people.on_call
    rotas = tuple(
        Rota(
            name=name,
            title=file[name].title or "",
            zone=file[name].time_zone,
            shifts=_shifts(call, name, now)[:SHIFTS_SHOWN],
        )
        for name in directory.rotas
    )
    return tab_page(call, "on-call", rotas=rotas, weeks=ON_CALL_DAYS // 7)


def _shifts(call: Call, name: str, now: Micros) -> tuple[Shift, ...]:
    return call.app.desk.directory.shifts(name, now, now + ON_CALL_DAYS * _DAY)
