"""A folder of a project that does not change: that of a commit, or the one that a command began with; read when it is asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

from towpath.definition import loader
from towpath.definition.projects import Project
from towpath.editions import authors
from towpath.editions.keeper import Edited
from towpath.editions.sources import git_in
from towpath.errors import NotFound, TowpathError
from towpath.steps.catalogue import Catalogue


class Pinned:
    """One folder, as it is read the first time."""

    def __init__(self, folder: Path, *, commit: str = "", git: Callable[..., str] | None = None) -> None:
        """*git* asks the repository of the commit."""
        self.folder = folder
        self.commit = commit
        self._git = git

    @functools.cached_property
    def project(self) -> Project:
        """The project; raises DefinitionProblems where towpath.yaml has errors."""
        return loader.load_project(self.folder)

    @functools.cached_property
    def catalogue(self) -> Catalogue:
        """Every action that can be used."""
        return Catalogue.load(self.folder)

    def find(self, name: str) -> loader.Loaded:
        """A workflow by name; raises NotFound and DefinitionProblems."""
        path = self.project.find_workflow(name)
        if path is None:
            raise NotFound(f"there is no workflow {name!r} in commit {self.commit[:12]}")
        shown = self.shown(path)
        return loader.load_workflow(path, path=shown, project=self.project, cards=self.catalogue.cards())

    def shown(self, path: Path) -> str:
        """A file's name from the folder."""
        return path.absolute().relative_to(self.folder.absolute()).as_posix()

    def editor_of(self, path: str) -> str:
        """Who edited a file last; empty where nobody knows."""
        return self.edited(path).author

    def edited(self, path: str) -> Edited:
        """Who edited a file last, when, and why."""
        if self._git is None:
            return authors.of_folder(functools.partial(git_in, self.folder), self.folder, [path])[path]
        try:
            return authors.of_commit(self._git, self.commit, [path])[path]
        except TowpathError:
            return Edited()
