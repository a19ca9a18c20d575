"""What lists show of a run: its status, and what it waits for, in one line."""

from __future__ import annotations

from towpath.core.run import ROOT, Micros, Node, Run
from towpath.store.contract import Summary

WAITING_FOR_CHARS_MAX = 200


def summary_of(run: Run, since: Micros) -> Summary:
    """The row that lists show; *since* is when the run came to its present status."""
    root = run.nodes.get(ROOT)
    started_at = root.started_at if root is not None and run.state != "queued" else None
    if run.has_ended:
        message = run.message or (run.error.message if run.error is not None else None)
        return Summary(
            status=run.status,
            started_at=started_at,
            ended_at=run.ended_at,
            outcome=run.outcome,
            message=message,
        )
    if run.status == "running":
        return Summary(status="running", started_at=started_at)
    waiting_for = waiting_reason(run)
    return Summary(status=run.status, waiting_for=waiting_for, waiting_since=since, started_at=started_at)


def waiting_reason(run: Run) -> str:
    """Why the run waits: the first open leaf's reason, and how many more there are."""
    if run.state == "queued":
        return f"a place in the concurrency group {run.group!r}"
    leaves = [run.nodes[path] for path in run.leaves]
    if not leaves:
        return ""
    first = leaf_reason(leaves[0])
    more = f" (and {len(leaves) - 1} more)" if len(leaves) > 1 else ""
    return first[: WAITING_FOR_CHARS_MAX - len(more)] + more


def leaf_reason(node: Node) -> str:
    """Why one open leaf waits."""
    match node.status:
        case "asking" if node.question is not None:
            return f"{node.path}: {node.question.text}"
        case "retrying":
            return f"{node.path}: the retry of attempt {node.attempt}"
        case "waiting" if node.awaited is not None and node.awaited.kind != "time":
            return f"{node.path}: the {node.awaited.kind} {node.awaited.name}"
        case "waiting":
            return f"{node.path}: time"
        case _:
            return f"{node.path}: its attempt"
