"""`tow cancel`."""

from __future__ import annotations

import time

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session

LOOK_SECONDS = 0.1


@click.command()
@parameters.run_argument()
@click.option("--no-rollback", is_flag=True, help="Leave what was done as it is.")
@parameters.step_option("Stop what this step is doing, and nothing else; it has failed as `cancelled`.")
@click.option("--reason", default="", metavar="TEXT", help="Why; kept with the run.")
@click.option("--wait", is_flag=True, help="Come back when the run has ended.")
@parameters.as_option()
@pass_session
def command(
    session: Session,
    *,
    run: str,
    no_rollback: bool,
    step: str | None,
    reason: str,
    wait: bool,
    by: str | None,
) -> int:
    """Stop a RUN: its steps are ended, none of their processes is left, and what was done is undone.

    The owner of the run is told; when this command comes back the stop is durable. With --step only that step is stopped, also where it
    hangs in a rollback or in `finally`; it has failed then, and the run goes on as its file says.
    """
    from towpath.core import stimuli

    app = session.app()
    row = app.reader.run(run)
    if step is not None:
        if no_rollback or wait:
            raise click.UsageError("--step stops one step: --no-rollback and --wait are about the whole run")
        app.tell(row, stimuli.StopStep(at=app.now(), path=step, by=session.actor(by), reason=reason))
        session.out.say(
            f"run {row.number}: ",
            (step, "name"),
            " is being stopped; ",
            (f"tow show {row.number}", "command"),
        )
        return exit_codes.OK
    told = stimuli.Cancel(at=app.now(), by=session.actor(by), rollback=not no_rollback, reason=reason)
    app.tell(row, told)
    undoing = "" if no_rollback else " and undone"
    session.out.say(f"run {row.number} is being stopped{undoing}; ", (f"tow show {row.number}", "command"))
    while wait and app.reader.run(row.number).is_open:
        time.sleep(LOOK_SECONDS)
    if wait:
        session.out.say(f"run {row.number} ended: {app.reader.run(row.number).summary.status}")
    return exit_codes.OK
