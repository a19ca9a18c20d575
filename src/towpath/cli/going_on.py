"""What retry, rerun and rollback of an ended run have in common: a new run in the foreground, linked to the old one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from towpath.cli.views.lines import line
from towpath.cli.watching import foreground
from towpath.engines.acting import GoingOn, check_going_on

if TYPE_CHECKING:
    from towpath.cli.session import Session
    from towpath.cli.watching.foreground import Manner
    from towpath.engines.contract import Engine
    from towpath.store.contract import RunNumber, RunRow

_WORDS = {"retry": "goes on from", "rerun": "repeats", "rollback": "undoes"}


def go_on(session: Session, row: RunRow, reason: GoingOn, manner: Manner) -> int:
    """Starts the run that goes on from *row*, repeats it or undoes it, and follows it; gives the exit code."""
    app = session.app()
    check_going_on(app.run(str(row.number))[1], row, reason)
    request = app.continued(row, reason, started_by=manner.actor)

    async def begin(engine: Engine) -> RunNumber:
        number = (await engine.start(request)).number
        if manner.style != "json":
            session.out.show(line((f"run {number} {_WORDS[reason]} run {row.number}", "dim")))
        return number

    return foreground.drive(session, f"tow {reason} {row.number}", begin, manner)
