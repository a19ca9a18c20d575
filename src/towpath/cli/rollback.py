"""`tow rollback`."""

from __future__ import annotations

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session


@click.command()
@parameters.run_argument()
@click.option("--reason", default="", metavar="TEXT", help="Why; kept with the run.")
@parameters.as_option()
@parameters.watching_options
@pass_session
def command(
    session: Session, *, run: str, reason: str, by: str | None, as_json: bool, plain: bool, no_ask: bool
) -> int:
    """Undo what a RUN did: every step that was started and says how, the newest first.

    An open run stops and undoes what it did. An ended run is undone by a new run, linked to it, in the foreground.
    """
    from towpath.cli import going_on
    from towpath.cli.watching import foreground
    from towpath.core import stimuli

    app = session.app()
    row = app.reader.run(run)
    actor = session.actor(by)
    if row.is_open:
        app.tell(row, stimuli.Rollback(at=app.now(), by=actor, reason=reason))
        session.out.say(f"run {row.number} is being rolled back; ", (f"tow show {row.number}", "command"))
        return exit_codes.OK
    manner = foreground.manner(actor=actor, as_json=as_json, plain=plain, no_ask=no_ask)
    return going_on.go_on(session, row, "rollback", manner)
