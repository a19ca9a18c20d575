"""`steps`: one after the other, a scope for `catch` and `rollback`."""

from __future__ import annotations

from towpath.core import events
from towpath.core.plan import PlanStep
from towpath.core.run import Micros, Node, Path, Run
from towpath.core.turn import Turn
from towpath.errors import ExpressionError

MICROS = 1_000_000
RUN_NODES_MAX = 1_000_000
"""Steps, items and rounds that one run may have; loops inside loops would fill the memory."""


def enter(turn: Turn, planned: PlanStep, path: Path) -> None:
    """Starts the group and its first step."""
    start_block(turn, planned, path)
    turn.later_advance(path)


def child_ended(turn: Turn, node: Node, child: Node) -> None:
    """Groups go on as every frame does: see `flow`."""
    raise AssertionError(f"{node.path} is a sequence; {child.path} was told to its kind")


def start_block(
    turn: Turn, planned: PlanStep, path: Path, *, items: tuple[tuple[str, object], ...] | None = None
) -> None:
    """Makes it true that a block began, with its time limit."""
    before = turn.run.nodes.get(path)
    turn.emit(
        events.StepStarted(
            at=turn.at,
            path=path,
            plan=planned.number,
            attempt=1 if before is None else before.attempt + 1,
            items=items,
            timeout_at=timeout_at(turn, planned),
            undoable=planned.has_rollback,
        )
    )


def check_room(run: Run, count: int) -> None:
    """Whether a loop may add *count* frames to the run; raises ExpressionError past the limit."""
    if len(run.nodes) + count > RUN_NODES_MAX:
        raise ExpressionError(f"the run would have more than {RUN_NODES_MAX:,} steps (RUN_NODES_MAX)")


def timeout_at(turn: Turn, planned: PlanStep) -> Micros | None:
    """When the step's time is up."""
    if planned.step is None or planned.step.timeout is None:
        return None
    return turn.at + round(planned.step.timeout * MICROS)
