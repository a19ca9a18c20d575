"""`tow trigger`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.deliveries import body_of, headers_of
from towpath.cli.session import Session, pass_session

if TYPE_CHECKING:
    from towpath.cli.views.lines import Line, Role
    from towpath.triggers.ahead import Start
    from towpath.triggers.contract import Verdict
    from towpath.triggers.receiving import Received

NEXT_DEFAULT = 5
NEXT_MAX = 1_000
VALUE_CHARS_MAX = 300
"""How much of an input's value people are shown."""


@click.group()
def command() -> None:
    """Try out what starts workflows."""


# --- tow trigger test ------------------------------------------------------------------------------------------


@command.command("test")
@parameters.workflow_argument()
@click.option(
    "--event",
    "event",
    required=True,
    metavar="FILE",
    help="The payload, as its sender sends it; `-` reads standard input.",
)
@click.option(
    "--source",
    metavar="NAME",
    help="Who sends it, such as github or alertmanager, or an event, such as github.push; guessed where it can be.",
)
@click.option(
    "--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header of the request; repeatable."
)
@click.option("--path", metavar="PATH", default="", help="Of a webhook: the path that it comes to.")
@parameters.json_option("What every entry says, as a JSON object.")
@pass_session
def test(
    session: Session,
    *,
    workflow: str,
    event: str,
    source: str | None,
    headers: tuple[str, ...],
    path: str,
    as_json: bool,
) -> int:
    """Say what an event would start, entry by entry: with which inputs, or why not. Nothing is started and nothing is kept.

    The exit code is 0 when a run would start, and 1 when none would.
    """
    from towpath.cli.views import facts
    from towpath.server.shapes.events import trial_object
    from towpath.triggers import by_hand

    app = session.app(parameters.start_of(workflow))
    loaded = app.find(workflow)
    listener = app.listening.listener(loaded)
    given, body = headers_of(headers), body_of(event)
    received = by_hand.tried_out(body, listener, source=source, headers=given, path=path, at=app.now())
    verdicts = by_hand.verdicts(received, loaded, listener)
    if as_json:
        click.echo(facts.json_line(trial_object(received, verdicts)))
    else:
        session.out.show(*_lines(received, verdicts, width=session.out.width))
    return exit_codes.OK if any(verdict.wanted for verdict in verdicts) else exit_codes.FAILED


def _lines(received: Received, verdicts: list[Verdict], *, width: int) -> Iterator[Line]:
    from towpath.cli.views.lines import clip, line, safe

    reading = received.reading
    kinds = " and ".join(reading.kinds) or received.event.kind
    yield clip(line((safe(kinds), "name"), f"  {safe(reading.title)}"), width)
    if reading.note:
        yield line((safe(reading.note), "warn"))
    yield ()
    column = max(len(verdict.kind) for verdict in verdicts)
    for verdict in verdicts:
        yield from _verdict_lines(verdict, column, width=width)
    yield ()
    starts = sum(verdict.wanted is not None for verdict in verdicts)
    yield line(("it would start a run", "good") if starts else ("it would start nothing", "bad"))


def _verdict_lines(verdict: Verdict, column: int, *, width: int) -> Iterator[Line]:
    from towpath.cli.views.lines import clip, line, safe, wrap
    from towpath.observe import words

    head = line(f"{verdict.position + 1:>3} ", (f"{verdict.kind:<{column}}", "place"), "  ")
    room = max(20, width - column - 6)
    if verdict.wanted is None:
        first, *rest = wrap(safe(verdict.because), room)
        role: Role = "bad" if verdict.is_failure else "dim"
        yield (*head, ("✗ " if verdict.is_failure else "– ", role), (first, role))
        yield from (line(" " * (column + 8), (more, role)) for more in rest)
        return
    later = f" once it was quiet for {words.rough(verdict.debounce)}" if verdict.debounce is not None else ""
    limits = ", without secrets" if verdict.wanted.without_secrets else ""
    yield (*head, ("✓ ", "good"), *line(f"starts {verdict.workflow}{later}{limits}"))
    for name, value in verdict.wanted.inputs.items():
        shown = json.dumps(value, ensure_ascii=False)[:VALUE_CHARS_MAX]
        yield clip(line(" " * (column + 8), (name, "name"), f" = {safe(shown)}"), width)


# --- tow trigger next ------------------------------------------------------------------------------------------


@command.command("next")
@click.argument("workflow", required=False)
@click.option(
    "-n",
    "--count",
    default=NEXT_DEFAULT,
    show_default=True,
    type=click.IntRange(1, NEXT_MAX),
    metavar="N",
    help="How many starts.",
)
@parameters.json_option("One JSON object for each start.")
@pass_session
def next_(session: Session, *, workflow: str | None, count: int, as_json: bool) -> int:
    """Show what schedules start next: of one WORKFLOW, or of all.

    Times are those of the schedule's time zone, with its jitter; what a calendar leaves out is not shown.
    """
    from towpath.cli.views import facts
    from towpath.server.shapes.schedule import start_object
    from towpath.triggers import ahead

    app = session.app(parameters.start_of(workflow) if workflow else None)
    listeners = [app.listening.listener(app.find(workflow))] if workflow else app.listening.listeners()
    starts = ahead.starts(listeners, after=app.now(), is_open=app.listening.is_open, starts_max=count)
    if as_json:
        for start in starts:
            click.echo(facts.json_line(start_object(start)))
    elif starts:
        session.out.show(*_start_lines(starts, now=app.now(), width=session.out.width))
    else:
        session.out.say(f"{workflow} has no schedule" if workflow else "no workflow has a schedule")
    return exit_codes.OK


def _start_lines(starts: list[Start], *, now: int, width: int) -> tuple[Line, ...]:
    from towpath.cli.views.lines import line, safe, table
    from towpath.observe import words

    head = tuple(line((title, "dim")) for title in ("STARTS", "IN", "WORKFLOW", "SCHEDULE"))
    rows = [
        (
            line((_there(start.at, start.timezone), "place")),
            line((words.ahead(start.at, now=now).removeprefix("in "), "dim")),
            line((safe(start.workflow), "name")),
            line((start.schedule, "dim")),
        )
        for start in starts
    ]
    return table([head, *rows], width=width)


def _there(at: int, timezone: str) -> str:
    """An instant as the wall clocks of a time zone show it."""
    import zoneinfo

    from towpath.people import civil_time

    return civil_time.said(at, zoneinfo.ZoneInfo(timezone))
