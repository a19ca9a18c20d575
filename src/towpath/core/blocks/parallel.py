"""`parallel`: all at once, ordered only by `needs`."""

from __future__ import annotations

from collections.abc import Iterable

from towpath.core import flow
from towpath.core.blocks.group import start_block
from towpath.core.plan import PlanStep
from towpath.core.run import Node, Path
from towpath.core.turn import Turn
from towpath.definition import model


def enter(turn: Turn, planned: PlanStep, path: Path) -> None:
    """Starts every child that needs nobody."""
    start_block(turn, planned, path)
    _fill(turn, path, planned, planned.lists["parallel"])


def child_ended(turn: Turn, node: Node, child: Node) -> None:
    """Starts what has become possible, or ends the step when nothing is left."""
    planned = turn.planned(node)
    if turn.stop_reason(node.path) is None:
        if _step(planned).fail_fast and turn.node(node.path).failed:
            _stop_others(turn, node, planned)
        else:
            _fill(turn, node.path, planned, _become_possible(planned, turn.node(node.path), child))
    _end_when_over(turn, node.path, planned)


def _become_possible(planned: PlanStep, node: Node, ended: Node) -> Iterable[PlanStep]:
    """The children that may begin because *ended* did: few of them, however many there are in all."""
    children = planned.lists["parallel"]
    if _step(planned).max_parallel is None:
        return planned.dependents.get(ended.path.rpartition("/")[2], ())
    return children if planned.dependents else children[node.cursor :]


def _fill(turn: Turn, path: Path, planned: PlanStep, children: Iterable[PlanStep]) -> None:
    """Starts children, in the order of the file, as far as `needs` and `max_parallel` allow."""
    places = _step(planned).max_parallel or len(planned.lists["parallel"])
    for child in children:
        if turn.node(path).active >= places:
            return
        if _current(turn, path, child) is None:
            _begin_when_ready(turn, path, child)


def _current(turn: Turn, path: Path, child: PlanStep) -> Node | None:
    """The child's node if it has begun since the block did; what was reset or carried over has yet to be taken up."""
    node = turn.run.nodes.get(_at(path, child))
    if node is None or node.status == "reset" or (node.carried and node.reason != "carried"):
        return None
    return node if node.started_sequence > turn.node(path).started_sequence else None


def _begin_when_ready(turn: Turn, path: Path, child: PlanStep) -> None:
    needed = [_current(turn, path, other) for other in child.needed]
    if any(node is None or node.is_open for node in needed):
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
    children = [_current(turn, path, child) for child in planned.lists["parallel"]]
    failed = next((c for c in children if c is not None and c.status == "failed" and not c.settled), None)
    if failed is not None:
        flow.settle(turn, path, "failed", error=failed.error)
    elif turn.stop_reason(path) is not None or any(
        c is not None and c.status == "cancelled" for c in children
    ):
        flow.settle(turn, path, "cancelled")
    elif all(c is not None and not c.is_open for c in children):
        flow.settle(turn, path, "succeeded")


def _step(planned: PlanStep) -> model.ParallelStep:
    assert isinstance(planned.step, model.ParallelStep)
    return planned.step
