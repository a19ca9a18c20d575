"""How far each step of a definition has come in a run; the many instances of a step in a loop are told as one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from towpath.core.plan import ROOT_NUMBER
from towpath.core.run import Node, Run

State: TypeAlias = Literal[
    "pending", "running", "waiting", "asking", "succeeded", "failed", "skipped", "cancelled", "undone"
]
_OF_STATUS: Mapping[str, State] = {
    "open": "running",
    "performing": "running",
    "retrying": "waiting",
    "waiting": "waiting",
    "asking": "asking",
    "succeeded": "succeeded",
    "failed": "failed",
    "skipped": "skipped",
    "cancelled": "cancelled",
    "reset": "pending",
}
_WORST_FIRST: tuple[State, ...] = (
    "asking", "failed", "waiting", "running", "cancelled", "undone", "succeeded", "skipped", "pending"
)  # fmt: skip

_AS_TOLD: tuple[State, ...] = (
    "succeeded", "failed", "running", "waiting", "asking", "undone", "cancelled", "skipped", "pending"
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The state of one step, and how many of its instances are in which."""

    state: State = "pending"
    counts: Mapping[State, int]
    took_micros: int | None = None
    """How long it took, where it ended and has one instance."""

    @property
    def instances(self) -> int:
        """How many times the step has begun."""
        return sum(self.counts.values())


def progress_of(run: Run) -> dict[int, Progress]:
    """The progress of every step that has begun, by its number in the plan."""
    counts: dict[int, dict[State, int]] = {}
    last: dict[int, Node] = {}
    for node in run.nodes.values():
        if node.frame or node.plan == ROOT_NUMBER:
            continue
        states = counts.setdefault(node.plan, {})
        state = state_of(node)
        states[state] = states.get(state, 0) + 1
        last[node.plan] = node
    return {number: _progress(states, last[number]) for number, states in counts.items()}


def state_of(node: Node) -> State:
    """The state of one node."""
    return "undone" if node.undone and node.status == "succeeded" else _OF_STATUS[node.status]


def _progress(states: Mapping[State, int], node: Node) -> Progress:
    state = next(one for one in _WORST_FIRST if one in states)
    is_only = sum(states.values()) == 1
    took = node.ended_at - node.started_at if is_only and node.ended_at and node.started_at else None
    counts = {one: states[one] for one in _AS_TOLD if one in states}
    return Progress(state=state, counts=counts, took_micros=took)
