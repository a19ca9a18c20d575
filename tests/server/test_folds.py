"""Runs that are looked at again and again are folded on, and not anew."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from server_support import server_in, write_project

from towpath.engines.history import load_run
from towpath.observe.chronicle import Chronicle
from towpath.server import folds
from towpath.server.folds import Folds
from towpath.store.contract import Reader, Record, RunNumber

WORK = """
name: work
steps:
  - id: fleet
    each: [a, b, c]
    steps:
      - {id: say, uses: log, with: {message: hello}}
  - id: go
    approve: Go?
    who: ["user:ben"]
"""


class UpTo:
    """A reader of a journal that has grown up to some record so far."""

    def __init__(self, reader: Reader, last: int) -> None:
        self._reader = reader
        self._last = last
        self.read = 0

    def definition(self, digest: str) -> Any:
        """A definition."""
        return self._reader.definition(digest)

    def events(self, run: RunNumber, *, after: int = 0) -> Iterator[Record]:
        """The records so far."""
        for record in self._reader.events(run, after=after):
            if record[0] > self._last:
                return
            self.read += 1
            yield record


async def test_folding_on_is_folding(tmp_path: Path) -> None:
    """However often a run is looked at while it grows, its state and its chronicle are those of all its facts; each fact is read once."""
    write_project(tmp_path, {"work": WORK})
    async with server_in(tmp_path) as server:
        await server.engine.start(server.app.request(server.app.find("work"), {}))
        await asyncio.wait_for(server.engine.until_idle(), 60)
        app, row = server.app, server.app.reader.run("1")
        kept = Folds()
        read = 0
        for last in range(1, row.last_sequence + 1):
            reader = UpTo(app.reader, last)
            found = kept.look(cast("Reader", reader), app.plans, row)
            read += reader.read
            whole = load_run(cast("Reader", UpTo(app.reader, last)), row, app.plans)
            chronicle = Chronicle(fact for sequence, fact in app.events(row) if sequence <= last)

            assert found.run == whole
            assert vars(found.chronicle) == vars(chronicle)
        assert read == row.last_sequence


@pytest.mark.parametrize(("runs", "nodes", "expected"), [(2, 1_000, 2), (100, 15, 1), (100, 1_000, 4)])
async def test_little_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: int, nodes: int, expected: int
) -> None:
    """What is kept is bounded by the number of runs and by the number of their steps; the one looked at last is kept."""
    monkeypatch.setattr(folds, "RUNS_KEPT_MAX", runs)
    monkeypatch.setattr(folds, "NODES_KEPT_MAX", nodes)
    write_project(tmp_path, {"work": WORK})
    async with server_in(tmp_path) as server:
        for _ in range(4):
            await server.engine.start(server.app.request(server.app.find("work"), {}))
        await asyncio.wait_for(server.engine.until_idle(), 60)
        kept = Folds()
        for row in server.app.reader.runs():
            kept.look(server.app.reader, server.app.plans, row)

    assert (len(kept._kept), next(reversed(kept._kept))) == (expected, 1)
    assert kept._nodes == sum(len(one.run.nodes) for one in kept._kept.values())
