"""Performing an action: its inputs with their secrets, the context that it is given, and its answer."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from towpath.core.run import Error
from towpath.core.stimuli import StepEnded
from towpath.definition import model
from towpath.engines.performing import scripts
from towpath.engines.performing.orders import Ending
from towpath.errors import StepError, TowpathError
from towpath.steps.contract import ActionFailed, Egress, LogLevel, Values

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

    async def rehearse_steps(self, names: tuple[str, ...]) -> Values:
        """What the steps of these names, or all that follow, would do; see `steps.contract.RehearsesSteps`."""
        rehearse = self._performer.tools.rehearse
        if rehearse is None:
            raise StepError("this engine cannot rehearse in the middle of a run", kind="invalid")
        return await rehearse(self._order, names)

    async def run_process(self, spec: ProcessSpec) -> ProcessResult:
        """Runs a program, its output into the log."""
        secrets = self._performer.tools.secrets.masker_for(self._order.plan, self._order.place)
        masked = dataclasses.replace(spec, masker=secrets)
        return await self._performer.tools.processes.run(masked, self._log.write)


def perform_now(performer: Performer, order: Order, step: model.UsesStep, *, at: Now) -> StepEnded | None:
    """Performs an instant action at once; None where the action needs time or the step needs more than it."""
    command = order.command
    work = command.work
    if work.secrets or work.artifacts or performer.tools.labels_wanted(order):
        return None
    try:
        action = performer.tools.actions(step.uses, order.commit)
    except TowpathError:
        return None
    if not action.instant:
        return None
    log = performer.log_for(order)
    try:
        ending = Ending(outputs=action.perform_now(work.with_, Context(performer, order, log, work.env)))
    except ActionFailed as problem:
        ending = _failed(problem)
    except Exception as problem:  # noqa: BLE001 - an action's own mistake fails its step
        ending = Ending(error=Error(kind="invalid", message=f"{type(problem).__name__}: {problem}"))
    return performer.ended(order, at(), ending)


async def perform(performer: Performer, order: Order, log: AttemptLog) -> Ending:
    """Performs an action, or the action of a check."""
    step = order.planned.step
    assert step is not None, "the run itself is not performed"
    is_check = order.command.stage == "check"
    name = step.check.uses if is_check and step.check is not None else getattr(step, "uses", "")
    action = performer.tools.actions(name or "", order.commit)
    env, with_, _ = performer.tools.secrets.fill(order.command.work, order.place)
    context = Context(performer, order, log, env)
    time_limit = asyncio.timeout(context.remaining_seconds())
    try:
        async with time_limit:
            ending = Ending(outputs=await action.perform(with_, context))
    except TimeoutError:
        if not time_limit.expired():
            raise
        raise StepError(
            f"{name} took longer than its timeout of {step.timeout:g} s", kind="timeout"
        ) from None
    except ActionFailed as problem:
        ending = _failed(problem)
    if is_check:
        return _check_result(order, ending)
    if order.command.work.artifacts:
        scripts.keep_artifacts(performer, order, context.workspace)
    return ending


def _check_result(order: Order, ending: Ending) -> Ending:
    """What a check tells: `done_when` is asked by the core; without one, success means done."""
    may_judge = ending.error is None or ending.error.kind == "exit" or ending.is_complete
    if order.planned.done_when is not None:
        return Ending(outputs=ending.outputs, error=None if may_judge else ending.error)
    if may_judge:
        return Ending(outputs=ending.outputs, done=ending.error is None)
    return ending


def _failed(problem: ActionFailed) -> Ending:
    """How a failed action ended; one that answered completely may still be judged by `success_when`."""
    message = problem.message if not problem.help else f"{problem.message} {problem.help}"
    error = Error(kind=problem.kind, message=message, exit_code=problem.exit_code)
    return Ending(outputs=problem.outputs, error=error, is_complete=problem.is_complete)
