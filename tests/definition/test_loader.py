"""Projects and files: where they are found, what is read once, what is not checked without a project."""
# A row of a table is one line:

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest

from towpath.definition import loader, model
from towpath.definition.checks.scope import Moment
from towpath.definition.checks.spots import COMMON, KINDS
from towpath.definition.problems import DefinitionProblems, errors_of

LOAD_SECONDS_MAX = 0.1
GOOD = "name: good\nsteps: [{run: make}]\n"


def test_the_digest_is_that_of_the_bytes() -> None:
    """A run is bound to the bytes of its file."""
    assert hashlib.sha256(GOOD.encode()).hexdigest() == loader.load_workflow(GOOD).digest


def test_a_file_is_read_from_its_path(tmp_path: Path) -> None:
    """A path is read, and named in problems as the caller wishes."""
    file = tmp_path / "a.yaml"
    file.write_text(GOOD.replace("run", "ran"))
    with pytest.raises(DefinitionProblems) as caught:
        loader.load_workflow(file, path="workflows/a.yaml")

    assert [problem.place for problem in caught.value.problems] == ["workflows/a.yaml:2:10"]


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    """A missing file or a folder is told with its reason."""
    names = [
        [problem.name for problem in loader.check_workflow(path).problems]
        for path in (tmp_path, tmp_path / "x")
    ]

    assert names == [["unreadable"], ["unreadable"]]


PROJECT_FOLDERS = [
    ("a/b/w.yaml", "a/towpath.yaml", "a"),
    ("a/workflows/w.yaml", "a/towpath.yaml", "a"),
    ("a/workflows/deep/w.yaml", "a/towpath.yaml", "a"),
    ("a/b/w.yaml", "", "a/b"),
    ("a/workflows/w.yaml", "", "a"),
]


@pytest.mark.parametrize(("file", "project_file", "expected"), PROJECT_FOLDERS)
def test_a_project_is_found_upwards(tmp_path: Path, file: str, project_file: str, expected: str) -> None:
    """The nearest towpath.yaml upwards is the project's; without one, the folder of the file, or that above `workflows`."""
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(GOOD)
    if project_file:
        (tmp_path / project_file).write_text("")

    assert tmp_path / expected == loader.find_project_folder(tmp_path / file)


def test_a_project_finds_its_workflows_by_name(tmp_path: Path) -> None:
    """A workflow is found by the name in its file, whatever the file is called."""
    folder = tmp_path / "workflows"
    folder.mkdir()
    (folder / "a.yaml").write_text(GOOD)
    (folder / "broken.yaml").write_text("name: [")
    project = loader.load_project(tmp_path)

    assert (folder / "a.yaml", None) == (project.find_workflow("good"), project.find_workflow("broken"))
    assert not project.has_file


def test_an_empty_project_file_is_a_project(tmp_path: Path) -> None:
    """An empty towpath.yaml only marks the folder."""
    (tmp_path / "towpath.yaml").write_text("# nothing yet\n")
    project = loader.load_project(tmp_path)

    assert (project.has_file, project.problems) == (True, ())


def test_a_wrong_project_file_raises_with_every_problem(tmp_path: Path) -> None:
    """A project with errors does not load."""
    (tmp_path / "towpath.yaml").write_text("nmae: a\nengine: {kind: other}\n")
    with pytest.raises(DefinitionProblems) as caught:
        loader.load_project(tmp_path)

    assert [problem.name for problem in caught.value.problems] == ["unknown-key", "not-one-of"]


def test_what_only_a_project_knows_is_not_judged_without_one() -> None:
    """Without project and actions, unknown people, environments, workflows and actions are no problems."""
    text = """
name: a
environment: production
steps:
  - {uses: some.action, with: {a: 1}}
  - {workflow: other}
  - {approve: Go?, who: [group:a], hours: business_hours}
"""

    assert loader.check_workflow(text).problems == ()


