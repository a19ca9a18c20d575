"""An edition: everything that a project consists of, read at one moment and never changed afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from towpath.definition import loader, problems
from towpath.definition.actions import ActionCards
from towpath.definition.problems import Problem
from towpath.definition.project import ProjectFile
from towpath.definition.projects import PROJECT_FILE, Project
from towpath.errors import AuthorError
from towpath.steps.catalogue import Catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A version of a workflow that runs take."""

    loaded: loader.Loaded
    edited_by: str = ""
    """Who edited the file last."""
    commit: str = ""
    """The commit to which its runs belong; empty in a plain folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenFile:
    """A workflow file that does not load."""

    name: str
    """The workflow's, as far as the file tells; else the file's."""
    path: str
    """From the project's folder."""
    digest: str
    text: str
    problems: tuple[Problem, ...]
    """Errors and warnings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """A project as it is at one moment."""

    project: Project
    """Its folder, what towpath.yaml says, and what its workflows say of themselves."""
    catalogue: Catalogue
    workflows: Mapping[str, Ready]
    """What starts take, by name: of a file that does not load the version before."""
    broken: tuple[BrokenFile, ...] = ()
    """Files behind which an older version stands, or none."""
    problems: tuple[Problem, ...] = ()
    """What is wrong with towpath.yaml, where what it said before still holds, and with the project's own actions."""
    commit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one look at a folder found, whether it loads or not."""

    project: Project | None
    """None where towpath.yaml has errors."""
    catalogue: Catalogue
    workflows: Mapping[str, loader.Loaded]
    broken: tuple[BrokenFile, ...]
    problems: tuple[Problem, ...]
    """Of towpath.yaml and of the actions."""

    @property
    def digests(self) -> Mapping[str, str]:
        """Every workflow file by its name from the project's folder, with the digest of what it says."""
        loaded = {one.path: one.digest for one in self.workflows.values()}
        return loaded | {one.path: one.digest for one in self.broken}

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Everything because of which the folder as a whole does not load."""
        of_files = (problem for one in self.broken for problem in one.problems)
        return problems.errors_of((*self.problems, *of_files))


def read_folder(folder: Path) -> Reading:
    """Everything in a project's folder; never raises for what its files say."""
    file, found = read_project_file(folder)
    catalogue = Catalogue.load(folder)
    found = (*found, *action_problems(folder, catalogue))
    if file is None:
        return Reading(
            project=None,
            catalogue=catalogue,
            workflows=MappingProxyType({}),
            broken=(),
            problems=found,
        )
    project = Project(folder=folder, file=file, has_file=(folder / PROJECT_FILE).is_file(), problems=found)
    cards = catalogue.cards()
    workflows: dict[str, loader.Loaded] = {}
    broken: list[BrokenFile] = []
    for path in project.workflow_files():
        sort_in(check_file(path, project, cards), workflows, broken)
    return Reading(
        project=project, catalogue=catalogue, workflows=workflows, broken=tuple(broken), problems=found
    )


def read_project_file(folder: Path) -> tuple[ProjectFile | None, tuple[Problem, ...]]:
    """What towpath.yaml says, and everything that is wrong with it; None where it has errors."""
    path = folder / PROJECT_FILE
    if not path.is_file():
        return ProjectFile(), ()
    file, found = loader.check_project(path, path=PROJECT_FILE)
    return (None if problems.errors_of(found) else file), found


def action_problems(folder: Path, catalogue: Catalogue) -> tuple[Problem, ...]:
    """What is wrong with the project's own actions; `catalogue` names the file in its message."""
    return tuple(_as_problem(folder, error) for error in catalogue.problems)


def check_file(path: Path, project: Project, cards: ActionCards) -> loader.Loaded | BrokenFile:
    """One workflow file: what it says, or why it cannot be used."""
    checked = loader.check_workflow(path, path=shown(project.folder, path), project=project, cards=cards)
    if checked.workflow is not None and not problems.errors_of(checked.problems):
        return loader.Loaded(
            workflow=checked.workflow,
            digest=checked.digest,
            path=checked.path,
            source=checked.source,
            problems=checked.problems,
        )
    name = checked.workflow.name if checked.workflow is not None else ""
    return BrokenFile(
        name=name or path.stem,
        path=checked.path,
        digest=checked.digest,
        text=checked.source.text,
        problems=checked.problems,
    )


def sort_in(
    one: loader.Loaded | BrokenFile, workflows: dict[str, loader.Loaded], broken: list[BrokenFile]
) -> None:
    """Puts a file where it belongs; of several with one name the first counts."""
    if isinstance(one, BrokenFile):
        broken.append(one)
    else:
        workflows.setdefault(one.workflow.name, one)


def shown(folder: Path, path: Path) -> str:
    """A file's name from the project's folder."""
    try:
        return path.relative_to(folder).as_posix()
    except ValueError:
        return str(path)


def reload_text(text: str, path: str) -> loader.Loaded | None:
    """A version that was taken once, from its text; it is not judged again."""
    checked = loader.check_workflow(text, path=path)
    if checked.workflow is None:
        return None
    return loader.Loaded(
        workflow=checked.workflow,
        digest=checked.digest,
        path=path,
        source=checked.source,
        problems=checked.problems,
    )


def _as_problem(folder: Path, error: AuthorError) -> Problem:
    """An action's mistake as a problem of a file: the message begins with `file:line:column`."""
    text = error.message.replace(f"{folder}/", "")
    path, _, rest = text.partition(":")
    line, _, message = rest.partition(": ")
    number = line.partition(":")[0]
    if not message or not number.isdecimal():
        return problems.make_problem("bad-action", text, path="actions", help=error.help)
    return problems.make_problem("bad-action", message, path=path, line=int(number), help=error.help)
