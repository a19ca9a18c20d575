"""Virtual time: what is to happen, in order, with nothing in between. Three days pass in as long as it takes to say so.

There are two times. One passes evenly; in it steps work and people think. The other is what the clock on the wall shows, by which timers
and calendars go. They are the same until the clock is set: then what waits for the clock comes earlier or later, and nothing else does.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass

from towpath.core.run import Micros


@dataclass(order=True, slots=True)
class _Entry:
    at: Micros
    """In even time."""
    number: int
    act: Callable[[], None]
    by_the_clock: bool
    of_process: bool


class Agenda:
    """What is to happen, and when."""

    def __init__(self, start: Micros) -> None:
        self._even = start
        self._ahead: Micros = 0
        """How far the clock is ahead of even time."""
        self._entries: list[_Entry] = []
        self._numbers = itertools.count()

    @property
    def now(self) -> Micros:
        """What the clock shows."""
        return self._even + self._ahead

    @property
    def passed(self) -> Micros:
        """Even time, which no setting of the clock changes."""
        return self._even

    @property
    def next_at(self) -> Micros | None:
        """When something happens next, in even time; None where nothing will."""
        return self._entries[0].at if self._entries else None

    def later(self, span: Micros, act: Callable[[], None], *, of_process: bool = False) -> None:
        """Has *act* called after a span of time; what is of the process is lost when it dies."""
        self._put(self._even + span, act, by_the_clock=False, of_process=of_process)

    def at(self, moment: Micros, act: Callable[[], None], *, of_process: bool = False) -> None:
        """Has *act* called when the clock shows a moment, or at once where it has passed."""
        self._put(moment - self._ahead, act, by_the_clock=True, of_process=of_process)

    def turn(self) -> None:
        """Lets happen what is next."""
        entry = heapq.heappop(self._entries)
        self._even = max(self._even, entry.at)
        entry.act()

    def pass_until(self, even: Micros) -> None:
        """Lets time pass in which nothing happens."""
        self._even = max(self._even, even)

    def set_clock(self, by: Micros) -> None:
        """Sets the clock forward, or back."""
        self._ahead += by
        for entry in self._entries:
            if entry.by_the_clock:
                entry.at = entry.at - by
        heapq.heapify(self._entries)

    def lose_process(self) -> None:
        """Forgets what only the process knew that died."""
        self._entries = [entry for entry in self._entries if not entry.of_process]
        heapq.heapify(self._entries)

    def _put(self, at: Micros, act: Callable[[], None], *, by_the_clock: bool, of_process: bool) -> None:
        entry = _Entry(max(at, self._even), next(self._numbers), act, by_the_clock, of_process)
        heapq.heappush(self._entries, entry)
