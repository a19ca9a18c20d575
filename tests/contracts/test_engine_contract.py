"""What every engine promises: the same tests run on each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from engines.engine_support import HOLD, Bench, Home, embedded, failure, until
from towpath.core import stimuli
from towpath.core.run import RunId
from towpath.errors import NotFound, Refused, TowpathError
from towpath.store.contract import RunNumber

ENGINES = {"embedded": embedded}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A project."""
    made = Home(tmp_path)
    yield made
    made.close()


@pytest_asyncio.fixture(params=ENGINES)
async def bench(request: pytest.FixtureRequest, home: Home) -> AsyncIterator[Bench]:
    """An engine on the project."""
    async with ENGINES[request.param](home) as made:
        yield made


# ---- starting, watching, telling ----------------------------------------------------------------------------


async def test_a_run_is_durable_when_its_start_returns(bench: Bench) -> None:
    """Who is told a run's number finds the run in the journal, whatever happens next."""
    bench.home.write("one", "steps: [{id: a, uses: stage.act, with: {name: a}}]")
    bench.stage.answers("a", HOLD)
    run = await bench.start("one")
    kinds = bench.kinds(run)

    assert kinds[:2] == ["RunAccepted", "StepStarted"]


async def test_steps_follow_each_other_and_hand_on_what_they_found(bench: Bench) -> None:
    """A sequence performs one step after the other, with the outputs of the earlier ones."""
    bench.home.write(
        "shop",
        """
        inputs: {version: {type: string}}
        steps:
          - {id: build, uses: stage.act, with: {name: build, value: "${{ inputs.version }}"}}
          - {id: ship, uses: stage.act, with: {name: "ship ${{ steps.build.outputs.image }}"}}
        outputs: {image: "${{ steps.build.outputs.image }}"}
        """,
    )
    bench.stage.answers("build", {"image": "shop:1"})
    run = await bench.run("shop", version="1")

    assert (run.status, run.outputs, bench.stage.performed) == (
        "succeeded",
        {"image": "shop:1"},
        ["build", "ship shop:1"],
    )


async def test_a_watcher_sees_the_run_as_it_is_and_every_step_after(bench: Bench) -> None:
    """A watch begins with the present state, misses nothing, and ends with the run."""
    bench.home.write(
        "two",
        """
        steps:
          - {id: a, uses: stage.act, with: {name: a}}
          - {id: b, uses: stage.act, with: {name: b}}
        """,
    )
    bench.stage.answers("a", HOLD)
    number = await bench.start("two")
    seen: list[str] = []
    first = None
    async for step in bench.engine.watch(number):
        first = first or step.run
        seen.extend(type(fact).__name__ for fact in step.facts)
        bench.stage.release("a")
    kinds = bench.kinds(number)

    assert (first.status if first else None, kinds) == ("running", [*kinds[:2], *seen])
    assert kinds[-1] == "RunEnded"


async def test_two_watchers_see_the_same(bench: Bench) -> None:
    """One watcher takes nothing away from another, and one that leaves disturbs nobody."""
    bench.home.write("one", 'steps: [{id: q, approve: "Go?", who: ["group:team"]}]')
    number = await bench.start("one")
    left = bench.engine.watch(number)
    await anext(left)
    await left.aclose()  # type: ignore[attr-defined] # every engine's watch is a generator
    other = bench.engine.watch(number)
    await anext(other)
    await bench.answer(number, "q", "approve")
    facts = [type(fact).__name__ for fact in (await anext(other)).facts]

    assert facts[0] == "AnswerGiven"


async def test_what_a_run_was_told_is_durable_when_telling_returns(bench: Bench) -> None:
    """An answer that was taken stands in the journal before anybody is told so."""
    bench.home.write(
        "ask",
        """
        steps:
          - {id: q, approve: "Go?", who: ["group:team"]}
          - {id: a, uses: stage.act, with: {name: a}}
        """,
    )
    bench.stage.answers("a", HOLD)
    run = await bench.start("ask")
    await bench.answer(run, "q", "approve")

    assert "AnswerGiven" in bench.kinds(run)


