"""What is known before a run: conditions by the rules of CEL, values as far as they go, and what is missing by name."""

from __future__ import annotations

import pytest

from towpath.core.plan import PlanStep
from towpath.core.run import Run
from towpath.core.values import compile_condition
from towpath.definition import loader
from towpath.engines.rehearsing.calls import imagine
from towpath.engines.rehearsing.knowledge import Foreseen, Knowledge, Loop

FILE = """
name: known
inputs: {n: {type: integer, default: 3}, names: {type: list, default: [a, b]}, secret_one: {type: string, default: x}}
vars: {tag: "v${{ inputs.n }}", id: "v${{ inputs.n }}-${{ run.id }}"}
steps:
  - {id: build, run: make, outputs: [image, size]}
  - {id: scan, run: scan, on_failure: continue}
  - {id: last, run: echo}
"""


@pytest.fixture
def run() -> Run:
    """A run that has been accepted and has done nothing."""
    workflow = loader.load_workflow(FILE).workflow
    inputs = {"n": 3, "names": ["a", "b"], "secret_one": "x"}
    return imagine(workflow, "digest", inputs, started_by="user:ada")


@pytest.fixture
def knowledge(run: Run) -> Knowledge:
    """What is known after `build` was foreseen in part, and `scan` as things are now."""
    known = Knowledge(run)
    known.learn(step(run, "build"), Foreseen(outputs={"image": "shop:3"}, is_whole=False))
    known.learn(step(run, "scan"), Foreseen(outputs={"critical": 0}, is_firm=False, status=None))
    return known


def step(run: Run, name: str) -> PlanStep:
    """A step of the file."""
    found: PlanStep = run.plan.by_id[name]
    return found


CONDITIONS = [
    ("inputs.n == 3", True, True, ()),
    ("inputs.n > 3", False, True, ()),
    ("vars.tag == 'v3'", True, True, ()),
    ("vars.id != ''", None, True, ("run.id",)),
    ("run.workflow == 'known'", True, True, ()),
    ("run.started_by == 'user:ada'", True, True, ()),
    ("run.status == 'succeeded'", None, True, ("run.status",)),
    ("steps.build.outputs.image == 'shop:3'", True, True, ()),
    ("steps.build.outputs.size > 1", None, True, ("steps.build.outputs.size",)),
    ("steps.build.status == 'succeeded'", True, True, ()),
    ("steps.scan.outputs.critical == 0", True, False, ()),
    ("steps.scan.status == 'failed'", None, False, ("steps.scan.status",)),
    ("steps.last.status == 'skipped'", None, True, ("steps.last.status",)),
    ("false && steps.last.status == 'skipped'", False, True, ("steps.last.status",)),
    ("steps.last.status == 'skipped' || inputs.n == 3", True, True, ("steps.last.status",)),
    ("inputs.n == 3 ? true : steps.last.status == 'x'", True, True, ("steps.last.status",)),
    # What asks whether a name is there cannot be answered while the name may still come.
    ("has(steps.build.outputs.size)", None, True, ("steps.build.outputs.size",)),
    ("default(steps.build.outputs.size, 1) == 1", None, True, ("steps.build.outputs.size",)),
    ("event == null", True, True, ()),
]


@pytest.mark.parametrize(
    ("source", "holds", "is_firm", "later"), CONDITIONS, ids=[row[0] for row in CONDITIONS]
)
def test_a_condition_is_judged(
    source: str, holds: bool | None, is_firm: bool, later: tuple[str, ...], knowledge: Knowledge
) -> None:
    """It holds, it does not, or it depends on names that are told; firmly, or as things are now."""
    judged = knowledge.judge(compile_condition(source))

    assert judged.holds is holds
    if holds is None:
        assert judged.later == later
    else:
        assert judged.is_firm is is_firm
    assert judged.problem == ""


def test_a_condition_that_would_fail_says_why(knowledge: Knowledge) -> None:
    """A mistake that no run can avoid is a problem, and nothing that depends."""
    judged = knowledge.judge(compile_condition("inputs.names[7] == 'x'"))

    assert judged.holds is None
    assert judged.later == ()
    assert judged.problem != ""


VALUES = [
    ("plain", "plain", True, ()),
    (3, 3, True, ()),
    ("${{ inputs.n }}", 3, True, ()),
    ("n=${{ inputs.n }}, ${{ inputs.names }}", 'n=3, ["a","b"]', True, ()),
    ("${{ vars.tag }}/${{ vars.id }}", "v3/v3-${{ run.id }}", False, ("run.id",)),
    ("${{ vars.id }}", "v3-${{ run.id }}", False, ("run.id",)),
    ("${{ vars.id + 'x' }}", "${{ vars.id + 'x' }}", False, ("run.id",)),
    (
        "${{ steps.last.outputs.stdout }}",
        "${{ steps.last.outputs.stdout }}",
        False,
        ("steps.last.outputs.stdout",),
    ),
    ("${{ secrets.password }}", "(secret password)", True, ()),
    ("u:${{ secrets.password }}@${{ run.id }}", "u:(secret password)@${{ run.id }}", False, ("run.id",)),
    (
        {"a": ["${{ inputs.n }}", {"b": "${{ run.id }}"}]},
        {"a": [3, {"b": "${{ run.id }}"}]},
        False,
        ("run.id",),
    ),
]


@pytest.mark.parametrize(("raw", "shown", "is_known", "later"), VALUES, ids=[str(row[0]) for row in VALUES])
def test_a_value_is_worked_out_as_far_as_it_goes(
    raw: object, shown: object, is_known: bool, later: tuple[str, ...], knowledge: Knowledge
) -> None:
    """What is missing stays as it was written; a secret is named; types are kept."""
    sketch = knowledge.sketch(raw)

    assert sketch.shown == shown
    assert (sketch.is_known, sketch.later) == (is_known, later)


def test_a_secret_is_told_apart_from_text_that_looks_like_one(knowledge: Knowledge) -> None:
    """Only the reference of the file becomes a secret; its place is told, and its value is nowhere."""
    sketch = knowledge.sketch({"a": "u:${{ secrets.password }}", "b": "(secret password)"})

    assert [(use.at, use.parts) for use in sketch.secrets] == [
        (("a",), (("text", "u:"), ("secret", "password")))
    ]
    assert sketch.filled == {"a": None, "b": "(secret password)"}


def test_what_is_learnt_aside_is_forgotten(run: Run, knowledge: Knowledge) -> None:
    """What a branch that may not be taken would give is known in it, and not after it."""
    condition = compile_condition("steps.last.outputs.stdout == 'a'")
    with knowledge.aside():
        knowledge.learn(step(run, "last"), Foreseen(outputs={"stdout": "a"}))
        inside = knowledge.judge(condition)

    assert inside.holds is True
    assert knowledge.judge(condition).holds is None


def test_items_are_known_in_their_loop_only(knowledge: Knowledge) -> None:
    """The innermost item counts; one that is not known yet is missing by its name."""
    with (
        knowledge.within(Loop(name="host", value="web1", index=4)),
        knowledge.within(Loop(name="file", is_known=False)),
    ):
        known = knowledge.sketch("${{ host }}")
        missing = knowledge.sketch("${{ file }} ${{ index }}")

    assert known.filled == "web1"
    assert missing.later == ("file", "index")


def test_after_a_failure_nothing_is_firm(knowledge: Knowledge) -> None:
    """In `finally` what the steps before would have given may not be there."""
    with knowledge.afterwards():
        judged = knowledge.judge(compile_condition("steps.build.outputs.image == 'shop:3'"))

    assert (judged.holds, judged.is_firm) == (True, False)
