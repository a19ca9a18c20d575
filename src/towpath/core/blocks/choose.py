"""`choose`: the first branch whose condition holds."""

from __future__ import annotations

from towpath.core import events, flow
from towpath.core.blocks.group import start_block
from towpath.core.plan import PlanStep
from towpath.core.run import Node, Path
from towpath.core.turn import Turn


def enter(turn: Turn, planned: PlanStep, path: Path) -> None:
    """Takes the first branch that holds; without one the step is skipped."""
    taken = next(
        (
            position
            for position, (condition, _) in enumerate(planned.branches, start=1)
            if condition is None or turn.holds(condition, path)
        ),
        None,
    )
    if taken is None:
        flow.skip(turn, planned, path, reason="no branch holds")
        return
    start_block(turn, planned, path)
    frame = f"{path}[{taken}]"
    before = turn.run.nodes.get(frame)
    attempt = 1 if before is None else before.attempt + 1
    turn.emit(
        events.StepStarted(at=turn.at, path=frame, plan=planned.number, frame="branch", attempt=attempt)
    )
    turn.later_advance(frame)


def child_ended(turn: Turn, node: Node, child: Node) -> None:
    """The step ends as its branch did."""
    flow.pass_on(turn, node.path, child)
