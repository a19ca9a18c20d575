"""Which moves have to be tried in which order: branches that cannot notice each other are explored one after the other.

Where several things run at once, every order of what they do would have to be tried. Most orders cannot be told apart: two items of an
`each` that neither read each other nor stop each other end in the same way whichever is first. Then the moves of one of them are tried
until it has ended, and only then those of the next. That is sound only while nothing from outside can strike in between, so nothing is
left out while a sibling's failure would stop the others, while a time limit around them runs, while they wait for the same event, or while
a law looks at states on the way.

A *loose* reduction lets time limits, and a cancel, strike at every state of each branch, but not at every combination of the states of
several. It is for workflows with too many combinations, and is told.
"""

from __future__ import annotations

from towpath.core.evolve import parent_path
from towpath.core.plan import Plan, PlanStep
from towpath.core.run import Node, Path, Run, is_within
from towpath.definition import model
from towpath.trials.checking.world import Move, Situation

_LOUD_WAITS = (model.WaitEvent, model.WaitSignal, model.WaitWindow)


class Reduction:
    """Chooses the branch of which alone the moves are tried."""

    def __init__(self, plan: Plan, *, can_cancel: bool, is_loose: bool = False) -> None:
        laws = plan.workflow.check
        self._plan = plan
        self._is_loose = is_loose
        self._has_environments = plan.workflow.environment is not None or any(
            planned.step is not None and planned.step.environment for planned in plan.steps
        )
        self._is_possible = not (
            (can_cancel and not is_loose)
            or (laws is not None and laws.never)
            or any(_can_be_noticed(planned) for planned in plan.steps)
        )

    def branch(self, here: Situation) -> Path | None:
        """The path below which alone moves have to be tried; None where all have to be."""
        run = here.run
        if not self._is_possible or len(run.leaves) < 2:  # noqa: PLR2004 - two at once
            return None
        if self._has_environments and not set(run.protections) <= run.entered:
            return None
        leaf = run.open_leaves()[0]
        return self._branch_of(run, leaf)

    def _branch_of(self, run: Run, leaf: Node) -> Path | None:
        """The innermost branch around *leaf* that has siblings, if nothing around it can strike."""
        found: Path | None = None
        path: Path | None = leaf.path
        while path:
            above = parent_path(path)
            assert above is not None
            node = run.nodes[above]
            if self._is_disturbed(run, node):
                return None
            if found is None and node.active > 1 and self._is_parallel(node):
                found = path
            path = above
        return found

    def _is_parallel(self, node: Node) -> bool:
        return not node.frame and self._plan[node.plan].kind in ("parallel", "each")

    def _is_disturbed(self, run: Run, node: Node) -> bool:
        """Whether something at *node* may strike what runs below it."""
        if run.stop_reason(node.path) is not None or node.phase != "body":
            return False
        if node.timeout_at is not None and not self._is_loose:
            return True
        return node.active > 1 and self._is_parallel(node) and self._siblings_notice(node)

    def _siblings_notice(self, node: Node) -> bool:
        """Whether the branches of a block can stop each other, or keep each other from beginning."""
        step = self._plan[node.plan].step
        if isinstance(step, model.EachStep):
            return step.fail_fast or node.cursor < len(node.items or ())
        return isinstance(step, model.ParallelStep) and step.fail_fast


def _can_be_noticed(planned: PlanStep) -> bool:
    step = planned.step
    if isinstance(step, model.WaitStep):
        return isinstance(step.wait, _LOUD_WAITS)
    if isinstance(step, model.EndStep):
        return any(outer.kind in ("parallel", "each") for outer in _around(planned))
    return (step is not None and step.on_failure == "ask") or getattr(step, "send_back_to", None) is not None


def _around(planned: PlanStep) -> list[PlanStep]:
    found = []
    outer = planned.parent
    while outer is not None:
        found.append(outer)
        outer = outer.parent
    return found


_STRIKES = frozenset({"timeout", "cancel"})


def has_to_be_tried(move: Move, branch: Path) -> bool:
    """Whether a move is one of *branch*, or strikes it from outside."""
    return is_within(move.path, branch) or (move.verb in _STRIKES and is_within(branch, move.path))
