"""What stays of a test run: snapshots, and reports for machines."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from testing_support import HERE, PROJECT, bench, played, played_text

from towpath.trials import testing
from towpath.trials.testing import snapshots

TEXT = """\
workflow: deploy
at: 2026-11-20T16:00 Europe/Berlin
snapshot: true
tests:
  - {name: it goes in, answers: {"gate:production": approve}}
  - {name: it does not, answers: {"gate:production": reject}, expect: {status: rejected}}
"""


def whats(report: testing.Report) -> list[list[str]]:
    """What was not as expected, test by test."""
    return [[one.what for one in outcome.differences] for outcome in report.outcomes]


def test_a_snapshot_notices_what_nobody_wrote_down(tmp_path: Path) -> None:
    """A missing snapshot fails, `--update` writes it, and from then on every change is told as one."""
    before = whats(played_text(tmp_path, TEXT))
    updated = played_text(tmp_path, TEXT, update=True)
    after = whats(played_text(tmp_path, TEXT))
    changed = played_text(tmp_path, TEXT.replace("it goes in, ", "it goes in, steps: {watch: {takes: 7s}}, "))

    assert before == [["snapshot"], ["snapshot"]]
    assert (updated.updated, whats(updated)) == (("a.txt",), [[], []])
    assert after == [[], []]
    assert whats(changed) == [["snapshot"], []]
    assert "+Fri 2026-11-20 22:00:08" in changed.outcomes[0].differences[0].got


def test_a_snapshot_shows_the_story_the_commands_and_who_was_told(tmp_path: Path) -> None:
    """What is written down is read in a review; secrets stand there by name."""
    played_text(tmp_path, TEXT, update=True)
    text = (tmp_path / "snapshots" / "a.txt").read_text(encoding="utf-8")

    assert text == (HERE / "deploy_snapshot.txt").read_text(encoding="utf-8")


def test_a_snapshot_whose_test_is_gone_is_told_and_removed(tmp_path: Path) -> None:
    """Nothing stays behind of a test that was renamed or removed."""
    played_text(tmp_path, TEXT, update=True)
    fewer = "\n".join(TEXT.splitlines()[:-1]) + "\n"

    assert played_text(tmp_path, fewer).stale == ("a.txt: it does not",)
    played_text(tmp_path, fewer, update=True)
    assert list(snapshots.read(tmp_path / "snapshots" / "a.txt")) == ["it goes in"]
    played_text(tmp_path, fewer.replace("snapshot: true", "snapshot: false"), update=True)
    assert list((tmp_path / "snapshots").iterdir()) == []


def test_updating_some_snapshots_leaves_the_others_alone(tmp_path: Path) -> None:
    """With `-k`, only the snapshots of the tests that were played are written."""
    file = tmp_path / "a.yaml"
    file.write_text(TEXT, encoding="utf-8")
    played(file, update=True)
    snapshots.write(snapshots.file_of(file), {"it goes in": "old", "it does not": "old"})
    played(file, keyword="goes in", update=True)
    found = snapshots.read(snapshots.file_of(file))

    assert (found["it does not"], found["it goes in"] == "old") == ("old", False)


def test_junit_tells_every_file_and_every_test(tmp_path: Path) -> None:
    """A CI system reads each test with its file, line and time, failures with their story, and files that cannot be read."""
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(
        "workflow: release\ninputs: {version: '1'}\ntests:\n- name: <it & fails> \\x07\n  steps: {build: fail}\n",
        encoding="utf-8",
    )
    bad.write_text("workflow: relase\ntests: [{name: a}]\n", encoding="utf-8")
    report = testing.Runner(bench()).run([good, bad], shown=lambda path: f"tests/{path.name}")
    root = ElementTree.fromstring(testing.junit(report))  # noqa: S314 - we have just written it
    suites = {suite.attrib["name"]: suite for suite in root}
    failed = suites["tests/good.yaml"][0]

    assert {key: root.attrib[key] for key in ("tests", "failures", "errors")} == {
        "tests": "2",
        "failures": "1",
        "errors": "1",
    }
    assert (failed.attrib["classname"], failed.attrib["line"]) == ("tests.good", "4")
    assert failed.attrib["name"].startswith("<it & fails>")
    assert failed[0].attrib["message"] == "status: expected succeeded, got failed: exit code 1"
    assert "build  fails: exit code 1" in str(failed[0].text)
    assert suites["tests/bad.yaml"][0][0].tag == "error"


def test_json_has_everything() -> None:
    """A program reads outcomes, differences, stories of failures, and coverage."""
    file = PROJECT / "tests" / "deploy.yaml"
    report = testing.Runner(bench(), keyword="keeps it out").run([file])
    told = json.loads(json.dumps(testing.as_json(report)))

    assert {key: told[key] for key in ("passed", "failed", "broken_files")} == {
        "passed": 1,
        "failed": 0,
        "broken_files": [],
    }
    assert told["tests"][0]["status"] == "rejected"
    assert told["coverage"] == [
        {"workflow": "deploy", "branches": 2, "taken": 0, "missing": ["migrate runs", "watch runs"]}
    ]


@pytest.mark.parametrize(
    ("keyword", "expected"),
    [("", 6), ("NIGHT", 1), ("deploy.yaml", 6), ("(deploy)", 6), ("nothing like it", 0)],
)
def test_some_tests_are_chosen_by_a_text(keyword: str, expected: int) -> None:
    """`-k` looks into the name of a test, its file and its workflow, in any case."""
    assert len(played(PROJECT / "tests" / "deploy.yaml", keyword=keyword).outcomes) == expected


def test_coverage_grows_with_every_test() -> None:
    """Coverage counts over all tests of a workflow, and workflows that nobody tests are named."""
    files = testing.test_files(PROJECT)
    some = testing.Runner(bench(), keyword="no branch holds").run(files)
    whole = testing.Runner(bench()).run(files)

    assert [(one.workflow, len(one.taken)) for one in some.coverage] == [("everything", 4)]
    assert {one.workflow: len(one.missing) for one in whole.coverage} == {
        "deploy": 0,
        "everything": 0,
        "outer": 0,
        "release": 0,
    }
    assert (whole.untested, some.untested) == (("part",), ())
