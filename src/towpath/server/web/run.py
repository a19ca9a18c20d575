"""The page of one run: how it is, or how it was at any moment of its life, since its state is the fold of its facts.

What there is to see is told in views, each of which stays small however long the run is. `?at=` has everything told as it was when so
many facts were true; without it the page follows the run.
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import msgspec
from fastapi import Query
from starlette.responses import HTMLResponse

from towpath.core import events
from towpath.core.plan import PlanStep
from towpath.core.run import Micros, Node, Run
from towpath.errors import NotFound
from towpath.observe import words
from towpath.server.api import finding, logs
from towpath.server.call import Asked, Call, target_of
from towpath.server.routing import Routes
from towpath.server.shapes import waits
from towpath.server.shapes.entries import Entry, Teller
from towpath.server.shapes.tree import Detail, Row, tree
from towpath.server.web import acts, ansi, bars, drawings, pages, story
from towpath.server.web.story import Story
from towpath.store.contract import RunFilter, RunRow
from towpath.store.logs import LogLine, read_on

ROUTES = Routes(is_page=True)
VIEWS: Final[Mapping[str, str]] = {
    "steps": "Steps",
    "timeline": "Timeline",
    "logs": "Logs",
    "values": "Values",
    "files": "Files",
    "history": "History",
}
WAITS_SHOWN_MAX: Final = 10
ITEMS_LISTED_MAX: Final = 40
"""Items of an `each` that all have a row among the steps."""
ITEMS_PAGE: Final = 100
"""Items on one page of all of them."""
ROWS_SHOWN_MAX: Final = 600
"""Rows of the tree on one page."""
LOG_LINES: Final = 1_000
"""Lines of a log on one page."""
ENTRIES_PAGE: Final = 200
CHILDREN_SHOWN_MAX: Final = 20
PICTURE_STEPS_MAX: Final = 400
"""A workflow with more steps is not drawn; its tree tells as much."""
At = Annotated[int | None, Query(ge=1, le=2**53)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is looked at: which run, in which view, at which moment."""

    row: RunRow
    """As it was at that moment."""
    now: RunRow
    run: Run
    story: Story
    view: str
    at: int | None

    @property
    def moment(self) -> Micros:
        """Until when time has passed for this look."""
        return self.story.last_at

    def link(self, **changes: object) -> str:
        """The address of the page with something else to see."""
        view = self.view if self.view != "steps" else None
        query = {"view": view, "at": self.at, **changes}
        kept = {key: value for key, value in query.items() if value not in (None, "", "steps")}
        return f"/runs/{self.row.number}" + (f"?{urlencode(kept)}" if kept else "")


@ROUTES.get("/runs/{run}", permission="run.view")
def run_page(  # noqa: PLR0913, PLR0917 - what the page may be asked
    call: Asked,
    run: str,
    view: str = "steps",
    at: At = None,
    step: Annotated[str, Query(max_length=2_000)] = "",
    attempt: Annotated[int | None, Query(ge=1)] = None,
    q: Annotated[str, Query(max_length=200)] = "",
    after: Annotated[int | None, Query(ge=0)] = None,
    upto: Annotated[int | None, Query(ge=1)] = None,
    who: bool = False,  # noqa: FBT001, FBT002 - a query
    only: str = "",
    done: str = "",
) -> HTMLResponse:
    """A run."""
    look = look_at(call, run, view=view, at=at)
    shown: dict[str, Any]
    match look.view:
        case "timeline":
            shown = {"chart": bars.chart(look.story, until=_clock(call, look), after=after or 0)}
        case "logs":
            shown = _logs(call, look, step=step, attempt=attempt, q=q, after=after)
        case "values":
            shown = _values(call, look)
        case "files":
            shown = _files(call, look)
        case "history":
            shown = _history(call, look, upto=upto, who=who)
        case _:
            shown = _steps(call, look, step=step, after=after or 0, only=only)
    return pages.page(
        call,
        f"run_{look.view}.html",
        title=f"{look.row.workflow} #{look.row.number}",
        section="runs",
        **_head(call, look, done),
        **shown,
    )


