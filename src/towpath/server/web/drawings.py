"""Pictures of workflows and runs in pages: drawn on the server, their steps links to what is told about them.

What is drawn is escaped by `observe.drawing`; here it becomes markup of our own, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable

from markupsafe import Markup

from towpath.core.plan import Plan
from towpath.core.run import Run
from towpath.observe import drawing

Href = Callable[[str], str]


def workflow_picture(plan: Plan, *, href: Href | None = None) -> Markup:
    """A workflow as it is written."""
    return _drawn(drawing.figure_of(plan), title=f"The steps of {plan.workflow.name}", href=href)


def run_picture(run: Run, *, href: Href | None = None) -> Markup:
    """A workflow with how far a run of it has come."""
    figure = drawing.figure_of(run.plan, drawing.progress_of(run))
    return _drawn(figure, title=f"The steps of {run.plan.workflow.name}: {run.status}", href=href)


def _drawn(figure: drawing.Figure, *, title: str, href: Href | None) -> Markup:
    return Markup(  # noqa: S704 - our own drawing, in which every text is escaped
        drawing.svg(figure, title=title, is_standalone=False, href=href)
    )
