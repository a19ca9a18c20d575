"""`tow claim`."""

from __future__ import annotations

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session


@click.command()
@parameters.run_argument(required=True)
@parameters.step_argument(required=False)
@click.option("-f", "--force", is_flag=True, help="Take it over from whoever has claimed it.")
@parameters.as_option()
@pass_session
def command(session: Session, *, run: str, step: str | None, force: bool, by: str | None) -> int:
    """Say that you take care of what a RUN asks; the others see it, and leave it to you."""
    from towpath.cli import deciding
    from towpath.core import stimuli

    app, actor = session.app(), session.actor(by)
    asked = deciding.find(app, run, step, says="take_over" if force else "claim", actor=actor)
    told = stimuli.Claimed(at=app.now(), path=asked.node.path, by=actor, force=force)
    deciding.tell(app, asked, told)
    deciding.acknowledge(session, asked, f"{actor.removeprefix('user:')} takes care of it")
    return exit_codes.OK
