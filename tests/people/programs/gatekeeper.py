"""Drives runs that wait at a gate, as a process of its own: starts the workflow `gate` so often, and stays until its input ends."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from towpath import app as towpath_app
from towpath.settings import Settings


async def keep(folder: Path, rounds: int) -> None:
    """Starts the runs, says so, and drives them."""
    app = towpath_app.build(Settings(project=folder, data=folder / ".towpath", user="starter"))
    async with app.engine("gatekeeper") as engine:
        for _ in range(rounds):
            await engine.start(app.request(app.find("gate"), {}))
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
    app.close()


asyncio.run(keep(Path(sys.argv[1]), int(sys.argv[2])))
