"""`tow test` from a file to its outcome: what passes, what fails and what is said of it, and what cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from testing_support import FAILING, MISTAKES, PROJECT, SHOWS, bench, played, played_text, said, told

from towpath.trials import testing
from towpath.trials.testing import world

FILES = testing.test_files(PROJECT)
PASSING = [
    pytest.param(file, test.name, id=f"{file.stem}: {test.name}")
    for file in FILES
    for test in testing.load(file, bench(), path=file.name).tests
]
LINES_MAX = 30
"""Of one of the three tests that show what this is for."""


def only(report: testing.Report) -> testing.Outcome:
    """The one outcome of a report."""
    assert len(report.outcomes) == 1, said(report.problems)
    return report.outcomes[0]


@pytest.mark.parametrize(("file", "name"), PASSING)
def test_what_workflows_do_is_what_their_tests_say(file: Path, name: str) -> None:
    """Steps, people, events, faults and time do what the file says, and the run goes the expected way."""
    outcome = only(played(file, keyword=f": {name} ("))

    assert told(outcome) == f"# {name}"


@pytest.mark.parametrize("file", FAILING, ids=lambda file: file.stem)
def test_a_failure_says_what_was_expected_and_what_was_got(file: Path) -> None:
    """Every expectation that is not met is told with both sides, and with what to try where that is known."""
    report = played(file)
    expected = file.with_suffix(".txt").read_text(encoding="utf-8")

    assert expected == "\n\n".join(told(outcome) for outcome in report.outcomes) + "\n"
    assert [outcome.test.name for outcome in report.outcomes if outcome.passed] == []


@pytest.mark.parametrize("file", MISTAKES, ids=lambda file: file.stem)
def test_a_mistake_in_a_test_is_told_when_it_is_read(file: Path) -> None:
    """Unknown steps, impossible expectations and slips are told all at once, with caret and the nearest word."""
    loaded = testing.load(file, bench(), path=file.name)

    assert file.with_suffix(".txt").read_text(encoding="utf-8") == said(loaded.problems)
    assert loaded.tests == ()


@pytest.mark.parametrize("file", SHOWS, ids=lambda file: file.stem)
def test_what_this_is_for_needs_few_lines(file: Path) -> None:
    """A rolled-back release, a weekend without answers and a crash in the middle are files of under 30 lines."""
    outcome = only(played(file))

    assert told(outcome) == f"# {outcome.test.name}"
    assert len(file.read_text(encoding="utf-8").splitlines()) < LINES_MAX


def test_days_pass_in_no_time() -> None:
    """A test lasts days in its own time, and its duration is told apart from that."""
    outcome = only(played(PROJECT / "tests" / "release.yaml", keyword="over the weekend ("))

    assert outcome.lasted > 3 * 86_400 * 1_000_000
    assert outcome.seconds < outcome.lasted / 1_000_000


def test_the_same_test_tells_the_same_story_twice() -> None:
    """Nothing in a test depends on chance or on the clock of the machine."""
    first, second = (played(PROJECT / "tests" / "everything.yaml") for _ in range(2))

    assert [outcome.story for outcome in first.outcomes] == [outcome.story for outcome in second.outcomes]


def test_a_script_above_the_tests_holds_for_all_and_may_go_unused(tmp_path: Path) -> None:
    """What a file says for all tests counts where a test says nothing else, and needs no use in each of them."""
    report = played_text(
        tmp_path,
        "workflow: release\ninputs: {version: '1'}\nsteps: {build: fail, roll_back: fail}\n"
        "tests:\n- {name: it fails, expect: {status: failed}}\n- {name: it does not, steps: {build: ok}}\n",
    )

    assert [outcome.status for outcome in report.outcomes] == ["failed", "succeeded"]
    assert report.failed == ()


def test_what_is_said_most_exactly_counts(tmp_path: Path) -> None:
    """A step's own path goes before a pattern, and a pattern before its id."""
    report = played_text(
        tmp_path,
        "workflow: everything\ntests:\n- name: a\n  inputs: {hosts: [a, b]}\n"
        "  happens: [{do: signal, name: go, after: 0s}, {do: event, name: github.pull_request, after: 0s, payload: {number: 9}}]\n"
        "  steps: {'fleet[a]/install': ok, 'fleet[*]/install': timeout, install: fail}\n"
        "  expect: {status: partially_succeeded, steps: {'fleet[b]/install': {error: timeout}, 'fleet[a]/install': succeeded}}\n",
    )

    assert [one.what for one in only(report).differences] == ["steps.install"], (
        "it was hidden by the other two"
    )


def test_a_test_without_expectations_has_to_succeed(tmp_path: Path) -> None:
    """There is no test that cannot fail."""
    text = "workflow: release\ninputs: {version: '1'}\ntests: [{name: a, steps: {build: fail}}]\n"

    assert [one.what for one in only(played_text(tmp_path, text)).differences] == ["status"]


def test_more_and_more_is_told_and_not_played_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that has no end is stopped after a number of turns, and that is a failure."""
    monkeypatch.setattr(world, "TURNS_MAX", 500)
    project = tmp_path / "loop"
    (project / "workflows").mkdir(parents=True)
    (project / "towpath.yaml").write_text("name: loop\n", encoding="utf-8")
    (project / "workflows" / "loop.yaml").write_text(
        "name: loop\nsteps:\n- id: again\n  repeat: [{id: look, run: ./look.sh, outputs: [done]}]\n"
        "  until: steps.look.outputs.done == 'never ' + 'ever'\n",
        encoding="utf-8",
    )
    file = project / "loop.yaml"
    file.write_text(
        "workflow: loop\ntests: [{name: a, steps: {look: {outputs: {done: 'no'}}}}]\n", encoding="utf-8"
    )
    report = testing.Runner(testing.Bench.of(project)).run([file])

    assert [one.what for one in only(report).differences] == ["status", "end"]


def test_a_workflow_that_does_not_load_is_told_for_the_test(tmp_path: Path) -> None:
    """The mistakes of a workflow are told where its tests are to be played, and the others are played."""
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "good.yaml").write_text("name: good\nsteps: [{run: x}]\n", encoding="utf-8")
    (tmp_path / "workflows" / "bad.yaml").write_text(
        "name: bad\nsteps: [{run: x, if: inputs.y}]\n", encoding="utf-8"
    )
    files = []
    for name in ("good", "bad"):
        file = tmp_path / f"test_{name}.yaml"
        file.write_text(f"workflow: {name}\ntests: [{{name: a}}]\n", encoding="utf-8")
        files.append(file)
    report = testing.Runner(testing.Bench.of(tmp_path)).run(files)

    assert [outcome.test.setting.workflow for outcome in report.outcomes if outcome.passed] == ["good"]
    assert [(file.file.name, file.errors[0].name) for file in report.broken] == [
        ("test_bad.yaml", "unknown-input")
    ]


def test_files_of_other_tests_are_left_alone(tmp_path: Path) -> None:
    """Every YAML file in `tests` is a test file; in the folders below it, those that say what they test."""
    for name, text in {
        "a.yaml": "tset: []",
        "b.yml": "tests: []",
        "deep/c.yaml": "workflow: a\ntsts: []",
        "deep/d.yaml": "# data of other tests\nusers: [workflow]",
        "deep/e.txt": "tests: []",
    }.items():
        (tmp_path / "tests" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tests" / name).write_text(text, encoding="utf-8")
    found = [file.relative_to(tmp_path / "tests").as_posix() for file in testing.test_files(tmp_path)]

    assert found == ["a.yaml", "b.yml", "deep/c.yaml"]
