"""What every sort of schedule is asked: the instants after one, and those up to one."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from towpath.core.run import Micros
from towpath.definition.triggers import Schedule
from towpath.triggers.schedule.cron import CronTimes

SECOND: Micros = 1_000_000


class Times(Protocol):
    """The instants of a schedule, without jitter."""

    def after(self, at: Micros) -> Iterator[Micros]:
        """The instants after *at*, in order."""

    def until(self, at: Micros) -> Iterator[Micros]:
        """The instants up to *at*, that one included, the latest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EveryTimes:
    """The multiples of an interval since 1970, in UTC: the same on every machine and after every restart."""

    interval: Micros

    def after(self, at: Micros) -> Iterator[Micros]:
        """The instants after *at*, in order."""
        instant = (at // self.interval + 1) * self.interval
        while True:
            yield instant
            instant += self.interval

    def until(self, at: Micros) -> Iterator[Micros]:
        """The instants up to *at*, that one included, the latest first."""
        instant = at // self.interval * self.interval
        while instant >= 0:
            yield instant
            instant -= self.interval


@functools.lru_cache(maxsize=1024)
def _cron_times(cron: str, timezone: str) -> CronTimes:
    return CronTimes(cron, timezone)


def times_of(schedule: Schedule) -> Times:
    """The instants of a schedule."""
    if schedule.cron is not None:
        return _cron_times(schedule.cron, schedule.timezone)
    assert schedule.every is not None  # the loader saw to it
    return EveryTimes(interval=round(schedule.every * SECOND))
