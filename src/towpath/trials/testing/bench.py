"""What is tested, read once for all tests: the project, its workflows laid out, and its actions' cards."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from towpath.core.plan import Plan
from towpath.core.run import Json
from towpath.definition import loader, model
from towpath.definition.actions import ActionCard
from towpath.definition.projects import Project
from towpath.errors import NotFound, TowpathError
from towpath.steps.catalogue import Catalogue
from towpath.trials.testing import addresses

_NUMBERS = re.compile(r"\b(?:int|uint|double)\(\s*(?:[\w.]+\.)?outputs\.(\w+)")
"""Outputs of scripts, which are text, where an expression reads them as numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One workflow, ready to be played."""

    workflow: model.Workflow
    digest: str
    path: str
    text: str
    plan: Plan
    addresses: frozenset[str]
    """What an address in it may be."""
    numbers: frozenset[str] = field(repr=False)
    """Outputs that expressions turn into numbers."""


class Bench:
    """A project with everything that a test needs of it."""

    def __init__(self, project: Project, catalogue: Catalogue) -> None:
        self.project = project
        self.catalogue = catalogue
        self._pieces: dict[str, Piece] = {}
        self._cards: dict[str, ActionCard | None] = {}

    @classmethod
    def of(cls, folder: Path) -> Bench:
        """The bench for the project in *folder*; raises DefinitionProblems where its own file has errors."""
        return cls(loader.load_project(folder), Catalogue.load(folder))

    def piece(self, name: str) -> Piece:
        """The workflow of this name; raises NotFound, or DefinitionProblems where it does not load."""
        if name not in self._pieces:
            path = self.project.find_workflow(name)
            if path is None:
                raise NotFound(f"the project has no workflow {name!r}")
            loaded = loader.load_workflow(
                path, path=_shown(path), project=self.project, cards=self.catalogue.cards()
            )
            self._pieces[name] = self.lay_out(
                loaded.workflow, digest=loaded.digest, path=loaded.path, text=loaded.source.text
            )
        return self._pieces[name]

    def put(self, name: str, piece: Piece) -> None:
        """From now on a workflow is this one, whether or not the project has a file for it."""
        self._pieces[name] = piece

    def lay_out(self, workflow: model.Workflow, *, digest: str, path: str, text: str) -> Piece:
        """A workflow, ready to be played."""
        plan = Plan(workflow, digest, repeatable=self._is_repeatable)
        return Piece(
            workflow=workflow,
            digest=digest,
            path=path,
            text=text,
            plan=plan,
            addresses=addresses.names(plan),
            numbers=frozenset(_NUMBERS.findall(text)),
        )

    def card(self, action: str) -> ActionCard | None:
        """What an action promises; None where it cannot be loaded here."""
        if action not in self._cards:
            try:
                self._cards[action] = self.catalogue.card(action)
            except TowpathError:
                self._cards[action] = None
        return self._cards[action]

    def _is_repeatable(self, action: str, with_: Mapping[str, Json]) -> bool:
        """Whether an action may be performed twice with these inputs."""
        try:
            return self.catalogue.get(action).idempotent_with(with_)
        except TowpathError:
            return False


def _shown(path: Path) -> str:
    """A path as people would type it from here."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
