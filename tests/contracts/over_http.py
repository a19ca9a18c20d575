"""A store whose reader asks a server: the same promises, over the whole way through the API and back."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from typing import Any

import httpx2
from fastapi import FastAPI
from starlette.requests import HTTPConnection

from towpath.app import build
from towpath.cli.remote.reader import RemoteReader
from towpath.cli.remote.wire import Wire
from towpath.policy.access import Actor
from towpath.server.call import Parts, Visitor
from towpath.server.live import Live
from towpath.server.making import make_server
from towpath.settings import Settings
from towpath.store.folder import DataFolder
from towpath.store.sqlite import SqliteStore, open_store


class Owner:
    """Everybody is the owner, and may see everything."""

    def visitor_of(self, connection: HTTPConnection) -> Visitor:
        """Who asks."""
        assert connection.headers["authorization"] == "Bearer token"
        actor = Actor(name="user:ada", principals=frozenset({"user:ada"}), is_owner=True)
        return Visitor(actor=actor, way="token", key="token")


class InProcess(httpx2.BaseTransport):
    """Answers requests with an application, without a socket."""

    def __init__(self, application: FastAPI, parts: Parts) -> None:
        self._application = application
        self._parts = parts

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """One request, in a loop of its own."""
        self._application.state.parts = self._parts
        return asyncio.run(self._answer(request))

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        transport = httpx2.ASGITransport(app=self._application, raise_app_exceptions=False)
        asked = httpx2.Request(request.method, request.url, headers=request.headers, content=request.read())
        answer = await transport.handle_async_request(asked)
        content = await answer.aread()
        return httpx2.Response(answer.status_code, headers=answer.headers, content=content)


class StoreOverHttp(SqliteStore):
    """A store of SQLite that is read through a server."""

    def __init__(self, data: Path) -> None:
        open_store(data).close()
        super().__init__(DataFolder(data))
        self._app = build(Settings(project=data, data=data, user="ada"))
        engine: Any = None  # nothing is driven here
        parts = Parts(app=self._app, engine=engine, identity=Owner(), live=Live())
        self._wire = Wire("http://127.0.0.1", "token", transport=InProcess(_application(), parts))
        self._remote = RemoteReader(self._wire)

    @property
    def reader(self) -> RemoteReader:  # type: ignore[override] # that is the point
        """What may be asked, over HTTP."""
        return self._remote

    def close(self) -> None:
        """Close every connection."""
        self._wire.close()
        self._app.close()
        super().close()


@functools.cache
def _application() -> FastAPI:
    """Made once: the parts are put in for each request."""
    nothing: Any = None
    return make_server(nothing)
