"""Files in; a workflow or a project out, or every problem at once.

A file goes through three gates: the text (`source`), the shape (`shape`) and the static checks (`checks`).
What fails at one gate is told and cut out, and the rest goes on to the next, so one reading tells everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from towpath.definition import checks, model, projects, shape, source
from towpath.definition.actions import ActionCards
from towpath.definition.problems import (
    PROBLEMS_MAX,
    DefinitionProblems,
    Problem,
    errors_of,
    in_order,
    make_problem,
)
from towpath.definition.project import ProjectFile
from towpath.definition.projects import PROJECT_FILE, Project, find_project_folder, workflow_files

__all__ = [
    "Checked",
    "Loaded",
    "Project",
    "check_project",
    "check_workflow",
    "find_project_folder",
    "load_project",
    "load_workflow",
    "workflow_files",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A workflow that may run."""

    workflow: model.Workflow
    digest: str
    """SHA-256 of the file's bytes, as hexadecimal digits."""
    path: str
    source: source.Source
    problems: tuple[Problem, ...]
    """Warnings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What there is to say about a file, whether it may run or not."""

    workflow: model.Workflow | None
    """The sound part; the whole when there are no errors."""
    digest: str
    path: str
    source: source.Source
    problems: tuple[Problem, ...]


def load_workflow(
    content: Path | str | bytes,
    *,
    path: str | None = None,
    project: Project | None = None,
    cards: ActionCards | None = None,
) -> Loaded:
    """The workflow in a file (a `Path`) or a text; raises DefinitionProblems with every problem.

    Args:
        content: a file, or the text itself.
        path: what problems call the file.
        project: whose people, calendars, environments and other workflows may be named; not checked without.
        cards: the actions that exist; not checked without.

    """
    checked = check_workflow(content, path=path, project=project, cards=cards)
    if checked.workflow is None or errors_of(checked.problems):
        raise DefinitionProblems(checked.problems)
    return Loaded(
        workflow=checked.workflow,
        digest=checked.digest,
        path=checked.path,
        source=checked.source,
        problems=checked.problems,
    )


def check_workflow(
    content: Path | str | bytes,
    *,
    path: str | None = None,
    project: Project | None = None,
    cards: ActionCards | None = None,
) -> Checked:
    """Everything that there is to say about a workflow file; never raises for what the file says."""
    text = _read(content, path)
    workflow = None
    problems = list(text.problems)
    if text.root is not None:
        shaped = shape.shape(model.Workflow, text)
        workflow = shaped.value
        problems.extend(shaped.problems)
        problems.extend(checks.check(text, shaped, project=project, cards=cards))
    return Checked(
        workflow=workflow,
        digest=text.digest,
        path=text.path,
        source=text,
        problems=_bounded(problems, text.path),
    )


def load_project(folder: Path) -> Project:
    """The project in *folder*; raises DefinitionProblems with every problem of its file."""
    file = folder / PROJECT_FILE
    if not file.is_file():
        return Project(folder=folder, file=ProjectFile(), has_file=False)
    value, problems = check_project(file)
    if value is None or errors_of(problems):
        raise DefinitionProblems(problems)
    return Project(folder=folder, file=value, has_file=True, problems=problems)


def check_project(
    content: Path | str | bytes, *, path: str | None = None
) -> tuple[ProjectFile | None, tuple[Problem, ...]]:
    """The sound part of a project's file, and everything that there is to say about it."""
    text = _read(content, path or (str(content) if isinstance(content, Path) else PROJECT_FILE))
    if text.root is None:
        if text.is_empty:
            return ProjectFile(), ()
        return None, _bounded(text.problems, text.path)
    shaped = shape.shape(ProjectFile, text)
    problems = [*text.problems, *shaped.problems, *checks.check_project(text, shaped)]
    return shaped.value, _bounded(problems, text.path)


def _read(content: Path | str | bytes, path: str | None) -> source.Source:
    if isinstance(content, Path):
        return projects.read_file(content, path=path)
    return source.read_source(content, path=path or "workflow")


def _bounded(problems: Sequence[Problem], path: str) -> tuple[Problem, ...]:
    ordered = in_order(problems)
    if len(ordered) <= PROBLEMS_MAX:
        return ordered
    more = make_problem(
        "more-problems",
        f"there are more problems than these {PROBLEMS_MAX}",
        path=path,
        help="mend these first",
    )
    return (*ordered[:PROBLEMS_MAX], more)
