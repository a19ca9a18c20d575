"""What people do to runs: start them, stop them, have them go on, undo them.

What is done is durable when the answer comes. Each act may be sent with an `Idempotency-Key`; sent again with the same key it is not done
again, also where the server died before it could answer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any, Final

from fastapi import Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from towpath.core import stimuli
from towpath.core.decide import advance, new_run
from towpath.core.run import RunId
from towpath.definition import loader, model
from towpath.definition.inputs import InputsInvalid
from towpath.engines import acting
from towpath.engines.acting import GoingOn
from towpath.engines.contract import StartRequest
from towpath.errors import NotFound
from towpath.observe import audit
from towpath.policy.access import Target
from towpath.server.api import finding, runs
from towpath.server.api.run_answers import Run
from towpath.server.api.runs import RunName
from towpath.server.api.told import Asking, Json, Told
from towpath.server.call import Asked, Call
from towpath.server.once import Once, OnceOnly
from towpath.server.routing import Routes
from towpath.store.contract import Definition, RunRow

ROUTES = Routes(prefix="/api/v1/runs", tag="runs")
REASON_CHARS_MAX: Final = 2_000
NAME_CHARS_MAX: Final = 200
PATH_CHARS_MAX: Final = 1_000
INPUTS_MAX: Final = 500
_CREATED: Final = 201
_NOBODY: Final = RunId("0" * 16)
"""Stands for a run that is only imagined."""


class Start(Asking):
    """A run that somebody wants."""

    workflow: str = Field(
        min_length=1, max_length=NAME_CHARS_MAX, description="The workflow's name.", examples=["release"]
    )
    inputs: dict[str, Json] = Field(
        default={},
        max_length=INPUTS_MAX,
        description="Its inputs by name. Texts may stand for other types, as on a command line.",
        examples=[{"version": "1.4.2"}],
    )
    break_glass: str = Field(
        default="",
        max_length=REASON_CHARS_MAX,
        description="The reason of an emergency start, past every gate: it leaves a review.",
    )


class Cancel(Asking):
    """A run is to be stopped."""

    rollback: bool = Field(default=True, description="Whether what it did is undone.")
    reason: str = Field(default="", max_length=REASON_CHARS_MAX, description="Why; kept with the run.")


class OneStep(Asking):
    """A step is meant; left out where only one can be."""

    step: str | None = Field(default=None, max_length=PATH_CHARS_MAX, description="The step's path.")


class Skip(OneStep):
    """A step is to be passed over."""

    reason: str = Field(default="", max_length=REASON_CHARS_MAX, description="Why; kept with the run.")


class StopStep(Asking):
    """What one step is doing is to be stopped."""

    step: str = Field(min_length=1, max_length=PATH_CHARS_MAX, description="The step's path.")
    reason: str = Field(default="", max_length=REASON_CHARS_MAX, description="Why; kept with the run.")


class Reason(Asking):
    """Why something is done."""

    reason: str = Field(default="", max_length=REASON_CHARS_MAX, description="Why; kept with the run.")


class Signal(Asking):
    """A signal for a run."""

    name: str = Field(
        min_length=1, max_length=NAME_CHARS_MAX, description="The signal's name.", examples=["go"]
    )
    payload: Json = Field(default=None, description="What the waiting step gets as its outputs.")


class Acted(Told):
    """What was done is durable."""

    run: Run = Field(description="The run that it was done to, or the new one, as it is now.")
    is_new: bool = Field(description="Whether a new run was started.")


_MADE: Final[dict[int | str, dict[str, Any]]] = {
    _CREATED: {
        "model": Acted,
        "description": "A new run was started.",
        "headers": {"Location": {"description": "The new run.", "schema": {"type": "string"}}},
    }
}


# --- starting ----------------------------------------------------------------------------------------------


async def start_run(call: Call, body: Start, once: Once | None = None) -> Acted:
    """Start a workflow; it is durable when this returns, and begins at once unless it is queued."""
    request = await run_in_threadpool(wanted, call, body)
    return await _started(call, request, once)


def wanted(call: Call, body: Start) -> StartRequest:
    """The start that is meant, judged; raises NotFound, Forbidden, DefinitionProblems or InputsInvalid."""
    loaded = find_workflow(call, body.workflow)
    try:
        request = call.app.request(
            loaded, body.inputs, started_by=call.by, break_glass=" ".join(body.break_glass.split())
        )
    except InputsInvalid:
        # What inputs there are is for those who may see the workflow.
        if not call.may("workflow.view", Target(workflow=loaded.workflow.name)):
            call.allow("run.start", Target(workflow=loaded.workflow.name))
        raise
    for environment in dict.fromkeys(environments_of(call, request)):
        target = Target(workflow=loaded.workflow.name, environment=environment)
        call.allow("run.start", target)
        if request.break_glass:
            call.allow("run.start_break_glass", target)
    return request


def find_workflow(call: Call, name: str) -> loader.Loaded:
    """A workflow of the project by its name, and nothing that merely is a file; raises NotFound or DefinitionProblems."""
    if call.app.edition is not None:
        return call.app.find(name)  # of a file that does not load, the version before; and never a file
    path = call.app.project.find_workflow(name)
    if path is None:
        raise NotFound(f"there is no workflow {name!r}", help="`GET /api/v1/workflows` lists them")
    return call.app.find(str(path) if FilePath(name).is_file() else name)


def environments_of(call: Call, request: StartRequest) -> Iterator[str]:
    """The environment in which a run would be, also where it takes the version that holds in place of the one that is tried.

    It may depend on the inputs, and is known before anything begins.
    """
    yield _environment(call, request, request.workflow, request.definition, request.inputs)
    if request.steady is not None:
        steady = request.steady
        yield _environment(call, request, steady.workflow, steady.definition, steady.inputs)


def _environment(
    call: Call,
    request: StartRequest,
    workflow: model.Workflow,
    definition: Definition,
    inputs: Mapping[str, Json],
) -> str:
    plans = call.app.plans
    plan = plans.known(definition.digest) or plans.lay_out(workflow, definition.digest)
    start = stimuli.Start(
        at=call.app.now(),
        run=_NOBODY,
        digest=definition.digest,
        inputs=inputs,
        started_by=request.started_by,
        event=request.event,
    )
    return advance(new_run(plan, _NOBODY), start).run.environment


async def _started(call: Call, request: StartRequest, once: Once | None) -> Acted:
    if once is not None:
        request = dataclasses.replace(request, start_key=once.start_key)
    started = await call.parts.engine.start(request)
    return await _acted(call, str(started.number), is_new=True)


# --- acting ------------------------------------------------------------------------------------------------


async def cancel_run(call: Asked, run: RunName, body: Cancel, once: OnceOnly = None) -> Acted:
    """Stop a run: its steps are ended, none of their processes is left, and what was done is undone."""
    row = await run_in_threadpool(finding.find_run, call, run, "run.cancel")
    told = stimuli.Cancel(at=call.app.now(), by=call.by, rollback=body.rollback, reason=body.reason)
    return await _tell(call, row, told, once, did="cancelled")


async def stop_step(call: Asked, run: RunName, body: StopStep, once: OnceOnly = None) -> Acted:
    """Stop what one step is doing, and nothing else; it has failed as `cancelled`, and the run goes on as its file says."""
    row = await run_in_threadpool(finding.find_run, call, run, "run.cancel")
    told = stimuli.StopStep(at=call.app.now(), path=body.step, by=call.by, reason=body.reason)
    return await _tell(call, row, told, once, did="stopped", path=body.step)


async def signal_run(call: Asked, run: RunName, body: Signal, once: OnceOnly = None) -> Acted:
    """Send a signal to a run. It is kept until a step waits for it."""
    row = await run_in_threadpool(finding.find_run, call, run, "run.signal")
    told = stimuli.Signalled(
        at=call.app.now(), kind="signal", name=body.name, payload=body.payload, by=call.by
    )
    return await _tell(call, row, told, once, did="sent the signal", text=body.name)


async def skip_step(call: Asked, run: RunName, body: Skip, once: OnceOnly = None) -> Acted:
    """Pass over a step that asks what to do, or that waits for its next attempt; the run goes on without it."""
    row = await run_in_threadpool(finding.find_run, call, run, "run.skip")
    if await _was_done(call, row, once, did="passed over", path=body.step):
        return await _acted(call, str(row.number), is_new=False)
    path = await run_in_threadpool(_step, call, row, body.step, "skip")
    told = stimuli.Skip(at=call.app.now(), path=path, by=call.by, reason=body.reason)
    return await _tell(call, row, told, None, did="passed over")


async def retry_run(call: Asked, run: RunName, body: OneStep, once: OnceOnly = None) -> Acted:
    """Go on from the step that failed: in an open run that step runs again, of an ended run a new one goes on."""
    row = await run_in_threadpool(finding.find_run, call, run, "run.retry")
    if await _was_done(call, row, once, did="tried again", path=body.step):
        return await _acted(call, str(row.number), is_new=False)
    if not row.is_open:
        return await _go_on(call, row, "retry", once)
    path = await run_in_threadpool(_step, call, row, body.step, "retry")
    return await _tell(
        call, row, stimuli.Retry(at=call.app.now(), path=path, by=call.by), None, did="tried again"
    )


async def rerun_run(call: Asked, run: RunName, once: OnceOnly = None) -> Acted:
    """Run an ended run once more from its beginning: the same definition, the same inputs, a new run."""
    row = await run_in_threadpool(finding.find_run, call, run, "run.retry")
    return await _go_on(call, row, "rerun", once)


async def roll_back_run(call: Asked, run: RunName, body: Reason, once: OnceOnly = None) -> Acted:
    """Undo what a run did: an open run stops and undoes it, an ended run is undone by a new one."""
    row = await run_in_threadpool(finding.find_run, call, run, "run.rollback")
    if await _was_done(call, row, once, did="rolled back"):
        return await _acted(call, str(row.number), is_new=False)
    if not row.is_open:
        return await _go_on(call, row, "rollback", once)
    told = stimuli.Rollback(at=call.app.now(), by=call.by, reason=body.reason)
    return await _tell(call, row, told, None, did="rolled back")


async def resume_run(call: Asked, run: RunName) -> Acted:
    """Take over a run whose owner died or went away, and go on with it here; one that is driven here goes on anyhow."""
    row = await run_in_threadpool(finding.find_run, call, run, "run.retry")
    await call.parts.engine.resume(row.number)
    return await _acted(call, str(row.number), is_new=False)


def _step(call: Call, row: RunRow, step: str | None, verb: str) -> str:
    return acting.choose_step(finding.state_of(call, row), step, verb=verb)


async def _go_on(call: Call, row: RunRow, reason: GoingOn, once: Once | None) -> Acted:
    request = await run_in_threadpool(_continued, call, row, reason)
    return await _started(call, request, once)


def _continued(call: Call, row: RunRow, reason: GoingOn) -> StartRequest:
    request = call.app.continued(row, reason, started_by=call.by)
    acting.check_going_on(finding.state_of(call, row), row, reason)
    return request


async def _tell(
    call: Call,
    row: RunRow,
    stimulus: stimuli.AnyStimulus,
    once: Once | None,
    *,
    did: str,
    path: str | None = None,
    text: str | None = None,
) -> Acted:
    if not await _was_done(call, row, once, did=did, path=path, text=text):
        await call.tell(row, stimulus)
    return await _acted(call, str(row.number), is_new=False)


async def _was_done(
    call: Call,
    row: RunRow,
    once: Once | None,
    *,
    did: str,
    path: str | None = None,
    text: str | None = None,
) -> bool:
    """Whether the journal shows that a request that broke off was done all the same."""
    if once is None or not once.is_again:
        return False

    def found() -> bool:
        return any(
            act.by == call.by
            and act.at >= once.since
            and act.did == did
            and path in (None, act.path)
            and text in (None, act.text)
            for act in audit.acts(call.app.reader.events(row.number))
        )

    return await run_in_threadpool(found)


async def _acted(call: Call, name: str, *, is_new: bool) -> Acted:
    def told() -> Acted:
        row = call.app.reader.run(name)
        return Acted(run=runs.told(call, (row,))[0], is_new=is_new)

    return await run_in_threadpool(told)


# --- routes ------------------------------------------------------------------------------------------------

for _name, _permission, _handler in (
    ("cancel", "run.cancel", cancel_run),
    ("stop_step", "run.cancel", stop_step),
    ("signal", "run.signal", signal_run),
    ("skip", "run.skip", skip_step),
    ("resume", "run.retry", resume_run),
):
    ROUTES.post(f"/{{run}}/{_name}", permission=_permission, operation_id=_handler.__name__)(_handler)


@ROUTES.post("", permission="run.start", operation_id="start_run", status_code=_CREATED, responses=_MADE)
async def _post_start(call: Asked, body: Start, response: Response, once: OnceOnly = None) -> Acted:
    """Start a workflow; it is durable when the answer comes, and begins at once unless it is queued."""
    return _placed(response, await start_run(call, body, once))


@ROUTES.post("/{run}/retry", permission="run.retry", operation_id="retry_run", responses=_MADE)
async def _post_retry(
    call: Asked, run: RunName, body: OneStep, response: Response, once: OnceOnly = None
) -> Acted:
    """Go on from the step that failed: in an open run that step runs again, of an ended run a new one goes on."""
    return _placed(response, await retry_run(call, run, body, once))


@ROUTES.post(
    "/{run}/rerun", permission="run.retry", operation_id="rerun_run", status_code=_CREATED, responses=_MADE
)
async def _post_rerun(call: Asked, run: RunName, response: Response, once: OnceOnly = None) -> Acted:
    """Run an ended run once more from its beginning: the same definition, the same inputs, a new run."""
    return _placed(response, await rerun_run(call, run, once))


@ROUTES.post("/{run}/rollback", permission="run.rollback", operation_id="roll_back_run", responses=_MADE)
async def _post_rollback(
    call: Asked, run: RunName, body: Reason, response: Response, once: OnceOnly = None
) -> Acted:
    """Undo what a run did: an open run stops and undoes it, an ended run is undone by a new one."""
    return _placed(response, await roll_back_run(call, run, body, once))


def _placed(response: Response, acted: Acted) -> Acted:
    if acted.is_new:
        response.status_code = _CREATED
        response.headers["Location"] = f"{ROUTES.prefix}/{acted.run.number}"
    return acted
