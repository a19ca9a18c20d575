"""What an approval is bound to: a digest of all that was shown, and of what is to be done."""

from __future__ import annotations

from typing import Any

import pytest

from simulation.world import DAY_ONE, plan_of
from towpath.core import advance, new_run, stimuli
from towpath.core.run import Question, Run, RunId

ASKS = """
inputs: {version: {type: string, default: main}, plan: {type: string, default: add one}}
steps: [{id: q, approve: "TEXT", who: ["group:x"], show: {SHOWN}, form: {FORM}}]
"""
SHOWS_A_RESULT = """
steps:
  - {id: a, run: a, outputs: [plan]}
  - {id: q, approve: "Go?", who: ["group:x"], show: {plan: "${{ steps.a.outputs.plan }}"}}
"""
AT = DAY_ONE + 1_000_000


def asked(
    text: str = "Go?", shown: str = "plan: '${{ inputs.plan }}'", form: str = "", **inputs: Any
) -> Question:
    """The question that a run asks."""
    workflow = ASKS.replace("TEXT", text).replace("SHOWN", shown).replace("FORM", form)
    start = stimuli.Start(
        at=DAY_ONE,
        run=RunId("run"),
        digest="d",
        inputs={"version": "main", "plan": "add one", **inputs},
        started_by="user:eve",
    )
    question = advance(new_run(plan_of(workflow), "run"), start).run.nodes["q"].question
    assert question is not None
    return question


@pytest.mark.parametrize(
    "different",
    [
        {"text": "Go now?"},
        {"shown": "plan: '${{ inputs.plan }}', risk: low"},
        {"shown": "plan: add two"},
        {"form": "link: {type: string}"},
        {"version": "other"},
    ],
    ids=["the question", "more evidence", "other evidence", "the form", "an input that is not shown"],
)
def test_an_approval_is_bound_to_all_that_it_shows(different: dict[str, Any]) -> None:
    """Whatever changes in what is asked, shown or put in changes the digest; the same question has the same one."""
    assert asked().digest == asked().digest
    assert asked(**different).digest != asked().digest


def test_the_digest_of_evidence_alone() -> None:
    """Two runs that differ in nothing but the output that they show have different digests."""
    start = stimuli.Start(at=DAY_ONE, run=RunId("run"), digest="d", inputs={}, started_by="user:eve")
    begun = advance(new_run(plan_of(SHOWS_A_RESULT), "run"), start).run
    digests = set()
    for plan in ("add one", "add two"):
        ended = stimuli.StepEnded(at=AT, path="a", attempt=1, outputs={"plan": plan})
        question = advance(begun, ended).run.nodes["q"].question
        assert question is not None
        digests.add(question.digest)

    assert len(digests) == 2


def read(run: Run, text: str, at: int) -> Run:
    """The run after the file that its question shows was read."""
    question = run.nodes["q"].question
    assert question is not None
    evidence = {"plan": {"file": "plan.txt", "digest": text, "text": text}}
    told = stimuli.EvidenceRead(at=at, path="q", asked_at=question.asked_at, evidence=evidence)
    return advance(run, told).run


def test_a_file_that_changes_makes_an_answer_void() -> None:
    """An approval that was given for one content of a file does not count for another one."""
    workflow = 'steps: [{id: q, approve: "Go?", who: ["group:x"], quorum: 2, show: {plan: {file: plan.txt}}}]'
    start = stimuli.Start(at=DAY_ONE, run=RunId("run"), digest="d", inputs={}, started_by="user:eve")
    first = read(advance(new_run(plan_of(workflow), "run"), start).run, "add one", AT)
    given = stimuli.Answered(at=AT + 1, path="q", by="user:bob", decision="approve")
    approved = advance(first, given).run
    unchanged, changed = read(approved, "add one", AT + 2), read(approved, "add two", AT + 2)
    questions = [run.nodes["q"].question for run in (first, unchanged, changed)]
    digests = [question.digest for question in questions if question is not None]

    assert [len(run.nodes["q"].answers) for run in (approved, unchanged, changed)] == [1, 1, 0]
    assert (digests[0] == digests[1], digests[0] == digests[2]) == (True, False)
