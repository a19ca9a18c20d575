"""Where an engine gets the time from: the machine's clock, or one that a test winds by hand."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from typing import Protocol

from towpath.core.run import Micros

LOOK_AGAIN_SECONDS = 30.0
"""The longest sleep without a look at the wall clock, which may jump."""


class Timer(Protocol):
    """A call that is due."""

    def cancel(self) -> None:
        """The call will not happen."""


class Clock(Protocol):
    """Tells the time, and calls when a time has come."""

    def now(self) -> Micros:
        """Microseconds since the epoch."""

    def call_at(self, due: Micros, act: Callable[[], None]) -> Timer:
        """Has *act* called in the loop when *due* has come, or somewhat earlier: look at the time again."""


class WallClock:
    """The machine's clock."""

    def now(self) -> Micros:
        """Microseconds since the epoch."""
        return time.time_ns() // 1000

    def call_at(self, due: Micros, act: Callable[[], None]) -> Timer:
        """Sleeps at most LOOK_AGAIN_SECONDS, so that a clock that jumps is noticed."""
        seconds = min(max(0.0, (due - self.now()) / 1_000_000), LOOK_AGAIN_SECONDS)
        return asyncio.get_running_loop().call_later(seconds, act)


class _HandTimer:
    __slots__ = ("act",)

    def __init__(self, act: Callable[[], None]) -> None:
        self.act: Callable[[], None] | None = act

    def cancel(self) -> None:
        self.act = None


class HandClock:
    """A clock that stands still until it is wound."""

    def __init__(self, at: Micros = 1_700_000_000_000_000) -> None:
        self._now = at
        self._calls: list[tuple[Micros, int, _HandTimer]] = []
        self._order = itertools.count()

    def now(self) -> Micros:
        """The time that the hand shows."""
        return self._now

    def call_at(self, due: Micros, act: Callable[[], None]) -> Timer:
        """Keeps the call until the hand has passed *due*; what is due already is called soon."""
        timer = _HandTimer(act)
        heapq.heappush(self._calls, (due, next(self._order), timer))
        if due <= self._now:
            asyncio.get_running_loop().call_soon(self.wind, 0.0)
        return timer

    def wind(self, seconds: float) -> None:
        """Moves the hand on, calling what comes due on the way, in order."""
        end = self._now + round(seconds * 1_000_000)
        while self._calls and self._calls[0][0] <= end:
            due, _, timer = heapq.heappop(self._calls)
            self._now = max(self._now, due)
            if timer.act is not None:
                timer.act()
        self._now = end
