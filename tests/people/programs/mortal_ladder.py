"""Lives of an engine whose time is wound by hand; each is a process of its own, which may be killed at any point.

Reads one life a line, as JSON, and writes how it ended:

    {"folder": project, "kill_at": N or 0, "forgets": false}  →  {"status": -9, "points": ["INSERT", "COMMIT", …], "note": ""}

A point is a statement of SQL that writes, or the moment before or after a message goes out. A life begins at the moment at which the one
before it ended, starts the workflow where there is no run yet or else takes over what is open, and goes on from moment to moment.
Messages arrive in a file. A life that *forgets* has a mistake: it does not look whether what the journal says was told stands in the outbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import sys
import traceback
from pathlib import Path
from typing import Any

import msgspec

from towpath import app as towpath_app
from towpath.engines.clock import HandClock
from towpath.engines.embedded import EmbeddedEngine
from towpath.people import bell
from towpath.people import outbox as people_outbox
from towpath.people.channels import making, webhook
from towpath.people.channels.contract import Sending
from towpath.settings import Settings
from towpath.steps import catalogue
from towpath.store import sqlite

PRELOADED = (making, catalogue, sqlite)
"""Loaded before the fork, so that a life is short."""
SECONDS_MAX = 60
"""The longest life: who waits for what never comes is ended."""
WITH_REVIEW = 2
"""Runs, where an emergency has left its review."""
WRITING = ("INSERT", "UPDATE", "DELETE", "COMMIT")
connect = sqlite3.connect


class Points:
    """Counts the points of a life, and ends it at one of them."""

    def __init__(self, kill_at: int, told: Path) -> None:
        self._kill_at = kill_at
        self._told = told
        self._passed: list[str] = []

    def reach(self, what: str) -> None:
        """One more point; perhaps the last."""
        self._passed.append(what)
        if len(self._passed) == self._kill_at:
            self.tell()
            os.kill(os.getpid(), signal.SIGKILL)

    def tell(self) -> None:
        """Writes down what was passed."""
        self._told.write_text(json.dumps(self._passed))

    def connect(self, *arguments: Any, **options: Any) -> sqlite3.Connection:
        """A connection whose writing statements are points."""
        made: sqlite3.Connection = connect(*arguments, **options)
        made.set_trace_callback(self._statement)
        return made

    def _statement(self, sql: str) -> None:
        word = sql.split(None, 1)[0].upper()
        if word in WRITING:
            self.reach(word)


class Wire:
    """Has messages arrive in a file."""

    def __init__(self, points: Points, arrived: Path) -> None:
        self._points = points
        self._arrived = arrived

    async def send(self, sending: Sending) -> None:
        """Takes the place of a webhook's request."""
        self._points.reach("before sending")
        with self._arrived.open("a") as file:
            file.write(f"{sending.notice.id} {sending.recipient}\n")
        self._points.reach("after sending")


async def live(folder: Path) -> None:
    """From the moment at which the last life ended to the last moment of the story."""
    story = json.loads((folder / "story.json").read_text())
    watch = folder / "watch"
    clock = HandClock(int(watch.read_text()) if watch.exists() else story["begins_at"])
    settings = Settings(project=folder, data=folder / ".towpath", user="ann")
    app = towpath_app.build(settings, clock=clock)
    async with app.engine("mortal") as engine:
        if app.store.reader.runs():
            await engine.resume_all()
        else:
            request = app.request(app.find("story"), {}, break_glass=story["break_glass"])
            await engine.start(request)
        clock.wind(0)  # what was due while nobody was there
        while story["break_glass"] and len(app.store.reader.runs()) < WITH_REVIEW:
            await asyncio.sleep(0.002)
        await settle(app, engine)
        for moment in story["moments"]:
            if moment > clock.now():
                watch.write_text(str(moment))
                clock.wind((moment - clock.now()) / 1_000_000)
                await settle(app, engine)
    app.close()


async def settle(app: towpath_app.App, engine: EmbeddedEngine) -> None:
    """Waits until every run rests, and all that is to be told was kept and sent."""
    await engine.until_idle()
    while engine._others:  # what a question shows is being read
        await asyncio.sleep(0.002)
    await engine.until_idle()
    for outbox in OUTBOXES:
        await outbox.flush()
    while {"waiting", "sending"} & {state for state, count in app.store.outbox.counts().items() if count}:
        await asyncio.sleep(0.002)


OUTBOXES: list[people_outbox.Outbox] = []
enter = people_outbox.Outbox.__aenter__


async def entered(outbox: people_outbox.Outbox) -> people_outbox.Outbox:
    """Remembers the outbox of this process."""
    OUTBOXES.append(outbox)
    return await enter(outbox)


ring = bell.OutboxBell.ring


def ring_forgetfully(one: bell.OutboxBell, number: Any, run: Any, node: Any, **said: Any) -> None:
    """Rings for the question alone."""
    ring(one, number, run, msgspec.structs.replace(node, told_rungs=0, told_reminders=0), **said)


def become(case: dict[str, Any]) -> None:
    """The life of one process."""
    folder = Path(case["folder"])
    points = Points(case["kill_at"], folder / "points")
    sqlite3.connect = points.connect  # type: ignore[assignment] # the same, watched
    webhook.WebhookChannel.send = Wire(points, folder / "arrived").send  # type: ignore[method-assign,assignment] # as above
    people_outbox.Outbox.__aenter__ = entered  # type: ignore[method-assign,assignment] # as above
    if case["forgets"]:
        bell.OutboxBell.ring = ring_forgetfully  # type: ignore[method-assign,assignment] # a mistake that has to be noticed
    signal.alarm(SECONDS_MAX)
    try:
        asyncio.run(live(folder))
    except BaseException:  # noqa: BLE001 - the process ends here
        (folder / "note").write_text(traceback.format_exc())
        os._exit(1)
    points.tell()
    os._exit(0)


def serve() -> None:
    """Plays life after life; what every one of them loads is loaded once."""
    is_warm = False
    for line in sys.stdin:
        case = json.loads(line)
        folder = Path(case["folder"])
        if not is_warm:
            towpath_app.build(Settings(project=folder, data=folder / ".towpath", user="ann")).find("story")
            is_warm = True
        for name in ("points", "note"):
            with contextlib.suppress(FileNotFoundError):
                (folder / name).unlink()
        pid = os.fork()
        if pid == 0:
            become(case)
        _, status = os.waitpid(pid, 0)
        points, note = folder / "points", folder / "note"
        ended = {
            "status": os.waitstatus_to_exitcode(status),
            "points": json.loads(points.read_text()) if points.exists() else [],
            "note": note.read_text() if note.exists() else "",
        }
        print(json.dumps(ended), flush=True)


if __name__ == "__main__":
    serve()
