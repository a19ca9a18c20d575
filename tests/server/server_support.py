"""A real server for tests: the application over a project in a temporary folder, with people who are known by their tokens."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import httpx2
from fastapi import FastAPI
from starlette.requests import HTTPConnection

from towpath.app import App, build
from towpath.engines.embedded import EmbeddedEngine
from towpath.policy.access import Actor
from towpath.server.call import Parts, Visitor
from towpath.server.live import Live
from towpath.server.making import make_server
from towpath.settings import Settings

HELLO = """
name: hello
steps:
  - {id: greet, run: echo hello}
"""
PROJECT = """
people:
  users:
    ada: {email: ada@example.org}
    ben: {email: ben@example.org}
    cy: {email: cy@example.org}
    vic: {email: vic@example.org}
  groups:
    operators: ["user:ben", "user:cy"]
access:
  grants:
    - {role: admin, to: ["user:ada"]}
    - {role: operator, to: ["group:operators"]}
    - {role: viewer, to: ["user:vic"]}
"""
"""Ada may do everything, Ben and Cy operate, Vic only looks; nobody else may do anything."""


class KnownByName:
    """An identity for tests: the token is the name, `Bearer ada`."""

    def __init__(self, app: App) -> None:
        self._app = app

    def visitor_of(self, connection: HTTPConnection) -> Visitor | None:
        """Who asks."""
        scheme, _, name = connection.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not name:
            return None
        groups = {
            f"group:{group}"
            for group in self._app.project_file().people.groups
            if name in self._members(group)
        }
        actor = Actor(name=f"user:{name}", principals=frozenset({f"user:{name}", *groups}))
        return Visitor(actor=actor, way="token", key=name)

    def _members(self, group: str) -> frozenset[str]:
        return self._app.desk.directory.people([f"group:{group}"], self._app.now())


@dataclass(frozen=True, slots=True, kw_only=True)
class TestServer:
    """A server that is asked in this process, without a socket."""

    __test__: ClassVar[bool] = False
    """It is no test, whatever its name says."""
    app: App
    engine: EmbeddedEngine
    client: httpx2.AsyncClient
    parts: Parts
    application: FastAPI

    def as_(self, name: str) -> dict[str, str]:
        """The headers of somebody's requests."""
        return {"Authorization": f"Bearer {name}"}


def write_project(
    folder: Path, workflows: Mapping[str, str] | None = None, *, project: str = PROJECT
) -> None:
    """A project with some workflows: file name without its suffix, and text."""
    (folder / "workflows").mkdir(parents=True, exist_ok=True)
    (folder / "towpath.yaml").write_text(project)
    for name, text in (workflows or {"hello": HELLO}).items():
        (folder / "workflows" / f"{name}.yaml").write_text(text)


@contextlib.contextmanager
def app_in(folder: Path) -> Iterator[App]:
    """The project of a folder, plugged together."""
    app = build(Settings(project=folder, data=folder / ".towpath", user="ada"))
    try:
        yield app
    finally:
        app.close()


@contextlib.asynccontextmanager
async def server_in(folder: Path) -> AsyncIterator[TestServer]:
    """A server over the project of a folder."""
    with app_in(folder) as app:
        async with app.engine("tow up") as engine:
            parts = Parts(app=app, engine=engine, identity=KnownByName(app), live=Live())
            parts.pulse.is_serving = True
            application = make_server(parts)
            transport = httpx2.ASGITransport(app=application, raise_app_exceptions=False)
            async with httpx2.AsyncClient(transport=transport, base_url="http://towpath.test") as client:
                yield TestServer(app=app, engine=engine, client=client, parts=parts, application=application)
