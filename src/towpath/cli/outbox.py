"""`tow outbox`."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any, cast, get_args

import click

from towpath.cli import diary, exit_codes, parameters
from towpath.cli.session import Session, pass_session
from towpath.store.contract import OwnerId, SendingState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from towpath.app import App
    from towpath.cli.remote.app import RemoteApp
    from towpath.people.sendings import Trying
    from towpath.store.contract import SendingRow

ROWS_DEFAULT = 20
TRIED_MAX = 1_000
"""Sendings that are tried again by one command."""


@click.command()
@parameters.run_argument(all_when_left_out=True)
@parameters.step_option("Only what was told about this step.")
@click.option("--to", metavar="WHO", help="Only what is for this person, or this place: ben, #ops.")
@click.option("--channel", metavar="NAME", help="Only what goes through this channel of towpath.yaml.")
@click.option(
    "-s",
    "--state",
    "states",
    multiple=True,
    type=click.Choice(get_args(SendingState)),
    help="Only what is in this state; repeatable.",
)
@click.option("--failed", is_flag=True, help="Only what was not told so far, although somebody tried.")
@click.option("--id", "ids", multiple=True, type=int, metavar="ID", help="Only this one; repeatable.")
@click.option(
    "-n", "--last", "rows", default=ROWS_DEFAULT, show_default=True, metavar="N", help="At most so many."
)
@click.option("--try-again", is_flag=True, help="Send what failed once more, now, and tell what came of it.")
@parameters.json_option("One JSON object for each sending.")
@pass_session
def command(
    session: Session,
    /,
    *,
    run: str | None,
    rows: int,
    try_again: bool,
    as_json: bool,
    **filters: Any,  # noqa: ANN401 - the filters, as click gives them
) -> int:
    """List who was told what, by which channel, when, and what became of it; of all runs, or of one RUN. The newest comes first.

    What a channel does not take is tried again by itself, later each time, for more than four hours, and then given up. --try-again sends
    it now: when the channel works again, or when somebody got an address in towpath.yaml. Nobody is called to a question that is over.
    """
    from towpath.server import sent

    app = session.app()
    if not app.folder.database.exists():
        found: list[SendingRow] = []
    else:
        number = None if run is None else app.reader.run(run).number
        wanted = sent.Wanted(
            run=number,
            path=filters["step"],
            to=filters["to"],
            channel=filters["channel"],
            states=filters["states"],
            is_failing=filters["failed"] or try_again,
            ids=frozenset(filters["ids"]),
        )
        rows_max = TRIED_MAX if try_again else max(1, rows)
        found = list(itertools.islice(sent.rows(app, wanted), rows_max))
    if try_again:
        return _try_again(session, app, found, as_json=as_json)
    return _show(session, app, found, is_filtered=run is not None or any(filters.values()), as_json=as_json)


def _show(session: Session, app: App, rows: Sequence[SendingRow], *, is_filtered: bool, as_json: bool) -> int:
    from towpath.cli.views import outbox, summary
    from towpath.cli.views.facts import json_line
    from towpath.people import sendings
    from towpath.server import sent
    from towpath.server.shapes.outbox import sending_object

    if as_json:
        for row in rows:
            click.echo(json_line(sending_object(row)))
        return exit_codes.OK
    has_data = app.folder.database.exists()
    counts = app.store.outbox.counts() if has_data else {}
    alive = sent.alive_owners(app) if has_data else frozenset[OwnerId]()
    if is_filtered and not rows and counts:
        session.out.say("nothing in the outbox fits")
        return exit_codes.OK
    if not is_filtered:
        session.out.show(outbox.headline(counts))
    if rows:
        session.out.show(
            *([()] if not is_filtered else []), *outbox.listing(rows, session.out, alive=alive, now=app.now())
        )
    if any(sendings.is_failing(row, alive) for row in rows):
        hint = summary.Hint(command="tow outbox --try-again", why="send again what failed")
        session.out.show((), *summary.hint_lines((hint,), session.out))
    return exit_codes.OK


# --- trying again -------------------------------------------------------------------------------------------


def _try_again(session: Session, app: App, rows: Sequence[SendingRow], *, as_json: bool) -> int:
    from towpath.cli.views.facts import json_line
    from towpath.people import sendings
    from towpath.server import sent
    from towpath.server.shapes.outbox import sending_object

    found = sent.trying(app, rows)
    tried = [one for one in found if one.how in ("again", "anew")]
    if tried and app.serves_elsewhere:
        cast("RemoteApp", app).send_again([one.row.id for one in tried])
    elif tried:
        asyncio.run(_send(app, tried))
    after = [row for one in tried for row in sent.after(app, one)]
    if as_json:
        for row in after:
            click.echo(json_line(sending_object(row)))
    else:
        _tell(session, app, found, after)
    alive = sent.alive_owners(app)
    return exit_codes.FAILED if any(sendings.is_failing(row, alive) for row in after) else exit_codes.OK


async def _send(app: App, tried: Sequence[Trying]) -> None:
    """Sends, in a process that owns nothing but these messages; one that lives may be quicker."""
    from towpath.people import sendings

    diary.keep(app.settings.data)
    owner = app.store.owners.enter("tow outbox --try-again")
    try:
        async with app.telling().of(owner) as outbox:
            for one in tried:
                notice = sendings.notice_of(one.row) if one.how == "anew" else None
                if notice is not None:
                    outbox.put(notice)
                else:
                    app.store.outbox.try_again(one.row.id, at=app.now())
            await outbox.flush()
            await outbox.take_over()
            await outbox.settle()
    finally:
        app.store.owners.leave(owner)


def _tell(session: Session, app: App, found: Sequence[Trying], after: Sequence[SendingRow]) -> None:
    from towpath.cli.views import outbox
    from towpath.observe.words import counted
    from towpath.server import sent

    if after:
        session.out.show(*outbox.listing(after, session.out, alive=sent.alive_owners(app), now=app.now()))
    over = sum(one.how == "over" for one in found)
    partly = sum(one.how == "partly" for one in found)
    if over:
        session.out.say((f"{counted(over, 'message')} left out: the question is over", "dim"))
    if partly:
        session.out.say(
            (f"{counted(partly, 'message')} left out: others were told, and no way leads to these", "dim")
        )
    if not found:
        session.out.say("nothing has failed")
