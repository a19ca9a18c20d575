"""The parts of a search: which values are tried, which timers may fire, what is left out, and how it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from checking_support import Bench

from towpath.core import Plan, commands
from towpath.definition import model
from towpath.trials.checking import checker, reading, samples
from towpath.trials.checking.timers import Pending, Timers

HOUR = 3_600_000_000


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An empty project."""
    (tmp_path / "towpath.yaml").write_text("name: parts\n")
    return Bench(tmp_path)


def plan_of(steps: list[dict[str, Any]], **keys: Any) -> Plan:
    """The plan of a workflow with these steps."""
    return Plan(model.Workflow.model_validate({"name": "parts", "steps": steps, **keys}), "digest")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("steps.a.outputs.x == 'ok'", ["ok", "text"]),
        ("steps.a.outputs.x in ['a', 'b']", ["a", "b", "text"]),
        ("int(steps.a.outputs.x) > 5", ["5", "6"]),
        ("5 > int(steps.a.outputs.x)", ["4", "5"]),
        ("int(steps.a.outputs.x) >= 5", ["4", "5"]),
        ("steps.a.outputs.x.startsWith('v')", ["v", "text"]),
        ("size(steps.a.outputs.x) > 0", ["text", "", "x"]),
        ("default(steps.a.outputs.x, 'no') == 'yes'", ["no", "yes", "text"]),
        ("json(steps.a.outputs.x).state == 'up'", ['{"state": "up"}', '{"state": "text"}']),
    ],
)
def test_outputs_of_a_script_take_the_values_that_a_condition_tells_apart(
    condition: str, expected: list[str]
) -> None:
    """For each literal there is that literal and another value, for an order one value on each side."""
    asked = reading.read(plan_of([{"id": "a", "run": "x", "outputs": ["x"]}, {"run": "y", "if": condition}]))

    assert list(samples.samples(asked.outputs[0].fields["x"])) == expected
    assert asked.unsure == []


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("steps.a.outputs.json.done", [True, False]),
        ("size(steps.a.outputs.json) == 0", [["item1", "item2"], [], ["item1"]]),
        ("steps.a.outputs.json.all(i, i.ok)", [[{"ok": True}, {"ok": True}], [{"ok": False}]]),
        ("'x' in steps.a.outputs.json.names", [["item1", "item2"], ["x"], []]),
    ],
)
def test_json_takes_the_shape_that_a_condition_reads(condition: str, expected: list[Any]) -> None:
    """What is read inside a value gives its shape: booleans, lists with and without items, maps."""
    asked = reading.read(plan_of([{"id": "a", "run": "x", "parse": "json"}, {"run": "y", "if": condition}]))
    shape = asked.outputs[0].fields["json"]
    inner = next(iter(shape.fields.values()), shape)

    found = samples.samples(inner)

    for value in expected:
        assert value in found


@pytest.mark.parametrize(
    "condition",
    ["steps.a.outputs.x.matches('^v[0-9]+$')", "int(steps.a.outputs.x) + int(steps.b.outputs.x) > 5"],
)
def test_what_cannot_be_told_apart_is_named(condition: str) -> None:
    """A pattern, or a sum of two unknown numbers, is noted as a condition that was not told apart."""
    outputs = {"run": "x", "outputs": ["x"]}
    asked = reading.read(
        plan_of([{"id": "a", **outputs}, {"id": "b", **outputs}, {"run": "y", "if": condition}])
    )

    assert [source.text for source in asked.unsure] == [condition]


@pytest.mark.parametrize(
    ("declared", "used", "expected"),
    [
        ({"type": "boolean"}, "inputs.x", (True, False)),
        ({"type": "string", "enum": ["a", "b"]}, "inputs.x == 'a'", ("a", "b")),
        ({"type": "string", "default": "d"}, "inputs.x == 'a'", ("d", "a", "text")),
        ({"type": "integer", "default": 3, "minimum": 1}, "inputs.x > 3", (3, 4, 1)),
        ({"type": "string", "default": "d"}, "true", ("d",)),
        ({"type": "string", "pattern": "[0-9]+[.][0-9]+[.][0-9]+"}, "true", ("1.0.0",)),
        ({"type": "string", "pattern": "nobody guesses this"}, "true", ()),
    ],
)
def test_inputs_take_their_default_and_what_conditions_tell_apart(
    declared: dict[str, Any], used: str, expected: tuple[Any, ...]
) -> None:
    """An input that decides something is tried with each value that matters and fits its declaration."""
    plan = plan_of([{"run": "y", "if": used}], inputs={"x": declared})
    asked = reading.read(plan)

    found = samples.declared_samples("x", plan.workflow.inputs["x"], asked.inputs.fields.get("x"))

    assert found == expected


def timers(*pending: tuple[str, int, int, int]) -> Timers:
    """Timers as (path, due, how long, group)."""
    return Timers(
        {(path, "due", due): Pending(path, "due", due, micros, group) for path, due, micros, group in pending}
    )


