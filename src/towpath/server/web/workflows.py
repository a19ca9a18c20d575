"""The catalogue of workflows, the page of one, and the form that starts it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, Final

from fastapi import Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, Response

from towpath.core.plan import Plan
from towpath.definition.inputs import InputsInvalid
from towpath.definition.loader import Loaded
from towpath.errors import TowpathError
from towpath.policy.access import Target
from towpath.server.api import acts, catalogue, finding, rehearsals, workflows
from towpath.server.api.told import moment_of
from towpath.server.call import Asked, Call, Forbidden, Unauthenticated
from towpath.server.once import once_for_form
from towpath.server.routing import Routes
from towpath.server.web import drawings, fields, pages
from towpath.store.contract import RunFilter, RunRow

ROUTES = Routes(is_page=True)
PAGE_WORKFLOWS: Final = 100
RUNS_SHOWN: Final = 12
_UNPROCESSABLE: Final = 422
_CONFLICT: Final = 409
KINDS: Final = ("deployment", "provisioning", "incident", "maintenance", "request", "backup", "task")


@ROUTES.get("/workflows", permission="workflow.view")
def list_workflows(
    call: Asked,
    q: Annotated[str, Query(max_length=200)] = "",
    kind: Annotated[str, Query(max_length=50)] = "",
    after: Annotated[str, Query(max_length=200)] = "",
) -> HTMLResponse:
    """The catalogue."""
    found = workflows.list_workflows(call, q=q.strip(), kind=kind or None, after=after, limit=PAGE_WORKFLOWS)
    now = call.app.now()
    return pages.page(
        call,
        "workflows.html",
        title="Workflows",
        section="workflows",
        items=found.items,
        total=found.total,
        older=pages.address("/workflows", q=q, kind=kind, after=found.next) if found.next else "",
        newer=pages.address("/workflows", q=q, kind=kind) if after else "",
        q=q,
        kind=kind,
        kinds=KINDS,
        micros=lambda text: moment_of(text, now=now),
        may_start=lambda one: _may_start(call, one.name, one.environment),
    )


@ROUTES.get("/workflows/{workflow}", permission="workflow.view")
def show_workflow(call: Asked, workflow: catalogue.WorkflowName) -> HTMLResponse:
    """One workflow."""
    told = workflows.show_workflow(call, workflow)
    now = call.app.now()
    return pages.page(
        call,
        "workflow.html",
        title=told.title or told.name,
        section="workflows",
        it=told,
        lines=_lines(told.source, told.problems),
        picture=_picture(call, workflow),
        runs=_runs(call, workflow),
        micros=lambda text: moment_of(text, now=now),
        may_start=not told.is_broken and _may_start(call, told.name, told.environment),
        errors=[one for one in told.problems if one.severity == "error"],
        warnings=[one for one in told.problems if one.severity != "error"],
    )


def _may_start(call: Call, name: str, environment: str | None) -> bool:
    """Whether a start button makes sense; where the environment follows from the inputs, the start itself is asked."""
    known = environment if environment and "${{" not in environment else ""
    return call.may("run.start", Target(workflow=name, environment=known)) or (
        not known and call.may_at_all("run.start")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLine:
    """One line of a file, and what is wrong in it."""

    number: int
    text: str
    problems: tuple[str, ...] = ()


def _lines(source: str, problems: list[workflows.FoundProblem]) -> list[SourceLine]:
    by_line: dict[int, list[str]] = {}
    for one in problems:
        by_line.setdefault(one.line, []).append(one.message)
    return [
        SourceLine(number=number, text=text, problems=tuple(by_line.get(number, ())))
        for number, text in enumerate(source.splitlines(), start=1)
    ]


def _picture(call: Call, workflow: str) -> object:
    one = catalogue.find(call, workflow)
    if not isinstance(one, Loaded):
        return None
    return drawings.workflow_picture(Plan(one.workflow, one.digest))


def _runs(call: Call, workflow: str) -> tuple[RunRow, ...]:
    if not call.may_at_all("run.view"):
        return ()
    return finding.page_of(call, RunFilter(workflow=workflow, rows_max=RUNS_SHOWN)).rows


# --- starting ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What a form of a start has sent."""

    typed: fields.Typed | None = None
    """None where nothing was typed yet: then the defaults stand there."""
    glass: str = ""
    """The reason of an emergency start."""
    key: str = ""
    problems: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    refused: TowpathError | None = None
    rehearsal: rehearsals.Rehearsal | None = None


