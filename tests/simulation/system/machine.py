"""A machine of virtual time on which several processes run, each with an asyncio loop of its own; a seed says who is next.

Inside one process callbacks run in the order in which they were scheduled, because asyncio promises that. Between processes there is no
order at all: whose turn it is, and for how many callbacks, is drawn. What reaches a process from outside (a step's end, a disk, a
thread, a person) comes after a drawn time, so that everything that may overtake something else does so under some seed.

Nothing here reads the machine's clock, starts a thread or looks at an object's address: the same seed gives the same story.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import random
from asyncio import events as asyncio_events
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

from towpath.core.run import Micros
from towpath.engines.clock import LOOK_AGAIN_SECONDS

T = TypeVar("T")
START: Micros = 1_800_000_000_000_000
SECOND = 1_000_000
TURN_MICROS_MAX = 40
"""How long one callback may take."""
BURST_MAX = 12
"""Callbacks of one process in a row, before another one may have its turn."""
CLOSES_MAX = 100
THREAD_MICROS_MAX = 3_000
"""How long a call in another thread may take."""


class Machine:
    """Time, and whose turn it is."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - a seed is the point
        self.now: Micros = START
        self.turns = 0
        """Callbacks that have run."""
        self.loops: list[ProcessLoop] = []
        self.complaints: list[str] = []
        """What loops complained about."""
        self._agenda: list[tuple[Micros, int, ProcessLoop | None, Any]] = []
        self._numbers = itertools.count()
        self._burst: ProcessLoop | None = None
        self._burst_left = 0

    def at(self, due: Micros, act: Callable[[], object]) -> None:
        """Has the world do something that belongs to no process."""
        heapq.heappush(self._agenda, (due, next(self._numbers), None, act))

    def after(self, seconds: float, act: Callable[[], object]) -> None:
        """Has the world do something in a while."""
        self.at(self.now + round(seconds * SECOND), act)

    def schedule(self, due: Micros, loop: ProcessLoop, handle: asyncio.Handle) -> None:
        """Has a process do something when its time has come."""
        heapq.heappush(self._agenda, (due, next(self._numbers), loop, handle))

    def turn(self) -> bool:
        """Runs one callback, or lets time pass until there is one; False where nothing will ever happen any more."""
        loop = self._whose_turn()
        if loop is None:
            return self._next_moment()
        self.turns += 1
        self.now += self.chance.randrange(TURN_MICROS_MAX)
        loop.run_one()
        if self._agenda and self._agenda[0][0] <= self.now:
            self._take_due()
        return True

    def _whose_turn(self) -> ProcessLoop | None:
        if self._burst_left and self._burst is not None and self._burst.is_ready:
            self._burst_left -= 1
            return self._burst
        ready = [loop for loop in self.loops if loop.is_ready]
        if not ready:
            return None
        if len(ready) == 1:
            return ready[0]
        self._burst = ready[self.chance.randrange(len(ready))]
        self._burst_left = self.chance.randrange(BURST_MAX)
        return self._burst

    def _next_moment(self) -> bool:
        if not self._agenda:
            return False
        self.now = max(self.now, self._agenda[0][0])
        self._take_due()
        return True

    def _take_due(self) -> None:
        agenda = self._agenda
        while agenda and agenda[0][0] <= self.now:
            _, _, loop, act = heapq.heappop(agenda)
            if loop is not None:
                if not act.cancelled():
                    loop.take(act)
            else:
                act()


class _Task(asyncio.Task[Any]):
    """A task whose place in a set does not depend on where it lies in memory."""

    number: int

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return self is other


_Loop: Any = (
    asyncio.AbstractEventLoop
)  # most of what a loop can do has to do with sockets, which nobody has here


