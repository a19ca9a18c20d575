"""`tow comment`."""

from __future__ import annotations

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session


@click.command()
@parameters.run_argument(required=True)
@click.argument("words", nargs=-1, required=True, metavar="[STEP] TEXT")
@parameters.as_option()
@pass_session
def command(session: Session, *, run: str, words: tuple[str, ...], by: str | None) -> int:
    """Say something about what a RUN asks, without deciding it. Everybody who looks at the question sees it.

    \b
      tow comment 12 "the scan is from yesterday, is that all right?"
      tow comment 12 go_live "yes, nothing has changed since"
    """  # noqa: D301 - \b keeps click from filling the lines
    from towpath.cli import deciding
    from towpath.core import stimuli
    from towpath.server import asking

    app, actor = session.app(), session.actor(by)
    step, text = deciding.step_and_text(words)
    asked = asking.find(app, run, step, says="comment", actor=actor)
    deciding.tell(app, asked, stimuli.Commented(at=app.now(), path=asked.node.path, by=actor, text=text))
    deciding.acknowledge(session, asked, f"{actor.removeprefix('user:')} has said something")
    return exit_codes.OK
