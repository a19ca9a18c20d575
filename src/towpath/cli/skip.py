"""`tow skip`."""

from __future__ import annotations

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session


@click.command()
@parameters.run_argument(required=True)
@parameters.step_argument(required=False)
@click.option("--reason", default="", metavar="TEXT", help="Why; kept with the run.")
@parameters.as_option()
@pass_session
def command(session: Session, *, run: str, step: str | None, reason: str, by: str | None) -> int:
    """Pass over a STEP that asks what to do, or that waits for its next attempt; the run goes on without it.

    The run then ends as partially_succeeded at best.
    """
    from towpath.core import stimuli
    from towpath.engines.acting import choose_step

    app = session.app()
    row, folded = app.run(run)
    path = choose_step(folded, step, verb="skip")
    app.tell(row, stimuli.Skip(at=app.now(), path=path, by=session.actor(by), reason=reason))
    session.out.say(f"run {row.number}: ", (path, "name"), " is passed over")
    return exit_codes.OK
