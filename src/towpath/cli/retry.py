"""`tow retry`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from towpath.cli import exit_codes, parameters
from towpath.cli.session import Session, pass_session

if TYPE_CHECKING:
    from towpath.core.run import Node, Path, Run


@click.command()
@parameters.run_argument()
@parameters.step_option("Which step, where several ask or wait for their retry.")
@parameters.as_option()
@parameters.watching_options
@pass_session
def command(
    session: Session, *, run: str, step: str | None, by: str | None, as_json: bool, plain: bool, no_ask: bool
) -> int:
    """Go on from the step that failed.

    In an open run, the step that asks what to do, or that waits for its next attempt, runs again now. An ended run never opens again:
    a new run, linked to it, carries over every step that ended well and goes on from the one that failed, in the foreground.
    """
    from towpath.cli import going_on
    from towpath.cli.watching import foreground
    from towpath.core import stimuli

    app = session.app()
    row, folded = app.run(run)
    actor = session.actor(by)
    if not row.is_open:
        manner = foreground.manner(actor=actor, as_json=as_json, plain=plain, no_ask=no_ask)
        return going_on.go_on(session, row, "retry", manner)
    path = choose_step(folded, step, verb="retry")
    app.tell(row, stimuli.Retry(at=app.now(), path=path, by=actor))
    session.out.say(f"run {row.number}: ", (path, "name"), " runs again")
    return exit_codes.OK


def choose_step(run: Run, step: Path | None, *, verb: str) -> Path:
    """The step that is meant: the one that was named, or the only one that can be meant; raises Refused or NotFound."""
    from towpath.errors import NotFound, Refused

    fitting = [node.path for node in run.open_leaves() if _can_be_meant(node, verb)]
    if step is not None:
        if run.node(step) is None:
            raise NotFound(f"no step {step!r} has begun in this run", help="`tow show` lists the steps")
        return step
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise Refused(
            f"no step asks or waits for its retry: there is nothing to {verb}",
            help="`tow show` tells what it waits for",
        )
    raise Refused(
        f"several steps can be meant: {', '.join(sorted(fitting))}", help=f"name one: tow {verb} RUN … STEP"
    )


def _can_be_meant(node: Node, verb: str) -> bool:
    if node.status == "retrying":
        return True
    return node.status == "asking" and node.question is not None and verb in node.question.choices
