"""Runs: listed, counted, searched, looked at, and taken apart into their facts and steps."""

from __future__ import annotations

import collections
import functools
import itertools
from typing import Annotated, Final

from fastapi import Path, Query
from pydantic import Field, field_validator

from towpath.core.run import END_STATES, RunStatus
from towpath.policy.access import ANYTHING
from towpath.server.api import finding
from towpath.server.api import run_answers as answers
from towpath.server.api.told import NUMBER_MAX, PAGE_MAX, Asking, Moment, moment_of
from towpath.server.call import Asked, Call
from towpath.server.folds import Folded
from towpath.server.routing import Routes
from towpath.server.shapes import runs as shapes
from towpath.server.shapes import waits
from towpath.server.shapes.moments import stamp
from towpath.store.contract import RunFilter, RunNumber, RunRow

ROUTES = Routes(prefix="/api/v1/runs", tag="runs")
STEPS_SHOWN_MAX: Final = 500
"""Steps that a run's own answer holds; the list of steps has all."""
FACTS_PAGE_MAX: Final = 5_000
LABELS_MAX: Final = 20
TEXT_CHARS_MAX: Final = 200
"""Of a search."""

RunName = Annotated[
    str,
    Path(
        description="A run's number, its id, a unique beginning of the id, or `last`.",
        min_length=1,
        max_length=64,
        examples=["12"],
    ),
]
At = Annotated[
    int | None,
    Query(
        ge=1, le=NUMBER_MAX, description="The state as it was when so many facts were true; left out: now."
    ),
]


class RunQuery(Asking):
    """Which runs are wanted; what is left out does not restrict."""

    status: list[RunStatus] = Field(default=[], description="In one of these states; repeatable.")
    workflow: str | None = Field(default=None, max_length=200, description="Of this workflow.")
    environment: str | None = Field(default=None, max_length=200, description="In this environment.")
    kind: str | None = Field(default=None, max_length=200, description="Of this kind, such as deployment.")
    label: list[str] = Field(
        default=[], max_length=LABELS_MAX, description="With this label, `key=value`; repeatable."
    )
    is_open: bool | None = Field(default=None, description="Not ended, or ended.")
    is_waiting: bool | None = Field(default=None, description="Waiting for something, or not.")
    since: Moment | None = Field(default=None, description="Accepted since: `2h`, `7d`, or a timestamp.")
    origin: int | None = Field(default=None, ge=1, le=NUMBER_MAX, description="That came of this run.")
    q: str = Field(
        default="",
        max_length=TEXT_CHARS_MAX,
        description="Whose number, workflow, message, labels or starter hold this text.",
    )
    before: int | None = Field(
        default=None, ge=1, le=NUMBER_MAX, description="Older than this run: `next` of the page before."
    )
    limit: int = Field(default=50, ge=1, le=PAGE_MAX, description="How many at most.")

    @field_validator("label")
    @classmethod
    def _pairs(cls, labels: list[str]) -> list[str]:
        for label in labels:
            key, sign, _ = label.partition("=")
            if not key or not sign:
                raise ValueError(f"{label!r} is not key=value")
        return labels

    def as_filter(self, now: int) -> RunFilter:
        """The same question, as the store is asked it."""
        return RunFilter(
            status=tuple(self.status),
            workflow=self.workflow,
            environment=self.environment,
            kind=self.kind,
            origin=None if self.origin is None else RunNumber(self.origin),
            is_open=self.is_open,
            is_waiting=self.is_waiting,
            since=None if self.since is None else moment_of(self.since, now=now),
            text=self.q,
            labels=dict(label.split("=", 1) for label in self.label),
            before=None if self.before is None else RunNumber(self.before),
            rows_max=self.limit,
        )


@ROUTES.get("", permission="run.view", operation_id="list_runs")
def list_runs(call: Asked, query: Annotated[RunQuery, Query()]) -> answers.RunPage:
    """List runs, the newest first: those that whoever asks may see."""
    page = finding.page_of(call, query.as_filter(call.app.now()))
    return answers.RunPage(items=told(call, page.rows), next=page.next)


@ROUTES.get("/counts", permission="run.view", operation_id="count_runs")
def count_runs(call: Asked) -> answers.RunCounts:
    """Count runs by their status."""
    if call.may("run.view", ANYTHING):
        counts, is_complete = dict(call.app.reader.counts()), True
    else:
        page = finding.page_of(call, RunFilter(rows_max=finding.ROWS_LOOKED_AT_MAX))
        counts, is_complete = (
            dict(collections.Counter(row.summary.status for row in page.rows)),
            page.next is None,
        )
    return answers.RunCounts(
        by_status=counts,
        open=sum(number for status, number in counts.items() if status not in END_STATES),
        total=sum(counts.values()),
        is_complete=is_complete,
    )


@ROUTES.get("/{run}", permission="run.view", operation_id="show_run", response_model_exclude_unset=True)
def show_run(call: Asked, run: RunName, at: At = None) -> answers.RunDetail:
    """Show a run: its state, now or at any moment of its life, what it waits for, and who drives it."""
    row = finding.find_run(call, run)
    return detail(call, row, finding.look(call, row, at))


