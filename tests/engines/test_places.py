"""Environments that only so many runs may be in at once, and the people who are told how a question ended."""

from __future__ import annotations

from typing import Any

import pytest

from engines.engine_support import HOLD, PROJECT, TEAM, Bench, Home, dying, embedded, until
from towpath.core import events, stimuli
from towpath.core.run import Node, Run
from towpath.store.contract import RunNumber

RELEASE = """
steps:
  - {id: build, uses: stage.act, with: {name: build}}
  - {id: go, uses: stage.act, with: {name: go}, environment: production}
"""
FULL = "~gate_production: a place in production"


def protect(home: Home, rules: str) -> None:
    """Has the project's environment go by these rules."""
    (home.folder / "towpath.yaml").write_text(f"{PROJECT}environments:\n  production: {rules}\n")


async def test_a_place_is_shared_between_processes(home: Home) -> None:
    """Runs of several processes are in the environment one after the other, and what comes before it runs side by side."""
    protect(home, "{concurrency: {max: 1}}")
    home.write("release", RELEASE)
    home.stage.answers("go", HOLD)
    async with embedded(home) as one, embedded(home) as two:
        runs = [(bench, await bench.start("release")) for bench in (one, two, one)]
        await until(lambda: home.stage.performed.count("build") == len(runs))
        await until(lambda: "go" in home.stage.performed)
        first = one.app.reader.places_taken("production")
        others = [run for _, run in runs if run not in first]
        await until(lambda: all(one.app.run(str(run))[0].summary.waiting_for == FULL for run in others))
        inside = home.stage.performed.count("go")
        home.stage.release("go")
        ended = [await bench.to_end(run) for bench, run in runs]

    assert (len(first), inside, [run.status for run in ended]) == (1, 1, ["succeeded"] * 3)
    assert home.stage.performed.count("go") == len(runs)


@pytest.mark.parametrize(
    ("when_full", "statuses"), [("skip", ["succeeded", "failed"]), ("replace", ["cancelled", "succeeded"])]
)
async def test_who_finds_no_place_skips_or_replaces(home: Home, when_full: str, statuses: list[str]) -> None:
    """`when_full` says whether a run gives up, or takes the place of the oldest in the environment."""
    protect(home, f"{{concurrency: {{max: 1, when_full: {when_full}}}}}")
    home.write("release", RELEASE)
    home.stage.answers("go", HOLD, {})
    async with embedded(home) as bench:
        first = await bench.start("release")
        await until(lambda: "go" in home.stage.performed)
        second = await bench.start("release")
        await until(lambda: bench.app.run(str(second if when_full == "skip" else first))[0].is_open is False)
        home.stage.release("go")
        ended = [await bench.to_end(first), await bench.to_end(second)]

    assert [run.status for run in ended] == statuses


async def test_a_window_that_closed_while_a_run_waited_for_its_place_is_waited_for_again(home: Home) -> None:
    """A place is taken in the window only: whoever gets one outside of it goes in when the window opens next."""
    protect(home, "{windows: nights, concurrency: {max: 1}}")
    with (home.folder / "towpath.yaml").open("a") as file:
        file.write('calendars:\n  nights: {time_zone: UTC, hours: {mon-sun: "22:00-23:00"}}\n')
    home.write("release", RELEASE)
    home.stage.answers("go", HOLD, {})
    async with embedded(home) as bench:
        now = bench.app.now() // 1_000_000
        bench.wind((22 * 3600 + 60 - now) % 86_400)
        first = await bench.start("release")
        await until(lambda: "go" in home.stage.performed)
        second = await bench.start("release")
        await bench.until(second, lambda run: "a place" in _waits(bench, run))
        bench.wind(2 * 3600)
        home.stage.release("go")
        await bench.to_end(first)
        bench.engine.places.look()  # type: ignore[attr-defined] # what the engine does from time to time
        still = bench.state(second).status
        bench.wind(22 * 3600)
        bench.engine.places.look()  # type: ignore[attr-defined] # as above
        ended = await bench.to_end(second)

    assert (still, ended.status) == ("waiting", "succeeded")


