"""The store's own values over HTTP, exactly: what a command line asks that talks to a server (`tow --server`).

The rest of the API is made for people who write programs, and stays as it is for years. These routes are for one program, of the same
version: it folds runs itself and shows them as it shows those of a data folder. So they are no part of the API's description. They say
no more than the API does: whoever asks sees the same runs, questions and events. All that is done, is done through the API.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import msgspec
from fastapi import Query
from starlette.responses import Response, StreamingResponse

import towpath
from towpath.definition.projects import PROJECT_FILE
from towpath.errors import LimitExceeded, NotFound
from towpath.policy.access import Target
from towpath.server.api import catalogue, finding, reach
from towpath.server.api.project import tellable
from towpath.server.api.told import NUMBER_MAX
from towpath.server.api.workflows import shown_path
from towpath.server.call import Asked, Call, target_of
from towpath.server.routing import SIGNED_IN, Routes
from towpath.server.shapes import rows as shapes
from towpath.store.contract import (
    PAGE_ROWS_MAX,
    EventFilter,
    EventId,
    RunFilter,
    RunNumber,
    RunRow,
    SendingFilter,
)
from towpath.store.logs import read_on
from towpath.triggers.contract import Malformed

ROUTES = Routes(prefix="/api/v1/rows")
RECORDS_PAGE: Final = 1_000
PROJECT_BYTES_MAX: Final = 16 * 1024 * 1024
WHERE_CHARS_MAX: Final = 8_000
_HIDDEN: Final = {"include_in_schema": False, "response_class": Response}

T = TypeVar("T")
Where = Annotated[str, Query(max_length=WHERE_CHARS_MAX)]
Number = Annotated[int, Query(ge=0, le=NUMBER_MAX)]


@ROUTES.get("/hello", permission=SIGNED_IN, **_HIDDEN)
def hello(call: Asked) -> Response:
    """Tell which version this is, and who asks."""
    return _told(
        shapes.Hello(protocol=shapes.PROTOCOL, version=towpath.__version__, name=call.by, now=call.app.now())
    )


@ROUTES.get("/project", permission="workflow.view", **_HIDDEN)
def project(call: Asked) -> Response:
    """The project's own file, for those who may see its people, and the workflows that whoever asks may see."""
    found = call.app.project
    texts: dict[str, str] = {}
    if call.may_at_all("people.view") and (found.folder / PROJECT_FILE).is_file():
        told = tellable(call.app.project_file())
        environments = told.get("environments", {})
        told["environments"] = {
            name: said for name, said in environments.items() if reach.may_in(call, "environment.view", name)
        }
        texts[PROJECT_FILE] = json.dumps(told)  # JSON is YAML, too
    for _, one in catalogue.workflows(call):
        file = Path(one.path)
        texts[shown_path(call, file)] = file.read_text(encoding="utf-8", errors="replace")
    if sum(map(len, texts.values())) > PROJECT_BYTES_MAX:
        raise LimitExceeded("the project is too large to be sent", limit="PROJECT_BYTES_MAX")
    return _told(shapes.Files(texts=texts))


# --- runs --------------------------------------------------------------------------------------------------


@ROUTES.get("/runs", permission="run.view", **_HIDDEN)
def runs(call: Asked, where: Where = "{}") -> Response:
    """A page of runs."""
    wanted = _asked(where, RunFilter)
    return _told([_row(call, row) for row in finding.page_of(call, wanted).rows])


@ROUTES.get("/run", permission="run.view", **_HIDDEN)
def run(call: Asked, name: Annotated[str, Query(max_length=64)]) -> Response:
    """A run by its name."""
    return _told(_row(call, finding.find_run(call, name)))


@ROUTES.get("/run_by_start_key", permission="run.view", **_HIDDEN)
def run_by_start_key(call: Asked, key: Annotated[str, Query(max_length=1_000)]) -> Response:
    """The run that a start key has started."""
    row = call.app.reader.run_by_start_key(key)
    return _told(None if row is None or not call.may("run.view", target_of(row)) else _row(call, row))


