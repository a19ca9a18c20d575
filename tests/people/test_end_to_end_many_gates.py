"""Many gates that stand open cost no thread, no task and no growing list, however often their people are reminded."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from end_to_end_support import QUIET, office, question, settled, told

from engines.engine_support import Bench, until
from towpath.core.run import Micros, Node
from towpath.engines.embedded.loop import RESIDENT_WAITING_MAX, EmbeddedEngine
from towpath.errors import Refused
from towpath.store.contract import RunNumber

GATES = 2 * RESIDENT_WAITING_MAX
HOURS = 6
OWN_TASKS_MAX = 10
"""Tasks of the engine and the outbox themselves, far fewer than there are gates."""
LOOKS = 40
REMINDED = """
steps:
  - id: gate
    approve: Release it?
    who: ["group:managers"]
    remind: 1h
    escalate: [{after: 2h, to: ["group:leads"]}]
"""
WINDOW = "steps: [{id: gate, wait: {window: office}}, {id: after, uses: stage.now}]"


def costs(bench: Bench) -> dict[str, int]:
    """What an engine holds beside the journal."""
    engine = cast("EmbeddedEngine", bench.engine)
    return {
        "threads": threading.active_count(),
        "tasks": len(asyncio.all_tasks()),
        "runs in memory": len(engine._drives),
        "timers": len(engine._timers),
    }


async def at_rest(bench: Bench) -> dict[str, int]:
    """What an engine holds for good: the least that is seen for a while, since what is told is written by tasks that end."""
    await settled(bench)
    seen = []
    for _ in range(LOOKS):
        await asyncio.sleep(0.005)
        seen.append(costs(bench))
    return min(seen, key=lambda held: held["tasks"])


def check_the_same(before: dict[str, int], after: dict[str, int]) -> None:
    """Nothing is held for each gate; of its own tasks an engine may be busy with a few at one look and not at the other."""
    assert {**before, "tasks": 0} == {**after, "tasks": 0}
    assert after["tasks"] <= before["tasks"] + OWN_TASKS_MAX


async def open_gates(bench: Bench, name: str, count: int) -> list[Any]:
    """Starts so many runs that wait, and lets everything that was begun for them come to its end."""
    runs = [await bench.start(name) for _ in range(count)]
    await settled(bench)
    return runs


@pytest.mark.parametrize("text", [REMINDED, WINDOW], ids=["asking", "waiting for a window"])
async def test_more_gates_need_nothing_more(tmp_path: Path, text: str) -> None:
    """Twice as many gates as are kept in memory: threads, tasks and runs in memory stay as they were; a timer each."""
    async with office(tmp_path, now="2026-11-21 12:00", project=QUIET, gate=text) as bench:
        await open_gates(bench, "gate", RESIDENT_WAITING_MAX)
        before = await at_rest(bench)
        await open_gates(bench, "gate", GATES - RESIDENT_WAITING_MAX)
        after = await at_rest(bench)

    assert (before["timers"], after["timers"]) == (RESIDENT_WAITING_MAX, GATES)
    check_the_same({**before, "timers": GATES}, after)


@pytest.mark.parametrize("text", [REMINDED, WINDOW], ids=["asking", "waiting for a window"])
async def test_gates_that_stay_open_need_nothing_more(tmp_path: Path, text: str) -> None:
    """Hours of reminders and rungs, or of looking at the calendar, leave an engine with what it had before."""
    async with office(tmp_path, now="2026-11-21 12:00", project=QUIET, gate=text) as bench:
        runs = await open_gates(bench, "gate", RESIDENT_WAITING_MAX + 20)
        before = await at_rest(bench)
        for _ in range(HOURS):
            bench.wind(3_600)
            await settled(bench)
        after = await at_rest(bench)
        reminders = {len(told(bench, run)) for run in (runs[0], runs[-1])}

    check_the_same(before, after)
    assert reminders == ({HOURS + 1} if text == REMINDED else {0})


async def test_what_is_wrong_for_a_while_with_one_gate_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it cannot be told what is due for one question, all others are reminded; it is looked at again, and made up for."""
    async with office(tmp_path, project=QUIET, gate=REMINDED) as bench:
        first = await bench.start("gate")
        bench.wind(1)
        second = await bench.start("gate")
        until_mended = break_down(bench, first, Refused("towpath.yaml has errors"), monkeypatch)
        bench.wind(3 * 3_600)
        await settled(bench)
        assert [len(told(bench, run)) for run in (first, second)] == [0, 4]
        until_mended()
        bench.wind(3_600)
        await settled(bench)

        assert told(bench, first)[0].endswith("rung 1 → group:leads")


async def test_a_gate_that_we_cannot_go_on_with_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake of ours with one question leaves that run as it is, saying so; the others are reminded."""
    async with office(tmp_path, project=QUIET, gate=REMINDED) as bench:
        first = await bench.start("gate")
        bench.wind(1)
        second = await bench.start("gate")
        break_down(bench, first, ZeroDivisionError("a mistake"), monkeypatch)
        bench.wind(3 * 3_600)
        await settled(bench)

        assert [len(told(bench, run)) for run in (first, second)] == [0, 4]
        await until(lambda: "mistake of Towpath" in (bench.app.reader.run(first).summary.waiting_for or ""))


def break_down(
    bench: Bench, run: RunNumber, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], None]:
    """From now on the desk fails when it is asked what is due for the question of this run; gives what mends it."""
    bad, due = question(bench, run), bench.app.desk.due

    def broken(node: Node, now: Micros) -> Any:
        if node.question == bad:
            raise error
        return due(node, now)

    monkeypatch.setattr(bench.app.desk, "due", broken)
    return lambda: monkeypatch.setattr(bench.app.desk, "due", due)
