"""What a rehearsal finds out, as values: one forecast for each step, in a tree like the steps themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias

from towpath.core.run import Json
from towpath.steps.contract import Change

Happens: TypeAlias = Literal["yes", "perhaps", "no"]
"""Whether a step would run: `perhaps` where that depends on what only the run will know."""
Effect: TypeAlias = Literal[
    "changes", "nothing", "done", "unknown", "fails", "people", "waits", "ends", "inside"
]
"""What a step would do: known changes; nothing; it is done already; nobody can tell; fail as things are now; ask people; wait; end the
run; or only what the steps inside it do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What one step would do, and the steps inside it."""

    path: str
    """Where it would stand in the run: `fleet[web1]/install`."""
    name: str
    """What people call it."""
    kind: str
    """The kind of the step; or `branch`, `item`, `handler`, `gate` and `more` for what stands between steps."""
    does: str = ""
    """The action, or the workflow, that it calls."""
    happens: Happens = "yes"
    effect: Effect = "inside"
    title: str = ""
    says: tuple[str, ...] = ()
    """What was found out, in words."""
    changes: tuple[Change, ...] = ()
    detail: str = ""
    """What a tool printed about its changes, over several lines."""
    script: str = ""
    values: Mapping[str, Json] = field(default_factory=lambda: MappingProxyType({}))
    """What it would get (`with`, `env`, `stdin`, …); what is not known yet stands as it was written, secrets are named."""
    later: tuple[str, ...] = ()
    """The names in its values that only the run will know."""
    undone_by: tuple[str, ...] = ()
    inside: tuple[Forecast, ...] = ()

    def renamed(self, old: str, new: str) -> Forecast:
        """The same with one text in place of another: a folder that is there for the rehearsal only has no name."""
        return dataclasses.replace(
            self,
            says=tuple(one.replace(old, new) for one in self.says),
            changes=tuple(
                dataclasses.replace(
                    one, target=one.target.replace(old, new), detail=one.detail.replace(old, new)
                )
                for one in self.changes
            ),
            detail=self.detail.replace(old, new),
            values={name: _renamed(value, old, new) for name, value in self.values.items()},
            inside=tuple(one.renamed(old, new) for one in self.inside),
        )

    def expected(self) -> Iterator[Forecast]:
        """The forecast itself, and all that are inside, but for what would not happen, or only after a failure."""
        if self.happens == "no" or (self.kind == "handler" and self.name != "finally"):
            return
        yield self
        for one in self.inside:
            yield from one.expected()

    def all(self) -> Iterator[Forecast]:
        """The forecast itself, and all that are inside."""
        yield self
        for one in self.inside:
            yield from one.all()


def _renamed(value: Json, old: str, new: str) -> Json:
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, Mapping):
        return {key: _renamed(inner, old, new) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(inner, old, new) for inner in value]
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsedRun:
    """A run, or the rest of one, as its rehearsal foresees it."""

    workflow: str
    definition: str
    """The digest of the file."""
    inputs: Mapping[str, Json]
    steps: tuple[Forecast, ...]
    environment: str = ""
    """The environment of the whole run, as far as it is known."""
    is_static: bool = False
    """Whether nothing outside of the file was looked at."""

    def all(self) -> Iterator[Forecast]:
        """Every forecast, outer ones before inner ones."""
        for one in self.steps:
            yield from one.all()

    @property
    def changes(self) -> int:
        """How many changes are foreseen."""
        return sum(max(1, len(one.changes)) for one in self._with("changes"))

    @property
    def unforeseen(self) -> int:
        """How many steps would do something that nobody can foresee."""
        return len(self._with("unknown"))

    @property
    def failing(self) -> int:
        """How many steps would fail as things are now."""
        return len(self._with("fails"))

    @property
    def changes_nothing(self) -> bool:
        """Whether it is certain that nothing would change: no change is foreseen, and none can come unforeseen."""
        return not (self.changes or self.unforeseen or self.failing)

    @property
    def asking(self) -> int:
        """How many times people would be asked."""
        return len(self._with("people"))

    def _with(self, effect: Effect) -> list[Forecast]:
        """The forecasts of an effect, but for those of steps that run only when something fails."""
        found = [one for outer in self.steps for one in outer.expected()]
        return [one for one in found if one.effect == effect]
