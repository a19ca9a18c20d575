"""Runs: listed, looked at, started and acted upon."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel

from towpath.server.call import Asked, Call, target_of
from towpath.server.routing import Routes
from towpath.server.shapes import runs as shapes
from towpath.store.contract import RunFilter, RunNumber, RunRow

ROUTES = Routes(prefix="/api/v1/runs", tag="runs")
PAGE_RUNS_MAX = 500


class RunPage(BaseModel):
    """Some runs, newest first."""

    items: list[dict[str, Any]]
    next: int | None = None
    """`before` of the next page; null where this is the last."""


@ROUTES.get("", permission="run.view", response_model=RunPage)
def list_runs(
    call: Asked,
    before: int | None = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_RUNS_MAX)] = 50,
) -> RunPage:
    """List runs, newest first."""
    rows = visible_runs(call, RunFilter(before=None if before is None else RunNumber(before), rows_max=limit))
    return RunPage(
        items=[shapes.run_object(row) for row in rows],
        next=rows[-1].number if len(rows) == limit else None,
    )


def visible_runs(call: Call, where: RunFilter) -> tuple[RunRow, ...]:
    """The runs of a page that whoever asks may see."""
    return tuple(row for row in call.app.reader.runs(where) if call.may("run.view", target_of(row)))
