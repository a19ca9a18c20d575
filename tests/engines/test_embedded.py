"""What the embedded engine does with its memory, its store, and runs that break."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from engines.engine_support import HOLD, Bench, Home, embedded, until
from towpath.core import stimuli
from towpath.engines.embedded import loop, mailroom
from towpath.errors import BugError, LimitExceeded, NotFound, Refused, StoreUnavailable
from towpath.store import connections
from towpath.store.contract import RunNumber

ASK = 'steps: [{id: q, approve: "Go?", who: ["group:team"]}, {id: a, uses: stage.act, with: {name: a}}]'


# ---- memory -------------------------------------------------------------------------------------------------


async def test_runs_that_only_wait_leave_the_memory_and_come_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many waiting runs only a few stay in memory; each one goes on when something happens to it."""
    monkeypatch.setattr(loop, "RESIDENT_WAITING_MAX", 3)
    bench.home.write("ask", ASK)
    bench.home.write("nap", "steps: [{id: w, wait: 1h}]")
    asking = [await bench.start("ask") for _ in range(10)]
    napping = [await bench.start("nap") for _ in range(10)]
    in_memory = len(bench.engine._drives)  # type: ignore[attr-defined] # looks inside
    for run in asking:
        await bench.answer(run, "q", "approve")
    bench.wind(3600)
    statuses = {(await bench.to_end(run)).status for run in [*asking, *napping]}

    assert (in_memory, statuses, len(bench.stage.performed)) == (3, {"succeeded"}, 10)
    assert len(bench.engine._drives) == 0  # type: ignore[attr-defined] # looks inside


