"""Workflows of GitHub Actions become ours: what means what, and that what cannot be said is told."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from import_support import GITHUB, told

from towpath.definition import loader, model
from towpath.definition.importing import Assignment, Fate, Imported, import_github
from towpath.definition.importing.github import cel, syntax
from towpath.definition.importing.github.contexts import JobSeen, Scope, Shared, StepSeen
from towpath.definition.importing.naming import Ids
from towpath.definition.importing.report import Notes
from towpath.definition.problems import DefinitionProblems, render_text
from towpath.definition.project import ProjectFile
from towpath.definition.projects import Project
from towpath.errors import Refused

CASES = sorted(GITHUB.glob("*.yml"))


def made_of(text: str, **options: object) -> Imported:
    """What a workflow becomes."""
    return import_github(textwrap.dedent(text), path="x.yml", stem="x", **options)  # type: ignore[arg-type]


def workflow_of(made: Imported) -> model.Workflow:
    """The workflow, which has no problem at all."""
    checked = loader.check_workflow(made.text)
    assert render_text(checked.problems) == ""
    assert checked.workflow is not None
    return checked.workflow


def test_there_are_enough_cases() -> None:
    """At least twelve realistic workflows are translated."""
    assert len(CASES) >= 12


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_a_workflow_becomes_what_stands_beside_it(file: Path) -> None:
    """A workflow's translation and its report are, to the character, those in the text beside it."""
    made = import_github(file.read_text(encoding="utf-8"), path=file.name, stem=file.stem)
    workflow_of(made)

    assert file.with_suffix(".txt").read_text(encoding="utf-8") == told(made)


def job(steps: str, *, head: str = "on: push", keys: str = "") -> str:
    """A workflow with one job."""
    return (
        f"{head}\njobs:\n  a:\n    runs-on: [self-hosted]\n{textwrap.indent(textwrap.dedent(keys), '    ')}    steps:\n"
        + textwrap.indent(textwrap.dedent(steps).lstrip("\n"), "      ")
    )


# --- expressions --------------------------------------------------------------------------------------------


def scope() -> Scope:
    """The names that the table of expressions reads."""
    shared = Shared(notes=Notes(), ids=Ids())
    shared.inputs = {"flag": {"type": "boolean"}, "count": {"type": "number"}, "name": {"type": "string"}}
    shared.jobs = {
        "build": JobSeen(
            new_id="build", outputs={"image": cel.Term(cel="steps.m.outputs.image", kind="text")}
        ),
        "test": JobSeen(new_id="test"),
    }
    return Scope(
        shared=shared,
        line=1,
        job="deploy",
        env={"REGION": cel.constant("eu"), "TOKEN": "`TOKEN` holds a secret"},
        matrix={"os": "text", "node-version": "number"},
        steps={"meta": StepSeen(new_id="meta", sure={"tag"}), "gone": StepSeen(new_id="")},
        needs=("build",),
    )


