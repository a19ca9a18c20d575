"""Many who follow at once, some of whom do not read: the others are told everything, and what they cost is bounded."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from pathlib import Path

from following_support import Follower, served, signals
from server_support import write_project
from starlette.types import Message

from tiers import Tier
from towpath.server.event_stream import SLICE_BYTES, EventStream
from towpath.server.live import Live
from towpath.server.sharing import SHARED_BYTES_MAX

WAITS = "name: waits\nsteps:\n  - {id: go, wait: {signal: go}}\n"
FACT_BYTES = 8 * 1024
FACTS = 800
"""Together far more than the sockets of one client hold."""
BUFFER_BYTES_MAX = 64 * 1024 + 2 * SLICE_BYTES
"""What the server holds for one who does not read: its high-water mark, and what went over it."""
GROWTH_BYTES_MAX = 128 * 1024 * 1024
"""Queues for those who do not read would take more than twice as much."""


async def test_who_does_not_read_costs_little_and_slows_down_nobody(tmp_path: Path, tier: Tier) -> None:
    """Two hundred follow a run, fifty of them without reading: the others get every fact in order, and memory stays bounded."""
    many, stalled = (16, 4) if tier is Tier.QUICK else (200, 50)
    write_project(tmp_path, {"waits": WAITS})
    async with served(tmp_path) as here:
        run = await here.run("waits")
        await here.server.engine.until_idle()
        begun = here.server.app.reader.last_sequence(run)
        path = f"/api/v1/runs/{run}/stream?after={begun}"
        readers = [await here.follow(path) for _ in range(many - stalled)]
        for _ in range(stalled):
            await here.follow(path, reads=False)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        here.write(run, signals(FACTS, size=FACT_BYTES), after=begun)
        told = await asyncio.gather(*(_sequences(one, until=begun + FACTS) for one in readers))
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
        held = [one.transport.get_write_buffer_size() for one in here.uvicorn.server_state.connections]  # type: ignore[union-attr] # both protocols of uvicorn have it
        sharing = here.server.parts.live.sharing
        followers = here.server.parts.live.followers

    assert told == [list(range(begun + 1, begun + FACTS + 1))] * (many - stalled)
    assert followers == many
    assert sum(size > 0 for size in held) == stalled
    assert max(held) <= BUFFER_BYTES_MAX
    assert sharing.size <= SHARED_BYTES_MAX
    assert sharing.reads < FACTS
    assert grown <= GROWTH_BYTES_MAX


async def test_who_never_reads_is_let_go() -> None:
    """One piece that does not leave for too long ends the stream, and what it came from is closed."""
    closed: list[bool] = []

    async def source() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
        finally:
            closed.append(True)

    async def send(message: Message) -> None:
        if message.get("body") == b"x":
            await asyncio.Event().wait()

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    live = Live()
    stream = EventStream(source(), live, stalled_seconds=0.01)
    await asyncio.wait_for(stream({"type": "http"}, receive, send), 60)

    assert live.followers == 0
    assert closed == [True]


async def _sequences(follower: Follower, *, until: int) -> list[int]:
    found: list[int] = []
    while not found or found[-1] < until:
        told = await follower.next()
        assert told is not None, "the stream is over"
        found.append(told.data["sequence"])
    return found
