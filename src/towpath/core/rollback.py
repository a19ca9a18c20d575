"""What a failing scope undoes, and in which order.

Every step in the scope that was started and says how it is undone, the latest start first, one at a time. A step whose outcome is unknown
is undone too: its rollback sees `step.status` and has to accept that there may be nothing to undo.
"""

from __future__ import annotations

from towpath.core import events
from towpath.core.evolve import parent_path
from towpath.core.run import ROOT, Micros, Node, Path, Question, Run, is_within
from towpath.core.turn import Turn

ROLLBACK_CHOICES = ("retry", "done", "give_up")


def candidates(run: Run, scope: Node) -> tuple[Path, ...]:
    """The paths to undo in *scope*, in order."""
    found: dict[Path, None] = {}
    is_new = scope.path != ROOT and scope.attempt == 1 and run.continues is None
    entry = run.undo
    while entry is not None and not (is_new and entry.sequence < scope.started_sequence):
        if is_within(entry.path, scope.path) and entry.path != scope.path:
            node = run.nodes[entry.path]
            if node.started and not node.undone and "~rollback" not in entry.path[len(scope.path) :]:
                found[entry.path] = None
        entry = entry.older
    return tuple(found)


def undo_next(turn: Turn, scope_path: Path) -> bool:
    """Starts the next rollback of the scope; False when all are over."""
    scope = turn.node(scope_path)
    if scope.cursor >= len(scope.undo):
        return False
    start(turn, scope.undo[scope.cursor])
    return True


def start(turn: Turn, path: Path) -> None:
    """Starts the rollback of the step at *path*."""
    step = turn.node(path)
    frame = f"{path}~rollback"
    before = turn.run.nodes.get(frame)
    attempt = 1 if before is None else before.attempt + 1
    turn.emit(events.StepStarted(at=turn.at, path=frame, plan=step.plan, frame="rollback", attempt=attempt))
    turn.later_advance(frame)


def scope_of(run: Run, path: Path) -> Path:
    """The scope that is undoing the step at *path*."""
    outer = parent_path(path)
    while outer is not None:
        node = run.nodes[outer]
        if node.phase == "rollback" and node.cursor < len(node.undo) and node.undo[node.cursor] == path:
            return outer
        outer = parent_path(outer)
    raise AssertionError(f"no scope is rolling back {path}")


def question(path: Path, message: str, *, at: Micros) -> Question:
    """What people are asked when a rollback failed for good."""
    return Question(
        kind="rollback",
        text=f"The rollback of {path} failed: {message}",
        choices=ROLLBACK_CHOICES,
        asked_at=at,
    )