class ProcessLoop(_Loop):  # type: ignore[misc] # see above
    """The asyncio loop of one process; it lives until it is killed."""

    def __init__(self, machine: Machine, name: str) -> None:
        self.machine = machine
        self.name = name
        self.is_dead = False
        self.is_paused = False
        """A stopped process runs nothing; what comes meanwhile waits for it."""
        self.tasks: list[_Task] = []
        self.park: Callable[[asyncio.TimerHandle, Callable[..., object]], bool] = lambda _handle, _callback: (
            False
        )
        """Takes a timer into its own care: what only looks whether there is something new need not look while there is nothing."""
        self._ready: deque[asyncio.Handle] = deque()
        machine.loops.append(self)

    @property
    def is_ready(self) -> bool:
        """Whether there is something to run."""
        return bool(self._ready) and not self.is_paused

    def kill(self) -> None:
        """Ends the process as `kill -9` does: no callback of it ever runs again."""
        self.is_dead = True
        self._ready.clear()
        self.machine.loops.remove(self)

    def take(self, handle: asyncio.Handle) -> None:
        """Takes what has come for this process."""
        if not self.is_dead:
            self._ready.append(handle)

    def run_one(self) -> None:
        """Runs the callback that waits longest."""
        handle = self._ready.popleft()
        if handle.cancelled():
            return
        before = asyncio_events._get_running_loop()
        asyncio_events._set_running_loop(self)
        try:
            handle._run()
        finally:
            asyncio_events._set_running_loop(before)

    def failures(self) -> list[str]:
        """Tasks that ended with an error that nobody has looked at."""
        return [
            f"{self.name}: {task.get_name()} ended with {task.exception()!r}"
            for task in self.tasks
            if task.done() and task._log_traceback
        ]

    def let_go(self) -> None:
        """Forgets what is left of the process, without a word: what its coroutines say while they fall apart is heard by nobody."""
        self.is_dead = True
        self._ready.clear()
        before = asyncio_events._get_running_loop()
        asyncio_events._set_running_loop(self)
        try:
            for task in self.tasks:
                task._log_destroy_pending = False  # type: ignore[attr-defined] # a dead process complains of nothing
                if not task.done():
                    _take_apart(task.get_coro())
                elif not task.cancelled():
                    task._log_traceback = False
        finally:
            asyncio_events._set_running_loop(before)
        self.tasks.clear()

    # ---- what asyncio asks of a loop -------------------------------------------------------------------------------

    def time(self) -> float:
        """Seconds of virtual time."""
        return self.machine.now / SECOND

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Runs a callback in its turn."""
        handle = asyncio.Handle(callback, args, self, context)
        if not self.is_dead:
            self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Runs a callback when its time has come."""
        return self._timer(round(when * SECOND), when, callback, args, context)

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Runs a callback in a while."""
        due = self.machine.now + round(delay * SECOND)
        return self._timer(due, due / SECOND, callback, args, context)

    def _timer(
        self,
        due: Micros,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: contextvars.Context | None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        if not self.park(handle, callback):
            self.machine.schedule(due, self, handle)
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[T]:
        """A task of this loop."""
        task = _Task.__new__(_Task)
        task.number = len(self.tasks)
        task.__init__(coro, loop=self, name=name or f"task-{task.number}", context=context)  # type: ignore[misc] # it needs its number first
        self.tasks.append(task)
        return task

    def run_in_executor(
        self,
        _executor: object,
        func: Callable[..., T],
        *args: Any,
    ) -> asyncio.Future[T]:
        """Calls a function after a while, in the process's own time: where a thread would have called it."""
        future: asyncio.Future[T] = self.create_future()

        def call() -> None:
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001 - an executor hands on whatever it was
                if not future.done():
                    future.set_exception(error)
            else:
                if not future.done():
                    future.set_result(result)

        self.call_later(self.machine.chance.randrange(THREAD_MICROS_MAX) / SECOND, call)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Takes a complaint down."""
        if not self.is_dead:
            self.machine.complaints.append(
                f"{self.name}: {context.get('message')}: {context.get('exception')!r}"
            )

    def get_debug(self) -> bool:
        """Never."""
        return False

    def is_running(self) -> bool:
        """Until it is killed."""
        return not self.is_dead

    def is_closed(self) -> bool:
        """Never: a dead loop takes calls and does nothing."""
        return False

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Nothing: a cancelled timer is passed over when it is due."""


def _take_apart(coroutine: Any) -> None:
    """Ends a coroutine that will never go on, however often it wants to wait once more."""
    for _ in range(CLOSES_MAX):
        try:
            coroutine.close()
        except Exception:  # noqa: BLE001, S112 - a dead process: whatever it says
            continue
        return


class ProcessClock:
    """The wall clock, as the processes of one machine see it; it may jump."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._ahead: Micros = 0
        self._calls: list[tuple[ProcessLoop, asyncio.TimerHandle, Callable[[], None]]] = []

    def now(self) -> Micros:
        """Microseconds since the epoch."""
        return self._machine.now + self._ahead

    def call_at(self, due: Micros, act: Callable[[], None]) -> asyncio.TimerHandle:
        """Has *act* called in the loop when *due* has come, or somewhat earlier."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, ProcessLoop)
        handle = loop.call_later(max(0, due - self.now()) / SECOND, act)
        self._calls.append((loop, handle, act))
        return handle

    def jump(self, micros: Micros) -> None:
        """Puts the clock forward or back; whoever waits looks at it again within LOOK_AGAIN_SECONDS."""
        self._ahead += micros
        waiting, self._calls = self._calls, []
        for loop, handle, act in waiting:
            if not (loop.is_dead or handle.cancelled() or handle.when() * SECOND < self._machine.now):
                handle.cancel()
                within = self._machine.chance.randrange(round(LOOK_AGAIN_SECONDS * SECOND))
                again = asyncio.TimerHandle(loop.time(), act, (), loop)
                self._machine.schedule(self._machine.now + within, loop, again)