@pytest.mark.parametrize(
    ("pending", "expected"),
    [
        # Set in the same moment: the one that is due first.
        ([("a", HOUR, HOUR, 0), ("b", 2 * HOUR, 2 * HOUR, 0)], ["a"]),
        # An hour that began first is over before two hours that began later.
        ([("a", HOUR, HOUR, 0), ("b", 2 * HOUR, 2 * HOUR, 1)], ["a"]),
        # An hour that began later may be over before two hours that began first, or not.
        ([("a", 2 * HOUR, 2 * HOUR, 0), ("b", HOUR, HOUR, 1)], ["a", "b"]),
        # Two that are due together may fire in either order.
        ([("a", HOUR, HOUR, 0), ("b", HOUR, HOUR, 0)], ["a", "b"]),
    ],
)
def test_timers_fire_in_every_order_that_can_be(
    pending: list[tuple[str, int, int, int]], expected: list[str]
) -> None:
    """A timer waits for those that are over before it whatever happens, and for no others."""
    known = timers(*pending)

    assert [path for path, due, _, _ in pending if known.may_fire(path, "due", due)] == expected


INDEPENDENT = """
name: independent
steps:
  - id: fleet
    each: [1, 2, 3]
    max_failures: 4
    steps:
      - {id: one, run: ./one.sh, if: "item > 0"}
      - {id: two, run: ./two.sh}
"""


def test_branches_that_cannot_notice_each_other_are_explored_one_after_the_other(bench: Bench) -> None:
    """The same ends are found with far fewer states; a time limit around the branches forbids that."""
    free = bench.check(INDEPENDENT)
    limited = bench.check(INDEPENDENT.replace("steps:", "timeout: 1h\nsteps:", 1))

    assert free.is_complete
    assert {ending.status for ending in free.endings} <= {ending.status for ending in limited.endings}
    assert free.states * 2 < limited.states


def test_items_that_are_alike_stand_for_each_other(bench: Bench) -> None:
    """Items that no condition tells apart need fewer states than those that one does."""
    told_apart = bench.check(INDEPENDENT.replace("steps:", "timeout: 1h\nsteps:", 1))
    alike = bench.check(
        INDEPENDENT.replace("steps:", "timeout: 1h\nsteps:", 1).replace(', if: "item > 0"', "")
    )

    assert alike.states * 2 < told_apart.states
    assert {ending.status for ending in alike.endings} == {ending.status for ending in told_apart.endings}


def test_a_search_with_too_many_combinations_goes_branch_by_branch_and_says_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past the limit for an exact search the same ends are found branch by branch, and the report says what was left out."""
    text = INDEPENDENT.replace("steps:", "timeout: 1h\nsteps:", 1)
    exact = bench.check(text)
    monkeypatch.setattr(checker, "EXACT_STATES_MAX", 20)

    loose = bench.check(text)

    assert exact.bounds == ()
    assert loose.bounds == ("combinations",)
    assert loose.states * 2 < exact.states
    assert [ending.status for ending in loose.endings] == [ending.status for ending in exact.endings]


RETRIES = """
name: retries
steps:
  - id: fetch
    idempotent: true
    run: ./fetch.sh
    retry: {attempts: 40, delay: 1s}
"""


def test_attempts_between_the_first_and_the_last_are_one(bench: Bench) -> None:
    """Forty attempts need no more states than three, and the story still has all of them."""
    many = bench.check(RETRIES)
    few = bench.check(RETRIES.replace("40", "3"))

    failed = next(ending for ending in many.endings if ending.status == "failed")
    assert many.states == few.states
    assert failed.story == ("fetch fails 40 times",)


ROUNDS = """
name: rounds
steps:
  - id: boot
    repeat:
      - {id: ping, run: ./ping.sh, idempotent: true, outputs: [state]}
    until: steps.ping.outputs.state == "up"
    every: 1s
    times: TIMES
"""


@pytest.mark.parametrize("times", [1, 5])
def test_rounds_are_followed_to_the_last(bench: Bench, times: int) -> None:
    """A `repeat` may hold in its last round, or never: both ends are found."""
    report = bench.check(ROUNDS.replace("TIMES", str(times)))

    assert {ending.status for ending in report.endings} == {"succeeded", "failed"}
    assert report.is_complete


def test_a_law_is_checked_on_the_way(bench: Bench) -> None:
    """`never` sees states that are no ends, in whatever order branches do their work."""
    text = """
name: on_the_way
check:
  never: steps.a.status == "succeeded" && steps.b.status == "performing"
steps:
  - parallel:
      - {id: a, run: ./a.sh}
      - {id: b, run: ./b.sh}
