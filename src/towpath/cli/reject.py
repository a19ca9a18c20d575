"""`tow reject`."""

from __future__ import annotations

from typing import Unpack

import click

from towpath.cli import parameters
from towpath.cli.session import Session, pass_session


@click.command()
@parameters.deciding("Why; kept with the rejection and shown to everybody.")
@pass_session
def command(session: Session, *, run: str, step: str | None, **said: Unpack[parameters.Spoken]) -> int:
    """Reject what a RUN asks for. One rejection decides, whatever the quorum is."""
    from towpath.cli import deciding

    return deciding.decide(session, run, step, "reject", said)
