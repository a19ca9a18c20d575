"""What the core is told and cannot be: an illegal stimulus raises and changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simulation.world import DAY_ONE, Script, World, plan_of
from towpath.core import advance, new_run, stimuli
from towpath.core.decide import SIGNALS_KEPT_MAX, decide
from towpath.core.run import Error
from towpath.errors import ExpressionError, IllegalStimulus, Refused

WORKFLOW = """
steps:
  - id: p
    parallel:
      - {id: a, run: a}
      - {id: b, run: b, retry: {attempts: 2, delay: 1h}}
      - {id: q, approve: "sure?", who: ["group:x"]}
      - {id: w, wait: 1h}
      - {id: c, workflow: other}
      - {id: k, check: is it there, run: k}
      - {id: g, timeout: 1h, steps: [{id: h, run: h}]}
"""
AT = DAY_ONE + 60_000_000


def open_world() -> World:
    """A run in which something of every kind is open."""
    hangs = {"hangs": True}
    script = Script(
        steps={"p/a": hangs, "p/b": "fail", "p/k:check": hangs, "p/g/h": hangs}, children={"p/c": hangs}
    )
    world = World(plan_of(WORKFLOW), script)
    world.start_only()
    return world


ILLEGAL = {
    "a second start": stimuli.Start(at=AT, run="run", digest="", inputs={}, started_by="user:eve"),
    "admitting what is not queued": stimuli.Admit(at=AT),
    "the end of an attempt of another step": stimuli.StepEnded(at=AT, path="nowhere", attempt=1),
    "the end of an attempt that has not begun": stimuli.StepEnded(at=AT, path="p/a", attempt=2),
    "the end of an earlier attempt": stimuli.StepEnded(at=AT, path="p/a", attempt=0),
    "the end of a step while its check is asked": stimuli.StepEnded(at=AT, path="p/k", attempt=1),
    "the end of a check while the step runs": stimuli.StepEnded(at=AT, path="p/a", attempt=1, stage="check"),
    "the end of an attempt of a block": stimuli.StepEnded(at=AT, path="p/g", attempt=1),
    "the end of an attempt that waits for its retry": stimuli.StepEnded(at=AT, path="p/b", attempt=1),
    "the end of an attempt of a child run": stimuli.StepEnded(at=AT, path="p/c", attempt=1),
    "the end of an attempt of a question": stimuli.StepEnded(at=AT, path="p/q", attempt=1),
    "the loss of an attempt that does not run": stimuli.Interrupted(at=AT, path="p/b", attempt=1),
    "the loss of a child run": stimuli.Interrupted(at=AT, path="p/c", attempt=1),
    "the end of another child run": stimuli.ChildEnded(at=AT, path="p/c", child="x", status="succeeded"),
    "the end of a child run of a script": stimuli.ChildEnded(at=AT, path="p/a", child="x", status="failed"),
    "a timer that was not set": stimuli.TimerFired(at=AT, path="p/a", purpose="due", due=AT),
    "a timer of another time": stimuli.TimerFired(at=AT, path="p/w", purpose="due", due=AT),
    "a timeout of another time": stimuli.TimerFired(at=AT, path="p/g", purpose="timeout", due=AT),
    "a window that nobody waits for": stimuli.Signalled(at=AT, kind="window", name="nights"),
}
REFUSED = {
    "an answer where nothing is asked": stimuli.Answered(
        at=AT, path="p/a", by="user:bob", decision="approve"
    ),
    "an answer to nothing": stimuli.Answered(at=AT, path="nowhere", by="user:bob", decision="approve"),
    "an answer that is no choice": stimuli.Answered(at=AT, path="p/q", by="user:bob", decision="done"),
    "an approval by who started it": stimuli.Answered(at=AT, path="p/q", by="user:ann", decision="approve"),
    "a retry of what runs": stimuli.Retry(at=AT, path="p/a", by="user:bob"),
    "a skip of what runs": stimuli.Skip(at=AT, path="p/a", by="user:bob"),
    "a retry of a question": stimuli.Retry(at=AT, path="p/q", by="user:bob"),
    "a skip of a question": stimuli.Skip(at=AT, path="p/q", by="user:bob"),
}


@pytest.mark.parametrize("stimulus", ILLEGAL.values(), ids=ILLEGAL.keys())
def test_what_cannot_be_is_illegal(stimulus: Any) -> None:
    """Something that cannot have happened to this run raises IllegalStimulus."""
    with pytest.raises(IllegalStimulus):
        advance(open_world().run, stimulus)


@pytest.mark.parametrize("stimulus", REFUSED.values(), ids=REFUSED.keys())
def test_what_may_not_be_is_refused(stimulus: Any) -> None:
    """What a person asked for and may not have raises Refused, with a reason to show."""
    with pytest.raises(Refused) as refusal:
        advance(open_world().run, stimulus)

    assert refusal.value.message


def test_nothing_can_happen_to_a_run_that_has_not_started() -> None:
    """Only a start can be told to a new run."""
    with pytest.raises(IllegalStimulus):
        decide(new_run(plan_of(WORKFLOW), "run"), stimuli.Cancel(at=AT, by="user:bob"))


def test_nothing_can_happen_to_a_run_that_has_ended() -> None:
    """An end state never changes."""
    world = World(plan_of("steps: [{id: a, run: a}]"), Script()).start()
    told = [
        stimuli.StepEnded(at=AT, path="a", attempt=1),
        stimuli.Cancel(at=AT, by="user:bob"),
        stimuli.Retry(at=AT, path="a", by="user:bob"),
        stimuli.Signalled(at=AT, kind="signal", name="go"),
    ]
    for stimulus in told:
        with pytest.raises(IllegalStimulus):
            decide(world.run, stimulus)


def test_a_result_is_recorded_once() -> None:
    """The same end of an attempt, told twice, counts once."""
    world = open_world()
    ended = stimuli.StepEnded(at=AT, path="p/a", attempt=1)
    after = advance(world.run, ended).run

    assert after.nodes["p/a"].status == "succeeded"
    with pytest.raises(IllegalStimulus):
        advance(after, ended)


def test_a_late_result_of_an_earlier_attempt_is_illegal() -> None:
    """When an attempt was given up for lost and the next one runs, the first one's end says nothing any more."""
    plan = plan_of("steps: [{id: a, run: a, idempotent: true}]")
    world = World(plan, Script(steps={"a": {"hangs": True}}))
    world.start_only()
    after = advance(world.run, stimuli.Interrupted(at=AT, path="a", attempt=1)).run

    assert after.nodes["a"].attempt == 2
    with pytest.raises(IllegalStimulus):
        advance(after, stimuli.StepEnded(at=AT, path="a", attempt=1, error=Error(kind="exit", message="")))