async def test_a_run_that_is_watched_stays(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever watches a waiting run hears of its next step, however many others wait."""
    monkeypatch.setattr(loop, "RESIDENT_WAITING_MAX", 1)
    bench.home.write("ask", ASK)
    watched = await bench.start("ask")
    watch = bench.engine.watch(watched)
    await anext(watch)
    for _ in range(5):
        await bench.start("ask")
    await bench.answer(watched, "q", "approve")
    step = await anext(watch)

    assert type(step.facts[0]).__name__ == "AnswerGiven"


# ---- runs that break ----------------------------------------------------------------------------------------


def break_run(monkeypatch: pytest.MonkeyPatch, broken: RunNumber, of: Bench) -> None:
    """Has every decision about one run raise, as a mistake of ours would."""
    advance = loop.advance
    run_id = of.state(broken).id

    def decide(run: Any, stimulus: Any) -> Any:
        if run.id == run_id:
            raise ZeroDivisionError("a mistake of ours")
        return advance(run, stimulus)

    monkeypatch.setattr(loop, "advance", decide)


async def test_a_poisonous_run_does_not_stop_the_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A run about which nothing can be decided says so and stays as it is; the others go on."""
    bench.home.write("ask", ASK)
    broken, sound = await bench.start("ask"), await bench.start("ask")
    before = bench.kinds(broken)
    break_run(monkeypatch, broken, bench)
    with pytest.raises(BugError, match="run 1 cannot go on: ZeroDivisionError"):
        await bench.answer(broken, "q", "approve")
    await bench.answer(sound, "q", "approve")
    ended = await bench.to_end(sound)
    await until(lambda: "mistake" in (bench.app.reader.run("1").summary.waiting_for or ""))

    assert (ended.status, bench.kinds(broken)) == ("succeeded", before)
    assert "engine.run_poisoned run=1 by=Answered" in caplog.text


async def test_outputs_that_are_too_long_to_be_kept_fail_their_step(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no record can hold is an error of its step, which is handled as any other; an answer as long is refused."""
    monkeypatch.setattr(connections, "VALUE_BYTES_MAX", 200_000)
    home.write("long", "steps:\n  - {id: a, uses: stage.act, with: {name: a}, on_failure: ask}\n")
    home.stage.answers("a", {"text": "x" * 300_000}, {})
    async with embedded(home) as bench:
        run = await bench.start("long")
        seen = await bench.until_status(run, "waiting")
        with pytest.raises(LimitExceeded, match="longer than"):
            await bench.answer(run, "a", "skip", comment="x" * 300_000)
        await bench.answer(run, "a", "retry")
        ended = await bench.to_end(run)

    error = seen.nodes["a"].error
    assert error is not None
    assert (error.kind, "cannot be kept" in error.message, ended.status) == ("invalid", True, "succeeded")


async def test_a_run_that_was_poisonous_goes_on_when_the_mistake_is_mended(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost: the same answer is taken by the version that can, and the list tells the truth again."""
    bench.home.write("ask", ASK)
    bench.stage.answers("a", HOLD)
    run = await bench.start("ask")
    break_run(monkeypatch, run, bench)
    with pytest.raises(BugError):
        await bench.answer(run, "q", "approve")
    monkeypatch.undo()
    await bench.answer(run, "q", "approve")
    await until(lambda: bench.stage.performed)
    status = bench.app.reader.run("1").summary.status
    bench.stage.release("a")

    assert (status, (await bench.to_end(run)).status) == ("running", "succeeded")


async def test_orders_that_cannot_be_carried_out_are_one_runs_affair(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What breaks after facts are durable is told to who watches that run, and to nobody else."""
    bench.home.write("one", "steps: [{id: a, uses: stage.act, with: {name: a}}]")
    bench.home.write("ask", ASK)
    bad = await bench.start("ask")

    def perform_now(order: Any, *, at: Callable[[], int]) -> None:  # noqa: ARG001 - as it is
        if order.number == bad:
            raise OSError(24, "too many open files")

    monkeypatch.setattr(bench.engine.performer, "perform_now", perform_now)  # type: ignore[attr-defined] # inside
    watch = bench.engine.watch(bad)
    await anext(watch)
    await bench.answer(bad, "q", "approve")
    await anext(watch)
    with pytest.raises(BugError, match="too many open files"):
        await anext(watch)

    assert (await bench.run("one")).status == "succeeded"


# ---- the store fails ----------------------------------------------------------------------------------------


async def test_when_the_disk_fails_everything_stops_with_the_reason(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    """After a failed sync nothing goes on as if nothing had happened: watchers, tellers and starters are told."""
    caplog.set_level(logging.WARNING)
    home.write("ask", ASK)
    home.write("one", "steps: [{id: a, uses: stage.act, with: {name: a}}]")
    home.stage.answers("a", HOLD)
    async with embedded(home) as bench:
        run, other = await bench.start("ask"), await bench.start("one")
        await until(lambda: home.stage.performed)
        waiting = asyncio.ensure_future(bench.engine.until_ended(other))
        await asyncio.sleep(0)
        bench.engine.journal._stop(sqlite3.OperationalError("disk I/O error"))  # type: ignore[attr-defined] # as it would
        told: list[str] = []
        for ask in (
            bench.answer(run, "q", "approve"),
            waiting,
            bench.engine.start(bench.request("one")),
            bench.answer(run, "q", "approve"),
        ):
            with pytest.raises(StoreUnavailable) as failed:
                await ask
            told.append(failed.value.message)
        await until(lambda: home.stage.stopped)

    assert [("disk I/O error" in message) for message in told] == [True] * 4
    assert home.stage.stopped == ["a"]


async def test_what_the_disk_refused_never_happened(home: Home) -> None:
    """The next process finds every acknowledged fact and none that was refused."""
    home.write("ask", ASK)
    async with embedded(home) as bench:
        run = await bench.start("ask")
        bench.engine.journal._stop(sqlite3.OperationalError("disk I/O error"))  # type: ignore[attr-defined] # as it would
        with pytest.raises(StoreUnavailable):
            await bench.answer(run, "q", "approve")
    async with embedded(home) as bench:
        await bench.engine.resume(run)
        before = bench.state(run).nodes["q"].status
        await bench.answer(run, "q", "approve")

        assert (before, (await bench.to_end(run)).status) == ("asking", "succeeded")


# ---- letters between processes ------------------------------------------------------------------------------


async def tell(teller: Bench, run: RunNumber, stimulus: stimuli.AnyStimulus) -> None:
    """Tells a run of another process something, from a thread, as another process would."""
    await asyncio.to_thread(teller.app.tell, teller.app.reader.run(str(run)), stimulus)


async def test_a_letter_reaches_the_owner_and_is_answered(home: Home) -> None:
    """What another terminal says is durable when its command returns, and the run goes on."""
    home.write("ask", ASK)
    async with embedded(home) as owner, embedded(home) as other:
        run = await owner.start("ask")
        await tell(other, run, stimuli.Answered(at=0, path="q", by="user:bob", decision="approve"))
        kinds = other.kinds(run)
        ended = await owner.to_end(run)

    assert ("AnswerGiven" in kinds, ended.status, ended.nodes["q"].answers[0].at > 0) == (
        True,
        "succeeded",
        True,
    )


async def test_a_letter_that_cannot_be_followed_is_refused_with_the_reason(home: Home) -> None:
    """The owner's refusal, help included, is what the other terminal shows."""
    home.write("ask", ASK)
    async with embedded(home) as owner, embedded(home) as other:
        run = await owner.start("ask")
        with pytest.raises(Refused, match="cannot be answered with 'maybe'") as refused:
            await tell(other, run, stimuli.Answered(at=0, path="q", by="user:bob", decision="maybe"))

    assert refused.value.help == "answer with one of: approve, reject"


async def test_of_many_letters_to_one_gate_one_decides(home: Home) -> None:
    """Answers from many terminals at once: one is taken, each of the others is told that it came too late."""
    home.write("ask", ASK)
    async with embedded(home) as owner, embedded(home) as other:
        run = await owner.start("ask")
        told = await asyncio.gather(
            *(
                tell(other, run, stimuli.Answered(at=0, path="q", by=f"user:u{n}", decision="approve"))
                for n in range(12)
            ),
            return_exceptions=True,
        )
        ended = await owner.to_end(run)

    assert (sum(one is None for one in told), ended.status, len(ended.nodes["q"].answers)) == (
        1,
        "succeeded",
        1,
    )
    assert {type(one) for one in told if one is not None} == {Refused}


async def test_a_letter_that_nobody_can_read_is_refused_and_stops_nothing(home: Home) -> None:
    """A damaged letter is answered with a refusal; the ones behind it are delivered."""
    home.write("ask", ASK)
    async with embedded(home) as owner, embedded(home) as other:
        run = await owner.start("ask")
        letter = other.app.store.mailbox.post(run, b'{"stimulus": "sing"}')
        await tell(other, run, stimuli.Answered(at=0, path="q", by="user:bob", decision="approve"))
        reply = other.app.store.mailbox.message(letter).reply
        ended = await owner.to_end(run)

    assert ended.status == "succeeded"
    assert "could not be read" in (mailroom.read_reply(reply).refused if reply else "")


async def test_a_letter_to_a_run_that_left_the_memory_is_delivered(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting runs come back into memory for letters too."""
    monkeypatch.setattr(loop, "RESIDENT_WAITING_MAX", 0)
    home.write("ask", ASK)
    async with embedded(home) as owner, embedded(home) as other:
        run = await owner.start("ask")
        await tell(other, run, stimuli.Cancel(at=0, by="user:bob"))

        assert (await owner.to_end(run)).status == "cancelled"


async def test_nobody_takes_letters_for_a_dead_owner(home: Home) -> None:
    """Telling a run whose owner is gone is refused, with the command that goes on."""
    home.write("ask", ASK)
    async with embedded(home) as owner:
        run = await owner.start("ask")
    async with embedded(home) as other:
        with pytest.raises(Refused, match="nobody drives run 1") as refused:
            await tell(other, run, stimuli.Cancel(at=0, by="user:bob"))
        with pytest.raises(NotFound):
            await other.engine.tell(run, stimuli.Cancel(at=0, by="user:bob"))

    assert refused.value.help == "`tow resume 1` goes on with it"


async def test_a_letter_that_a_dead_owner_did_not_take_is_taken_by_the_next(home: Home) -> None:
    """What was posted stays in the mailbox until somebody drives the run again."""
    home.write("ask", ASK)
    async with embedded(home) as owner:
        run = await owner.start("ask")
    async with embedded(home) as other:
        letter = stimuli.Answered(at=0, path="q", by="user:bob", decision="approve")
        other.app.store.mailbox.post(run, mailroom.write_letter(letter))
        await other.engine.resume(run)

        assert (await other.to_end(run)).status == "succeeded"


# ---- concurrency groups between processes -------------------------------------------------------------------


TURN = """
concurrency: {{group: one, max: 1, when_full: {}}}
steps: [{{id: a, uses: stage.act, with: {{name: a}}}}]
"""


async def test_a_group_is_shared_between_processes(home: Home) -> None:
    """Runs of one group in several processes follow each other in the order of their start."""
    home.write("turn", TURN.format("queue"))
    home.stage.answers("a", HOLD)
    async with embedded(home) as one, embedded(home) as two, embedded(home) as three:
        runs = [(bench, await bench.start("turn")) for bench in (one, two, three, two, one)]
        await until(lambda: home.stage.performed)
        home.stage.release("a")
        ended = [await bench.to_end(run) for bench, run in runs]

    assert ([run.status for run in ended], home.stage.most_at_once) == (["succeeded"] * 5, 1)


@pytest.mark.parametrize(
    ("when_full", "statuses"), [("skip", ["succeeded", "skipped"]), ("replace", ["cancelled", "succeeded"])]
)
async def test_a_full_group_is_seen_from_another_process(
    home: Home, when_full: str, statuses: list[str]
) -> None:
    """Skipping and replacing work against a run that another process drives."""
    home.write("turn", TURN.format(when_full))
    home.stage.answers("a", HOLD, {})
    async with embedded(home) as one, embedded(home) as two:
        first = await one.start("turn")
        await until(lambda: home.stage.performed)
        second = await two.start("turn")
        ended = [await two.to_end(second)]
        home.stage.release("a")
        ended.insert(0, await one.to_end(first))

    assert [run.status for run in ended] == statuses


async def test_the_newest_replaces_all_before_it(home: Home) -> None:
    """With `replace` the run that holds the place and those that queue for it make way for the newest."""
    home.write(
        "turn",
        TURN.format("replace").replace(
            "name: a}}", "name: a}, rollback: {uses: stage.act, with: {name: undo}}}"
        ),
    )
    home.stage.answers("a", HOLD, {})
    home.stage.answers("undo", HOLD)
    async with embedded(home) as one, embedded(home) as two:
        runs = [(one, await one.start("turn"))]
        await until(lambda: home.stage.performed)
        runs += [(two, await two.start("turn")), (one, await one.start("turn"))]
        home.stage.release("undo")
        statuses = [(await bench.to_end(run)).status for bench, run in runs]

    assert statuses == ["cancelled", "cancelled", "succeeded"]
