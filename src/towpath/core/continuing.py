"""What a run takes over from the one that it continues: an ended run never opens again.

A retry starts a new run that carries every step that ended well; a rollback starts one that carries every step that was started and has
something to undo. The order of starting is kept, so the new run undoes in the same order.
"""

from __future__ import annotations

from towpath.core.run import GOOD_STATUSES, Carried, Node, Run


def carried_for_retry(run: Run) -> tuple[Carried, ...]:
    """The steps of *run* that a retry does not do again."""
    return tuple(_carry(run, node) for node in _in_order(run) if _stands(run, node))


def carried_for_rollback(run: Run) -> tuple[Carried, ...]:
    """The steps of *run* that can be undone, and what their rollbacks may read."""
    return tuple(_carry(run, node) for node in _in_order(run) if not _is_beside(node) and node.path)


def _in_order(run: Run) -> list[Node]:
    return sorted(run.nodes.values(), key=lambda node: node.started_sequence)


def _stands(run: Run, node: Node) -> bool:
    """Whether the step's result is still true: it ended well, was not undone, and no unfinished round holds it."""
    if node.status not in GOOD_STATUSES or node.undone or not node.path or _is_beside(node):
        return False
    if node.status == "skipped" and node.reason in ("condition", "stopped"):
        return False
    return not _in_unfinished_repeat(run, node) and not _holds_undone(run, node)


def _is_beside(node: Node) -> bool:
    return "~" in node.path


def _in_unfinished_repeat(run: Run, node: Node) -> bool:
    end = len(node.path)
    while (end := node.path.rfind("]", 0, end)) >= 0:
        frame = run.nodes.get(node.path[: end + 1])
        if frame is not None and frame.frame == "round":
            loop = run.nodes[node.path[: node.path.rindex("[", 0, end)]]
            if loop.status not in GOOD_STATUSES:
                return True
    return False


def _holds_undone(run: Run, node: Node) -> bool:
    """Whether something inside the block was rolled back by a scope around it."""
    entry = run.undo
    while entry is not None:
        if run.nodes[entry.path].undone and _is_below(entry.path, node.path):
            return True
        entry = entry.older
    return False


def _is_below(path: str, block: str) -> bool:
    return path.startswith(block) and len(path) > len(block) and path[len(block)] in "/["


def _carry(run: Run, node: Node) -> Carried:
    return Carried(
        path=node.path,
        plan=node.plan,
        status=node.status,
        frame=node.frame,
        outputs=node.outputs,
        attempt=node.attempt,
        started_at=node.started_at,
        ended_at=node.ended_at,
        started=node.started and not node.undone,
        items=node.items,
        cursor=node.cursor,
        reason="" if node.reason == "carried" else node.reason,
    )
