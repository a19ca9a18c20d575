"""`workflow`: another workflow, run as a child of this run."""

from __future__ import annotations

import hashlib

from towpath.core import events, flow
from towpath.core.blocks.group import timeout_at
from towpath.core.plan import PlanStep
from towpath.core.run import Error, Node, Path, RunId, Work
from towpath.core.stimuli import ChildEnded
from towpath.core.turn import Turn
from towpath.definition import model

_CHILD_ID_CHARS = 10


def enter(turn: Turn, planned: PlanStep, path: Path) -> None:
    """Asks for the child run, whose id follows from the parent's, the path and the attempt."""
    before = turn.run.nodes.get(path)
    attempt = 1 if before is None else before.attempt + 1
    inputs = turn.plain(planned.texts.get("with"), path) or {}
    digest = hashlib.sha256(f"{turn.run.id}/{path}#{attempt}".encode()).hexdigest()
    turn.emit(
        events.StepStarted(
            at=turn.at,
            path=path,
            plan=planned.number,
            attempt=attempt,
            work=Work(with_=inputs),
            child=RunId(f"{turn.run.id.split('.')[0]}.{digest[:_CHILD_ID_CHARS]}"),
            timeout_at=timeout_at(turn, planned),
            undoable=planned.has_rollback,
        )
    )


def child_ended(turn: Turn, node: Node, child: Node) -> None:
    """The child is a run of its own: see `ended`."""
    raise AssertionError(f"{node.path} has no child {child.path}")


def ended(turn: Turn, node: Node, stimulus: ChildEnded) -> None:
    """The child run is over, or, where nobody waits for it, has been accepted."""
    step = turn.planned(node).step
    assert isinstance(step, model.WorkflowStep)
    outputs = {**stimulus.outputs, "run": stimulus.child, "status": stimulus.status}
    if stimulus.status in ("succeeded", "partially_succeeded", "skipped") or (
        step.detach and stimulus.error is None
    ):
        flow.settle(turn, node.path, "succeeded", outputs=outputs)
        return
    reason = stimulus.error.message if stimulus.error is not None else "see its page"
    message = f"{step.workflow} (run {stimulus.child}) ended {stimulus.status}: {reason}"
    kind = {"rejected": "rejected", "cancelled": "cancelled"}.get(stimulus.status, "exit")
    if stimulus.error is not None and kind == "exit":
        kind = stimulus.error.kind
    error = Error(kind=kind, message=message, step=node.path)
    outcome = "cancelled" if turn.stop_reason(node.path) is not None else "failed"
    flow.settle(turn, node.path, outcome, outputs=outputs, error=error)  # type: ignore[arg-type] # one of two outcomes