def look_at(call: Call, name: str, *, view: str = "steps", at: int | None = None) -> Look:
    """A run at a moment; raises NotFound or Forbidden."""
    now = finding.find_run(call, name)
    if at is not None and at >= now.last_sequence:
        at = None
    told = story.story_of(call, now, at)
    row = now if at is None else finding.row_then(call, now, told.run)
    return Look(row=row, now=now, run=told.run, story=told, view=view if view in VIEWS else "steps", at=at)


# --- what stands above every view ------------------------------------------------------------------------


def _head(call: Call, look: Look, done: str) -> dict[str, Any]:
    row, run = look.row, look.run
    owner = call.app.owner_of(look.now) if look.now.is_open else None
    is_stranded = look.now.is_open and (owner is None or owner.life.value != "alive")
    found = () if run.has_ended else waits.waits(run, look.story.chronicle, opens_at=_opens_at(call))
    return {
        "look": look,
        "row": row,
        "run": run,
        "views": VIEWS,
        "link": look.link,
        "waits": found[:WAITS_SHOWN_MAX],
        "waits_more": max(0, len(found) - WAITS_SHOWN_MAX),
        "is_stranded": is_stranded,
        "owner": owner,
        "acts": () if look.at is not None else acts.acts_for(call, look.now, run, is_stranded=is_stranded),
        "said": acts.NOTES.get(done, ""),
        "time": _time_bar(call, look),
        "ended_at": run.ended_at or None,
        "until": run.ended_at or (call.app.now() if look.at is None else look.moment),
        "stream": f"/api/v1/runs/{row.number}/stream?after={run.sequence}"
        if look.at is None and not run.has_ended
        else "",
        "workflow_title": run.plan.workflow.title or "",
    }


def _opens_at(call: Call) -> waits.OpensAt:
    return lambda name: call.app.desk.window_opens_at(name, now=call.app.now())


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeBar:
    """Where on the way of the run this page stands, and what happened there."""

    at: int
    last: int
    moment: Micros
    text: str
    first: str
    earlier: str
    later: str
    newest: str


def _time_bar(call: Call, look: Look) -> TimeBar:
    at, last = look.run.sequence, look.now.last_sequence
    fact = next((fact for _, fact in call.app.events(look.now, after=at - 1)), None)
    entry = None if fact is None else next(iter(Teller().tell((fact,))), None)
    text = "" if fact is None else _fact_words(fact, entry)
    return TimeBar(
        at=at,
        last=last,
        moment=look.moment,
        text=text,
        first=look.link(at=1),
        earlier=look.link(at=at - 1) if at > 1 else "",
        later=look.link(at=at + 1 if at + 1 < last else None) if at < last else "",
        newest=look.link(at=None),
    )


def _fact_words(fact: events.AnyEvent, entry: Entry | None) -> str:
    if entry is not None:
        return f"{entry.path or 'run'} {entry.text}"
    name = str(type(fact).__struct_config__.tag).replace("_", " ")
    path = getattr(fact, "path", "")
    return f"{path} {name}" if path else name


# --- the views -------------------------------------------------------------------------------------------


def _steps(call: Call, look: Look, *, step: str, after: int, only: str) -> dict[str, Any]:
    """The picture, the tree, and one step more closely."""
    detail = Detail(now=_clock(call, look), chronicle=look.story.chronicle, items_listed_max=ITEMS_LISTED_MAX)
    rows = list(itertools.islice(_flat(tree(look.run, detail)), ROWS_SHOWN_MAX + 1))
    picture = (
        drawings.run_picture(look.run, href=lambda path: look.link(step=path.partition("[")[0]) + "#step")
        if len(look.run.plan.steps) <= PICTURE_STEPS_MAX
        else None
    )
    return {
        "rows": rows[:ROWS_SHOWN_MAX],
        "rows_more": len(rows) > ROWS_SHOWN_MAX,
        "picture": picture,
        "one": _one_step(call, look, step, after, only) if step else None,
    }


def _clock(call: Call, look: Look) -> Micros:
    return call.app.now() if look.at is None else look.moment


def _flat(rows: tuple[Row, ...], depth: int = 0) -> Iterator[tuple[int, Row]]:
    for row in rows:
        yield depth, row
        yield from _flat(row.rows, depth + 1)


