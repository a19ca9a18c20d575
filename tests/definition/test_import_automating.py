"""One step goes from hand to script and back, and every other character of the file stays."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from import_support import EXAMPLES, RUNBOOKS

from towpath.definition import loader, model, source
from towpath.definition.importing import automating, import_markdown
from towpath.definition.importing.automating import Around
from towpath.definition.problems import DefinitionProblems, render_text
from towpath.errors import NotFound, Refused

AROUND = Around(path="f.yaml")
BEFORE = textwrap.dedent(
    """\
    # The file's head.
    name: f
    steps:
      # above
      - id: first   # beside the id
        task: "Do: it"    # beside the task
        # between
        instructions: |
          Look.

            Twice.
        assign: [group:ops]
        takes: 10m   # stays
        if: run.id != "a"
        form:
          link: {type: string}
          count: {type: integer}
        # run: |
        #   a
        #
        #   b
        # behind the step

      # above the second
      - title: Says both
        task: Two
        id: second
        assign:
        - user:ada
      - {id: third, task: Three, assign: [group:ops], takes: 5m}  # behind
      - id: group
        steps:
          - assign: [group:ops]
            id: inner
            task: >-
              Folded
              text
            remind: 1h
        rollback: {id: undo, task: Undo, assign: [group:ops]}
      - id: last
        run: echo "$LINK" "$COUNT"
        env: {LINK: "${{ steps.first.outputs.link }}", COUNT: "${{ steps.first.outputs.count }}"}
    # the end
    """
)


def changed_lines(before: str, after: str) -> tuple[list[str], list[str]]:
    """The lines that are only in the one and only in the other, from the first to the last that differ."""
    old, new = before.splitlines(), after.splitlines()
    while old and new and old[0] == new[0]:
        old, new = old[1:], new[1:]
    while old and new and old[-1] == new[-1]:
        old, new = old[:-1], new[:-1]
    return old, new


def automated(step: str, run: str | None = None, text: str = BEFORE) -> str:
    """The file with the step automated."""
    return automating.automate(text, step, run=run, around=AROUND).after


CASES = [
    (
        "first",
        "./do.sh",
        [
            '    title: "Do: it"    # beside the task',
            "    # between",
            "    # instructions: |",
            "    #   Look.",
            "    #",
            "    #     Twice.",
            "    # assign: [group:ops]",
            "    takes: 10m   # stays",
            '    if: run.id != "a"',
            "    # form:",
            "    #   link: {type: string}",
            "    #   count: {type: integer}",
            "    run: ./do.sh",
            '    outputs: {link: "${{ outputs.link }}", count: "${{ int(outputs.count) }}"}',
        ],
    ),
    (
        "second",
        "a: b\nc",
        ["    run: |", "      a: b", "      c", "    # task: Two", "    id: second", "    # assign:", "    # - user:ada"],
    ),
    (
        "third",
        "make",
        ["  - id: third", "    title: Three", "    run: make", "    # assign: [group:ops]", "    takes: 5m", "    # behind"],
    ),
    (
        "inner",
        "make",
        [
            "      - id: inner",
            "        # assign: [group:ops]",
            "        title: >-",
            "          Folded",
            "          text",
            "        run: make",
            "        # remind: 1h",
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("step", "run", "expected"), CASES, ids=[case[0] for case in CASES])
def test_a_step_is_automated_where_it_stands(step: str, run: str, expected: list[str]) -> None:
    """Id, title, comments, order and form of everything else stay; a task's own keys become comments."""
    after = automated(step, run)

    assert changed_lines(BEFORE, after)[1] == expected
    assert render_text(loader.check_workflow(after).problems) == ""


def test_the_title_that_there_is_stays() -> None:
    """A task with a title keeps it; its question becomes a comment."""
    after = automated("second", "make")

    assert "  - title: Says both\n    run: make\n    # task: Two\n    id: second\n" in after


ALL_CASES = [(file, file.stem) for file in (*sorted(RUNBOOKS.glob("*.md")), *sorted(EXAMPLES.glob("*.md")))]


@pytest.mark.parametrize(("file", "stem"), ALL_CASES, ids=[case[1] for case in ALL_CASES])
def test_both_ways_undo_each_other(file: Path, stem: str) -> None:
    """A step that is automated from its suggestion and made manual again leaves the file as it was, to the character."""
    text = import_markdown(file.read_text(encoding="utf-8"), path=file.name, stem=stem).text
    tried = 0
    for step in automating.step_ids(source.read_source(text, path="f")):
        try:
            after = automating.automate(text, step, around=AROUND).after
        except Refused:
            continue
        tried += 1
        workflow = loader.load_workflow(after).workflow
        assert step in {found.id for found in every_step(workflow) if isinstance(found, model.RunStep)}
        assert text == automating.make_manual(after, step, around=AROUND).after
    assert tried


