"""What schedules have ahead: every start to come, in the order of time."""

from __future__ import annotations

import bisect
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from towpath.core.run import Micros
from towpath.definition.triggers import Schedule
from towpath.triggers import schedule as schedules
from towpath.triggers.contract import Broken, Listener
from towpath.triggers.listening import entries
from towpath.triggers.schedule.due import IsOpen

FOREVER: Micros = 2**62


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Start:
    """A start that a schedule has ahead."""

    at: Micros
    """With its jitter."""
    workflow: str
    named: Micros
    """The instant that the schedule names."""
    schedule: str
    """Its times, as the file says them."""
    timezone: str


def starts(
    listeners: Sequence[Listener | Broken],
    *,
    after: Micros,
    until: Micros = FOREVER,
    is_open: IsOpen,
    starts_max: int,
) -> list[Start]:
    """The first starts that come after an instant, in order; *until* is the last instant that a schedule may name."""
    each = [
        _starts(listener, trigger.settings, after, is_open)
        for listener, trigger in entries(listeners)
        if isinstance(trigger.settings, Schedule)
    ]
    found: list[Start] = []
    # Each schedule is asked only as far as it is needed; a start comes at the instant that is named, or with its jitter later.
    for start in heapq.merge(*each, key=_named):
        is_enough = len(found) >= starts_max and found[starts_max - 1].at <= start.named
        if start.named > until or is_enough:
            break
        bisect.insort(found, start)
    return found[:starts_max]


def _named(start: Start) -> Micros:
    return start.named


def _starts(listener: Listener, said: Schedule, after: Micros, is_open: IsOpen) -> Iterator[Start]:
    name = listener.workflow.name
    words = said.cron if said.cron is not None else f"every {_every(said.every)}"
    for tick in schedules.upcoming(said, workflow=name, after=after, is_open=is_open):
        yield Start(at=tick.due_at, named=tick.at, workflow=name, schedule=words, timezone=said.timezone)


def _every(seconds: float | None) -> str:
    """A length of time as a workflow says it: `90m` is `1h30m`."""
    left = round((seconds or 0) * 1_000)
    parts = []
    for unit, length in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)):
        count, left = divmod(left, length)
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts)
