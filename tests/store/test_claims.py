"""A run is taken over by comparing and setting: whoever saw an owner that is not the owner any more gets nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from store_support import call_now, new_run, start

from towpath.store.contract import OwnerId
from towpath.store.sqlite import open_store


def test_of_two_that_saw_the_same_dead_owner_one_gets_the_run(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between one process's look at a dead owner and its claim, another one claims the run: the first is told that it came too late."""
    store, other = open_store(data), open_store(data)
    dead = store.owners.enter("dead")
    run = start(store.open_journal(call_now), new_run("r1", owner=dead))
    store.owners.leave(dead)
    quick, slow = other.owners.enter("quick"), store.owners.enter("slow")
    taken: list[bool] = []
    is_locked = store.owners._is_locked

    def look(owner: OwnerId) -> bool:
        if owner == dead and not taken:
            taken.append(other.owners.claim(run, quick))
        return is_locked(owner)

    monkeypatch.setattr(store.owners, "_is_locked", look)
    late = store.owners.claim(run, slow)
    owner = store.reader.run(run).owner
    other.close()
    store.close()

    assert (taken, late, owner) == ([True], False, quick)
