"""Runs that a run starts: other workflows, played for real unless the script says how they end; and the review after a broken glass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from towpath.core import commands, stimuli
from towpath.core.run import Error, Json, Path, Run, RunId, Work
from towpath.definition import model
from towpath.definition.inputs import complete_inputs
from towpath.errors import Refused, TowpathError
from towpath.trials.testing import plausible
from towpath.trials.testing.addresses import Place
from towpath.trials.testing.files import Result

if TYPE_CHECKING:
    from towpath.trials.testing.world import Drive, World

MICROS = 1_000_000
NESTING_MAX = 16
"""Runs that may be inside each other."""


class Children:
    """Starts and stops the runs that runs start."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._drives: dict[RunId, Drive] = {}
        """Runs that are played, by their id."""
        self._scripted: dict[RunId, Result] = {}
        """Runs that end as the script says."""

    def start(self, drive: Drive, command: commands.StartChild) -> None:
        """Starts a run for a step, or finds the one that was started before a crash."""
        step = drive.piece.plan[command.plan].step
        assert isinstance(step, model.WorkflowStep), "only workflow steps have children"
        if command.child in self._drives:
            if step.detach:
                self._answer(drive, command, status="running")
            return
        place = drive.place(command.path, command.plan)
        if command.child not in self._scripted:
            self._world.began(place, "child", work=_work(drive, command))
            result = self._world.results.next(place)
            if result is None:
                self._play(drive, command, step, place)
                return
            self._scripted[command.child] = result
        self._end_as_said(drive, command, step, self._scripted[command.child])

    def stop(self, drive: Drive, path: Path) -> None:
        """Cancels the run that a step had started."""
        node = drive.run.nodes.get(path)
        if node is None or node.child is None:
            return
        child = self._drives.get(node.child)
        if child is not None:
            cancel = stimuli.Cancel(
                at=self._world.now, by=f"run {drive.number}", rollback=drive.run.rolls_back
            )
            self._world.agenda.later(0, lambda: self._world.tell_late(child, cancel), of_process=True)
            return
        ended = stimuli.ChildEnded(at=self._world.now, path=path, child=node.child, status="cancelled")
        self._world.agenda.later(0, lambda: self._world.tell_late(drive, ended), of_process=True)

    def start_review(self, drive: Drive) -> None:
        """An emergency start leaves a review behind."""
        request = self._world.asking.desk.review_of(drive.number, drive.run)
        piece = self._world.bench.lay_out(
            request.workflow,
            digest=request.definition.digest,
            path=request.definition.path or "",
            text=request.definition.text,
        )
        outer = Place(path="~review")
        self._world.start(piece, RunId(f"{drive.run.id}.review"), inputs=request.inputs, outer=outer)

    def _play(
        self, drive: Drive, command: commands.StartChild, step: model.WorkflowStep, place: Place
    ) -> None:
        def on_end(run: Run) -> None:
            ended = stimuli.ChildEnded(
                at=self._world.now,
                path=command.path,
                child=command.child,
                status=run.status,
                outputs=run.outputs or {},
                error=run.error,
            )
            self._world.tell_late(drive, ended)

        try:
            if _depth(place) > NESTING_MAX:
                raise Refused(f"more than {NESTING_MAX} runs are inside each other (NESTING_MAX)")
            piece = self._world.bench.piece(step.workflow)
            inputs = complete_inputs(piece.workflow.inputs, command.with_)
            child = self._world.start(
                piece,
                command.child,
                inputs=inputs,
                outer=place,
                parent=None if step.detach else (drive.run.id, command.path),
                break_glass=drive.run.break_glass,
                on_end=None if step.detach else on_end,
            )
        except TowpathError as problem:
            kind = "denied" if isinstance(problem, Refused) else "invalid"
            error = Error(kind=kind, message=problem.message, step=command.path)
            self._answer(drive, command, status="failed", error=error)
            return
        self._drives[command.child] = child
        if step.detach:
            self._answer(drive, command, status="running")

    def _end_as_said(
        self, drive: Drive, command: commands.StartChild, step: model.WorkflowStep, result: Result
    ) -> None:
        failed = result.fail is not None or bool(result.exit_code)
        status = result.status or ("failed" if failed else "succeeded")
        error = None
        if failed or status not in ("succeeded", "partially_succeeded", "skipped"):
            message = result.message or f"it ended {status}, says the test"
            error = Error(kind=result.fail or "exit", message=message, exit_code=result.exit_code)
        outputs = {**self._declared(step), **result.outputs} if error is None else dict(result.outputs)
        if not result.hangs:
            self._answer(
                drive,
                command,
                status="running" if step.detach and error is None else status,
                error=error,
                outputs=outputs,
                after=0 if step.detach else round(result.takes * MICROS),
            )

    def _declared(self, step: model.WorkflowStep) -> dict[str, Json]:
        try:
            return plausible.outputs_of_workflow(self._world.bench.piece(step.workflow).workflow)
        except TowpathError:
            return {}

    def _answer(
        self,
        drive: Drive,
        command: commands.StartChild,
        *,
        status: str,
        error: Error | None = None,
        outputs: dict[str, Json] | None = None,
        after: int = 0,
    ) -> None:
        def tell() -> None:
            ended = stimuli.ChildEnded(
                at=self._world.now,
                path=command.path,
                child=command.child,
                status=status,  # type: ignore[arg-type] # one of the words of the model
                outputs=outputs or {},
                error=error,
            )
            self._world.tell_late(drive, ended)

        self._world.agenda.later(after, tell, of_process=True)


def _work(drive: Drive, command: commands.StartChild) -> Work | None:
    node = drive.run.nodes.get(command.path)
    return None if node is None else node.work


def _depth(place: Place) -> int:
    return 0 if place.outer is None else 1 + _depth(place.outer)