CONDITIONS = [
    ("inputs.flag", "inputs.flag"),
    ("!inputs.flag", "!inputs.flag"),
    ("${{ inputs.flag }}", "inputs.flag"),
    ("${{ inputs.flag }} && inputs.name == 'a'", 'inputs.flag && inputs.name == "a"'),
    ("inputs.flag == true", "inputs.flag"),
    ("inputs.flag == 'true'", "inputs.flag"),
    ("inputs.flag != 'true'", "!inputs.flag"),
    ("github.event.inputs.flag == 'false'", "!inputs.flag"),
    ("inputs.name", 'inputs.name != ""'),
    ("inputs.count", "inputs.count != 0"),
    ("inputs.count > 3", "inputs.count > 3"),
    ("inputs.count == '3'", "inputs.count == 3.0"),
    ("inputs.name != ''", 'inputs.name != ""'),
    ("inputs.name == null", 'inputs.name == ""'),
    ("github.ref == 'refs/heads/main'", 'inputs.github_ref == "refs/heads/main"'),
    ("github.event_name != 'pull_request'", 'inputs.github_event_name != "pull_request"'),
    ("startsWith(github.ref, 'refs/tags/')", 'inputs.github_ref.startsWith("refs/tags/")'),
    ("endsWith(inputs.name, 'x')", 'inputs.name.endsWith("x")'),
    ("contains(inputs.name, 'x')", 'inputs.name.contains("x")'),
    ('contains(fromJSON(\'["a", "b"]\'), inputs.name)', 'inputs.name in ["a", "b"]'),
    (
        "contains(github.event.pull_request.labels.*.name, 'x')",
        'default(event.pull_request.labels, []).exists(one, one.name == "x")',
    ),
    ("github.event.pull_request.draft == false", "default(event.pull_request.draft, false) == false"),
    ("github.event.action == 'opened'", 'default(event.action, "") == "opened"'),
    ("github.event.number == 5", "default(event.number, 0) == 5"),
    ("github.event.pull_request.merged", '!(default(event.pull_request.merged, "") in [false, 0, ""])'),
    ("github.event['x-y'].z == 'a'", 'default(event["x-y"]["z"], "") == "a"'),
    ("needs.build.result == 'success'", 'steps.build.status == "succeeded"'),
    ("needs.build.result != 'failure'", 'steps.build.status != "failed"'),
    ("needs.build.outputs.image == ''", 'steps.m.outputs.image == ""'),
    ("needs.build.outputs.unknown == 'a'", "false"),
    ("contains(needs.*.result, 'failure')", '"failed" in [steps.build.status]'),
    ("steps.meta.outputs.tag == 'v1'", 'steps.meta.outputs.tag == "v1"'),
    ("steps.meta.outputs.other-one == 'v1'", 'default(steps.meta.outputs.other_one, "") == "v1"'),
    ("steps.meta.outcome == 'success'", 'steps.meta.status == "succeeded"'),
    ("steps.gone.outputs.cache-hit != 'true'", None),
    ("env.REGION == 'eu'", None),
    ("env.REGION == 'us'", "false"),
    (
        "matrix.os == 'linux' && matrix.node-version >= 20",
        'matrix.os == "linux" && matrix.node_version >= 20',
    ),
    ("matrix.unknown == 'a'", "false"),
    (
        "(inputs.flag || inputs.count > 1) && inputs.name == 'a'",
        '(inputs.flag || inputs.count > 1) && inputs.name == "a"',
    ),
    ("!(inputs.flag && inputs.count > 1)", "!(inputs.flag && inputs.count > 1)"),
    ("!contains(inputs.name, 'a') || inputs.flag", '!inputs.name.contains("a") || inputs.flag'),
    ("runner.os == 'Linux'", None),
    ("true", None),
    ("success()", None),
    ("success() && inputs.flag", "inputs.flag"),
    ("'it''s' == inputs.name", '"it\'s" == inputs.name'),
    ("vars.REGION == 'eu'", 'vars.region == "eu"'),
]


@pytest.mark.parametrize(("source", "expected"), CONDITIONS)
def test_a_condition_means_the_same(source: str, expected: str | None) -> None:
    """An `if` of GitHub's is a condition of CEL; None is one that always holds."""
    found = cel.condition(source, scope())

    assert (expected, cel.Status.SUCCESS) == (found.cel, found.status)


STATUSES = [
    ("always()", "always", None),
    ("!cancelled()", "always", None),
    ("${{ !cancelled() }}", "always", None),
    ("success() || failure()", "always", None),
    ("failure()", "failure", None),
    ("failure() && inputs.flag", "failure", "inputs.flag"),
    ("always() && needs.build.result == 'success'", "always", 'steps.build.status == "succeeded"'),
    ("cancelled()", "cancelled", None),
    ("failure() || cancelled()", "failure", None),
]


@pytest.mark.parametrize(("source", "status", "expected"), STATUSES)
def test_when_a_step_runs(source: str, status: str, expected: str | None) -> None:
    """`always()` and `failure()` say when; what is joined to them by `&&` is the condition."""
    found = cel.condition(source, scope())

    assert (status, expected) == (found.status.value, found.cel)


