"""The page that lists runs: filters, a search, and links from page to page."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Annotated, Final, get_args

from fastapi import Query
from starlette.responses import Response

from towpath.core.run import RunStatus
from towpath.server.api import finding
from towpath.server.api.runs import RunQuery
from towpath.server.call import Asked, Call
from towpath.server.routing import Routes
from towpath.server.web import pages
from towpath.store.contract import RunFilter, RunNumber

ROUTES = Routes(is_page=True)
PAGE_RUNS: Final = 50
SHOWN: Final[Mapping[str, str]] = {
    "": "All",
    "open": "Open",
    "waiting": "Waiting",
    "running": "Running",
    "queued": "Queued",
    "failed": "Failed",
    "succeeded": "Succeeded",
    "ended": "Ended",
}
"""What the list may be narrowed to by one press."""
_BAD: Final = ("failed", "rollback_failed", "rolled_back", "rejected", "partially_succeeded")
_SINCE: Final[Mapping[str, str]] = {
    "": "any time",
    "1h": "the last hour",
    "24h": "the last day",
    "7d": "the last week",
    "30d": "30 days",
}


@ROUTES.get("/runs", permission="run.view")
def list_runs(
    call: Asked,
    show: str = "",
    q: Annotated[str, Query(max_length=200)] = "",
    workflow: Annotated[str, Query(max_length=200)] = "",
    environment: Annotated[str, Query(max_length=200)] = "",
    since: str = "",
    before: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    """The runs, newest first."""
    if re.fullmatch(r"#?\d{1,18}", q.strip()) and (found := _numbered(call, q)) is not None:
        return pages.see_other(f"/runs/{found}")
    where = _filter(call, show=show, q=q, workflow=workflow, environment=environment, since=since)
    page = finding.page_of(call, _before(where, before))
    chosen = {"show": show, "q": q, "workflow": workflow, "environment": environment, "since": since}
    return pages.page(
        call,
        "runs.html",
        title="Runs",
        section="runs",
        rows=page.rows,
        chosen=chosen,
        shown=SHOWN,
        periods=_SINCE,
        workflows=sorted(call.app.project.workflows),
        environments=sorted(call.app.project_file().environments),
        link=lambda **changes: pages.address("/runs", **{**chosen, **changes}),
        older=pages.address("/runs", **chosen, before=page.next) if page.next is not None else "",
        newer=pages.address("/runs", **chosen) if before is not None else "",
        here=pages.address("/runs", **chosen, before=before),
    )


def _numbered(call: Call, q: str) -> int | None:
    """The run of this number, where there is one and whoever asks may see it."""
    number = int(q.strip().removeprefix("#"))
    rows = finding.page_of(call, RunFilter(before=RunNumber(number + 1), rows_max=1)).rows
    return number if rows and rows[0].number == number else None


def _filter(call: Call, *, show: str, q: str, workflow: str, environment: str, since: str) -> RunFilter:
    asked = RunQuery(
        status=_statuses(show),
        is_open={"open": True, "ended": False}.get(show),
        q=q.strip(),
        workflow=workflow or None,
        environment=environment or None,
        since=since if since in _SINCE and since else None,
        limit=PAGE_RUNS,
    )
    return asked.as_filter(call.app.now())


def _statuses(show: str) -> list[RunStatus]:
    wanted = _BAD if show == "failed" else (show,)
    return [status for status in get_args(RunStatus) if status in wanted]


def _before(where: RunFilter, before: int | None) -> RunFilter:
    return where if before is None else dataclasses.replace(where, before=RunNumber(before))