@ROUTES.get("/{run}/events", permission="run.view", operation_id="list_facts")
def list_facts(
    call: Asked,
    run: RunName,
    after: Annotated[int, Query(ge=0, le=NUMBER_MAX, description="Behind this fact.")] = 0,
    limit: Annotated[int, Query(ge=1, le=FACTS_PAGE_MAX, description="How many at most.")] = 1_000,
) -> answers.FactPage:
    """List the facts of a run in their order. Whoever folds them has its state."""
    row = finding.find_run(call, run)
    found = list(itertools.islice(call.app.events(row, after=after), limit))
    last = found[-1][0] if found else after
    return answers.FactPage(
        items=[
            answers.Fact.model_validate(shapes.fact_object(fact, number=row.number, sequence=sequence))
            for sequence, fact in found
        ],
        next=last if last < row.last_sequence else None,
        last_sequence=row.last_sequence,
    )


@ROUTES.get(
    "/{run}/steps", permission="run.view", operation_id="list_steps", response_model_exclude_unset=True
)
def list_steps(
    call: Asked,
    run: RunName,
    at: At = None,
    status: Annotated[list[str], Query(description="Only steps in one of these states; repeatable.")] = [],  # noqa: B006 - FastAPI copies it
    below: Annotated[str, Query(max_length=1_000, description="Only what stands inside of this step.")] = "",
    after: Annotated[int, Query(ge=0, le=NUMBER_MAX, description="`next` of the page before.")] = 0,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX, description="How many at most.")] = 200,
) -> answers.StepPage:
    """List the steps of a run in the order in which they began."""
    row = finding.find_run(call, run)
    state = finding.state_of(call, row, at)
    paths = shapes.step_paths(state, status=status, below=below)
    some = paths[after : after + limit]
    return answers.StepPage(
        items=[answers.Step.model_validate(shapes.node_object(state, path)) for path in some],
        next=after + limit if after + limit < len(paths) else None,
        total=len(paths),
        sequence=state.sequence,
    )


@ROUTES.get("/{run}/children", permission="run.view", operation_id="list_children")
def list_children(
    call: Asked,
    run: RunName,
    before: Annotated[int | None, Query(ge=1, le=NUMBER_MAX, description="Older than this run.")] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX, description="How many at most.")] = 100,
) -> answers.RunPage:
    """List the runs that came of a run: its children, and those that retry, repeat, undo or review it."""
    row = finding.find_run(call, run)
    where = RunFilter(origin=row.number, before=None if before is None else RunNumber(before), rows_max=limit)
    page = finding.page_of(call, where)
    return answers.RunPage(items=told(call, page.rows), next=page.next)


def told(call: Call, rows: tuple[RunRow, ...]) -> list[answers.Run]:
    """Runs, as lists show them."""
    lives = _lives(call) if any(row.is_open for row in rows) else {}
    return [answers.Run.model_validate(shapes.run_object(row, life=_life(row, lives))) for row in rows]


def _lives(call: Call) -> dict[str, str]:
    return {owner.id: owner.life.value for owner in call.app.store.owners.owners()}


def _life(row: RunRow, lives: dict[str, str]) -> str | None:
    return lives.get(row.owner or "", "dead") if row.is_open else None


def detail(call: Call, row: RunRow, folded: Folded) -> answers.RunDetail:
    """A run with its state; *folded* may be as it was."""
    app, state = call.app, folded.run
    owner = app.owner_of(row) if row.is_open else None
    life = None if not row.is_open else "dead" if owner is None else owner.life.value
    then = finding.row_then(call, row, state)
    found = () if state.has_ended else waits.waits(state, folded.chronicle, opens_at=_opens_at(call))
    paths = shapes.step_paths(state)
    return answers.RunDetail.model_validate(
        {
            **shapes.run_object(then, life=life),
            **shapes.state_object(state, paths=paths[:STEPS_SHOWN_MAX]),
            "steps_more": max(0, len(paths) - STEPS_SHOWN_MAX),
            "sequence": state.sequence,
            "last_sequence": row.last_sequence,
            "mode": state.mode,
            "break_glass": state.break_glass,
            "edited_by": state.edited_by,
            "definition": _definition(call, row),
            "waits": [shapes.wait_object(wait) for wait in found],
            "owner_process": None
            if owner is None
            else {
                "id": owner.id,
                "pid": owner.pid,
                "host": owner.host,
                "command": owner.command,
                "started_at": stamp(owner.started_at),
                "life": owner.life.value,
            },
            "links": _links(row),
        }
    )


def _opens_at(call: Call) -> waits.OpensAt:
    return functools.partial(call.app.desk.window_opens_at, now=call.app.now())


def _definition(call: Call, row: RunRow) -> dict[str, str | None]:
    found = call.app.reader.definition(row.definition)
    return {"digest": found.digest, "path": found.path, "commit": found.commit}


def _links(row: RunRow) -> dict[str, str | None]:
    here = f"{ROUTES.prefix}/{row.number}"
    return {
        "self": here,
        **{noun: f"{here}/{noun}" for noun in ("events", "steps", "graph", "logs", "artifacts", "children")},
        "origin": None if row.origin is None else f"{ROUTES.prefix}/{row.origin}",
        "definition": f"/api/v1/definitions/{row.definition}",
    }
