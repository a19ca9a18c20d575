"""A runbook becomes a workflow of manual tasks: what becomes what, and that nothing is lost."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from import_support import EXAMPLES, RUNBOOKS, told

from towpath.definition import loader, model
from towpath.definition.importing import Assignment, Fate, Imported, import_markdown
from towpath.definition.problems import render_text
from towpath.definition.project import ProjectFile
from towpath.errors import LimitExceeded, Refused

CASES = [*sorted(RUNBOOKS.glob("*.md")), *sorted(EXAMPLES.glob("*.md"))]


def made_of(text: str, **options: object) -> Imported:
    """What a runbook becomes."""
    return import_markdown(text, path="runbook.md", stem="runbook", **options)  # type: ignore[arg-type]


def workflow_of(made: Imported) -> model.Workflow:
    """The workflow, which has no problem at all."""
    checked = loader.check_workflow(made.text)
    assert render_text(checked.problems) == ""
    assert checked.workflow is not None
    return checked.workflow


def outline(steps: tuple[model.AnyStep, ...]) -> list[object]:
    """The ids of steps, groups as lists that begin with the group's id."""
    return [
        [step.id, *outline(step.steps)] if isinstance(step, model.GroupStep) else step.id for step in steps
    ]


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_a_runbook_becomes_what_stands_beside_it(file: Path) -> None:
    """A runbook's workflow and its report are, to the character, those in the text beside it."""
    made = import_markdown(file.read_text(encoding="utf-8"), path=file.name, stem=file.stem)
    workflow_of(made)

    assert (RUNBOOKS / f"{file.stem}.txt").read_text(encoding="utf-8") == told(made)


OUTLINES = [
    ("- a\n- b\n", ["a", "b"]),
    ("1. a\n2. b\n", ["a", "b"]),
    ("- [ ] a\n- [x] b\n", ["a", "b"]),
    ("# Title\n- a\n", ["a"]),
    ("# Title\n## One\n- a\n## Two\n- b\n", [["one", "a"], ["two", "b"]]),
    ("# One\n- a\n# Two\n- b\n", [["one", "a"], ["two", "b"]]),
    ("# T\n## One\n### Deep\n- a\n- b\n", [["one", ["deep", "a", "b"]]]),
    ("# T\n#### Deep\n- a\n## Two\n- b\n", [["deep", "a"], ["two", "b"]]),
    ("- a\n  - b\n  - c\n", [["a", "b", "c"]]),
    ("1. a\n   - detail\n", ["a"]),
    ("- [ ] a\n  1. detail\n", ["a"]),
    ("1. a\n   - [ ] b\n", [["a", "b"]]),
    ("## Check\nLook at it.\n## Done\n- a\n", ["check", ["done", "a"]]),
    ("# T\n## Stop\n```sh\nstop\n```\n## Start\n```sh\nstart\n```\n", ["stop", "start"]),
    (
        "# T\n## Stop\nFirst this:\n```sh\none\n```\nThen that:\n```sh\ntwo\n```\n",
        [["stop", "first_this", "then_that"]],
    ),
    ("# T\n## Background\nWhy.\n## Do\n- a\n", [["do", "a"]]),
    ("## Contacts\n- Ada\n- Grace\n\n## Do\n- a\n", [["do", "a"]]),
    ("## 1. Prepare\n- a\n## Step 2: Go\n- b\n", [["prepare", "a"], ["go", "b"]]),
    ("- Same\n- Same\n", ["same", "same_2"]),
    ("## A\n- Same\n## B\n- Same\n", [["a", "a_same"], ["b", "b_same"]]),
    (
        "- 2024 report\n- Überprüfe Größe\n- don't stop\n",
        ["step_2024_report", "uberprufe_grosse", "dont_stop"],
    ),
    ("> - quoted\n\n- a\n", ["a"]),
]


@pytest.mark.parametrize(("text", "expected"), OUTLINES)
def test_headings_become_groups_and_items_steps(text: str, expected: list[object]) -> None:
    """Headings hold steps, items are steps, and a list marked more weakly than its item is detail."""
    assert expected == outline(workflow_of(made_of(text)).steps)


SENTENCES = [
    ("Tell support (@anna, 5 min)", "Tell support", ("user:anna",), 300.0),
    ("Tell support @anna", "Tell support", ("user:anna",), None),
    ("Ask @anna about it", "Ask @anna about it", ("user:anna",), None),
    ("Ask @anna", "Ask @anna", ("user:anna",), None),
    ("Call @acme/dba-team", "Call @acme/dba-team", ("group:dba_team",), None),
    ("Look (owner: DBA team)", "Look", ("group:dba",), None),
    ("Look. Owner: platform", "Look", ("group:platform",), None),
    ("Look [responsible: oncall:dba]", "Look", ("oncall:dba",), None),
    ("Wait (about 2 h)", "Wait", ("group:ops",), 7200.0),
    ("Wait (5-10 min)", "Wait", ("group:ops",), 600.0),
    ("Look (it takes a while)", "Look (it takes a while)", ("group:ops",), None),
    ("Write to ops@example.org", "Write to ops@example.org", ("group:ops",), None),
    ("Use `@decorator`", "Use `@decorator`", ("group:ops",), None),
    ("**Stop** the _shop_ now:", "Stop the shop now", ("group:ops",), None),
    ("Read [the page](https://x.example)", "Read the page", ("group:ops",), None),
]


