"""Workflows: the catalogue, one with its source, inputs and triggers, its picture, and whether a text would load."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from fastapi import Query
from pydantic import Field

from towpath.core.plan import Plan
from towpath.core.run import RunStatus
from towpath.definition.loader import Loaded
from towpath.definition.problems import Problem, render_problem
from towpath.errors import Refused
from towpath.observe import drawing
from towpath.server.api import catalogue, finding
from towpath.server.api.graphs import SVG_ANSWER, Picture
from towpath.server.api.told import Asking, Json, Told
from towpath.server.call import Asked, Call
from towpath.server.routing import Routes
from towpath.server.shapes import workflows as shapes
from towpath.server.shapes.moments import stamp, stamp_or_none
from towpath.store.contract import RunFilter
from towpath.triggers import ahead
from towpath.triggers.contract import Broken, Listener

ROUTES = Routes(prefix="/api/v1/workflows", tag="workflows")
WORKFLOWS_PAGE_MAX: Final = 200
RECENT_RUNS: Final = 10
"""Runs whose ends tell how a workflow fares."""
SOURCE_CHARS_MAX: Final = 1024 * 1024
"""Of a text that is checked."""
_NAME_CHARS_MAX: Final = 200


class LastRun(Told):
    """A run of a workflow."""

    number: int = Field(description="Its number.")
    status: RunStatus = Field(description="How far it has come.")
    accepted_at: str = Field(description="When it was accepted.")
    ended_at: str | None = Field(description="When it ended.")


class Workflow(Told):
    """A workflow, as the catalogue shows it."""

    name: str = Field(description="What people type; of a file that does not load, the file's name.")
    title: str | None = Field(description="What people are shown.")
    description: str | None = Field(description="What it does, when to use it.")
    kind: str | None = Field(description="What its runs count as; null where it does not load.")
    environment: str | None = Field(description="The environment of its runs, as the file says it.")
    labels: dict[str, str] = Field(description="Free words.")
    triggers: list[str] = Field(description="The kinds of what starts it.")
    is_broken: bool = Field(description="Whether its file does not load.")
    why: str = Field(description="Why it does not load, in one line.")
    recent: list[LastRun] = Field(description="Its latest runs, the newest first.")
    next_start: str | None = Field(description="When a schedule starts it next.")


class WorkflowPage(Told):
    """Some workflows, in the order of names."""

    items: list[Workflow] = Field(description="The workflows.")
    next: str | None = Field(description="`after` of the next page; null where this is the last.")
    total: int = Field(description="How many fit.")


class TriggerEntry(Told):
    """One entry of `on:`."""

    entry: int = Field(description="Which one, from 1.")
    kind: str = Field(description="What it listens to.")
    settings: Json = Field(description="As the file says it.")
    condition: str | None = Field(description="It starts only where this holds.")
    inputs: dict[str, Json] = Field(description="With which inputs.")
    debounce_seconds: float | None = Field(description="It starts when nothing more has come for so long.")
    is_schedule: bool = Field(description="Whether it comes round by itself.")


class FoundProblem(Told):
    """Something that is wrong with a file."""

    code: str = Field(description="TOW101, …")
    name: str = Field(description="The same in words: unknown-key.")
    severity: str = Field(description="`error` or `warning`.")
    message: str = Field(description="What is wrong.")
    path: str = Field(description="In which file.")
    line: int = Field(description="Where, from 1; 0: the whole file.")
    column: int = Field(description="Where, from 1.")
    end_column: int = Field(description="Up to where.")
    help: str = Field(description="What to try.")
    shown: str = Field(description="The same with the line and a caret below it.")


class NewerVersion(Told):
    """A newer version of a workflow than the one that runs take."""

    digest: str = Field(description="Names it.")
    state: Literal["canary", "aborted", "broken"] = Field(
        description="It is tried by some runs, was sent back because of how they did, or does not load."
    )
    since: str = Field(description="Since when.")
    author: str = Field(description="Who edited it last.")
    commit: str | None = Field(description="The Git commit; null in a plain folder.")
    because: str = Field(description="Why it was sent back.")
    problems: list[FoundProblem] = Field(description="Why it does not load.")


class WorkflowDetail(Workflow):
    """One workflow in full."""

    digest: str = Field(description="Names this version of the text.")
    path: str = Field(description="Its file, in the project.")
    source: str = Field(description="Its text.")
    edited_by: str = Field(description="Who edited it last.")
    inputs: dict[str, Json] = Field(description="What a start may say, as the file declares it.")
    inputs_schema: dict[str, Json] = Field(description="The same as JSON Schema.")
    on: list[TriggerEntry] = Field(description="What starts it.")
    problems: list[FoundProblem] = Field(description="What is wrong with it; warnings too.")
    newer: NewerVersion | None = Field(
        description="A newer version that runs do not take, or not all of them; null where this is the newest."
    )


class Text(Asking):
    """A workflow to be checked."""

    source: str = Field(max_length=SOURCE_CHARS_MAX, description="The text of the file.")
    path: str = Field(
        default="workflow.yaml", max_length=_NAME_CHARS_MAX, description="What problems call it."
    )


class Verdict(Told):
    """What there is to say about a text."""

    is_good: bool = Field(description="Whether it would load.")
    problems: list[FoundProblem] = Field(description="Everything that is wrong.")


@ROUTES.get("", permission="workflow.view", operation_id="list_workflows")
def list_workflows(
    call: Asked,
    q: Annotated[str, Query(max_length=_NAME_CHARS_MAX, description="Whose name or title holds this.")] = "",
    kind: Annotated[str | None, Query(max_length=_NAME_CHARS_MAX, description="Of this kind.")] = None,
    after: Annotated[str, Query(max_length=_NAME_CHARS_MAX, description="`next` of the page before.")] = "",
    limit: Annotated[int, Query(ge=1, le=WORKFLOWS_PAGE_MAX, description="How many at most.")] = 50,
) -> WorkflowPage:
    """List the workflows of the project: what they are for, what starts them, how their latest runs went."""
    fitting = [(name, one) for name, one in catalogue.workflows(call) if _fits(name, one, q, kind)]
    page = list(itertools.islice(((name, one) for name, one in fitting if name > after), limit + 1))
    heard = catalogue.listeners(call)
    return WorkflowPage(
        items=[Workflow.model_validate(_object(call, name, one, heard)) for name, one in page[:limit]],
        next=page[limit - 1][0] if len(page) > limit else None,
        total=len(fitting),
    )


@ROUTES.get("/{workflow}", permission="workflow.view", operation_id="show_workflow")
def show_workflow(call: Asked, workflow: catalogue.WorkflowName) -> WorkflowDetail:
    """Show a workflow: its text, its inputs as JSON Schema, what starts it, and every problem with its place."""
    one = catalogue.find(call, workflow)
    heard = catalogue.listeners(call)
    path = Path(one.path)
    text = one.text if isinstance(one, Broken) else one.source.text
    told = {
        **_object(call, workflow, one, heard),
        "digest": "" if isinstance(one, Broken) else one.digest,
        "path": shown_path(call, path),
        "source": text,
        "edited_by": call.app.editor_of(path),
        "inputs": {},
        "inputs_schema": shapes.inputs_schema({}),
        "on": [],
        "problems": _problems(call, one),
        "newer": _newer(call, workflow, one),
    }
    if isinstance(one, Loaded):
        inputs = one.workflow.inputs
        triggers = heard[workflow].triggers if workflow in heard else ()
        told |= {
            "inputs": {
                name: declared.model_dump(mode="json", exclude_unset=True)
                for name, declared in inputs.items()
            },
            "inputs_schema": shapes.inputs_schema(inputs),
            "on": [shapes.trigger_object(trigger) for trigger in triggers],
        }
    return WorkflowDetail.model_validate(told)


@ROUTES.get(
    "/{workflow}/graph",
    permission="workflow.view",
    operation_id="draw_workflow",
    response_class=Picture,
    response_model=None,
    responses=SVG_ANSWER,
)
def draw_workflow(call: Asked, workflow: catalogue.WorkflowName) -> Picture:
    """Draw a workflow as SVG."""
    plan = plan_of(call, workflow)
    title = plan.workflow.title or plan.workflow.name
    return Picture(drawing.svg(drawing.figure_of(plan, None), title=title))


@ROUTES.post("/check", permission="workflow.view", operation_id="check_workflow")
def check_workflow(call: Asked, body: Text) -> Verdict:
    """Say everything that is wrong with a text, as a workflow of this project. Nothing is kept."""
    checked = catalogue.check(call, body.source, body.path)
    problems = [problem_object(one) for one in checked.problems]
    is_good = checked.workflow is not None and not any(one["severity"] == "error" for one in problems)
    return Verdict(is_good=is_good, problems=[FoundProblem.model_validate(one) for one in problems])


def plan_of(call: Call, workflow: str) -> Plan:
    """A workflow, laid out; raises NotFound, Forbidden or DefinitionProblems."""
    loaded = catalogue.load(call, workflow)
    return Plan(loaded.workflow, loaded.digest)


def problem_object(problem: Problem) -> dict[str, Any]:
    """A problem with its place, and as a text with a caret."""
    return {
        "code": problem.code,
        "name": problem.name,
        "severity": str(problem.severity),
        "message": problem.message,
        "path": problem.path,
        "line": problem.line,
        "column": problem.column,
        "end_column": problem.end_column,
        "help": problem.help,
        "shown": render_problem(problem),
    }


def shown_path(call: Call, path: Path) -> str:
    """A file as it is called inside of the project: where the project lies is nobody's business."""
    if not path.is_absolute() and call.app.edition is not None:
        return path.as_posix()
    for folder in (call.app.settings.project, call.app.project.folder):
        try:
            return str(path.resolve().relative_to(folder.resolve()))
        except ValueError:
            continue
    return path.name