def _waits(bench: Bench, run: Run) -> str:
    return bench.app.run(run.id)[0].summary.waiting_for or ""


QUESTIONS = {
    "decided": ("approve: Go?\n    who: [group:team]", "approve", "approve"),
    "rejected": ("approve: Go?\n    who: [group:team]", "reject", "reject"),
    "done": ("task: Do it\n    assign: [group:team]", "done", "done"),
}


@pytest.mark.parametrize(("asks", "said", "decision"), QUESTIONS.values(), ids=QUESTIONS)
async def test_all_who_were_asked_are_told_how_it_ended(
    home: Home, asks: str, said: str, decision: str
) -> None:
    """Whoever was asked hears once who decided what."""
    told = _listen(home, asks)
    async with embedded(home) as bench:
        run = await bench.start("ask")
        _overhear(bench, told)
        await bench.until(run, lambda seen: bool(seen.nodes) and seen.nodes["q"].status == "asking")
        await bench.answer(run, "q", said)
        await bench.to_end(run)

    assert told == [("decided", "q", "user:bob", decision, ("group:team",))]


async def test_a_question_that_is_stopped_is_withdrawn(home: Home) -> None:
    """When the run is cancelled, those who were asked hear that no answer is needed."""
    told = _listen(home, "approve: Go?\n    who: [group:team]")
    async with embedded(home) as bench:
        run = await bench.start("ask")
        _overhear(bench, told)
        await bench.until(run, lambda seen: bool(seen.nodes) and seen.nodes["q"].status == "asking")
        await bench.tell(run, stimuli.Cancel, by="user:bob")
        await bench.to_end(run)

    assert told == [("withdrawn", "q", "", "", ("group:team",))]


def _listen(home: Home, asks: str) -> list[tuple[Any, ...]]:
    assert "bob" in TEAM
    home.write("ask", f"steps:\n  - id: q\n    {asks}\n")
    return []


def _overhear(bench: Bench, told: list[tuple[Any, ...]]) -> None:
    """Keeps what people are told from now on, but for the question itself."""

    class Overhearing:
        def ring(
            self, _: RunNumber, __: Run, node: Node, *, why: str, to: tuple[str, ...], **___: int
        ) -> None:
            last = node.answers[-1] if node.answers else None
            by, decision = ("", "") if last is None else (last.by, last.decision)
            if why != "asked":
                told.append((why, node.path, by, decision, to))

    bench.app.desk.ring_with(Overhearing())


QUEUE = """
concurrency: {group: one, max: 1}
steps: [{id: a, uses: stage.act, with: {name: a}}]
"""


async def test_a_queued_run_whose_owner_died_holds_up_nobody(home: Home) -> None:
    """Who queues behind the dead gets the place; the dead one's run gets its turn when somebody takes it over."""
    home.write("turn", QUEUE)
    home.stage.answers("a", HOLD)
    async with embedded(home) as bench:
        first = await bench.start("turn")
        await until(lambda: home.stage.performed)
        async with dying(home) as dead:
            stranded = await dead.start("turn")
        third = await bench.start("turn")
        home.stage.release("a")
        ended = [await bench.to_end(first), await bench.to_end(third)]
        still = bench.state(stranded).status
        await bench.engine.resume(stranded)
        last = await bench.to_end(stranded)

    assert ([run.status for run in ended], still, last.status) == (["succeeded"] * 2, "queued", "succeeded")


async def test_the_record_says_where_silence_opened_a_gate(home: Home) -> None:
    """An approval by silence is written, and is not called an approval of somebody."""
    approval = '{who: ["group:team"], answer_within: 1h, if_unanswered: approve}'
    protect(home, f"{{approval: {approval}}}")
    home.write("release", RELEASE)
    async with embedded(home) as bench:
        run = await bench.start("release")
        await bench.until(run, lambda seen: "~gate_production" in seen.nodes)
        bench.wind(3600)
        await bench.to_end(run)
        (entered,) = [fact for fact in bench.events(run) if isinstance(fact, events.EnvironmentEntered)]

    assert entered.how == "unanswered"
