"""`tow retry`."""

from __future__ import annotations

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session


@click.command()
@parameters.run_argument()
@parameters.step_option("Which step, where several ask or wait for their retry.")
@parameters.as_option()
@parameters.watching_options
@pass_session
def command(
    session: Session, *, run: str, step: str | None, by: str | None, as_json: bool, plain: bool, no_ask: bool
) -> int:
    """Go on from the step that failed.

    In an open run, the step that asks what to do, or that waits for its next attempt, runs again now. An ended run never opens again:
    a new run, linked to it, carries over every step that ended well and goes on from the one that failed, in the foreground.
    """
    from towpath.cli import going_on
    from towpath.cli.watching import foreground
    from towpath.core import stimuli
    from towpath.engines.acting import choose_step

    app = session.app()
    row, folded = app.run(run)
    actor = session.actor(by)
    if not row.is_open:
        manner = foreground.manner(actor=actor, as_json=as_json, plain=plain, no_ask=no_ask)
        return going_on.go_on(session, row, "retry", manner)
    path = choose_step(folded, step, verb="retry")
    app.tell(row, stimuli.Retry(at=app.now(), path=path, by=actor))
    session.out.say(f"run {row.number}: ", (path, "name"), " runs again")
    return exit_codes.OK
