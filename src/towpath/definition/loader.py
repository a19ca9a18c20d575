"""Files in; a workflow or a project out, or every problem at once.

A file goes through four gates: the text (`source`), the shape (`shape`), the triggers, and the static checks (`checks`). What fails at one gate is told
and cut out, and the rest goes on to the next, so one reading tells everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from towpath.definition import checks, model, shape, source
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

PROJECT_FILE = "towpath.yaml"
WORKFLOW_FOLDER = "workflows"
WORKFLOW_SUFFIXES = (".yaml", ".yml")
WORKFLOW_FILES_MAX = 5_000
"""Workflow files in one project."""
NO_CARDS: ActionCards = MappingProxyType({})


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
        path: what the file is called in problems, where it is a text.
        project: whose people, calendars, environments and other workflows may be named; nothing of them is checked without it.
        cards: the actions that exist; nothing of them is checked without it.
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
    if text.root is None:
        return Checked(
            workflow=None,
            digest=text.digest,
            path=text.path,
            source=text,
            problems=_bounded(text.problems, text.path),
        )
    shaped = shape.shape(model.Workflow, text)
    problems = [*text.problems, *shaped.problems]
    if shaped.value is not None:
        problems.extend(checks.check(shaped.value, text, shaped, project=project, cards=cards))
    return Checked(
        workflow=shaped.value,
        digest=text.digest,
        path=text.path,
        source=text,
        problems=_bounded(problems, text.path),
    )


def _read(content: Path | str | bytes, path: str | None) -> source.Source:
    if not isinstance(content, Path):
        return source.read_source(content, path=path or "workflow")
    name = path or str(content)
    try:
        raw = source.read_bytes(content)
    except OSError as error:
        unread = source.Source(path=name, text="", digest="", line_starts=[0])
        unread.problems.append(
            make_problem(
                "unreadable",
                f"the file cannot be read: {(error.strerror or str(error)).lower()}",
                path=name,
                help="check its name and its permissions",
            )
        )
        return unread
    return source.read_source(raw, path=name)


def _bounded(problems: list[Problem], path: str) -> tuple[Problem, ...]:
    ordered = in_order(problems)
    if len(ordered) <= PROBLEMS_MAX:
        return ordered
    more = make_problem(
        "more-problems",
        f"{len(ordered) - PROBLEMS_MAX:,} more problems are not told",
        path=path,
        help="mend these first",
    )
    return (*ordered[:PROBLEMS_MAX], more)


# --- projects ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class Project:
    """A folder with its towpath.yaml and its workflows."""

    folder: Path
    file: ProjectFile
    has_file: bool
    """Whether there is a towpath.yaml; without one, nothing is known about people or environments."""
    problems: tuple[Problem, ...] = ()
    """Warnings about the project's file."""
    _heads: Mapping[str, tuple[Head, ...]] | None = field(default=None, repr=False)

    def workflow_files(self) -> tuple[Path, ...]:
        """The project's workflow files, in the order of their names."""
        return workflow_files(self.folder)

    @property
    def workflows(self) -> Mapping[str, Head]:
        """What other files may know about each workflow: the first file of each name."""
        return {name: heads[0] for name, heads in self.heads().items()}

    def heads(self) -> Mapping[str, tuple[Head, ...]]:
        """Every workflow by name; more than one where files share a name."""
        if self._heads is None:
            self._heads = _read_heads(self.workflow_files())
        return self._heads

    def find_workflow(self, name: str) -> Path | None:
        """The file of the workflow called *name*."""
        head = self.workflows.get(name)
        return head.path if head is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What other workflows may know about one: its inputs, its outputs and whom it calls."""

    name: str
    path: Path
    inputs: Mapping[str, model.Input]
    outputs: tuple[str, ...]
    calls: tuple[str, ...]


def find_project_folder(start: Path) -> Path:
    """The nearest folder upwards with a towpath.yaml, or *start* itself (its folder, when it is a file)."""
    here = start.absolute()
    folder = here if here.is_dir() else here.parent
    for candidate in (folder, *folder.parents):
        if (candidate / PROJECT_FILE).is_file():
            return candidate
    return folder


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
    """Everything that there is to say about a project's file, and its sound part."""
    text = _read(content, path or (str(content) if isinstance(content, Path) else PROJECT_FILE))
    if text.root is None:
        if any(p.name == "not-a-mapping" and "empty" in p.message for p in text.problems):
            return ProjectFile(), ()
        return None, _bounded(text.problems, text.path)
    shaped = shape.shape(ProjectFile, text)
    problems = [*text.problems, *shaped.problems]
    if shaped.value is not None:
        problems.extend(checks.check_project(shaped.value, text, shaped))
    return shaped.value, _bounded(problems, text.path)


def workflow_files(folder: Path) -> tuple[Path, ...]:
    """The workflow files of a project's folder, in the order of their names."""
    found = sorted(
        file
        for file in (folder / WORKFLOW_FOLDER).glob("**/*")
        if file.suffix in WORKFLOW_SUFFIXES and file.is_file()
    )
    return tuple(found[:WORKFLOW_FILES_MAX])


def _read_heads(files: tuple[Path, ...]) -> Mapping[str, tuple[Head, ...]]:
    heads: dict[str, tuple[Head, ...]] = {}
    for file in files:
        text = _read(file, None)
        shaped = shape.shape(model.Workflow, text) if text.root is not None else None
        if shaped is None or shaped.value is None or ("name",) in shaped.cut:
            continue  # `tow lint` tells about it; others can neither call it nor be called by it
        workflow = shaped.value
        head = Head(
            name=workflow.name,
            path=file,
            inputs=workflow.inputs,
            outputs=tuple(workflow.outputs),
            calls=tuple(dict.fromkeys(_calls(workflow))),
        )
        heads[head.name] = (*heads.get(head.name, ()), head)
    return heads


def _calls(part: model.Workflow | model.Step) -> list[str]:
    found = [part.workflow] if isinstance(part, model.WorkflowStep) else []
    for _, steps in part.children():
        for step in steps:
            found.extend(_calls(step))
    return found