VALUES = [
    ("inputs.name", "inputs.name"),
    ("inputs.name || 'none'", 'inputs.name != "" ? inputs.name : "none"'),
    ("inputs.flag && 'a' || 'b'", 'inputs.flag ? "a" : "b"'),
    ("github.ref == 'x' && 'a' || 'b'", 'inputs.github_ref == "x" ? "a" : "b"'),
    ("inputs.flag && inputs.name || 'b'", 'inputs.flag && inputs.name != "" ? inputs.name : "b"'),
    ("inputs.flag && 1 || 'b'", 'inputs.flag ? "1" : "b"'),
    ("format('{0}-{1}', inputs.name, 'a')", 'inputs.name + "-a"'),
    ("format('{{{0}}}', inputs.count)", '"{" + string(inputs.count) + "}"'),
    ("format('{0}', github.event.number)", 'string(default(event.number, ""))'),
    ("join(fromJSON('[\"a\"]'), '-')", 'join(["a"], "-")'),
    ("toJSON(github.event)", "toJson(event)"),
    ("fromJSON(needs.build.outputs.image)", "json(steps.m.outputs.image)"),
    ("github.run_id", "run.id"),
    ("github.workflow", "run.workflow"),
    ("github.server_url", '"https://github.com"'),
    ("github.job", '"deploy"'),
    ("secrets.MY_TOKEN", "secrets.my_token"),
    ("github.token", "secrets.github_token"),
    ("strategy.job-index", "index"),
    ("inputs.flag && inputs.flag", "inputs.flag && inputs.flag"),
    ("1.5", "1.5"),
    ("0x10", "16"),
]


@pytest.mark.parametrize(("source", "expected"), VALUES)
def test_a_value_means_the_same(source: str, expected: str) -> None:
    """An expression of GitHub's is one of CEL."""
    assert expected == cel.there(cel.Translator(scope()).value(syntax.parse(source)))


CANNOT = [
    ("hashFiles('x')", "reads files"),
    ("github.event_path", "not known"),
    ("github", "as a whole"),
    ("env.NOTHING", "nothing in this file sets"),
    ("env.TOKEN", "holds a secret"),
    ("inputs.nothing", "no input"),
    ("steps.nothing.outputs.a", "no earlier step"),
    ("needs.nothing.result", "no earlier job"),
    ("needs.test.result", "does not need"),
    ("secrets.A || secrets.B", "stand alone"),
    ("secrets.A == 'x'", "compared"),
    ("format('{0}', secrets.A)", "stand alone"),
    ("secrets[inputs.name]", "`secrets`|named"),
    ("inputs.flag || always()", "`if`"),
    ("nothing(1)", "no function"),
    ("strategy.job-total", "not known"),
    ("unknown.x", "nothing like"),
    ("needs.build.result == 'odd'", "only compared"),
    ("github.event.*.x.*.y", "many values"),
    ("inputs.count == 'many'", "a word"),
]


@pytest.mark.parametrize(("source", "reason"), CANNOT)
def test_what_cannot_be_translated_says_why(source: str, reason: str) -> None:
    """Nothing is guessed: an expression without a meaning here is refused with the reason."""
    with pytest.raises(cel.CannotTranslate, match=reason):
        cel.Translator(scope()).value(syntax.parse(source))


@pytest.mark.parametrize(
    "source",
    [
        "",
        "a b",
        "a ==",
        "(a",
        "'a",
        "a.",
        "f(a",
        "a ^ b",
        "(" * 60 + "a" + ")" * 60,
        "!" * 60 + "a",
        "a" + " && a" * 500,
    ],
)
def test_what_is_no_expression_is_told(source: str) -> None:
    """A text that GitHub would refuse too is refused, however deep it is."""
    with pytest.raises(syntax.NotAnExpression):
        syntax.parse(source)


@settings(max_examples=200, deadline=None)
@given(st.text("abgithub.inputs'()!&|=<>, []*0x-${}", max_size=60))
def test_any_text_is_read_or_refused(source: str) -> None:
    """No text, however odd, does anything but become a term or be refused."""
    try:
        found = cel.condition(source, scope())
    except (cel.CannotTranslate, syntax.NotAnExpression):
        return
    assert found.cel is None or found.cel


