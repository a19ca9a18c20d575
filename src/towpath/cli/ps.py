"""`tow ps`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from towpath.cli import parameters
from towpath.cli.session import Session, pass_session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from towpath.app import App
    from towpath.store.contract import OwnerId, OwnerRow, RunFilter

ROWS_DEFAULT = 50
ENDED_SHOWN = 5
"""Ended runs that are shown below the open ones where nothing was filtered."""


@click.command()
@click.option("-a", "--all", "everything", is_flag=True, help="Ended runs too.")
@click.option("-s", "--status", multiple=True, metavar="STATUS", help="Only runs in this state; repeatable.")
@click.option("-w", "--workflow", metavar="NAME", help="Only runs of this workflow.")
@click.option("-e", "--environment", metavar="NAME", help="Only runs in this environment.")
@click.option("--kind", metavar="KIND", help="Only runs of this kind, such as deployment.")
@click.option(
    "-l",
    "--label",
    "labels",
    multiple=True,
    metavar="KEY=VALUE",
    help="Only runs with this label; repeatable.",
)
@click.option("--waiting", is_flag=True, help="Only runs that wait.")
@click.option(
    "--since", metavar="AGE", help="Only runs that were started within this time, such as 2h or 7d."
)
@click.option(
    "-n", "--last", "rows", default=ROWS_DEFAULT, show_default=True, metavar="N", help="At most so many."
)
@parameters.json_option("One JSON object for each run.")
@pass_session
def command(session: Session, /, *, as_json: bool, **options: Any) -> int:  # noqa: ANN401 - the filters, as click gives them
    """List runs: those on their way, or with --all the ended ones too.

    A run is `stranded` when the process that drove it died, and `left` when that process went away in order; `tow resume` goes on
    with both.
    """
    from towpath.cli.views import facts, listing
    from towpath.server.shapes import runs as shapes

    app = session.app()
    if not app.folder.database.exists():
        return _nothing(session, app, as_json=as_json)
    where = _filter(app, options)
    rows = app.reader.runs(where)
    owners = owners_of(app)
    if as_json:
        for row in rows:
            life = listing.life_of(row, owners)
            click.echo(facts.json_line(shapes.run_object(row, life=life.value if life is not None else None)))
        return 0
    if rows:
        session.out.show(*listing.listing(rows, owners, session.out, now=app.now()))
    if where.is_open and not options["waiting"]:
        _tell_of_ended(session, app, has_open=bool(rows))
    return 0


def _filter(app: App, options: Mapping[str, Any]) -> RunFilter:
    from towpath.cli import values
    from towpath.definition.model import parse_duration
    from towpath.store.contract import PAGE_ROWS_MAX, RunFilter

    since = None
    if options["since"]:
        try:
            since = app.now() - round(parse_duration(options["since"]) * 1_000_000)
        except ValueError as error:
            raise click.UsageError(f"--since {options['since']} {error}") from None
    ended_wanted = options["everything"] or options["status"] or options["since"]
    return RunFilter(
        status=options["status"],
        workflow=options["workflow"],
        environment=options["environment"],
        kind=options["kind"],
        labels=values.pairs(options["labels"], option="--label"),
        is_open=None if ended_wanted else True,
        is_waiting=True if options["waiting"] else None,
        since=since,
        rows_max=max(1, min(options["rows"], PAGE_ROWS_MAX)),
    )


def _nothing(session: Session, app: App, *, as_json: bool) -> int:
    if not as_json:
        session.out.say(
            ("no runs yet in ", "dim"),
            str(app.settings.data),
            ("; begin with: ", "dim"),
            ("tow run", "command"),
        )
    return 0


def _tell_of_ended(session: Session, app: App, *, has_open: bool) -> None:
    """Where nothing goes on, the list says so and names what ended last."""
    from towpath.cli.views import listing
    from towpath.store.contract import RunFilter

    if has_open:
        return
    ended = app.reader.runs(RunFilter(rows_max=ENDED_SHOWN))
    session.out.say("nothing is on its way", ("; the last runs:" if ended else "", "dim"))
    if ended:
        session.out.show(*listing.listing(ended, {}, session.out, now=app.now()))


def owners_of(app: App) -> dict[OwnerId, OwnerRow]:
    """The processes that drive, or drove, open runs."""
    return {owner.id: owner for owner in app.store.owners.owners()}
