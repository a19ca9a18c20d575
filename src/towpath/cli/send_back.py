"""`tow send-back`."""

from __future__ import annotations

from typing import Unpack

import click

from towpath.cli import parameters
from towpath.cli.session import Session, pass_session

_REASON = 'say what has to be better: --comment "…"'


@click.command()
@parameters.deciding("What has to be better; whoever does the work again reads it.")
@pass_session
def command(session: Session, *, run: str, step: str | None, **said: Unpack[parameters.Spoken]) -> int:
    """Return the work of a RUN to the step that its file names with `send_back_to`; the run goes on again from there."""
    from towpath.cli import deciding

    return deciding.decide(session, run, step, "send_back", said, wants_comment=_REASON)
