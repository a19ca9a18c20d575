"""One file for each kind of block: how it begins, and how it goes on when a child ends."""

from __future__ import annotations

from collections.abc import Mapping

from towpath.core.blocks import choose, each, end, group, leaf, parallel, people, repeat, wait, workflow
from towpath.core.turn import Block

__all__ = ["BLOCKS"]

BLOCKS: Mapping[str, Block] = {
    "run": leaf,
    "uses": leaf,
    "approve": people,
    "task": people,
    "wait": wait,
    "steps": group,
    "parallel": parallel,
    "each": each,
    "choose": choose,
    "repeat": repeat,
    "workflow": workflow,
    "end": end,
}