def every_step(part: model.Workflow | model.Step) -> list[model.Step]:
    """All steps of a workflow."""
    return [found for _, steps in part.children() for step in steps for found in (step, *every_step(step))]


SCRIPT = textwrap.dedent(
    """\
    name: f
    steps:
      - id: build
        title: Build it   # said
        run: |
          make

          make test
        env: {A: b}
        retry: {attempts: 3}
        outputs: [image]
        timeout: 10m
        rollback: {run: ./undo.sh}
      - uses: log
        id: say
        with: {message: "${{ steps.build.outputs.image }}"}
    """
)


def test_a_script_becomes_a_task() -> None:
    """What people read elsewhere becomes the form; what the script said stays as a suggestion."""
    after = automating.make_manual(SCRIPT, "build", assign="group:ops", around=AROUND).after

    assert changed_lines(SCRIPT, after)[1] == [
        "    task: Build it   # said",
        "    assign: [group:ops]",
        "    form: {image: {type: string, required: true}}",
        "    # run: |",
        "    #   make",
        "    #",
        "    #   make test",
        "    # env: {A: b}",
        "    # retry: {attempts: 3}",
        "    # outputs: [image]",
    ]
    back = automating.automate(after, "build", around=AROUND).after
    assert "    run: |\n      make\n\n      make test\n    env: {A: b}\n" in back


def test_an_action_becomes_a_task_too() -> None:
    """A step without a title is asked for by its id."""
    after = automating.make_manual(SCRIPT, "say", assign="user:ada", around=AROUND).after

    assert changed_lines(SCRIPT, after)[1] == [
        "  - id: say",
        "    # uses: log",
        "    task: Say",
        "    assign: [user:ada]",
        '    # with: {message: "${{ steps.build.outputs.image }}"}',
    ]


REFUSED = [
    (lambda: automated("nothing"), NotFound, "no step `nothing`"),
    (lambda: automated("secnd"), NotFound, "no step"),
    (lambda: automated("second"), Refused, "nothing is suggested"),
    (lambda: automated("last", "x"), Refused, "automated already"),
    (lambda: automated("group", "x"), Refused, "only a task"),
    (lambda: automated("undo", "x"), Refused, "with other things"),
    (lambda: automated("a", "x", "name: f\nsteps: [{id: a, task: A, assign: [user:a]}]\n"), Refused, "with other things"),
    (lambda: automated("a", "x", "name: f\nsteps:\n  - {id: a, task: A,\n     assign: [user:a]}\n"), Refused, "with other things"),
    (lambda: automating.make_manual(BEFORE, "first", around=AROUND), Refused, "people already"),
    (lambda: automating.make_manual(BEFORE, "group", around=AROUND), Refused, "only a script"),
    (lambda: automating.make_manual(SCRIPT, "build", around=AROUND), Refused, "nobody"),
    (lambda: automated("first", "echo ${{ inputs.x }}"), DefinitionProblems, "expression"),
    (lambda: automated("a", "x", "name: ["), DefinitionProblems, ""),
    (
        lambda: automating.make_manual(SCRIPT, "build", assign="nobody", around=AROUND),
        DefinitionProblems,
        "nobody",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "words"), REFUSED)
def test_what_cannot_be_done_is_refused(call, error: type[Exception], words: str) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001 - a lambda
    """A step that is not there, not a task, or would not load is refused with the reason, and nothing changes."""
    with pytest.raises(error) as caught:
        call()
    text = (
        render_text(caught.value.problems)
        if isinstance(caught.value, DefinitionProblems)
        else str(caught.value)
    )

    assert words in text


def test_a_mistake_elsewhere_does_not_stand_in_the_way() -> None:
    """What was wrong with the file before is not held against the change."""
    broken = BEFORE + "colour: red\n"

    assert automated("second", "make", broken).endswith("colour: red\n")


def test_a_missing_cost_is_hinted_at() -> None:
    """Without `takes` nobody can say later what was saved."""
    change = automating.automate(BEFORE, "second", run="make", around=AROUND)
    kept = automating.automate(BEFORE, "third", run="make", around=AROUND)

    assert (["takes" in hint for hint in change.hints], kept.hints) == ([True], ())
