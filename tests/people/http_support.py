"""A real HTTP server on this machine that notes what it is sent and answers as it was told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Received:
    """One request."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Answering:
    """What the server answers, and what it has received."""

    status: str = "200 OK"
    headers: tuple[str, ...] = ()
    body: bytes = b"{}"
    received: list[Received] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Takes one request and answers it."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head[1:] if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.received.append(Received(head[0], headers, body))
            answer = [
                f"HTTP/1.1 {self.status}",
                f"Content-Length: {len(self.body)}",
                "Connection: close",
                *self.headers,
            ]
            writer.write("\r\n".join((*answer, "", "")).encode() + self.body)
            await writer.drain()
        finally:
            writer.close()


@asynccontextmanager
async def answering(**answer: object) -> AsyncIterator[Answering]:
    """A server for as long as the context lasts."""
    state = Answering(**answer)  # type: ignore[arg-type]  # the fields of Answering
    server = await asyncio.start_server(state.serve, "127.0.0.1", 0)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        await server.wait_closed()
