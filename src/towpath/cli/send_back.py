"""`tow send-back`."""

from __future__ import annotations

import click

from towpath.cli import parameters
from towpath.cli.session import Session, pass_session


@click.command()
@parameters.run_argument(required=True)
@parameters.step_argument(required=False)
@parameters.comment_option("What has to be better; whoever does the work again reads it.")
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
    """Return the work of a RUN to the step that its file names with `send_back_to`; the run goes on again from there."""
    from towpath.cli import deciding

    actor = session.actor(by)
    asked = deciding.find(session.app(), run, step, says="send_back", actor=actor)
    if not comment and not session.is_interactive:
        raise click.UsageError('say what has to be better: --comment "…"')
    answering = deciding.Answering(choice="send_back", comment=comment, digest=digest, is_sure=yes)
    return deciding.answer(session, asked, answering, actor=actor)