# --- scripts ------------------------------------------------------------------------------------------------

SCRIPTS = [
    ("- run: echo ${{ github.sha }}", 'echo "$SHA"', {"SHA": "${{ inputs.github_sha }}"}),
    ("- run: echo '${{ github.sha }}'", 'echo "$SHA"', {"SHA": "${{ inputs.github_sha }}"}),
    ("- run: make ${{ runner.os }}", "make Linux", {}),
    (
        "- run: echo \"${{ secrets.A }}\"\n  env: {T: '${{ secrets.A }}'}",
        'echo "$T"',
        {"T": "${{ secrets.a }}"},
    ),
    ("- run: echo ${{ env.X }}\n  env: {X: 1}", 'echo "$X"', {"X": "1"}),
    ("- run: echo $GITHUB_SHA", "echo $GITHUB_SHA", {"GITHUB_SHA": "${{ inputs.github_sha }}"}),
    ("- run: echo $GITHUB_SHA\n  env: {GITHUB_SHA: a}", "echo $GITHUB_SHA", {"GITHUB_SHA": "a"}),
    ("- run: cd $GITHUB_WORKSPACE/a", "cd $PWD/a", {}),
    ('- run: echo "a=1" >> $GITHUB_STEP_SUMMARY', 'echo "a=1" >> $TOW_SUMMARY', {}),
    ("- run: print('${{ github.sha }}')\n  shell: python", 'import os\nprint(os.environ["SHA"])\n', None),
    ("- run: echo ${{ github.sha }}\n  shell: pwsh", "echo $env:SHA", None),
    ("- run: PATH=a echo ${{ github.event.path }}", 'PATH=a echo ${EVENT_PATH:+"$EVENT_PATH"}', None),
]


@pytest.mark.parametrize(("step", "script", "env"), SCRIPTS)
def test_values_reach_a_script_as_environment(step: str, script: str, env: dict[str, str] | None) -> None:
    """No expression stays in a script; what GitHub's own variables say is there under the same names."""
    (group,) = workflow_of(made_of(job(step))).steps
    assert isinstance(group, model.GroupStep)
    (found,) = group.steps
    assert isinstance(found, model.RunStep)

    assert script == found.run
    assert env is None or env == dict(found.env)


def test_a_script_that_no_value_can_reach_becomes_a_task() -> None:
    """In a shell that is not known here, a script with expressions is for a person."""
    made = made_of(job("- run: print ${{ github.sha }}\n  shell: perl {0}\n"))

    assert "task: " in made.text
    assert [note.message for note in made.having(Fate.CANNOT) if "perl" in note.message]


OUTPUTS = [
    ('echo "a=1" >> $GITHUB_OUTPUT', "outputs: [a]", "steps.one.outputs.a"),
    ('echo "a=1" >> "$GITHUB_OUTPUT"', "outputs: [a]", "steps.one.outputs.a"),
    ('echo "a=1" | tee -a "$GITHUB_OUTPUT"', "outputs: [a]", "steps.one.outputs.a"),
    ('{\n  echo "a<<E"\n  cat x\n  echo E\n} >> $GITHUB_OUTPUT', "outputs: [a]", "steps.one.outputs.a"),
    ('echo "::set-output name=a::1"', "outputs: [a]", "steps.one.outputs.a"),
    ("./write", "outputs: [a]", 'default(steps.one.outputs.a, "")'),
]


@pytest.mark.parametrize(("script", "declared", "read"), OUTPUTS)
def test_outputs_are_found_and_declared(script: str, declared: str, read: str) -> None:
    """What a script writes to $GITHUB_OUTPUT is declared; what cannot be seen is declared where it is read."""
    steps = f"- id: one\n  run: |\n{textwrap.indent(script, '    ')}\n- run: echo ${{{{ steps.one.outputs.a }}}}\n"
    made = made_of(job(steps))
    workflow_of(made)

    assert declared in made.text
    assert read in made.text
    assert "GITHUB_OUTPUT >" not in made.text