def _problems(call: Call, one: Loaded | Broken) -> list[dict[str, Any]]:
    found: Sequence[Problem]
    path = shown_path(call, Path(one.path))
    if isinstance(one, Loaded):
        found = one.problems
    elif not one.text:
        raise Refused(f"{path} cannot be read: {one.why}")
    else:
        found = catalogue.check(call, one.text, path).problems
    return [problem_object(dataclasses.replace(problem, path=path)) for problem in found]


def _newer(call: Call, name: str, one: Loaded | Broken) -> NewerVersion | None:
    row = call.app.reader.versions.standing(name).next
    if row is None or isinstance(one, Broken):
        return None
    return NewerVersion(
        digest=row.digest,
        state=row.state,  # type: ignore[arg-type] # what is not current is one of the three
        since=stamp(row.since),
        author=row.author,
        commit=row.commit or None,
        because=row.because,
        problems=[FoundProblem.model_validate(problem_object(problem)) for problem in row.problems],
    )


def _fits(name: str, one: Loaded | Broken, q: str, kind: str | None) -> bool:
    if isinstance(one, Broken):
        return kind is None and q.casefold() in name.casefold()
    text = f"{name}\n{one.workflow.title or ''}".casefold()
    return q.casefold() in text and kind in (None, one.workflow.kind)


