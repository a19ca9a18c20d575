"""A protected environment lets nothing in before people and its calendar do, whatever file names it, and wherever."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from end_to_end_support import (
    office,
    settled,
    shown,
    tow,
    until_driven,
    until_noticed,
    wind_to,
)

from engines.engine_support import Bench, failure, until
from towpath.core import events
from towpath.errors import Refused
from towpath.store.contract import RunNumber

GATE = "~gate_production"
WORK = "uses: stage.act, with: {name: work}"
NAMED: dict[str, str] = {
    "on the workflow": f"environment: production\nsteps: [{{id: a, {WORK}}}]",
    "on the workflow, by an input": "inputs: {where: {type: string, default: production}}\n"
    f'environment: "${{{{ inputs.where }}}}"\nsteps: [{{id: a, {WORK}}}]',
    "on a group": f"steps: [{{id: g, environment: production, steps: [{{id: a, {WORK}}}]}}]",
    "on a step": f"steps: [{{id: a, environment: production, {WORK}}}]",
    "on a step, by an output": "steps:\n"
    "  - {id: ask, uses: stage.act, with: {name: ask}}\n"
    f'  - {{id: a, environment: "${{{{ steps.ask.outputs.where }}}}", {WORK}}}',
    "on a step in a loop": "steps:\n"
    "  - {id: all, each: [staging, production], as: where, steps: "
    f'[{{id: a, if: where == "production", environment: "${{{{ where }}}}", {WORK}}}]}}',
    "on a rollback": "steps:\n"
    f"  - {{id: a, uses: stage.now, rollback: {{environment: production, {WORK}}}}}\n"
    "  - {id: b, uses: stage.now, with: {fails: true}}",
    "on a workflow that another one calls": "steps: [{id: call, workflow: other}]",
}
OTHER = f"environment: production\nsteps: [{{id: a, {WORK}}}]"


async def at_the_gate(bench: Bench) -> RunNumber:
    """The run that is asked for at the gate: the one that was started, or one that it has called."""
    found: list[RunNumber] = []

    def asks() -> bool:
        runs = [row for row in bench.app.reader.runs() if row.summary.questions]
        found[:] = [row.number for row in runs]
        return bool(found)

    await until(asks)
    (run,) = found
    return await until_driven(bench, run)


async def start(bench: Bench, name: str, *, by: str = "user:cy", **inputs: str) -> RunNumber:
    """Starts a workflow, for somebody who could approve it if they had not started it."""
    return (await bench.engine.start(bench.request(name, by=by, **inputs))).number


@pytest.mark.parametrize("text", NAMED.values(), ids=NAMED.keys())
async def test_nobody_gets_past_the_gate(tmp_path: Path, text: str) -> None:
    """Nothing begins before it is approved; an approved change is scheduled and begins when the window opens, to the minute."""
    async with office(tmp_path, change=text, other=OTHER) as bench:
        bench.stage.answers("ask", {"where": "production"})
        run = await start(bench, "change")
        asking = await at_the_gate(bench)
        wind_to(bench, "2026-11-20 18:00")
        assert "work" not in bench.stage.performed
        with pytest.raises(Refused, match="started the run and may not approve it"):
            await bench.answer(asking, GATE, "approve", by="user:cy")
        await bench.answer(asking, GATE, "approve", by="user:bob")
        wind_to(bench, "2026-11-23 09:00", less_seconds=1)
        await bench.until(asking, lambda seen: seen.nodes[GATE].status == "waiting")
        assert "work" not in bench.stage.performed
        bench.wind(1)
        await bench.to_end(run)

        assert bench.stage.performed.count("work") == 1
        (entered,) = [f for f in bench.events(asking) if isinstance(f, events.EnvironmentEntered)]
        assert (entered.environment, entered.how, shown(entered.at)) == (
            "production",
            "approved",
            "Mon 23 Nov 09:00 CET",
        )


async def test_a_scheduled_change_is_seen(tmp_path: Path) -> None:
    """An approved change that waits for its window says so in `tow ps` and `tow show`, in the words of change management."""
    async with office(tmp_path, change=NAMED["on the workflow"]) as bench:
        run = await start(bench, "change")
        wind_to(bench, "2026-11-20 18:00")
        await bench.answer(await at_the_gate(bench), GATE, "approve", by="user:bob")
        await settled(bench)
        commands = (("ps",), ("show", str(run)), ("show", str(run), "--timeline"))
        listed, seen, timeline = await asyncio.gather(*(tow(bench, *words) for words in commands))

    assert "the window of production (change scheduled)" in listed.stdout
    assert "the window of production (change scheduled)" in seen.stdout
    assert "; until " in seen.stdout
    assert "waits for the window of production (change scheduled)" in timeline.stdout


async def test_a_rejected_change_does_not_begin(tmp_path: Path) -> None:
    """Whoever rejects at the gate ends the run as rejected: nothing of it has begun, and all who were asked are told who decided."""
    async with office(tmp_path, change=NAMED["on the workflow"]) as bench:
        run = await start(bench, "change")
        await bench.answer(await at_the_gate(bench), GATE, "reject", by="user:bob", comment="not on a Friday")
        ended = await bench.to_end(run)
        await until_noticed(
            bench,
            run,
            [
                ("Fri 20 Nov 16:00 CET", why, f"user:{who}")
                for why in ("asked", "decided")
                for who in ("bob", "cy")
            ],
        )

    assert (ended.status, bench.stage.performed) == ("rejected", [])
    assert ended.error is not None
    assert ended.error.message == "production: user:bob rejected it: not on a Friday"


async def test_an_approval_lets_one_run_in_and_no_other(tmp_path: Path) -> None:
    """Every run is asked for by itself, whichever file it comes from, and once however many of its steps are in the environment."""
    two = f"steps:\n  - {{id: a, environment: production, {WORK}}}\n  - {{id: b, environment: production, {WORK}}}"
    async with office(tmp_path, now="2026-11-20 11:00", change=two, other=OTHER) as bench:
        first, second = await start(bench, "change"), await start(bench, "other")
        await settled(bench)
        await bench.answer(first, GATE, "approve", by="user:bob")
        await bench.to_end(first)
        await settled(bench)
        waits = bench.state(second)

        assert bench.stage.performed == ["work", "work"]
        assert (waits.status, waits.nodes[GATE].status) == ("waiting", "asking")
        assert len([f for f in bench.events(first) if isinstance(f, events.PeopleAsked)]) == 1


async def test_what_is_tried_again_is_asked_for_again(tmp_path: Path) -> None:
    """A run that goes on from a failed one has a gate of its own: the old approval was for the old attempt."""
    async with office(tmp_path, now="2026-11-20 11:00", change=NAMED["on the workflow"]) as bench:
        bench.stage.answers("work", failure(), {})
        run = await start(bench, "change")
        await bench.answer(await at_the_gate(bench), GATE, "approve", by="user:bob")
        failed = await bench.to_end(run)
        again = bench.app.continued(bench.app.reader.run(run), "retry", started_by="user:bob")
        retried = (await bench.engine.start(again)).number
        asking = await at_the_gate(bench)

        assert (failed.status, asking) == ("failed", retried)
        with pytest.raises(Refused, match="bob started the run and may not approve it"):
            await bench.answer(asking, GATE, "approve", by="user:bob")
        assert bench.stage.performed == ["work"]


async def test_a_window_that_a_freeze_takes_away(tmp_path: Path) -> None:
    """A change that was approved before a freeze waits until both the freeze is over and the window opens again."""
    async with office(tmp_path, now="2026-12-18 16:30", change=NAMED["on a step"]) as bench:
        run = await start(bench, "change")
        wind_to(bench, "2026-12-18 18:00")
        await bench.answer(await at_the_gate(bench), GATE, "approve", by="user:bob")
        bench.wind(40 * 86_400)
        await bench.to_end(run)

        (entered,) = [f for f in bench.events(run) if isinstance(f, events.EnvironmentEntered)]
        assert shown(entered.at) == "Mon 04 Jan 09:00 CET"


async def test_a_place_without_rules_holds_nobody_up(tmp_path: Path) -> None:
    """An environment that asks for nothing has no gate, on a Saturday night too."""
    async with office(
        tmp_path, now="2026-11-21 23:00", change=OTHER.replace("production", "staging")
    ) as bench:
        ended = await bench.run("change")

    assert (ended.status, bench.stage.performed, GATE in ended.nodes) == ("succeeded", ["work"], False)


@pytest.mark.parametrize("how", ["started", "called", "tried again", "run again"])
async def test_whoever_edited_a_file_does_not_let_its_change_in(tmp_path: Path, how: str) -> None:
    """Four eyes hold for the last editor however the run came about: by itself, called by another, or going on from an earlier one."""
    calls = NAMED["on a workflow that another one calls"]
    async with office(tmp_path, now="2026-11-20 11:00", user="bob", change=calls, other=OTHER) as bench:
        bench.stage.answers("work", failure(), {})
        run = await start(bench, "change" if how == "called" else "other", by="user:ann")
        if how in ("tried again", "run again"):
            await bench.answer(run, GATE, "approve", by="user:cy")
            await bench.to_end(run)
            reason = "retry" if how == "tried again" else "rerun"
            again = bench.app.continued(bench.app.reader.run(run), reason, started_by="user:ann")
            run = (await bench.engine.start(again)).number
        asking = await at_the_gate(bench)
        with pytest.raises(Refused, match="bob last edited the workflow"):
            await bench.answer(asking, GATE, "approve", by="user:bob")
        await bench.answer(asking, GATE, "approve", by="user:cy")
        await bench.to_end(run)
