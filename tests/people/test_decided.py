"""How a question ended: who decided, or what did, in a sentence for those who come too late."""

from __future__ import annotations

from typing import Any

import pytest
from people_support import question

from towpath.core import events
from towpath.core.run import Answer
from towpath.people import decided

ASKED = events.PeopleAsked(at=1, path="go", question=question(asked_at=1, if_unanswered="reject"))
TWO = events.PeopleAsked(at=1, path="go", question=question(asked_at=1, quorum=2))
TASK = events.PeopleAsked(at=1, path="go", question=question(kind="task", choices=("done", "failed")))


def said(by: str, decision: str, *, at: int = 5, comment: str = "") -> events.AnswerGiven:
    """An answer."""
    given = Answer(by=f"user:{by}", decision=decision, at=at, comment=comment)
    return events.AnswerGiven(at=at, path="go", answer=given)


def ended(status: Any = "succeeded", **keys: Any) -> events.StepEnded:
    """The end of the step."""
    return events.StepEnded(at=9, path="go", status=status, **keys)


CANCELLED = events.StopRequested(at=8, path="", reason="cancelled", by="user:eve")


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ((ASKED,), "it is still open"),
        ((ASKED, said("anna", "approve"), ended()), "decided by anna at NOW: approved"),
        (
            (ASKED, said("anna", "reject", comment="not today"), ended("failed")),
            "decided by anna at NOW: rejected (not today)",
        ),
        ((TWO, said("anna", "approve")), "it is still open"),
        ((TWO, said("anna", "approve"), said("ben", "approve")), "decided by anna and ben at NOW: approved"),
        ((TWO, said("anna", "approve"), said("ben", "reject")), "decided by ben at NOW: rejected"),
        (
            (
                TWO,
                said("anna", "approve"),
                events.AnswerWithdrawn(at=6, path="go", by="user:anna"),
                said("ben", "approve"),
            ),
            "it is still open",
        ),
        ((TASK, said("anna", "done")), "decided by anna at NOW: done"),
        ((TASK, said("anna", "failed")), "decided by anna at NOW: could not be done"),
        ((ASKED, said("anna", "send_back")), "decided by anna at NOW: sent back"),
        (
            (ASKED, ended("failed", reason="unanswered")),
            "nobody decided it in time: at NOW the time was up, so it counts as rejected",
        ),
        (
            (TWO, said("anna", "approve"), CANCELLED, ended("cancelled")),
            "it was not decided: it was stopped at NOW (cancelled, by eve)",
        ),
        (
            (ASKED, said("anna", "approve"), ended(), ASKED),
            "it is still open",
        ),
        (
            (
                TWO,
                said("anna", "approve"),
                events.AnswersVoided(at=6, path="go", reason="plan changed", question=TWO.question),
                said("ben", "approve"),
            ),
            "it is still open",
        ),
        (
            (ASKED, events.StepsReset(at=7, paths=("build", "go"), frame="", by="user:ben")),
            "it was not decided: it was stopped at NOW (sent back by ben)",
        ),
    ],
)
def test_who_or_what_decided(facts: tuple[events.AnyEvent, ...], expected: str) -> None:
    """People, silence and stops are told apart; what was taken back or became void decides nothing."""
    assert decided.histories(facts)["go"].sentence(when="NOW") == expected


def test_everything_that_was_said_is_kept_in_order() -> None:
    """Claims, hand-overs, reminders and rungs stand in the history of the question, each with its moment."""
    facts: tuple[events.AnyEvent, ...] = (
        TWO,
        events.PeopleTold(at=2, path="go", kind="reminder", number=1, to=("group:managers",)),
        events.PeopleTold(at=3, path="go", kind="rung", number=1, to=("group:leads",)),
        events.QuestionClaimed(at=4, path="go", by="user:anna"),
        events.QuestionHandedOver(at=5, path="go", by="user:anna", to="user:carl", comment="I am off"),
        said("carl", "approve", at=6),
        events.AnswerWithdrawn(at=7, path="go", by="user:carl"),
        events.PeopleTold(at=8, path="other", kind="rung", number=1, to=("group:leads",)),
    )

    found = decided.histories(facts)["go"]

    assert [(told.at, told.kind, told.to) for told in found.told] == [
        (2, "reminder", ("group:managers",)),
        (3, "rung", ("group:leads",)),
    ]
    assert found.notes == (
        (4, "anna takes care of it"),
        (5, "anna handed it over to carl: I am off"),
        (7, "carl took the answer back"),
    )
    assert (found.answers, found.ended_at) == ((), None)
