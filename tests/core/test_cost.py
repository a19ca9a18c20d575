"""What a decision costs: never more because the run is large. Calls are counted, not seconds, so the figures are the same everywhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from simulation.world import DAY_ONE, plan_of
from towpath.core import Plan, Run, advance, commands, new_run, stimuli
from towpath.core.continuing import carried_for_retry
from towpath.core.evolve import evolve
from towpath.core.run import Error

GROWTH_MAX = 1.05
"""How much dearer an event may be in a run ten times as large; a persistent map is a little deeper."""


def calls_of(act: Callable[[], Any]) -> int:
    """How many functions *act* calls, those written in C included."""
    count = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
    return count


def play(
    plan: Plan, inputs: dict[str, Any], fails: Callable[[str], bool] = lambda _: False
) -> tuple[Run, int]:
    """The run at its end, and how many facts led there; every attempt ends at once."""
    run = new_run(plan, "run")
    pending: list[stimuli.AnyStimulus] = [
        stimuli.Start(at=DAY_ONE, run=run.id, digest="digest", inputs=inputs, started_by="user:ann")
    ]
    facts = 0
    while pending and not run.has_ended:
        decision = advance(run, pending.pop(0))
        run = decision.run
        facts += len(decision.facts)
        pending += [
            _ended(command, is_bad=fails(command.path))
            for fact in decision.facts
            for command in commands.commands(fact)
            if isinstance(command, commands.PerformStep)
        ]
    return run, facts


def _ended(command: commands.PerformStep, *, is_bad: bool) -> stimuli.StepEnded:
    error = Error(kind="exit", message="no", exit_code=1) if is_bad else None
    return stimuli.StepEnded(at=DAY_ONE, path=command.path, attempt=command.attempt, error=error)


EACH = """
inputs: {xs: {type: list}}
steps:
  - id: e
    each: ${{ inputs.xs }}
    max_failures: "100%"
    steps:
      - {id: a, run: a, env: {X: "${{ item }}"}, rollback: {run: undo, env: {X: "${{ item }}"}}}
      - {id: b, if: index < 0, run: b}
"""
IDLE = """
inputs: {xs: {type: list}}
steps:
  - {id: e, each: "${{ inputs.xs }}", steps: [{id: a, if: index < 0, run: a}]}
"""
BATCHES = """
inputs: {xs: {type: list}}
steps:
  - {id: e, each: "${{ inputs.xs }}", batch: [1, 7], steps: [{id: a, run: a}]}
"""


@pytest.mark.parametrize(
    ("text", "fails"),
    [
        pytest.param(EACH, lambda _: False, id="items that do something"),
        pytest.param(EACH, lambda path: path.endswith("5]/a"), id="a tenth of the items fails and is undone"),
        pytest.param(IDLE, lambda _: False, id="items that do nothing"),
        pytest.param(BATCHES, lambda _: False, id="batches"),
    ],
)
def test_an_event_costs_the_same_in_a_run_ten_times_as_large(text: str, fails: Callable[[str], bool]) -> None:
    """The calls for each fact do not grow from 1,000 items to 10,000."""
    plan = plan_of(text)
    play(plan, {"xs": list(range(10))}, fails)  # what is compiled once is compiled now
    costs = {}
    for count in (1_000, 10_000):
        inputs = {"xs": [str(number) for number in range(count)]}
        result: list[tuple[Run, int]] = []
        calls = calls_of(lambda inputs=inputs, result=result: result.append(play(plan, inputs, fails)))  # type: ignore[misc] # bound
        run, facts = result[0]

        assert run.has_ended
        costs[count] = calls / facts

    assert costs[10_000] <= costs[1_000] * GROWTH_MAX


def test_a_wide_parallel_costs_the_same_for_each_child() -> None:
    """A child that ends looks only at what it made possible, not at all of its siblings."""
    costs = {}
    for count in (100, 1_000):
        children = "".join(f"      - {{id: s{n}, run: x}}\n" for n in range(count))
        plan = plan_of(f"steps:\n  - id: p\n    parallel:\n{children}")
        play(plan, {})
        result: list[tuple[Run, int]] = []
        calls = calls_of(lambda plan=plan, result=result: result.append(play(plan, {})))  # type: ignore[misc] # bound
        costs[count] = calls / result[0][1]

    assert costs[1_000] <= costs[100] * GROWTH_MAX


def test_a_chain_of_a_hundred_thousand_skipped_steps_needs_no_stack() -> None:
    """What follows from one stimulus is worked off in a loop, however much it is."""
    chain = "".join("      - {if: index < 0, run: a}\n" for _ in range(1_000))
    plan = plan_of(
        f"inputs: {{xs: {{type: list}}}}\nsteps:\n  - id: e\n    each: ${{{{ inputs.xs }}}}\n    steps:\n{chain}"
    )
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(150)
    try:
        run, facts = play(plan, {"xs": list(range(100))})
    finally:
        sys.setrecursionlimit(limit)

    assert (run.status, facts > 100_000) == ("succeeded", True)


def test_carrying_over_a_large_run_is_linear() -> None:
    """A retry looks at every node a few times, however much was undone."""
    plan = plan_of(EACH.replace('"100%"', "0") + "  - {id: last, run: last}\n")
    costs = {}
    for count in (300, 3_000):
        run, _ = play(plan, {"xs": [str(n) for n in range(count)]}, lambda path: path == "last")
        costs[count] = calls_of(lambda run=run: carried_for_retry(run)) / count  # type: ignore[misc] # bound

    assert run.status == "rolled_back"
    assert costs[3_000] <= costs[300] * GROWTH_MAX


def test_a_journal_is_folded_without_looking_back() -> None:
    """Folding costs the same for each event in a journal ten times as long."""
    plan = plan_of(EACH)
    costs = {}
    for count in (300, 3_000):
        run = new_run(plan, "run")
        facts = _facts(plan, {"xs": [str(n) for n in range(count)]})

        def fold(run: Run = run, facts: list[Any] = facts) -> None:
            for fact in facts:
                run = evolve(run, fact)

        costs[count] = calls_of(fold) / len(facts)

    assert costs[3_000] <= costs[300] * GROWTH_MAX


def _facts(plan: Plan, inputs: dict[str, Any]) -> list[Any]:
    run = new_run(plan, "run")
    start = stimuli.Start(at=DAY_ONE, run=run.id, digest="digest", inputs=inputs, started_by="user:ann")
    pending: list[stimuli.AnyStimulus] = [start]
    found: list[Any] = []
    while pending:
        decision = advance(run, pending.pop())
        run = decision.run
        found += decision.facts
        pending += [
            _ended(command, is_bad=False)
            for fact in decision.facts
            for command in commands.commands(fact)
            if isinstance(command, commands.PerformStep)
        ]
    return found
