"""`repeat`: the body, round after round, until a condition holds."""

from __future__ import annotations

from towpath.core import events, flow
from towpath.core.blocks.group import MICROS, check_room, start_block
from towpath.core.plan import PlanStep
from towpath.core.run import Awaited, Error, Node, Path
from towpath.core.turn import Turn
from towpath.definition import model
from towpath.errors import ExpressionError

IDLE_PAUSE_SECONDS = 1.0
"""The wait after a round in which nothing was performed, where the file says no `every`."""


def enter(turn: Turn, planned: PlanStep, path: Path) -> None:
    """Starts the first round."""
    start_block(turn, planned, path)
    start_round(turn, path)


def start_round(turn: Turn, path: Path) -> None:
    """Starts the next round of the repeat at *path*."""
    node = turn.node(path)
    frame = f"{path}[{node.cursor + 1}]"
    before = turn.run.nodes.get(frame)
    attempt = 1 if before is None else before.attempt + 1
    turn.emit(events.StepStarted(at=turn.at, path=frame, plan=node.plan, frame="round", attempt=attempt))
    turn.later_advance(frame)


def _idle_pause(turn: Turn, frame: Node) -> float:
    """The pause after a round that was over in the moment in which it began: such rounds would spin for ever."""
    began_in_this_turn = frame.started_sequence > turn.run.sequence - len(turn.facts)
    return IDLE_PAUSE_SECONDS if began_in_this_turn else 0.0


def child_ended(turn: Turn, node: Node, child: Node) -> None:
    """After a round: ends when `until` holds, waits for the next round, or gives up."""
    if not child.went_well:
        flow.pass_on(turn, node.path, child)
        return
    if turn.stop_reason(node.path) is not None:
        flow.settle(turn, node.path, "cancelled")
        return
    planned = turn.planned(node)
    step = planned.step
    assert isinstance(step, model.RepeatStep)
    assert planned.until is not None
    try:
        over = turn.holds(planned.until, child.path)
        if not over:
            check_room(turn.run, 1)
    except ExpressionError as problem:
        error = Error(kind="invalid", message=f"until: {problem.message}", step=node.path)
        flow.settle(turn, node.path, "failed", error=error)
        return
    if over:
        flow.settle(turn, node.path, "succeeded")
    elif step.times is not None and turn.node(node.path).cursor >= step.times:
        message = f"`until` did not hold after {step.times} rounds"
        flow.settle(turn, node.path, "failed", error=Error(kind="timeout", message=message, step=node.path))
    elif pause := step.every or _idle_pause(turn, child):
        due = turn.at + round(pause * MICROS)
        turn.emit(events.WaitStarted(at=turn.at, path=node.path, awaited=Awaited(kind="time", due=due)))
    else:
        start_round(turn, node.path)