def test_output_names_that_no_id_can_be_are_renamed() -> None:
    """`Image-Tag` is `image_tag` where it is written and where it is read."""
    made = made_of(
        job(
            '- id: one\n  run: echo "Image-Tag=1" >> $GITHUB_OUTPUT\n- run: echo ${{ steps.one.outputs.Image-Tag }}\n'
        )
    )
    workflow_of(made)

    assert 'echo "Image_Tag=1" >> $TOW_OUTPUT' in made.text
    assert 'outputs: {image_tag: "${{ outputs.Image_Tag }}"}' in made.text
    assert "steps.one.outputs.image_tag" in made.text


def test_variables_for_later_steps_are_handed_on() -> None:
    """$GITHUB_ENV becomes an output, and the environment of every later script of the job."""
    made = made_of(
        job("- run: echo \"V=1\" >> $GITHUB_ENV\n- run: echo $V\n- run: make\n- if: env.V == '1'\n  run: a\n")
    )
    workflow_of(made)

    assert len(re.findall(r'V: .\$\{\{ default\(steps\.echo_v_1\w*\.outputs\.v, ""\) \}\}', made.text)) == 3
    assert re.search(r'if: default\(steps\.echo_v_1\w*\.outputs\.v, ""\) == "1"', made.text)


# --- jobs ---------------------------------------------------------------------------------------------------


def ids_below(part: model.Workflow | model.Step) -> dict[str, object]:
    """The ids of a workflow by the lists that they stand in."""
    return {
        key: [step.id if not (inner := ids_below(step)) else {str(step.id): inner} for step in steps]
        for key, steps in part.children()
        if steps
    }


JOBS = [
    ("a: {steps: [{run: x}]}", {"steps": [{"a": {"steps": ["x"]}}]}),
    (
        "a: {steps: [{run: x}]}\nb: {needs: a, steps: [{run: y}]}",
        {"steps": [{"a": {"steps": ["x"]}}, {"b": {"steps": ["y"]}}]},
    ),
    (
        "b: {needs: [a], steps: [{run: y}]}\na: {steps: [{run: x}]}",
        {"steps": [{"a": {"steps": ["x"]}}, {"b": {"steps": ["y"]}}]},
    ),
    (
        "a: {steps: [{run: x}]}\nb: {steps: [{run: y}]}",
        {"steps": [{"jobs": {"parallel": [{"a": {"steps": ["x"]}}, {"b": {"steps": ["y"]}}]}}]},
    ),
    (
        "a: {steps: [{run: x}, {run: y, if: always()}, {run: z, if: failure()}]}",
        {"steps": [{"a": {"steps": ["x"], "finally": ["y"], "on_failure": ["z"]}}]},
    ),
    (
        "a: {steps: [{run: x}]}\nb: {needs: a, if: always(), steps: [{run: y}]}\nc: {needs: a, if: failure(), steps: [{run: z}]}",
        {"steps": [{"a": {"steps": ["x"]}}], "finally": [{"b": {"steps": ["y"]}}], "on_failure": [{"c": {"steps": ["z"]}}]},
    ),
    (
        "a: {strategy: {matrix: {v: [1, 2]}}, steps: [{run: x}]}",
        {"steps": [{"a": {"steps": ["x"]}}]},
    ),
    (
        "a: {strategy: {matrix: {v: [1, 2]}}, timeout-minutes: 5, steps: [{run: x}]}",
        {"steps": [{"a": {"steps": [{"a_item": {"steps": ["x"]}}]}}]},
    ),
    ("a: {steps: [{uses: actions/checkout@v4}]}", {"steps": [{"a": {"steps": ["a_nothing"]}}]}),
    ("a: {steps: [{run: x}, {run: x}]}", {"steps": [{"a": {"steps": ["a_x", "a_x_2"]}}]}),
]  # fmt: skip


@pytest.mark.parametrize(("jobs", "expected"), JOBS)
def test_jobs_become_groups(jobs: str, expected: object) -> None:
    """A chain of jobs is a sequence, others stand in `parallel`; what always runs, or runs after a failure, comes last."""
    made = made_of(f"on: push\njobs:\n{textwrap.indent(jobs, '  ')}\n")
    found = ids_below(workflow_of(made))

    assert expected == found