def _one_step(call: Call, look: Look, path: str, after: int, only: str) -> dict[str, Any]:
    """All that there is to say of one step, item or handler."""
    node = look.run.nodes.get(path)
    if node is None:
        return {"path": path, "node": None, "planned": _planned(look.run, path)}
    planned = look.run.plan.steps[node.plan] if node.plan >= 0 else look.run.plan.root
    items = _items(look.run, node, only)
    return {
        "path": path,
        "node": node,
        "planned": planned,
        "kind": node.frame or planned.kind,
        "spans": look.story.spans.get(path, ()),
        "work": None if node.work is None else _work(node),
        "error": None if node.error is None else node.error,
        "outputs": dict(node.outputs or {}),
        "question": node.question,
        "answers": node.answers,
        "child": _child(call, node),
        "items": [_item(look.run, node, key, value) for key, value in items[after : after + ITEMS_PAGE]],
        "items_count": len(items),
        "items_failed": node.failed,
        "only": only if only == "failed" else "",
        "items_from": after,
        "items_earlier": look.link(step=path, only=only, after=max(0, after - ITEMS_PAGE)) if after else "",
        "items_later": look.link(step=path, only=only, after=after + ITEMS_PAGE)
        if after + ITEMS_PAGE < len(items)
        else "",
        "until": _clock(call, look),
        "acts": () if look.at is not None else acts.acts_for_step(call, look.now, look.run, node),
        "source": _source_line(planned),
    }


def _planned(run: Run, path: str) -> PlanStep:
    """The step of the definition that a path will have; raises NotFound."""
    for step in run.plan.steps:
        if step.static_path == path or "".join(step.chain).removeprefix("/") == path:
            found: PlanStep = step
            return found
    raise NotFound(f"there is no step {path!r} in this run", help="choose one of the tree")


def _work(node: Node) -> dict[str, Any]:
    work: dict[str, Any] = msgspec.to_builtins(node.work)
    secrets = work.pop("secrets", ())
    flat = {key: value for key, value in work.items() if value}
    if secrets:
        flat["secrets"] = sorted({text for use in secrets for kind, text in use["parts"] if kind == "secret"})
    return flat


def _items(run: Run, node: Node, only: str) -> tuple[tuple[str, Any], ...]:
    """Key and value of the items of an `each`: all of them, or those that failed."""
    items = node.items or ()
    if only != "failed":
        return items
    frames = ((key, value, run.nodes.get(f"{node.path}[{key}]")) for key, value in items)
    return tuple(
        (key, value) for key, value, frame in frames if frame is not None and frame.status == "failed"
    )


def _item(run: Run, node: Node, key: str, value: object) -> dict[str, Any]:
    frame = run.nodes.get(f"{node.path}[{key}]")
    return {
        "key": key,
        "value": value,
        "path": f"{node.path}[{key}]",
        "status": "pending" if frame is None else frame.status,
        "error": frame.error if frame is not None else None,
        "took": None if frame is None or not frame.ended_at else frame.ended_at - frame.started_at,
    }


def _child(call: Call, node: Node) -> RunRow | None:
    if node.child is None:
        return None
    try:
        row = call.app.reader.run(node.child)
    except NotFound:
        return None
    return row if call.may("run.view", target_of(row)) else None


def _source_line(planned: PlanStep) -> str:
    step = planned.step
    return "" if step is None else str(getattr(step, "run", "") or "")


def _logs(
    call: Call, look: Look, *, step: str, attempt: int | None, q: str, after: int | None
) -> dict[str, Any]:
    """What steps printed: the end of it, one page of it, or the lines that hold a text."""
    call.allow("log.view", target_of(look.row))
    query = logs.LogQuery(
        step=step or None,
        attempt=attempt,
        q=q,
        after=after or 0,
        tail=LOG_LINES if after is None and not q else None,
        limit=LOG_LINES,
    )
    has_begun = not step or step in look.run.nodes
    found = logs.read_lines(call, str(look.row.number), query) if has_begun else None
    items = found.items if found is not None else []
    first = items[0].number if items else 1
    here = {"step": step, "attempt": attempt, "q": q}
    return {
        "lines": [
            _shown(line.path, line.attempt, line.stream, line.text, line.at, line.number, q) for line in items
        ],
        "earlier": look.link(**here, after=max(0, first - LOG_LINES - 1)) if first > 1 and not q else "",
        "later": look.link(**here, after=found.next) if found is not None and found.next else "",
        "newest": look.link(**here) if after is not None else "",
        "wanted": here,
        "steps": _printing_steps(look.run),
        "follows": look.link(**here)
        if after is None and not q and look.row.is_open and look.at is None
        else "",
        "place": _end_of_log(call, look, step, attempt)
        if after is None and not q and look.row.is_open and look.at is None
        else "",
        "whole": f"/api/v1/runs/{look.row.number}/logs?"
        + urlencode({k: v for k, v in {**here, "q": "", "format": "text"}.items() if v}),
    }


