"""`tow actions`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session

if TYPE_CHECKING:
    from towpath.app import App
    from towpath.cli.views.lines import Line
    from towpath.definition.actions import ActionCard


def _complete(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    try:
        root = context.find_root().params
        names = Session(project=root.get("project"), data=root.get("data")).app().catalogue.names()
    except Exception:  # noqa: BLE001 - a completion has nobody to tell
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@click.command()
@click.argument("name", required=False, metavar="[NAME]", shell_complete=_complete)
@parameters.json_option("As JSON, inputs and outputs as JSON Schema.")
@pass_session
def command(session: Session, *, name: str | None, as_json: bool) -> int:
    """List the actions that steps can use, or tell everything about the one called NAME.

    NAME may be a beginning: `tow actions file` lists the actions on files.
    """
    from towpath.cli import failures
    from towpath.cli.views import facts

    app = session.app()
    if name is not None and name in app.catalogue:
        if as_json:
            click.echo(facts.json_text(app.catalogue.describe(name)))
        else:
            _show(session, app.catalogue.card(name))
        return exit_codes.OK
    names = [one for one in app.catalogue.names() if name is None or one.startswith(name)]
    if not names:
        app.catalogue.get(str(name))  # raises with the nearest known name
    if as_json:
        for one in names:
            click.echo(facts.json_line(app.catalogue.describe(one)))
    else:
        _list(session, app, names)
    for problem in app.catalogue.problems:
        failures.tell(problem)
    return exit_codes.FAILED if app.catalogue.problems else exit_codes.OK


def _list(session: Session, app: App, names: list[str]) -> None:
    from towpath.cli.views.lines import line, safe, table
    from towpath.errors import TowpathError

    rows: list[tuple[Line, ...]] = []
    for name in names:
        try:
            card = app.catalogue.card(name)
        except TowpathError as error:
            rows.append((line((name, "name")), line((safe(error.message), "bad")), ()))
            continue
        source = "" if card.source == "built-in" else card.source
        rows.append((line((name, "name")), line(safe(card.summary)), line((safe(source), "dim"))))
    session.out.show(*table(rows, width=session.out.width, flexible=1))


def _show(session: Session, card: ActionCard) -> None:
    from towpath.cli.views.lines import line, safe, table, wrap

    out = session.out
    out.say((card.name, "name"), "  ", (card.source, "dim"))
    out.show(*(line(f"  {row}") for row in wrap(safe(card.summary), out.width - 2)))
    out.say()
    if card.inputs:
        out.say(("inputs", "name"), ("  under `with:`", "dim"))
        rows = [
            (
                line(f"  {name}", ("*" if one.required else "", "bad")),
                line((_type(one.schema), "busy")),
                line(safe(one.description), (_extras(one.schema, secret=one.secret_allowed), "dim")),
            )
            for name, one in card.inputs.items()
        ]
        out.show(*table(rows, width=out.width))
        out.say(("  * required", "dim"))
        out.say()
    if card.outputs:
        out.say(("outputs", "name"))
        rows = [
            (line(f"  {name}"), line((_type(schema), "busy")), line(safe(card.details.get(name, ""))))
            for name, schema in card.outputs.items()
        ]
        out.show(*table(rows, width=out.width))
        out.say()
    elif card.outputs is None:
        out.say(("outputs", "name"), "  whatever it answers")
    for text in _promises(card):
        out.say(("· ", "frame"), text)
    out.say()
    out.show(*_example(card))


def _promises(card: ActionCard) -> list[str]:
    effects = {
        "none": "changes nothing",
        "files": "changes files on this machine",
        "remote": "changes another system",
        "anything": "changes whatever its author's code does",
    }[card.effects]
    found = [effects]
    found.append(
        "may be repeated: twice is as good as once"
        if card.idempotent
        else "is not repeated on its own after an unknown outcome"
    )
    if card.can_rehearse:
        found.append("can be rehearsed: tow run --dry-run tells what it would do")
    if card.extras:
        found.append(f"needs: pip install 'towpath[{','.join(card.extras)}]'")
    if card.binaries:
        found.append(f"needs the programs: {', '.join(card.binaries)}")
    return found


def _example(card: ActionCard) -> list[Line]:
    from towpath.cli.views.lines import line

    required = [name for name, one in card.inputs.items() if one.required]
    rows = ["  - id: my_step", f"    uses: {card.name}"]
    if required:
        rows += ["    with:", *(f"      {name}: …" for name in required)]
    return [line((row, "command")) for row in rows]


def _type(schema: Mapping[str, Any]) -> str:
    """A JSON Schema's type in a word."""
    if "enum" in schema:
        return "|".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return "|".join(dict.fromkeys(_type(one) for one in schema[key]))
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return "|".join(kind)
    if kind == "array":
        items = schema.get("items")
        return f"list of {_type(items)}" if isinstance(items, Mapping) and items else "list"
    return "map" if kind == "object" else str(kind)


def _extras(schema: Mapping[str, Any], *, secret: bool) -> str:
    parts = []
    if schema.get("default") is not None:
        parts.append(f"default {schema['default']}")
    if secret:
        parts.append("may be a secret")
    return f" ({', '.join(parts)})" if parts else ""
