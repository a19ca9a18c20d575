"""`tow logs`."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from towpath.cli import parameters
from towpath.cli.session import Session, pass_session

if TYPE_CHECKING:
    from towpath.app import App
    from towpath.cli.views.lines import Screen
    from towpath.store.contract import RunRow
    from towpath.store.logs import LogLine

FOLLOW_SECONDS = 0.2
PATH_CELLS_MAX = 32


@click.command()
@parameters.run_argument()
@parameters.step_option("Only what this step printed, with all that is inside of it.")
@click.option("--attempt", type=click.IntRange(min=1), help="Only this attempt.")
@click.option("-f", "--follow", is_flag=True, help="Go on while the run goes on.")
@click.option("-n", "--tail", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.")
@click.option("-t", "--timestamps", is_flag=True, help="The full time before each line.")
@click.option("--raw", is_flag=True, help="The text alone, without times and names.")
@parameters.json_option("One JSON object for each line.")
@pass_session
def command(  # noqa: PLR0913 - the options of the command
    session: Session,
    *,
    run: str,
    step: str | None,
    attempt: int | None,
    follow: bool,
    tail: int | None,
    timestamps: bool,
    raw: bool,
    as_json: bool,
) -> int:
    """Show what the steps of a run printed.

    Secrets are masked before anything is written. Long output keeps its beginning and its end; a line says how much is missing.
    """
    from towpath.server.shapes import logs as shapes

    app = session.app()
    row, folded = app.run(run)
    if step is not None:
        step = shapes.known_step(folded.nodes, step)
    form = "json" if as_json else "raw" if raw else "stamped" if timestamps else "plain"
    width = min(
        PATH_CELLS_MAX, max((len(node.path) for node in folded.nodes.values() if node.attempt), default=0)
    )
    printer = _Printer(session.out, form=form, width=width)
    with app.log_reader(row.number, step=step, attempt=attempt) as reader:
        printer.show(_last(reader.more(), tail))
        while follow and _goes_on(app, row):
            time.sleep(FOLLOW_SECONDS)
            printer.show(reader.more())
        printer.show(reader.more())
    return 0


def _last(lines: Iterable[LogLine], count: int | None) -> Iterable[LogLine]:
    from collections import deque

    return lines if count is None else deque(lines, maxlen=count)


def _goes_on(app: App, row: RunRow) -> bool:
    """Whether more may come: the run is open and somebody drives it."""
    from towpath.store.contract import Life

    now = app.reader.run(row.number)
    if not now.is_open:
        return False
    return now.owner is not None and app.store.owners.life(now.owner) is Life.ALIVE


class _Printer:
    """Prints lines as they come; a long line that comes in pieces is put together again."""

    def __init__(self, screen: Screen, *, form: str, width: int) -> None:
        self._screen = screen
        self._form = form
        self._width = width
        self._open: tuple[str, int, str] | None = None

    def show(self, lines: Iterable[LogLine]) -> None:
        """Prints *lines*."""
        for one in lines:
            self._screen.stream.write(self._text(one))
        self._screen.stream.flush()

    def _text(self, one: LogLine) -> str:
        from towpath.cli.views import facts, lines
        from towpath.observe import words
        from towpath.server.shapes import logs as shapes
        from towpath.server.shapes import moments

        if self._form == "json":
            return facts.json_line(shapes.line_object(one)) + "\n"
        text = lines.coloured(one.text) if self._screen.colours else one.text
        if self._screen.is_terminal and not self._screen.colours:
            text = lines.safe(one.text)
        end = "" if one.goes_on else "\n"
        source = (one.path, one.attempt, one.stream)
        if self._form == "raw" or self._open == source:
            self._open = source if one.goes_on else None
            return text + end
        broken = "\n" if self._open is not None else ""
        self._open = source if one.goes_on else None
        self._width = min(PATH_CELLS_MAX, max(self._width, len(one.path)))
        when = moments.stamp(one.at) if self._form == "stamped" else words.clock(one.at)
        bar: lines.Span = ("│ ", "bad" if one.stream == "stderr" else "frame")
        head = lines.line((when, "dim"), " ", (f"{lines.safe(one.path):<{self._width}}", "name"), " ")
        return f"{broken}{self._screen.text(head)}{self._head_gap()}{self._screen.text((bar,))}{self._bar_gap()}{text}{end}"

    def _head_gap(self) -> str:
        return "" if self._screen.colours else " "

    def _bar_gap(self) -> str:
        return "" if self._screen.colours else " "