async def test_what_cannot_be_is_refused_and_changes_nothing(bench: Bench) -> None:
    """An answer to something that is not asked, or a word that is no choice, is refused with the reason."""
    bench.home.write("ask", 'steps: [{id: q, approve: "Go?", who: ["group:team"]}]')
    run = await bench.start("ask")
    before = bench.kinds(run)
    with pytest.raises(Refused, match="nothing is asked at 'x'"):
        await bench.answer(run, "x", "approve")
    with pytest.raises(Refused, match="cannot be answered with 'maybe'"):
        await bench.answer(run, "q", "maybe")
    with pytest.raises(Refused, match="started the run and may not approve"):
        await bench.answer(run, "q", "approve", by="user:ann")

    assert bench.kinds(run) == before


async def test_an_unknown_run_is_not_found(bench: Bench) -> None:
    """Nothing is told to a run that is not there."""
    with pytest.raises(NotFound):
        await bench.tell(RunNumber(99), stimuli.Cancel, by="user:ann")
    with pytest.raises(NotFound):
        await bench.engine.until_ended(RunNumber(99))


async def test_an_ended_run_takes_nothing_more(bench: Bench) -> None:
    """An end state never changes."""
    bench.home.write("one", "steps: [{id: a, uses: stage.act, with: {name: a}}]")
    run = await bench.start("one")
    before = await bench.to_end(run)
    with pytest.raises(TowpathError):
        await bench.tell(run, stimuli.Cancel, by="user:ann")

    assert bench.state(run) == before


async def test_a_start_key_starts_one_run(bench: Bench) -> None:
    """The same key gives the same run, and nothing is performed twice."""
    bench.home.write("one", "steps: [{id: a, uses: stage.act, with: {name: a}}]")
    request = replace(bench.request("one"), start_key="cron:1")
    first = await bench.engine.start(request)
    await bench.to_end(first.number)
    again = await bench.engine.start(request)

    assert ((again.number, again.existing), bench.stage.performed) == ((first.number, True), ["a"])


async def test_a_run_keeps_the_definition_it_started_with(bench: Bench) -> None:
    """A file that changes while a run waits does not change the run."""
    text = 'steps: [{{id: q, approve: "Go?", who: ["group:team"]}}, {{id: a, uses: stage.act, with: {{name: {}}}}}]'
    bench.home.write("one", text.format("old"))
    run = await bench.start("one")
    bench.home.write("one", text.format("new"))
    await bench.answer(run, "q", "approve")
    await bench.to_end(run)

    assert bench.stage.performed == ["old"]


# ---- time ---------------------------------------------------------------------------------------------------


async def test_a_wait_ends_when_its_time_has_come(bench: Bench) -> None:
    """A step that waits ten minutes goes on after ten minutes and not before."""
    bench.home.write("nap", "steps: [{id: w, wait: 10m}, {id: a, uses: stage.act, with: {name: a}}]")
    run = await bench.start("nap")
    bench.wind(599)
    early = (bench.state(run).status, list(bench.stage.performed))
    bench.wind(1)
    ended = await bench.to_end(run)

    assert (early, ended.status, bench.stage.performed) == (("waiting", []), "succeeded", ["a"])


async def test_attempts_are_repeated_with_their_delays(bench: Bench) -> None:
    """A failed attempt comes again after its delay, which grows, until it succeeds."""
    bench.home.write(
        "try",
        """
        steps:
          - id: a
            uses: stage.act
            with: {name: a}
            retry: {attempts: 3, delay: 10s, factor: 3, jitter: false}
        """,
    )
    bench.stage.answers("a", failure(), failure(), {"x": 1})
    run = await bench.start("try")
    made = []
    for seconds in (9, 1, 29, 1):
        await bench.until_status(run, "waiting")
        bench.wind(seconds)
        expected = len(made) // 2 + 1
        if seconds == 1:
            await until(lambda expected=expected: len(bench.stage.performed) > expected)  # type: ignore[misc] # bound
        made.append(len(bench.stage.performed))
    ended = await bench.to_end(run)

    assert (made, ended.status, ended.nodes["a"].attempt) == ([1, 2, 2, 3], "succeeded", 3)


