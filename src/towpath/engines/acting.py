"""What somebody means who acts on a run: which step, and whether there is anything to go on from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

from towpath.core.run import Node, Path, Run
from towpath.errors import NotFound, Refused
from towpath.store.contract import RunRow

GoingOn: TypeAlias = Literal["retry", "rerun", "rollback"]
"""Why a new run follows an ended one."""


def choose_step(run: Run, step: Path | None, *, verb: str) -> Path:
    """The step that is meant: the one that was named, or the only one that can be meant; raises Refused or NotFound."""
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


def check_going_on(run: Run, row: RunRow, reason: GoingOn) -> None:
    """Raises Refused where a run that follows the ended *row* would have nothing to do."""
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