@ROUTES.get("/counts", permission="run.view", **_HIDDEN)
def counts(call: Asked) -> Response:
    """How many runs there are in each status."""
    if call.may("run.view"):
        return _told(call.app.reader.counts())
    seen = finding.all_visible(call, RunFilter(rows_max=PAGE_ROWS_MAX))
    return _told(collections.Counter(row.summary.status for row in seen))


@ROUTES.get("/records", permission="run.view", **_HIDDEN)
def records(call: Asked, run: Annotated[int, Query(ge=1, le=NUMBER_MAX)], after: Number = 0) -> Response:
    """A page of a run's records."""
    _check(call, RunNumber(run))
    return _told(list(itertools.islice(call.app.reader.events(RunNumber(run), after=after), RECORDS_PAGE)))


@ROUTES.get("/artifacts", permission="artifact.view", **_HIDDEN)
def artifacts(call: Asked, run: Annotated[int, Query(ge=1, le=NUMBER_MAX)]) -> Response:
    """What the steps of a run kept."""
    _check(call, RunNumber(run), "artifact.view")
    return _told(call.app.reader.artifacts(RunNumber(run)))


@ROUTES.get(
    "/artifact", permission="artifact.view", include_in_schema=False, response_class=StreamingResponse
)
def artifact(
    call: Asked,
    run: Annotated[int, Query(ge=1, le=NUMBER_MAX)],
    digest: Annotated[str, Query(pattern="^[0-9a-f]{64}$")],
) -> StreamingResponse:
    """A file that a run kept."""
    _check(call, RunNumber(run), "artifact.view")
    if not any(one.digest == digest for one in call.app.reader.artifacts(RunNumber(run))):
        raise NotFound("the run keeps no such file")
    headers = {"Content-Disposition": "attachment"}
    return StreamingResponse(
        call.app.artifacts.read(digest), media_type="application/octet-stream", headers=headers
    )


@ROUTES.get("/log", permission="log.view", **_HIDDEN)
def log(
    call: Asked,
    run: Annotated[int, Query(ge=1, le=NUMBER_MAX)],
    place: Annotated[str, Query(max_length=4_000)] = "",
    step: Annotated[str | None, Query(max_length=1_000)] = None,
    attempt: Annotated[int | None, Query(ge=1, le=NUMBER_MAX)] = None,
) -> Response:
    """Some lines of a run's log."""
    _check(call, RunNumber(run), "log.view")
    piece = read_on(call.app.logs.folder_of(RunNumber(run)), place=place, step=step, attempt=attempt)
    return _told(shapes.LogPiece(lines=piece.lines, place=piece.place))


@ROUTES.get("/definition", permission="run.view", **_HIDDEN)
def definition(call: Asked, digest: Annotated[str, Query(max_length=200)]) -> Response:
    """What a run started with, for those who may see runs of the workflow, or the workflow."""
    found = call.app.reader.definition(digest)
    if not call.may("run.view"):
        workflow = call.app.plans.of(found).workflow.name
        if not reach.may_with(call, "run.view", workflow, None):
            call.allow("workflow.view", Target(workflow=workflow))
    return _told(found)


@ROUTES.get("/owners", permission="run.view", **_HIDDEN)
def owners(call: Asked) -> Response:
    """The processes that drive runs."""
    return _told(call.app.store.owners.owners())


@ROUTES.get("/slots", permission="run.view", **_HIDDEN)
def slots(call: Asked, group: Annotated[str, Query(max_length=1_000)]) -> Response:
    """How many hold a slot of a group, and who queues for it."""
    queue = [_row(call, row) for row in call.app.reader.slot_queue(group) if _may(call, row)]
    return _told({"taken": call.app.reader.slots_taken(group), "queue": queue})


@ROUTES.get("/places", permission="run.view", **_HIDDEN)
def places(call: Asked, environment: Annotated[str, Query(max_length=1_000)]) -> Response:
    """Which runs are in an environment."""
    reach.allow_in(call, "run.view", environment)
    return _told(call.app.reader.places_taken(environment))


# --- people ------------------------------------------------------------------------------------------------


