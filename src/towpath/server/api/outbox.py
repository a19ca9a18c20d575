"""The outbox: who was told what, through which channel, and what became of it; what failed is sent once more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

from fastapi import Path, Query
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from towpath.errors import NotFound, Refused
from towpath.people import sendings
from towpath.people.channels.routes import Routes as Ways
from towpath.people.outbox import to_be_kept, ways_of
from towpath.people.sendings import Trying
from towpath.server import sent
from towpath.server.api import finding
from towpath.server.api.told import NUMBER_MAX, PAGE_MAX, Asking, Told
from towpath.server.call import Asked, Call, target_of
from towpath.server.routing import Routes
from towpath.server.shapes.outbox import sending_object
from towpath.store.contract import RunNumber, SendingId, SendingRow, SendingState

ROUTES = Routes(prefix="/api/v1/outbox", tag="outbox")
SENDINGS_LOOKED_AT_MAX: Final = 10_000
"""Rows that one request reads at most, whatever whoever asks may see of them."""
_NAME_CHARS_MAX: Final = 200
Which = Annotated[int, Path(ge=1, le=NUMBER_MAX, description="A sending's number.")]


class Sending(Told):
    """One notice for one recipient through one channel."""

    id: int = Field(description="Its number.")
    notice: str = Field(description="What is told; the same for all recipients.")
    run_number: int = Field(description="The run that it is about.")
    path: str = Field(description="The step; empty for the run itself.")
    why: str = Field(description="`asked`, `reminder`, `rung`, `decided`, …")
    number: int | None = Field(description="Which reminder or rung.")
    at: str = Field(description="When it was put.")
    recipient: str = Field(description="For whom.")
    channel: str | None = Field(description="Through which channel; null where none leads to the recipient.")
    address: str | None = Field(description="Where to.")
    state: SendingState = Field(description="What became of it.")
    attempts: int = Field(description="Attempts that were begun.")
    due_at: str | None = Field(description="When the next attempt is due, while it waits.")
    tried_at: str | None = Field(description="When the last attempt began.")
    ended_at: str | None = Field(description="When it was over.")
    error: str | None = Field(description="What the last attempt failed with.")


class SendingPage(Told):
    """Some sendings, the newest first."""

    items: list[Sending] = Field(description="The sendings.")
    next: int | None = Field(description="`before` of the next page; null where this is the last.")


class Retried(Told):
    """What is done to have something told after all."""

    id: int = Field(description="The sending.")
    how: str = Field(description="`again`: it is attempted once more; `anew`: a way was looked for.")
    items: list[Sending] = Field(description="What became of it so far.")


class SendingQuery(Asking):
    """Which sendings are wanted; what is left out does not restrict."""

    run: str | None = Field(default=None, max_length=64, description="About this run.")
    step: str | None = Field(default=None, max_length=1_000, description="About this step.")
    to: str | None = Field(
        default=None, max_length=_NAME_CHARS_MAX, description="For this person, or this place: ben, #ops."
    )
    channel: str | None = Field(default=None, max_length=_NAME_CHARS_MAX, description="Through this channel.")
    state: list[SendingState] = Field(default=[], description="In one of these states; repeatable.")
    failed: bool = Field(default=False, description="What was not told so far, although somebody tried.")
    before: int | None = Field(default=None, ge=1, le=NUMBER_MAX, description="Older than this one.")
    limit: int = Field(default=50, ge=1, le=PAGE_MAX, description="How many at most.")


@ROUTES.get("", permission="outbox.view", operation_id="list_sendings")
def list_sendings(call: Asked, query: Annotated[SendingQuery, Query()]) -> SendingPage:
    """List who was told what, the newest first."""
    rows, following = sendings_of(call, query)
    return SendingPage(items=[Sending.model_validate(sending_object(row)) for row in rows], next=following)


@ROUTES.get("/counts", permission="outbox.view", operation_id="count_sendings")
def count_sendings(call: Asked) -> dict[SendingState, int]:
    """Count sendings by their state; only for whoever may see all of them."""
    call.allow("outbox.view")
    return dict(call.app.store.outbox.counts())


@ROUTES.post("/{sending}/retry", permission="question.remind", operation_id="retry_sending", status_code=202)
async def retry_sending(call: Asked, sending: Which) -> Retried:
    """Have what was not told sent once more, or look for a way where there was none. Nobody is called to a question that is over."""
    return await run_in_threadpool(retry, call, SendingId(sending))


def sendings_of(call: Call, query: SendingQuery) -> tuple[list[SendingRow], SendingId | None]:
    """Sendings that whoever asks may see, the newest first, and where the next page begins."""
    run = None if query.run is None else finding.find_run(call, query.run, "outbox.view").number
    wanted = sent.Wanted(
        run=run,
        path=query.step,
        to=query.to,
        channel=query.channel,
        states=tuple(query.state),
        is_failing=query.failed,
        before=None if query.before is None else SendingId(query.before),
    )
    found: list[SendingRow] = []
    last: SendingId | None = None
    for looked_at, (row, is_visible) in enumerate(_judged(call, sent.rows(call.app, wanted)), 1):
        if len(found) == query.limit or looked_at > SENDINGS_LOOKED_AT_MAX:
            return found, last
        last = row.id
        if is_visible:
            found.append(row)
    return found, None


def retry(call: Call, sending: SendingId) -> Retried:
    """Has something sent once more; raises NotFound, Forbidden, or Refused where nothing can be done."""
    row = _row(call, sending)
    (one,) = sent.trying(call.app, [row])
    if one.how not in ("again", "anew"):
        raise Refused(_REASONS[one.how], help="GET /api/v1/outbox tells what became of it")
    _try(call, one)
    after = [Sending.model_validate(sending_object(each)) for each in sent.after(call.app, one)]
    return Retried(id=row.id, how=one.how, items=after)


_REASONS: Final = {
    "over": "the question is over: nobody is called to it any more",
    "told": "it was sent already",
    "partly": "others were told, and no way leads to this one",
}


def _try(call: Call, one: Trying) -> None:
    """Leaves it to the process that sends: this one looks at the outbox again and again."""
    app = call.app
    notice = sendings.notice_of(one.row) if one.how == "anew" else None
    if notice is None:
        app.store.outbox.try_again(one.row.id, at=app.now())
        return
    ways = ways_of(notice, lambda: Ways.of(app.project_file()))
    if ways:
        app.store.outbox.put([to_be_kept(notice, ways)], owner=call.parts.engine.owner)


def _row(call: Call, sending: SendingId) -> SendingRow:
    wanted = sent.Wanted(before=SendingId(sending + 1))
    row = next(iter(sent.rows(call.app, wanted)), None)
    if row is None or row.id != sending:
        raise NotFound(f"there is no sending {sending}")
    call.allow("question.remind", target_of(call.app.reader.run(row.run)))
    return row


def _judged(call: Call, rows: Iterator[SendingRow]) -> Iterator[tuple[SendingRow, bool]]:
    """Sendings, each with whether whoever asks may see it."""
    sees_all = call.may("outbox.view")
    known: dict[RunNumber, bool] = {}
    for row in rows:
        if not sees_all and row.run not in known:
            known[row.run] = call.may("outbox.view", target_of(call.app.reader.run(row.run)))
        yield row, sees_all or known[row.run]