@pytest.mark.parametrize(("sentence", "title", "assign", "takes"), SENTENCES)
def test_a_sentence_says_who_and_how_long(
    sentence: str, title: str, assign: tuple[str, ...], takes: float | None
) -> None:
    """`@name`, `Owner: group` and `(10 min)` say who does a step and what it costs; the rest is its title."""
    (step,) = workflow_of(made_of(f"- {sentence}\n")).steps
    assert isinstance(step, model.TaskStep)

    assert (title, assign, takes) == (step.task, step.assign, step.takes)


def test_an_owner_of_a_section_does_its_steps() -> None:
    """`Owner:` below a heading counts for all that stands below it, unless a step names somebody."""
    text = "# T\n## One\nOwner: dba\n- a\n- b (@eve)\n### Deep\n- c\n## Two\n- d\n"
    made = made_of(text)
    steps = {found[1]: found[2] for found in re.finditer(r"id: (\w)\n.*\n +assign: \[(.*)\]", made.text)}

    assert steps == {"a": "group:dba", "b": "user:eve", "c": "group:dba", "d": "group:ops"}


PEOPLE = ProjectFile.model_validate(
    {"people": {"users": {"ada": {}}, "groups": {"leads": ["user:ada"], "operators": ["user:ada"]}}}
).people


def test_only_people_of_the_project_are_assigned() -> None:
    """Who the project does not know is told, and the project's operators do it until somebody is named."""
    made = made_of("- a @ada\n- b @nobody\n- c\n", assignment=Assignment(people=PEOPLE))

    assert re.findall(r"assign: \[(.*)\]", made.text) == ["user:ada", "group:operators", "group:operators"]
    assert [note.line for note in made.having(Fate.CANNOT)] == [2]


def suggested(made: Imported) -> list[str]:
    """The commented lines below steps."""
    return re.findall(r"^ +# ?(.*)$", made.text, re.MULTILINE)


