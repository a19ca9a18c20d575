"""The beat: everything that a server looks at by itself, each thing at its own time.

A part that breaks is tried again after a while and stops none of the others; what is wrong with it is told by `pulse`, by the log and by
the metrics. Nothing depends on how often a part looks, or on when: marks and keys in the store see to it that everything happens once. A
part therefore may look too often, and waits by a clock that never jumps: what a jump of the wall clock made due is found at the next look.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from towpath.core.run import Micros
from towpath.errors import TowpathError
from towpath.server.projects import Looks
from towpath.server.pulse import Pulse
from towpath.store.contract import Life, Mark, StaleMark

if TYPE_CHECKING:
    from towpath.server.call import Parts
    from towpath.triggers.watch import Looked
    from towpath.triggers.watch.watcher import Kind

_LOG = logging.getLogger("towpath.server")
SCHEDULES_SECONDS: Final = 5.0
"""How often schedules are looked at, at least: a file that has just come may have one."""
WATCHES_SECONDS: Final = 5.0
EVENTS_SECONDS: Final = 1.0
"""How often it is asked whether another process has kept an event; what came to this one is decided about at once."""
STRANDED_SECONDS: Final = 10.0
"""How often it is asked whether somebody who drove runs is gone."""
ENDS_SECONDS: Final = 1.0
"""How often ends of runs are looked for."""
DISK_SECONDS: Final = 30.0
"""How often it is tried whether something can be written."""
TRIAL_MARK: Final = "server/trial"
FAILED_SECONDS: Final = 10.0
"""How long a part that failed waits before it tries again."""
SECOND: Final[Micros] = 1_000_000

Look: TypeAlias = Callable[[], Awaitable[Micros | None]]
"""Looks round; gives when something is due next, as far as it is known. Raises whatever is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One thing that is looked at."""

    name: str
    does: str
    every_seconds: float
    """How long it waits at most."""
    look: Look


class PartFailed(TowpathError):
    """A look went well for some of what it looked at, which is due again at *due*."""

    def __init__(self, message: str, *, due: Micros | None) -> None:
        super().__init__(message)
        self.due = due


@contextlib.asynccontextmanager
async def beating(parts: Parts) -> AsyncIterator[None]:
    """Looks at everything for as long as the context is open."""
    tasks = [
        asyncio.create_task(keep(part, parts.pulse, parts.app.now), name=f"beat:{part.name}")
        for part in parts_of(parts)
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def parts_of(parts: Parts) -> tuple[Part, ...]:
    """Everything that a server looks at by itself."""
    looks = _Looks(parts)
    project = None if parts.app.keeper is None else Looks(parts.app)
    if project is not None:
        parts.pulse.measure_with(project.measures)
    kept = (
        ()
        if project is None
        else (
            Part(
                name="project",
                does="looks what the project is now, and judges versions that are tried",
                every_seconds=project.every_seconds,
                look=partial(looks.project, project),
            ),
        )
    )
    return (
        *kept,
        Part(
            name="schedules",
            does="starts what is due by the clock",
            every_seconds=SCHEDULES_SECONDS,
            look=looks.schedules,
        ),
        Part(
            name="repositories",
            does="looks for changes in repositories",
            every_seconds=WATCHES_SECONDS,
            look=partial(looks.watches, "repository"),
        ),
        Part(
            name="files",
            does="looks for changes in files",
            every_seconds=WATCHES_SECONDS,
            look=partial(looks.watches, "file"),
        ),
        Part(
            name="metrics",
            does="asks Prometheus what triggers want to know",
            every_seconds=WATCHES_SECONDS,
            look=looks.metrics,
        ),
        Part(
            name="ends",
            does="notices that runs have ended, for those that they start",
            every_seconds=ENDS_SECONDS,
            look=looks.ends,
        ),
        Part(
            name="events",
            does="decides what an event from outside starts",
            every_seconds=EVENTS_SECONDS,
            look=looks.events,
        ),
        Part(
            name="disk",
            does="tries whether the data folder can be written",
            every_seconds=DISK_SECONDS,
            look=looks.disk,
        ),
        Part(
            name="stranded",
            does="goes on with runs whose process is gone",
            every_seconds=STRANDED_SECONDS,
            look=looks.stranded,
        ),
    )


async def keep(part: Part, pulse: Pulse, now: Callable[[], Micros]) -> None:
    """Has a part look round again and again."""
    woken = pulse.add(part.name, does=part.does)
    late = 0.0
    while True:
        woken.clear()
        began = time.monotonic()
        due: Micros | None = None
        why = ""
        try:
            due = await part.look()
        except PartFailed as error:
            why, due = error.message, error.due
        except TowpathError as error:
            why = error.message or type(error).__name__
        except Exception as error:  # noqa: BLE001 - the edge of a part: one that breaks stops none of the others
            why = f"{type(error).__name__}: {error}"
            _LOG.exception("server.part_broke part=%s", part.name)
        _note(pulse, part, why)
        pulse.looked(part.name, why=why, seconds=time.monotonic() - began, late_seconds=late)
        seconds = FAILED_SECONDS if why and due is None else _until(due, now(), most=part.every_seconds)
        late = await _wait(woken, seconds)


def _note(pulse: Pulse, part: Part, why: str) -> None:
    """A change for the worse or the better is told once, and not at every look."""
    before = next(one for one in pulse.conditions() if one.part == part.name)
    if why and why != before.why:
        _LOG.warning("server.part_failed part=%s: %s", part.name, why)
    elif not why and before.why:
        _LOG.info("server.part_recovered part=%s", part.name)


def _until(due: Micros | None, now: Micros, *, most: float) -> float:
    return most if due is None else max(0.0, min(most, (due - now) / SECOND))


async def _wait(woken: asyncio.Event, seconds: float) -> float:
    """Waits until somebody wakes the part or its time has come; gives by how much it came late."""
    until = time.monotonic() + seconds
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await woken.wait()
            return 0.0
    return max(0.0, time.monotonic() - until)


class _Looks:
    """How each part looks round."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._app = parts.app
        self._decider = parts.app.decider(parts.engine)

    async def schedules(self) -> Micros | None:
        looked = await asyncio.to_thread(self._app.scheduler.look)
        self._kept(looked.kept)
        return looked.next_at

    async def project(self, project: Looks) -> Micros | None:
        if await project.look():
            self._parts.live.beat()
            self._parts.pulse.wake("schedules")
        why = await asyncio.to_thread(project.what_is_wrong)
        if why:
            raise PartFailed(why, due=self._app.now() + round(project.every_seconds * SECOND))
        return None

    async def watches(self, kind: Kind) -> Micros | None:
        return self._looked(await asyncio.to_thread(self._app.watcher.look, (kind,)))

    async def metrics(self) -> Micros | None:
        return self._looked(await self._app.metrics.look())

    async def ends(self) -> Micros | None:
        return self._looked(await asyncio.to_thread(self._app.ends.look))

    def _looked(self, looked: Looked) -> Micros | None:
        self._kept(looked.kept)
        if looked.errors:
            told = "; ".join(f"{name}: {why}" for name, why in looked.errors)
            raise PartFailed(told, due=looked.next_at)
        return looked.next_at

    async def events(self) -> Micros | None:
        await self._decider.work()
        return await asyncio.to_thread(self._app.store.events.next_hold)

    async def disk(self) -> Micros | None:
        began = time.monotonic()
        await asyncio.to_thread(self._write)
        self._parts.pulse.write_seconds = time.monotonic() - began
        return None

    def _write(self) -> None:
        """Writes something small and waits until it is durable; raises StoreUnavailable."""
        events = self._app.store.events
        mark = events.mark(TRIAL_MARK)
        value = str(self._app.now()).encode()
        with contextlib.suppress(StaleMark):
            events.put((), mark=Mark(name=TRIAL_MARK, value=value, version=mark.version if mark else 0))

    async def stranded(self) -> Micros | None:
        owners = await asyncio.to_thread(self._app.store.owners.owners)
        if any(owner.life is not Life.ALIVE for owner in owners):
            taken = await self._parts.engine.resume_all()
            if taken:
                _LOG.info("server.runs_taken_over runs=%s", taken)
        return None

    def _kept(self, events: int) -> None:
        """What was kept just now is decided about just now."""
        if events:
            self._parts.pulse.wake("events")
