"""What the pages and the examples show is what the program takes."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest
from house_sources import ROOT

from towpath.definition import loader, model, problems, shape
from towpath.definition.project import ProjectFile
from towpath.definition.source import read_source
from towpath.steps.catalogue import Catalogue
from towpath.trials.testing import TestFile

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WORKFLOWS = sorted((ROOT / "examples" / "workflows").glob("*.yaml"))
ONLY_IN_TESTS = {"tests", "answers", "checks", "files", "stop_after"}
FRAGMENT_GROUPS = ("0", "1", "3")
"""Groups of problems that a piece of a file must not have; names may stand in another piece."""


class Block(NamedTuple):
    """One piece of YAML on a page."""

    page: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks() -> list[Block]:
    """Every piece of YAML on every page."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        found += [
            Block(page, text.count("\n", 0, match.start()) + 1, textwrap.dedent(match[1]))
            for match in re.finditer(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        ]
    return found


def keys_of(text: str) -> set[str]:
    """The top-level keys of a piece of YAML."""
    return set(re.findall(r"^([a-z_]+):", text, re.MULTILINE))


def wrapped(text: str) -> str:
    """A piece of a workflow as a whole one."""
    if text.lstrip("\n").startswith(("-", "#")) and not keys_of(text):
        return f"name: piece\nsteps:\n{textwrap.indent(text, '  ')}"
    return f"name: piece\n{text}\n" + ("" if "steps" in keys_of(text) else "steps: [{run: 'true'}]\n")


def mistakes(block: Block) -> str:
    """What the loader has against a block, as text."""
    if not re.sub(r"#.*", "", block.text).strip():
        return ""
    keys, project_keys = keys_of(block.text), set(ProjectFile.model_fields)
    if keys and keys <= set(TestFile.model_fields) and keys & ONLY_IN_TESTS:
        source = read_source(block.text, path="piece")
        assert source.root is not None
        found = (*source.problems, *shape.shape(TestFile, source).problems)
        # A piece of a test file may leave out the rest of it.
        found = tuple(problem for problem in found if problem.name != "missing-key")
    elif keys and keys <= project_keys and not keys & {"name", "steps"}:
        found = loader.check_project(block.text)[1]
    elif {"name", "steps"} <= keys:
        found = loader.check_workflow(block.text).problems
    else:
        found = tuple(
            problem
            for problem in loader.check_workflow(wrapped(block.text)).problems
            if problem.code[3] in FRAGMENT_GROUPS
        )
    return problems.render_text(problems.errors_of(found))


@pytest.mark.parametrize("block", blocks(), ids=str)
def test_yaml_on_a_page_is_taken(block: Block) -> None:
    """Whatever a page shows as YAML can be copied into a file."""
    assert mistakes(block) == ""


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_an_example_has_no_problem(path: Path) -> None:
    """Every example loads, without a warning, in the project that it belongs to."""
    project = loader.load_project(ROOT / "examples")
    checked = loader.check_workflow(path, project=project, cards=Catalogue.load(ROOT / "examples").cards())

    assert problems.render_text(checked.problems) == ""
    assert checked.workflow
    assert checked.workflow.name == path.stem


def test_the_examples_use_every_kind_of_step_but_a_few() -> None:
    """The examples show the language: most kinds of steps, and the keys that people ask for first."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    shown = {kind for kind in model.STEP_KINDS if re.search(rf"^\s*(- )?{kind}:", text, re.MULTILINE)}

    assert set(model.STEP_KINDS) - shown <= {"wait", "repeat", "workflow"}
    for word in ("rollback:", "retry:", "check:", "matrix:", "batch:", "form:", "finally:", "concurrency:"):
        assert word in text
