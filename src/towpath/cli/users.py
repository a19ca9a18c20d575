"""`tow users`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.identities import identities_of
from towpath.cli.session import Session, pass_session

if TYPE_CHECKING:
    from towpath.cli.identities import Standing
    from towpath.cli.views.lines import Line
    from towpath.server.identity.accounts import Account, RoleHeld

ACTS_DEFAULT = 50
_SOURCES = {
    "file": "towpath.yaml",
    "store": "made here",
    "process": "whoever works here",
    "service": "service",
}


@click.group(invoke_without_command=True)
@parameters.json_option("One JSON object for each user and service account.")
@click.pass_context
def command(context: click.Context, *, as_json: bool) -> int:
    """List who may come in, and with which roles.

    The people of towpath.yaml are users without further ado; `access: grants:` there says what they may do. `tow users link NAME` makes a
    link with which somebody signs in for the first time.
    """
    if context.invoked_subcommand is not None:
        return exit_codes.OK
    return _list(context.ensure_object(Session), as_json=as_json)


@command.command("list")
@parameters.json_option("One JSON object for each user and service account.")
@pass_session
def list_(session: Session, *, as_json: bool) -> int:
    """List who may come in, and with which roles: `tow users` does so too."""
    return _list(session, as_json=as_json)


def _list(session: Session, *, as_json: bool) -> int:
    from towpath.cli.views import facts
    from towpath.cli.views.lines import line, table
    from towpath.server.shapes.identities import user_object

    app = session.app()
    found = identities_of(app).everybody()
    if as_json:
        for account, held in found:
            click.echo(facts.json_line(user_object(account, held)))
        return exit_codes.OK
    head = tuple(line((title, "dim")) for title in ("WHO", "ROLES", "NAME", "MAIL", "FROM"))
    rows = [_row(account, held) for account, held in found]
    session.out.show(*table([head, *rows], width=session.out.width))
    if not app.project_file().access.grants:
        owner = next((account.principal for account, held in found if held), "nobody")
        session.out.say(
            (
                f"towpath.yaml grants nothing: {owner}, who starts the server, may do everything",
                "dim",
            )
        )
    return exit_codes.OK


def _row(account: Account, held: tuple[RoleHeld, ...]) -> tuple[Line, ...]:
    from towpath.cli.views.lines import line, safe

    roles = ", ".join(dict.fromkeys(one.role for one in held))
    source = _SOURCES[account.source] + (
        f" of {account.owner.removeprefix('user:')}" if account.owner else ""
    )
    shown = line(("disabled", "bad")) if account.is_disabled else line(safe(roles) or ("none", "dim"))
    return (
        line((safe(account.principal.removeprefix("user:")), "name")),
        shown,
        line(safe(account.title)),
        line((safe(account.email), "dim")),
        line((source, "dim")),
    )


@command.command("show")
@click.argument("name")
@parameters.json_option("One JSON object.")
@pass_session
def show(session: Session, *, name: str, as_json: bool) -> int:
    """Show what somebody may do, and why: which grant gives it, through which group or rota.

    NAME is a user, or `service:NAME`.
    """
    from towpath.cli.views import facts
    from towpath.cli.views.lines import safe
    from towpath.server.shapes.identities import role_object, user_object

    app = session.app()
    standing = identities_of(app).standing(name)
    account, held, permissions = standing.account, standing.held, standing.permissions
    if as_json:
        told: dict[str, Any] = {  # Any: JSON
            **user_object(account, held),
            "principals": sorted(standing.principals),
            "grants": [role_object(one) for one in held],
            "permissions": list(permissions),
        }
        click.echo(facts.json_line(told))
        return exit_codes.OK
    out = session.out
    known = "  ".join(filter(None, (safe(account.title), safe(account.email))))
    out.say((safe(account.principal), "name"), (f"  {known}", "dim"))
    if account.owner:
        out.say(("owner      ", "dim"), safe(account.owner))
    if account.is_disabled:
        out.say(("disabled: nobody is let in under this name", "bad"))
    also = sorted(standing.principals - {standing.actor})
    if also:
        out.say(("is also    ", "dim"), safe(", ".join(also)))
    _say_tokens(session, standing, app.now())
    if not held:
        out.say("may do nothing: ", ("no grant under `access: grants:` in towpath.yaml names them", "dim"))
        return exit_codes.OK
    for one in held:
        out.say(*_why(one, account))
    out.say(("may        ", "dim"), ", ".join(permissions))
    return exit_codes.OK


def _why(held: RoleHeld, account: Account) -> Line:
    """`operator   through group:operators, for the workflows shop-*, in staging`."""
    from towpath.cli.views.lines import line, safe

    through = [one for one in held.through if one != account.principal]
    parts = [
        f"through {safe(', '.join(through))}" if through and account.principal not in held.through else "",
        f"for the workflows {safe(', '.join(held.workflows))}" if held.workflows else "",
        f"in {safe(', '.join(held.environments))}" if held.environments else "",
    ]
    why = ", ".join(filter(None, parts))
    return line((f"{safe(held.role):<11}", "good"), why or safe(held.title) or "everywhere")


def _say_tokens(session: Session, standing: Standing, now: int) -> None:
    from towpath.observe import words

    seen = f", seen {words.ago(standing.seen_at, now=now)}" if standing.seen_at else ""
    told = []
    if standing.tokens is not None:
        told.append(words.counted(standing.tokens, "token"))
    if standing.sessions is not None:
        told.append(words.counted(standing.sessions, "session") + seen)
    if told:
        session.out.say(("has        ", "dim"), ", ".join(told))


@command.command("add")
@click.argument("name")
@click.option("--title", default="", metavar="TEXT", help="What others are shown.")
@click.option(
    "--email", default="", metavar="ADDRESS", help="How a sign-in at the identity provider is recognised."
)
@parameters.as_option()
@pass_session
def add(session: Session, *, name: str, title: str, email: str, by: str | None) -> int:
    """Make a user, in a project whose towpath.yaml does not name its people.

    Where it does, people are added there: groups, rotas and four eyes know them then.
    """
    made = identities_of(session.app()).add(name, title=title, email=email, by=session.actor(by))
    session.out.say((made, "name"), " is a user; ", (f"tow users link {made}", "command"), " lets them in")
    return exit_codes.OK


@command.command("disable")
@click.argument("name")
@parameters.as_option()
@pass_session
def disable(session: Session, *, name: str, by: str | None) -> int:
    """Let somebody in no more, from this moment: sessions and links end, tokens are refused."""
    changed = identities_of(session.app()).disable(name, by=session.actor(by))
    session.out.say((name, "name"), " is disabled" if changed else " was disabled already")
    return exit_codes.OK


@command.command("enable")
@click.argument("name")
@parameters.as_option()
@pass_session
def enable(session: Session, *, name: str, by: str | None) -> int:
    """Let somebody in again. Tokens that are valid still count again; sessions have to begin anew."""
    changed = identities_of(session.app()).enable(name, by=session.actor(by))
    session.out.say((name, "name"), " is let in again" if changed else " was not disabled")
    return exit_codes.OK


@command.command("link")
@click.argument("name")
@click.option(
    "--expires",
    default="24h",
    show_default=True,
    metavar="AGE",
    help="How long it works, used or not; 7d at most.",
)
@parameters.as_option()
@pass_session
def link(session: Session, *, name: str, expires: str, by: str | None) -> int:
    """Make a link with which somebody signs in, once. Links that they had before are void then.

    Whoever has the link is let in under that name: hand it to nobody else.
    """
    from towpath.observe import words

    seconds = parameters.seconds("--expires", expires)
    made = identities_of(session.app()).make_link(name, seconds=seconds, by=session.actor(by))
    click.echo(made.url)
    left = words.rough(made.micros)
    session.err.say((f"works once, for {left}; for nobody but {made.owner.removeprefix('user:')}", "dim"))
    return exit_codes.OK


@command.command("log")
@click.option(
    "-n",
    "--last",
    default=ACTS_DEFAULT,
    show_default=True,
    type=click.IntRange(1, 1000),
    metavar="N",
    help="How many acts, the newest.",
)
@parameters.json_option("One JSON object for each act.")
@pass_session
def log(session: Session, *, last: int, as_json: bool) -> int:
    """List who let whom in, made and revoked which tokens, signed in and out; and check that nobody changed the record."""
    from towpath.cli.views import facts
    from towpath.cli.views.lines import line, safe, table
    from towpath.observe import words
    from towpath.server.shapes.identities import identity_act_object

    app = session.app()
    acts = tuple(reversed(app.store.identities.acts(rows_max=last)))
    broken = app.store.identities.broken_act()
    if as_json:
        for act in acts:
            click.echo(facts.json_line(identity_act_object(act)))
    elif acts:
        now = app.now()
        rows = [
            (
                line((str(act.number), "place")),
                line((words.moment(act.at, now=now), "dim")),
                line(safe(act.by.removeprefix("user:"))),
                line(safe(act.did)),
                line((safe(act.about), "name")),
                line((safe(act.text), "dim")),
            )
            for act in acts
        ]
        session.out.show(*table(rows, width=session.out.width))
    else:
        session.out.say("nobody has come in yet")
    if broken is not None:
        session.err.say(("✗ ", "bad"), f"act {broken} is not what was written, or one before it is gone")
        return exit_codes.FAILED
    return exit_codes.OK
