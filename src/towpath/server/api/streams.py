"""What happens now, as server-sent events: the facts of a run, the lines of its log, and what has changed in the lists.

Whoever comes back says up to where they have read (`Last-Event-ID`, as browsers do by themselves, or `?after=`), and goes on there:
nothing is lost and nothing is told twice. A stream ends with what it is about, when the server ends, or when whoever follows may not any
more; that is asked again and again while it lasts.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Generic, TypeVar

from fastapi import Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

import towpath
from towpath.errors import LimitExceeded, NotFound, Refused
from towpath.policy.access import ANYTHING, Target
from towpath.server import feeds
from towpath.server.api import finding
from towpath.server.api.runs import RunName
from towpath.server.api.told import NUMBER_MAX
from towpath.server.call import Asked, Call, target_of
from towpath.server.event_stream import HEARTBEAT, HEARTBEAT_SECONDS, MEDIA_TYPE, EventStream, message
from towpath.server.live import Live
from towpath.server.routing import Routes
from towpath.server.shapes import logs as log_shapes
from towpath.server.sharing import Part
from towpath.store.contract import RunRow

ROUTES = Routes(prefix="/api/v1", tag="streams")
STREAMS_MAX: Final = 1_000
"""Streams at the same time, of everybody together; one more is answered with 429."""
ACCESS_SECONDS: Final = 5.0
"""How old the answer may be to whether somebody may still follow."""
LOG_LOOK_SECONDS: Final = 0.25
"""How often a log is looked at: its lines do not pass through the store."""
PLACE_CHARS_MAX: Final = 4_000

P = TypeVar("P")
Place = TypeVar("Place", int, str)

_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Events for as long as there is something to tell.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
    },
    204: {
        "description": "Everything was told: there is nothing to follow any more, and no reason to come back."
    },
}
_OPTIONS: Final[dict[str, Any]] = {"response_model": None, "response_class": Response, "responses": _ANSWERS}

LastSeen = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID", max_length=PLACE_CHARS_MAX, description="What a browser says that comes back."
    ),
]


@dataclass(slots=True, kw_only=True)
class Leave:
    """Why somebody may follow, and that this is asked again and again while they do."""

    request: Request
    call: Call
    permission: str
    target: Target
    asked_at: float = field(default_factory=time.monotonic)

    async def holds(self) -> bool:
        """Whether they may still; asked anew where the last answer is too old."""
        if time.monotonic() - self.asked_at < ACCESS_SECONDS:
            return True
        visitor = await run_in_threadpool(self.call.parts.identity.visitor_of, self.request)
        if visitor is None or visitor.actor.name != self.call.actor.name:
            return False
        self.call, self.asked_at = Call(parts=self.call.parts, visitor=visitor), time.monotonic()
        if self.target is ANYTHING:
            return self.call.may_at_all(self.permission)
        return self.call.may(self.permission, self.target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed(Generic[P, Place]):
    """What is followed: how a part of it is read, named, told, and what is waited for where nothing has come."""

    name: tuple[object, ...]
    read: Callable[[Place], Part[P, Place]]
    words: Callable[[Call, Part[P, Place]], bytes]
    now: Callable[[], int]
    wait: Callable[[int], Awaitable[object]]

    async def part(self, live: Live, place: Place, now: int) -> Part[P, Place]:
        """What comes behind a place, shared with whoever stands there too."""
        return await live.sharing.part((*self.name, place), now, lambda: self.read(place))


@ROUTES.get("/runs/{run}/stream", permission="run.view", operation_id="stream_run", **_OPTIONS)
async def stream_run(
    request: Request,
    call: Asked,
    run: RunName,
    after: Annotated[int, Query(ge=0, le=NUMBER_MAX, description="Behind this fact (its sequence).")] = 0,
    last_event_id: LastSeen = None,
) -> Response:
    """Follow the facts of a run (`fact`, as `/events` lists them) until its end (`end`, with the status)."""
    row = await run_in_threadpool(finding.find_run, call, run)
    begin = after if last_event_id is None else _sequence_of(last_event_id)
    reader, number, live = call.app.reader, row.number, call.parts.live
    followed: Followed[bytes, int] = Followed(
        name=("facts", number),
        read=lambda place: feeds.facts(reader, number, place),
        words=_as_it_is,
        now=lambda: live.beats,
        wait=live.after,
    )
    if begin and (await followed.part(live, begin, live.beats)).is_end:
        return Response(status_code=204)
    leave = Leave(request=request, call=call, permission="run.view", target=target_of(row))
    return _stream(live, _told(leave, followed, begin))


@ROUTES.get("/runs/{run}/logs/stream", permission="log.view", operation_id="stream_log", **_OPTIONS)
async def stream_log(
    request: Request,
    call: Asked,
    run: RunName,
    step: Annotated[
        str | None, Query(max_length=1_000, description="Only this step, with all inside of it.")
    ] = None,
    attempt: Annotated[int | None, Query(ge=1, le=NUMBER_MAX, description="Only this attempt.")] = None,
    after: Annotated[
        str, Query(max_length=PLACE_CHARS_MAX, description="Behind this place: the `id` of the last event.")
    ] = "",
    last_event_id: LastSeen = None,
) -> Response:
    """Follow what the steps of a run print (`lines`, as `/logs` lists them) until its end (`end`, with the status)."""
    row = await run_in_threadpool(finding.find_run, call, run, "log.view")
    path = await run_in_threadpool(_step_of, call, row, step)
    begin = after if last_event_id is None else last_event_id
    app, number, live = call.app, row.number, call.parts.live
    followed: Followed[bytes, str] = Followed(
        name=("log", number, path, attempt),
        read=lambda place: feeds.log_lines(app.reader, app.logs, number, place, path, attempt),
        words=_as_it_is,
        now=_look,
        wait=_next_look,
    )
    if begin and (await followed.part(live, begin, _look())).is_end:
        return Response(status_code=204)
    leave = Leave(request=request, call=call, permission="log.view", target=target_of(row))
    return _stream(live, _told(leave, followed, begin))


@ROUTES.get("/stream", permission="run.view", operation_id="stream_lists", **_OPTIONS)
async def stream_lists(
    request: Request,
    call: Asked,
    after: Annotated[
        int | None,
        Query(ge=0, le=NUMBER_MAX, description="Behind this position: the `id` of the last event."),
    ] = None,
    last_event_id: LastSeen = None,
) -> Response:
    """Follow what changes in the lists.

    `hello` comes first; then `run` (a run as the list has it now), `questions` (how many a run asks now) and `event` (an event from
    outside), each once for everything that changed since the last time, and `reload` where too much has changed to be told one by one.
    """
    reader, events, live = call.app.reader, call.app.store.events, call.parts.live
    newest = await run_in_threadpool(reader.last_news)
    begin = after if last_event_id is None else _sequence_of(last_event_id)
    begin = newest if begin is None else begin
    followed: Followed[feeds.NewsPart, int] = Followed(
        name=("news",),
        read=lambda place: feeds.news(reader, events, place),
        words=_visible,
        now=lambda: live.beats,
        wait=live.after,
    )
    leave = Leave(request=request, call=call, permission="run.view", target=ANYTHING)
    hello = message("hello", {"version": towpath.__version__}, place=begin)
    return _stream(live, _told(leave, followed, begin, opening=hello))


async def _told(
    leave: Leave, followed: Followed[P, Place], place: Place, *, opening: bytes = b""
) -> AsyncIterator[bytes]:
    """The pieces of a stream: what is there, then whatever comes, a heartbeat where nothing does, and a word at the end."""
    live, told_at = leave.call.parts.live, time.monotonic()
    if opening:
        yield opening
    while not live.is_ending:
        now = followed.now()
        if not await leave.holds():
            yield message("goodbye", {"because": "you may not follow this any more"})
            return
        part = await followed.part(live, place, now)
        place = part.place
        text = followed.words(leave.call, part)
        if text or time.monotonic() - told_at >= HEARTBEAT_SECONDS:
            yield text or HEARTBEAT
            told_at = time.monotonic()
        if part.is_end:
            return
        if not part.size:
            await _waited(followed, now)
    yield message("goodbye", {"because": "the server ends; come back in a moment"})


async def _waited(followed: Followed[P, Place], now: int) -> None:
    """Waits until something may have come, or until a heartbeat is due."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(HEARTBEAT_SECONDS):
            await followed.wait(now)


