"""Attempts as the script says: how they go, how long they take, and what becomes of them when they are stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from towpath.core import commands, stimuli
from towpath.core.plan import PlanStep
from towpath.core.run import Error, Json, Path
from towpath.definition import model
from towpath.trials.testing import plausible
from towpath.trials.testing.files import CheckResult, Result

if TYPE_CHECKING:
    from towpath.trials.testing.world import Drive, World

MICROS = 1_000_000
STOPPING = 1_000
"""What it takes to stop an attempt, in microseconds."""
_OK = Result()
_NOT_DONE = CheckResult()
Stop = Callable[[], None]


class Performing:
    """Performs and stops the attempts of all runs of a test."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stops: dict[tuple[int, Path], Stop] = {}

    def perform(self, drive: Drive, command: commands.PerformStep) -> None:
        """Begins an attempt."""
        place = drive.place(command.path, command.plan)
        planned = drive.piece.plan[command.plan]
        if command.stage == "check":
            self._world.began(place, "check", work=command.work)
            self._check(drive, command, self._world.checks.next(place) or _NOT_DONE)
            return
        self._world.began(place, "step", work=command.work)
        result = self._world.results.next(place) or _OK
        timeout = None if planned.step is None else planned.step.timeout
        if timeout is not None and (result.hangs or result.takes > timeout):
            message = f"it took longer than its timeout of {timeout:g} s"
            result = _OK.model_copy(update={"fail": "timeout", "message": message, "takes": timeout})
        self._attempt(drive, command, planned, result)

    def stop(self, drive: Drive, path: Path) -> bool:
        """Stops an attempt; False where none is being performed."""
        stop = self._stops.get((drive.number, path))
        if stop is None:
            return False
        stop()
        return True

    def lose_all(self) -> None:
        """The process died, and every attempt with it."""
        self._stops.clear()

    def _attempt(
        self, drive: Drive, command: commands.PerformStep, planned: PlanStep, result: Result
    ) -> None:
        def end_well() -> None:
            self._end(drive, command, planned, result)

        def stopped() -> None:
            self._tell(drive, command, error=Error(kind="cancelled", message="it was stopped"))

        def lost() -> None:
            self._lose(drive, command)

        end = lost if result.lost else end_well
        answers = {"stops": stopped, "ends": end_well, "lost": lost}
        self._begin(drive, command, end, None if result.hangs else result.takes, answers[result.when_stopped])

    def _check(self, drive: Drive, command: commands.PerformStep, result: CheckResult) -> None:
        def end() -> None:
            error = None
            if result.fail is not None:
                error = Error(kind=result.fail, message=result.message or _message(result.fail, None))
            outputs = {"stdout": "", "exit_code": 0 if result.done else 1, **result.outputs}
            self._tell(drive, command, outputs=outputs, error=error, done=None if error else result.done)

        def stopped() -> None:
            self._tell(drive, command, error=Error(kind="cancelled", message="it was stopped"))

        act = (lambda: self._lose(drive, command)) if result.lost else end
        self._begin(drive, command, act, result.takes, stopped)

    def _begin(
        self,
        drive: Drive,
        command: commands.PerformStep,
        end: Callable[[], None],
        seconds: float | None,
        when_stopped: Callable[[], None],
    ) -> None:
        """An attempt is on its way: it ends by itself after so many seconds, or when it is stopped, and only once."""
        is_over = False

        def once(act: Callable[[], None]) -> Callable[[], None]:
            def ending() -> None:
                nonlocal is_over
                if not is_over:
                    is_over = True
                    self._stops.pop((drive.number, command.path), None)
                    act()

            return ending

        agenda = self._world.agenda
        self._stops[drive.number, command.path] = lambda: agenda.later(
            STOPPING, once(when_stopped), of_process=True
        )
        if seconds is not None:
            agenda.later(round(seconds * MICROS), once(end), of_process=True)

    def _end(self, drive: Drive, command: commands.PerformStep, planned: PlanStep, result: Result) -> None:
        kind = result.fail or ("exit" if result.exit_code else None)
        if kind is None:
            outputs = plausible.outputs_of(
                self._world.bench, drive.piece, drive.run, planned, command.path, said=result.outputs
            )
            self._tell(drive, command, outputs=outputs)
            return
        is_script = isinstance(planned.step, model.RunStep)
        code = result.exit_code
        if code is None and is_script and kind == "exit":
            code = 1
        outputs = dict(result.outputs)
        if is_script:
            outputs = {"stdout": "", **({} if code is None else {"exit_code": code}), **outputs}
        error = Error(kind=kind, message=result.message or _message(kind, code), exit_code=code)
        self._tell(drive, command, outputs=outputs, error=error)

    def _tell(
        self,
        drive: Drive,
        command: commands.PerformStep,
        *,
        outputs: dict[str, Json] | None = None,
        error: Error | None = None,
        done: bool | None = None,
    ) -> None:
        ended = stimuli.StepEnded(
            at=self._world.now,
            path=command.path,
            attempt=command.attempt,
            stage=command.stage,
            outputs=outputs or {},
            error=error,
            done=done,
        )
        self._world.tell(drive, ended)

    def _lose(self, drive: Drive, command: commands.PerformStep) -> None:
        self._world.tell(drive, interrupted(command, at=self._world.now))


def interrupted(command: commands.PerformStep, *, at: int) -> stimuli.Interrupted:
    """The performer of an attempt was lost."""
    return stimuli.Interrupted(at=at, path=command.path, attempt=command.attempt, stage=command.stage)


def _message(kind: str, code: int | None) -> str:
    return f"exit code {code}" if code is not None else f"it ended with {kind}, says the test"
