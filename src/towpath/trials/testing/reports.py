"""Reports for machines: JUnit's XML, which every CI system reads, and JSON."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from towpath.trials.testing import story
from towpath.trials.testing.expecting import Difference
from towpath.trials.testing.loading import LoadedFile
from towpath.trials.testing.running import Outcome, Report

_MICROS = 1_000_000


def junit(report: Report) -> str:
    """The report as JUnit writes it: a suite for each file, a case for each test."""
    root = ElementTree.Element(
        "testsuites",
        name="tow test",
        tests=str(len(report.outcomes) + len(report.broken)),
        failures=str(len(report.failed)),
        errors=str(len(report.broken)),
        time=f"{report.seconds:.3f}",
    )
    for file in report.files:
        outcomes = [outcome for outcome in report.outcomes if outcome.test.path == file.path]
        if outcomes or file.errors:
            _suite(root, file, outcomes)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _suite(root: ElementTree.Element, file: LoadedFile, outcomes: list[Outcome]) -> None:
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        name=_clean(file.path),
        tests=str(len(outcomes) + bool(file.errors)),
        failures=str(sum(not outcome.passed for outcome in outcomes)),
        errors=str(int(bool(file.errors))),
        time=f"{sum(outcome.seconds for outcome in outcomes):.3f}",
    )
    if file.errors:
        case = ElementTree.SubElement(suite, "testcase", classname=_class(file.path), name="the file loads")
        error = ElementTree.SubElement(case, "error", message=_clean(file.errors[0].message))
        error.text = _clean(
            "\n".join(f"{problem.place}: {problem.message}\n{problem.help}" for problem in file.errors)
        )
    for outcome in outcomes:
        _case(suite, outcome)


def _case(suite: ElementTree.Element, outcome: Outcome) -> None:
    test = outcome.test
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=_class(test.path),
        name=_clean(test.name),
        file=_clean(test.path),
        line=str(test.line),
        time=f"{outcome.seconds:.6f}",
    )
    if not outcome.passed:
        first = outcome.differences[0]
        message = f"{first.what}: expected {first.expected}, got {first.got}"
        failure = ElementTree.SubElement(case, "failure", message=_clean(message))
        failure.text = _clean(_failure_text(outcome))


def _failure_text(outcome: Outcome) -> str:
    zone = outcome.test.setting.zone
    parts = [_difference_text(difference) for difference in outcome.differences]
    parts += ["", "the story:", *(f"  {story.text_of(line, zone)}" for line in outcome.story)]
    return "\n".join(parts)


def _difference_text(difference: Difference) -> str:
    said = f"{difference.what}\n  expected {difference.expected}\n  got      {difference.got}"
    return f"{said}\n  help     {difference.help}" if difference.help else said


def _class(path: str) -> str:
    return _clean(path.rpartition(".")[0].replace("/", "."))


def _clean(text: str) -> str:
    """Text without the characters that XML cannot hold."""
    return "".join(c for c in text if c in "\t\n" or (c.isprintable() and not 0xD800 <= ord(c) <= 0xDFFF))  # noqa: PLR2004 - surrogates


def as_json(report: Report) -> dict[str, Any]:
    """The report as plain data."""
    return {
        "passed": len(report.outcomes) - len(report.failed),
        "failed": len(report.failed),
        "broken_files": [file.path for file in report.broken],
        "seconds": round(report.seconds, 6),
        "problems": [problem.as_json() for problem in report.problems],
        "tests": [_outcome(outcome) for outcome in report.outcomes],
        "coverage": [
            {
                "workflow": one.workflow,
                "branches": len(one.branches),
                "taken": len(one.taken),
                "missing": [str(branch) for branch in one.missing],
            }
            for one in report.coverage
        ],
        "untested": list(report.untested),
        "stale_snapshots": list(report.stale),
        "updated": list(report.updated),
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    test = outcome.test
    return {
        "file": test.path,
        "line": test.line,
        "name": test.name,
        "workflow": test.setting.workflow,
        "passed": outcome.passed,
        "status": outcome.status,
        "seconds": round(outcome.seconds, 6),
        "lasted_seconds": outcome.lasted / _MICROS,
        "differences": [
            {"what": one.what, "expected": one.expected, "got": one.got, "help": one.help}
            for one in outcome.differences
        ],
        "story": [] if outcome.passed else [story.text_of(line, test.setting.zone) for line in outcome.story],
    }
