"""`parallel`: all at once, ordered only by `needs`."""

from __future__ import annotations

from towpath.core import flow
from towpath.core.blocks.group import start_block
from towpath.core.plan import PlanStep
from towpath.core.run import Node, Path
from towpath.core.turn import Turn
from towpath.definition import model


def enter(turn: Turn, planned: PlanStep, path: Path) -> None:
    """Starts every child that needs nobody."""
    start_block(turn, planned, path)
    _fill(turn, path, planned.lists["parallel"])


def child_ended(turn: Turn, node: Node, child: Node) -> None:
    """Starts what has become possible, or ends the step when nothing is left."""
    planned = turn.planned(node)
    step = planned.step
    assert isinstance(step, model.ParallelStep)
    if turn.stop_reason(node.path) is None:
        if step.fail_fast and turn.node(node.path).failed:
            _stop_others(turn, node, planned)
        else:
            _fill(turn, node.path, planned.lists["parallel"])
    _end_when_over(turn, node.path, planned)


def _fill(turn: Turn, path: Path, children: tuple[PlanStep, ...]) -> None:
    """Starts children, in the order of the file, as far as `needs` and `max_parallel` allow."""
    step = turn.planned(turn.node(path)).step
    assert isinstance(step, model.ParallelStep)
    places = step.max_parallel or len(children)
    for child in children:
        if turn.node(path).active >= places:
            return
        if turn.run.nodes.get(_at(path, child)) is None or _may_begin_again(turn, path, child):
            _begin_when_ready(turn, path, child)


def _may_begin_again(turn: Turn, path: Path, child: PlanStep) -> bool:
    """Whether the child was reset, or carried over and not yet taken up."""
    node = turn.node(_at(path, child))
    return node.status == "reset" or (node.carried and node.reason != "carried")


def _begin_when_ready(turn: Turn, path: Path, child: PlanStep) -> None:
    needs = child.step.needs if child.step is not None else ()
    if not needs:
        flow.begin(turn, child, _at(path, child))
        return
    needed = [turn.run.nodes.get(f"{path}/{key}") for key in needs]
    if any(node is None or node.is_open or node.status == "reset" for node in needed):
        return
    if all(node is not None and node.went_well for node in needed):
        flow.begin(turn, child, _at(path, child))
    else:
        flow.skip(turn, child, _at(path, child), reason="a step that it needs did not succeed")


def _at(path: Path, child: PlanStep) -> Path:
    return flow.child_path(path, child.key)


def _stop_others(turn: Turn, node: Node, planned: PlanStep) -> None:
    for sibling in planned.lists["parallel"]:
        other = turn.run.nodes.get(_at(node.path, sibling))
        if other is not None and other.is_open and other.path not in turn.run.stops:
            flow.stop(turn, other.path, reason="a sibling failed")


def _end_when_over(turn: Turn, path: Path, planned: PlanStep) -> None:
    node = turn.node(path)
    if node.active or not node.is_open or node.phase != "body":
        return
    children = [turn.run.nodes.get(_at(path, child)) for child in planned.lists["parallel"]]
    failed = next((c for c in children if c is not None and c.status == "failed" and not c.settled), None)
    if failed is not None:
        flow.settle(turn, path, "failed", error=failed.error)
    elif turn.stop_reason(path) is not None or any(
        c is not None and c.status == "cancelled" for c in children
    ):
        flow.settle(turn, path, "cancelled")
    elif all(c is not None and not c.is_open and c.status != "reset" for c in children):
        flow.settle(turn, path, "succeeded")
