"""A server in a thread of the test's process, for commands that talk to one."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import uvicorn
from server_support import TestServer, server_in

from towpath.app import App, build
from towpath.core.run import Json
from towpath.settings import Settings
from towpath.store.contract import RunNumber

T = TypeVar("T")
WAIT_SECONDS = 120
"""Far more than anything here takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """A server, with its project in a folder of its own; people are known by their names as tokens."""

    folder: Path
    url: str
    server: TestServer
    loop: asyncio.AbstractEventLoop

    def do(self, act: Callable[[], Awaitable[T]]) -> T:
        """Has something done in the server's loop."""

        async def doing() -> T:
            return await act()

        return asyncio.run_coroutine_threadsafe(doing(), self.loop).result(WAIT_SECONDS)

    def start(self, workflow: str, by: str = "user:ada", **inputs: Json) -> RunNumber:
        """A run that the server drives, as far as it goes by itself."""
        engine, app = self.server.engine, self.server.app

        async def begin() -> RunNumber:
            loaded = await asyncio.to_thread(app.find, workflow)
            number = (await engine.start(app.request(loaded, inputs, started_by=by))).number
            await engine.until_idle()
            return number

        return self.do(begin)

    def ended(self, run: RunNumber) -> str:
        """The status with which a run ended, when it has."""
        return str(self.do(lambda: self.server.engine.until_ended(run)).status)

    @contextlib.contextmanager
    def app(self) -> Iterator[App]:
        """The server's data, looked at from here."""
        found = build(Settings(project=self.folder, data=self.folder / ".towpath", user="ada"))
        try:
            yield found
        finally:
            found.close()


@contextlib.contextmanager
def elsewhere(folder: Path) -> Iterator[Elsewhere]:
    """A server over the project of a folder, which has been written."""
    begun: list[Elsewhere] = []
    ready, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with server_in(folder) as server, server.parts.live.watching(server.app.store):
            sock = socket.socket()
            sock.bind(("127.0.0.1", 0))
            made = uvicorn.Server(
                uvicorn.Config(
                    server.application, lifespan="off", log_level="critical", timeout_graceful_shutdown=10
                )
            )
            made.capture_signals = contextlib.nullcontext  # type: ignore[method-assign] # not in a thread
            serving = asyncio.create_task(made.serve(sockets=[sock]))
            while not made.started:
                await asyncio.sleep(0.01)
            url = f"http://127.0.0.1:{sock.getsockname()[1]}"
            begun.append(Elsewhere(folder=folder, url=url, server=server, loop=asyncio.get_running_loop()))
            ready.set()
            await asyncio.to_thread(over.wait)
            server.parts.live.end()
            made.should_exit = True
            await serving
            sock.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(WAIT_SECONDS)
        yield begun[0]
    finally:
        over.set()
        thread.join(WAIT_SECONDS)
