"""The first page: what runs, what waits for whoever looks, what went wrong lately, what comes next, and whether all is well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from starlette.responses import HTMLResponse

from towpath.people import calendars, choices, inbox
from towpath.people.civil_time import FOREVER
from towpath.policy.access import Target
from towpath.server.api import catalogue, finding, health, questions, schedule
from towpath.server.call import Asked, Call
from towpath.server.routing import SIGNED_IN, Routes
from towpath.server.web import pages
from towpath.store.contract import RunFilter, RunRow
from towpath.triggers.contract import Broken

ROUTES = Routes(is_page=True)
RUNS_SHOWN: Final = 8
QUESTIONS_SHOWN: Final = 6
STARTS_SHOWN: Final = 6
BROKEN_SHOWN: Final = 10
AHEAD_MICROS: Final = 7 * 86_400 * 1_000_000
LATELY_MICROS: Final = 7 * 86_400 * 1_000_000
_WENT_WRONG: Final = ("failed", "rollback_failed", "rolled_back", "rejected", "partially_succeeded")


@ROUTES.get("/", permission=SIGNED_IN)
def home(call: Asked) -> HTMLResponse:
    """Everything that one looks for first. What somebody may not see is left out."""
    return pages.page(
        call,
        "home.html",
        title="Home",
        section="home",
        silence=choices.silence,
        **_runs(call),
        **_waiting(call),
        **_workflows(call),
        frozen=tuple(_frozen(call)),
        health=health.show_health(call) if call.may("health.view") else None,
    )


def _runs(call: Call) -> dict[str, Any]:
    if not call.may_at_all("run.view"):
        return {"open_runs": (), "open_more": False, "wrong": (), "latest": (), "may_see_runs": False}
    now = call.app.now()
    going = finding.page_of(call, RunFilter(is_open=True, rows_max=RUNS_SHOWN))
    wrong = finding.page_of(
        call, RunFilter(status=_WENT_WRONG, since=now - LATELY_MICROS, rows_max=RUNS_SHOWN)
    )
    latest: tuple[RunRow, ...] = ()
    if not going.rows and not wrong.rows:
        latest = finding.page_of(call, RunFilter(rows_max=RUNS_SHOWN)).rows
    return {
        "open_runs": going.rows,
        "open_more": going.next is not None,
        "wrong": wrong.rows,
        "latest": latest,
        "may_see_runs": True,
    }


def _waiting(call: Call) -> dict[str, Any]:
    if not call.may_at_all("question.view"):
        return {"asked": (), "asked_more": 0}
    found = questions.waiting(call, inbox.Wanted(items_max=QUESTIONS_SHOWN))
    asked = tuple(item for item in found.items if item.standing == "asked")
    return {"asked": asked, "asked_more": found.left_out if len(asked) == QUESTIONS_SHOWN else 0}


def _workflows(call: Call) -> dict[str, Any]:
    if not call.may_at_all("workflow.view"):
        return {"coming": (), "broken": (), "has_workflows": True}
    now = call.app.now()
    known = tuple(catalogue.workflows(call))
    broken = {name: f"does not load: {one.why}" for name, one in known if isinstance(one, Broken)}
    standing = call.app.reader.versions.all_standing()
    for name, _ in known:
        newer = standing[name].next if name in standing else None
        if newer is not None and newer.state == "broken":
            broken.setdefault(name, "has a newer version that does not load; runs go on with the one before")
    coming = schedule.coming(call, now, now + AHEAD_MICROS, starts_max=STARTS_SHOWN)
    return {"coming": coming, "broken": tuple(broken.items())[:BROKEN_SHOWN], "has_workflows": bool(known)}


def _frozen(call: Call) -> Iterator[dict[str, Any]]:
    """The environments in which nothing starts now, each with the freeze that says so."""
    now = call.app.now()
    for name, environment in call.app.project_file().environments.items():
        if not call.may("environment.view", Target(environment=name)):
            continue
        for calendar in environment.freeze:
            known = call.app.desk.calendar(calendar)
            entry = None if known is None else calendars.freezes_at(known, now)
            if entry is not None:
                until = entry.end if entry.end is not None and entry.end < FOREVER else None
                yield {"name": name, "calendar": calendar, "title": entry.title or "", "until": until}
                break