async def test_the_last_failure_counts(bench: Bench) -> None:
    """When every attempt failed the run fails with the last error, its kind included."""
    bench.home.write(
        "try", "steps: [{id: a, uses: stage.act, with: {name: a}, retry: {attempts: 2, delay: 1s}}]"
    )
    bench.stage.answers("a", failure("first"), failure("the port is taken", kind="conflict"))
    run = await bench.start("try")
    await bench.until_status(run, "waiting")
    bench.wind(1)
    ended = await bench.to_end(run)

    assert (ended.status, ended.error.kind if ended.error else "", bench.stage.performed) == (
        "failed",
        "conflict",
        ["a", "a"],
    )


async def test_a_block_whose_time_is_up_is_stopped(bench: Bench) -> None:
    """A timeout stops what runs inside, and the step says `timeout`."""
    bench.home.write(
        "late",
        """
        steps:
          - id: g
            timeout: 5m
            steps: [{id: a, uses: stage.act, with: {name: a}}, {id: b, uses: stage.act, with: {name: b}}]
        """,
    )
    bench.stage.answers("a", HOLD)
    run = await bench.start("late")
    await until(lambda: bench.stage.performed)
    bench.wind(300)
    ended = await bench.to_end(run)

    assert (ended.status, ended.nodes["g"].error.kind if ended.nodes["g"].error else "") == (
        "failed",
        "timeout",
    )
    assert (bench.stage.performed, bench.stage.stopped) == (["a"], ["a"])


async def test_a_run_whose_time_is_up_ends(bench: Bench) -> None:
    """The timeout of a workflow ends a run that only waits."""
    bench.home.write("late", 'timeout: 1h\nsteps: [{id: q, approve: "Go?", who: ["group:team"]}]')
    run = await bench.start("late")
    bench.wind(3600)
    ended = await bench.to_end(run)

    assert (ended.status, ended.error.kind if ended.error else "") == ("failed", "timeout")


# ---- people -------------------------------------------------------------------------------------------------


async def test_an_approval_waits_and_says_for_what(bench: Bench) -> None:
    """A question keeps the run waiting, with its reason in the list, until enough people have approved."""
    bench.home.write(
        "ask",
        """
        steps:
          - {id: q, approve: "Release?", who: ["group:team"], quorum: 2}
          - {id: a, uses: stage.act, with: {name: "${{ join(steps.q.outputs.by, ' ') }}"}}
        """,
    )
    run = await bench.start("ask")
    row, _ = bench.app.run(str(run))
    await bench.answer(run, "q", "approve", by="user:bob")
    between = bench.state(run).status
    await bench.answer(run, "q", "approve", by="user:cy")
    ended = await bench.to_end(run)

    assert (row.summary.status, row.summary.waiting_for, between) == ("waiting", "q: Release?", "waiting")
    assert (ended.status, bench.stage.performed) == ("succeeded", ["user:bob user:cy"])


async def test_a_gate_is_decided_once(bench: Bench) -> None:
    """Of many answers that come at once, one decides and the others are refused."""
    import asyncio

    bench.home.write("ask", 'steps: [{id: q, approve: "Go?", who: ["group:team"]}]')
    run = await bench.start("ask")
    told = await asyncio.gather(
        *(bench.answer(run, "q", ("approve", "reject")[n % 2], by=f"user:u{n}") for n in range(64)),
        return_exceptions=True,
    )
    ended = await bench.to_end(run)

    assert (sum(one is None for one in told), ended.status) == (1, "succeeded")