def _as_it_is(_: Call, part: Part[bytes, Any]) -> bytes:
    return part.said


def _visible(call: Call, part: Part[feeds.NewsPart, int]) -> bytes:
    """The changes that whoever follows may see; the position goes on with what they may not."""
    if part.said.is_gap:
        return message("reload", {"because": "too much has changed"}, place=part.place)
    seen = [one.text for one in part.said.told if call.may(one.permission, one.target)]
    return b"".join(seen)


def _look() -> int:
    """The beat of logs: a look every now and then, the same ones for everybody."""
    return int(time.monotonic() / LOG_LOOK_SECONDS)


async def _next_look(look: int) -> None:
    await asyncio.sleep(max(0.0, (look + 1) * LOG_LOOK_SECONDS - time.monotonic()))


def _stream(live: Live, source: AsyncIterator[bytes]) -> EventStream:
    if live.followers >= STREAMS_MAX:
        raise LimitExceeded(
            f"{STREAMS_MAX} streams are open already", limit="STREAMS_MAX", help="close some, then come back"
        )
    return EventStream(source, live)


def _sequence_of(text: str) -> int:
    if text.isascii() and text.isdecimal() and int(text) <= NUMBER_MAX:
        return int(text)
    raise Refused("this is no place in this stream", help="leave Last-Event-ID out to begin at the beginning")


def _step_of(call: Call, row: RunRow, step: str | None) -> str | None:
    """The path that is meant; one that has not begun yet is waited for."""
    if step is None:
        return None
    try:
        return log_shapes.known_step(finding.state_of(call, row).nodes, step)
    except NotFound:
        if row.is_open and "/" in step:
            return step
        raise
