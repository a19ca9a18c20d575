"""What the steps of a run printed, on its page: the end of it, page by page, or the lines that hold a text."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import Query
from starlette.responses import HTMLResponse

from towpath.core.run import Run
from towpath.observe import words
from towpath.server.api import finding, logs
from towpath.server.api.told import moment_of
from towpath.server.call import Asked, Call, target_of
from towpath.server.routing import Routes
from towpath.server.web import ansi, pages
from towpath.server.web.looking import Look
from towpath.store.logs import LogLine, read_on

ROUTES = Routes(is_page=True)
LOG_LINES: Final = 1_000
"""Lines of a log on one page."""
STEPS_OFFERED_MAX: Final = 300
"""Steps that the log's filter offers."""
STEPS_LOOKED_AT_MAX: Final = 20_000
PIECE_BYTES: Final = 4 * 1024 * 1024
"""How much is read at once on the way to the end of a log."""


def logs_of(
    call: Call, look: Look, *, step: str, attempt: int | None, q: str, after: int | None
) -> dict[str, Any]:
    """What steps printed: the end of it, one page of it, or the lines that hold a text."""
    call.allow("log.view", target_of(look.row))
    here = {"step": step, "attempt": attempt, "q": q}
    is_end = after is None and not q
    told: dict[str, Any] = {
        "wanted": here,
        "steps": _printing_steps(look.run),
        "later": "",
        "newest": look.link(**here) if after is not None else "",
        "place": "",
        "whole": pages.address(
            f"/api/v1/runs/{look.row.number}/logs", step=step, attempt=attempt, format="text"
        ),
    }
    if is_end:
        lines, first, place = _end(call, look, step, attempt)
        told |= {"lines": lines, "place": place}
    else:
        page = _page(call, look, here, after or 0)
        first = page.items[0].number if page.items and not q else 1
        told |= {
            "lines": [_numbered(one, q) for one in page.items],
            "later": look.link(**here, after=page.next) if page.next else "",
        }
    told["earlier"] = look.link(**here, after=max(0, first - LOG_LINES - 1)) if first > 1 else ""
    told["follows"] = is_end and look.now.is_open and look.at is None
    return told


def _page(call: Call, look: Look, here: Mapping[str, Any], after: int) -> logs.LinePage:
    if here["step"] and here["step"] not in look.run.nodes:
        return logs.LinePage(items=[], next=None, is_open=look.now.is_open)
    query = logs.LogQuery(
        step=here["step"] or None, attempt=here["attempt"], q=here["q"], after=after, limit=LOG_LINES
    )
    return logs.read_lines(call, str(look.row.number), query)


def _end(call: Call, look: Look, step: str, attempt: int | None) -> tuple[list[dict[str, Any]], int, str]:
    """The last lines, the number of the first of them, and the place behind them, from where one goes on."""
    folder = call.app.logs.folder_of(look.row.number)
    kept: collections.deque[LogLine] = collections.deque(maxlen=LOG_LINES)
    count, place = 0, ""
    while True:
        piece = read_on(folder, place=place, step=step or None, attempt=attempt, piece_bytes=PIECE_BYTES)
        kept.extend(piece.lines)
        count += len(piece.lines)
        if piece.place == place or not piece.lines:
            return [_shown_line(one) for one in kept], count - len(kept) + 1, piece.place
        place = piece.place


def _numbered(line: logs.Line, q: str) -> dict[str, Any]:
    return _shown(line.path, line.attempt, line.stream, line.text, moment_of(line.at, now=0), q)


def _printing_steps(run: Run) -> list[str]:
    """Those that may have printed, in the order of their beginning."""
    found = (node for path, node in run.nodes.items() if path and node.attempt and not node.frame)
    return [
        node.path
        for node in sorted(
            itertools.islice(found, STEPS_LOOKED_AT_MAX), key=lambda node: node.started_sequence
        )
    ][:STEPS_OFFERED_MAX]


@ROUTES.get("/runs/{run}/log_lines", permission="log.view")
def log_lines(
    call: Asked,
    run: str,
    place: Annotated[str, Query(max_length=4_000)] = "",
    step: Annotated[str, Query(max_length=2_000)] = "",
    attempt: Annotated[int | None, Query(ge=1)] = None,
) -> HTMLResponse:
    """The lines that came behind a place, as a part of the page that shows them, and where to go on."""
    row = finding.find_run(call, run, "log.view")
    piece = read_on(call.app.logs.folder_of(row.number), place=place, step=step or None, attempt=attempt)
    lines = [_shown_line(one) for one in piece.lines]
    shown = pages.render(
        call,
        "log_lines.html",
        lines=lines,
        is_open=row.is_open or bool(lines),
        next_lines=pages.address(
            f"/runs/{row.number}/log_lines", place=piece.place, step=step, attempt=attempt
        ),
    )
    return HTMLResponse(shown)


def _shown_line(one: LogLine) -> dict[str, Any]:
    return _shown(one.path, one.attempt, one.stream, one.text, one.at, "")


def _shown(path: str, attempt: int, stream: str, text: str, at: int, q: str) -> dict[str, Any]:
    return {
        "path": path,
        "attempt": attempt,
        "stream": stream,
        "clock": words.clock(at),
        "pieces": ansi.pieces(text, q),
    }
