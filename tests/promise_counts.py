"""A plugin of pytest: which promises a test shows, how many cases it played, and how they came out.

Which tests show which promise is said in one table (`promises.py`). Every test in it gets the mark `promise`, so that `pytest -m promise`
runs them and no others. A test that plays many cases says so with the fixture `played`. With `--counts FILE` the figures of a run are
written as JSON; a file that is there already keeps what it knows of tests that did not run, so a part may be repeated alone.
"""

from __future__ import annotations

import datetime
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import promises

CASES = "cases"
"""The name under which a test's report carries the number of its cases."""


class PromiseCounts:
    """Marks tests, and counts what came of them."""

    def __init__(self, config: pytest.Config) -> None:
        self._root = config.rootpath
        self._tier = str(config.getoption("tier"))
        told = config.getoption("counts")
        is_worker = hasattr(config, "workerinput")
        self._file = None if told is None or is_worker else Path(told)
        self._tests: dict[str, dict[str, Any]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Marks the tests that show a promise."""
        for item in items:
            if promises.shown_by(name_of(item.nodeid)):
                item.add_marker(pytest.mark.promise)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Counts a test that has ended, or what went wrong before or after it."""
        if report.when != "call" and report.passed:
            return
        name = name_of(report.nodeid)
        if not promises.shown_by(name):
            return
        known = self._tests.setdefault(name, {"tests": 0, "cases": 0, "failed": 0, "seconds": 0.0})
        cases = sum(int(str(value)) for key, value in report.user_properties if key == CASES)
        if report.when == "call":
            known["tests"] += 1
            known["cases"] += cases or 1
            known["seconds"] = round(known["seconds"] + report.duration, 1)
        known["failed"] += not report.passed

    def pytest_sessionfinish(self) -> None:
        """Writes the figures."""
        if self._file is None or not self._tests:
            return
        found = read(self._file)
        ran = {
            "tier": self._tier,
            "day": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
            "commit": commit(self._root),
        }
        found["tests"] |= {name: {**counted, **ran} for name, counted in self._tests.items()}
        write(self._file, found)


def read(file: Path) -> dict[str, Any]:
    """The figures of earlier runs."""
    known: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return {"tests": {}, "bugs": {}} | known


def write(file: Path, figures: dict[str, Any]) -> None:
    """Keeps figures, in an order that makes differences readable."""
    file.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def commit(root: Path) -> str:
    """The commit whose code ran; empty outside of a repository."""
    asked = subprocess.run(
        ["git", "rev-parse", "--short=10", "HEAD"], cwd=root, capture_output=True, text=True, check=False
    )
    return asked.stdout.strip()


def name_of(nodeid: str) -> str:
    """The file and function of a test, without its parameters."""
    return nodeid.partition("[")[0]


@pytest.fixture
def played(record_property: Callable[[str, object], None]) -> Callable[[int], None]:
    """Says how many cases a test has played, where it is not one."""
    return lambda cases: record_property(CASES, cases)
