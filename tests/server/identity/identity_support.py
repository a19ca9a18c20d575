"""A server that knows people by their tokens and sessions, as the real one does; and a clock that a test winds."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from server_support import PROJECT, write_project

from towpath.app import App, build
from towpath.engines.clock import WallClock
from towpath.server.call import Parts
from towpath.server.guarding import SESSION_COOKIE
from towpath.server.identity import tokens
from towpath.server.identity.signed_in import SignedIn
from towpath.server.live import Live
from towpath.server.making import make_server
from towpath.settings import Settings

ORIGIN = "http://towpath.test"
SECOND = 1_000_000
DAY = 86_400 * SECOND
WITH_SERVICES = (
    PROJECT
    + """
    - {role: operator, to: ["service:deployer"]}
  service_accounts:
    deployer: {title: The pipeline, owner: "user:ben"}
    sweeper: {owner: "user:cy"}
"""
)
"""Ben answers for the deployer, which operates; Cy for the sweeper, which may do nothing."""


class WoundClock(WallClock):
    """The wall clock, and as much later as a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = 0

    def now(self) -> int:
        """Microseconds since 1970."""
        return super().now() + self.ahead

    def wind(self, micros: int) -> None:
        """Time goes by."""
        self.ahead += micros


@dataclass(slots=True, kw_only=True)
class IdentityServer:
    """A server, and a client that keeps no cookies by itself."""

    app: App
    client: httpx2.AsyncClient
    clock: WoundClock
    made: dict[str, str] = field(default_factory=dict)

    def bearer(self, name: str, *scope: str) -> dict[str, str]:
        """The headers of somebody's token, which is made for it: `ben`, `service:deployer`."""
        owner = name if ":" in name else f"user:{name}"
        made = tokens.make(self.app, owner=owner, name="test", scope=scope or ("*",), by=owner)
        return {"Authorization": f"Bearer {made.text}"}

    async def post(self, path: str, **form: str) -> httpx2.Response:
        """A form as a page of ours sends it."""
        return await self.client.post(path, data=form, headers={"Origin": ORIGIN})

    async def signed_in(self, **form: str) -> dict[str, str]:
        """The headers of a browser that has signed in with a link or a token."""
        answer = await self.post("/login", **form)
        self.client.cookies.clear()
        return {"Cookie": f"{SESSION_COOKIE}={cookie_of(answer)}", "Origin": ORIGIN}

    async def me(self, headers: dict[str, str]) -> int | str:
        """Who that is, or the status of the refusal."""
        answer = await self.client.get("/api/v1/me", headers=headers)
        return str(answer.json()["name"]) if answer.status_code == httpx2.codes.OK else answer.status_code


def cookie_of(answer: httpx2.Response) -> str:
    """The session that an answer gives."""
    return str(answer.cookies[SESSION_COOKIE])


@contextlib.contextmanager
def identity_app_in(
    folder: Path, clock: WoundClock, *, user: str = "ada", base_url: str = ""
) -> Iterator[App]:
    """The project of a folder, with a clock that is wound."""
    settings = Settings(project=folder, data=folder / ".towpath", user=user, base_url=base_url)
    app = build(settings, clock=clock)
    try:
        yield app
    finally:
        app.close()


@contextlib.asynccontextmanager
async def identity_server_in(
    folder: Path, *, project: str = WITH_SERVICES, user: str = "ada", base_url: str = ""
) -> AsyncIterator[IdentityServer]:
    """A server over the project of a folder, with real tokens and sessions."""
    write_project(folder, project=project)
    clock = WoundClock()
    with identity_app_in(folder, clock, user=user, base_url=base_url) as app:
        async with app.engine("tow up") as engine:
            parts = Parts(app=app, engine=engine, identity=SignedIn(app), live=Live())
            parts.pulse.is_serving = True
            transport = httpx2.ASGITransport(app=make_server(parts), raise_app_exceptions=False)
            async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as client:
                yield IdentityServer(app=app, client=client, clock=clock)
