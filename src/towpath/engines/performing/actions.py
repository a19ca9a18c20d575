"""Performing an action: its inputs with their secrets, the context that it is given, and its answer."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from towpath.core.run import Error, Json
from towpath.core.stimuli import StepEnded
from towpath.definition import model
from towpath.engines.performing import scripts
from towpath.errors import StepError, TowpathError
from towpath.steps.contract import ActionFailed, Egress, LogLevel

if TYPE_CHECKING:
    from towpath.engines.performing.orders import AttemptLog, Order
    from towpath.engines.performing.performer import Now, Performer
    from towpath.steps.processes import ProcessResult, ProcessSpec


class Context:
    """What a running action is given: see `steps.contract.StepContext`."""

    def __init__(self, performer: Performer, order: Order, log: AttemptLog, env: Mapping[str, str]) -> None:
        self._performer = performer
        self._order = order
        self._log = log
        self._env = env
        self._workspace: FilePath | None = None
        timeout = order.planned.step.timeout if order.planned.step is not None else None
        self._until = None if timeout is None else time.monotonic() + timeout

    @property
    def run_id(self) -> str:
        """The run that this attempt belongs to."""
        return self._order.run

    @property
    def path(self) -> str:
        """Where the step stands in the run."""
        return self._order.command.path

    @property
    def attempt(self) -> int:
        """1 for the first attempt."""
        return self._order.command.attempt

    @property
    def idempotency_key(self) -> str:
        """Run and command id: the same when this attempt is repeated."""
        return f"{self._order.run}/{self._order.command.id}"

    @property
    def workspace(self) -> FilePath:
        """The folder in which the step works."""
        if self._workspace is None:
            workspace = scripts.workspace_of(self._performer, self._order)
            self._workspace = scripts.folder_in(workspace, self._order.command.work.cwd)
        return self._workspace

    @property
    def environment(self) -> Mapping[str, str]:
        """The whole environment for programs of this step."""
        return scripts.step_environment(self._performer, self._order, self._env, {})

    @property
    def egress(self) -> Egress:
        """The guarded HTTP client."""
        return self._performer.tools.egress

    def remaining_seconds(self) -> float | None:
        """The time left until the step's timeout."""
        return None if self._until is None else max(0.0, self._until - time.monotonic())

    def log(self, text: str, *, level: LogLevel = "info") -> None:
        """Adds lines to the step's log."""
        self._log.say(text if level == "info" else f"{level}: {text}")

    async def run_process(self, spec: ProcessSpec) -> ProcessResult:
        """Runs a program, its output into the log."""
        secrets = self._performer.tools.secrets.masker_for(self._order.plan, self._order.place)
        masked = dataclasses.replace(spec, masker=secrets)
        return await self._performer.tools.processes.run(masked, self._log.write)


def perform_now(performer: Performer, order: Order, step: model.UsesStep, *, at: Now) -> StepEnded | None:
    """Performs an instant action at once; None where the action needs time or the step needs more than it."""
    command = order.command
    work = command.work
    if work.secrets or work.artifacts or step.runs_on:
        return None
    try:
        action = performer.tools.actions(step.uses)
    except TowpathError:
        return None
    if not action.instant:
        return None
    log = performer.log_for(order)
    outputs: Mapping[str, Json] = {}
    error: Error | None = None
    try:
        outputs = action.perform_now(work.with_, Context(performer, order, log, work.env))
    except ActionFailed as problem:
        outputs, error = problem.outputs, _error(problem)
    except Exception as problem:  # noqa: BLE001 - an action's own mistake fails its step
        error = Error(kind="invalid", message=f"{type(problem).__name__}: {problem}")
    return performer.ended(order, at(), outputs, error, None)


async def perform(performer: Performer, order: Order, log: AttemptLog) -> scripts.Result:
    """Performs an action, or the action of a check."""
    step = order.planned.step
    assert step is not None, "the run itself is not performed"  # noqa: S101 - our own promise
    is_check = order.command.stage == "check"
    name = step.check.uses if is_check and step.check is not None else getattr(step, "uses", "")
    action = performer.tools.actions(name or "")
    env, with_, _ = performer.tools.secrets.fill(order.command.work, order.place)
    context = Context(performer, order, log, env)
    try:
        async with asyncio.timeout(context.remaining_seconds()):
            outputs = await action.perform(with_, context)
        error = None
    except TimeoutError:
        raise StepError(
            f"{name} took longer than its timeout of {step.timeout:g} s", kind="timeout"
        ) from None
    except ActionFailed as problem:
        outputs, error = problem.outputs, _error(problem)
    if order.command.work.artifacts and not is_check:
        scripts.keep_artifacts(performer, order, context.workspace)
    if is_check:
        return _check_result(performer, order, outputs, error)
    return outputs, error, None


def _check_result(
    performer: Performer, order: Order, outputs: Mapping[str, Json], error: Error | None
) -> scripts.Result:
    """Whether the check's action says done: its `done_when`, or its success."""
    condition = order.planned.done_when
    if condition is None:
        return outputs, None, error is None
    if error is not None and error.kind != "exit":
        return outputs, error, None
    return outputs, None, condition.holds({"outputs": outputs})


def _error(problem: ActionFailed) -> Error:
    """The error of a failed action; one that answered completely may still be judged by `success_when`."""
    kind = "exit" if problem.is_complete else problem.kind
    message = problem.message if not problem.help else f"{problem.message} {problem.help}"
    return Error(kind=kind, message=message, exit_code=problem.exit_code)
