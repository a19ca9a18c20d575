"""`tow lint`: everything that is wrong with workflows and the project's file, at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from towpath.cli import exit_codes
from towpath.cli.session import Session

if TYPE_CHECKING:
    from towpath.definition.actions import ActionCards
    from towpath.definition.problems import Problem
    from towpath.definition.projects import Project
    from towpath.trials.testing import Bench

TESTS = "tests"
"""The folder of tests in a project."""
STDIN = "-"
STDIN_NAME = "<stdin>"
_COLOURS = {
    "error": {"fg": "red", "bold": True},
    "warning": {"fg": "yellow", "bold": True},
    "place": {"bold": True},
    "code": {"fg": "cyan"},
    "frame": {"fg": "blue"},
    "help": {"fg": "green"},
    "good": {"fg": "green", "bold": True},
}


@click.command("lint")
@click.argument("targets", nargs=-1, metavar="[FILE|FOLDER]...")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "sarif", "github"]),
    default="text",
    show_default=True,
    help="For people, for programs, for code scanners, or as annotations of a pull request.",
)
@click.option("--strict", is_flag=True, help="Count warnings as errors.")
@click.pass_context
def command(context: click.Context, targets: tuple[str, ...], form: str, *, strict: bool) -> None:
    """Say everything that is wrong with workflows, their tests and towpath.yaml.

    Without a name, the project around the current folder is read as a whole; `-` reads a workflow from
    standard input. The exit code is 0 when there are no errors, and 1 otherwise.
    """
    from towpath.definition.problems import errors_of, in_order

    session = context.find_object(Session)
    here = _here(session.project if session is not None else None)
    report = _lint(targets or (str(here),), here)
    problems = in_order(report.problems)
    text = _render(problems, form=form, files=report.files)
    if text:
        click.echo(text)
    wrong = problems if strict else errors_of(problems)
    context.exit(exit_codes.FAILED if wrong else exit_codes.OK)


def _here(project: Path | None) -> Path:
    from towpath.definition.projects import find_project_folder

    return project or find_project_folder(Path.cwd())


@dataclass(slots=True)
class _Report:
    files: int
    problems: list[Problem]


def _lint(targets: Iterable[str], here: Path) -> _Report:
    report = _Report(files=0, problems=[])
    bench = _Workbench(here)
    for target in targets:
        for file in _files(target):
            report.files += 1
            report.problems.extend(bench.check(file))
    return report


def _files(target: str) -> Iterator[str]:
    """The files that a target stands for: itself, or those of a project or of a folder."""
    from towpath.definition import projects

    path = Path(target)
    if target == STDIN or not path.is_dir():
        yield target
        return
    if (path / projects.PROJECT_FILE).is_file():
        yield str(path / projects.PROJECT_FILE)
    found = projects.workflow_files(path)
    if not found:
        found = tuple(
            sorted(
                file
                for suffix in projects.WORKFLOW_SUFFIXES
                for file in path.glob(f"*{suffix}")
                if file.name != projects.PROJECT_FILE
            )
        )
    yield from (str(file) for file in found)
    if (path / TESTS).is_dir():
        from towpath.trials import testing

        yield from (str(file) for file in testing.test_files(path))


class _Workbench:
    """Projects and their actions, read once for all files."""

    def __init__(self, here: Path) -> None:
        self._here = here
        self._projects: dict[Path, Project | None] = {}
        self._cards: dict[Path, ActionCards | None] = {}
        self._benches: dict[Path, Bench] = {}

    def check(self, target: str) -> Sequence[Problem]:
        """Everything that there is to say about one file."""
        from towpath.definition import loader, projects, source

        if target == STDIN:
            content = sys.stdin.buffer.read(source.FILE_BYTES_MAX + 1)
            folder = self._here
            checked = loader.check_workflow(
                content, path=STDIN_NAME, project=self._project(folder), cards=self._actions(folder)
            )
            return checked.problems
        path = Path(target)
        if path.name == projects.PROJECT_FILE:
            return loader.check_project(path, path=_shown(path))[1]
        folder = loader.find_project_folder(path)
        if folder.absolute() / TESTS in path.absolute().parents:
            return self._check_tests(path, folder)
        return loader.check_workflow(
            path, path=_shown(path), project=self._project(folder), cards=self._actions(folder)
        ).problems

    def _check_tests(self, path: Path, folder: Path) -> Sequence[Problem]:
        """Everything that there is to say about a file of tests; nothing where the project's own file has errors."""
        from towpath.steps.catalogue import Catalogue
        from towpath.trials import testing

        project = self._project(folder)
        if project is None:
            return ()
        if folder not in self._benches:
            self._benches[folder] = testing.Bench(project, Catalogue.load(folder))
        return testing.load(path, self._benches[folder], path=_shown(path)).problems

    def _project(self, folder: Path) -> Project | None:
        from towpath.definition import loader
        from towpath.definition.problems import DefinitionProblems

        if folder not in self._projects:
            try:
                self._projects[folder] = loader.load_project(folder)
            except DefinitionProblems:
                self._projects[folder] = None  # its own problems are told for towpath.yaml
        return self._projects[folder]

    def _actions(self, folder: Path) -> ActionCards | None:
        from towpath.steps.catalogue import Catalogue

        if folder not in self._cards:
            self._cards[folder] = Catalogue.load(folder).cards()
        return self._cards[folder]


def _shown(path: Path) -> str:
    """A path as people type it: from here where that is shorter."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _render(problems: Sequence[Problem], *, form: str, files: int) -> str:
    from towpath import __version__
    from towpath.definition import problems as words

    match form:
        case "json":
            return words.render_json(problems)
        case "sarif":
            return words.render_sarif(problems, version=__version__)
        case "github":
            return words.render_github(problems)
        case _:
            return _for_people(problems, files)


def _for_people(problems: Sequence[Problem], files: int) -> str:
    from towpath.definition.problems import errors_of, render_text

    if not problems:
        return (
            f"{_paint('✓', 'good')} {_count(files, 'file')}, no problems"
            if files
            else "no workflow files here"
        )
    wrong = len(errors_of(problems))
    counts = [_count(wrong, "error")] if wrong else []
    if len(problems) > wrong:
        counts.append(_count(len(problems) - wrong, "warning"))
    sign = _paint("✗", "error") if wrong else _paint("!", "warning")
    touched = len({problem.path for problem in problems})
    where = f"in {_count(files, 'file')}" if touched >= files else f"in {touched} of {_count(files, 'file')}"
    return f"{render_text(problems, paint=_paint)}\n\n{sign} {' and '.join(counts)} {where}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _paint(text: str, role: str) -> str:
    """Colours; click takes them out again where nobody sees them."""
    return click.style(text, **_COLOURS.get(role, {}))  # type: ignore[arg-type]  # a table of its keyword arguments
