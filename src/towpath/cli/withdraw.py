"""`tow withdraw`."""

from __future__ import annotations

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session


@click.command()
@parameters.run_argument(required=True)
@parameters.step_argument(required=False)
@parameters.as_option()
@pass_session
def command(session: Session, *, run: str, step: str | None, by: str | None) -> int:
    """Take your answer to a RUN back, as long as the question is not decided. You may then give another one."""
    from towpath.cli import deciding
    from towpath.core import stimuli
    from towpath.server import asking

    app, actor = session.app(), session.actor(by)
    asked = asking.find(app, run, step, says="withdraw", actor=actor)
    deciding.tell(app, asked, stimuli.Withdrawn(at=app.now(), path=asked.node.path, by=actor))
    deciding.acknowledge(session, asked, f"{actor.removeprefix('user:')} has taken the answer back")
    return exit_codes.OK
