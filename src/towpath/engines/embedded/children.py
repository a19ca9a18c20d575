"""Child runs: started once, whatever dies meanwhile, and heard of by their parents."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import TYPE_CHECKING

from towpath.core import commands, stimuli
from towpath.core.run import Error, Path, Run, RunId, RunStatus
from towpath.definition import model
from towpath.definition.inputs import complete_inputs
from towpath.engines.contract import Library, StartRequest
from towpath.engines.embedded import recovery
from towpath.errors import TowpathError
from towpath.store.contract import RunNumber

if TYPE_CHECKING:
    from towpath.engines.embedded.loop import Drive, EmbeddedEngine

_LOG = logging.getLogger("towpath.engine")


class Children:
    """Starts and stops the child runs of an engine's runs, and tells parents how they ended."""

    def __init__(self, engine: EmbeddedEngine, library: Library) -> None:
        self._engine = engine
        self._library = library

    async def start(self, drive: Drive, command: commands.StartChild) -> None:
        """Starts a child run, or finds the one that was started before a restart."""
        step = drive.run.plan[command.plan].step
        assert isinstance(step, model.WorkflowStep), "only workflow steps have children"
        try:
            await self._start_or_find(drive, command, step)
        except TowpathError as error:
            self._answer(drive, command, "failed", recovery.error_of(error, command.path))
            return
        except Exception as error:  # noqa: BLE001 - a child that cannot start fails its step
            _LOG.exception("engine.child_not_started run=%s path=%s", drive.number, command.path)
            broken = Error(kind="invalid", message=f"{type(error).__name__}: {error}", step=command.path)
            self._answer(drive, command, "failed", broken)
            return
        if step.detach:
            self._answer(drive, command, "running", None)
        elif self._is_stopping(drive.number, command.path):
            self.stop(drive, command.child)

    def stop(self, drive: Drive, child: RunId) -> None:
        """Cancels a child run, whoever drives it; one that is only just being accepted is cancelled after that."""
        cancel = stimuli.Cancel(
            at=self._engine.clock.now(), by=f"run {drive.number}", rollback=drive.run.rolls_back
        )
        self._engine.mailroom.tell_or_post(child, cancel)

    def tell_parent(self, run: Run) -> None:
        """Tells the run that waits for *run* how it ended."""
        if run.parent is None:
            return
        parent, path = run.parent
        ended = stimuli.ChildEnded(
            at=self._engine.clock.now(),
            path=path,
            child=run.id,
            status=run.status,
            outputs=run.outputs or {},
            error=run.error,
        )
        self._engine.mailroom.tell_or_post(parent, ended)

    async def _start_or_find(
        self, drive: Drive, command: commands.StartChild, step: model.WorkflowStep
    ) -> None:
        start_key = f"child:{command.child}"
        known = self._engine.store.reader.run_by_start_key(start_key)
        if known is None:
            request = self._request(drive, step, command, start_key)
            editor = await asyncio.to_thread(self._library.edited_by, request.definition)
            await self._engine.start(dataclasses.replace(request, edited_by=editor))
        elif step.detach:
            recovery.take_child_over(self._engine, known)
        else:
            recovery.rejoin_child(self._engine, drive.number, command.path, known)

    def _request(
        self, drive: Drive, step: model.WorkflowStep, command: commands.StartChild, start_key: str
    ) -> StartRequest:
        workflow, definition = self._library.find(step.workflow, commit=drive.run.commit)
        return StartRequest(
            workflow=workflow,
            definition=definition,
            inputs=complete_inputs(workflow.inputs, command.with_),
            started_by=drive.run.started_by,
            break_glass=drive.run.break_glass,
            commit=drive.run.commit,
            start_key=start_key,
            origin=drive.number,
            origin_reason="child",
            parent=None if step.detach else (drive.run.id, command.path),
            run_id=command.child,
        )

    def _answer(
        self, drive: Drive, command: commands.StartChild, status: RunStatus, error: Error | None
    ) -> None:
        """Tells the parent of a child that could not start, or for which it does not wait."""
        ended = stimuli.ChildEnded(
            at=self._engine.clock.now(), path=command.path, child=command.child, status=status, error=error
        )
        self._engine.tell_soon(drive.number, ended)

    def _is_stopping(self, number: RunNumber, path: Path) -> bool:
        """Whether a step was asked to stop while its child run was being accepted."""
        if not self._engine.owns(number):
            return False
        node = self._engine.drive(number).run.nodes.get(path)
        return node is not None and node.status == "performing" and node.stopping
