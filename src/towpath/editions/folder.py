"""A plain folder, looked at again and again: what has not changed is not read twice.

A file is taken to be the same as long as its times, its size and its place on the disk are. When a workflow changed, the others are
checked again only if it changed what others may know of it; when towpath.yaml or an action changed, all are.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from towpath.definition import loader, projects
from towpath.definition.problems import Problem, make_problem
from towpath.definition.project import ProjectFile
from towpath.definition.projects import PROJECT_FILE, Head, Project
from towpath.editions import edition
from towpath.editions.edition import BrokenFile, Reading
from towpath.steps.catalogue import Catalogue
from towpath.store.folder import FILE_MODE, FOLDER_MODE

Stamp = tuple[int, int, int, int]
"""By which a change is noticed: when it was written, when it was changed otherwise, how long it is, which file it is."""
Stamps = dict[Path, Stamp]
ACTIONS_FOLDER = "actions"
_LOG = logging.getLogger("towpath.project")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    """Everything by which workflows are judged."""

    file: ProjectFile
    has_file: bool
    catalogue: Catalogue
    heads: dict[Path, Head | None]
    problems: tuple[Problem, ...]


class LiveFolder:
    """A project's folder; call `look` to know what it holds now. Used by one thread at a time."""

    def __init__(self, folder: Path, *, kept: Path) -> None:
        """*kept* is where towpath.yaml is kept as it was when it had no errors last: a restart falls back on it too."""
        self.folder = folder
        self._kept = kept
        self._stamps: Stamps | None = None
        self._context: _Context | None = None
        self._file: ProjectFile | None = None
        """What towpath.yaml said when it had no errors last."""
        self._heads: dict[Path, tuple[Stamp, Head | None]] = {}
        self._checked: dict[Path, tuple[Stamp, loader.Loaded | BrokenFile]] = {}

    def look(self) -> Reading | None:
        """What the folder holds; None where it is what it was."""
        stamps = self._look()
        if stamps == self._stamps:
            return None
        before, self._stamps = self._stamps, stamps
        context = self._context_of(stamps, before or {})
        if context is None:
            found = edition.read_project_file(self.folder)[1]
            return Reading(
                project=None, catalogue=Catalogue.load(self.folder), workflows={}, broken=(), problems=found
            )
        return self._read(stamps, context)

    def _look(self) -> Stamps:
        actions = self.folder / ACTIONS_FOLDER
        files = (
            self.folder / PROJECT_FILE,
            *(sorted(actions.glob("*.py")) if actions.is_dir() else ()),
            *projects.workflow_files(self.folder),
        )
        found = {file: _stamp(file) for file in files}
        return {file: stamp for file, stamp in found.items() if stamp is not None}

    def _context_of(self, stamps: Stamps, before: Stamps) -> _Context | None:
        """What workflows are judged by; the same object as long as nothing of it changed."""
        known = self._context
        heads = self._heads_of(stamps)
        is_same_file = stamps.get(self.folder / PROJECT_FILE) == before.get(self.folder / PROJECT_FILE)
        are_same_actions = _actions(stamps) == _actions(before)
        if known is not None and is_same_file and are_same_actions and heads == known.heads:
            return known
        held = self._file
        file, found = self._project_file(stamps)
        if file is None:
            return None
        self._file = file
        catalogue = known.catalogue if known is not None and are_same_actions else Catalogue.load(self.folder)
        self._checked.clear()
        self._context = _Context(
            file=file,
            has_file=self.folder / PROJECT_FILE in stamps or file is held,
            catalogue=catalogue,
            heads=heads,
            problems=(*found, *edition.action_problems(self.folder, catalogue)),
        )
        return self._context

    def _project_file(self, stamps: Stamps) -> tuple[ProjectFile | None, tuple[Problem, ...]]:
        """What towpath.yaml says, or said when it had no errors last, and what is wrong with it."""
        path = self.folder / PROJECT_FILE
        if (
            path not in stamps
            and self._file is not None
            and self._context is not None
            and self._context.has_file
        ):
            gone = make_problem(
                "unreadable", "the file is gone: what it said before holds", path=PROJECT_FILE
            )
            return self._before(), (gone,)
        file, found = edition.read_project_file(self.folder)
        if file is None:
            return self._before(), found
        if path in stamps:
            _keep(path, self._kept)
        return file, found

    def _before(self) -> ProjectFile | None:
        if self._file is not None or not self._kept.is_file():
            return self._file
        return loader.check_project(self._kept, path=PROJECT_FILE)[0]

    def _heads_of(self, stamps: Stamps) -> dict[Path, Head | None]:
        workflows = {file: stamp for file, stamp in stamps.items() if not _is_of_project(file, self.folder)}
        self._heads = {
            file: known
            if (known := self._heads.get(file)) is not None and known[0] == stamp
            else (stamp, projects.read_head(file))
            for file, stamp in workflows.items()
        }
        return {file: head for file, (_, head) in self._heads.items()}

    def _read(self, stamps: Stamps, context: _Context) -> Reading:
        project = Project(
            folder=self.folder,
            file=context.file,
            has_file=context.has_file,
            problems=context.problems,
            _heads=projects.heads_by_name(context.heads.values()),
        )
        cards = context.catalogue.cards()
        workflows: dict[str, loader.Loaded] = {}
        broken: list[BrokenFile] = []
        for file in context.heads:
            known = self._checked.get(file)
            if known is None or known[0] != stamps[file]:
                known = self._checked[file] = (stamps[file], edition.check_file(file, project, cards))
            edition.sort_in(known[1], workflows, broken)
        self._checked = {file: self._checked[file] for file in context.heads}
        return Reading(
            project=project,
            catalogue=context.catalogue,
            workflows=workflows,
            broken=tuple(broken),
            problems=context.problems,
        )


def _stamp(file: Path) -> Stamp | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _is_of_project(file: Path, folder: Path) -> bool:
    """Whether a file is the project's own or an action, and no workflow."""
    return file == folder / PROJECT_FILE or file.suffix == ".py"


def _keep(file: Path, kept: Path) -> None:
    """Keeps a copy of a file; where that cannot be, the file itself is all there is."""
    fresh = kept.with_suffix(".part")
    try:
        text = file.read_bytes()
        if kept.is_file() and kept.read_bytes() == text:
            return
        kept.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        fresh.touch(mode=FILE_MODE)
        fresh.write_bytes(text)
        fresh.replace(kept)
    except OSError as error:
        _LOG.warning("project.not_kept: %s", error)


def _actions(stamps: Stamps) -> Stamps:
    return {file: stamp for file, stamp in stamps.items() if file.suffix == ".py"}
