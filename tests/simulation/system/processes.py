"""A process of the simulated machine: the real embedded engine with the real desk and outbox, on the simulated disk.

A process that looks whether there is something new ten times a second would do nothing else while weeks pass in virtual time. So its
looks are parked while there cannot be anything new, and owed again when a letter came, a place became free, or a process came or went.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from simulation.system import catalogue
from simulation.system.determinism import LOOKS_FOR_QUEUES
from simulation.system.dice import Dice
from simulation.system.disk import Disk, ProcessStore
from simulation.system.machine import SECOND, Machine, ProcessClock, ProcessLoop
from simulation.system.steps import Ledger, Scripted, ScriptedPerformer
from towpath.core.run import Json, Question, Run
from towpath.engines.embedded import EmbeddedEngine
from towpath.engines.embedded.mailroom import LOOK_SECONDS, Mailroom
from towpath.people.bell import OutboxBell
from towpath.people.channels.contract import SendFailed, Sending
from towpath.people.channels.routes import Routes
from towpath.people.desk import Desk
from towpath.people.outbox import Outbox
from towpath.store.contract import OwnerId

LOOKS_OWED: Final = LOOKS_FOR_QUEUES + 1
"""Looks after which a process has looked at its queues for sure."""
SEND_SECONDS_MAX: Final = 40.0


class MailChannel:
    """A channel that fails now and then, and remembers what got through, whoever sent it."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.is_fair = False
        self.received: list[tuple[str, Process]] = []
        """The key of everything that arrived, and who had sent it."""

    async def send(self, sending: Sending, process: Process) -> None:
        """Passes one sending on, or fails."""
        dice = Dice(self._seed, "send", sending.key, sending.attempt)
        await asyncio.sleep(dice.seconds(most=1.0 if self.is_fair else SEND_SECONDS_MAX))
        if not self.is_fair and dice.chance(1, 4):
            raise SendFailed("the mail server is not there", is_final=dice.chance(1, 8))
        self.received.append((sending.key, process))


class _Line:
    """The channel as one process has it; keeps `people.channels.contract.Channel`."""

    def __init__(self, channel: MailChannel, process: Process) -> None:
        self._channel = channel
        self._process = process

    async def send(self, sending: Sending) -> None:
        """Passes one sending on."""
        await self._channel.send(sending, self._process)


class Process:
    """One process, from its start to its end."""

    def __init__(
        self,
        name: str,
        *,
        machine: Machine,
        disk: Disk,
        clock: ProcessClock,
        scripted: Scripted,
        ledger: Ledger,
        channel: MailChannel | None,
        performing_max: int,
        resumes: bool,
    ) -> None:
        self.name = name
        self.machine = machine
        self.loop = ProcessLoop(machine, name)
        self.loop.park = self._park
        self.store = ProcessStore(disk, self.loop)
        self.owner: OwnerId | None = None
        self.is_up = False
        self.has_left = False
        self._clock = clock
        self._ledger = ledger
        self._channel = channel
        self._resumes = resumes
        self._looks_owed = LOOKS_OWED
        self._parked: asyncio.TimerHandle | None = None
        self._closing = asyncio.Event()
        self.desk = _PlayedDesk(scripted, clock)
        self.engine = EmbeddedEngine(
            self.store,
            plans=catalogue.KnownPlans(),
            performer=ScriptedPerformer(machine, self.loop, scripted=scripted, ledger=ledger),  # type: ignore[arg-type] # what an engine asks of a performer
            library=catalogue.Library(),
            people=self.desk,
            beside=None if channel is None else self._telling,
            clock=clock,
            command=name,
            performing_max=performing_max,
        )
        self.life = self.loop.create_task(self._live(), name=f"{name} lives")

    @property
    def is_broken(self) -> bool:
        """Whether it can write nothing any more."""
        return self.store.journal is not None and self.store.journal.stopped is not None

    @property
    def is_dead(self) -> bool:
        """Whether it is gone, one way or another."""
        return self.loop.is_dead or self.has_left

    def kill(self) -> None:
        """Ends it as `kill -9` does, its steps included."""
        if self.loop.is_dead:
            return
        self.store.die()
        self.loop.kill()
        self._ledger.died(self.loop)
        self.is_up = False

    def ask_to_stop(self) -> None:
        """Asks it to end gracefully."""
        self.loop.call_soon(self._closing.set)

    def owe_looks(self, count: int) -> None:
        """There may be something new."""
        self._looks_owed = max(self._looks_owed, count)
        handle, self._parked = self._parked, None
        if handle is not None and not self.loop.is_dead:
            self._looks_owed -= 1
            within = self.machine.chance.randrange(round(LOOK_SECONDS * SECOND))
            self.machine.schedule(self.machine.now + within, self.loop, handle)

    async def _live(self) -> None:
        async with self.engine:
            self.owner = self.engine.owner
            self.is_up = True
            if self._resumes:
                await self.engine.resume_all()
            await self._closing.wait()
            self.is_up = False
        self.has_left = True

    def _telling(self, owner: OwnerId) -> _Telling:
        assert self._channel is not None
        line = _Line(self._channel, self)
        outbox = Outbox(
            self.store.outbox,
            owner=owner,
            clock=self._clock,
            channel_of=lambda _: line,
            routes=lambda: Routes.of(catalogue.project()),
        )
        return _Telling(self, outbox)

    def ring_with(self, outbox: Outbox) -> None:
        """Has people told through the outbox."""
        bell = OutboxBell(
            outbox,
            directory=lambda: self.desk.directory,
            calendar=self.desk.calendar,
            now=self._clock.now,
        )
        self.desk.ring_with(bell)

    def _park(self, handle: asyncio.TimerHandle, callback: object) -> bool:
        if not isinstance(getattr(callback, "__self__", None), Mailroom):
            return False
        if self._looks_owed > 0:
            self._looks_owed -= 1
            return False
        self._parked = handle
        return True


class _PlayedDesk(Desk):
    """The real desk; only what stands in files is played: it changes now and then."""

    def __init__(self, scripted: Scripted, clock: ProcessClock) -> None:
        super().__init__(catalogue.project, catalogue.HERE)
        self._scripted = scripted
        self._clock = clock

    def read_evidence(self, run: Run, question: Question) -> Mapping[str, Json]:
        """What the files say at this moment."""
        version = self._scripted.version_of_files(run.id, self._clock.now())
        return {name: {"digest": version, "text": f"as of {version}"} for name in question.files}


class _Telling:
    """Has people told while an engine runs."""

    def __init__(self, process: Process, outbox: Outbox) -> None:
        self._process = process
        self._outbox = outbox

    async def __aenter__(self) -> None:
        await self._outbox.__aenter__()
        self._process.ring_with(self._outbox)

    async def __aexit__(self, *_: object) -> None:
        await self._outbox.__aexit__(None, None, None)
