"""`tow test` as a person types it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from towpath.cli import exit_codes

Tow = Callable[..., Any]
Write = Callable[[str, str], None]

RELEASE = """
inputs: {version: {type: string, default: "1"}}
steps:
  - {id: build, run: make, env: {VERSION: "${{ inputs.version }}"}}
  - {id: roll_out, run: ./roll-out.sh, rollback: {id: roll_back, run: ./roll-back.sh}}
  - {id: smoke, run: ./smoke.sh, retry: {attempts: 2, delay: 1s, jitter: false}}
"""
TESTS = """
workflow: release
tests:
  - {name: It goes live, expect: {path: build roll_out smoke}}
  - name: It goes back
    steps: {smoke: fail}
    expect: {status: rolled_back, passes: roll_out roll_back}
"""


@pytest.fixture(autouse=True)
def _tests(write: Write, project: Path) -> None:
    write("release", RELEASE)
    (project / "tests").mkdir()
    (project / "tests" / "release.yaml").write_text(TESTS, encoding="utf-8")


def without_times(text: str) -> str:
    """The output without what took how long on this machine."""
    return re.sub(r" +[\d.]+ (ms|s)\b", "", text)


def test_tests_that_pass(tow: Tow, project: Path) -> None:
    """Every test is a line with its own time, then come the branches, and the exit code is 0; nothing is written."""
    before = sorted(project.rglob("*"))
    said = tow("test")

    assert (said.code, said.err) == (exit_codes.OK, "")
    assert without_times(said.out) == (
        "tests/release.yaml\n"
        "  ✓ It goes live                                                                     3.0s\n"
        "  ✓ It goes back                                                                     6.0s\n"
        "\n"
        "release: 5 of 5 branches\n"
        "✓ 2 tests passed\n"
    )
    assert sorted(project.rglob("*")) == before


def test_a_test_that_fails(tow: Tow, project: Path) -> None:
    """What was expected, what was got, what to try, and the story up to there; the exit code is 1."""
    file = project / "tests" / "release.yaml"
    file.write_text(TESTS.replace("path: build", "path: make_it build").replace("make_it", "smoke"))
    said = tow("test", "-k", "live")

    assert said.code == exit_codes.FAILED
    assert without_times(said.out) == (
        "tests/release.yaml\n"
        "  ✗ It goes live                                                                     3.0s\n"
        "    path\n"
        "      expected  smoke build roll_out smoke\n"
        "      got       build roll_out smoke\n"
        "      help      missing at 1: smoke\n"
        "    the story\n"
        "      Tue 2027-01-12 UTC\n"
        "      09:00:00  run       release is started by somebody with version=1\n"
        "      09:00:00  build     starts\n"
        "      09:00:01  build     succeeded\n"
        "      09:00:01  roll_out  starts\n"
        "      09:00:02  roll_out  succeeded\n"
        "      09:00:02  smoke     starts\n"
        "      09:00:03  smoke     succeeded\n"
        "      09:00:03  run       ends succeeded\n"
        "      tests/release.yaml:4\n"
        "\n"
        "release: 3 of 5 branches; not taken: roll_back runs, smoke is tried again\n"
        "✗ 1 of 1 test failed\n"
    )


def test_a_narrow_window_cuts_nothing_off(tow: Tow, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In 60 columns no line is longer, and what is long goes on in the next."""
    monkeypatch.setenv("COLUMNS", "60")
    (project / "tests" / "release.yaml").write_text(
        TESTS.replace("rolled_back", "succeeded").replace("It goes back", "It goes back, " * 9 + "back")
    )
    said = tow("test", "--story")

    assert max(map(len, said.out.splitlines())) <= 60
    assert "roll_out~rollback/roll_back" in said.out.replace("\n", "") or "…" in said.out


