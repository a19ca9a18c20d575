"""`end`: ends the run, whatever else is open in it."""

from __future__ import annotations

from towpath.core import flow
from towpath.core.blocks.group import start_block
from towpath.core.plan import PlanStep
from towpath.core.run import ROOT, Node, Path
from towpath.core.turn import Turn
from towpath.definition import model


def enter(turn: Turn, planned: PlanStep, path: Path) -> None:
    """Says how the run ends and stops everything."""
    step = planned.step
    assert isinstance(step, model.EndStep)
    words = turn.plain(planned.texts["end"], path)
    start_block(turn, planned, path)
    ending = (step.end.status, _text(words["outcome"]), _text(words["message"]))
    flow.settle(turn, path, "succeeded")
    flow.stop(turn, ROOT, reason="ended", ending=ending)


def child_ended(turn: Turn, node: Node, child: Node) -> None:
    """An end has no children."""
    raise AssertionError(f"{node.path} has no child {child.path}")


def _text(value: object) -> str | None:
    return None if value is None else str(value)
