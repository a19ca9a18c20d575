"""`tow approve`."""

from __future__ import annotations

from typing import Unpack

import click

from towpath.cli import parameters
from towpath.cli.session import Session, pass_session


@click.command()
@parameters.deciding("Kept with the approval.")
@click.option("--form", multiple=True, metavar="KEY=VALUE", help="A field of the form; repeatable.")
@pass_session
def command(
    session: Session,
    *,
    run: str,
    step: str | None,
    form: tuple[str, ...],
    **said: Unpack[parameters.Spoken],
) -> int:
    """Approve what a RUN asks for. The STEP may be left out where only one waits that you may approve.

    At a terminal the evidence is shown first. Your approval holds for what you saw: when that changes meanwhile, it is refused.
    """
    from towpath.cli import deciding

    return deciding.decide(session, run, step, "approve", said, form=form)
