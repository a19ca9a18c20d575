"""What a run takes over from the one that it continues: an ended run never opens again.

A retry starts a new run that carries every step that ended well, and remembers of every other step that was started and can be undone
that there may be something to undo. A rollback starts one that carries all that the rollbacks may read. The order of starting is kept, so
the new run undoes in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from towpath.core.evolve import parent_path
from towpath.core.run import GOOD_STATUSES, ROOT, Carried, Node, NodeStatus, Path, Run, Undo

_STANDING_SKIPS = frozenset({"already_done", "carried"})
"""Why a skipped step stays skipped; every other reason is asked again."""


def carried_for_retry(run: Run) -> tuple[Carried, ...]:
    """The steps of *run* that a retry does not do again, and those that it may have to undo."""
    disturbed = _with_ancestors(_undone_paths(run))
    standing = {
        node.path
        for node in run.nodes.values()
        if _stands(node) and node.path not in disturbed and not _will_be_repeated(run, node, disturbed)
    }
    remembered = (
        _with_ancestors(node.path for node in run.nodes.values() if _has_effect(run, node)) - standing
    )
    return tuple(
        _carry(node, node.status if node.path in standing else "reset")
        for node in _in_order(run)
        if node.path in standing or node.path in remembered
    )


def carried_for_rollback(run: Run) -> tuple[Carried, ...]:
    """The steps of *run* that can be undone, and what their rollbacks may read."""
    return tuple(
        _carry(node, node.status) for node in _in_order(run) if node.path and not _is_last_or_undoing(node)
    )


def _in_order(run: Run) -> list[Node]:
    """The nodes as they started; what can be undone as it would be undone."""
    undoing = {entry.path: entry.sequence for entry in reversed(list(_undo_list(run)))}
    return sorted(
        run.nodes.values(), key=lambda node: (undoing.get(node.path, node.started_sequence), node.path)
    )


def _undo_list(run: Run) -> Iterator[Undo]:
    entry = run.undo
    while entry is not None:
        yield entry
        entry = entry.older


def _stands(node: Node) -> bool:
    """Whether the step ended well, outside of handlers, and for a reason that stays true."""
    if node.status not in GOOD_STATUSES or not node.path or "~" in node.path:
        return False
    return node.status != "skipped" or node.reason in _STANDING_SKIPS


def _has_effect(run: Run, node: Node) -> bool:
    """Whether the step did something, or may have done, that it can undo and that was not undone."""
    is_step = not node.frame and node.path != ROOT
    can_be_undone = is_step and node.started and not node.undone and run.plan[node.plan].has_rollback
    return can_be_undone and not _is_last_or_undoing(node)


def _is_last_or_undoing(node: Node) -> bool:
    return "~rollback" in node.path or node.path.startswith(("~finally", "~on_failure"))


def _will_be_repeated(run: Run, node: Node, disturbed: set[Path]) -> bool:
    """Whether the node stands in a round of a `repeat` that will begin again with its first round."""
    end = len(node.path)
    while (end := node.path.rfind("]", 0, end)) >= 0:
        frame = run.nodes.get(node.path[: end + 1])
        if frame is not None and frame.frame == "round":
            loop = run.nodes.get(node.path[: node.path.rindex("[", 0, end)])
            if loop is None or loop.status not in GOOD_STATUSES or loop.path in disturbed:
                return True
    return False


def _undone_paths(run: Run) -> Iterable[Path]:
    return (entry.path for entry in _undo_list(run) if run.nodes[entry.path].undone)


def _with_ancestors(paths: Iterable[Path]) -> set[Path]:
    """The paths and everything that they stand in, but for the root."""
    found: set[Path] = set()
    for path in paths:
        above: Path | None = path
        while above and above not in found:
            found.add(above)
            above = parent_path(above)
    return found


def _carry(node: Node, status: NodeStatus) -> Carried:
    is_reset = status == "reset"
    return Carried(
        path=node.path,
        plan=node.plan,
        status=status,
        frame=node.frame,
        outputs=None if is_reset else node.outputs,
        attempt=node.attempt,
        started_at=0 if is_reset else node.started_at,
        ended_at=0 if is_reset else node.ended_at,
        started=node.started and not node.undone,
        items=None if is_reset else node.items,
        cursor=0 if is_reset else node.cursor,
        reason="" if is_reset or node.reason == "carried" else node.reason,
        position=node.position,
        value=node.value,
    )
