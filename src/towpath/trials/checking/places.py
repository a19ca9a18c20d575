"""Where the steps of a plan stand in their file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from towpath.core.plan import Plan
from towpath.definition import model
from towpath.definition.source import DataPath, PathKey, Source, Table
from towpath.trials.checking.sources import Owner


class Spot(NamedTuple):
    """A place in the file."""

    line: int
    column: int
    excerpt: str


NOWHERE = Spot(0, 0, "")
"""What does not stand in the file."""


class Places:
    """Finds the lines of steps and of their keys."""

    def __init__(self, plan: Plan, source: Source) -> None:
        self._source = source
        self._paths = tuple(self._walk(plan.workflow, ()))

    def of(self, owner: Owner, *keys: PathKey) -> Spot:
        """Where a key of a step stands, or of the workflow; the step itself where the key is not written out."""
        path: DataPath = () if owner is None or owner < 0 else self._paths[owner]
        start, _ = self._source.key_span((*path, *keys))
        line, column = self._source.line_and_column(start)
        return Spot(line, column, self._source.line_text(line))

    def value(self, owner: Owner, *keys: PathKey) -> Spot:
        """Where the value of a key stands."""
        path: DataPath = () if owner is None or owner < 0 else self._paths[owner]
        start, _ = self._source.value_span((*path, *keys))
        line, column = self._source.line_and_column(start)
        return Spot(line, column, self._source.line_text(line))

    def _walk(self, part: model.Workflow | model.Step, path: DataPath) -> Iterator[DataPath]:
        """The ways to the steps, in the order in which a plan numbers them."""
        for slot, steps in part.children():
            below: DataPath = (*path, *(int(word) if word.isdigit() else word for word in slot.split("/")))
            # A single rollback step may stand where a list may: it has no position of its own.
            is_single = slot == "rollback" and isinstance(self._source.find(below)[0], Table)
            for index, step in enumerate(steps):
                here = below if is_single else (*below, index)
                yield here
                yield from self._walk(step, here)
