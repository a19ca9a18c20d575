"""`tow reject`."""

from __future__ import annotations

import click

from towpath.cli import parameters
from towpath.cli.session import Session, pass_session


@click.command()
@parameters.run_argument(required=True)
@parameters.step_argument(required=False)
@parameters.comment_option("Why; kept with the rejection and shown to everybody.")
@parameters.deciding_options
@parameters.as_option()
@pass_session
def command(
    session: Session,
    *,
    run: str,
    step: str | None,
    comment: str,
    digest: str | None,
    yes: bool,
    by: str | None,
) -> int:
    """Reject what a RUN asks for. One rejection decides, whatever the quorum is."""
    from towpath.cli import deciding

    actor = session.actor(by)
    asked = deciding.find(session.app(), run, step, says="reject", actor=actor)
    answering = deciding.Answering(choice="reject", comment=comment, digest=digest, is_sure=yes)
    return deciding.answer(session, asked, answering, actor=actor)
