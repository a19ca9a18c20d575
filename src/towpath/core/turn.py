"""One decision in the making: the facts so far, the run after them, and what is still to be followed up.

A rule emits events and schedules follow-ups; the loop in `decide` works them off until nothing is left to say. So a chain of
ten thousand skipped steps costs no stack, and every rule sees the run as its predecessors left it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Literal, Protocol, TypeAlias

from towpath.core import values
from towpath.core.events import AnyEvent
from towpath.core.evolve import evolve
from towpath.core.names import names_for
from towpath.core.plan import PlanStep
from towpath.core.run import Error, Json, Micros, Node, Path, Run, SecretUse
from towpath.errors import ExpressionError

FollowUp: TypeAlias = tuple[Literal["advance", "child_ended"], Path, Path]


class Block(Protocol):
    """What one kind of step adds to the rules that all share."""

    def enter(self, turn: Turn, planned: PlanStep, path: Path) -> None:
        """Starts the step; may raise ExpressionError before it has started anything but the step itself."""

    def child_ended(self, turn: Turn, node: Node, child: Node) -> None:
        """Goes on after a child of the open block *node* ended."""


class Gates(Protocol):
    """The gates of protected environments, as `flow` needs them."""

    def holds(self, turn: Turn, planned: PlanStep, path: Path) -> bool:
        """Holds a step where its environment's gate is not open; whether it did."""

    def approved(self, turn: Turn, gate: Node) -> None:
        """Goes on after people let a run in."""

    def gate_ended(self, turn: Turn, gate: Node) -> None:
        """Goes on after a gate was decided."""


class Turn:
    """What a stimulus makes true, while it is being found out."""

    __slots__ = ("agenda", "at", "blocks", "facts", "gates", "run", "seed")

    def __init__(
        self, run: Run, *, at: Micros, blocks: Mapping[str, Block], gates: Gates, seed: int = 0
    ) -> None:
        self.gates = gates
        self.run = run
        self.blocks = blocks
        self.at = at
        self.seed = seed
        self.facts: list[AnyEvent] = []
        self.agenda: deque[FollowUp] = deque()

    def emit(self, event: AnyEvent) -> None:
        """Makes *event* true."""
        self.run = evolve(self.run, event)
        self.facts.append(event)

    def node(self, path: Path) -> Node:
        """The node at *path*, which exists."""
        return self.run.nodes[path]

    def planned(self, node: Node) -> PlanStep:
        """The static step of *node*."""
        step: PlanStep = self.run.plan[node.plan]
        return step

    def later_advance(self, path: Path) -> None:
        """Schedules the next step of the frame at *path*."""
        self.agenda.append(("advance", path, path))

    def later_child_ended(self, path: Path, child: Path) -> None:
        """Schedules telling the node at *path* that *child* ended."""
        self.agenda.append(("child_ended", path, child))

    def holds(self, condition: values.Condition, path: Path, extra: Mapping[str, Json] | None = None) -> bool:
        """Whether *condition* holds as seen from *path*; raises ExpressionError."""
        return condition.holds(names_for(self.run, path, condition.references, extra))

    def render(
        self, template: values.Template | None, path: Path, extra: Mapping[str, Json] | None = None
    ) -> tuple[Json, tuple[SecretUse, ...]]:
        """The value of *template* as seen from *path*, and its secrets; raises ExpressionError."""
        if template is None:
            return None, ()
        if template.is_constant:
            return template.constant, ()
        return template.render(names_for(self.run, path, template.references, extra))

    def plain(
        self, template: values.Template | None, path: Path, extra: Mapping[str, Json] | None = None
    ) -> Json:
        """The value of a template that may not hold secrets."""
        value, secrets = self.render(template, path, extra)
        if secrets:
            raise ExpressionError("a secret is not allowed here: only `with`, `env` and `stdin` take one")
        return value

    def stop_reason(self, path: Path) -> str | None:
        """Why the subtree that *path* stands in is being stopped: see `Run.stop_reason`."""
        return self.run.stop_reason(path) if self.run.stops else None


def error_from(problem: ExpressionError, path: Path) -> Error:
    """The error of a step whose expression could not be evaluated."""
    return Error(kind="invalid", message=problem.message, step=path)