def test_a_job_that_may_be_passed_over_takes_those_that_need_it_along() -> None:
    """With GitHub, a job is skipped when one that it needs was."""
    text = "on: push\njobs:\n  a: {if: github.ref == 'x', steps: [{run: x}]}\n  b: {needs: a, steps: [{run: y}]}\n"
    made = made_of(text)
    workflow_of(made)

    assert 'needs: [a]\n        if: steps.a.status != "skipped"\n' in made.text


MATRICES = [
    ("{a: [1, 2], b: [x]}", {"matrix": {"a": (1, 2), "b": ("x",)}}),
    ("{node-version: [3.10, 3.9]}", {"matrix": {"node_version": ("3.10", "3.9")}}),
    ("{a: [1, 2], exclude: [{a: 1}]}", ({"a": 2},)),
    ("{a: [1, 2], include: [{a: 1, b: x}]}", ({"a": 1, "b": "x"}, {"a": 2})),
    ("{a: [1], include: [{b: x}]}", ({"a": 1, "b": "x"},)),
    ("{a: [1], include: [{a: 2, b: x}]}", ({"a": 1}, {"a": 2, "b": "x"})),
    ("{include: [{a: 1}, {a: 2}]}", ({"a": 1}, {"a": 2})),
    ("{a: [1, 2], b: [x, y], exclude: [{a: 1, b: x}, {b: y}]}", ({"a": 2, "b": "x"},)),
]


@pytest.mark.parametrize(("matrix", "expected"), MATRICES)
def test_a_matrix_has_the_same_combinations(matrix: str, expected: object) -> None:
    """`include` and `exclude` are worked out as GitHub does; a version such as 3.10 stays what was written."""
    made = made_of(f"on: push\njobs:\n  a:\n    strategy: {{matrix: {matrix}}}\n    steps: [{{run: x}}]\n")
    (step,) = workflow_of(made).steps
    assert isinstance(step, model.EachStep)
    each = step.each.model_dump() if isinstance(step.each, model.Matrix) else step.each

    assert expected == each


STRATEGIES = [
    ("", {"fail_fast": True, "max_parallel": None}),
    (", fail-fast: false", {"fail_fast": False, "max_parallel": 2}),
    (", max-parallel: 1", {"fail_fast": False, "max_parallel": 1}),
    (", fail-fast: false, max-parallel: 1", {"fail_fast": False, "max_parallel": 1}),
]


@pytest.mark.parametrize(("keys", "expected"), STRATEGIES)
def test_how_much_of_a_matrix_runs_at_once(keys: str, expected: dict[str, object]) -> None:
    """`fail-fast` and `max-parallel` are kept."""
    made = made_of(
        f"on: push\njobs:\n  a:\n    strategy: {{matrix: {{v: [1, 2]}}{keys}}}\n    steps: [{{run: x}}]\n"
    )
    (step,) = workflow_of(made).steps
    assert isinstance(step, model.EachStep)

    assert expected == {"fail_fast": step.fail_fast, "max_parallel": step.max_parallel}


TRIGGERS = [
    ("push", ["github.push", "manual"]),
    ("[push, pull_request]", ["github.push", {"github.pull_request": {"actions": ["opened", "synchronize", "reopened"]}}, "manual"]),
    ("{push: {branches: [main, 'r/**']}}", [{"github.push": {"branches": ["main", "r/**"]}}, "manual"]),
    ("{push: {tags: ['v*']}}", [{"github.tag": {"tags": ["v*"]}}, "manual"]),
    ("{push: {branches-ignore: [x]}}", [{"github.push": {}, "if": '!glob(default(event.ref, ""), "refs/heads/x")'}, "manual"]),
    ("{push: {branches: ['**', '!x']}}", [{"github.push": {"branches": ["**"]}, "if": '!glob(default(event.ref, ""), "refs/heads/x")'}, "manual"]),
    ("{schedule: [{cron: '0 3 * * *'}]}", [{"schedule": {"cron": "0 3 * * *", "catch_up": "none"}}, "manual"]),
    ("{schedule: [{cron: '0 3 * * *', timezone: Europe/Berlin}]}", [{"schedule": {"cron": "0 3 * * *", "timezone": "Europe/Berlin", "catch_up": "none"}}, "manual"]),
    ("workflow_dispatch", ["manual"]),
    ("{release: {types: [published]}}", [{"github.release": {"actions": ["published"]}}, "manual"]),
    ("{workflow_run: {workflows: [CI], types: [completed]}}", [{"github.workflow_run": {"actions": ["completed"]}, "if": 'default(event.workflow_run.name, "") in ["CI"]'}, "manual"]),
    ("watch", ["manual"]),
]  # fmt: skip


