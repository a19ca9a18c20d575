"""`tow approve`."""

from __future__ import annotations

import click

from towpath.cli import parameters
from towpath.cli.session import Session, pass_session


@click.command()
@parameters.run_argument(required=True)
@parameters.step_argument(required=False)
@parameters.comment_option("Kept with the approval.")
@click.option("--form", multiple=True, metavar="KEY=VALUE", help="A field of the form; repeatable.")
@parameters.deciding_options
@parameters.as_option()
@pass_session
def command(
    session: Session,
    *,
    run: str,
    step: str | None,
    comment: str,
    form: tuple[str, ...],
    digest: str | None,
    yes: bool,
    by: str | None,
) -> int:
    """Approve what a RUN asks for. The STEP may be left out where only one waits that you may approve.

    At a terminal the evidence is shown first. Your approval holds for what you saw: when that changes meanwhile, it is refused.
    """
    from towpath.cli import deciding

    actor = session.actor(by)
    asked = deciding.find(session.app(), run, step, says="approve", actor=actor)
    answering = deciding.Answering(choice="approve", comment=comment, form=form, digest=digest, is_sure=yes)
    return deciding.answer(session, asked, answering, actor=actor)
