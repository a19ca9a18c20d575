"""Events that are handed to a server, or decided about once more: it decides, and the command waits for what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from towpath.cli.remote.wire import API
from towpath.errors import Refused
from towpath.store.contract import EventId, EventRow
from towpath.triggers.inbox import Receipt

if TYPE_CHECKING:
    from towpath.cli.remote.app import RemoteApp

DECIDED_SECONDS: Final = 60.0
"""How long a server that is busy may take to decide about an event before the command goes on without that."""
ASK_SECONDS: Final = 0.2


def hand_in(app: RemoteApp, body: bytes, *, source: str, headers: Mapping[str, str]) -> Receipt:
    """Hands an event in; it is durable when this returns. Raises Refused."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Refused(
            "the payload is no text in UTF-8, and only such is handed in over HTTP",
            help="add it on the server's own machine, without --server",
        ) from None
    told = app.wire.post(f"{API}/events", {"source": source, "body": text, "headers": dict(headers)})
    return Receipt(event=EventId(told["event"]), existing=told["existing"], title=told["title"])


def replay(app: RemoteApp, event: EventId) -> None:
    """Has the server decide about an event once more; raises Refused or NotFound."""
    app.wire.post(f"{API}/events/{event}/replay")


async def decided(app: RemoteApp, event: EventId) -> EventRow:
    """An event as soon as the server has decided about it; as it is where that takes too long."""
    until = time.monotonic() + DECIDED_SECONDS
    while True:
        row = await asyncio.to_thread(app.store.events.event, event)
        if row.state != "received" or time.monotonic() >= until:
            return row
        await asyncio.sleep(ASK_SECONDS)