@pytest.mark.parametrize(("on", "expected"), TRIGGERS)
def test_events_become_triggers(on: str, expected: list[object]) -> None:
    """Every event that there is here is a trigger; a person can always start a run."""
    made = made_of(f"on: {on}\njobs: {{a: {{steps: [{{run: x}}]}}}}\n")
    found = workflow_of(made).on

    assert expected == [
        {k: dict(v) if isinstance(v, dict) else v for k, v in e.items()} if isinstance(e, dict) else e
        for e in found
    ]


INPUTS = [
    ("{type: string}", {"type": "string", "default": ""}),
    ("{required: true}", {"type": "string"}),
    ("{type: boolean, default: true}", {"type": "boolean", "default": True}),
    ("{type: boolean}", {"type": "boolean", "default": False}),
    ("{type: number, default: 3}", {"type": "number", "default": 3}),
    ("{type: choice, options: [a, b]}", {"type": "string", "enum": ("a", "b"), "default": "a"}),
    ("{type: choice, options: [a, b], default: b, description: Which}", {"type": "string", "enum": ("a", "b"), "default": "b", "title": "Which"}),
    ("{type: environment, required: true}", {"type": "string"}),
]  # fmt: skip


@pytest.mark.parametrize(("declared", "expected"), INPUTS)
def test_inputs_keep_their_types(declared: str, expected: dict[str, object]) -> None:
    """What a person may say at a start is typed as before; an input that may be left out has a default."""
    text = f"on: {{workflow_dispatch: {{inputs: {{my-input: {declared}}}}}}}\njobs: {{a: {{steps: [{{run: x}}]}}}}\n"
    found = workflow_of(made_of(text)).inputs["my_input"]

    assert expected == {name: getattr(found, name) for name in found.model_fields_set}


def test_required_inputs_are_empty_where_nobody_is_asked() -> None:
    """With another trigger an input cannot be required: GitHub leaves it empty, and so do we, and say so."""
    made = made_of(
        "on: {push: , workflow_dispatch: {inputs: {v: {required: true}}}}\njobs: {a: {steps: [{run: x}]}}\n"
    )
    workflow_of(made)

    assert 'v: {type: string, default: ""}' in made.text
    assert [note for note in made.having(Fate.CHANGED) if "`v`" in note.message]


# --- what cannot be taken over --------------------------------------------------------------------------------


def test_an_unknown_action_is_a_task_with_the_original_above_it() -> None:
    """Nothing is lost: a person does it, fills in what others read, and finds the original beside the task."""
    made = made_of(
        job(
            "- id: meta\n  uses: some/thing@v1\n  with: {a: b}\n- run: echo ${{ steps.meta.outputs.my-tag }}\n"
        )
    )
    (group,) = workflow_of(made).steps
    assert isinstance(group, model.GroupStep)
    task = group.steps[0]
    assert isinstance(task, model.TaskStep)

    assert (
        task.id, task.assign, {name: field.required for name, field in task.form.items()},
    ) == ("meta", ("group:ops",), {"my_tag": True})  # fmt: skip
    assert "#   uses: some/thing@v1\n" in made.text
    assert [(note.line, "some/thing@v1" in note.message) for note in made.having(Fate.CANNOT)] == [(6, True)]