async def test_silence_means_what_the_file_says(bench: Bench) -> None:
    """When nobody answers in time, what `if_unanswered` says happens."""
    bench.home.write(
        "ask",
        'steps: [{id: q, approve: "Go?", who: ["group:team"], answer_within: 4h, if_unanswered: reject}]',
    )
    run = await bench.start("ask")
    bench.wind(4 * 3600)

    assert (await bench.to_end(run)).status == "rejected"


@pytest.mark.parametrize(
    ("decision", "status", "performed"),
    [
        ("retry", "succeeded", ["a", "a", "b"]),
        ("skip", "partially_succeeded", ["a", "b"]),
        ("stop", "failed", ["a"]),
    ],
)
async def test_a_failure_that_asks_is_settled_by_a_person(
    bench: Bench, decision: str, status: str, performed: list[str]
) -> None:
    """`on_failure: ask` lets a person choose how it goes on."""
    bench.home.write(
        "ask",
        """
        steps:
          - {id: a, uses: stage.act, with: {name: a}, on_failure: ask}
          - {id: b, uses: stage.act, with: {name: b}}
        """,
    )
    bench.stage.answers("a", failure(), {})
    run = await bench.start("ask")
    await bench.until_status(run, "waiting")
    await bench.answer(run, "a", decision)
    ended = await bench.to_end(run)

    assert (ended.status, bench.stage.performed) == (status, performed)


async def test_a_signal_reaches_the_step_that_waits_for_it(bench: Bench) -> None:
    """A signal carries its payload, and one that comes early is kept."""
    bench.home.write(
        "sig",
        """
        steps:
          - {id: w, wait: {signal: go}}
          - {id: a, uses: stage.act, with: {name: "${{ steps.w.outputs.where }}"}}
          - {id: v, wait: {signal: again}}
        """,
    )
    run = await bench.start("sig")
    await bench.tell(run, stimuli.Signalled, kind="signal", name="again", by="user:bob")
    await bench.tell(
        run, stimuli.Signalled, kind="signal", name="go", payload={"where": "west"}, by="user:bob"
    )
    ended = await bench.to_end(run)

    assert (ended.status, bench.stage.performed) == ("succeeded", ["west"])


# ---- failure, rollback, cancel ------------------------------------------------------------------------------


ROLLING = """
steps:
  - {id: a, uses: stage.act, with: {name: a}, rollback: {uses: stage.act, with: {name: undo a}}}
  - {id: b, uses: stage.act, with: {name: b}, rollback: {uses: stage.act, with: {name: undo b}}}
  - {id: c, uses: stage.act, with: {name: c}}
finally: [{uses: stage.act, with: {name: last}}]
"""


async def test_a_failure_is_rolled_back_in_reverse(bench: Bench) -> None:
    """What was started is undone, the newest first, and the run ends `rolled_back`."""
    bench.home.write("roll", ROLLING)
    bench.stage.answers("c", failure())
    run = await bench.run("roll")

    assert (run.status, bench.stage.performed) == ("rolled_back", ["a", "b", "c", "undo b", "undo a", "last"])


@pytest.mark.parametrize(
    ("rollback", "performed"),
    [(True, ["a", "b", "undo b", "undo a", "last"]), (False, ["a", "b", "last"])],
)
async def test_a_cancel_stops_and_undoes(bench: Bench, rollback: bool, performed: list[str]) -> None:
    """Cancelling stops the step that runs, rolls back where it is wished, and ends `cancelled`."""
    bench.home.write("roll", ROLLING)
    bench.stage.answers("b", HOLD)
    run = await bench.start("roll")
    await until(lambda: "b" in bench.stage.performed)
    await bench.tell(run, stimuli.Cancel, by="user:ann", rollback=rollback)
    ended = await bench.to_end(run)

    assert (ended.status, bench.stage.performed, bench.stage.stopped) == ("cancelled", performed, ["b"])


