"""Events: what arrived from outside, what it started and why not more; handed in, and decided about once more.

Whoever may see events of some workflows only sees those that one of these started from, waits for or failed about, with what these made
of them. That an entry was asked and had nothing to do with an event is no reason to see what others were sent.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Iterator
from typing import Annotated, Final, Literal

from fastapi import Path, Query
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from towpath.definition.inputs import InputsInvalid
from towpath.errors import NotFound
from towpath.policy.access import Target
from towpath.server.api import catalogue
from towpath.server.api.told import NUMBER_MAX, PAGE_MAX, Asking, Json, Moment, Told, moment_of
from towpath.server.call import Asked, Call, Forbidden, target_of
from towpath.server.once import Once, OnceOnly
from towpath.server.routing import Routes
from towpath.server.shapes import events as shapes
from towpath.store.contract import PAGE_ROWS_MAX, EventFilter, EventId, EventRow, EventState, Reaction
from towpath.triggers import by_hand
from towpath.triggers.inbox import Receipt
from towpath.triggers.receiving import Received, lowered

_LOG = logging.getLogger("towpath.server")
ROUTES = Routes(prefix="/api/v1", tag="events")
EVENTS_LOOKED_AT_MAX: Final = 10_000
"""Rows that one request reads at most, whatever whoever asks may see of them."""
HEADERS_MAX: Final = 100
_NAME_CHARS_MAX: Final = 200
HANDED_IN_BY: Final = "handed-in-by"
"""The header that says who handed an event in."""
Which = Annotated[
    str,
    Path(description="An event's number, or `last`.", pattern=r"^([0-9]{1,18}|last)$", examples=["12"]),
]


class Reacted(Told):
    """What one entry of `on:` made of an event."""

    workflow: str = Field(description="Whose entry.")
    entry: int | None = Field(description="Which entry, from 1; null where a run waited for the event.")
    kind: str = Field(description="What the entry listens to.")
    run: int | None = Field(description="The run that it started, or let go on.")
    told: bool = Field(description="Whether the run was there already and waited for it.")
    existing: bool = Field(description="Whether it had started that run before.")
    held_until: str | None = Field(description="When it starts something, if nothing more comes.")
    because: str = Field(description="Why it started nothing.")
    is_failure: bool = Field(description="Whether something is wrong that the author should know of.")


class Event(Told):
    """Something that arrived."""

    event: int = Field(description="Its number.")
    source: str = Field(description="Who sent it: `github`, `webhook/deploy`, `schedule`, …")
    delivery: str = Field(description="The sender's own id for it.")
    kind: str = Field(description="What triggers call it: `github.push`.")
    title: str = Field(description="What it is, in a few words.")
    received_at: str = Field(description="When it arrived.")
    verified: str = Field(description="How its sender is known: `signature`, `token`, `local` or `nobody`.")
    secrets: list[str] = Field(description="The names of the secrets that its signature fitted.")
    state: str = Field(description="`received`, `held`, `matched`, `ignored` or `failed`.")
    because: str = Field(description="Why it started nothing, as a whole.")
    settled_at: str | None = Field(description="When it was decided about.")
    repeats: int = Field(description="How often the same delivery came again.")
    reactions: list[Reacted] = Field(description="What everybody made of it.")


class EventPage(Told):
    """Some events, the newest first."""

    items: list[Event] = Field(description="The events.")
    next: int | None = Field(description="`before` of the next page; null where this is the last.")


class EventDetail(Event):
    """An event with what it holds."""

    headers: dict[str, str] = Field(description="Those that say what the payload is.")
    payload: Json = Field(description="What expressions read as `event`.")


class EventQuery(Asking):
    """Which events are wanted; what is left out does not restrict."""

    state: list[EventState] = Field(default=[], description="In one of these states; repeatable.")
    source: str | None = Field(
        default=None,
        max_length=_NAME_CHARS_MAX,
        description="From this sender; `webhook` takes in `webhook/deploy`.",
    )
    kind: str | None = Field(
        default=None, max_length=_NAME_CHARS_MAX, description="Of this kind; `github` takes in `github.push`."
    )
    since: Moment | None = Field(default=None, description="Arrived since: `2h`, `7d`, or a timestamp.")
    before: int | None = Field(default=None, ge=1, le=NUMBER_MAX, description="Older than this event.")
    limit: int = Field(default=50, ge=1, le=PAGE_MAX, description="How many at most.")


class Payload(Asking):
    """A payload, as its sender would send it: as JSON, or as the text of a body."""

    payload: Json = Field(default=None, description="JSON.")
    body: str | None = Field(
        default=None, description="The body as it is, in place of `payload`: a form, for example."
    )
    headers: dict[str, str] = Field(
        default_factory=dict,
        max_length=HEADERS_MAX,
        description="Headers of the request; some name the event.",
    )

    def as_bytes(self) -> bytes:
        """The body; raises InputsInvalid where there is none, or two."""
        if (self.body is None) == ("payload" not in self.model_fields_set):
            raise InputsInvalid(["say `payload`, or `body`"])
        return json.dumps(self.payload).encode() if self.body is None else self.body.encode()


class HandedIn(Payload):
    """An event that a person hands in."""

    source: str = Field(
        min_length=1,
        max_length=_NAME_CHARS_MAX,
        description="Who would send it: `github`, or `webhook/deploy`.",
    )


class Trial(Payload):
    """An event that is only tried out."""

    source: str | None = Field(
        default=None,
        max_length=_NAME_CHARS_MAX,
        description="Who would send it: `github`, or an event, `github.push`; guessed where it can be.",
    )
    path: str = Field(
        default="", max_length=_NAME_CHARS_MAX, description="Of a webhook: the path that it comes to."
    )


class Kept(Told):
    """An event is durable; what it starts is decided next."""

    event: int = Field(description="Its number.")
    existing: bool = Field(description="Whether the same one was here before: it starts nothing again.")
    title: str = Field(description="What it is, in a few words.")


class Replayed(Told):
    """An event is decided about once more."""

    event: int = Field(description="Its number.")
    is_again: bool = Field(description="False where it still waits for its first decision.")


class Judged(Told):
    """What one entry of `on:` would make of an event."""

    workflow: str = Field(description="Whose entry.")
    entry: int = Field(description="Which entry, from 1.")
    kind: str = Field(description="What it listens to.")
    starts: bool = Field(description="Whether it would start a run.")
    because: str = Field(description="Why it would not.")
    inputs: dict[str, Json] | None = Field(description="With which inputs.")
    start_key: str | None = Field(description="At most one run for each.")
    debounce_seconds: float | None = Field(
        description="It would start when nothing more has come for so long."
    )
    without_secrets: bool | None = Field(description="Whether the run would get no secrets.")


class Tried(Told):
    """What an event is, and what it would start."""

    source: str = Field(description="Who sends it.")
    kinds: list[str] = Field(description="What triggers call it.")
    delivery: str = Field(description="By what its sender would know it.")
    title: str = Field(description="What it is, in a few words.")
    note: str = Field(description="Why no trigger can be meant, where that is so.")
    entries: list[Judged] = Field(description="What every entry would make of it.")


@ROUTES.get("/events", permission="event.view", operation_id="list_events")
def list_events(call: Asked, query: Annotated[EventQuery, Query()]) -> EventPage:
    """List what arrived from outside, the newest first, and what it started."""
    rows, following = events_of(call, query)
    return EventPage(items=[Event.model_validate(shapes.event_object(row)) for row in rows], next=following)


@ROUTES.get("/events/counts", permission="event.view", operation_id="count_events")
def count_events(call: Asked) -> dict[EventState, int]:
    """Count events by their state; only for whoever may see all of them."""
    call.allow("event.view")
    return dict(call.app.store.events.counts())


@ROUTES.get("/events/{event}", permission="event.view", operation_id="show_event")
def show_event(call: Asked, event: Which) -> EventDetail:
    """Show an event: its payload, which runs it started, and if none, why not."""
    row = event_row(call, event)
    payload = json.loads(call.app.store.events.payload(row.id))
    return EventDetail.model_validate(
        {**shapes.event_object(row), "headers": dict(row.headers), "payload": payload}
    )


@ROUTES.post("/events", permission="event.add", operation_id="add_event", status_code=202)
async def add_event(call: Asked, body: HandedIn, once: OnceOnly = None) -> Kept:
    """Hand in an event as if it had been delivered. No signature is asked for; handed in twice, it starts nothing twice."""
    call.allow("event.add")
    receipt = await run_in_threadpool(keep, call, body, once)
    call.parts.pulse.wake("events")
    return Kept(event=receipt.event, existing=receipt.existing, title=receipt.title)


@ROUTES.post(
    "/events/{event}/replay", permission="event.replay", operation_id="replay_event", status_code=202
)
async def replay_event(call: Asked, event: Which) -> Replayed:
    """Decide about an event once more, with the workflows as they are now. What it has started before is not started again."""
    call.allow("event.replay")
    row = await run_in_threadpool(event_row, call, event, "event.replay")
    is_again = await run_in_threadpool(call.app.store.events.again, row.id)
    _LOG.info("server.event_replayed event=%s by=%s", row.id, call.by)
    call.parts.pulse.wake("events")
    return Replayed(event=row.id, is_again=is_again)


@ROUTES.post("/workflows/{workflow}/trigger_test", permission="workflow.view", operation_id="test_trigger")
def test_trigger(call: Asked, workflow: catalogue.WorkflowName, body: Trial) -> Tried:
    """Say what an event would start, entry by entry: with which inputs, or why not. Nothing is started and nothing is kept."""
    loaded = catalogue.load(call, workflow)
    listener = call.app.listening.listener(loaded)
    received = by_hand.tried_out(
        body.as_bytes(),
        listener,
        source=body.source,
        headers=lowered(body.headers),
        path=body.path,
        at=call.app.now(),
    )
    verdicts = by_hand.verdicts(received, loaded, listener)
    return Tried.model_validate(shapes.trial_object(received, verdicts))


def keep(call: Call, body: HandedIn, once: Once | None = None) -> Receipt:
    """Keeps an event that a person hands in, with who did; it is durable when this returns."""
    received = by_hand.handed_in(
        body.as_bytes(),
        source=body.source,
        headers=lowered(body.headers),
        at=call.app.now(),
        delivery="" if once is None else f"by-hand-{once.id}",
    )
    event = dataclasses.replace(received.event, headers={**received.event.headers, HANDED_IN_BY: call.by})
    return call.app.inbox.keep(Received(event=event, reading=received.reading))


def event_row(
    call: Call, which: str, permission: Literal["event.view", "event.replay"] = "event.view"
) -> EventRow:
    """An event by its number, or the last one that whoever asks may see; raises NotFound or Forbidden."""
    if which == "last":
        rows, _ = events_of(call, EventQuery(limit=1))
        if not rows:
            raise NotFound("nothing has arrived yet that you may see")
        return rows[0]
    row = call.app.store.events.event(EventId(int(which)))
    seen = _seen(call, row, permission)
    if seen is None:
        raise Forbidden(
            f"{call.by} may not see event {which}", help="it is of no workflow that you may see events of"
        )
    return seen


def events_of(call: Call, query: EventQuery) -> tuple[list[EventRow], EventId | None]:
    """Events that whoever asks may see, the newest first, and where the next page begins."""
    found: list[EventRow] = []
    last: EventId | None = None
    for looked_at, row in enumerate(_rows(call, query), 1):
        if len(found) == query.limit or looked_at > EVENTS_LOOKED_AT_MAX:
            return found, last
        last = row.id
        seen = _seen(call, row, "event.view")
        if seen is not None:
            found.append(seen)
    return found, None


def _rows(call: Call, query: EventQuery) -> Iterator[EventRow]:
    before = None if query.before is None else EventId(query.before)
    since = None if query.since is None else moment_of(query.since, now=call.app.now())
    while True:
        where = EventFilter(
            states=tuple(query.state),
            source=query.source,
            kind=query.kind,
            since=since,
            before=before,
            rows_max=PAGE_ROWS_MAX if before is not None else min(query.limit + 1, PAGE_ROWS_MAX),
        )
        page = call.app.store.events.events(where)
        yield from page
        if len(page) < where.rows_max:
            return
        before = page[-1].id


def _seen(call: Call, row: EventRow, permission: Literal["event.view", "event.replay"]) -> EventRow | None:
    """An event with the reactions that whoever asks may see; None where it is not for them."""
    if call.may(permission):
        return row
    mine = tuple(one for one in row.reactions if _may_see(call, one, permission))
    return dataclasses.replace(row, reactions=mine) if any(map(_is_concerned, mine)) else None


def _is_concerned(one: Reaction) -> bool:
    return one.run is not None or one.held_until is not None or one.is_failure


def _may_see(call: Call, one: Reaction, permission: str) -> bool:
    if one.run is not None:
        try:
            return call.may(permission, target_of(call.app.reader.run(str(one.run))))
        except NotFound:
            pass  # the run was forgotten; its workflow is known
    return call.may(permission, Target(workflow=one.workflow))
