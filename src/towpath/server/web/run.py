"""The page of one run: how it is, or how it was at any moment of its life, since its state is the fold of its facts.

What there is to see is told in views, each of which stays small however long the run is. `?at=` has everything told as it was when so
many facts were true; without it the page follows the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Query
from starlette.responses import HTMLResponse

from towpath.core import events
from towpath.core.run import Micros
from towpath.server.call import Asked, Call, target_of
from towpath.server.routing import Routes
from towpath.server.shapes import waits
from towpath.server.shapes.entries import Entry, Teller
from towpath.server.web import acts, bars, pages, run_logs, run_steps, run_views
from towpath.server.web.looking import VIEWS, Look, look_at

ROUTES = Routes(is_page=True)
WAITS_SHOWN_MAX: Final = 10
At = Annotated[int | None, Query(ge=1, le=2**53)]


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
            shown = {"chart": bars.chart(look.story, until=look.clock(call), after=after or 0)}
        case "logs":
            shown = run_logs.logs_of(call, look, step=step, attempt=attempt, q=q, after=after)
        case "values":
            shown = run_views.values_of(call, look)
        case "files":
            shown = run_views.files_of(call, look)
        case "history":
            shown = run_views.history_of(call, look, upto=upto, who=who)
        case _:
            shown = run_steps.steps_of(call, look, step=step, after=after or 0, only=only)
    return pages.page(
        call,
        f"run_{look.view}.html",
        title=f"{look.row.workflow} #{look.row.number}",
        section="runs",
        **_head(call, look, done),
        **shown,
    )


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
        "views": _views(call, look),
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


def _views(call: Call, look: Look) -> dict[str, str]:
    """The views that whoever looks may see."""
    hidden = () if call.may("log.view", target_of(look.now)) else ("logs",)
    return {key: title for key, title in VIEWS.items() if key not in hidden}


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
