"""Mistakes that were planted are found, each by its number and on its line; sound workflows are left alone.

A planted file marks the line of each mistake with `# !! CHK07`. A new case is a new file.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from checking_support import Bench

from towpath.trials import checking

PLANTED = Path(__file__).parent / "planted"
EXAMPLES = Path(__file__).parents[3] / "examples"
FILES = sorted(file for file in PLANTED.glob("*.yaml") if file.name != "towpath.yaml")
_MARK = re.compile(r"# !! (CHK\d\d)")


@pytest.fixture(scope="module")
def planted() -> Bench:
    """The project of the planted mistakes."""
    return Bench(PLANTED)


@pytest.fixture(scope="module")
def examples() -> Bench:
    """The project of the examples."""
    return Bench(EXAMPLES)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_planted_mistake_is_found(planted: Bench, file: Path) -> None:
    """A check tells exactly the mistakes that a file marks, on the lines that it marks."""
    lines = file.read_text().splitlines()
    marked = [(number, mark[1]) for number, line in enumerate(lines, 1) if (mark := _MARK.search(line))]

    report = planted.check(file)

    assert [(finding.line, finding.kind.number) for finding in report.findings] == marked
    assert report.is_complete


def test_there_are_twenty_planted_mistakes_and_one_of_each_kind() -> None:
    """Every kind of finding has a workflow that shows it, and there are at least twenty."""
    shown = {mark for file in FILES for mark in _MARK.findall(file.read_text())}

    assert {kind.number for kind in checking.KINDS.values()} == shown
    assert len(FILES) >= 20


@pytest.mark.parametrize("file", sorted((EXAMPLES / "workflows").glob("*.yaml")), ids=lambda file: file.stem)
def test_nothing_false_is_said_about_the_examples(examples: Bench, file: Path) -> None:
    """The examples are explored completely, can succeed, and nothing is found."""
    report = examples.check(file)

    assert [finding.message for finding in report.findings] == []
    assert report.is_complete
    assert report.endings[0].status == "succeeded"


def test_the_release_example_tells_its_rollback(examples: Bench) -> None:
    """The release can end in five ways; the shortest story of a rollback names what failed and what was undone."""
    report = examples.check(EXAMPLES / "workflows" / "release_shop.yaml")

    stories = {ending.status: " → ".join(ending.story) for ending in report.endings}
    assert sorted(stories) == [
        "failed", "partially_succeeded", "rollback_failed", "rolled_back", "succeeded",
    ]  # fmt: skip
    assert stories["rolled_back"] == (
        "test and build ok → switch fails → rolled back: switch → served (finally) ok"
    )


def test_the_page_lists_every_kind_of_finding() -> None:
    """The how-to page tells the number, the name and the meaning of each kind of finding."""
    page = (PLANTED.parents[3] / "docs" / "howto" / "check-before-it-runs.md").read_text()

    for kind in checking.KINDS.values():
        assert f"| `{kind.number} {kind.name}` | {kind.meaning} |" in page
