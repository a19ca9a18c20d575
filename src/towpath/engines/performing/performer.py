"""The performer: one attempt in, the stimulus that tells its end out."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import TYPE_CHECKING

from towpath.core.run import Error, Json, Micros, RunId
from towpath.core.stimuli import StepEnded
from towpath.definition import model
from towpath.engines.performing.orders import WORKSPACE, AttemptLog, Ending, Order
from towpath.engines.performing.secrets_in_use import SecretsInUse
from towpath.errors import OperatorError, StepError, StoreUnavailable, TowpathError, Unreachable
from towpath.steps.secrets import Masker, SecretMissing
from towpath.store.contract import ArtifactRow, RunNumber
from towpath.store.logs import Logs

if TYPE_CHECKING:
    from towpath.core.plan import PlanStep
    from towpath.steps.contract import Action, Egress
    from towpath.steps.processes import EnvironmentBase, ProcessRunner

_LOG = logging.getLogger("towpath.performer")
Now = Callable[[], Micros]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What performing needs from outside; one for a process."""

    processes: ProcessRunner
    actions: Callable[[str, str], Action]
    """The action of a name, as it is at a commit of the project; the commit is empty where the project is a plain folder."""
    secrets: SecretsInUse
    egress: Egress
    environment_base: EnvironmentBase
    project: Callable[[str], FilePath]
    """The folder of the project, as it is at a commit."""
    workspaces: FilePath
    """The folders of runs with a workspace of their own."""
    private: FilePath
    """For what steps tell in confidence (`$TOW_OUTPUT`): in memory where that can be had, for it is not masked yet."""
    logs: Logs
    keep_artifact: Callable[[FilePath, ArtifactRow], None]
    """Copies a file into the store; size and digest of the row are filled in."""
    labels: frozenset[str] = frozenset()
    """What `runs_on` may ask for here."""
    environment_variables: Mapping[str, Mapping[str, str]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    """Variables that an environment of towpath.yaml gives to its scripts."""
    rehearse: Callable[[Order, tuple[str, ...]], Awaitable[Mapping[str, Json]]] | None = None
    """What the steps of these names, or all that follow, would do: the outputs of `towpath.rehearse`."""
    environment_labels: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    """Labels that an environment of towpath.yaml asks for, beside those of `runs_on`."""

    def labels_wanted(self, order: Order) -> frozenset[str]:
        """The labels that a worker has to have for a step: its own, those of the blocks around it, those of its environment."""
        wanted = self.environment_labels.get(order.place, frozenset())
        planned: PlanStep | None = order.planned
        while planned is not None:
            if planned.step is not None and planned.step.runs_on:
                wanted = wanted.union(planned.step.runs_on)
            planned = planned.parent
        return wanted


class Performer:
    """Performs attempts one way for every engine."""

    def __init__(self, tools: Tools) -> None:
        self.tools = tools
        self.homes: set[FilePath] = set()
        """Folders of runs that were made here and may be empty when this process ends."""

    def perform_now(self, order: Order, *, at: Now) -> StepEnded | None:
        """Performs an instant action at once; None for everything that needs time."""
        step = order.planned.step
        if not isinstance(step, model.UsesStep) or order.command.stage != "main":
            return None
        from towpath.engines.performing import actions

        return actions.perform_now(self, order, step, at=at)

    async def perform(self, order: Order, *, at: Now) -> StepEnded:
        """Performs the attempt to its end; being cancelled means that nothing of it is left when this ends."""
        log = self.log_for(order)
        try:
            ending = await self._perform(order, log)
        except StepError as problem:
            ending = Ending(outputs=getattr(problem, "outputs", {}), error=_error_of(problem))
        except StoreUnavailable as problem:
            ending = Ending(error=Error(kind="denied", message=problem.message))
        except TowpathError as problem:
            log.say(str(problem))
            ending = Ending(error=_error_of(problem))
        except Exception as problem:  # noqa: BLE001 - the edge of a step: it becomes the step's error
            _LOG.exception("performer.step_crashed run=%s path=%s", order.number, order.command.path)
            ending = Ending(error=Error(kind="invalid", message=f"{type(problem).__name__}: {problem}"))
        return self.ended(order, at(), ending)

    def stopped(self, order: Order, *, at: Micros) -> StepEnded:
        """How an attempt ended that was stopped."""
        return self.ended(order, at, Ending(error=Error(kind="cancelled", message="it was stopped")))

    def log_for(self, order: Order) -> AttemptLog:
        """The log of an attempt."""
        secrets = self.tools.secrets
        return AttemptLog(self.tools.logs, order, lambda: secrets.masker_for(order.plan, order.place))

    def run_ended(self, number: RunNumber, run: RunId) -> None:
        """Lets go of what was kept for a run, and removes what its attempts have left in its folder."""
        self.tools.logs.close_run(number)
        self.clear(run)

    def clear(self, run: RunId) -> None:
        """Removes what attempts have left of a run, but for a workspace of its own."""
        self.homes.discard(self.tools.private / run)
        for folder in {self.tools.private / run, self.tools.workspaces / run}:
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                _remove_all_but(folder, WORKSPACE)

    def tidy(self, is_open: Callable[[RunId], bool]) -> None:
        """Removes what dead processes have left of runs that are over."""
        with contextlib.suppress(FileNotFoundError):
            for folder in self.tools.private.iterdir():
                if not is_open(RunId(folder.name)):
                    self.clear(RunId(folder.name))

    def hold(self, lock: int | None) -> None:
        """Keeps the lock of this process until the last of its steps is dead, however the process ends."""
        if lock is not None:
            self.tools.processes.hold(lock)

    async def close(self) -> None:
        """Ends what still runs."""
        await self.tools.processes.close()
        self.tools.logs.close()
        for home in self.homes:
            with contextlib.suppress(OSError):
                home.rmdir()
        if self.tools.private != self.tools.workspaces:
            with contextlib.suppress(OSError):  # another process may use it
                self.tools.private.rmdir()

    async def _perform(self, order: Order, log: AttemptLog) -> Ending:
        self.check_labels(order)
        step = order.planned.step
        check = step.check if step is not None and order.command.stage == "check" else None
        is_script = isinstance(step, model.RunStep) if check is None else check.run is not None
        if is_script:
            from towpath.engines.performing import scripts

            return await scripts.perform(self, order, log)
        from towpath.engines.performing import actions

        return await actions.perform(self, order, log)

    def check_labels(self, order: Order) -> None:
        """Raises OperatorError where the step asks for labels that this worker does not have."""
        missing = self.tools.labels_wanted(order) - self.tools.labels
        if missing:
            raise OperatorError(
                f"no worker has the labels {', '.join(sorted(missing))}",
                help=f"this machine is the only worker; its labels are {', '.join(sorted(self.tools.labels))}",
            )

    def ended(self, order: Order, at: Micros, ending: Ending) -> StepEnded:
        """The stimulus that tells how an attempt ended, with nothing secret in it."""
        masker = self.tools.secrets.masker_for(order.plan, order.place)
        return StepEnded(
            at=at,
            path=order.command.path,
            attempt=order.command.attempt,
            stage=order.command.stage,
            outputs=_masked(masker, ending.outputs),
            error=_masked_error(masker, ending.error),
            done=ending.done,
            is_complete=ending.is_complete,
        )


def _remove_all_but(folder: FilePath, kept: str) -> None:
    import shutil

    for path in [path for path in folder.iterdir() if path.name != kept]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    if not (folder / kept).exists():
        folder.rmdir()


def _masked(masker: Masker, outputs: Mapping[str, Json]) -> Mapping[str, Json]:
    if not outputs or not masker:
        return outputs
    masked = masker.value(dict(outputs))
    assert isinstance(masked, dict), "a map stays a map"
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
