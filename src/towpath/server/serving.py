"""`tow up`: one process and one loop that holds a data folder, drives its runs, looks at what starts them, and answers over HTTP.

It begins from the inside out (the folder, the engine, the parts that look round, the doors) and ends the other way round. The end is in
order, and still nothing depends on it: a server that is killed at any moment goes on where it was when it is started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from towpath import app as plugging
from towpath.server import projects
from towpath.server.call import Parts
from towpath.server.live import Live
from towpath.server.making import make_server
from towpath.server.pulse import Pulse
from towpath.server.running import records
from towpath.server.running.beating import beating
from towpath.server.running.holding import only_server
from towpath.server.running.listening import WebServer, address_of, listen, names_of
from towpath.server.running.notifying import Supervisor
from towpath.settings import Serving, Settings
from towpath.store.folder import DataFolder

if TYPE_CHECKING:
    from towpath.app import App
    from towpath.engines.embedded import EmbeddedEngine
    from towpath.server.call import Identity

_LOG = logging.getLogger("towpath.server")
ENGINE_STOPS_SECONDS_MAX: Final = 60.0
"""How long the engine may take to end its steps and to close its journal; then the process ends without it."""
HEALING_SECONDS: Final = 5.0
"""How often it is looked whether a journal was given up and could be had again."""
THREADS_END_SECONDS_MAX: Final = 3.0
"""How long threads that look at something may take when all the rest has ended."""
ENDED_HARD: Final = 1
"""The exit code of a process that did not come to its end in order."""
SIGNAL_CODE: Final = 128
BEGIN_ANEW: Final = -1
"""The engine had to give up its journal, and can have a new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What whoever started the server is told."""

    address: str
    """Where it is reached."""
    project: str
    data: str
    login_link: str = ""
    """The one-time link of the first start."""


Announce = Callable[[Announcement], None]


def serve(settings: Settings, serving: Serving, announce: Announce) -> int:
    """Serves until a signal comes; gives the exit code. Raises TowpathError where it cannot begin."""
    records.keep(serving.log_format)
    folder = DataFolder(settings.data)
    folder.make()
    with only_server(folder) as held, contextlib.closing(listen(serving)) as taken:
        address = settings.base_url or address_of(serving, taken)
        held.tell(address, at=time.time_ns() // 1_000)
        known = dataclasses.replace(settings, base_url=address)
        while (code := asyncio.run(_serve(known, serving, taken, announce))) == BEGIN_ANEW:
            _LOG.info("server.begins_anew: the data folder can be written again")
    return code


async def _serve(settings: Settings, serving: Serving, taken: socket.socket, announce: Announce) -> int:
    pulse = Pulse()
    app = plugging.build(settings)
    with contextlib.closing(app):
        # Where nothing loads, that is told now, and not at the first request.
        keeper = await asyncio.to_thread(projects.begin, app, _following(serving))
        stopping = Stopping(pulse)
        async with _engine(app) as engine:
            identity, link = await asyncio.to_thread(_identity, app)
            parts = Parts(app=app, engine=engine, identity=identity, live=Live(), pulse=pulse)
            pulse.refuse_while(lambda: "" if engine.journal.stopped is None else str(engine.journal.stopped))
            pulse.refuse_while(lambda: _why_not(pulse, "disk"))
            announced = Announcement(
                address=settings.base_url,
                project=keeper.state.source,
                data=str(settings.data),
                login_link=f"{settings.base_url}{link}" if link else "",
            )
            await _answer(parts, serving, taken, stopping, lambda: announce(announced))
    if stopping.begins_anew:
        return BEGIN_ANEW
    _leave_soon()
    return 0


def _leave_soon() -> None:
    """Everything is in order: a thread that still waits, for a repository that does not answer, does not hold the process up."""

    def leave() -> None:
        _LOG.warning("server.left_a_thread_behind: something that was looked at has not answered")
        os._exit(0)

    timer = threading.Timer(THREADS_END_SECONDS_MAX, leave)
    timer.daemon = True
    timer.start()


def _following(serving: Serving) -> projects.Following | None:
    if not serving.git:
        return None
    return projects.Following(url=serving.git, ref=serving.ref, every_seconds=serving.git_seconds)


def _why_not(pulse: Pulse, part: str) -> str:
    return next((one.why for one in pulse.conditions() if one.part == part), "")


async def _answer(
    parts: Parts, serving: Serving, taken: socket.socket, stopping: Stopping, announce: Callable[[], None]
) -> None:
    """Answers until a signal comes."""
    address = parts.app.settings.base_url
    app = make_server(parts, hosts=names_of(serving, address_of(serving, taken), address))
    web = WebServer(app, serving)
    supervisor = Supervisor()

    def stop() -> None:
        if not stopping.begins_anew:
            supervisor.stopping()
            taken.close()  # while it begins anew, whoever comes waits
        parts.live.end()
        web.stop()

    stopping.then(stop)
    async with parts.live.watching(parts.app.store), beating(parts):
        parts.pulse.is_serving = True
        announce()
        _LOG.info("server.ready address=%s pid=%s", address, os.getpid())
        supervisor.ready(f"serves {parts.app.settings.project} at {address}")
        async with _beside(_tell_signs_of_life(supervisor)), _beside(_begin_anew(parts, stopping)):
            await web.serve(sockets=[taken.dup()])
    _LOG.info("server.closed: no more requests; steps are ended and runs are left in order")


class Stopping:
    """The first signal has everything end in order, the second one ends the process at once: both lose nothing."""

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse
        self._then: Callable[[], None] | None = None
        self.begins_anew = False
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._heard, number)

    def then(self, stop: Callable[[], None]) -> None:
        """What has the server end; called at once where a signal came before."""
        self._then = stop
        if self._pulse.is_stopping:
            stop()

    def begin_anew(self) -> None:
        """Has the server end in order, to begin again in the same process."""
        if not self._pulse.is_stopping:
            self.begins_anew = True
            self._stop("store")

    def _heard(self, number: int) -> None:
        if self._pulse.is_stopping:
            _LOG.warning("server.killed: the second signal ends it at once; what was accepted is kept")
            os._exit(SIGNAL_CODE + number)
        self._stop(signal.Signals(number).name)

    def _stop(self, why: str) -> None:
        self._pulse.is_stopping = True
        _LOG.info("server.stopping why=%s", why)
        if self._then is not None:
            self._then()


@contextlib.asynccontextmanager
async def _engine(app: App) -> AsyncIterator[EmbeddedEngine]:
    """The engine of the server; one that does not come to its end is left behind, as a power cut would leave it."""
    engine = await app.engine("tow up").__aenter__()
    try:
        yield engine
    finally:
        ending = asyncio.ensure_future(engine.__aexit__(None, None, None))
        done, _ = await asyncio.wait((ending,), timeout=ENGINE_STOPS_SECONDS_MAX)
        if not done:
            _LOG.error("server.engine_did_not_stop seconds=%s", ENGINE_STOPS_SECONDS_MAX)
            os._exit(ENDED_HARD)
        ending.result()


async def _tell_signs_of_life(supervisor: Supervisor) -> None:
    """Tells the supervisor, as often as it wants to hear it, that the loop still turns."""
    seconds = supervisor.wants_a_sign_seconds
    while seconds is not None:
        supervisor.lives()
        await asyncio.sleep(seconds)


async def _begin_anew(parts: Parts, stopping: Stopping) -> None:
    """Has the server end and begin again where the journal was given up, as after a full disk, and the disk takes writes again."""
    while True:
        await asyncio.sleep(HEALING_SECONDS)
        if parts.engine.journal.stopped is None:
            continue
        if not _why_not(parts.pulse, "disk"):
            stopping.begin_anew()
        parts.pulse.wake("disk")


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Has something done beside, for as long as the context is open."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _identity(app: App) -> tuple[Identity, str]:
    """Who knows the visitors, and the path of the one-time link where this is the first start."""
    from towpath.server.identity.links import first_link
    from towpath.server.identity.signed_in import SignedIn

    return SignedIn(app), first_link(app) or ""
