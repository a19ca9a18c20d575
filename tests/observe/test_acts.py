"""Which events are acts of somebody, and how they are said."""

from __future__ import annotations

from typing import Any

import pytest

from towpath.core import events
from towpath.core.run import Answer
from towpath.observe.audit import acts
from towpath.store import encoding


def answer(decision: str, by: str = "user:ada", **more: Any) -> events.AnswerGiven:
    """An answer at step `q`."""
    return events.AnswerGiven(at=5, path="q", answer=Answer(by=by, decision=decision, at=5, **more))


ACTS: dict[str, tuple[list[Any], list[tuple[str, str, str, str]]]] = {
    "an approval": ([answer("approve", comment="fine", via="cli")], [("user:ada", "approved", "q", "fine")]),
    "a failure passed over": (
        [answer("skip"), events.FailureSettled(at=5, path="q", how="skipped", by="user:ada")],
        [("user:ada", "passed over", "q", "")],
    ),
    "a retry passed over": (
        [events.FailureSettled(at=5, path="q", how="skipped", by="user:ada")],
        [("user:ada", "passed over", "q", "")],
    ),
    "work sent back": (
        [
            answer("send_back", comment="again"),
            events.StepsReset(at=5, paths=("b",), frame="", by="user:ada", comment="again"),
        ],
        [("user:ada", "sent back", "q", "again")],
    ),
    "a stop by a person": (
        [events.StopRequested(at=6, path="", reason="cancelled", leaves=(), by="user:ben")],
        [("user:ben", "cancelled", "", "")],
    ),
    "a stop by time": ([events.StopRequested(at=6, path="g", reason="timeout", leaves=())], []),
    "a question handed over": (
        [events.QuestionHandedOver(at=5, path="q", by="user:ada", to="user:ben", comment="lunch")],
        [("user:ada", "handed over", "q", "to user:ben: lunch")],
    ),
    "a claim and its end": (
        [
            events.QuestionClaimed(at=5, path="q", by="user:ada"),
            events.ClaimReleased(at=6, path="q", by="user:ada"),
        ],
        [("user:ada", "claimed", "q", ""), ("user:ada", "gave the claim back", "q", "")],
    ),
    "a signal of nobody": ([events.SignalReceived(at=5, kind="event", name="push")], []),
    "what follows by itself": ([events.StepEnded(at=5, path="q", plan=0, status="succeeded")], []),
}


@pytest.mark.parametrize(("facts", "said"), ACTS.values(), ids=ACTS)
def test_acts_are_told_once_and_in_words(facts: list[Any], said: list[tuple[str, str, str, str]]) -> None:
    """An act names who, what, where and why; what it brings about is not told again; what nobody did is no act."""
    records = [(number, fact.at, encoding.encode(fact)) for number, fact in enumerate(facts, start=1)]

    assert [(act.by, act.did, act.path, act.text) for act in acts(records)] == said