def _object(call: Call, name: str, one: Loaded | Broken, heard: Mapping[str, Listener]) -> dict[str, Any]:
    if isinstance(one, Broken):
        return {
            "name": name,
            "title": None,
            "description": None,
            "kind": None,
            "environment": None,
            "labels": {},
            "triggers": [],
            "is_broken": True,
            "why": one.why,
            "recent": _recent(call, name),
            "next_start": None,
        }
    workflow, listener = one.workflow, heard.get(name)
    triggers = () if listener is None else listener.triggers
    return {
        "name": workflow.name,
        "title": workflow.title,
        "description": workflow.description,
        "kind": workflow.kind,
        "environment": workflow.environment,
        "labels": dict(workflow.labels),
        "triggers": list(dict.fromkeys(trigger.kind for trigger in triggers)),
        "is_broken": False,
        "why": "",
        "recent": _recent(call, name),
        "next_start": None if listener is None else stamp_or_none(_next_start(call, listener)),
    }


def _recent(call: Call, name: str) -> list[dict[str, Any]]:
    if not call.may_at_all("run.view"):
        return []
    page = finding.page_of(call, RunFilter(workflow=name, rows_max=RECENT_RUNS))
    return [
        {
            "number": row.number,
            "status": row.summary.status,
            "accepted_at": stamp(row.accepted_at),
            "ended_at": stamp_or_none(row.summary.ended_at),
        }
        for row in page.rows
    ]


def _next_start(call: Call, listener: Listener) -> int | None:
    starts = ahead.starts([listener], after=call.app.now(), is_open=call.app.listening.is_open, starts_max=1)
    return starts[0].at if starts else None
