"""The list of open questions: written with every fact that touches one, true without a fold, and made good after an upgrade."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from engines.engine_support import HOLD, Bench, Home, dying, embedded, until
from towpath.core import stimuli
from towpath.core.run import Answer
from towpath.engines import summaries
from towpath.store.contract import QUESTIONS_LISTED_MAX, OpenQuestion, RunNumber

BESIDE = """
steps:
  - id: both
    parallel:
      - {id: work, uses: stage.act, with: {name: work}}
      - id: go
        approve: |
          Go live?
          With all that follows.
        who: [group:team]
        quorum: 2
        four_eyes: false
        show: {plan: "a very long plan"}
        form: {ticket: {type: string, required: true}, note: {type: string, default: none}}
        answer_within: 4h
        if_unanswered: reject
        escalate: [{after: 1h, to: ["user:bob"]}]
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A project."""
    made = Home(tmp_path)
    yield made
    made.close()


@pytest_asyncio.fixture
async def bench(home: Home) -> AsyncIterator[Bench]:
    """An engine on the project."""
    async with embedded(home) as made:
        yield made


def listed(bench: Bench) -> dict[RunNumber, tuple[OpenQuestion, ...]]:
    """What the list of questions holds."""
    return {run.number: run.questions for run in bench.app.store.reader.open_questions()}


def folded(bench: Bench, run: RunNumber) -> tuple[OpenQuestion, ...]:
    """The same, worked out from the journal."""
    return summaries.open_questions(bench.state(run))[0]


async def test_a_question_is_listed_while_another_branch_runs(bench: Bench) -> None:
    """A run that is busy elsewhere asks all the same: the question is listed, small and complete, until it is over."""
    bench.home.write("beside", BESIDE)
    bench.stage.answers("work", HOLD)
    run = await bench.start("beside")
    await until(lambda: bench.stage.performed)

    (asked,) = listed(bench)[run]
    assert bench.state(run).status == "running"
    assert (asked.path, asked.question.text, asked.fields) == ("both/go", "Go live?", ("ticket",))
    assert (asked.question.evidence, asked.question.form, asked.question.instructions) == ({}, {}, None)

    await bench.answer(run, "both/go", "approve", by="user:ann", form={"ticket": "T1"})
    (asked,) = listed(bench)[run]
    assert asked.answers == (Answer(by="user:ann", decision="approve", at=bench.home.clock.now()),)

    await bench.answer(run, "both/go", "reject", by="user:bob")
    assert listed(bench) == {}
    bench.stage.release("work")
    await bench.to_end(run)


@pytest.mark.parametrize("is_busy", [False, True])
async def test_the_list_is_what_the_journal_says_after_everything_that_can_be_said(
    bench: Bench, is_busy: bool
) -> None:
    """Claims, comments, hand-overs, answers, second thoughts, reminders and rungs each bring the list up to date."""
    bench.home.write("beside", BESIDE)
    bench.stage.answers("work", HOLD if is_busy else {})
    run = await bench.start("beside")
    await until(lambda: bench.stage.performed)
    path, seen = "both/go", []
    asked_at = listed(bench)[run][0].question.asked_at
    said: list[tuple[type, dict[str, Any]]] = [
        (stimuli.Claimed, {"by": "user:ann"}),
        (stimuli.Commented, {"by": "user:bob", "text": "hm"}),
        (stimuli.HandedOver, {"by": "user:ann", "to": "user:cy"}),
        (stimuli.Answered, {"by": "user:cy", "decision": "approve"}),
        (stimuli.Withdrawn, {"by": "user:cy"}),
        (stimuli.Climbed, {"kind": "reminder", "asked_at": asked_at, "number": 1}),
        (stimuli.Climbed, {"kind": "rung", "asked_at": asked_at, "number": 1}),
    ]
    for kind, keys in said:
        await bench.tell(run, kind, path=path, **keys)
        assert listed(bench)[run] == folded(bench, run)
        seen.append(listed(bench)[run][0])

    assert all(before != after for before, after in pairwise(seen))
    assert (seen[-1].handed_to, seen[-1].comments, seen[-1].told_rungs) == (("user:cy",), 1, 1)
    bench.wind(4 * 3600)
    await until(lambda: listed(bench) == {})


async def test_stopping_a_run_takes_its_questions_from_the_list(bench: Bench) -> None:
    """Nobody is asked what a cancelled run wanted to know."""
    bench.home.write("beside", BESIDE)
    run = await bench.start("beside")
    await bench.tell(run, stimuli.Cancel, by="user:ann")
    await bench.to_end(run)

    assert listed(bench) == {}


async def test_a_crowd_of_questions_is_bounded(bench: Bench) -> None:
    """Of very many questions of one run the oldest are listed and the rest is counted; they move up as others are answered."""
    items = list(range(QUESTIONS_LISTED_MAX + 20))
    bench.home.write(
        "crowd",
        f"""
        steps:
          - id: all
            each: {items}
            max_parallel: 200
            steps: [{{id: q, task: "Look at it", assign: ["user:ann"]}}]
        """,
    )
    run = await bench.start("crowd")

    (row,) = bench.app.store.reader.open_questions()
    assert (len(row.questions), row.questions_more) == (QUESTIONS_LISTED_MAX, 20)
    await bench.answer(run, row.questions[0].path, "done", by="user:ann")
    (after,) = bench.app.store.reader.open_questions()
    assert (len(after.questions), after.questions_more) == (QUESTIONS_LISTED_MAX, 19)
    assert row.questions[0] not in after.questions


async def test_a_run_from_before_the_list_is_listed_when_it_is_taken_over(home: Home) -> None:
    """After an upgrade an open question stands in the list as soon as somebody drives its run again."""
    home.write("beside", BESIDE)
    async with dying(home) as first:
        run = await first.start("beside")
        await first.until_status(run, "waiting")
        before = listed(first)
    with sqlite3.connect(home.folder / ".towpath" / "towpath.db") as database:
        assert database.execute("UPDATE runs SET questions = NULL").rowcount == 1
    database.close()
    async with embedded(home) as second:
        assert listed(second) == {}
        await second.engine.resume(run)
        await until(lambda: listed(second) == before)

        assert listed(second)[run] == folded(second, run)
