"""What of a schedule is due, as a function of two instants: up to when everything is done, and now.

The first of the two is kept in the store, so it does not matter for how long nobody looked, nor how often.
Everything between the two is missed or due, and `catch_up` says what becomes of it:

- `none`: only what came in the last `ON_TIME_SECONDS`;
- `latest`: only the last one;
- `all`: all of them, but never more than `CATCH_UP_MAX`, the latest ones.

Where the clock went back, *now* lies before what is done, and everything is done: nothing happens twice. The mark
is then set back to now, so that a clock which was wrong by years does not silence a schedule for years; what
happened under the wrong clock keeps its key and cannot happen again.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import assert_never

from towpath.core.run import Micros
from towpath.definition.triggers import Schedule, Trigger
from towpath.triggers.schedule.times import SECOND, Times, times_of

CATCH_UP_MAX = 100
"""Missed starts that `catch_up: all` makes up for."""
LOOKED_AT_MAX = 20_000
"""Missed instants that are looked at, the latest first."""
ON_TIME_SECONDS = 60
"""What is later than this was missed."""
IDENTITY_CHARS = 16

IsOpen = Callable[[str, Micros], bool]
"""Whether a calendar is open at an instant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A start that is due."""

    at: Micros
    """The instant that the schedule names; it is what the run may happen once for."""
    due_at: Micros
    """The same with its jitter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What is to be done now, and up to when everything is done then."""

    ticks: tuple[Tick, ...]
    """In order."""
    done_until: Micros
    missed: int = 0
    """Instants that are let go, as `catch_up` says or because a calendar was closed; counted up to LOOKED_AT_MAX."""
    is_clock_back: bool = False
    """Whether *now* lay before what was done already."""


def identity_of(trigger: Trigger) -> str:
    """Which schedule it is, whatever else the file says: the same times, condition and inputs are the same schedule."""
    schedule = trigger.settings
    assert isinstance(schedule, Schedule)
    said = [schedule.cron, schedule.every, schedule.timezone, trigger.if_, trigger.inputs]
    text = json.dumps(said, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:IDENTITY_CHARS]


def due(schedule: Schedule, *, workflow: str, done_until: Micros, now: Micros, is_open: IsOpen) -> Due:
    """What of a schedule is due at *now*, where everything up to *done_until* is done."""
    if now < done_until:
        return Due(ticks=(), done_until=now, is_clock_back=True)
    jitter = _Jitter(workflow=workflow, length=round(schedule.jitter * SECOND))
    times = times_of(schedule)
    ready = _ready_until(times, jitter, done_until=done_until, now=now)
    instants = itertools.takewhile(lambda at: at > done_until, times.until(ready))
    wanted: list[Tick] = []
    done, missed = done_until, 0
    for at in itertools.islice(instants, LOOKED_AT_MAX):
        done = max(done, at)
        tick = Tick(at=at, due_at=jitter.moved(at))
        if not _is_in_hours(schedule, at, is_open) or not _is_wanted(schedule, tick, len(wanted), now):
            missed += 1
        else:
            wanted.append(tick)
    return Due(ticks=tuple(reversed(wanted)), done_until=done, missed=missed)


def upcoming(schedule: Schedule, *, workflow: str, after: Micros, is_open: IsOpen) -> Iterator[Tick]:
    """What comes next, in order; ends where nothing comes any more, or LOOKED_AT_MAX instants on end are outside of the hours."""
    jitter = _Jitter(workflow=workflow, length=round(schedule.jitter * SECOND))
    closed = 0
    for at in times_of(schedule).after(after):
        if _is_in_hours(schedule, at, is_open):
            closed = 0
            yield Tick(at=at, due_at=jitter.moved(at))
        else:
            closed += 1
        if closed >= LOOKED_AT_MAX:
            return


@dataclass(frozen=True, slots=True, kw_only=True)
class _Jitter:
    """Spreads starts over a length of time: each instant of each workflow has its own place in it, the same for ever."""

    workflow: str
    length: Micros

    def moved(self, at: Micros) -> Micros:
        """The instant with its jitter: before the length is over."""
        if not self.length:
            return at
        digest = hashlib.sha256(f"{self.workflow}@{at}".encode()).digest()
        return at + int.from_bytes(digest[:8], "big") % self.length


def _ready_until(times: Times, jitter: _Jitter, *, done_until: Micros, now: Micros) -> Micros:
    """Up to which instant everything has come round, its jitter included: starts happen in the order of their instants."""
    if not jitter.length:
        return now
    start = max(done_until, now - jitter.length)
    last = start
    for at in itertools.islice(times.after(start), LOOKED_AT_MAX):
        if at > now:
            return now
        if jitter.moved(at) > now:
            return at - 1
        last = at
    return last


def _is_wanted(schedule: Schedule, tick: Tick, found: int, now: Micros) -> bool:
    """Whether `catch_up` makes up for an instant when *found* later ones are made up for already."""
    match schedule.catch_up:
        case "none":
            return now - tick.due_at <= ON_TIME_SECONDS * SECOND
        case "latest":
            return found == 0
        case "all":
            return found < CATCH_UP_MAX
        case _ as unknown:
            assert_never(unknown)


def _is_in_hours(schedule: Schedule, at: Micros, is_open: IsOpen) -> bool:
    return schedule.calendar is None or is_open(schedule.calendar, at)
