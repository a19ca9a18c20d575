"""`tow done`."""

from __future__ import annotations

from typing import Unpack

import click

from towpath.cli import parameters
from towpath.cli.session import Session, pass_session


@click.command()
@parameters.deciding("Kept with the answer.")
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
    """Say that a task of a RUN is done, that a step with an unknown outcome did its work, or that a rollback was done by hand.

    At a terminal the fields of the form that --form leaves out are asked for. A task that could not be done: tow answer RUN STEP failed.
    """
    from towpath.cli import deciding

    return deciding.decide(session, run, step, "done", said, form=form)