def test_500_lines_load_in_no_time() -> None:
    """A file of 500 lines is read and checked within a tenth of a second."""
    step = (
        "  - id: s{n}\n    title: Step {n} of ${{{{ inputs.version }}}}\n    run: |\n      make x{n}\n"
        '      echo "image=1" >>"$TOW_OUTPUT"\n'
        '    env: {{V: "${{{{ inputs.version }}}}", P: "${{{{ steps.s{before}.outputs.image }}}}"}}\n'
        "    outputs: [image]\n    success_when: outputs.exit_code == 0 && inputs.version != '{n}'\n"
    )
    head = "name: big\ninputs: {version: {type: string}}\nsteps:\n  - {id: s0, run: x, outputs: [image]}\n"
    text = head + "".join(step.format(n=n, before=n - 1) for n in range(1, 63))
    loader.load_workflow(GOOD.replace("run: make", "run: make, if: 'true == true'"))
    seconds = min(_seconds_to_load(text.replace("name: big", f"name: big{n}")) for n in range(3))

    assert (text.count("\n") >= 500, seconds < LOAD_SECONDS_MAX) == (True, True)


def _seconds_to_load(text: str) -> float:
    started = time.process_time()
    loader.load_workflow(text)
    return time.process_time() - started


def test_every_text_of_the_model_is_an_expression_or_fixed() -> None:
    """No key of a step is forgotten: its texts are in the table of expressions, or are known to be fixed."""
    fixed = {
        "id",
        "run",
        "shell",
        "parse",
        "uses",
        "hours",
        "send_back_to",
        "workflow",
        "runs_on",
        "as",
        "needs",
        "who",
        "assign",
    }
    structured = {
        "wait",
        "end",
        "choose",
        "retry",
        "check",
        "rehearse",
        "outputs",
        "form",
        "escalate",
        "on_failure",
        "batch",
        "max_failures",
    }
    lists = {"steps", "parallel", "repeat", "catch", "finally", "rollback"}
    simple = {
        "timeout",
        "takes",
        "idempotent",
        "answer_within",
        "remind",
        "quorum",
        "four_eyes",
        "if_unanswered",
        "max_parallel",
        "fail_fast",
        "every",
        "times",
        "detach",
    }
    ruled = {rule.key for rule in COMMON}
    for cls in model.STEP_CLASSES:
        keys = {info.alias or name for name, info in cls.model_fields.items()}
        unknown = keys - ruled - {rule.key for rule in KINDS[cls.kind]} - fixed - structured - lists - simple

        assert set() == unknown, cls.kind
    assert all(rule.moment in Moment for rule in COMMON)


SALVAGE = [
    # A mistake in one place, and one that is told all the same somewhere else.
    ("steps: [{run: x, tile: a}, {run: y, env: {A: '${{ inputs.b }}'}}]", {"unknown-key", "unknown-input"}),
    ("kind: nothing\nsteps: [{run: y, env: {A: '${{ inputs.b }}'}}]", {"not-one-of", "unknown-input"}),
    ("steps: [{id: a, ran: x}, {run: y, env: {A: '${{ steps.a.outputs.b }}'}}]", {"step-without-kind"}),
    ("steps: [{id: a, run: 5}, {run: y, env: {A: '${{ steps.a.outputs.b }} ${{ steps.c.status }}'}}]", {"wrong-type", "unknown-step"}),
    ("inputs: {a: {type: text}}\nsteps: [{run: y, env: {A: '${{ inputs.a }}'}}]", {"not-one-of"}),
    ("steps: [{id: a, run: x, outputs: [B]}, {run: y, env: {A: '${{ steps.a.outputs.b }}'}}]", {"bad-format"}),
    ("steps: [{parallel: [{id: a, run: 1}, {needs: [a], run: y, env: {A: '${{ steps.a.status }}'}}]}]", {"wrong-type"}),
    ("steps: [{id: a, steps: [{id: b, ran: x}, {run: y}], tile: 1}, {run: z, env: {A: '${{ steps.b.status }}'}}]", {"step-without-kind", "unknown-key"}),
    ("steps: [{uses: log, with: *x}]", {"anchor"}),
    ("on: [{schedule: {cron: x}}]\nsteps: [{run: y}]", {"bad-cron"}),
    ("steps: [{approve: a, who: [anna], answer_within: soon, if_unanswered: fail}]", {"bad-format"}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), SALVAGE, ids=[text[:60] for text, _ in SALVAGE])
def test_one_mistake_neither_hides_nor_makes_others(text: str, expected: set[str]) -> None:
    """What is wrong is told once; the rest of the file is checked as if that were right."""
    found = errors_of(loader.check_workflow(f"name: a\n{text}").problems)

    assert expected == {problem.name for problem in found}
