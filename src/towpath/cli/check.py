"""`tow check`: explores what can happen in a workflow before it touches anything."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session

if TYPE_CHECKING:
    from towpath.app import App
    from towpath.definition.loader import Loaded
    from towpath.trials.checking import Options, Report


TOLD_FROM = 1_000
"""States after which a person is told how far a search has come."""
CLEAR = "\x1b[K"
"""Takes away what stands on the rest of a terminal's line."""


@click.command("check")
@parameters.workflows_argument()
@click.option(
    "-i",
    "--input",
    "inputs",
    multiple=True,
    metavar="KEY=VALUE",
    help="Start with this; else every value that conditions tell apart is tried.",
)
@click.option("--never", multiple=True, metavar="CONDITION", help="Must hold in no state of any run.")
@click.option("--always", multiple=True, metavar="CONDITION", help="Must hold at the end of every run.")
@click.option("--cancel", is_flag=True, help="Somebody may also cancel the run, at any moment.")
@click.option("--graph", type=click.Choice(["text", "dot", "svg"]), help="Draw the states instead.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the drawing to a file.")
@click.option("--max-states", type=click.IntRange(1), metavar="N", help="States that are looked at.")
@click.option("--max-depth", type=click.IntRange(1), metavar="N", help="Moves in one story.")
@click.option("--max-seconds", type=click.FloatRange(min=0.0), metavar="N", help="How long it may take.")
@parameters.json_option()
@pass_session
def command(  # noqa: PLR0913 - one for each option
    session: Session,
    *,
    workflows: tuple[str, ...],
    inputs: tuple[str, ...],
    never: tuple[str, ...],
    always: tuple[str, ...],
    cancel: bool,
    graph: str | None,
    out: Path | None,
    max_states: int | None,
    max_depth: int | None,
    max_seconds: float | None,
    as_json: bool,
) -> int:
    """Explore what can happen in a workflow before it touches anything.

    Every step succeeds, fails, times out, is interrupted; people say yes, no, or nothing; what is waited for comes or does not. Told are
    the ways in which a run can end, each with the shortest story, and what is wrong with them. Without a name, all workflows of the project
    are checked. The exit code is 0 when nothing was found, and 12 otherwise.
    """
    from towpath.cli import values
    from towpath.trials import checking

    bounds = checking.Limits()
    limits = checking.Limits(
        states_max=max_states or bounds.states_max,
        depth_max=max_depth or bounds.depth_max,
        seconds_max=bounds.seconds_max if max_seconds is None else max_seconds,
        keeps_graph=graph in ("dot", "svg"),
        progress=_progress(session),
    )
    options = checking.Options(
        inputs=values.pairs(inputs, option="-i"), never=never, always=always, can_cancel=cancel, limits=limits
    )
    app = session.app(parameters.start_of(workflows[0]) if workflows else None)
    names = workflows or tuple(sorted(app.project.workflows))
    if len(names) != 1 and (graph or inputs):
        raise click.UsageError(f"{'--graph' if graph else '-i'} takes one workflow")
    if not names:
        session.out.say("no workflow files here")
        return exit_codes.OK
    reports = []
    for name in names:
        report = check(app, app.find(name), options)
        _clear(session)
        reports.append(report)
        if not as_json and not graph:
            _show(session, report, is_only=len(names) == 1)
    if as_json:
        sys.stdout.write(json.dumps([report.as_json() for report in reports], indent=2) + "\n")
    elif graph:
        _draw(session, reports[0], graph, out)
    return exit_codes.FINDINGS if any(report.findings for report in reports) else exit_codes.OK


def check(app: App, loaded: Loaded, options: Options) -> Report:
    """Checks one workflow of a project."""
    from towpath.errors import TowpathError
    from towpath.trials import checking

    def is_repeatable(action: str, given: object) -> bool:
        try:
            return app.catalogue.get(action).idempotent_with(given)  # type: ignore[arg-type] # a mapping of inputs
        except TowpathError:
            return False

    setting = checking.Setting(project=app.project, cards=app.cards, repeatable=is_repeatable, now=app.now())
    return checking.check(loaded, setting, options)


def _progress(session: Session) -> Callable[[int], None] | None:
    """Tells a person who waits how far the search has come; nothing where nobody looks."""
    err = session.err
    if not err.is_terminal:
        return None

    def tell(states: int) -> None:
        if states >= TOLD_FROM:
            err.stream.write(f"\r{states:,} states ...{CLEAR}")
            err.stream.flush()

    return tell


def _clear(session: Session) -> None:
    err = session.err
    if err.is_terminal:
        err.stream.write(f"\r{CLEAR}")
        err.stream.flush()


def _show(session: Session, report: Report, *, is_only: bool) -> None:
    from towpath.cli.views import findings

    out = session.out
    if is_only:
        out.show(*findings.report_lines(report, width=out.width))
    else:
        for finding in report.findings:
            out.show(*findings.finding_lines(finding, width=out.width), ())
    out.show(findings.verdict(report))


def _draw(session: Session, report: Report, form: str, out: Path | None) -> None:
    from towpath.trials import checking

    if form == "text":
        rows: Sequence[tuple[str, str]] = checking.outline(report)
        if out is None:
            session.out.show(*(((guide, "frame"), (text, "plain")) for guide, text in rows))
            return
        text = "".join(f"{guide}{words}\n" for guide, words in rows)
    else:
        text = checking.dot(report) if form == "dot" else checking.svg(report)
    if out is None:
        sys.stdout.write(text)
        return
    out.write_text(text, encoding="utf-8")
    session.out.say("wrote ", (str(out), "name"))
