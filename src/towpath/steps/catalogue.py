"""Every action by name: those that come with Towpath, those of installed packages, and those of the project.

Knowing the names loads nothing. The built-in actions stand in a table; those of packages are entry points
of the group `towpath.actions` (`"aws.deploy_stack" = "towpath_aws.stacks:deploy"`), looked up only when a
name is in neither of the other places; those of the project are read as text. An action is imported when
its card or itself is asked for.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from towpath.definition.actions import ActionCard, ActionCards
from towpath.errors import AuthorError, NotFound, Refused
from towpath.steps.contract import Action

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from towpath.steps.python_worker.local import LocalAction, LocalActions

__all__ = ["BUILT_IN", "ENTRY_POINT_GROUP", "Catalogue"]

ENTRY_POINT_GROUP: Final = "towpath.actions"

_FILES: Final = "towpath.steps.builtin.files"
BUILT_IN: Final[Mapping[str, str]] = {
    "file.archive": f"{_FILES}.archives:archive",
    "file.checksum": f"{_FILES}.content:checksum",
    "file.copy": f"{_FILES}.tree:copy",
    "file.extract": f"{_FILES}.archives:extract",
    "file.find": f"{_FILES}.content:find",
    "file.make_folder": f"{_FILES}.tree:make_folder",
    "file.move": f"{_FILES}.tree:move",
    "file.read": f"{_FILES}.content:read",
    "file.remove": f"{_FILES}.tree:remove",
    "file.stat": f"{_FILES}.content:state",
    "file.symlink": f"{_FILES}.tree:symlink",
    "file.template": f"{_FILES}.content:template",
    "file.write": f"{_FILES}.content:write",
    "git.clone": "towpath.steps.builtin.git:clone",
    "http.request": "towpath.steps.builtin.http:request",
    "log": "towpath.steps.builtin.log:log",
    "python.call": "towpath.steps.python_worker.calls:PythonCall",
    "towpath.rehearse": "towpath.steps.builtin.rehearse:rehearse",
}
"""Where each built-in action stands."""


class Catalogue:
    """The actions that one project can use; made anew when its files change."""

    def __init__(self, project: Path | None = None, *, python: Path | None = None) -> None:
        self._project = project
        self._python = python
        self._found: dict[str, Action] = {}

    @classmethod
    def load(cls, project: Path | None = None, *, python: Path | None = None) -> Catalogue:
        """The catalogue of a project, or of what is installed; *python* runs the project's functions."""
        return cls(project, python=python)

    @property
    def problems(self) -> tuple[AuthorError, ...]:
        """What is wrong with the project's own actions."""
        taken = [
            AuthorError(
                f"{local.card.source}:{local.line}: {name} is the name of an action of {self._origin(name)}.",
                help='Rename the function, or give it a name with `@action("namespace.verb")`.',
            )
            for name, local in self._local_actions.items()
            if self._is_taken(name)
        ]
        return (*(self._local.problems if self._local else ()), *taken)

    def names(self) -> tuple[str, ...]:
        """Every name, sorted; imports no action."""
        return tuple(sorted({*BUILT_IN, *self._entry_points, *self._local_actions}))

    def __contains__(self, name: object) -> bool:
        """Whether there is such an action; imports none."""
        return name in BUILT_IN or name in self._local_actions or name in self._entry_points

    def get(self, name: str) -> Action:
        """The action of this name; raises NotFound, or Refused when its package cannot be loaded."""
        if (known := self._found.get(name)) is None:
            known = self._found[name] = self._load(name)
        return known

    def card(self, name: str) -> ActionCard:
        """What the action promises; raises like `get`."""
        card = self.get(name).card
        if name in self._entry_points and card.source == "built-in":
            import dataclasses

            return dataclasses.replace(card, source=self._origin(name))
        return card

    def cards(self) -> ActionCards:
        """Every card by name; each is made when it is read."""
        return _Cards(self)

    def describe(self, name: str) -> dict[str, Any]:
        """Everything about an action as plain JSON, its inputs and outputs as JSON Schema."""
        card = self.card(name)
        properties = {
            key: {**one.schema, **({"description": one.description} if one.description else {})}
            for key, one in card.inputs.items()
        }
        return {
            "name": card.name,
            "summary": card.summary,
            "inputs": {
                "type": "object",
                "properties": properties,
                "required": [key for key, one in card.inputs.items() if one.required],
                "additionalProperties": card.open_inputs,
            },
            "outputs": None if card.outputs is None else {"type": "object", "properties": dict(card.outputs)},
            "secrets": [key for key, one in card.inputs.items() if one.secret_allowed],
            "idempotent": card.idempotent,
            "can_rehearse": card.can_rehearse,
            "effects": card.effects,
            "extras": list(card.extras),
            "binaries": list(card.binaries),
            "source": card.source,
        }

    @functools.cached_property
    def _local(self) -> LocalActions | None:
        if self._project is None or not (self._project / "actions").is_dir():
            return None
        from towpath.steps.python_worker import read_local_actions

        return read_local_actions(self._project, python=self._python)

    @property
    def _local_actions(self) -> Mapping[str, LocalAction]:
        return self._local.actions if self._local else {}

    @functools.cached_property
    def _entry_points(self) -> Mapping[str, EntryPoint]:
        from importlib import metadata

        return {point.name: point for point in metadata.entry_points(group=ENTRY_POINT_GROUP)}

    def _is_taken(self, name: str) -> bool:
        return name in BUILT_IN or name in self._entry_points

    def _origin(self, name: str) -> str:
        if name in BUILT_IN:
            return "Towpath"
        point = self._entry_points[name]
        return f"package {point.dist.name if point.dist else point.module}"

    def _load(self, name: str) -> Action:
        if place := BUILT_IN.get(name):
            found = _import(place)
            made: Action = found(self._project, python=self._python) if isinstance(found, type) else found
            return made
        if local := self._local_actions.get(name):
            if name in self._entry_points:
                raise Refused(f"The action {name} is both in the project and of {self._origin(name)}.")
            return local
        if point := self._entry_points.get(name):
            return self._load_point(name, point)
        raise self._not_found(name)

    def _load_point(self, name: str, point: EntryPoint) -> Action:
        try:
            found = point.load()
        except Exception as error:
            # The edge to a stranger's package: whatever its import raises costs only this action.
            raise Refused(
                f"{name} of {self._origin(name)} cannot be loaded: {type(error).__name__}: {error}.",
                help=f"Is what it needs installed? {point.value}",
            ) from error
        if not isinstance(found, Action):
            raise Refused(f"{point.value} is no action.")
        if found.card.name != name:
            raise Refused(f"{point.value} is called {found.card.name}, not {name}.")
        return found

    def _not_found(self, name: str) -> NotFound:
        import difflib

        near = difflib.get_close_matches(name, self.names(), n=1)
        hint = f"Did you mean `{near[0]}`?" if near else "`tow actions` lists them."
        return NotFound(f"There is no action {name}.", help=hint)


class _Cards(Mapping[str, ActionCard]):
    """The cards as a mapping that reads each on first use."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def __getitem__(self, name: str) -> ActionCard:
        if name not in self._catalogue:
            raise KeyError(name)
        return self._catalogue.card(name)

    def __contains__(self, name: object) -> bool:
        return name in self._catalogue

    def __iter__(self) -> Iterator[str]:
        return iter(self._catalogue.names())

    def __len__(self) -> int:
        return len(self._catalogue.names())


def _import(place: str) -> Any:  # noqa: ANN401 - an action, or a class that makes one
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)
