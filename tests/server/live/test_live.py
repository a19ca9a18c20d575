"""The beat: whoever waits is told that something was written, by whomever."""

from __future__ import annotations

import asyncio
from pathlib import Path

from towpath.server.live import Live
from towpath.store.folder import DataFolder
from towpath.store.growth import Growth
from towpath.store.sqlite import open_store

WAIT_SECONDS = 60


async def test_a_beat_comes_whoever_has_written(tmp_path: Path) -> None:
    """What another process commits is noticed, and what was written before one began to wait."""
    store, other = open_store(tmp_path), open_store(tmp_path)
    live = Live()
    async with live.watching(store):
        before = live.beats
        other.owners.enter("another process")
        first = await asyncio.wait_for(live.after(before), WAIT_SECONDS)
        waiting = asyncio.create_task(live.after(first))
        await asyncio.sleep(0)
        store.owners.enter("this process")
        second = await asyncio.wait_for(waiting, WAIT_SECONDS)
    store.close()
    other.close()

    assert before < first < second


async def test_who_waits_is_let_go_at_the_end(tmp_path: Path) -> None:
    """A server that ends waits for nobody who waits for something to happen."""
    store = open_store(tmp_path)
    live = Live()
    async with live.watching(store):
        waiting = asyncio.create_task(live.after(live.beats))
        await asyncio.sleep(0)
    await asyncio.wait_for(waiting, WAIT_SECONDS)
    store.close()

    assert live.is_ending


def test_looking_is_not_writing(tmp_path: Path) -> None:
    """Reading is no growth; a commit is, once."""
    store = open_store(tmp_path)
    growth = Growth(DataFolder(tmp_path).database)
    store.reader.runs()
    looked = growth.has_grown()
    store.owners.enter("somebody")
    grown = [growth.has_grown(), growth.has_grown()]
    growth.close()
    store.close()

    assert (looked, grown) == (False, [True, False])
