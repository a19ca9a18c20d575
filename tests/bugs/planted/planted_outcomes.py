"""A plugin for the pytest of a trial: writes how every test came out, one JSON value a line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Notes a test's call, and whatever went wrong before or after it."""
    if report.when == "call" or not report.passed:
        reason = "" if report.passed else str(report.longrepr).strip().splitlines()[-1]
        line = {"test": report.nodeid, "when": report.when, "passed": report.passed, "reason": reason}
        with Path(os.environ["PLANTED_OUTCOMES"]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
