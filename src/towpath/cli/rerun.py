"""`tow rerun`."""

from __future__ import annotations

import click

from towpath.cli import parameters
from towpath.cli.session import Session, pass_session


@click.command()
@parameters.run_argument()
@parameters.as_option()
@parameters.watching_options
@pass_session
def command(session: Session, *, run: str, by: str | None, as_json: bool, plain: bool, no_ask: bool) -> int:
    """Run an ended RUN once more from its beginning: the same definition, the same inputs, a new run.

    The file as it is now is run with `tow run`.
    """
    from towpath.cli import going_on
    from towpath.cli.watching import foreground

    row = session.app().reader.run(run)
    manner = foreground.manner(actor=session.actor(by), as_json=as_json, plain=plain, no_ask=no_ask)
    return going_on.go_on(session, row, "rerun", manner)