async def test_a_failed_sibling_stops_the_others_even_before_they_began(bench: Bench) -> None:
    """With `fail_fast` an instant failure stops siblings that are only about to begin."""
    bench.home.write(
        "fast",
        """
        steps:
          - id: p
            parallel:
              - {id: bad, uses: stage.now, with: {fails: true}}
              - {id: slow, uses: stage.act, with: {name: slow}}
        """,
    )
    bench.stage.answers("slow", HOLD)
    run = await bench.run("fast")

    assert (run.status, run.nodes["p/slow"].status) == ("failed", "cancelled")


async def test_siblings_run_at_the_same_time_as_far_as_they_may(bench: Bench) -> None:
    """`max_parallel` bounds how many items are performed at once, and every item is performed."""
    bench.home.write(
        "fan",
        """
        steps:
          - id: each_host
            each: [1, 2, 3, 4, 5, 6, 7]
            as: n
            max_parallel: 3
            steps: [{id: a, uses: stage.act, with: {name: "a${{ n }}"}}]
        """,
    )
    for n in range(1, 8):
        bench.stage.answers(f"a{n}", HOLD)
    run = await bench.start("fan")
    await until(lambda: len(bench.stage.performed) == 3)
    for n in range(1, 8):
        bench.stage.release(f"a{n}")
    await bench.to_end(run)

    assert (bench.stage.most_at_once, sorted(bench.stage.performed)) == (3, [f"a{n}" for n in range(1, 8)])


@pytest.mark.parametrize(
    ("is_complete", "kind", "status"),
    [(True, "conflict", "succeeded"), (False, "conflict", "failed"), (False, "exit", "succeeded")],
)
async def test_success_when_judges_a_whole_answer(
    bench: Bench, is_complete: bool, kind: Any, status: str
) -> None:
    """A failure with a whole answer is judged by `success_when`, and keeps its kind where that does not hold."""
    bench.home.write(
        "judge",
        'steps: [{id: a, uses: stage.act, with: {name: a}, success_when: "outputs.status == 409"}]',
    )
    bench.stage.answers("a", failure(kind=kind, outputs={"status": 409}, is_complete=is_complete))
    run = await bench.run("judge")
    bench.stage.answers("a", failure(kind=kind, outputs={"status": 500}, is_complete=is_complete))
    other = await bench.run("judge")

    assert (run.status, other.error.kind if other.error else "") == (status, kind)


async def test_a_mistake_in_an_action_fails_its_step(bench: Bench) -> None:
    """An exception that no action should raise becomes the error of its step, at once or after a while."""
    bench.home.write("bad", "steps: [{id: a, uses: stage.now, with: {crashes: true}}]")
    bench.home.write("worse", "steps: [{id: a, uses: stage.act, with: {name: a}}]")
    bench.stage.answers("a", ZeroDivisionError("by zero"))
    runs = [await bench.run("bad"), await bench.run("worse")]

    assert [(run.status, run.error.message if run.error else "") for run in runs] == [
        ("failed", "RuntimeError: a mistake of the action's author"),
        ("failed", "ZeroDivisionError: by zero"),
    ]


async def test_a_timeout_inside_an_action_is_its_own_affair(bench: Bench) -> None:
    """An action that raises TimeoutError without a `timeout` of the step fails with what it said."""
    bench.home.write("slow", "steps: [{id: a, uses: stage.act, with: {name: a}}]")
    bench.stage.answers("a", TimeoutError("the device was slow"))
    run = await bench.run("slow")

    assert (run.status, run.error.message if run.error else "") == (
        "failed",
        "TimeoutError: the device was slow",
    )


# ---- children -----------------------------------------------------------------------------------------------


def write_family(home: Home, *, child: str = "{}", detach: bool = False) -> None:
    """A parent that calls a child and goes on with what it gave."""
    home.write(
        "child",
        """
        inputs: {n: {type: integer}}
        steps: [{id: c, uses: stage.act, with: {name: c, value: "${{ inputs.n }}"}}]
        outputs: {found: "${{ steps.c.outputs.found }}"}
        """
        if child == "{}"
        else child,
    )
    after = "after" if detach else "after ${{ steps.call.outputs.found }}"
    home.write(
        "parent",
        f"""
        steps:
          - {{id: call, workflow: child, with: {{n: 7}}, detach: {str(detach).lower()}}}
          - {{id: after, uses: stage.act, with: {{name: "{after}"}}}}
        """,
    )


