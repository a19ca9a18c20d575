"""More deliveries at once than fit: each is kept and has its run, or is asked to come again; nothing else."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

from serving_support import PATIENCE_SECONDS, Served, push, served, wait_for

from tiers import Tier
from towpath.store.contract import EventFilter, EventRow

RELEASE = """
name: release
on: [{github.push: {branches: main}}]
steps: [{id: note, uses: log, with: {message: pushed}}]
"""
CONNECTIONS_MAX = 900
"""Connections at the same time: a process may have a thousand files."""


async def post(address: str, delivery: str, places: asyncio.Semaphore) -> int:
    """One delivery over a connection of its own; gives the status."""
    where, sent = urlsplit(address), push(delivery)
    lines = ["POST /hooks/github HTTP/1.1", f"Host: {where.netloc}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in sent["headers"].items()]
    lines += [f"Content-Length: {len(sent['content'])}", "", ""]
    async with places, asyncio.timeout(PATIENCE_SECONDS * 5):
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        writer.write("\r\n".join(lines).encode() + sent["content"])
        try:
            return int((await reader.readline()).split()[1])
        finally:
            writer.close()


async def flood(address: str, posts: int) -> dict[str, int]:
    """Many deliveries at once; gives the status of each."""
    places = asyncio.Semaphore(CONNECTIONS_MAX)
    names = [f"d-{number}" for number in range(posts)]
    return dict(
        zip(names, await asyncio.gather(*(post(address, name, places) for name in names)), strict=True)
    )


def test_a_flood_is_taken_in_or_asked_to_come_again(tmp_path: Path, tier: Tier) -> None:
    """Of thousands of posts at once every 2xx has its run, and every 429 left nothing behind; pages are answered meanwhile."""
    posts = tier.rounds(quick=600, full=10_000)
    with served(tmp_path, TOW_SECRET_GITHUB_WEBHOOK="hush") as one:
        one.add("release", RELEASE)
        one.start()
        answers = asyncio.run(flood(one.address, posts))
        wait_for(lambda: decided(one), what="a decision about every event")
        is_ready = one.get("/readyz").status_code
        kept = events(one)

    taken = {name for name, status in answers.items() if status == 202}
    assert set(answers.values()) <= {202, 429}
    assert {row.delivery for row in kept} == taken != set()
    assert Counter((row.state, *(one.because for one in row.reactions)) for row in kept) == {
        ("matched", ""): len(taken)
    }
    assert len({row.reactions[0].run for row in kept}) == len(taken)
    assert is_ready == 200


def decided(one: Served) -> bool:
    """Whether it is decided what every event starts."""
    with one.app() as app:
        return app.store.events.counts().get("received", 0) == 0


def events(one: Served) -> list[EventRow]:
    """Every event."""
    found: list[EventRow] = []
    with one.app() as app:
        while rows := app.store.events.events(
            EventFilter(before=found[-1].id if found else None, rows_max=1_000)
        ):
            found += rows
    return found
