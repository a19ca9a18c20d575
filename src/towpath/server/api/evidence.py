"""What people were shown when a run asked them something, and what they decided on it."""

from __future__ import annotations

from pydantic import Field

from towpath.people import decided
from towpath.server.api import finding
from towpath.server.api.runs import RunName
from towpath.server.api.told import Json, Told
from towpath.server.call import Asked
from towpath.server.routing import Routes
from towpath.server.shapes.moments import stamp, stamp_or_none

ROUTES = Routes(prefix="/api/v1/runs", tag="runs")


class GivenAnswer(Told):
    """What one person said to a question."""

    by: str = Field(description="Who.", examples=["user:ada"])
    decision: str = Field(description="What they decided.", examples=["approve"])
    at: str = Field(description="When.")
    comment: str = Field(description="Why, in their words.")
    via: str = Field(description="Where it was said: cli, web, api, chat.")
    form: dict[str, Json] = Field(description="What they filled in.")


class Evidence(Told):
    """One question of a run, with what was shown beside it."""

    step: str = Field(description="The step that asked.")
    kind: str = Field(description="What kind of question.", examples=["approval"])
    text: str = Field(description="What was asked.")
    asked_at: str = Field(description="When.")
    ended_at: str | None = Field(
        description="When it was decided, or ended otherwise; null while it is open."
    )
    outcome: str = Field(description="How it ended, in words.")
    digest: str = Field(description="What an approval is bound to: definition, inputs and evidence.")
    evidence: dict[str, Json] = Field(description="What was shown.")
    answers: list[GivenAnswer] = Field(description="What people said that counts.")


class EvidenceList(Told):
    """The questions of a run, in the order of their steps."""

    items: list[Evidence] = Field(description="The questions.")


@ROUTES.get("/{run}/evidence", permission="question.view", operation_id="list_evidence")
def list_evidence(call: Asked, run: RunName) -> EvidenceList:
    """List what people were asked in a run, what they were shown, and what they decided."""
    row = finding.find_run(call, run, "question.view")
    found = decided.histories(fact for _, fact in call.app.events(row))
    return EvidenceList(items=[_evidence(one) for _, one in sorted(found.items(), key=_asked_at)])


def _asked_at(entry: tuple[str, decided.History]) -> tuple[int, str]:
    return entry[1].asked_at, entry[0]


def _evidence(one: decided.History) -> Evidence:
    return Evidence(
        step=one.path,
        kind=one.question.kind,
        text=one.question.text,
        asked_at=stamp(one.asked_at),
        ended_at=stamp_or_none(one.ended_at),
        outcome=one.sentence(),
        digest=one.question.digest,
        evidence=dict(one.question.evidence),
        answers=[
            GivenAnswer(
                by=answer.by,
                decision=answer.decision,
                at=stamp(answer.at),
                comment=answer.comment,
                via=answer.via,
                form=dict(answer.form),
            )
            for answer in one.answers
        ],
    )
