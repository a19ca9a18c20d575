"""`tow remind`."""

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
    """Tell those who are asked by a RUN once more, now. It counts as the next reminder, so nobody is told twice in a row."""
    from towpath.cli import deciding
    from towpath.core import stimuli
    from towpath.server import asking

    app, actor = session.app(), session.actor(by)
    asked = asking.find(app, run, step, says="remind", actor=actor)
    told = stimuli.Climbed(
        at=app.now(),
        path=asked.node.path,
        kind="reminder",
        asked_at=asked.question.asked_at,
        number=asked.node.told_reminders + 1,
    )
    asking.check(app, asked, says="remind", actor=actor)
    deciding.tell(app, asked, told)
    deciding.acknowledge(session, asked, asking.reminded(app, asked))
    return exit_codes.OK
