"""A project as the checks see it: a folder with its towpath.yaml and what its workflows say of themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from towpath.definition import model, shape, source
from towpath.definition.problems import Problem, make_problem
from towpath.definition.project import ProjectFile

PROJECT_FILE = "towpath.yaml"
WORKFLOW_FOLDER = "workflows"
WORKFLOW_SUFFIXES = (".yaml", ".yml")
WORKFLOW_FILES_MAX = 5_000
"""Workflow files in one project."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What other workflows may know about one: its inputs, its outputs and whom it calls."""

    name: str
    path: Path
    inputs: Mapping[str, model.Input]
    outputs: tuple[str, ...]
    calls: tuple[str, ...]
    """Workflows whose end it waits for."""


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


def find_project_folder(start: Path) -> Path:
    """The nearest folder upwards with a towpath.yaml, or *start* itself (its folder, when it is a file).

    A workflow in a folder `workflows` belongs to the folder above it, with or without a towpath.yaml.
    """
    here = start.absolute()
    folder = here if here.is_dir() else here.parent
    for candidate in (folder, *folder.parents):
        if (candidate / PROJECT_FILE).is_file():
            return candidate
    return folder.parent if folder.name == WORKFLOW_FOLDER else folder


def workflow_files(folder: Path) -> tuple[Path, ...]:
    """The workflow files of a project's folder, in the order of their names."""
    found = sorted(
        file
        for file in (folder / WORKFLOW_FOLDER).glob("**/*")
        if file.suffix in WORKFLOW_SUFFIXES and file.is_file()
    )
    return tuple(found[:WORKFLOW_FILES_MAX])


def read_file(file: Path, *, path: str | None = None) -> source.Source:
    """Read a file; when it cannot be read, the answer's `problems` say so."""
    name = path or str(file)
    try:
        raw = source.read_bytes(file)
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


def head_of(workflow: model.Workflow, path: Path) -> Head:
    """What others may know about *workflow*."""
    return Head(
        name=workflow.name,
        path=path,
        inputs=workflow.inputs,
        outputs=tuple(workflow.outputs),
        calls=tuple(dict.fromkeys(_calls(workflow))),
    )


def _read_heads(files: tuple[Path, ...]) -> Mapping[str, tuple[Head, ...]]:
    return heads_by_name(read_head(file) for file in files)


def read_head(file: Path) -> Head | None:
    """What a file lets others know; None where it cannot be read: `tow lint` tells about it, and nobody can call it."""
    text = read_file(file)
    shaped = shape.shape(model.Workflow, text) if text.root is not None else None
    if shaped is None or shaped.value is None or ("name",) in shaped.cut:
        return None
    return head_of(shaped.value, file)


def heads_by_name(found: Iterable[Head | None]) -> Mapping[str, tuple[Head, ...]]:
    """Heads in the order of their files, by name."""
    heads: dict[str, tuple[Head, ...]] = {}
    for head in found:
        if head is not None:
            heads[head.name] = (*heads.get(head.name, ()), head)
    return heads


def _calls(part: model.Workflow | model.Step) -> list[str]:
    waits = isinstance(part, model.WorkflowStep) and not part.detach
    found = [part.workflow] if isinstance(part, model.WorkflowStep) and waits else []
    for _, steps in part.children():
        for step in steps:
            found.extend(_calls(step))
    return found
