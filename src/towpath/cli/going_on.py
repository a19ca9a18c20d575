"""What retry, rerun and rollback of an ended run have in common: a new run in the foreground, linked to the old one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from towpath.cli.views.lines import line
from towpath.cli.watching import foreground
from towpath.core.run import Node, Run
from towpath.errors import Refused

if TYPE_CHECKING:
    from towpath.cli.session import Session
    from towpath.cli.watching.foreground import Manner
    from towpath.engines.contract import Engine
    from towpath.store.contract import RunNumber, RunRow

_WORDS = {"retry": "goes on from", "rerun": "repeats", "rollback": "undoes"}


def go_on(
    session: Session, row: RunRow, reason: Literal["retry", "rerun", "rollback"], manner: Manner
) -> int:
    """Starts the run that goes on from *row*, repeats it or undoes it, and follows it; gives the exit code."""
    app = session.app()
    _check(app.run(str(row.number))[1], row, reason)
    request = app.continued(row, reason, started_by=manner.actor)

    async def begin(engine: Engine) -> RunNumber:
        number = (await engine.start(request)).number
        if manner.style != "json":
            session.out.show(line((f"run {number} {_WORDS[reason]} run {row.number}", "dim")))
        return number

    return foreground.drive(session, f"tow {reason} {row.number}", begin, manner)


def _check(run: Run, row: RunRow, reason: str) -> None:
    """Raises Refused where the new run would have nothing to do."""
    if reason == "retry" and run.status == "succeeded":
        raise Refused(
            f"run {row.number} succeeded: there is nothing to go on from",
            help=f"`tow rerun {row.number}` runs it once more from the beginning",
        )
    if reason == "rollback" and not any(node.started and not node.undone for node in _undoable(run)):
        raise Refused(
            f"run {row.number} has nothing to undo: no step of it was started that says how, or all are undone",
            help=f"`tow show {row.number}` shows its steps",
        )


def _undoable(run: Run) -> Iterator[Node]:
    entry = run.undo
    while entry is not None:
        yield run.nodes[entry.path]
        entry = entry.older
