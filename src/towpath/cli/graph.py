"""`tow graph`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session

if TYPE_CHECKING:
    from towpath.cli.views.lines import Span
    from towpath.core.plan import Plan
    from towpath.observe.drawing import Progress


@click.command()
@parameters.workflow_argument("WORKFLOW|RUN")
@click.option("--svg", "as_svg", is_flag=True, help="Draw SVG instead of an outline.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to a file; a name that ends with .svg means --svg.",
)
@pass_session
def command(session: Session, *, workflow: str, as_svg: bool, out: Path | None) -> int:
    """Draw a workflow, from a file or by its name, or a RUN with the state of every step."""
    from towpath.observe import drawing

    plan, progress, title = _subject(session, workflow)
    figure = drawing.figure_of(plan, progress)
    as_svg = as_svg or (out is not None and out.suffix == ".svg")
    if not as_svg and out is None:
        _show(session, plan, figure, has_states=progress is not None)
        return exit_codes.OK
    text = drawing.svg(figure, title=title) if as_svg else _plain(figure)
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text, encoding="utf-8")
        session.out.say("wrote ", (str(out), "name"))
    return exit_codes.OK


def _subject(session: Session, name: str) -> tuple[Plan, Mapping[int, Progress] | None, str]:
    """The plan that is meant, and the progress of a run."""
    from towpath.core.plan import Plan
    from towpath.errors import NotFound
    from towpath.observe import drawing

    app = session.app(parameters.start_of(name))
    if not Path(name).is_file() and (
        name == "last" or name.isdecimal() or app.project.find_workflow(name) is None
    ):
        try:
            row, run = app.run(name)
        except NotFound:
            if name == "last" or name.isdecimal():
                raise
        else:
            title = f"{row.workflow} #{row.number}: {run.status}"
            return run.plan, drawing.progress_of(run), title
    loaded = app.find(name)
    return Plan(loaded.workflow, loaded.digest), None, loaded.workflow.name


def _show(session: Session, plan: Plan, figure: object, *, has_states: bool) -> None:
    from towpath.cli.views.lines import Line, line, table
    from towpath.cli.views.tree import GLYPHS, Look
    from towpath.observe import drawing

    looks: dict[str, Look] = {"running": "performing"}
    out = session.out
    out.say((plan.workflow.name, "name"), ("  " + (plan.workflow.title or ""), "dim"))
    rows: list[tuple[Line, ...]] = []
    for row in drawing.outline(figure):  # type: ignore[arg-type] # a Figure
        glyph: tuple[Span, ...] = ()
        if has_states and row.kind:
            look: Look = looks.get(row.state, row.state)  # type: ignore[arg-type] # the words are the same
            glyph = (GLYPHS[look], (" ", "plain"))
        words = " · ".join(text for text in (row.detail, *row.notes) if text)
        name = line((row.guide, "frame"), *glyph, (row.title, "name" if row.kind else "plain"))
        rows.append((name, line((row.kind, "busy")), line((words, "dim"))))
    out.show(*table(rows, width=out.width))


def _plain(figure: object) -> str:
    from towpath.observe import drawing

    rows = drawing.outline(figure)  # type: ignore[arg-type] # a Figure
    return "".join(f"{row.guide}{row.title}\n" for row in rows)