def test_a_condition_that_cannot_be_said_is_closed_until_somebody_opens_it() -> None:
    """A step whose condition is not understood does not run by itself; an input lets it run."""
    made = made_of(job("- id: one\n  if: hashFiles('x') != ''\n  run: x\n"))
    workflow = workflow_of(made)

    assert workflow.inputs["run_one"].default is False
    assert "if: inputs.run_one\n" in made.text
    assert [note.line for note in made.having(Fate.CANNOT)] == [7]


def test_only_environments_of_the_project_are_named(tmp_path: Path) -> None:
    """An environment that towpath.yaml does not have is told and left as a comment; one that it has is kept."""
    file = ProjectFile.model_validate({"environments": {"staging": {}}})
    project = Project(folder=tmp_path, file=file, has_file=True)
    text = "on: push\njobs:\n  a: {environment: staging, steps: [{run: x}]}\n  b: {needs: a, environment: prod, steps: [{run: y}]}\n"
    made = made_of(text, project=project)
    checked = loader.check_workflow(made.text, project=project)

    assert render_text(checked.problems) == ""
    assert re.findall(r"^ +(#? ?environment: \w+)", made.text, re.MULTILINE) == [
        "environment: staging",
        "# environment: prod",
    ]
    assert [note.line for note in made.having(Fate.CANNOT)] == [4]


def test_a_workflow_that_is_there_is_called(tmp_path: Path) -> None:
    """A reusable workflow that was imported first is called by its name."""
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "deploy.yaml").write_text(
        "name: deploy\ninputs: {host: {type: string}}\nsteps: [{run: x}]\n"
    )
    project = Project(folder=tmp_path, file=ProjectFile(), has_file=False)
    made = made_of(
        "on: push\njobs:\n  a:\n    uses: ./.github/workflows/deploy.yml\n    with: {host: '${{ github.ref }}'}\n",
        project=project,
    )
    (step,) = workflow_of(made).steps
    assert isinstance(step, model.WorkflowStep)

    assert (step.workflow, dict(step.with_)) == ("deploy", {"host": "${{ inputs.github_ref }}"})


def test_who_does_what_cannot_be_translated() -> None:
    """Tasks go to whom the caller names."""
    made = made_of(job("- uses: some/thing@v1\n"), assignment=Assignment(otherwise="user:ada"))

    assert "assign: [user:ada]" in made.text


NO_WORKFLOWS = [
    ("a: 1", Refused, "no `jobs`"),
    ("jobs: [a]", Refused, "no `jobs`"),
    ("[a]", DefinitionProblems, "mapping"),
    ("a: [", DefinitionProblems, ""),
    ("", DefinitionProblems, "empty"),
]


@pytest.mark.parametrize(("text", "error", "words"), NO_WORKFLOWS)
def test_what_is_no_workflow_is_refused(text: str, error: type[Exception], words: str) -> None:
    """A file that is no workflow of GitHub's is refused with the reason."""
    with pytest.raises(error) as caught:
        made_of(text)
    said = (
        render_text(caught.value.problems)
        if isinstance(caught.value, DefinitionProblems)
        else str(caught.value)
    )

    assert words in said


TEXTS = [file.read_text(encoding="utf-8") for file in CASES]
EDITS = ("", "\n", "  ", "- ", ": ", "{}", "[]", "'", "null", "5", "${{ steps.a.outputs.b }}", "${{ secrets.x }}", "if: ",
         "always()", "matrix", "needs: [a]", "&a", "*a", "!x ", "\t", "é", "${{", "}}", "3.10", "true")  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(TEXTS),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(EDITS)), max_size=4),
)
def test_whatever_is_translated_passes_lint(text: str, edits: list[tuple[float, int, str]]) -> None:
    """However a workflow is damaged, it is refused, or its translation loads; nothing else ever happens."""
    for where, length, put in edits:
        start = int(where * len(text))
        text = text[:start] + put + text[start + length :]
    try:
        made = import_github(text, path="x.yml", stem="x")
    except (DefinitionProblems, Refused):
        return
    checked = loader.check_workflow(made.text)

    assert [p.message for p in checked.problems if p.severity == "error"] == []
