"""For tests of questions: runs are started in the server of a test, and waited for until they ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from server_support import TestServer

from towpath.store.contract import RunNumber

PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.02


async def until(holds: Callable[[], bool]) -> None:
    """Waits until something holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await asyncio.to_thread(holds):
            await asyncio.sleep(LOOK_SECONDS)


async def started(server: TestServer, workflow: str, *, by: str = "user:ada") -> RunNumber:
    """A run of a workflow, accepted."""
    request = server.app.request(server.app.find(workflow), {}, started_by=by)
    return (await server.engine.start(request)).number


async def asking(server: TestServer, workflow: str, *, by: str = "user:ada", questions: int = 1) -> RunNumber:
    """A run that has asked its questions."""
    number = await started(server, workflow, by=by)

    def asks() -> bool:
        found = {run.number: len(run.questions) for run in server.app.reader.open_questions()}
        return found.get(number, 0) >= questions

    await until(asks)
    return number


async def ended(server: TestServer, number: RunNumber) -> str:
    """How a run ended."""
    await until(lambda: not server.app.reader.run(number).is_open)
    return server.app.reader.run(number).summary.status
