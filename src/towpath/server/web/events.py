"""Pages of events: what came from outside, who is known to have sent it, and which runs it started; if none, why not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, get_args
from urllib.parse import urlencode

from fastapi import Path, Query
from starlette.responses import HTMLResponse, Response

from towpath.errors import NotFound
from towpath.server.api import events as api
from towpath.server.api.events import EventQuery
from towpath.server.call import Asked, Call
from towpath.server.routing import Routes
from towpath.server.web import pages
from towpath.store.contract import EventRow, EventState

ROUTES = Routes(is_page=True)
PAGE_EVENTS: Final = 50
NUMBER_MAX: Final = 2**63 - 1
STATES: Final = get_args(EventState)
STATE_WORDS: Final[Mapping[str, str]] = {
    "received": "nobody has looked yet",
    "held": "waits until it is quiet",
    "matched": "started something",
    "ignored": "started nothing",
    "failed": "went wrong",
}
WAYS: Final[Mapping[str, str]] = {
    "signature": "it was signed",
    "token": "it knew the secret word",
    "local": "it was made here",
    "nobody": "nobody knows who sent this",
}
"""How it is known who sent it."""
_Number = Annotated[int, Path(ge=1, le=NUMBER_MAX)]


@ROUTES.get("/events", permission="event.view")
def list_events(
    call: Asked,
    state: str = "",
    source: Annotated[str, Query(max_length=200)] = "",
    kind: Annotated[str, Query(max_length=200)] = "",
    before: Annotated[int | None, Query(ge=1, le=NUMBER_MAX)] = None,
) -> HTMLResponse:
    """The events, newest first."""
    states = [one for one in STATES if one == state]
    query = EventQuery(
        state=states,
        source=source.strip() or None,
        kind=kind.strip() or None,
        before=before,
        limit=PAGE_EVENTS,
    )
    rows, following = api.events_of(call, query)
    chosen = {"state": state if states else "", "source": source, "kind": kind}
    return pages.page(
        call,
        "events.html",
        title="Events",
        section="events",
        rows=rows,
        chosen=chosen,
        states=STATE_WORDS,
        link=lambda **changes: _address({**chosen, **changes}),
        older=_address({**chosen, "before": following}) if following is not None else "",
        newer=_address(chosen) if before is not None else "",
        here=_address({**chosen, "before": before}),
    )


@ROUTES.get("/events/{event}", permission="event.view")
def event_page(call: Asked, event: _Number) -> HTMLResponse:
    """One event: what it holds, who sent it, and what every entry of `on:` made of it."""
    row = api.event_row(call, str(event))
    return pages.page(
        call,
        "event.html",
        title=f"Event {row.id}",
        section="events",
        row=row,
        way=WAYS.get(row.way, row.way),
        state_words=STATE_WORDS,
        payload=payload_of(call, row),
    )


@ROUTES.post("/events/{event}/replay", permission="event.replay")
async def replay(call: Asked, event: _Number) -> Response:
    """Has an event decided about once more, with the workflows as they are now."""
    await api.replay_event(call, str(event))
    return pages.see_other(f"/events/{event}")


def payload_of(call: Call, row: EventRow) -> Any:  # noqa: ANN401 - JSON
    """What an event holds."""
    try:
        return json.loads(call.app.store.events.payload(row.id))
    except NotFound:
        return None


def _address(query: Mapping[str, object]) -> str:
    kept = {key: value for key, value in query.items() if value not in (None, "")}
    return f"/events?{urlencode(kept)}" if kept else "/events"
