"""A server on a socket, and clients that follow its streams with bare sockets: what is measured is what a browser would see."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from server_support import TestServer, server_in

from towpath.core.events import AnyEvent, SignalReceived
from towpath.store import encoding
from towpath.store.contract import Change, RunNumber

WAIT_SECONDS = 120
"""Far more than anything here takes."""
SMALL_BUFFER_BYTES = 4_096
"""What a client that does not read lets the kernel hold for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event of a stream."""

    event: str
    data: Any
    place: str


@dataclass(slots=True, kw_only=True)
class Follower:
    """One open stream."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    _text: bytes = b""

    async def begin(self) -> None:
        """Reads the head of the answer."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        self.status = int(head[0].split()[1])
        self.headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)

    async def next(self) -> Told | None:
        """The next event; None at the end of the stream."""
        while True:
            while b"\n\n" not in self._text:
                more = await asyncio.wait_for(self._chunk(), WAIT_SECONDS)
                if not more:
                    return None
                self._text += more
            block, _, self._text = self._text.partition(b"\n\n")
            fields = dict(line.split(": ", 1) for line in block.decode().split("\n") if ": " in line)
            if "event" in fields:
                return Told(
                    event=fields["event"], data=json.loads(fields["data"]), place=fields.get("id", "")
                )

    async def until(self, event: str) -> list[Told]:
        """Everything up to an event of this name, that one included; or up to the end."""
        found: list[Told] = []
        while (told := await self.next()) is not None:
            found.append(told)
            if told.event == event:
                break
        return found

    async def close(self) -> None:
        """Goes away."""
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    async def _chunk(self) -> bytes:
        size = int((await self.reader.readline()).strip() or b"0", 16)
        chunk = await self.reader.readexactly(size)
        await self.reader.readexactly(2)
        return chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A server that listens."""

    server: TestServer
    uvicorn: uvicorn.Server
    port: int
    followers: list[Follower] = field(default_factory=list)

    async def follow(
        self, path: str, name: str = "ada", *, last: str | None = None, reads: bool = True
    ) -> Follower:
        """Opens a stream; one that does not read takes as little as the kernel lets it."""
        sock = socket.socket()
        if not reads:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=2**17)
        if not reads:
            writer.transport.pause_reading()  # type: ignore[attr-defined] # a socket's transport has it
        came_back = f"Last-Event-ID: {last}\r\n" if last is not None else ""
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: towpath.test\r\nAuthorization: Bearer {name}\r\n{came_back}\r\n".encode()
        )
        await writer.drain()
        follower = Follower(reader=reader, writer=writer)
        self.followers.append(follower)
        if reads:
            await follower.begin()
        return follower

    async def run(self, workflow: str = "hello") -> RunNumber:
        """Starts a run."""
        loaded = self.server.app.find(workflow)
        started = await self.server.engine.start(self.server.app.request(loaded, {}))
        return started.number

    def write(self, run: RunNumber, facts: Sequence[AnyEvent], *, after: int) -> None:
        """Writes facts of a run past the engine, as another process would."""
        journal = self.server.app.store.open_journal(lambda call, *values: call(*values))
        records = tuple((after + n, fact.at, encoding.encode(fact)) for n, fact in enumerate(facts, start=1))
        journal.commit(Change(run, after, records), _raise)
        journal.close()


def signals(count: int, *, size: int = 1) -> tuple[SignalReceived, ...]:
    """Facts that are as long as one likes."""
    return tuple(
        SignalReceived(at=1_700_000_000_000_000 + n, kind="signal", name=f"s{n}", payload="x" * size)
        for n in range(count)
    )


@contextlib.asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Served]:
    """A server over the project of a folder, on a free port of this machine."""
    async with server_in(folder) as server, server.parts.live.watching(server.app.store):
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            server.application, lifespan="off", log_level="critical", timeout_graceful_shutdown=10
        )
        made = uvicorn.Server(config)
        made.install_signal_handlers = lambda: None  # type: ignore[attr-defined] # pytest has its own
        serving = asyncio.create_task(made.serve(sockets=[sock]))
        while not made.started:
            await asyncio.sleep(0.01)
        here = Served(server=server, uvicorn=made, port=sock.getsockname()[1])
        try:
            yield here
        finally:
            for follower in here.followers:
                await follower.close()
            server.parts.live.end()
            made.should_exit = True
            await serving
            sock.close()


def _raise(error: Exception | None) -> None:
    if error is not None:
        raise error
