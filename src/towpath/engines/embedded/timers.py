"""Every timer of an engine in one heap, with one call to the clock for the earliest."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from towpath.core.run import Micros, Path
from towpath.engines.clock import Clock, Timer
from towpath.store.contract import RunNumber

TimerKey = tuple[RunNumber, Path, str]


class Timers:
    """Durable through the journal: after a restart they are set again from what is outstanding.

    A timer that is not needed any more stays until it is due; the core then says that it is stale.
    """

    def __init__(self, clock: Clock, on_due: Callable[[RunNumber, Path, str, Micros], None]) -> None:
        self._clock = clock
        self._on_due = on_due
        self._heap: list[tuple[Micros, RunNumber, Path, str]] = []
        self._armed: Timer | None = None
        self._armed_for: Micros = 0

    def set(self, run: RunNumber, path: Path, purpose: str, due: Micros) -> None:
        """Has the timer fire when *due* has come."""
        heapq.heappush(self._heap, (due, run, path, purpose))
        if self._armed is None or due < self._armed_for:
            self._arm()

    def __len__(self) -> int:
        return len(self._heap)

    def close(self) -> None:
        """No timer fires any more."""
        if self._armed is not None:
            self._armed.cancel()
        self._heap.clear()

    def _arm(self) -> None:
        if self._armed is not None:
            self._armed.cancel()
            self._armed = None
        if self._heap:
            self._armed_for = self._heap[0][0]
            self._armed = self._clock.call_at(self._armed_for, self._fire)

    def _fire(self) -> None:
        self._armed = None
        now = self._clock.now()
        while self._heap and self._heap[0][0] <= now:
            due, run, path, purpose = heapq.heappop(self._heap)
            self._on_due(run, path, purpose, due)
        self._arm()
