"""`tow hand-over`."""

from __future__ import annotations

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session


@click.command()
@parameters.run_argument(required=True)
@parameters.step_argument(required=False)
@click.option(
    "--to", required=True, metavar="WHO", help="user:ben, or just ben; group:shop; oncall:platform."
)
@parameters.comment_option("For whoever gets it.")
@parameters.as_option()
@pass_session
def command(session: Session, *, run: str, step: str | None, to: str, comment: str, by: str | None) -> int:
    """Let somebody else answer what a RUN asks you. Those who were asked may still answer; four eyes go on to count."""
    from towpath.cli import deciding
    from towpath.core import stimuli
    from towpath.server import asking

    app, actor = session.app(), session.actor(by)
    asked = asking.find(app, run, step, says="hand_over", actor=actor)
    heir = asking.principal(app, to)
    told = stimuli.HandedOver(at=app.now(), path=asked.node.path, by=actor, to=heir, comment=comment)
    deciding.tell(app, asked, told)
    deciding.acknowledge(session, asked, f"{heir} may answer it, too")
    return exit_codes.OK
