"""Server-sent events: a response that goes on for as long as there is something to tell.

What is sent comes from a source that is asked for the next piece when the one before has left: one who reads slowly has the source wait,
and nothing gathers but what the socket holds and the piece that is under way. One who does not read at all is let go after a while.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Final

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from towpath.server.live import Live

_LOG = logging.getLogger("towpath.server")
MEDIA_TYPE: Final = "text/event-stream"
HEARTBEAT_SECONDS: Final = 15.0
"""After so long without anything to tell, a comment tells that the connection lives."""
STALLED_SECONDS: Final = 60.0
"""How long one piece may take to leave; then the connection is closed."""
SLICE_BYTES: Final = 32 * 1024
"""What is handed to the socket at once."""
RETRY_MILLISECONDS: Final = 2_000
"""How long a browser waits before it comes back."""
HEARTBEAT: Final = b":\n\n"
OPENING: Final = b"retry: %d\n\n" % RETRY_MILLISECONDS

_encode = msgspec.json.Encoder().encode


def message(event: str, data: object, *, place: str | int | None = None) -> bytes:
    """One event; *data* is written as JSON, *place* is what the client comes back with."""
    return framed(event, _encode(data), place=place)


def framed(event: str, data: bytes, *, place: str | int | None = None) -> bytes:
    """One event whose data is JSON already, in one line."""
    head = b"" if place is None else b"id: %s\n" % str(place).encode("ascii")
    return b"%sevent: %s\ndata: %s\n\n" % (head, event.encode("ascii"), data)


class EventStream(Response):
    """The response. It ends when its source ends, when the client is gone, or when the client has not read for too long."""

    media_type = MEDIA_TYPE

    def __init__(
        self, source: AsyncIterator[bytes], live: Live, *, stalled_seconds: float = STALLED_SECONDS
    ) -> None:
        self.source = source
        self.live = live
        self.stalled_seconds = stalled_seconds
        self.status_code = 200
        self.background = None
        self.body = b""
        self.init_headers({"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"})
        self.raw_headers = [(name, value) for name, value in self.raw_headers if name != b"content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's shape
        """Sends until there is nothing more to send, or nobody to send to."""
        self.live.followers += 1
        gone = asyncio.create_task(_gone(receive))
        telling = asyncio.create_task(self._tell(send))
        try:
            await asyncio.wait((gone, telling), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.live.followers -= 1
            for task in (gone, telling):
                task.cancel()
            told = (await asyncio.gather(gone, telling, return_exceptions=True))[1]
            close = getattr(self.source, "aclose", None)
            if close is not None:
                await close()
        if isinstance(told, TimeoutError):
            _LOG.info("live.stalled a client has not read for %g s and is let go", self.stalled_seconds)
        elif isinstance(told, Exception):
            raise told

    async def _tell(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await self._send(send, OPENING)
        async for piece in self.source:
            for first in range(0, len(piece), SLICE_BYTES):
                await self._send(send, piece[first : first + SLICE_BYTES])
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send, body: bytes) -> None:
        async with asyncio.timeout(self.stalled_seconds):
            await send({"type": "http.response.body", "body": body, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
