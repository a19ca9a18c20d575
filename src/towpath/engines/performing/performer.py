"""The performer: one attempt in, the stimulus that tells its end out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import TYPE_CHECKING

from towpath.core.commands import PerformStep
from towpath.core.plan import Plan, PlanStep
from towpath.core.run import Error, Json, Micros, RunId
from towpath.core.stimuli import StepEnded
from towpath.definition import model
from towpath.engines.performing.secrets_in_use import SecretsInUse
from towpath.errors import OperatorError, StepError, StoreUnavailable, TowpathError, Unreachable
from towpath.steps.secrets import Masker, SecretMissing
from towpath.store.contract import ArtifactRow, RunNumber
from towpath.store.logs import RunLog, StepLog

if TYPE_CHECKING:
    from towpath.steps.contract import Action, Egress
    from towpath.steps.processes import EnvironmentBase, ProcessRunner

_LOG = logging.getLogger("towpath.performer")
Now = Callable[[], Micros]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One attempt that is to be performed, with what it needs to know of its run."""

    number: RunNumber
    run: RunId
    plan: Plan
    planned: PlanStep
    environment: str
    command: PerformStep
    started_by: str

    @property
    def place(self) -> str:
        """The environment in which the step runs."""
        return self.command.work.environment or self.environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What performing needs from outside; one for a process."""

    processes: ProcessRunner
    actions: Callable[[str], Action]
    secrets: SecretsInUse
    egress: Egress
    environment_base: EnvironmentBase
    project: FilePath
    workspaces: FilePath
    logs: Callable[[RunNumber], RunLog]
    keep_artifact: Callable[[FilePath, ArtifactRow], ArtifactRow]
    """Copies a file into the store; size and digest of the row are filled in."""
    labels: frozenset[str] = frozenset()
    """What `runs_on` may ask for here."""
    environment_variables: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    """Variables that an environment of towpath.yaml gives to its scripts."""


class Performer:
    """Performs attempts one way for every engine."""

    def __init__(self, tools: Tools) -> None:
        self.tools = tools
        self._logs: dict[RunNumber, RunLog] = {}

    def perform_now(self, order: Order, *, at: Now) -> StepEnded | None:
        """Performs an instant action at once; None for everything that needs time."""
        step = order.planned.step
        if not isinstance(step, model.UsesStep) or order.command.stage != "main":
            return None
        from towpath.engines.performing import actions  # noqa: PLC0415 - scripts need no actions

        return actions.perform_now(self, order, step, at=at)

    async def perform(self, order: Order, *, at: Now) -> StepEnded:
        """Performs the attempt to its end; being cancelled means that nothing of it is left when this ends."""
        log = AttemptLog(self, order)
        try:
            outputs, error, done = await self._perform(order, log)
        except StepError as problem:
            outputs, error, done = _outputs_of(problem), _error_of(problem), None
        except StoreUnavailable as problem:
            outputs, error, done = {}, Error(kind="denied", message=problem.message), None
        except TowpathError as problem:
            log.say(str(problem))
            outputs, error, done = {}, _error_of(problem), None
        except Exception as problem:
            _LOG.exception("performer.step_crashed run=%s path=%s", order.number, order.command.path)
            outputs, error, done = {}, Error(kind="invalid", message=f"{type(problem).__name__}: {problem}"), None
        finally:
            log.close()
        return self.ended(order, at(), outputs, error, done)

    def stopped(self, order: Order, *, at: Micros) -> StepEnded:
        """How an attempt ended that was stopped."""
        return self.ended(order, at, {}, Error(kind="cancelled", message="it was stopped"), None)

    def run_ended(self, run: RunId) -> None:
        """Forgets what was kept for a run, and removes its empty workspace."""
        folder = self.tools.workspaces / run
        try:
            folder.rmdir()
        except OSError:
            return

    def log_of(self, number: RunNumber) -> RunLog:
        """The log of a run."""
        log = self._logs.get(number)
        if log is None:
            if len(self._logs) > _LOGS_KEPT_MAX:
                self._logs.pop(next(iter(self._logs)))
            log = self._logs[number] = self.tools.logs(number)
        return log

    async def close(self) -> None:
        """Ends what still runs."""
        await self.tools.processes.close()

    async def _perform(
        self, order: Order, log: AttemptLog
    ) -> tuple[Mapping[str, Json], Error | None, bool | None]:
        self._check_labels(order)
        step = order.planned.step
        check = step.check if step is not None and order.command.stage == "check" else None
        is_script = isinstance(step, model.RunStep) if check is None else check.run is not None
        if is_script:
            from towpath.engines.performing import scripts  # noqa: PLC0415 - actions need no scripts

            return await scripts.perform(self, order, log)
        from towpath.engines.performing import actions  # noqa: PLC0415 - scripts need no actions

        return await actions.perform(self, order, log)

    def _check_labels(self, order: Order) -> None:
        step = order.planned.step
        missing = set(step.runs_on) - self.tools.labels if step is not None else set()
        if missing:
            raise OperatorError(
                f"no worker has the labels {', '.join(sorted(missing))}",
                help="the embedded engine is one worker: see `labels` under `engine` in towpath.yaml",
            )

    def ended(
        self, order: Order, at: Micros, outputs: Mapping[str, Json], error: Error | None, done: bool | None
    ) -> StepEnded:
        """The stimulus that tells how an attempt ended, with nothing secret in it."""
        masker = self.tools.secrets.masker_for(order.plan, order.place)
        return StepEnded(
            at=at,
            path=order.command.path,
            attempt=order.command.attempt,
            stage=order.command.stage,
            outputs=_masked(masker, outputs),
            error=_masked_error(masker, error),
            done=done,
        )


_LOGS_KEPT_MAX = 1_000


class AttemptLog:
    """The log of one attempt; its files are made when the first line comes."""

    __slots__ = ("_log", "_order", "_performer")

    def __init__(self, performer: Performer, order: Order) -> None:
        self._performer = performer
        self._order = order
        self._log: StepLog | None = None

    def write(self, stream: str, data: bytes) -> None:
        """Appends what a process wrote, masked already."""
        self._open().write(stream, data)  # type: ignore[arg-type] # the runner's names are the log's

    def say(self, text: str) -> None:
        """Appends what Towpath or an action says; it is masked here."""
        masker = self._performer.tools.secrets.masker_for(self._order.plan, self._order.place)
        self._open().say(masker.text(text))

    def close(self) -> None:
        """No more will come."""
        if self._log is not None:
            self._log.close()

    def _open(self) -> StepLog:
        if self._log is None:
            command = self._order.command
            self._log = self._performer.log_of(self._order.number).step(command.path, command.attempt)
        return self._log


def _masked(masker: Masker, outputs: Mapping[str, Json]) -> Mapping[str, Json]:
    if not outputs or not masker:
        return outputs
    masked = masker.value(dict(outputs))
    assert isinstance(masked, dict), "a map stays a map"  # noqa: S101 - our own promise
    return masked


def _masked_error(masker: Masker, error: Error | None) -> Error | None:
    if error is None or not masker:
        return error
    outputs = None if error.outputs is None else _masked(masker, error.outputs)
    return Error(
        kind=error.kind,
        message=masker.text(error.message),
        step=error.step,
        exit_code=error.exit_code,
        outputs=outputs,
    )


def _error_of(problem: TowpathError) -> Error:
    message = f"{problem.message} {problem.help}".strip() if problem.help else problem.message
    if isinstance(problem, StepError):
        return Error(
            kind=problem.kind, message=problem.message, exit_code=getattr(problem, "exit_code", None)
        )
    if isinstance(problem, Unreachable):
        return Error(kind="unreachable", message=message)
    kind = "denied" if isinstance(problem, SecretMissing) else "invalid"
    return Error(kind=kind, message=message)


def _outputs_of(problem: StepError) -> Mapping[str, Json]:
    outputs: Mapping[str, Json] = getattr(problem, "outputs", {})
    return outputs