def test_signals_that_nobody_waits_for_have_a_limit() -> None:
    """A run keeps so many signals and refuses more, by the limit's name."""
    run = open_world().run
    for number in range(SIGNALS_KEPT_MAX):
        run = advance(run, stimuli.Signalled(at=AT, kind="signal", name="go", payload=number)).run

    with pytest.raises(Refused, match="SIGNALS_KEPT_MAX"):
        advance(run, stimuli.Signalled(at=AT, kind="signal", name="go"))


@pytest.mark.parametrize(
    "head",
    [
        'vars: {x: "${{ inputs.m.none }}"}',
        'environment: "${{ inputs.m.none }}"',
        'concurrency: {group: "${{ inputs.m.none }}"}',
    ],
)
def test_a_run_whose_head_cannot_be_made_does_not_start(head: str) -> None:
    """Values of the workflow itself that cannot be made are told to whoever starts the run; nothing is accepted."""
    plan = plan_of(f"{head}\ninputs: {{m: {{type: map}}}}\nsteps: [{{id: a, run: a}}]")
    start = stimuli.Start(at=AT, run="run", digest="", inputs={"m": {}}, started_by="user:ann")

    with pytest.raises(ExpressionError):
        decide(new_run(plan, "run"), start)


def test_a_decision_is_the_same_in_every_process() -> None:
    """What is decided does not depend on the order in which a process happens to keep names."""
    script = (
        "from test_stimuli import open_world, AT\n"
        "from towpath.core import advance, stimuli\n"
        "from towpath.core.commands import outstanding\n"
        "run = open_world().run\n"
        "print([c.id for c in outstanding(run)], advance(run, stimuli.Cancel(at=AT, by='user:bob')).facts)\n"
    )
    here = Path(__file__).parent
    said = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"{here}:{here.parent}"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }

    assert len(said) == 1


def test_loops_in_loops_stop_at_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Items and rounds of a run have a limit in all; what goes past it fails with the limit's name."""
    monkeypatch.setattr("towpath.core.blocks.group.RUN_NODES_MAX", 1_000)
    items = "each: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"
    inner = f"steps: [{{id: c, as: z, {items}, steps: [{{id: x, run: x}}]}}]"
    nested = plan_of(f"steps: [{{id: a, {items}, steps: [{{id: b, as: y, {items}, {inner}}}]}}]")
    rounds = plan_of("steps: [{id: r, repeat: [{id: x, run: x}], until: index < 0}]")
    for plan in (nested, rounds):
        run = World(plan, Script()).start().run

        assert run.status == "failed"
        assert run.error is not None
        assert "RUN_NODES_MAX" in run.error.message


def test_the_timer_of_what_has_ended_is_illegal() -> None:
    """A block that ended in time is not stopped by its timer later."""
    plan = plan_of("steps: [{id: g, timeout: 1h, steps: [{id: a, run: a}]}, {id: b, run: b}]")
    world = World(plan, Script(steps={"b": {"hangs": True}}))
    world.start_only()
    due = world.run.nodes["g"].timeout_at

    assert due is not None
    with pytest.raises(IllegalStimulus):
        advance(world.run, stimuli.TimerFired(at=due, path="g", purpose="timeout", due=due))
