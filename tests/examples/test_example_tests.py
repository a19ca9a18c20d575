"""The examples carry tests, and pass them."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from towpath.trials import testing

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FILES = testing.test_files(EXAMPLES)
LINES_MAX = 70
"""Of one test file; it is read before the workflow is trusted."""


@functools.cache
def report() -> testing.Report:
    """How the tests of all examples go."""
    return testing.Runner(testing.Bench.of(EXAMPLES)).run(FILES)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_tests_of_an_example_pass(file: Path) -> None:
    """What the tests of an example say is what it does."""
    outcomes = [outcome for outcome in report().outcomes if outcome.test.path == str(file)]

    assert [(outcome.test.name, outcome.differences) for outcome in outcomes if not outcome.passed] == []
    assert outcomes
    assert len(file.read_text(encoding="utf-8").splitlines()) <= LINES_MAX


def test_every_example_has_tests() -> None:
    """No workflow of the examples is without a test, and every file can be read."""
    assert (report().untested, report().problems) == ((), ())


def test_the_release_is_tried_completely() -> None:
    """Every branch of the release is taken by one of its tests."""
    coverage = {one.workflow: one.missing for one in report().coverage}

    assert coverage["release_shop"] == ()
