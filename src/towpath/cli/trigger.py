"""`tow trigger`."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.deliveries import body_of, headers_of
from towpath.cli.session import Session, pass_session
from towpath.server.shapes import moments

if TYPE_CHECKING:
    from towpath.app import App
    from towpath.cli.views.lines import Line, Role
    from towpath.definition.loader import Loaded
    from towpath.definition.triggers import Trigger
    from towpath.triggers.contract import Listener, Verdict
    from towpath.triggers.payloads import Source
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
    from towpath.triggers import matching

    app = session.app(parameters.start_of(workflow))
    loaded = app.find(workflow)
    listener = app.listening.listener(loaded)
    given, body = headers_of(headers), body_of(event)
    received = _received(app, listener, body, source=source, headers=given, path=path)
    verdicts = [_judged(loaded, one) for one in matching.ask(received.event, received.reading, listener)]
    if as_json:
        _tell_json(received, verdicts)
    else:
        session.out.show(*_lines(received, verdicts, width=session.out.width))
    return exit_codes.OK if any(verdict.wanted for verdict in verdicts) else exit_codes.FAILED


def _received(
    app: App, listener: Listener, body: bytes, *, source: str | None, headers: dict[str, str], path: str
) -> Received:
    from towpath.triggers.receiving import receive

    found, extra = _source(listener, source, headers)
    paths = [
        one.settings.path
        for one in _entries(listener)
        if hasattr(one.settings, "path") and one.kind == "webhook"
    ]
    where = path or (paths[0] if found.name == "webhook" and paths else "")
    return receive(found, {**extra, **headers}, body, at=app.now(), path=where, delivery="test")


def _source(
    listener: Listener, named: str | None, headers: Mapping[str, str]
) -> tuple[Source, dict[str, str]]:
    """Who sends: as it was said, else as the headers tell, else the only one that the workflow listens to."""
    from towpath.errors import Refused
    from towpath.triggers.payloads import guess_source, source_named
    from towpath.triggers.payloads.sources import source_of_kind

    kinds = [trigger.kind for trigger in _entries(listener)]
    if named is not None:
        found = source_named(named.partition(".")[0] if named not in kinds else _name_of(named))
        if "." in named:
            kinds = [named]
    else:
        listened = {one.name: one for one in map(source_of_kind, kinds) if one is not None}
        guessed = guess_source(headers) or (next(iter(listened.values())) if len(listened) == 1 else None)
        if guessed is None:
            names = ", ".join(listened) or "nothing that is sent"
            raise Refused(
                f"it is not clear who sends this: the workflow listens to {names}", help="say --source NAME"
            )
        found = guessed
    events = {kind.partition(".")[2] for kind in kinds if kind.startswith(f"{found.name}.")}
    if not found.sign.endswith("-event") or found.sign in headers or len(events) != 1:
        return found, {}
    event = events.pop()
    return found, {found.sign: "push" if event == "tag" else event}


def _name_of(kind: str) -> str:
    from towpath.triggers.payloads.sources import source_of_kind

    found = source_of_kind(kind)
    return found.name if found is not None else kind


def _entries(listener: Listener) -> tuple[Trigger, ...]:
    return listener.triggers


def _judged(loaded: Loaded, verdict: Verdict) -> Verdict:
    """A verdict with the run's inputs complete, or with what is wrong with them."""
    from towpath.definition.inputs import complete_inputs
    from towpath.errors import TowpathError

    if verdict.wanted is None:
        return verdict
    try:
        inputs = complete_inputs(loaded.workflow.inputs, verdict.wanted.inputs, is_text=True)
    except TowpathError as problem:
        because = f"its inputs do not fit: {problem.message}"
        return dataclasses.replace(verdict, wanted=None, because=because, is_failure=True)
    return dataclasses.replace(verdict, wanted=dataclasses.replace(verdict.wanted, inputs=inputs))


def _tell_json(received: Received, verdicts: list[Verdict]) -> None:
    from towpath.cli.views import facts

    told = {
        "source": received.event.source,
        "kinds": list(received.reading.kinds),
        "delivery": received.event.delivery,
        "title": received.reading.title,
        "note": received.reading.note,
        "entries": [_verdict_object(verdict) for verdict in verdicts],
    }
    click.echo(facts.json_line(told))


def _verdict_object(verdict: Verdict) -> dict[str, Any]:  # Any: JSON
    wanted = verdict.wanted
    return {
        "workflow": verdict.workflow,
        "entry": verdict.position + 1,
        "kind": verdict.kind,
        "starts": wanted is not None,
        "because": verdict.because,
        "inputs": dict(wanted.inputs) if wanted else None,
        "start_key": wanted.start_key if wanted else None,
        "debounce_seconds": verdict.debounce / 1_000_000 if verdict.debounce is not None else None,
        "without_secrets": wanted.without_secrets if wanted else None,
    }


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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """A start that a schedule has ahead."""

    at: int
    named: int
    workflow: str
    schedule: str
    timezone: str


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

    app = session.app(parameters.start_of(workflow) if workflow else None)
    listeners = [app.listening.listener(app.find(workflow))] if workflow else app.listening.listeners()
    starts = sorted(_starts(app, listeners, count), key=lambda start: (start.at, start.workflow))[:count]
    if as_json:
        for start in starts:
            click.echo(facts.json_line(_start_object(start)))
    elif starts:
        session.out.show(*_start_lines(starts, now=app.now(), width=session.out.width))
    else:
        session.out.say(f"{workflow} has no schedule" if workflow else "no workflow has a schedule")
    return exit_codes.OK


def _starts(app: App, listeners: Any, count: int) -> Iterator[_Start]:  # noqa: ANN401 - see contract.Project.listeners
    from towpath.definition.triggers import Schedule
    from towpath.triggers import schedule as schedules
    from towpath.triggers.listening import entries

    for listener, trigger in entries(listeners):
        if not isinstance(trigger.settings, Schedule):
            continue
        said = trigger.settings
        name = listener.workflow.name
        ticks = schedules.upcoming(said, workflow=name, after=app.now(), is_open=app.listening.is_open)
        words = said.cron if said.cron is not None else f"every {_every(said.every)}"
        for tick in itertools.islice(ticks, count):
            yield _Start(at=tick.due_at, named=tick.at, workflow=name, schedule=words, timezone=said.timezone)


def _every(seconds: float | None) -> str:
    """A length of time as a workflow says it: `90m` is `1h30m`."""
    left = round((seconds or 0) * 1_000)
    parts = []
    for unit, length in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)):
        count, left = divmod(left, length)
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts)


def _start_object(start: _Start) -> dict[str, Any]:  # Any: JSON

    return {
        "at": moments.stamp(start.at),
        "scheduled_at": moments.stamp(start.named),
        "workflow": start.workflow,
        "schedule": start.schedule,
        "timezone": start.timezone,
    }


def _start_lines(starts: list[_Start], *, now: int, width: int) -> tuple[Line, ...]:
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