@ROUTES.get("/questions", permission="question.view", **_HIDDEN)
def questions(
    call: Asked, after: Number = 0, rows_max: Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX)] = PAGE_ROWS_MAX
) -> Response:
    """A page of the runs that ask people something, and where the next page begins."""
    found = call.app.reader.open_questions(after=RunNumber(after), rows_max=rows_max)
    seen = [row for row in found if call.may("question.view", target_of(row))]
    return _told({"rows": seen, "next": found[-1].number if len(found) == rows_max else None})


@ROUTES.get("/acts", permission="audit.view", **_HIDDEN)
def acts(
    call: Asked,
    at: Number,
    run: Number,
    sequence: Number,
    since: Number = 0,
    rows_max: Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX)] = PAGE_ROWS_MAX,
) -> Response:
    """A page of the records that may tell of what somebody did; those of others' runs are without their content."""
    found = call.app.reader.act_records(before=(at, run, sequence), since=since, rows_max=rows_max)
    seen = _visible(call, (number for number, _ in found), "audit.view")
    last = found[-1] if len(found) == rows_max else None
    return _told(
        {
            "rows": [one for one in found if one[0] in seen],
            "next": None if last is None else (last[1][1], last[0], last[1][0]),
        }
    )


@ROUTES.get("/sendings", permission="outbox.view", **_HIDDEN)
def sendings(call: Asked, where: Where = "{}") -> Response:
    """A page of what people were told, and where the next page begins."""
    wanted = _asked(where, SendingFilter)
    found = call.app.store.outbox.sendings(wanted)
    seen = _visible(call, (row.run for row in found), "outbox.view")
    rows = [row for row in found if row.run in seen]
    return _told({"rows": rows, "next": found[-1].id if len(found) == wanted.rows_max else None})


@ROUTES.get("/sendings/counts", permission="outbox.view", **_HIDDEN)
def sending_counts(call: Asked) -> Response:
    """How many sendings there are in each state."""
    call.allow("outbox.view")
    return _told(call.app.store.outbox.counts())


# --- events from outside -----------------------------------------------------------------------------------


@ROUTES.get("/events", permission="event.view", **_HIDDEN)
def events(call: Asked, where: Where = "{}") -> Response:
    """A page of events."""
    call.allow("event.view")
    return _told(call.app.store.events.events(_asked(where, EventFilter)))


@ROUTES.get("/event", permission="event.view", **_HIDDEN)
def event(call: Asked, name: Annotated[str, Query(max_length=64)]) -> Response:
    """One event."""
    call.allow("event.view")
    return _told(call.app.store.events.event("last" if name == "last" else _event_id(name)))


@ROUTES.get("/event/payload", permission="event.view", **_HIDDEN)
def event_payload(call: Asked, name: Annotated[str, Query(max_length=64)]) -> Response:
    """What an event holds."""
    call.allow("event.view")
    return _told(call.app.store.events.payload(_event_id(name)))


def _asked(where: str, kind: type[T]) -> T:
    try:
        found: T = msgspec.json.decode(where, type=kind)
    except msgspec.MsgspecError as error:
        raise Malformed(f"this is no filter: {error}") from error
    return found


def _event_id(name: str) -> EventId:
    if not name.isascii() or not name.isdecimal() or int(name) > NUMBER_MAX:
        raise NotFound(f"there is no event {name!r}")
    return EventId(int(name))


def _check(call: Call, number: RunNumber, permission: str = "run.view") -> None:
    finding.find_run(call, str(number), permission)


def _may(call: Call, row: RunRow) -> bool:
    return call.may("run.view", target_of(row))


def _row(call: Call, row: RunRow) -> RunRow:
    """A row as whoever asks may see it: what it asks people is left out for those who may not see questions."""
    if not row.summary.questions or call.may("question.view", target_of(row)):
        return row
    summary = dataclasses.replace(row.summary, questions=(), questions_more=0)
    return dataclasses.replace(row, summary=summary)


def _visible(call: Call, numbers: Iterable[RunNumber], permission: str) -> Mapping[int, RunRow]:
    wanted = set(numbers)
    found = call.app.reader.runs_of(wanted) if wanted else ()
    return {row.number: row for row in found if call.may(permission, target_of(row))}


def _told(value: Any) -> Response:  # noqa: ANN401 - whatever the store has
    return Response(shapes.encode(value), media_type="application/json")
