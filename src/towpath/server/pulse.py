"""How those parts of a server are that work by themselves, and whether it takes work at all.

Each part (the schedules, the repositories, what arrived, …) looks round again and again. What its last look gave is kept here, for
`/readyz`, for the page of health and for the metrics. Written in the loop's thread, read in any.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from towpath.core.run import Micros
from towpath.engines.clock import WallClock
from towpath.server.shapes.metrics import Measure

REASON_CHARS_MAX: Final = 500
"""Of why a part is not well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """How one part is."""

    part: str
    """`schedules`, `repositories and files`, `events`, …"""
    does: str
    """What it is there for, in a few words."""
    since: Micros
    """Since when it has been as it is."""
    is_well: bool = True
    why: str = ""
    """What its last look failed with."""
    looked_at: Micros | None = None
    """When it last looked round to the end."""
    looks: int = 0
    failures: int = 0
    seconds: float = 0.0
    """How long its last look took."""
    late_seconds: float = 0.0
    """By how much its last look came later than it should have."""


class Pulse:
    """The conditions of all parts, and whether the server takes work."""

    def __init__(self, now: Callable[[], Micros] | None = None) -> None:
        self._now = now or WallClock().now
        self._conditions: dict[str, Condition] = {}
        self._wakes: dict[str, asyncio.Event] = {}
        self._refusals: list[Callable[[], str]] = []
        self.started_at = self._now()
        self.is_serving = False
        """Whether everything has begun."""
        self.is_stopping = False
        """Whether the process is on its way out."""
        self.hooks: Counter[str] = Counter()
        """Deliveries, by how they were answered."""
        self.write_seconds = 0.0
        """How long the last trial of the disk took."""
        self._measures: list[Callable[[], Iterable[Measure]]] = []

    # What is measured besides.

    def measure_with(self, measure: Callable[[], Iterable[Measure]]) -> None:
        """Has `/metrics` tell what *measure* gives; it is asked in any thread."""
        self._measures.append(measure)

    def measured(self) -> Iterator[Measure]:
        """What the parts measure themselves."""
        for measure in self._measures:
            yield from measure()

    # Whether work is taken.

    def refuse_while(self, reason: Callable[[], str]) -> None:
        """Has no work taken while *reason* gives one; it is asked in any thread."""
        self._refusals.append(reason)

    def refusal(self) -> str:
        """Why no work is taken at the moment; empty where it is."""
        if self.is_stopping:
            return "the server is stopping"
        if not self.is_serving:
            return "the server is starting"
        return next(filter(None, (reason() for reason in self._refusals)), "")

    # The parts.

    def add(self, part: str, *, does: str) -> asyncio.Event:
        """Begins to keep the condition of a part; the event wakes it before its time."""
        self._conditions[part] = Condition(part=part, does=does, since=self._now())
        return self._wakes.setdefault(part, asyncio.Event())

    def wake(self, part: str) -> None:
        """Has a part look round now. In the loop's thread only."""
        self._wakes.setdefault(part, asyncio.Event()).set()

    def looked(self, part: str, *, why: str = "", seconds: float = 0.0, late_seconds: float = 0.0) -> None:
        """A part has looked round; *why* says what went wrong, where something did."""
        before, now = self._conditions[part], self._now()
        is_well = not why
        self._conditions[part] = replace(
            before,
            is_well=is_well,
            why=why[:REASON_CHARS_MAX],
            since=before.since if before.is_well == is_well else now,
            looked_at=now if is_well else before.looked_at,
            looks=before.looks + 1,
            failures=before.failures + (not is_well),
            seconds=seconds,
            late_seconds=late_seconds,
        )

    def conditions(self) -> tuple[Condition, ...]:
        """How every part is, in the order in which they began."""
        return tuple(self._conditions.values())
