"""`tow tokens`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.identities import identities_of
from towpath.cli.session import Session, pass_session

DAY_CHARS = len("2026-11-22")

if TYPE_CHECKING:
    from towpath.cli.views.lines import Line
    from towpath.store.contract import TokenRow


@click.group(invoke_without_command=True)
@click.option("-a", "--all", "everything", is_flag=True, help="Also those that were revoked or have expired.")
@parameters.json_option("One JSON object for each token.")
@click.pass_context
def command(context: click.Context, *, everything: bool, as_json: bool) -> int:
    """List the tokens with which programs come in: for whom, for what, until when, when last used.

    A token is sent as `Authorization: Bearer …`. It acts for its owner, a user or a service account of towpath.yaml, and may do no more
    than its scope.
    """
    if context.invoked_subcommand is not None:
        return exit_codes.OK
    return _list(context.ensure_object(Session), None, everything=everything, as_json=as_json)


@command.command("list")
@click.option("--for", "owner", metavar="WHO", help="Only those of this user or service account.")
@click.option("-a", "--all", "everything", is_flag=True, help="Also those that were revoked or have expired.")
@parameters.json_option("One JSON object for each token.")
@pass_session
def list_(session: Session, *, owner: str | None, everything: bool, as_json: bool) -> int:
    """List tokens, the newest first; none of them can be shown again."""
    return _list(session, owner, everything=everything, as_json=as_json)


def _list(session: Session, owner: str | None, *, everything: bool, as_json: bool) -> int:
    from towpath.cli.views import facts
    from towpath.cli.views.lines import line, table
    from towpath.server.shapes.identities import token_object

    app = session.app()
    now = app.now()
    found = identities_of(app).tokens(owner)
    rows = [row for row in found if everything or row.is_valid(now)]
    if as_json:
        for row in rows:
            click.echo(facts.json_line(token_object(row, now=now)))
    elif rows:
        head = tuple(line((title, "dim")) for title in ("ID", "FOR", "NAME", "VALID", "USED", "SCOPE"))
        session.out.show(*table([head, *(_row(row, now) for row in rows)], width=session.out.width))
    else:
        session.out.say("no tokens; ", ("tow tokens create NAME", "command"), " makes one")
    return exit_codes.OK


def _row(row: TokenRow, now: int) -> tuple[Line, ...]:
    from towpath.cli.views.lines import line, safe
    from towpath.observe import words

    if row.revoked_at is not None:
        valid = line(("revoked", "bad"))
    elif not row.is_valid(now):
        valid = line(("expired", "bad"))
    else:
        valid = line(f"until {words.moment(row.expires_at, now=now)[:DAY_CHARS]}")
    used = "never" if row.last_used_at is None else words.ago(row.last_used_at, now=now)
    return (
        line((row.id, "place")),
        line((safe(row.owner.removeprefix("user:")), "name")),
        line(safe(row.name)),
        valid,
        line((used, "dim")),
        line(safe(", ".join(row.scope))),
    )


@command.command("create")
@click.argument("name")
@click.option(
    "--for",
    "owner",
    metavar="WHO",
    help="For whom it acts: a user, or service:NAME of towpath.yaml; yourself otherwise.",
)
@click.option(
    "--scope",
    "scope",
    multiple=True,
    metavar="PERMISSION",
    help="What it may be used for, at most: run.view, run.*; repeatable, everything otherwise.",
)
@click.option(
    "--expires", default="90d", show_default=True, metavar="AGE", help="How long it is valid; 366d at most."
)
@parameters.as_option()
@parameters.json_option("One JSON object, with the token.")
@pass_session
def create(
    session: Session,
    *,
    name: str,
    owner: str | None,
    scope: tuple[str, ...],
    expires: str,
    by: str | None,
    as_json: bool,
) -> int:
    """Make a token; NAME says what it is for. It is printed this once, on a line of its own, and kept nowhere.

    Whoever makes a token of a service account may not approve what that account starts (four_eyes).
    """
    from towpath.cli.views import facts
    from towpath.observe import words
    from towpath.server.shapes.identities import token_object

    app = session.app()
    made = identities_of(app).make_token(
        owner=owner,
        name=name,
        scope=scope or ("*",),
        seconds=parameters.seconds("--expires", expires),
        by=session.actor(by),
    )
    if as_json:
        told: dict[str, Any] = {**token_object(made.row, now=app.now()), "token": made.text}  # Any: JSON
        click.echo(facts.json_line(told))
        return exit_codes.OK
    click.echo(made.text)
    left = words.rough(made.row.expires_at - made.row.made_at)
    session.err.say(
        (f"for {made.row.owner}, valid for {left}; it is shown this once. ", "dim"),
        (f"tow tokens revoke {made.row.id}", "command"),
        (" makes it void", "dim"),
    )
    return exit_codes.OK


@command.command("revoke")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@parameters.as_option()
@pass_session
def revoke(session: Session, *, ids: tuple[str, ...], by: str | None) -> int:
    """Make tokens void, from this moment, and end the sessions that began with them.

    ID is what `tow tokens` lists; a whole token that was found somewhere does as well.
    """
    identities = identities_of(session.app())
    for one in ids:
        name, changed = identities.revoke_token(one, by=session.actor(by))
        session.out.say("the token ", (name, "place"), " is void" if changed else " was void already")
    return exit_codes.OK