async def test_a_child_hands_its_outputs_to_its_parent(bench: Bench) -> None:
    """A workflow step waits for its child and has its outputs."""
    write_family(bench.home)
    bench.stage.answers("c", {"found": 42})
    run = await bench.run("parent")
    child = bench.app.reader.run("2")

    assert (run.status, bench.stage.performed) == ("succeeded", ["c", "after 42"])
    assert (child.workflow, child.origin, child.origin_reason) == ("child", 1, "child")


async def test_a_failed_child_fails_its_step(bench: Bench) -> None:
    """The parent's error tells which run failed, and why."""
    write_family(bench.home)
    bench.stage.answers("c", failure("no disk", kind="conflict"))
    run = await bench.run("parent")

    assert (run.status, run.error.kind if run.error else "") == ("failed", "conflict")
    assert "ended failed: no disk" in (run.error.message if run.error else "")


async def test_cancelling_a_parent_cancels_its_child(bench: Bench) -> None:
    """A cancel reaches the child, and the parent ends after it."""
    write_family(bench.home)
    bench.stage.answers("c", HOLD)
    run = await bench.start("parent")
    await until(lambda: bench.stage.performed)
    await bench.tell(run, stimuli.Cancel, by="user:ann")
    ended = await bench.to_end(run)

    assert (ended.status, bench.state(RunNumber(2)).status, bench.stage.stopped) == (
        "cancelled",
        "cancelled",
        ["c"],
    )


async def test_a_child_that_is_cancelled_alone_stops_its_parent_there(bench: Bench) -> None:
    """Cancelling the child fails the parent's step with the kind `cancelled`."""
    write_family(bench.home)
    bench.stage.answers("c", HOLD)
    run = await bench.start("parent")
    await until(lambda: bench.stage.performed)
    await bench.tell(RunNumber(2), stimuli.Cancel, by="user:ann")
    ended = await bench.to_end(run)

    assert (ended.status, ended.nodes["call"].error.kind if ended.nodes["call"].error else "") == (
        "failed",
        "cancelled",
    )


async def test_nobody_waits_for_a_detached_child(bench: Bench) -> None:
    """`detach` goes on at once; the child goes its own way."""
    write_family(bench.home, detach=True)
    bench.stage.answers("c", HOLD)
    run = await bench.run("parent")
    await until(lambda: "c" in bench.stage.performed)
    child = bench.state(RunNumber(2)).status
    bench.stage.answers("c", {"found": 1})
    bench.stage.release("c")

    assert (run.status, child, "after" in bench.stage.performed) == ("succeeded", "running", True)


async def test_a_child_that_cannot_start_fails_its_step(bench: Bench) -> None:
    """A child whose file is broken by now fails the parent's step and nothing else."""
    write_family(bench.home)
    request = bench.request("parent")
    bench.home.write("child", "steps: [{id: c, uses: no.such_action}]")
    started = await bench.engine.start(request)
    run = await bench.to_end(started.number)

    assert (run.status, run.nodes["call"].status) == ("failed", "failed")


# ---- concurrency groups -------------------------------------------------------------------------------------


def write_group(home: Home, when_full: str, *, places: int = 1) -> None:
    """A workflow whose runs share the places of a group."""
    home.write(
        "turn",
        f"""
        inputs: {{n: {{type: string}}}}
        concurrency: {{group: "the ${{{{ inputs.n }}}}", max: {places}, when_full: {when_full}}}
        steps: [{{id: a, uses: stage.act, with: {{name: a}}}}]
        """.replace("the ${{ inputs.n }}", "one"),
    )


