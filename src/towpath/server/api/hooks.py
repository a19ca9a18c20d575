"""Deliveries from outside: verified by their own signatures, durable before they are answered, and each of them once.

The sender is told the number of the event, and nothing that only insiders should know. What it starts is decided afterwards; a delivery
that comes again is answered with what the first one started.

A flood is answered with 429 before its bodies are read: what is taken in at once is bounded, in number and so in memory, and pages stay
quick because deliveries have threads of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Final

from fastapi import Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response

from towpath.errors import LimitExceeded, StoreUnavailable, TowpathError
from towpath.server.call import Parts
from towpath.server.routing import PUBLIC, Routes
from towpath.triggers.contract import BODY_BYTES_MAX, Malformed, RawRequest
from towpath.triggers.inbox import Receipt

ROUTES = Routes(tag="hooks")
HOOKS_AT_ONCE_MAX: Final = 256
"""Deliveries that are taken in at the same time; one more is answered with 429."""
HOOK_BYTES_AT_ONCE_MAX: Final = 64 * 1024 * 1024
"""Their bodies together; one that does not say how long it is counts as the longest that is taken."""
HOOK_THREADS: Final = 4
"""Threads in which they are verified and kept."""
BODY_SECONDS_MAX: Final = 30.0
"""How long a body may take to arrive."""
RUNS_TOLD_MAX: Final = 100
"""Runs that the answer to a repeat tells."""
_WORDS: Final = {
    "Unverified": "unverified",
    "Malformed": "malformed",
    "NobodyListens": "unknown",
    "LimitExceeded": "limit",
}
"""How the metrics count what was not kept."""
_OK: Final = 200
_ACCEPTED: Final = 202


class Accepted(BaseModel):
    """A delivery is kept."""

    model_config = ConfigDict(extra="forbid")

    event: int = Field(description="Its number: `tow events show 12`.")
    existing: bool = Field(description="Whether the same delivery was here before: it starts nothing again.")
    runs: list[int] = Field(
        default_factory=list, description="Of a repeat: the runs that it started, or let go on."
    )


@ROUTES.post(
    "/hooks/{path:path}",
    permission=PUBLIC,
    status_code=_ACCEPTED,
    response_model=Accepted,
    responses={_OK: {"model": Accepted, "description": "It was here before, or its sender wants a 200."}},
)
async def receive(path: Annotated[str, Path(max_length=200)], request: Request) -> Response:
    """Take in a delivery: from a sender that is known by name (`/hooks/github`), or at the path of a webhook."""
    parts: Parts = request.app.state.parts
    try:
        receipt, runs = await _taken_in(path, request, parts)
    except TowpathError as error:
        parts.pulse.hooks[_WORDS.get(type(error).__name__, "failed")] += 1
        if isinstance(error, StoreUnavailable):
            parts.pulse.wake("disk")
        raise
    parts.pulse.hooks["repeated" if receipt.existing else "accepted"] += 1
    parts.pulse.wake("events")
    if path == "slack":
        return JSONResponse(_for_slack(receipt), _OK)
    told = Accepted(event=receipt.event, existing=receipt.existing, runs=runs)
    return JSONResponse(told.model_dump(), _OK if receipt.existing else _ACCEPTED)


async def _taken_in(path: str, request: Request, parts: Parts) -> tuple[Receipt, list[int]]:
    door = door_of(request.app)
    with door.entered(_length(request)):
        raw = RawRequest(path=f"/{path}", headers=dict(request.headers), body=await _body(request))
        return await asyncio.get_running_loop().run_in_executor(door.threads, _keep, parts, raw)


def _length(request: Request) -> int:
    said = request.headers.get("content-length", "")
    return min(int(said), BODY_BYTES_MAX) if said.isdecimal() else BODY_BYTES_MAX


async def _body(request: Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            return await request.body()
    except TimeoutError:
        raise Malformed(f"the body did not arrive within {BODY_SECONDS_MAX:g} s") from None


def _keep(parts: Parts, raw: RawRequest) -> tuple[Receipt, list[int]]:
    """Keeps a delivery; durable when this returns."""
    receipt = parts.app.inbox.accept(raw)
    if not receipt.existing:
        return receipt, []
    row = parts.app.store.events.event(receipt.event)
    if row.way == "nobody":
        return receipt, []  # whoever sends it may be anybody
    runs = dict.fromkeys(one.run for one in row.reactions if one.run is not None)
    return receipt, list(runs)[:RUNS_TOLD_MAX]


def _for_slack(receipt: Receipt) -> dict[str, str]:
    """What whoever typed the command reads, and nobody else."""
    said = "That has been asked already." if receipt.existing else "Towpath takes care of it."
    return {"response_type": "ephemeral", "text": f"{said} (event {receipt.event})"}


class Door:
    """How many deliveries come in at once."""

    def __init__(self) -> None:
        self.threads = ThreadPoolExecutor(HOOK_THREADS, thread_name_prefix="hooks")
        self.inside = 0
        self.bytes = 0

    @contextlib.contextmanager
    def entered(self, length: int) -> Iterator[None]:
        """Lets one in that is so many bytes long; raises LimitExceeded where there are too many."""
        if self.inside >= HOOKS_AT_ONCE_MAX or self.bytes + length > HOOK_BYTES_AT_ONCE_MAX:
            raise LimitExceeded(
                f"more deliveries come in at once than HOOKS_AT_ONCE_MAX ({HOOKS_AT_ONCE_MAX}) "
                f"or HOOK_BYTES_AT_ONCE_MAX ({HOOK_BYTES_AT_ONCE_MAX:,} bytes) lets in",
                limit="HOOKS_AT_ONCE_MAX",
                help="send it again in a few seconds",
            )
        self.inside += 1
        self.bytes += length
        try:
            yield
        finally:
            self.inside -= 1
            self.bytes -= length


def door_of(app: Starlette) -> Door:
    """The door of an application."""
    door: Door | None = getattr(app.state, "door", None)
    if door is None:
        door = app.state.door = Door()
    return door
