"""Every route, asked by everybody: what is let in follows from the permission that the route declares, and from nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from server_support import PROJECT, app_in, write_project

from towpath.app import App
from towpath.engines.clock import WallClock
from towpath.policy.access import BUILT_IN, PERMISSIONS, covers
from towpath.server.call import Parts
from towpath.server.guarding import SESSION_COOKIE
from towpath.server.identity import accounts, tokens
from towpath.server.identity.signed_in import SignedIn
from towpath.server.live import Live
from towpath.server.making import all_routes, make_server
from towpath.server.routing import PUBLIC, SIGNED_IN, Declared

ROUTES = [one for routes in all_routes() for one in routes.declared]
ROLES = ("viewer", "operator", "author", "admin")
PROJECT_OF_ROLES = (
    PROJECT.replace("    vic:", "    eve: {}\n    vic:")
    .replace("    ben:", "    ann: {}\n    ben:")
    .replace("  grants:\n", '  grants:\n    - {role: author, to: ["user:ann"]}\n')
)
WHO = {"viewer": "vic", "operator": "ben", "author": "ann", "admin": "ada"}
DAY_SECONDS = 86_400.0
LET_IN = "let in"
PATIENCE_SECONDS = 60.0


class WoundClock(WallClock):
    """The wall clock, and as much later as a test says."""

    ahead = 0

    def now(self) -> int:
        """Microseconds since 1970."""
        return super().now() + self.ahead


class Asking:
    """A server with the real identity, that is asked without a socket."""

    def __init__(self, app: App, application: Any, clock: WoundClock) -> None:
        self.app = app
        self.application = application
        self.clock = clock

    def token(self, user: str, scope: tuple[str, ...] = ("*",)) -> tokens.NewToken:
        """A token of somebody."""
        owner = f"user:{user}"
        return tokens.make(self.app, owner=owner, name="test", scope=scope, seconds=DAY_SECONDS, by=owner)

    async def status(self, one: Declared, headers: Mapping[str, str], *, body: bytes = b"{}") -> int:
        """How a route answers, as soon as it begins to answer: some go on for ever."""
        path = re.sub(r"\{[^}]*\}", _filled, one.path)
        said = {
            "host": "towpath.test",
            "content-type": "application/json",
            "accept": "application/json",
            **headers,
        }
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": one.method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in said.items()],
            "client": ("127.0.0.1", 1),
            "server": ("towpath.test", 80),
            "state": {},
        }
        began: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        sent = False

        async def receive() -> dict[str, Any]:
            nonlocal sent
            if not sent:
                sent = True
                return {"type": "http.request", "body": body, "more_body": False}
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Mapping[str, Any]) -> None:
            if message["type"] == "http.response.start" and not began.done():
                began.set_result(int(message["status"]))

        answering = asyncio.ensure_future(self.application(scope, receive, send))
        try:
            await asyncio.wait(
                {answering, began}, timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            assert began.done(), f"{one.name} did not answer"
            return began.result()
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)

    def nothing_happened(self) -> bool:
        """Whether nothing was started, kept or set."""
        return not (
            self.app.reader.runs() or self.app.store.events.events() or self.app.sealed_secrets.list()
        )


def _filled(name: re.Match[str]) -> str:
    """A value for a part of a path, of something that there is not."""
    return {"{run}": "9999", "{event}": "9999", "{sending}": "9999"}.get(name.group(), "nothing")


@contextlib.asynccontextmanager
async def server(folder: Path) -> AsyncIterator[Asking]:
    """A server over a project with one person for each built-in role, and Eve, who may do nothing."""
    write_project(folder, project=PROJECT_OF_ROLES)
    with app_in(folder) as app:
        app.clock = clock = WoundClock()
        async with app.engine("tow up") as engine:
            parts = Parts(app=app, engine=engine, identity=SignedIn(app), live=Live())
            parts.pulse.is_serving = True
            yield Asking(app, make_server(parts), clock)


def bearer(text: str) -> dict[str, str]:
    """The headers of whoever shows a token."""
    return {"authorization": f"Bearer {text}"}


def _nobody(_: Asking) -> dict[str, str]:
    return {}


def _made_up(_: Asking) -> dict[str, str]:
    return bearer("tow_nothing_of_the_kind")


def _expired(asking: Asking) -> dict[str, str]:
    text = asking.token("ada").text
    asking.clock.ahead = round(DAY_SECONDS) * 1_000_000 + 1
    return bearer(text)


def _revoked(asking: Asking) -> dict[str, str]:
    made = asking.token("ada")
    assert tokens.revoke(asking.app, made.row.id, by="user:ada")
    return bearer(made.text)


def _disabled(asking: Asking) -> dict[str, str]:
    text = asking.token("ada").text
    accounts.disable(asking.app, "ada", by="user:ada")
    return bearer(text)


def _other_cookie(_: Asking) -> dict[str, str]:
    return {"cookie": f"{SESSION_COOKIE}=tow_session_of_nobody", "origin": "http://towpath.test"}


@pytest.mark.parametrize("come", [_nobody, _made_up, _expired, _revoked, _disabled, _other_cookie])
async def test_whoever_is_not_known_gets_401_but_on_the_published_list(
    tmp_path: Path, come: Callable[[Asking], dict[str, str]]
) -> None:
    """Without a token, or with one that was made up, has ended, was revoked, or belongs to somebody disabled: 401, before a body is read."""
    async with server(tmp_path) as asking:
        headers = come(asking)
        found = {
            one.name: (
                await asking.status(one, headers),
                await asking.status(one, headers, body=b"{not json"),
            )
            for one in ROUTES
            if one.permission != PUBLIC
        }
        nothing_happened = asking.nothing_happened()

    assert {name: got for name, got in found.items() if got != (401, 401)} == {}
    assert (nothing_happened, len(found) > 50) == (True, True)


@pytest.mark.parametrize("role", ["", *ROLES])
async def test_a_role_is_let_in_where_its_permissions_say(tmp_path: Path, role: str) -> None:
    """Each built-in role, and somebody with none, gets 403 wherever their permissions do not reach, and nowhere else."""
    async with server(tmp_path) as asking:
        headers = bearer(asking.token(WHO.get(role, "eve")).text)
        found = {one.name: _met(await asking.status(one, headers)) for one in _with_permission()}

    allowed = BUILT_IN.get(role, ())
    wanted = {one.name: LET_IN if covers(allowed, one.permission) else 403 for one in _with_permission()}
    assert {name: got for name, got in found.items() if got != wanted[name]} == {}


@pytest.mark.parametrize("permission", ["run.view", "secret.set", "question.answer"])
async def test_a_token_reaches_no_further_than_its_scope(tmp_path: Path, permission: str) -> None:
    """A token of an administrator that is for one permission is let in there, and gets 403 everywhere else."""
    async with server(tmp_path) as asking:
        headers = bearer(asking.token("ada", (permission,)).text)
        found = {one.name: _met(await asking.status(one, headers)) for one in _with_permission()}

    wanted = {one.name: LET_IN if one.permission == permission else 403 for one in _with_permission()}
    assert {name: got for name, got in found.items() if got != wanted[name]} == {}


async def test_whoever_is_known_uses_what_is_their_own(tmp_path: Path) -> None:
    """Routes about oneself let in everybody who is known, whatever they may do, and nobody else."""
    async with server(tmp_path) as asking:
        headers = bearer(asking.token("eve").text)
        found = {one.name: await asking.status(one, headers) for one in ROUTES if one.permission == SIGNED_IN}

    assert {name: got for name, got in found.items() if got == 401} == {}
    assert found["GET /api/v1/me"] == 200


def test_every_permission_is_of_use() -> None:
    """No permission is only written down: each is asked for by a route, or by what a route does."""
    asked = {one.permission for one in ROUTES}

    assert PERMISSIONS.keys() - asked - ASKED_INSIDE == set()
    assert PERMISSIONS.keys() >= ASKED_INSIDE


ASKED_INSIDE = {"run.start_break_glass", "token.manage"}
"""Permissions that a route asks for only in some cases: an emergency start, the tokens of others."""


def _with_permission() -> list[Declared]:
    return [one for one in ROUTES if one.permission not in (PUBLIC, SIGNED_IN)]


def _met(status: int) -> int | str:
    """How somebody was met: refused, or let in, whatever came of it; an error of ours is none of the two."""
    return status if status in (401, 403) or status >= 500 else LET_IN