async def test_runs_of_a_full_group_queue_and_follow_in_order(bench: Bench) -> None:
    """A run that finds no place waits with the reason, and begins when the one before it has ended."""
    write_group(bench.home, "queue")
    bench.stage.answers("a", HOLD)
    runs = [await bench.start("turn", n=str(n)) for n in range(4)]
    rows = [bench.app.reader.run(str(run)).summary for run in runs]
    bench.stage.release("a")
    ended = [await bench.to_end(run) for run in runs]
    began = [run.nodes[""].started_sequence >= 0 and run.ended_at for run in ended]

    assert [row.status for row in rows] == ["running", "queued", "queued", "queued"]
    assert (rows[1].waiting_for, bench.stage.most_at_once) == ("a place in the concurrency group 'one'", 1)
    assert ([run.status for run in ended], began) == (["succeeded"] * 4, sorted(began))


async def test_a_group_has_as_many_places_as_it_says(bench: Bench) -> None:
    """With two places two runs go on at the same time, never three."""
    write_group(bench.home, "queue", places=2)
    bench.stage.answers("a", HOLD)
    runs = [await bench.start("turn", n=str(n)) for n in range(5)]
    await until(lambda: bench.stage.now_going == 2)
    bench.stage.release("a")
    for run in runs:
        await bench.to_end(run)

    assert bench.stage.most_at_once == 2


async def test_a_run_that_finds_no_place_may_end_as_skipped(bench: Bench) -> None:
    """With `when_full: skip` nothing of it is performed."""
    write_group(bench.home, "skip")
    bench.stage.answers("a", HOLD)
    first = await bench.start("turn", n="1")
    second = await bench.run("turn", n="2")
    bench.stage.release("a")

    assert (second.status, (await bench.to_end(first)).status, bench.stage.performed) == (
        "skipped",
        "succeeded",
        ["a"],
    )


async def test_a_run_may_replace_the_one_before(bench: Bench) -> None:
    """With `when_full: replace` the older run is cancelled and the newer one takes its place."""
    write_group(bench.home, "replace")
    bench.stage.answers("a", HOLD, {})
    first = await bench.start("turn", n="1")
    await until(lambda: bench.stage.performed)
    second = await bench.start("turn", n="2")
    ended = [await bench.to_end(first), await bench.to_end(second)]

    assert ([run.status for run in ended], bench.stage.performed) == (["cancelled", "succeeded"], ["a", "a"])


async def test_a_queued_run_can_be_cancelled(bench: Bench) -> None:
    """A run that only queues is cancelled without having done anything, and does not hold up those behind it."""
    write_group(bench.home, "queue")
    bench.stage.answers("a", HOLD)
    first, second, third = [await bench.start("turn", n=str(n)) for n in range(3)]
    await bench.tell(second, stimuli.Cancel, by="user:ann")
    bench.stage.release("a")
    ended = [(await bench.to_end(run)).status for run in (first, second, third)]

    assert ended == ["succeeded", "cancelled", "succeeded"]


async def test_many_runs_go_on_side_by_side(bench: Bench) -> None:
    """A hundred runs at once end, each with its own journal without a gap."""
    bench.home.write("one", "steps: [{id: a, uses: stage.act, with: {name: a}}, {id: b, uses: stage.now}]")
    runs = [await bench.start("one") for _ in range(100)]
    statuses = {(await bench.to_end(run)).status for run in runs}
    sequences = [
        [sequence for sequence, _ in bench.app.events(bench.app.reader.run(str(run)))] for run in runs
    ]

    assert (statuses, len(bench.stage.performed)) == ({"succeeded"}, 100)
    assert all(found == list(range(1, len(found) + 1)) for found in sequences)


async def test_a_run_id_is_given_where_it_has_to_be(bench: Bench) -> None:
    """A start may name the run's id; the engine makes one where it does not."""
    bench.home.write("one", "steps: [{id: b, uses: stage.now}]")
    named = await bench.engine.start(replace(bench.request("one"), run_id=RunId("named")))
    made = await bench.engine.start(bench.request("one"))
    for started in (named, made):
        await bench.to_end(started.number)

    assert (named.id, len(made.id)) == ("named", 16)
