"""The list of runs says what is on its way, what waits and whose owner is gone."""

from __future__ import annotations

import io

from towpath.cli.views import listing
from towpath.cli.views.lines import Screen
from towpath.store.contract import Life, OwnerId, OwnerRow, RunNumber, RunRow, Summary

NOW = 1_764_000_000_000_000
MINUTE = 60_000_000
OWNER = OwnerId("o1")


def row(number: int, **changes: object) -> RunRow:
    """A run of the list."""
    values: dict[str, object] = {
        "number": RunNumber(number),
        "id": f"id{number}",
        "workflow": "release_shop",
        "kind": "deployment",
        "environment": None,
        "definition": "d",
        "started_by": "user:ada",
        "origin": None,
        "origin_reason": None,
        "start_key": None,
        "slot_group": None,
        "holds_slot": False,
        "owner": OWNER,
        "labels": {},
        "accepted_at": NOW - 5 * MINUTE,
        "summary": Summary(status="running"),
        "last_sequence": 1,
    }
    return RunRow(**(values | changes))  # type: ignore[arg-type]


def owner(life: Life) -> dict[OwnerId, OwnerRow]:
    """The owner of the runs."""
    return {OWNER: OwnerRow(id=OWNER, pid=42, host="here", command="tow run", started_at=NOW, life=life)}


def text(one: RunRow, life: Life = Life.ALIVE) -> str:
    """The row's line."""
    screen = Screen(stream=io.StringIO(), fixed_width=200)
    return " ".join(screen.text(listing.listing([one], owner(life), screen, now=NOW)[1]).split())


def test_running() -> None:
    """A run that goes on names its process."""
    assert text(row(7)) == "7 release_shop running 5m ago 5m process 42"


def test_a_dead_owner() -> None:
    """A run is never called running when the process that drove it is dead."""
    assert text(row(7), Life.DEAD) == "7 release_shop stranded 5m ago 5m owner died — tow resume 7"


def test_an_owner_that_left() -> None:
    """A run that was left in order is told from one whose owner died."""
    assert text(row(7), Life.STOPPED) == "7 release_shop left 5m ago 5m owner left — tow resume 7"


def test_waiting() -> None:
    """A run that waits says for what and since when."""
    waiting = Summary(status="waiting", waiting_for="go: Go live?", waiting_since=NOW - 2 * MINUTE)

    assert text(row(7, summary=waiting)) == "7 release_shop waiting 5m ago 5m go: Go live? for 2m"


def test_ended() -> None:
    """An ended run says how, what it came from, and no longer who drove it."""
    ended = Summary(status="failed", ended_at=NOW - MINUTE, outcome="too_late", message="exit code 1\nmore")
    one = row(7, summary=ended, origin=RunNumber(3), origin_reason="retry")

    assert text(one, Life.DEAD) == "7 release_shop failed 5m ago 4m retry of 3 · too_late · exit code 1"