def test_a_file_that_cannot_be_read(tow: Tow, project: Path) -> None:
    """A mistake in a test file is told like one in a workflow, and the other files are played."""
    (project / "tests" / "wrong.yaml").write_text(
        "workflow: release\ntests: [{name: a, steps: {smok: ok}}]\n"
    )
    said = tow("test")

    assert said.code == exit_codes.FAILED
    assert "tests/wrong.yaml:2:27: error TOW203 unknown-step: `release` has no step `smok`" in said.out
    assert "did you mean `smoke`?" in said.out
    assert "✗ tests/wrong.yaml was not played: 1 error\n" in said.out
    assert said.out.splitlines()[-1].startswith("✗ 2 tests passed, 1 file not played")


def test_no_tests(tow: Tow, project: Path) -> None:
    """Where there is no test, what a test looks like is told; a name that is not there is an error."""
    assert tow("test", "-k", "nothing like it").code == exit_codes.NOT_FOUND
    assert tow("test", "tests/none.yaml").code == exit_codes.NOT_FOUND
    (project / "tests" / "release.yaml").unlink()
    said = tow("test")

    assert (said.code, said.out) == (exit_codes.NOT_FOUND, "")
    assert "there are no tests in tests" in said.err
    assert "tests/release_shop.yaml" in said.err


@pytest.mark.parametrize("target", ["tests", ".", "tests/release.yaml"])
def test_tests_are_named_by_file_or_folder(tow: Tow, target: str) -> None:
    """A file, the folder of tests and the project's folder all name tests."""
    assert tow("test", target).out.splitlines()[-1].startswith("✓ 2 tests passed")


def test_reports_for_machines(tow: Tow, project: Path) -> None:
    """`--json` prints one object, `--junit` writes a file that CI systems read."""
    said = tow("test", "--json", "--junit", "report.xml")
    told = json.loads(said.out)

    assert (told["passed"], told["failed"], told["coverage"][0]["missing"]) == (2, 0, [])
    assert (project / "report.xml").read_text(encoding="utf-8").count("<testcase ") == 2


def test_too_few_branches(tow: Tow) -> None:
    """`--branches-min` fails a workflow of which too little was tried."""
    assert tow("test", "--branches-min", "100").code == exit_codes.OK
    said = tow("test", "-k", "live", "--branches-min", "80")

    assert said.code == exit_codes.FAILED
    assert said.out.endswith("✗ fewer than 80 % of the branches of release were taken\n")


def test_snapshots_are_written_where_that_is_said(tow: Tow, project: Path) -> None:
    """`--update` writes what happened beside the tests; a test whose snapshot is missing fails until then."""
    file = project / "tests" / "release.yaml"
    file.write_text(TESTS.replace("tests:", "snapshot: true\ntests:"), encoding="utf-8")

    assert tow("test").code == exit_codes.FAILED
    assert f"wrote {Path('tests/snapshots/release.txt')}" in tow("test", "--update").out
    assert tow("test").code == exit_codes.OK


def test_the_schema_of_test_files(tow: Tow) -> None:
    """`tow schema tests` prints what an editor completes test files from."""
    told = json.loads(tow("schema", "tests").out)

    assert set(told["properties"]) >= {"workflow", "tests", "steps", "answers", "at"}
    assert "lost" in told["$defs"]["Result"]["anyOf"][0]["enum"]


def test_lint_tells_mistakes_in_tests(tow: Tow, project: Path) -> None:
    """`tow lint` reads the tests of a project too, and knows a file of tests when it is named one."""
    wrong = project / "tests" / "wrong.yaml"
    wrong.write_text("workflow: release\ntests: [{name: a, steps: {smok: ok}}]\n")

    for words in ((), ("tests",), ("tests/wrong.yaml",)):
        said = tow("lint", *words)
        assert (said.code, said.out.count("TOW203 unknown-step: `release` has no step `smok`")) == (1, 1)
    wrong.unlink()
    assert tow("lint").out == "✓ 3 files, no problems\n"
