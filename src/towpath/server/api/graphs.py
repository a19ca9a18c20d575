"""The picture of a run: its definition with the state of every step, now or at any moment of its life."""

from __future__ import annotations

from typing import Any, Final

from fastapi import Response

from towpath.observe import drawing
from towpath.server.api import finding
from towpath.server.api.runs import At, RunName
from towpath.server.call import Asked
from towpath.server.routing import Routes

ROUTES = Routes(prefix="/api/v1/runs", tag="runs")
SVG: Final = "image/svg+xml"
PICTURE_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""A picture that is opened by itself brings its own style, and nothing else."""
SVG_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The picture.", "content": {SVG: {"schema": {"type": "string"}}}}
}


class Picture(Response):
    """An SVG picture of our own making."""

    media_type = SVG

    def __init__(self, content: str, status_code: int = 200) -> None:
        super().__init__(
            content, status_code, headers={"Content-Security-Policy": PICTURE_POLICY}, media_type=SVG
        )


@ROUTES.get(
    "/{run}/graph",
    permission="run.view",
    operation_id="draw_run",
    response_class=Picture,
    response_model=None,
    responses=SVG_ANSWER,
)
def draw_run(call: Asked, run: RunName, at: At = None) -> Picture:
    """Draw a run as SVG, with the state of every step."""
    row = finding.find_run(call, run)
    state = finding.state_of(call, row, at)
    figure = drawing.figure_of(state.plan, drawing.progress_of(state))
    return Picture(drawing.svg(figure, title=f"{row.workflow} #{row.number}: {state.status}"))
