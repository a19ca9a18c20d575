"""`tow claim`."""

from __future__ import annotations

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session


@click.command()
@parameters.run_argument(required=True)
@parameters.step_argument(required=False)
@click.option("-f", "--force", is_flag=True, help="Take it over from whoever has claimed it.")
@click.option("--release", is_flag=True, help="Give it back to the others.")
@parameters.as_option()
@pass_session
def command(
    session: Session, *, run: str, step: str | None, force: bool, release: bool, by: str | None
) -> int:
    """Say that you take care of what a RUN asks; the others see it, and leave it to you until you give it back."""
    from towpath.cli import deciding
    from towpath.cli.views.questions import who
    from towpath.core import stimuli
    from towpath.server import asking

    if force and release:
        raise click.UsageError("--force takes it over and --release gives it back; say one of them")
    app, actor = session.app(), session.actor(by)
    says = "release" if release else "take_over" if force else "claim"
    asked = asking.find(app, run, step, says=says, actor=actor)
    path, now = asked.node.path, app.now()
    if release:
        deciding.tell(app, asked, stimuli.Released(at=now, path=path, by=actor))
        deciding.acknowledge(session, asked, f"{who(actor)} has given it back to the others")
    else:
        deciding.tell(app, asked, stimuli.Claimed(at=now, path=path, by=actor, force=force))
        deciding.acknowledge(session, asked, f"{who(actor)} takes care of it")
    return exit_codes.OK
