"""What the steps of a run printed: page by page, searched, or as one text."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final, Literal

from fastapi import Query
from fastapi.responses import StreamingResponse
from pydantic import Field

from towpath.server.api import finding
from towpath.server.api.runs import TEXT_CHARS_MAX, RunName
from towpath.server.api.told import NUMBER_MAX, Asking, Told
from towpath.server.call import Asked, Call
from towpath.server.routing import Routes
from towpath.server.shapes import logs as shapes
from towpath.store.contract import RunRow
from towpath.store.logs import LogLine, LogReader, Stream

ROUTES = Routes(prefix="/api/v1/runs", tag="runs")
LINES_PAGE_MAX: Final = 5_000
PIECE_LINES: Final = 500
"""Lines of a text that are sent at once."""


class LogQuery(Asking):
    """Which lines are wanted; what is left out does not restrict."""

    step: str | None = Field(
        default=None, max_length=1_000, description="Only this step, with all that is inside of it."
    )
    attempt: int | None = Field(default=None, ge=1, le=NUMBER_MAX, description="Only this attempt.")
    q: str = Field(
        default="", max_length=TEXT_CHARS_MAX, description="Only lines that hold this text, in any case."
    )
    after: int = Field(default=0, ge=0, le=NUMBER_MAX, description="Behind this line.")
    tail: int | None = Field(
        default=None, ge=1, le=LINES_PAGE_MAX, description="The last so many lines instead of a page."
    )
    limit: int = Field(default=1_000, ge=1, le=LINES_PAGE_MAX, description="How many at most.")
    format: Literal["json", "text"] = Field(
        default="json",
        description="`text`: every line of the step and attempt as it was printed, without a limit.",
    )


class Line(Told):
    """One line that a step printed."""

    number: int = Field(description="Its place among the lines of what was asked for, from 1.")
    at: str = Field(description="When it came.")
    path: str = Field(description="The step.")
    attempt: int = Field(description="Which attempt of it.")
    stream: Stream = Field(description="Where it was printed; `system` is Towpath itself.")
    text: str = Field(description="The text; secrets are masked, escape sequences are as they were printed.")
    goes_on: bool = Field(
        description="Whether the line is so long that the step's next one is the rest of it."
    )


class LinePage(Told):
    """Some lines of a run's log, in the order of their time."""

    items: list[Line] = Field(description="The lines.")
    next: int | None = Field(description="`after` of the next page; null where these are the last so far.")
    is_open: bool = Field(description="Whether more may come.")


_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": LinePage,
        "description": "The lines, or with `format=text` the text alone.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}


@ROUTES.get(
    "/{run}/logs", permission="log.view", operation_id="read_log", response_model=None, responses=_ANSWERS
)
def read_log(call: Asked, run: RunName, query: Annotated[LogQuery, Query()]) -> LinePage | StreamingResponse:
    """Read what the steps of a run printed."""
    row = finding.find_run(call, run, "log.view")
    reader = LogReader(
        call.app.logs.folder_of(row.number), step=_step_of(call, row, query.step), attempt=query.attempt
    )
    if query.format == "text":
        return StreamingResponse(_text(reader), media_type="text/plain; charset=utf-8")
    with reader:
        return _page(reader.more(), query, is_open=row.is_open)


def read_lines(call: Call, run: str, query: LogQuery) -> LinePage:
    """The same for pages: lines, and never one text."""
    found = read_log(call, run, query.model_copy(update={"format": "json"}))
    assert isinstance(found, LinePage), "a page of lines was asked for"
    return found


def _step_of(call: Call, row: RunRow, step: str | None) -> str | None:
    """The path of the step whose lines are wanted; raises NotFound where none has begun."""
    if step is None:
        return None
    return shapes.known_step(finding.state_of(call, row).nodes, step)


def _page(lines: Iterable[LogLine], query: LogQuery, *, is_open: bool) -> LinePage:
    """A page of lines, numbered; with *tail* the last ones."""
    fitting: Iterator[tuple[int, LogLine]] = enumerate(lines, start=1)
    if query.q:
        fitting = _searched(fitting, query.q.casefold())
    if query.tail is not None:
        found, has_more = list(collections.deque(fitting, maxlen=query.tail)), False
    else:
        behind = (entry for entry in fitting if entry[0] > query.after)
        found = list(itertools.islice(behind, query.limit))
        has_more = next(behind, None) is not None
    items = [Line(number=number, **shapes.line_object(line)) for number, line in found]
    return LinePage(items=items, next=items[-1].number if has_more else None, is_open=is_open)


def _searched(lines: Iterator[tuple[int, LogLine]], needle: str) -> Iterator[tuple[int, LogLine]]:
    return ((number, line) for number, line in lines if needle in line.text.casefold())


def _text(reader: LogReader) -> Iterator[str]:
    with reader:
        lines = reader.more()
        while piece := list(itertools.islice(lines, PIECE_LINES)):
            yield "".join(line.text + ("" if line.goes_on else "\n") for line in piece)
