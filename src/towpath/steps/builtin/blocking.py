"""Work that blocks, done beside the loop and stoppable.

A thread cannot be killed. So blocking work is cut into pieces that look at a `Stop` between them, and a
cancelled action ends only when its thread has ended: after that nothing of it goes on.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Final, TypeVar

__all__ = ["PIECE_BYTES", "Stop", "Stopped", "beside_the_loop"]

Result = TypeVar("Result")

PIECE_BYTES: Final = 1024 * 1024
"""How much is copied or read between two looks at the stop."""


class Stopped(Exception):
    """The work was told to stop and has cleaned up."""


class Stop:
    """Tells blocking work that nobody waits for it any more."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Asks the work to stop."""
        self._event.set()

    def check(self) -> None:
        """Raises Stopped when the work was asked to stop."""
        if self._event.is_set():
            raise Stopped


async def beside_the_loop(work: Callable[[Stop], Result]) -> Result:
    """The result of *work*, done in a thread; when cancelled, stops it and waits until it has ended."""
    stop = Stop()
    future = asyncio.get_running_loop().run_in_executor(None, work, stop)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        stop.set()
        while not future.done():
            try:
                await asyncio.wait({future})
            except asyncio.CancelledError:
                continue
        future.exception()  # seen: nobody else will ask
        raise
