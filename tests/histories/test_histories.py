"""Journals that were written once and have to be readable for ever: replaying them tells the same story today."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from histories.freeze import portrait
from simulation.world import plan_of
from towpath.core import new_run
from towpath.core.evolve import evolve
from towpath.store import encoding

HISTORIES = sorted(Path(__file__).parent.glob("*.jsonl"))


@pytest.mark.parametrize("file", HISTORIES, ids=[file.stem for file in HISTORIES])
def test_an_old_journal_tells_the_same_story(file: Path) -> None:
    """The run that is folded from an old journal stands as it stood when the journal was written."""
    head, *records = file.read_bytes().splitlines()
    told = msgspec.json.decode(head)
    run = new_run(plan_of(told["workflow"], is_checked=False), "run")
    for record in records:
        run = evolve(run, encoding.decode(record))

    assert msgspec.to_builtins(portrait(run)) == told["expect"]


def test_there_are_histories() -> None:
    """The frozen journals are there, so this file cannot pass by finding none."""
    assert len(HISTORIES) >= 10
