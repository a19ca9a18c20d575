"""`tow signal`."""

from __future__ import annotations

import json

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session


@click.command()
@parameters.run_argument(required=True)
@click.argument("name", metavar="NAME")
@click.option("--payload", metavar="JSON", help="What the waiting step gets as its outputs.")
@parameters.as_option()
@pass_session
def command(session: Session, *, run: str, name: str, payload: str | None, by: str | None) -> int:
    """Send the signal NAME to a RUN. It is kept until a step waits for it."""
    from towpath.core import stimuli

    app = session.app()
    row = app.reader.run(run)
    try:
        value = None if payload is None else json.loads(payload)
    except ValueError as error:
        raise click.UsageError(f"--payload is not JSON: {error}") from None
    told = stimuli.Signalled(at=app.now(), kind="signal", name=name, payload=value, by=session.actor(by))
    app.tell(row, told)
    session.out.say(f"run {row.number} has the signal ", (name, "name"))
    return exit_codes.OK