SUGGESTIONS = [
    ("- a\n\n  ```sh\n  make\n  ```\n", ["run: make"]),
    ("- a\n\n  ```\n  make\n  ```\n", ["run: make"]),
    ("- a\n\n      make\n      make all\n", ["run: |", "  make", "  make all"]),
    ("- a\n\n  ```python\n  print(1)\n  ```\n", ["run: print(1)", "shell: python"]),
    ("- a\n\n  ```console\n  $ make\n  done\n  $ ls \\\n  >   -l\n  total 0\n  ```\n", ["run: |", "  make", "  ls \\", "    -l"]),
    ("- a\n\n  ```sql\n  select 1\n  ```\n", []),
    ("- a\n\n  ```yaml\n  a: 1\n  ```\n", []),
    ("- Run `make all`\n", ["run: make all"]),
    ("- `make`\n", ["run: make"]),
    ("- Look at `make`\n", []),
    ("- a\n\n  ```sh\n  ssh <host> uptime\n  ```\n", ['run: ssh "$HOST" uptime', 'env: {HOST: "${{ inputs.host }}"}']),
    ("- a\n\n  ```sh\n  ssh $HOST uptime\n  ```\n", ["run: ssh $HOST uptime", 'env: {HOST: "${{ inputs.host }}"}']),
    ("- a\n\n  ```sh\n  X=1; echo $X $HOME $1\n  ```\n", ["run: X=1; echo $X $HOME $1"]),
    ("- a\n\n  ```sh\n  cat <input >output\n  ```\n", ["run: cat <input >output"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), SUGGESTIONS)
def test_commands_are_suggested_and_never_run(text: str, expected: list[str]) -> None:
    """A command stays manual: it is shown in the instructions, and suggested in a comment below the task."""
    made = made_of(text)
    workflow = workflow_of(made)

    assert expected == suggested(made)
    assert {step.kind for step in workflow.steps} == {"task"}


def test_placeholders_become_inputs() -> None:
    """`<host>` and `$HOST` are one input that a start has to give; HTML, prompts and local variables are none."""
    text = "- Go to <host> by <br> <your-user>\n\n  ```sh\n  for H in 1 2; do ssh $HOST $H; done\n  ```\n"
    workflow = workflow_of(made_of(text))
    (step,) = workflow.steps
    assert isinstance(step, model.TaskStep)

    assert {name: given.has_default for name, given in workflow.inputs.items()} == {
        "host": False,
        "user": False,
    }
    assert step.task == "Go to ${{ inputs.host }} by <br> ${{ inputs.user }}"


def test_what_looks_like_an_expression_stays_text() -> None:
    """`${{ … }}` of a runbook is never evaluated."""
    text = "# ${{ a }}\nAbout ${{ b }}.\n- Say ${{ c }}\n\n  ```sh\n  echo ${{ d }}\n  ```\n"
    made = made_of(text)
    (step,) = workflow_of(made).steps
    assert isinstance(step, model.TaskStep)

    assert step.task == "Say $${{ c }}"
    assert "$${{ d }}" in (step.instructions or "")
    assert suggested(made) == []


REFUSED = ["", "\n\n", "Only words.\n", "---\ntitle: a\n---\n"]


@pytest.mark.parametrize("text", REFUSED)
def test_a_text_in_which_nothing_is_to_be_done_is_refused(text: str) -> None:
    """Without a list, a heading or a command there is no workflow."""
    with pytest.raises(Refused, match="nothing to do"):
        made_of(text)


def test_limits_have_names() -> None:
    """A runbook that is too long, or has too many steps, is refused by name."""
    with pytest.raises(LimitExceeded, match="256 KiB"):
        made_of("- a\n" * 70_000)
    with pytest.raises(LimitExceeded, match="2,000"):
        made_of("- a\n" * 2_001)


def test_deep_lists_stay_text_and_nothing_breaks() -> None:
    """Lists inside lists become groups to a limit; below it they stay text, however deep they are."""
    text = "".join(f"{'  ' * depth}- level {depth}\n" for depth in range(80))
    made = made_of(text)
    workflow_of(made)

    assert "level 20" in made.text


HOSTILE = [
    "- a" + " " * 100_000 + "(",
    "- " + "@a" * 50_000,
    "- " + "(" * 50_000,
    "- " + "<" * 50_000 + "a>",
    "- " + "`" * 50_000,
    "- " + "[" * 20_000 + "a](b)",
    "- a\n\n  ```\n  " + " " * 100_000 + "$ x\n  ```\n",
    "- a\n\n  ```\n  " + "$" * 100_000 + "\n  ```\n",
    "- a\n\nOwner: " + " ." * 50_000 + "x\n",
    "> " * 5_000 + "a\n\n- b\n",
    "- a\n\n" + "|a" * 20_000 + "\n" + "|-" * 20_000 + "\n",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_runbook_costs_no_more_than_its_length(text: str) -> None:
    """Long runs of blanks, brackets and signs are read in a few seconds at the most."""
    start = time.perf_counter()
    workflow_of(made_of(text))

    assert time.perf_counter() - start < 10


def test_examples_fit_into_their_project() -> None:
    """The runbooks among the examples name people that the examples' project has."""
    project = loader.load_project(EXAMPLES.parent)
    for file in sorted(EXAMPLES.glob("*.md")):
        made = import_markdown(
            file.read_text(encoding="utf-8"),
            path=file.name,
            stem=file.stem,
            assignment=Assignment(people=project.file.people),
        )
        assert render_text(loader.check_workflow(made.text, project=project).problems) == ""
        assert [note.message for note in made.having(Fate.CANNOT) if "project" in note.message] == []


def words_lost(text: str, made: Imported) -> list[str]:
    """Words of a runbook that stand neither in the workflow nor in a note about their line."""
    noted = {note.line for note in made.notes if note.fate is not Fate.TRANSLATED}
    plain = made.text.replace("\\", "")
    lost = []
    for number, line in enumerate(text.split("\n"), start=1):
        if number in noted:
            continue
        bare = re.sub(
            r"<[A-Za-z][^>]*>|\(\d[^)]*\)|@[\w/.-]+|\b(?:owner|done by): [^)]*",
            " ",
            line,
            flags=re.IGNORECASE,
        )
        lost += [word for word in re.findall(r"[A-Za-z]{4,}", bare) if word not in plain]
    return lost


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_no_word_of_a_runbook_is_lost(file: Path) -> None:
    """Every word is in the workflow, or its line is in the report."""
    text = file.read_text(encoding="utf-8")
    made = import_markdown(text, path=file.name, stem=file.stem)

    assert words_lost(text, made) == []


LINES = sorted({line for file in CASES for line in file.read_text(encoding="utf-8").split("\n")})


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(LINES) | st.text("-*#>`~[]()<>|: \tab1.$@", max_size=12), max_size=25))
def test_any_mixture_of_lines_loads_and_loses_nothing(lines: list[str]) -> None:
    """Whatever lines follow each other, the outcome passes lint and holds every word, or says where it was."""
    text = "\n".join(["- begin", "", *lines])
    made = made_of(text)
    workflow_of(made)

    assert words_lost(text, made) == []