"""

    (finding,) = bench.check(text).findings

    assert finding.kind.name == "never-broken"
    assert finding.line == 4
    assert finding.story == ("a ok",)


def test_the_order_of_a_wait_and_a_time_limit_is_known(bench: Bench) -> None:
    """A wait that is longer than the limit around it never ends well; a shorter one always does."""
    text = "name: waits\ntimeout: 1h\nsteps:\n  - {id: hold, wait: TIME}\n"

    longer = bench.check(text.replace("TIME", "2h"))
    shorter = bench.check(text.replace("TIME", "10m"))

    assert [ending.status for ending in longer.endings] == ["failed"]
    assert [finding.kind.name for finding in longer.findings] == ["outlives-timeout"]
    assert [ending.status for ending in shorter.endings] == ["succeeded"]


def test_a_child_run_ends_in_every_way(bench: Bench) -> None:
    """A child that fails, is rejected or is cancelled takes its parent along."""
    (bench.folder / "workflows").mkdir()
    (bench.folder / "workflows" / "other.yaml").write_text("name: other\nsteps: [{run: make}]\n")

    report = Bench(bench.folder).check("name: parent\nsteps:\n  - {id: call, workflow: other}\n")

    assert {ending.status for ending in report.endings} == {"succeeded", "failed", "rejected"}


def test_every_command_that_a_run_may_be_owed_has_a_move() -> None:
    """The world knows all kinds of commands: a new one has to be given its answers."""
    known = {
        commands.PerformStep, commands.StartChild, commands.AskPeople, commands.AwaitWindow,
        commands.AwaitPlace, commands.SetTimer, commands.StopSteps, commands.TellPeople,
    }  # fmt: skip

    assert set(commands.Command.__subclasses__()) == known


EVIDENCE = """
name: evidence
steps:
  - id: go_live
    approve: Go?
    who: ["user:anna"]
    four_eyes: false
    show: {plan: {file: plan.txt}}
"""


def test_evidence_in_files_is_read_before_people_answer(bench: Bench) -> None:
    """A question that shows a file can be approved and rejected."""
    assert {ending.status for ending in bench.check(EVIDENCE).endings} == {"succeeded", "rejected"}


WAIT_FOR_OUTPUT = """
name: pauses
steps:
  - {id: ask, idempotent: true, run: ./ask.sh, outputs: [pause, moment]}
  - {id: hold, wait: "${{ steps.ask.outputs.pause }}"}
  - {id: hold_until, wait: {until: "${{ steps.ask.outputs.moment }}"}}
"""


def test_a_wait_for_an_output_gets_a_duration_or_a_moment(bench: Bench) -> None:
    """What a wait reads is sampled as what it has to be."""
    report = bench.check(WAIT_FOR_OUTPUT)

    assert report.findings == ()
    assert report.endings[0].status == "succeeded"


BY_HAND = """
name: by_hand
steps:
  - {id: build, run: ./build.sh, outputs: {image: "${{ json(stdout).image }}"}}
  - {id: deploy, idempotent: true, run: ./deploy.sh, env: {IMAGE: "${{ steps.build.outputs.image }}"}}
"""


def test_who_says_that_a_lost_step_was_done_says_what_came_of_it(bench: Bench) -> None:
    """Nothing is told of outputs that are missing because a person settled the step."""
    assert bench.check(BY_HAND).findings == ()


SENT_BACK = """
name: sent_back
steps:
  - {id: build, idempotent: true, run: ./build.sh, outputs: [image]}
  - id: deploy
    run: ./deploy.sh
    rollback: {id: undo, run: ./undo.sh, env: {IMAGE: "${{ steps.build.outputs.image }}"}}
  - {id: accept, approve: Good?, who: ["user:anna"], four_eyes: false, send_back_to: build}
"""


def test_a_rollback_after_a_send_back_may_miss_what_is_made_again(bench: Bench) -> None:
    """Sent back, the build fails: what the deployment's rollback reads of it is gone."""
    (finding,) = bench.check(SENT_BACK).findings

    assert finding.kind.name == "rollback-blind"
    assert finding.story[1:3] == ("anna sends back accept", "build fails")


THROUGH_A_VARIABLE = """
name: through_a_variable
inputs:
  mode: {type: string, enum: [fast, slow], default: fast}
vars:
  is_fast: ${{ inputs.mode == "fast" }}
steps:
  - {id: thorough, if: "!vars.is_fast", idempotent: true, run: ./thorough.sh}
"""


def test_what_a_variable_asks_of_an_input_is_asked(bench: Bench) -> None:
    """A condition that reads a variable tells apart what the variable tells apart."""
    report = bench.check(THROUGH_A_VARIABLE)

    assert report.starts == 2
    assert report.findings == ()


BY_HAND_OR_BY_EVENT = """
name: by_hand_or_by_event
on:
  - github.push: {branches: [main]}
  - manual
steps:
  - {id: tag, if: event.ref == "refs/tags/v1", idempotent: true, run: ./tag.sh}
"""


def test_a_start_by_hand_has_no_event(bench: Bench) -> None:
    """What reads the event fails in a run that a person started, and that is told."""
    (finding,) = bench.check(BY_HAND_OR_BY_EVENT).findings

    assert finding.kind.name == "expression-fails"
    assert finding.story[0] == "started by hand"
