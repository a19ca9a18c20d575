"""`tow events`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.deliveries import body_of, headers_of
from towpath.cli.session import Session, pass_session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from towpath.app import App
    from towpath.cli.remote.app import RemoteApp
    from towpath.cli.views.lines import Line, Role
    from towpath.engines.contract import Engine
    from towpath.engines.embedded import EmbeddedEngine
    from towpath.store.contract import EventId, EventRow, Reaction, RunNumber
    from towpath.triggers.inbox import Receipt

ROWS_DEFAULT = 20
ROWS_MAX = 1_000
PAYLOAD_LINES_MAX = 40
"""How much of a payload people are shown; --json has all of it."""
_STATES = ("received", "held", "matched", "ignored", "failed")


class _NothingToFollow(Exception):
    """No run was started that goes on here."""


@click.group(invoke_without_command=True)
@click.option(
    "-n",
    "--rows",
    default=ROWS_DEFAULT,
    show_default=True,
    type=click.IntRange(1, ROWS_MAX),
    metavar="N",
    help="How many.",
)
@click.option("--source", metavar="NAME", help="Only from this source, such as github or webhook/deploy.")
@click.option("--kind", metavar="KIND", help="Only of this kind, such as github.push or github.")
@click.option(
    "--state", "states", multiple=True, type=click.Choice(_STATES), help="Only in this state; repeatable."
)
@parameters.json_option("One JSON object for each event.")
@click.pass_context
def command(
    context: click.Context,
    *,
    rows: int,
    source: str | None,
    kind: str | None,
    states: tuple[str, ...],
    as_json: bool,
) -> int:
    """List what arrived from outside, newest first, and what it started.

    Every event is kept before its sender is answered, and the same delivery only once. `tow events show N` tells what
    each entry of `on:` made of an event, and why it started nothing.
    """
    if context.invoked_subcommand is not None:
        return exit_codes.OK
    from towpath.cli.views import facts
    from towpath.server.shapes.events import event_object
    from towpath.store.contract import EventFilter

    session = context.ensure_object(Session)
    where = EventFilter(states=states, source=source, kind=kind, rows_max=rows)  # type: ignore[arg-type] # click saw to it
    app = session.app()
    found = app.store.events.events(where) if app.folder.database.exists() else ()
    if as_json:
        for row in found:
            click.echo(facts.json_line(event_object(row)))
    elif found:
        session.out.show(*_table(found, now=app.now(), width=session.out.width))
    else:
        asked = any((source, kind, states))
        session.out.say(
            "no such event"
            if asked
            else "nothing has arrived yet; `tow events add FILE` takes a payload in by hand"
        )
    return exit_codes.OK


@command.command("show")
@click.argument("event", default="last", metavar="[EVENT]")
@parameters.json_option("The event with its payload, as a JSON object.")
@pass_session
def show(session: Session, *, event: str, as_json: bool) -> int:
    """Show an EVENT, by its number or `last`: which runs it started, and if none, why not; and its payload."""
    from towpath.cli.views import facts
    from towpath.server.shapes.events import event_object

    app = session.app()
    row = _row(app, event)
    payload = app.store.events.payload(row.id)
    if as_json:
        click.echo(
            facts.json_line(
                {**event_object(row), "headers": dict(row.headers), "payload": json.loads(payload)}
            )
        )
    else:
        session.out.show(
            *_details(row, now=app.now(), width=session.out.width),
            (),
            *_payload_lines(payload, session.out.width),
        )
    return exit_codes.OK


@command.command("add")
@click.argument("file", metavar="FILE")
@click.option(
    "--source", required=True, metavar="NAME", help="Who sends it, such as github, or webhook/deploy."
)
@click.option(
    "--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header of the request; repeatable."
)
@click.option(
    "--no-run", is_flag=True, help="Keep it only; the next process that looks decides what it starts."
)
@parameters.watching_options
@pass_session
def add(
    session: Session,
    *,
    file: str,
    source: str,
    headers: tuple[str, ...],
    no_run: bool,
    as_json: bool,
    plain: bool,
    no_ask: bool,
) -> int:
    """Take in the payload in FILE (`-` reads standard input) as if it had been delivered, and start what it starts.

    It is known by what its sender would know it by, so adding it twice starts nothing twice. Whoever may write the
    data folder is trusted: no signature is asked for. The runs that it starts are watched here to their end, as
    `tow run` does.
    """
    from towpath.cli.views.lines import safe

    app = session.app()
    app.folder.make()
    receipt = _kept(app, body_of(file), source=source, headers=headers_of(headers))
    if not as_json:
        known = "was here already: " if receipt.existing else ""
        session.out.say(f"event {receipt.event}  ", (known, "warn"), safe(receipt.title))
    if no_run:
        return exit_codes.OK
    return _decide(
        session,
        receipt.event,
        command=f"tow events add {source}",
        style=(as_json, plain, no_ask),
        is_new=not receipt.existing,
    )


def _kept(app: App, body: bytes, *, source: str, headers: dict[str, str]) -> Receipt:
    """Takes an event in, here or on the server that was named."""
    if app.serves_elsewhere:
        from towpath.cli.remote import handing_in

        return handing_in.hand_in(cast("RemoteApp", app), body, source=source, headers=headers)
    from towpath.triggers.by_hand import handed_in

    return app.inbox.keep(handed_in(body, source=source, headers=headers, at=app.now()))


@command.command("replay")
@click.argument("event", metavar="EVENT")
@parameters.watching_options
@pass_session
def replay(session: Session, *, event: str, as_json: bool, plain: bool, no_ask: bool) -> int:
    """Decide about an EVENT once more, with the workflows as they are now.

    What it has started before is not started again: a run has one delivery. A workflow that was mended since, or that is new, starts.
    """
    app = session.app()
    row = _row(app, event)
    if app.serves_elsewhere:
        from towpath.cli.remote import handing_in

        handing_in.replay(cast("RemoteApp", app), row.id)
    else:
        app.store.events.again(row.id)
    return _decide(session, row.id, command=f"tow events replay {row.id}", style=(as_json, plain, no_ask))


# --- deciding --------------------------------------------------------------------------------------------------


def _decide(
    session: Session,
    event: EventId,
    *,
    command: str,
    style: tuple[bool, bool, bool],
    is_new: bool = True,
) -> int:
    """Decides about everything that waits, says what came of one event, and watches the runs that it started.

    A server decides by itself: there only what is new to it, *is_new*, may start something just now.
    """
    from towpath.cli.views import facts
    from towpath.cli.watching import foreground
    from towpath.server.shapes.events import event_object

    app = session.app()
    as_json, plain, no_ask = style

    async def begin(engine: Engine) -> RunNumber:
        if app.serves_elsewhere:
            from towpath.cli.remote import handing_in

            row, is_decided = await handing_in.decided(cast("RemoteApp", app), event), is_new
        else:
            is_decided = event in await app.decider(_embedded(engine)).work()
            row = app.store.events.event(event)
        if as_json:
            click.echo(facts.json_line(event_object(row)))
        else:
            session.out.show(*(_reaction_line(one) for one in row.reactions), *_because_lines(row))
        followed = _followed(row.reactions) if is_decided else None
        if followed is None:
            raise _NothingToFollow
        return followed

    manner = foreground.manner(actor=session.actor(), as_json=as_json, plain=plain, no_ask=no_ask)
    try:
        return foreground.drive(session, command, begin, manner)
    except _NothingToFollow:
        row = app.store.events.event(event)
        return exit_codes.FAILED if row.state == "failed" else exit_codes.OK


def _embedded(engine: Engine) -> EmbeddedEngine:
    from towpath.engines.embedded import EmbeddedEngine

    assert isinstance(engine, EmbeddedEngine)  # the foreground makes no other one
    return engine


def _followed(reactions: Sequence[Reaction]) -> RunNumber | None:
    """The first run that was started just now."""
    from towpath.store.contract import RunNumber

    started = (one.run for one in reactions if one.run is not None and not one.existing and not one.told)
    number = next(started, None)
    return None if number is None else RunNumber(number)


def _row(app: App, event: str) -> EventRow:
    from towpath.errors import NotFound
    from towpath.store.contract import EventId

    if not app.folder.database.exists():
        raise NotFound("nothing has arrived yet")
    text = event.removeprefix("#")
    if text != "last" and not (text.isascii() and text.isdecimal() and len(text) < 19):  # noqa: PLR2004 - the digits of a number
        raise click.UsageError(f"an event has a number, or is `last`, not {event!r}")
    return app.store.events.event("last" if text == "last" else EventId(int(text)))


# --- showing ---------------------------------------------------------------------------------------------------


def _role(state: str) -> Role:
    roles: dict[str, Role] = {
        "received": "busy",
        "held": "warn",
        "matched": "good",
        "ignored": "dim",
        "failed": "bad",
    }
    return roles[state]


def _table(rows: Sequence[EventRow], *, now: int, width: int) -> tuple[Line, ...]:
    from towpath.cli.views.lines import line, safe, table
    from towpath.observe import words

    head = tuple(
        line((title, "dim")) for title in ("EVENT", "ARRIVED", "KIND", "STATE", "WHAT CAME OF IT", "WHAT")
    )
    shown = [
        (
            line((str(row.id), "place")),
            line((words.ago(row.received_at, now=now), "dim")),
            line((safe(row.kind), "name")),
            line((row.state, _role(row.state))),
            line(_outcome(row)),
            line((safe(row.title), "dim")),
        )
        for row in rows
    ]
    return table([head, *shown], width=width)


def _outcome(row: EventRow) -> str:
    """What came of an event, in a few words."""
    from towpath.observe import words

    runs = [f"run {one.run}" for one in row.reactions if one.run is not None]
    if runs:
        return ", ".join(runs[:3]) + (f" and {len(runs) - 3} more" if len(runs) > 3 else "")  # noqa: PLR2004 - as many as fit
    asked = (
        words.counted(len(row.reactions), "entry")
        if len(row.reactions) == 1
        else f"{len(row.reactions)} entries"
    )
    return {"received": "nobody has looked yet", "held": "waits until it is quiet"}.get(
        row.state, f"{asked} asked, no run"
    )


def _details(row: EventRow, *, now: int, width: int) -> tuple[Line, ...]:
    from towpath.cli.views.lines import clip, line, safe
    from towpath.observe import words

    known = {
        "signature": "it was signed",
        "token": "it knew the secret word",
        "local": "it was made here",
        "nobody": "NOBODY KNOWS WHO SENT IT",
    }.get(row.way, row.way)
    secrets = f" ({', '.join(row.secrets)})" if row.secrets else ""
    again = f", and came again {words.counted(row.repeats, 'time')}" if row.repeats else ""
    return (
        clip(
            line((f"event {row.id}", "place"), "  ", (safe(row.kind), "name"), f"  {safe(row.title)}"), width
        ),
        line((row.state, _role(row.state)), f", arrived {words.ago(row.received_at, now=now)}{again}"),
        clip(line(("delivery ", "dim"), safe(row.delivery), ("  from ", "dim"), safe(row.source)), width),
        line((known, "bad" if row.way == "nobody" else "dim"), (secrets, "dim")),
        (),
        *(_reaction_line(one) for one in row.reactions),
        *_because_lines(row),
    )


def _because_lines(row: EventRow) -> tuple[Line, ...]:
    from towpath.cli.views.lines import line, safe

    if row.because:
        return (line((f"it started nothing: {safe(row.because)}", _role(row.state))),)
    if row.state == "received":
        return (line(("nobody has looked at it yet", "busy")),)
    return ()


def _reaction_line(one: Reaction) -> Line:
    from towpath.cli.views.lines import line, safe
    from towpath.observe import words

    name = line(
        (safe(one.workflow), "name"),
        (f" entry {one.position + 1}" if one.kind and not one.told else "", "dim"),
    )
    if one.held_until is not None:
        return (
            *line(("◷ ", "warn")),
            *name,
            *line(f"  starts at {words.clock(one.held_until)}, if nothing more comes"),
        )
    if one.run is None:
        role: Role = "bad" if one.is_failure else "dim"
        return (
            *line(("✗ " if one.is_failure else "– ", role)),
            *name,
            *line((f"  {safe(one.because)}", role)),
        )
    what = "goes on" if one.told else "had started before" if one.existing else "started"
    return (*line(("✓ ", "good")), *name, *line("  ", (f"run {one.run}", "place"), f" {what}"))


def _payload_lines(payload: bytes, width: int) -> tuple[Line, ...]:
    from towpath.cli.views.lines import clip, line, safe

    text = json.dumps(json.loads(payload), indent=2, ensure_ascii=False)
    rows = text.splitlines()
    shown = [clip(line(safe(row)), width) for row in rows[:PAYLOAD_LINES_MAX]]
    more = len(rows) - PAYLOAD_LINES_MAX
    return (*shown, line((f"and {more:,} lines more; --json shows all", "dim"))) if more > 0 else tuple(shown)
