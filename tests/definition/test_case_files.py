"""Every file in `files/` and every project in `projects/` says exactly what stands beside it.

A new case is a new pair: `files/NAME.yaml` with `files/NAME.txt`, or a folder in `projects/` with `expected.txt`.
"""
# A row of a table is one line:

from __future__ import annotations

import re
from pathlib import Path

import pytest
from definition_support import CARDS, FILES, PROJECTS, REPOSITORY
from hypothesis import given, settings
from hypothesis import strategies as st

from towpath.definition import loader
from towpath.definition.problems import CODES, Problem, errors_of, render_text, summary

CASES = sorted(FILES.glob("*.yaml"))
PROJECT_CASES = sorted(path for path in PROJECTS.iterdir() if path.is_dir())

TEST_FILES = REPOSITORY / "tests" / "trials" / "testing" / "mistakes"
NEEDS_NO_CASE = {
    # Told of bytes, sizes and files, which stand in test_source.py and test_loader.py.
    "TOW001", "TOW002", "TOW003", "TOW004", "TOW005", "TOW007", "TOW008", "TOW009", "TOW112", "TOW113", "TOW216", "TOW406",
    "TOW901",
    # Told of a whole project that a server follows: tests/server/projects.
    "TOW020", "TOW407",
}  # fmt: skip


def said(problems: tuple[Problem, ...]) -> str:
    """What `tow lint` prints of *problems*."""
    return f"{render_text(problems)}\n\n{summary(problems)}\n" if problems else "no problems\n"


def check_project_folder(folder: Path) -> tuple[Problem, ...]:
    """Every problem of a project, its paths counted from its folder."""
    file, problems = loader.check_project(folder / "towpath.yaml", path="towpath.yaml")
    project = loader.Project(folder=folder, file=file, has_file=True) if file is not None else None
    found = list(problems)
    for workflow in loader.workflow_files(folder):
        checked = loader.check_workflow(workflow, project=project, cards=CARDS)
        found.extend(checked.problems)
    return tuple(found)


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_a_file_says_everything_that_is_wrong_with_it(file: Path) -> None:
    """A file's problems, all of them, with carets and help, are those in the text beside it."""
    checked = loader.check_workflow(file.read_bytes(), path=file.name, cards=CARDS)

    assert file.with_suffix(".txt").read_text(encoding="utf-8") == said(checked.problems)


@pytest.mark.parametrize("folder", PROJECT_CASES, ids=lambda folder: folder.name)
def test_a_project_says_everything_that_is_wrong_with_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project's problems are those in its `expected.txt`."""
    monkeypatch.chdir(folder)
    problems = check_project_folder(Path())

    assert (folder / "expected.txt").read_text(encoding="utf-8") == said(problems)


TEXTS = [file.read_text(encoding="utf-8") for file in CASES]
EDITS = (
    "",
    "\n",
    "  ",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "'",
    '"',
    "null",
    "5",
    "${{ steps.a.outputs.b }}",
    "run",
    "if",
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(TEXTS),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 20), st.sampled_from(EDITS)), max_size=5),
)
def test_no_edit_of_a_file_breaks_the_loader(text: str, edits: list[tuple[float, int, str]]) -> None:
    """Whatever is cut out of a file or put into it, the loader answers with problems whose lines are in it."""
    for where, length, put in edits:
        start = int(where * len(text))
        text = text[:start] + put + text[start + length :]
    checked = loader.check_workflow(text, path="f.yaml", cards=CARDS)
    lines = checked.source.text.split("\n")

    assert [p.excerpt for p in checked.problems] == [
        lines[p.line - 1] if p.line else "" for p in checked.problems
    ]


def test_twelve_different_mistakes_are_told_in_one_go() -> None:
    """A file with 12 different mistakes gives 12 problems, of 12 codes, each with a place and a way out."""
    file = FILES / "twelve_mistakes.yaml"
    problems = errors_of(loader.check_workflow(file.read_bytes(), path=file.name, cards=CARDS).problems)

    assert (len(problems), len({problem.code for problem in problems})) == (12, 12)
    assert all(problem.line and problem.help and problem.excerpt for problem in problems)


def test_every_code_has_a_case() -> None:
    """No kind of problem is in the table that no case file provokes."""
    texts = [
        path.read_text(encoding="utf-8")
        for path in (*FILES.glob("*.txt"), *PROJECTS.glob("*/expected.txt"), *TEST_FILES.glob("*.txt"))
    ]
    provoked = {code for text in texts for code in re.findall(r"TOW\d{3}", text)}

    assert set(CODES) == provoked | NEEDS_NO_CASE


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_loading_raises_exactly_where_there_are_errors(file: Path) -> None:
    """`load_workflow` gives a workflow when there is no error, and otherwise raises with every problem."""
    checked = loader.check_workflow(file.read_bytes(), path=file.name, cards=CARDS)
    if not errors_of(checked.problems):
        loaded = loader.load_workflow(file.read_bytes(), path=file.name, cards=CARDS)
        assert (checked.workflow, checked.problems) == (loaded.workflow, loaded.problems)
        return
    with pytest.raises(loader.DefinitionProblems) as caught:
        loader.load_workflow(file.read_bytes(), path=file.name, cards=CARDS)

    assert checked.problems == caught.value.problems
