"""Going on after a process has died: fold what is open, and make up for what is outstanding.

What an attempt did whose performer is gone is unknown; the core decides what that means. Timers are set again and questions stay
asked. A child run is looked up by its start key: it has ended, or goes on as well.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from typing import TYPE_CHECKING, Final

from towpath.core import commands, stimuli
from towpath.core.run import Error, Path, Run
from towpath.engines import history
from towpath.errors import BugError, Refused, StepError, TowpathError, Unreachable
from towpath.store.contract import PAGE_ROWS_MAX, Life, RunFilter, RunNumber, RunRow, Slot

if TYPE_CHECKING:
    from towpath.engines.embedded.loop import EmbeddedEngine

DYING_SECONDS: Final = 10.0
"""How long the last steps of a killed process may take to die before it counts as alive."""
DYING_LOOK_SECONDS: Final = 0.05


async def resume(engine: EmbeddedEngine, number: RunNumber) -> None:
    """Claims an open run whose owner is gone and performs what it is owed; raises Refused.

    The steps of a process that was killed die a moment after it, and keep its lock until then: that is waited for.
    """
    store = engine.store
    row = store.reader.run(number)
    if row.summary.ended_at is not None:
        raise Refused(
            f"run {number} has ended: {row.summary.status}",
            help=f"`tow retry {number}` goes on from where it failed, `tow rerun {number}` starts anew",
        )
    if _is_ours(engine, row):
        return
    until = time.monotonic() + DYING_SECONDS
    while not store.owners.claim(number, engine.owner):
        if not _is_dying(engine, row) or time.monotonic() > until:
            raise Refused(*_driven_by_another(engine, row))
        await asyncio.sleep(DYING_LOOK_SECONDS)
    go_on(engine, store.reader.run(number))


async def resume_all(engine: EmbeddedEngine) -> int:
    """Claims every open run whose owner is gone; returns how many there were. Between two runs the loop does other things."""
    taken = 0
    before: RunNumber | None = None
    while rows := engine.store.reader.runs(RunFilter(is_open=True, before=before, rows_max=PAGE_ROWS_MAX)):
        before = rows[-1].number
        for row in rows:
            if engine.is_closing:
                return taken
            if not _is_ours(engine, row) and engine.store.owners.claim(row.number, engine.owner):
                taken += _goes_on(engine, engine.store.reader.run(row.number))
                await asyncio.sleep(0)
    return taken


def _is_ours(engine: EmbeddedEngine, row: RunRow) -> bool:
    """Whether this engine drives the run, or is just about to: its start may be durable before the loop has heard of it."""
    return row.owner == engine.owner or engine.owns(row.number)


def _goes_on(engine: EmbeddedEngine, row: RunRow) -> bool:
    """Whether a claimed run could go on; one that could not does not keep the others from it."""
    if not row.is_open:
        return False  # another process has brought it to its end meanwhile
    try:
        go_on(engine, row)
    except Exception as error:  # noqa: BLE001 - one poisonous run must not stop the restart
        engine.poisoned(row.number, "resume", error)
        return False
    return True


def go_on(engine: EmbeddedEngine, row: RunRow) -> None:
    """Folds a claimed run and performs what it is owed; what the dead process left of its attempts is removed."""
    engine.performer.clear(row.id)
    run = history.load_run(engine.store.reader, row, engine.plans)
    drive = engine.adopt(row, run)
    if run.break_glass and row.origin_reason != "child":
        engine.questions.leave_review(row.number, run)
    if run.state == "queued":
        concurrency = run.plan.workflow.concurrency
        if concurrency is None or run.group is None:
            raise BugError(f"run {row.number} queues for no group")
        engine.queues.admit(row.number, Slot(group=run.group, maximum=concurrency.max))
        return
    for command in commands.outstanding(run):
        if isinstance(command, commands.PerformStep):
            lost = stimuli.Interrupted(
                at=engine.clock.now(), path=command.path, attempt=command.attempt, stage=command.stage
            )
            engine.tell_soon(row.number, lost)
        else:
            engine.order(drive, command)
    engine.settle_down(drive)


def rejoin_child(engine: EmbeddedEngine, parent: RunNumber, path: Path, child: RunRow) -> None:
    """A child run exists already: the parent hears of its end, or it goes on too."""
    if child.summary.ended_at is not None:
        run: Run = history.load_run(engine.store.reader, child, engine.plans)
        ended = stimuli.ChildEnded(
            at=engine.clock.now(),
            path=path,
            child=child.id,
            status=run.status,
            outputs=run.outputs or {},
            error=run.error,
        )
        engine.tell_soon(parent, ended)
    else:
        take_child_over(engine, child)


def take_child_over(engine: EmbeddedEngine, child: RunRow) -> None:
    """A child run that is open and that nobody drives goes on here."""
    is_cared_for = child.summary.ended_at is not None or _is_ours(engine, child)
    if not is_cared_for and engine.store.owners.claim(child.number, engine.owner):
        go_on(engine, child)


def error_of(error: TowpathError, path: Path) -> Error:
    """A step's error from one of ours."""
    if isinstance(error, StepError):
        kind = error.kind
    elif isinstance(error, Unreachable):
        kind = "unreachable"
    else:
        kind = "denied" if isinstance(error, Refused) else "invalid"
    return Error(kind=kind, message=error.message, step=path)


def _is_dying(engine: EmbeddedEngine, row: RunRow) -> bool:
    """Whether the owner's process is gone while its last steps still hold its lock."""
    owner = next((o for o in engine.store.owners.owners() if o.id == row.owner), None)
    if owner is None or owner.host != socket.gethostname():
        return False
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _driven_by_another(engine: EmbeddedEngine, row: RunRow) -> tuple[str]:
    owner = next((o for o in engine.store.owners.owners() if o.id == row.owner), None)
    if owner is None or owner.life is not Life.ALIVE:
        return (f"run {row.number} was taken over by another process just now",)
    return (f"run {row.number} is driven by process {owner.pid} on {owner.host} ({owner.command})",)