STEPS_OFFERED_MAX: Final = 300
"""Steps that the log's filter offers."""


def _printing_steps(run: Run) -> list[str]:
    """Those that may have printed, in the order of their beginning."""
    found = (node for path, node in run.nodes.items() if path and node.attempt and not node.frame)
    return [
        node.path for node in sorted(itertools.islice(found, 20_000), key=lambda node: node.started_sequence)
    ][:STEPS_OFFERED_MAX]


def _end_of_log(call: Call, look: Look, step: str, attempt: int | None) -> str:
    """The place behind the last line."""
    place = ""
    folder = call.app.logs.folder_of(look.row.number)
    while True:
        piece = read_on(folder, place=place, step=step or None, attempt=attempt, piece_bytes=1 << 22)
        if piece.place == place or not piece.lines:
            return piece.place
        place = piece.place


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
        next_lines=f"/runs/{row.number}/log_lines?"
        + urlencode({k: v for k, v in {"place": piece.place, "step": step, "attempt": attempt}.items() if v}),
    )
    return HTMLResponse(shown)


def _shown_line(one: LogLine) -> dict[str, Any]:
    return _shown(one.path, one.attempt, one.stream, one.text, one.at, None, "")


def _shown(
    path: str, attempt: int, stream: str, text: str, at: object, number: int | None, q: str
) -> dict[str, Any]:
    clock = words.clock(at) if isinstance(at, int) else str(at)[11:19]
    return {
        "path": path,
        "attempt": attempt,
        "stream": stream,
        "clock": clock,
        "number": number,
        "pieces": ansi.pieces(text, q),
    }


def _values(call: Call, look: Look) -> dict[str, Any]:
    """What it was given, what it handed on, and what stands around it."""
    run, row = look.run, look.row
    children = finding.page_of(call, RunFilter(origin=row.number, rows_max=CHILDREN_SHOWN_MAX)).rows
    evidence = [
        (path, node.question)
        for path, node in run.nodes.items()
        if node.question is not None and node.question.evidence
    ]
    return {
        "inputs": dict(run.inputs),
        "outputs": dict(run.outputs or {}),
        "variables": dict(run.vars),
        "trigger": run.event,
        "children": children,
        "evidence": evidence[:ITEMS_LISTED_MAX],
        "definition": call.app.reader.definition(row.definition),
    }


def _files(call: Call, look: Look) -> dict[str, Any]:
    """What its steps kept."""
    may = call.may("artifact.view", target_of(look.row))
    return {"files": call.app.reader.artifacts(look.row.number) if may else (), "may_see_files": may}


def _history(call: Call, look: Look, *, upto: int | None, who: bool) -> dict[str, Any]:
    """What happened, the newest first; with *who* only what people did."""
    last = min(upto or look.run.sequence, look.run.sequence)
    teller = Teller()
    kept: collections.deque[tuple[int, Entry]] = collections.deque(maxlen=ENTRIES_PAGE + 1)
    for sequence, fact in itertools.islice(call.app.events(look.now), last):
        kept.extend((sequence, entry) for entry in teller.tell((fact,)) if not who or entry.by)
    entries = list(kept)
    has_more = len(entries) > ENTRIES_PAGE
    if has_more:
        entries = entries[1:]
    return {
        "entries": entries[::-1],
        "who": who,
        "older": look.link(upto=entries[0][0] - 1, who="true" if who else None) if has_more else "",
        "newest": look.link(who="true" if who else None) if upto is not None else "",
    }
