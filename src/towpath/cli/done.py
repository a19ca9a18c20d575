"""`tow done`."""

from __future__ import annotations

import click

from towpath.cli import parameters
from towpath.cli.session import Session, pass_session


@click.command()
@parameters.run_argument(required=True)
@parameters.step_argument(required=False)
@click.option("--form", multiple=True, metavar="KEY=VALUE", help="A field of the form; repeatable.")
@parameters.comment_option("Kept with the answer.")
@parameters.deciding_options
@parameters.as_option()
@pass_session
def command(
    session: Session,
    *,
    run: str,
    step: str | None,
    form: tuple[str, ...],
    comment: str,
    digest: str | None,
    yes: bool,
    by: str | None,
) -> int:
    """Say that a task of a RUN is done, that a step with an unknown outcome did its work, or that a rollback was done by hand.

    At a terminal the fields of the form that --form leaves out are asked for. A task that could not be done: tow answer RUN STEP failed.
    """
    from towpath.cli import deciding

    actor = session.actor(by)
    asked = deciding.find(session.app(), run, step, says="done", actor=actor)
    is_sure = yes or asked.question.kind == "task"
    answering = deciding.Answering(choice="done", comment=comment, form=form, digest=digest, is_sure=is_sure)
    return deciding.answer(session, asked, answering, actor=actor)
