"""A test file in; tests that can be played out, or every problem at once, with its line and the nearest word.

A file goes through the gates that workflows go through: the text, the shape, and then what only a test can get wrong, which is looked up in
the workflow that it tests.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from towpath.definition import projects, shape
from towpath.definition.problems import Problem, errors_of, in_order, make_problem
from towpath.definition.source import Source, read_bytes
from towpath.trials.testing import checks
from towpath.trials.testing.bench import Bench
from towpath.trials.testing.files import START, Case, Expect, Script, Sequel, TestFile, parse_instant
from towpath.trials.testing.world import MICROS, STARTER, Setting

TEST_FOLDER = "tests"
TEST_FILES_MAX = 5_000
"""Test files of one project."""
_TESTING = re.compile(rb"^(tests|workflow):", re.MULTILINE)
_TAKES: shape.Takes = {
    "tests": ("a list of tests", "tests:\n  - name: It succeeds\n    expect: {status: succeeded}"),
    "steps": ("a mapping of steps to results", "steps: {smoke: fail}"),
    "checks": ("a mapping of steps to answers", "checks: {switch: done}"),
    "answers": ("a mapping of steps to answers", "answers: {go_live: approve}"),
    "inputs": ("a mapping of names to values", "inputs: {version: 1.1.0}"),
    "happens": ("a list of what happens", "happens: [{do: crash, when: switch}]"),
    "expect": ("a mapping", "expect: {status: succeeded, path: build test}"),
    "told": ("a list", "told: [{why: reminder, step: go_live, after: 1d}]"),
    "path": ("steps, as a list or as one text", "path: build test go_live?"),
    "name": ("a sentence", "name: A broken release goes back"),
}
"""What the keys of a test file take; some of them take something else in a workflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSequel:
    """What is done after the end of a run; when that is, is known then."""

    how: Literal["retry", "rollback", "rerun"]
    after: int
    """In microseconds after the end."""
    setting: Setting
    expect: Expect


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedTest:
    """One test, ready to be played."""

    name: str
    path: str
    """The file, as the user named it."""
    line: int
    """Where it begins."""
    setting: Setting
    expect: Expect
    has_snapshot: bool
    sequels: tuple[LoadedSequel, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedFile:
    """The tests of one file, and everything that there is to say about it."""

    path: str
    file: Path
    tests: tuple[LoadedTest, ...]
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """What keeps the tests of the file from being played."""
        return errors_of(self.problems)


def test_files(folder: Path) -> tuple[Path, ...]:
    """The test files of a project's folder, in the order of their names.

    Every YAML file in `tests` is one. The folders below it may belong to other tests: there a file has to say what it tests.
    """
    tests = folder / TEST_FOLDER
    found = sorted(
        file
        for file in tests.glob("**/*")
        if file.suffix in projects.WORKFLOW_SUFFIXES
        and file.is_file()
        and (file.parent == tests or _says_what_it_tests(file))
    )
    return tuple(found[:TEST_FILES_MAX])


def _says_what_it_tests(file: Path) -> bool:
    try:
        return _TESTING.search(read_bytes(file)) is not None
    except OSError:
        return False


def load(file: Path, bench: Bench, *, path: str | None = None) -> LoadedFile:
    """The tests of a file, and everything that there is to say about it; never raises for what the file says."""
    source = projects.read_file(file, path=path)
    if source.root is None:
        unread = [_empty(source)] if source.is_empty else source.problems
        return LoadedFile(path=source.path, file=file, tests=(), problems=in_order(unread))
    shaped = shape.shape(TestFile, source, takes=_TAKES)
    problems = [*source.problems, *shaped.problems]
    tests: tuple[LoadedTest, ...] = ()
    if shaped.value is not None:
        problems.extend(checks.check(source, shaped, bench))
        if not errors_of(problems):
            tests = tuple(_tests(source, shaped.value))
    return LoadedFile(path=source.path, file=file, tests=tests, problems=in_order(problems))


def _empty(source: Source) -> Problem:
    example = _TAKES["tests"][1]
    return make_problem(
        "not-a-mapping",
        "the file is empty",
        path=source.path,
        help=f"write for example:\nworkflow: NAME\n{example}",
    )


def _tests(source: Source, file: TestFile) -> list[LoadedTest]:
    found = []
    for position, case in enumerate(file.tests):
        start, _ = source.key_span(("tests", position))
        setting = setting_of(file, case)
        found.append(
            LoadedTest(
                name=case.name,
                path=source.path,
                line=source.line_and_column(start)[0],
                setting=setting,
                expect=case.expect,
                has_snapshot=bool(_said(file, case, "snapshot", default=False)),
                sequels=tuple(_sequel(file, setting, sequel) for sequel in case.then),
            )
        )
    return found


def _sequel(file: Script, first: Setting, sequel: Sequel) -> LoadedSequel:
    """What is done after the end; what the file says for all tests holds there too, and what the test says of its run does not."""
    setting = dataclasses.replace(
        first,
        started_by=sequel.started_by or first.started_by,
        steps=_merged(file.steps, sequel.steps),
        checks=_merged(file.checks, sequel.checks),
        answers=_merged(file.answers, sequel.answers),
        is_silent=(sequel.people or file.people) == "silent",
        happens=sequel.happens,
        stop_after=sequel.stop_after,
        own=frozenset((*sequel.steps, *sequel.checks, *sequel.answers)),
    )
    return LoadedSequel(
        how=sequel.do, after=round(sequel.after * MICROS), setting=setting, expect=sequel.expect
    )


def setting_of(file: Script, case: Case) -> Setting:
    """What a test says about the world, with what its file says for all."""
    at, zone = parse_instant(_said(file, case, "at", default=START))
    return Setting(
        workflow=_said(file, case, "workflow", default=""),
        inputs={**file.inputs, **case.inputs},
        at=at,
        zone=zone,
        started_by=_said(file, case, "started_by", default=STARTER),
        edited_by=_said(file, case, "edited_by", default=""),
        break_glass=_said(file, case, "break_glass", default=""),
        event=_said(file, case, "event", default=None),
        steps=_merged(file.steps, case.steps),
        checks=_merged(file.checks, case.checks),
        answers=_merged(file.answers, case.answers),
        is_silent=_said(file, case, "people", default="answer") == "silent",
        files={**file.files, **case.files},
        happens=case.happens,
        stop_after=_said(file, case, "stop_after", default=None),
        own=frozenset((*case.steps, *case.checks, *case.answers)),
    )


def _said(file: Script, case: Script, key: str, *, default: Any) -> Any:  # noqa: ANN401 - the value of any key
    """What the test says, or its file, or neither."""
    for part in (case, file):
        if key in part.model_fields_set:
            return getattr(part, key)
    return default


def _merged(outer: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    return {**outer, **own}
