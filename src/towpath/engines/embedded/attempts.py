"""The attempts that an engine performs: each in a task of its own, when there is a place for it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from towpath.core import commands
from towpath.core.run import Error, Path
from towpath.core.stimuli import StepEnded
from towpath.engines.performing import Order
from towpath.errors import LimitExceeded
from towpath.store.contract import RunNumber

if TYPE_CHECKING:
    from towpath.engines.embedded.loop import Drive, EmbeddedEngine


class Attempts:
    """Performs and stops the attempts of an engine's runs."""

    def __init__(self, engine: EmbeddedEngine, *, performing_max: int) -> None:
        self._engine = engine
        self._places = asyncio.Semaphore(performing_max)
        self._tasks: dict[tuple[RunNumber, Path], asyncio.Task[None]] = {}
        self._stopping: set[asyncio.Task[None]] = set()

    def tasks(self) -> Iterable[asyncio.Task[None]]:
        """The attempts that are being performed."""
        return list(self._tasks.values())

    def perform(self, drive: Drive, command: commands.PerformStep) -> None:
        """Performs an attempt: at once where it is instant, else in a task."""
        engine = self._engine
        order = Order(
            number=drive.number,
            run=drive.run.id,
            plan=drive.run.plan,
            planned=drive.run.plan[command.plan],
            command=command,
            started_by=drive.run.started_by,
            commit=drive.run.commit,
            state=drive.run,
        )
        ended = engine.performer.perform_now(order, at=engine.clock.now)
        if ended is not None:
            self._tell(drive.number, ended)
            return
        key = (drive.number, command.path)
        task = asyncio.get_running_loop().create_task(self._perform_in_place(order))
        self._tasks[key] = task
        task.add_done_callback(lambda done: self._over(key, done, order))

    def stop(self, number: RunNumber, path: Path) -> bool:
        """Has the attempt at *path* stopped; False where none is being performed."""
        task = self._tasks.get((number, path))
        if task is None:
            return False
        self._stopping.add(task)
        task.cancel()
        return True

    def drop(self, number: RunNumber) -> None:
        """Ends every attempt of a run that this engine drives no more, without a word."""
        for (run, _), task in list(self._tasks.items()):
            if run == number:
                self._stopping.discard(task)
                task.cancel()

    async def _perform_in_place(self, order: Order) -> None:
        """Performs one attempt when there is a place for it, and tells the run how it ended."""
        engine = self._engine
        task = asyncio.current_task()
        assert task is not None
        try:
            async with self._places:
                ended = await engine.performer.perform(order, at=engine.clock.now)
        except asyncio.CancelledError:
            if task not in self._stopping or engine.is_closing:
                raise
            ended = engine.performer.stopped(order, at=engine.clock.now())
        finally:
            self._stopping.discard(task)
        self._tasks.pop((order.number, order.command.path), None)
        self._tell(order.number, msgspec.structs.replace(ended, seed=secrets.randbits(30)))

    def _tell(self, number: RunNumber, ended: StepEnded) -> None:
        """Tells the run how an attempt ended; where that is too long to be kept, that it ended so, and why it failed."""

        def on_settled(error: Exception | None) -> None:
            if isinstance(error, LimitExceeded) and error.limit == "RECORD_BYTES_MAX" and ended.outputs:
                message = f"what it handed on cannot be kept: {error.message}"
                failed = Error(kind="invalid", message=message)
                self._tell(number, msgspec.structs.replace(ended, outputs={}, error=failed))

        self._engine.tell_soon(number, ended, on_settled)

    def _over(self, key: tuple[RunNumber, Path], task: asyncio.Task[None], order: Order) -> None:
        """Lets go of an attempt; one that was stopped before it began could not tell so itself."""
        if self._tasks.get(key) is task:
            del self._tasks[key]
        if task in self._stopping:
            self._stopping.discard(task)
            if not self._engine.is_closing:
                stopped = self._engine.performer.stopped(order, at=self._engine.clock.now())
                self._engine.tell_soon(order.number, stopped)
