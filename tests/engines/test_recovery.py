"""A process dies; what it had written is true, what it did is unknown, and somebody goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engines.engine_support import HOLD, Bench, Home, dying, embedded, failure, until
from towpath.core import stimuli
from towpath.engines.embedded import recovery
from towpath.errors import Refused
from towpath.store.contract import Life, RunNumber

ONE = RunNumber(1)
TWO = RunNumber(2)


async def dies_during(home: Home, workflow: str, name: str, **inputs: Any) -> None:
    """Starts the workflow in a process that dies while it performs *name*."""
    home.stage.answers(name, HOLD)
    async with dying(home) as bench:
        await bench.start(workflow, **inputs)
        await until(lambda: name in home.stage.performed)
    home.stage.answers(name, {"found": 1})
    home.stage.performed.clear()


async def resumed(bench: Bench, run: RunNumber = ONE) -> None:
    """Takes the run over."""
    await bench.engine.resume(run)


async def test_what_was_not_acknowledged_is_interrupted(home: Home) -> None:
    """After a death the run is open, its owner is dead, and its journal ends where the attempt began."""
    home.write("one", "steps: [{id: a, uses: stage.act, with: {name: a}}]")
    await dies_during(home, "one", "a")
    app = home.app()
    row, run = app.run("1")
    owner = app.owner_of(row)

    assert (run.status, owner.life if owner else None) == ("running", Life.DEAD)


async def test_an_idempotent_step_runs_again(home: Home) -> None:
    """What may be done twice is done again, as a new attempt, and the run goes on."""
    home.write(
        "one",
        "steps: [{id: a, uses: stage.safe, with: {name: a}}, {id: b, uses: stage.act, with: {name: b}}]",
    )
    await dies_during(home, "one", "a")
    async with embedded(home) as bench:
        await resumed(bench)
        run = await bench.to_end(ONE)

    assert (run.status, run.nodes["a"].attempt, home.stage.performed) == ("succeeded", 2, ["a", "b"])


@pytest.mark.parametrize(("value", "performed"), [("safe", ["a"]), ("unsafe", [])])
async def test_an_action_says_of_its_inputs_whether_it_may_be_repeated(
    home: Home, value: str, performed: list[str]
) -> None:
    """An action whose repetition depends on its inputs is asked with those of the lost attempt."""
    home.write(
        "one",
        """
        inputs: {value: {type: string}}
        steps: [{id: a, uses: stage.either, with: {name: a, value: "${{ inputs.value }}"}}]
        """,
    )
    await dies_during(home, "one", "a", value=value)
    async with embedded(home) as bench:
        await resumed(bench)
        await bench.until_status(ONE, "succeeded", "waiting")

    assert home.stage.performed == performed


@pytest.mark.parametrize(
    ("decision", "status", "performed"),
    [
        ("done", "succeeded", ["b"]),
        ("retry", "succeeded", ["a", "b"]),
        ("skip", "partially_succeeded", ["b"]),
        ("failed", "rolled_back", ["undo"]),
    ],
)
async def test_a_person_says_what_became_of_an_unknown_attempt(
    home: Home, decision: str, status: str, performed: list[str]
) -> None:
    """A step that must not be repeated on its own waits as unknown, and the answer settles it."""
    home.write(
        "one",
        """
        steps:
          - {id: a, uses: stage.act, with: {name: a}, rollback: {uses: stage.act, with: {name: undo}}}
          - {id: b, uses: stage.act, with: {name: b}}
        """,
    )
    await dies_during(home, "one", "a")
    async with embedded(home) as bench:
        await resumed(bench)
        waiting = await bench.until_status(ONE, "waiting")
        question = waiting.nodes["a"].question
        before = list(home.stage.performed)
        await bench.answer(ONE, "a", decision)
        run = await bench.to_end(ONE)

    assert (question.kind if question else "", before) == ("unknown", [])
    assert (run.status, home.stage.performed) == (status, performed)


@pytest.mark.parametrize(("is_done", "performed"), [(True, ["check", "b"]), (False, ["check", "a", "b"])])
async def test_a_check_decides_an_unknown_outcome(home: Home, is_done: bool, performed: list[str]) -> None:
    """Where a step has a `check`, nobody is asked: it tells whether the step is done."""
    home.write(
        "one",
        """
        steps:
          - id: a
            uses: stage.act
            with: {name: a}
            check: {uses: stage.safe, with: {name: check}, done_when: outputs.done}
          - {id: b, uses: stage.act, with: {name: b}}
        """,
    )
    home.stage.answers("check", {"done": False})
    await dies_during(home, "one", "a")
    home.stage.answers("check", {"done": is_done})
    async with embedded(home) as bench:
        await resumed(bench)
        run = await bench.to_end(ONE)

    assert (run.status, home.stage.performed) == ("succeeded", performed)


async def test_waits_and_retries_come_due_in_the_next_process(home: Home) -> None:
    """Timers are set again from the journal: what was due meanwhile is due at once."""
    home.write(
        "nap",
        """
        steps:
          - {id: a, uses: stage.act, with: {name: a}, retry: {attempts: 2, delay: 5m, jitter: false}}
          - {id: w, wait: 10m}
        """,
    )
    home.stage.answers("a", failure(), {})
    async with dying(home) as bench:
        await bench.start("nap")
        await bench.until_status(ONE, "waiting")
    home.clock.wind(299)
    async with dying(home) as bench:
        await resumed(bench)
        await asyncio.sleep(0)
        early = len(home.stage.performed)
        bench.wind(1)
        await bench.until(ONE, lambda run: "w" in run.nodes)
    home.clock.wind(3600)
    async with embedded(home) as bench:
        await resumed(bench)
        bench.wind(0)
        run = await bench.to_end(ONE)

    assert (early, run.status, home.stage.performed) == (1, "succeeded", ["a", "a"])


async def test_questions_stay_asked(home: Home) -> None:
    """An approval that was given before the death counts after it, and the gate is still the same."""
    home.write("ask", 'steps: [{id: q, approve: "Go?", who: ["group:team"], quorum: 2}]')
    async with dying(home) as bench:
        await bench.start("ask")
        digest = bench.state(ONE).nodes["q"].question
        await bench.answer(ONE, "q", "approve", by="user:bob")
    async with embedded(home) as bench:
        await resumed(bench)
        with pytest.raises(Refused, match="bob has answered it already"):
            await bench.answer(ONE, "q", "approve", by="user:bob")
        await bench.answer(ONE, "q", "approve", by="user:cy", digest=digest.digest if digest else "")
        run = await bench.to_end(ONE)

    assert run.status == "succeeded"


async def test_a_stop_that_was_under_way_is_carried_out(home: Home) -> None:
    """A cancel that was accepted before the death ends the run after it, with its rollback."""
    home.write(
        "one",
        """
        steps:
          - {id: a, uses: stage.act, with: {name: a}, rollback: {uses: stage.safe, with: {name: undo}}}
          - {id: b, uses: stage.act, with: {name: b}}
        """,
    )
    home.stage.answers("b", HOLD)
    async with dying(home) as bench:
        await bench.start("one")
        await until(lambda: "b" in home.stage.performed)
        bench.engine.order = lambda *_: None  # type: ignore[attr-defined] # it dies before it stops anything
        await bench.tell(ONE, stimuli.Cancel, by="user:ann")
    async with embedded(home) as bench:
        await resumed(bench)
        run = await bench.to_end(ONE)

    assert (run.status, home.stage.performed) == ("cancelled", ["a", "b", "undo"])


# ---- children -----------------------------------------------------------------------------------------------


def write_family(home: Home, *, detach: bool = False) -> None:
    """A parent and its child."""
    home.write(
        "child",
        "steps: [{id: c, uses: stage.safe, with: {name: c}}]\noutputs: {n: '${{ steps.c.outputs.found }}'}",
    )
    home.write(
        "parent",
        f"""
        steps:
          - {{id: call, workflow: child, detach: {str(detach).lower()}}}
          - {{id: after, uses: stage.safe, with: {{name: after}}}}
        """,
    )


async def test_a_child_goes_on_with_its_parent(home: Home) -> None:
    """Who resumes the parent has the child go on too, once."""
    write_family(home)
    await dies_during(home, "parent", "c")
    async with embedded(home) as bench:
        await resumed(bench)
        run = await bench.to_end(ONE)
        count = len(bench.app.reader.runs())

    assert (run.status, home.stage.performed, count) == ("succeeded", ["c", "after"], 2)


async def test_a_child_whose_start_was_lost_is_started(home: Home) -> None:
    """A death between the order and the acceptance of the child loses nothing and doubles nothing."""
    write_family(home)
    async with dying(home) as bench:
        start = bench.engine.journal.start  # type: ignore[attr-defined] # looks inside

        def only_the_parent(new: Any, told: Any) -> None:
            if new.workflow == "parent":
                start(new, told)

        bench.engine.journal.start = only_the_parent  # type: ignore[attr-defined] # the child's start is lost
        await bench.start("parent")
        await asyncio.sleep(0.05)
    home.stage.answers("c", {"found": 1})
    async with embedded(home) as bench:
        await resumed(bench)
        run = await bench.to_end(ONE)
        count = len(bench.app.reader.runs())

    assert (run.status, home.stage.performed, count) == ("succeeded", ["c", "after"], 2)


async def test_a_child_that_ended_meanwhile_is_heard(home: Home) -> None:
    """A child that another process brought to its end tells the parent when that is resumed."""
    write_family(home)
    await dies_during(home, "parent", "c")
    async with embedded(home) as bench:
        await resumed(bench, TWO)
        await bench.to_end(TWO)
        await resumed(bench, ONE)
        run = await bench.to_end(ONE)

    assert (run.status, run.nodes["call"].outputs) == (
        "succeeded",
        {"n": 1, "run": bench.app.reader.run("2").id, "status": "succeeded"},
    )


async def test_a_child_and_its_parent_may_have_different_owners(home: Home) -> None:
    """A child in one process tells its parent in another how it ended; a cancel goes the other way."""
    write_family(home)
    await dies_during(home, "parent", "c")
    home.stage.answers("c", HOLD)
    async with embedded(home) as childs, embedded(home) as parents:
        await resumed(childs, TWO)
        await until(lambda: "c" in home.stage.performed)
        await resumed(parents, ONE)
        await parents.tell(ONE, stimuli.Cancel, by="user:ann")
        run = await parents.to_end(ONE)
        child = await childs.to_end(TWO)

    assert (run.status, child.status, home.stage.stopped[-1]) == ("cancelled", "cancelled", "c")


async def test_a_detached_child_keeps_nobody_waiting(home: Home) -> None:
    """A parent that died before it heard that its detached child was accepted goes on."""
    write_family(home, detach=True)
    home.stage.answers("c", HOLD)
    async with dying(home) as bench:
        tell_soon = bench.engine.tell_soon  # type: ignore[attr-defined] # looks inside
        bench.engine.tell_soon = lambda *_, **__: None  # type: ignore[attr-defined] # it dies before it is told
        await bench.start("parent")
        await until(lambda: "c" in home.stage.performed)
        assert tell_soon is not None
    async with embedded(home) as bench:
        await resumed(bench)
        run = await bench.to_end(ONE)

    assert (run.status, home.stage.performed.count("after")) == ("succeeded", 1)


async def test_a_cancel_reaches_a_child_after_the_death(home: Home) -> None:
    """A parent that was being cancelled when it died cancels its child when it is resumed."""
    write_family(home)
    home.stage.answers("c", HOLD)
    async with dying(home) as bench:
        await bench.start("parent")
        await until(lambda: home.stage.performed)
        bench.engine.order = lambda *_: None  # type: ignore[attr-defined] # it dies before it stops anything
        await bench.tell(ONE, stimuli.Cancel, by="user:ann")
    async with embedded(home) as bench:
        await resumed(bench)
        run = await bench.to_end(ONE)
        child = bench.state(TWO)

    assert (run.status, child.status) == ("cancelled", "cancelled")


# ---- who may go on ------------------------------------------------------------------------------------------


async def test_a_run_whose_owner_lives_is_not_taken_over(home: Home) -> None:
    """Resuming is refused, and says who drives the run."""
    home.write("ask", 'steps: [{id: q, approve: "Go?", who: ["group:team"]}]')
    async with embedded(home) as owner, embedded(home) as other:
        await owner.start("ask")
        with pytest.raises(Refused, match=r"run 1 is driven by process \d+ on .* \(tow test\)"):
            await resumed(other)
        await resumed(owner)
        await owner.answer(ONE, "q", "approve")

        assert (await owner.to_end(ONE)).status == "succeeded"


async def test_an_ended_run_is_not_resumed(home: Home) -> None:
    """Resuming what has ended is refused, with what can be done instead."""
    home.write("one", "steps: [{id: a, uses: stage.now}]")
    async with embedded(home) as bench:
        await bench.run("one")
        with pytest.raises(Refused, match="run 1 has ended: succeeded") as refused:
            await resumed(bench)

    assert "tow rerun 1" in refused.value.help


async def test_of_many_who_resume_exactly_one_goes_on(home: Home) -> None:
    """Of several processes that resume at the same time one has the run; the step runs once more, not more often."""
    home.write("one", "steps: [{id: a, uses: stage.safe, with: {name: a}}]")
    await dies_during(home, "one", "a")
    home.stage.answers("a", HOLD)
    async with embedded(home) as b1, embedded(home) as b2, embedded(home) as b3, embedded(home) as b4:
        told = await asyncio.gather(*(resumed(b) for b in (b1, b2, b3, b4)), return_exceptions=True)
        await until(lambda: home.stage.performed)
        home.stage.release("a")
        await b1.until_status(ONE, "succeeded")

    assert (sum(one is None for one in told), home.stage.performed) == (1, ["a"])
    assert {type(one) for one in told if one is not None} == {Refused}


async def test_a_graceful_stop_leaves_every_run_to_be_resumed(home: Home) -> None:
    """Closing an engine stops its steps, keeps every run open, and lets others take them over at once."""
    home.write("one", "steps: [{id: a, uses: stage.safe, with: {name: a}}]")
    home.write("nap", "steps: [{id: w, wait: 1h}]")
    home.write("ask", 'steps: [{id: q, approve: "Go?", who: ["group:team"]}]')
    home.stage.answers("a", HOLD)
    async with embedded(home) as bench:
        runs = [await bench.start(name) for name in ("one", "nap", "ask")]
        await until(lambda: home.stage.performed)
    rows = [bench.app.run(str(run))[0] for run in runs]
    lives = [bench.app.store.owners.life(row.owner) for row in rows if row.owner]
    home.stage.answers("a", {})
    async with embedded(home) as bench:
        count = await bench.engine.resume_all()  # type: ignore[attr-defined] # the embedded engine's own
        bench.wind(3600)
        await bench.answer(runs[2], "q", "approve")
        statuses = [(await bench.to_end(run)).status for run in runs]

    assert (home.stage.stopped, lives, count) == (["a"], [Life.STOPPED] * 3, 3)
    assert statuses == ["succeeded"] * 3


async def test_a_queued_run_finds_its_place_in_the_next_process(home: Home) -> None:
    """A run that queued when its process died begins when its turn comes."""
    home.write(
        "turn", "concurrency: {group: one, max: 1}\nsteps: [{id: a, uses: stage.safe, with: {name: a}}]"
    )
    home.stage.answers("a", HOLD)
    async with dying(home) as bench:
        for _ in range(3):
            await bench.start("turn")
        await until(lambda: home.stage.performed)
    home.stage.answers("a", {})
    async with embedded(home) as bench:
        for run in (3, 2, 1):
            await resumed(bench, RunNumber(run))
        ended = [await bench.to_end(RunNumber(run)) for run in (1, 2, 3)]

    assert [run.status for run in ended] == ["succeeded"] * 3
    assert [run.ended_at for run in ended] == sorted(run.ended_at for run in ended)


async def test_one_broken_run_does_not_keep_the_others_from_going_on(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When a run cannot be folded any more, the restart takes over all others and says which one it left."""
    home.write("one", "steps: [{id: a, uses: stage.safe, with: {name: a}}]")
    home.stage.answers("a", HOLD)
    async with dying(home) as bench:
        for _ in range(3):
            await bench.start("one")
    home.stage.answers("a", {})
    load_run = recovery.history.load_run

    def load(reader: Any, row: Any, plans: Any) -> Any:
        if row.number == TWO:
            raise RuntimeError("an event that nobody understands")
        return load_run(reader, row, plans)

    monkeypatch.setattr(recovery.history, "load_run", load)
    async with embedded(home) as bench:
        count = await bench.engine.resume_all()  # type: ignore[attr-defined] # the embedded engine's own
        monkeypatch.undo()
        ended = [(await bench.to_end(RunNumber(run))).status for run in (1, 3)]

    assert (count, ended) == (2, ["succeeded", "succeeded"])
    assert "run=2" in caplog.text


async def test_what_a_dead_process_left_of_ended_runs_is_removed(home: Home) -> None:
    """A process that begins removes the private folders of runs that are over, and of no other."""
    home.write("one", "steps: [{id: a, uses: stage.now}]")
    home.write("ask", 'steps: [{id: q, approve: "Go?", who: ["group:team"]}]')
    async with embedded(home) as owner:
        over = await owner.run("one")
        open_run = owner.state(await owner.start("ask"))
        private = owner.engine.performer.tools.private  # type: ignore[attr-defined] # looks inside
        private.mkdir(mode=0o700, exist_ok=True)
        for run in (over, open_run):
            (private / run.id).mkdir()
            (private / run.id / "0-1-main.output").write_text("x=1")
        async with embedded(home):
            left = [folder.name for folder in private.iterdir()]
        owner.engine.performer.clear(open_run.id)  # type: ignore[attr-defined] # as above

    assert left == [open_run.id]
