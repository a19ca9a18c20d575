"""Runs that a server drives, followed and told as those of an engine in this process.

The facts of a run come as server-sent events, and the run is folded here. When the server goes away, that is said, and the run is taken up
where it was as soon as the server answers again: the server remembers nothing of us, we remember the last fact.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final, Self

import httpx2
import msgspec

from towpath.cli.remote.telling import order_of
from towpath.cli.remote.wire import API, away, error_of
from towpath.core.events import AnyEvent
from towpath.core.evolve import evolve
from towpath.core.run import Run
from towpath.core.stimuli import AnyStimulus
from towpath.engines.contract import Aside, StartRequest, Step
from towpath.errors import BugError, RemoteError, StoreUnavailable, Unreachable
from towpath.store.contract import RunNumber, Started

if TYPE_CHECKING:
    from towpath.cli.remote.app import RemoteApp
    from towpath.cli.remote.wire import Wire

AGAIN_SECONDS: Final = (0.5, 1.0, 2.0, 5.0)
"""After how long a lost server is asked again; the last one goes on for as long as it takes."""
_NOTHING_MORE: Final = 204


class RemoteEngine:
    """Keeps `engines.contract.Engine` for the runs of a server."""

    owner = ""
    """It owns no runs: those that it starts belong to the server, and go on without it."""

    def __init__(self, app: RemoteApp, wire: Wire) -> None:
        self._app = app
        self._wire = wire

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def start(self, request: StartRequest) -> Started:
        """Has the server accept a run; it is durable when this returns."""
        body: dict[str, Any] = {}  # JSON
        if request.origin is not None:
            path = f"{API}/runs/{request.origin}/{request.origin_reason}"
        else:
            path = f"{API}/runs"
            body = {
                "workflow": request.workflow.name,
                "inputs": dict(request.inputs),
                "break_glass": request.break_glass,
            }
        told = (await asyncio.to_thread(self._wire.post, path, body))["run"]
        return Started(number=RunNumber(told["number"]), id=told["id"])

    async def tell(self, run: RunNumber, stimulus: AnyStimulus) -> None:
        """Has the server tell a run something; durable when this returns."""
        await asyncio.to_thread(self._wire.post, *order_of(run, stimulus))

    async def resume(self, run: RunNumber) -> None:
        """Has the server take over a run that nobody drives."""
        await asyncio.to_thread(self._wire.post, f"{API}/runs/{run}/resume")

    async def until_ended(self, run: RunNumber) -> Run:
        """Waits for the run's end."""
        last: Run | None = None
        async for step in self.watch(run):
            last = step.run if isinstance(step, Step) else last
        if last is None:
            raise BugError("a run that was watched has a state")
        return last

    async def watch(self, run: RunNumber) -> AsyncIterator[Step | Aside]:
        """The run as it is, and then every step of it, until it has ended; between them asides."""
        _, state = await asyncio.to_thread(self._app.run, str(run))
        yield Step(run=state, facts=())
        failures = 0
        while not state.has_ended:
            try:
                async for facts in self._facts(run, after=state.sequence):
                    if failures:
                        yield Aside(text=f"{self._wire.url} answers again")
                        failures = 0
                    for fact in facts:
                        state = evolve(state, fact)
                    if facts:
                        yield Step(run=state, facts=facts)
            except (Unreachable, StoreUnavailable):
                if not failures:
                    yield Aside(
                        text=f"{self._wire.url} does not answer; the run goes on there, and here as soon as it does"
                    )
            if not state.has_ended:
                await asyncio.sleep(AGAIN_SECONDS[min(failures, len(AGAIN_SECONDS) - 1)])
                failures += 1

    async def _facts(self, run: RunNumber, *, after: int) -> AsyncIterator[tuple[AnyEvent, ...]]:
        """First nothing, when the server answers; then the facts behind a sequence, as many as came together, until the stream ends."""
        try:
            async with (
                self._wire.streaming() as client,
                client.stream("GET", f"{API}/runs/{run}/stream", params={"after": after}) as answer,
            ):
                if answer.status_code == _NOTHING_MORE:
                    return
                if not answer.is_success:
                    raise _refusal(answer.status_code, await answer.aread(), self._wire.url)
                yield ()
                rest = b""
                async for chunk in answer.aiter_bytes():
                    blocks, found, rest = (rest + chunk).rpartition(b"\n\n")
                    facts = tuple(_facts_in(blocks)) if found else ()
                    if facts:
                        yield facts
        except httpx2.HTTPError as error:
            raise away(self._wire.url, error) from error


def _facts_in(blocks: bytes) -> list[AnyEvent]:
    found = []
    for block in blocks.split(b"\n\n"):
        fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line)
        if fields.get(b"event") == b"fact":
            try:
                found.append(msgspec.json.decode(fields[b"data"], type=AnyEvent))
            except msgspec.MsgspecError as error:
                raise RemoteError(
                    f"the server tells of something that this version does not know: {error}",
                    help="use the same version of Towpath as the server",
                ) from error
    return found


def _refusal(status: int, content: bytes, url: str) -> Exception:
    try:
        told = json.loads(content)
    except ValueError:
        told = {}
    return error_of(status, told if isinstance(told, dict) else {}, url)