@ROUTES.get("/workflows/{workflow}/start", permission="run.start")
def start_form(call: Asked, workflow: catalogue.WorkflowName, request: Request) -> HTMLResponse:
    """The form that starts a workflow; values in the address are filled in, and nothing starts."""
    given = fields.typed_in(request.query_params)
    loaded = acts.find_workflow(call, workflow)
    typed = {**_defaults(loaded), **given} if given else None
    return _form(call, workflow, Sent(typed=typed))


def _defaults(loaded: Loaded) -> dict[str, str]:
    shown = fields.fields_of(loaded.workflow.inputs)
    return {one.name.removeprefix("form."): one.value for one in shown}


@ROUTES.post("/workflows/{workflow}/start", permission="run.start")
async def start(call: Asked, workflow: catalogue.WorkflowName, request: Request) -> Response:
    """Starts a run, or tells what one would do; what is wrong is told at its field, and what was typed is kept."""
    form = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    act = form.get("act", "")
    sent = Sent(typed=fields.typed_in(form), glass=form.get("glass", ""), key=form.get("key", "")[:100])
    loaded = await run_in_threadpool(acts.find_workflow, call, workflow)
    read = fields.read(loaded.workflow.inputs, sent.typed or {})
    problems = dict(read.problems)
    if act == "break_glass" and not sent.glass.strip():
        problems["glass"] = ("has to be filled in",)
    if problems:
        return await _again(call, workflow, sent, problems=problems)
    body = acts.Start(
        workflow=workflow,
        inputs=dict(read.values),
        break_glass=sent.glass.strip()[: acts.REASON_CHARS_MAX] if act == "break_glass" else "",
    )
    try:
        if act == "rehearse":
            wish = rehearsals.Rehearse(**body.model_dump())
            found = await run_in_threadpool(rehearsals.rehearse_run, call, wish)
            return await _again(call, workflow, sent, rehearsal=found, status=200)
        started = await acts.start_run(call, body, once_for_form(call, sent.key))
    except (Forbidden, Unauthenticated):
        raise
    except InputsInvalid as error:
        return await _again(call, workflow, sent, refused=error)
    except TowpathError as error:
        return await _again(call, workflow, sent, refused=error, status=_CONFLICT)
    return pages.see_other(f"/runs/{started.run.number}", done="started")


async def _again(
    call: Call,
    workflow: str,
    sent: Sent,
    *,
    status: int = _UNPROCESSABLE,
    **changes: Any,  # noqa: ANN401 - its fields
) -> HTMLResponse:
    shown = Sent(typed=sent.typed, glass=sent.glass, key=sent.key, **changes)
    return await run_in_threadpool(_form, call, workflow, shown, status=status)


def _form(call: Call, workflow: str, sent: Sent, *, status: int = 200) -> HTMLResponse:
    loaded = acts.find_workflow(call, workflow)
    declared = loaded.workflow.inputs
    if not _may_start(call, loaded.workflow.name, loaded.workflow.environment):
        call.allow("run.start", Target(workflow=loaded.workflow.name))
    return pages.page(
        call,
        "start.html",
        title=f"Start {loaded.workflow.title or loaded.workflow.name}",
        section="workflows",
        status=status,
        workflow=loaded.workflow,
        fields=fields.fields_of(declared, typed=sent.typed, problems=sent.problems),
        sent=sent,
        # A form that is shown once more has the same key: whatever happened to it, one run is started.
        key=sent.key or secrets.token_urlsafe(18),
        may_break_glass=call.may_at_all("run.start_break_glass"),
    )
