"""Dies by SIGKILL at one point after the other while it tells people something, and starts again each time.

For every point (a statement of SQL that writes, or the moment before or after a message goes out) there is a data folder of its own, one
process that is killed there, and one that comes after it and is not. Each line of output is what came of one point.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from outbox_support import NOW, notice, routes

from towpath.engines.clock import HandClock
from towpath.people.channels.contract import Sending
from towpath.people.outbox import Outbox
from towpath.store.sqlite import SqliteStore, open_store

WRITING = ("BEGIN", "INSERT", "UPDATE", "DELETE", "COMMIT")
POINTS_MAX = 500


class Points:
    """Counts the points, and dies at one of them."""

    def __init__(self, die_at: int) -> None:
        self.die_at = die_at
        self.count = 0
        self.last = ""

    def reach(self, what: str) -> None:
        """One more point; perhaps the last."""
        self.count += 1
        if self.count == self.die_at:
            os.write(1, f"{what}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def statement(self, sql: str) -> None:
        """A statement is about to be executed."""
        word = sql.split(None, 1)[0]
        if word in WRITING:
            self.reach(word)


class Wire:
    """A channel whose messages arrive in a file."""

    def __init__(self, path: Path, points: Points) -> None:
        self._path = path
        self._points = points

    async def send(self, sending: Sending) -> None:
        """Has a message arrive."""
        self._points.reach("before sending")
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{sending.key} {sending.attempt}\n")
        self._points.reach("after sending")


async def tell(store: SqliteStore, wire: Wire) -> None:
    """What a process does that starts: it takes over what was left, puts what is still asked, and sends it."""
    async with Outbox(
        store.outbox,
        owner=store.owners.enter("mortal"),
        clock=HandClock(NOW),
        channel_of={"mail": wire, "chat": wire}.get,
        routes=routes,
    ) as outbox:
        outbox.put(notice())
        outbox.put(notice(id="rung", why="rung", number=1, to={"ben": ""}))
        await outbox.settle()


def live(folder: Path, die_at: int, *, tells: bool = False) -> None:
    """One process, from its start to its end; with *tells* it says what came of the point."""
    points = Points(die_at)
    store = open_store(folder / "data")
    with store._desk.connection() as connection:
        connection.set_trace_callback(points.statement)
    asyncio.run(tell(store, Wire(folder / "arrived", points)))
    with store._desk.connection() as connection:
        connection.set_trace_callback(None)
    if tells:
        rows = [[row.notice, row.recipient, row.state] for row in store.outbox.sendings()]
        arrived = (folder / "arrived").read_text(encoding="utf-8").split("\n")[:-1]
        os.write(1, (json.dumps({"arrived": arrived, "rows": rows}) + "\n").encode())
    store.close()


def apart(act: Callable[[], None]) -> int:
    """Does something in a process of its own; returns how that ended."""
    child = os.fork()
    if not child:
        act()
        os._exit(0)
    return os.waitpid(child, 0)[1]


def main(root: Path) -> None:
    """Dies once at every point."""
    for point in range(1, POINTS_MAX):
        folder = root / str(point)
        folder.mkdir()
        was_killed = os.WIFSIGNALED(apart(lambda folder=folder, point=point: live(folder, point)))
        again = apart(lambda folder=folder: live(folder, 0, tells=True))
        assert again == 0, again
        if not was_killed:
            return
    raise AssertionError("there is no end of points")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
