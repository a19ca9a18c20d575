"""Docs, schema and code name the same things.

The reference pages are made from the code, so they agree when making them again changes nothing. Pages
that people write are held to the code where they list something that the code knows.
"""

from __future__ import annotations

import re
import typing
from types import ModuleType

import pytest
from house_sources import ROOT, SOURCE, load_script

from towpath.core import flow, rollback, run
from towpath.core.blocks import leaf
from towpath.definition import model, project, schema, triggers

generate = load_script(ROOT / "docs" / "generate.py")
DOCS = ROOT / "docs"

NAMES = (
    "Run, workflow, step, attempt, block, path, stimulus, event, command, journal, gate, task, inbox, "
    "actor, trigger, delivery, action, integration, worker, environment, rollback, catch, finally, check, "
    "idempotent, approval, secret, artifact, owner, mailbox, scope, frame, decider, egress, rehearsal, "
    "digest"
)
"""The words of the architecture, and those that its pages use for ideas of their own."""


def first_cells(page: str, heading: str) -> list[str]:
    """The names in code in the first column of the table under *heading*."""
    text = (DOCS / page).read_text(encoding="utf-8")
    below = text.split(f"# {heading}\n", 1)[1]
    section = re.split(r"^#+ ", below, maxsplit=1, flags=re.MULTILINE)[0]
    rows = [row.split("|")[1] for row in section.splitlines() if row.startswith("| ")]
    return [name for row in rows[2:] for name in re.findall(r"`([^`]+)`", row)]


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_reference_page_is_what_the_code_says(name: str) -> None:
    """What the code names stands in the reference, with what the code says of it, and nothing else does."""
    made = generate.page(generate.PAGES[name])

    assert made == (DOCS / "reference" / name).read_text(encoding="utf-8"), (
        "run ./dev docs and commit what it wrote"
    )


def test_the_glossary_has_every_name() -> None:
    """A word that the code and the pages use for an idea is explained once, in alphabetical order."""
    terms = re.findall(r"^(\w[^\n]*)\n:   ", (DOCS / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    wanted = {name.strip().lower() for name in NAMES.split(",")}

    assert wanted - {term.lower() for term in terms} == set()
    assert terms == sorted(set(terms), key=str.lower)


def test_the_run_states_are_those_of_the_core() -> None:
    """The page of the states lists every state of a run, on its way and at its end."""
    on_the_way = first_cells("reference/run-states.md", "A run on its way")
    ended = first_cells("reference/run-states.md", "A run at its end")

    assert sorted(ended) == sorted(run.END_STATES)
    assert sorted(on_the_way + ended) == sorted(typing.get_args(run.RunStatus))


def test_the_step_states_are_those_of_the_core() -> None:
    """The page of the states lists every state of a step."""
    assert sorted(first_cells("reference/run-states.md", "A step")) == sorted(typing.get_args(run.NodeStatus))


@pytest.mark.parametrize("page", ["reference/expressions.md", "glossary.md"])
def test_the_kinds_of_error_are_those_of_the_core(page: str) -> None:
    """The closed list of error kinds is the same wherever it is written."""
    text = (DOCS / page).read_text(encoding="utf-8")
    listed = next(
        found
        for line in text.splitlines()
        if "`unreachable`" in line and (found := re.findall(r"`(\w+)`", line))
    )

    assert listed == list(typing.get_args(run.ErrorKind))


def test_every_kind_of_step_has_an_example() -> None:
    """The reference shows how each kind of step is written."""
    assert sorted(generate.STEP_EXAMPLES) == sorted(model.STEP_KINDS)


@pytest.mark.parametrize(
    ("heading", "choices"),
    [
        ("An approval", ("approve", "reject", "send_back")),
        ("A task", ("done", "failed")),
        ("A failure", flow.FAILURE_CHOICES),
        ("An unknown outcome", leaf.UNKNOWN_CHOICES),
        ("A failed rollback", rollback.ROLLBACK_CHOICES),
    ],
)
def test_the_choices_are_those_of_the_core(heading: str, choices: tuple[str, ...]) -> None:
    """The page of questions lists what can be answered to each kind."""
    text = (DOCS / "reference" / "questions.md").read_text(encoding="utf-8")
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]

    assert tuple(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == choices


def test_every_kind_of_question_is_described() -> None:
    """The page of questions has a section for each kind that the core asks."""
    kinds = typing.get_args(typing.get_type_hints(run.Question)["kind"])
    headings = re.findall(
        r"^## ", (DOCS / "reference" / "questions.md").read_text(encoding="utf-8"), re.MULTILINE
    )

    assert len(headings) == len(kinds)


def test_every_variable_is_described() -> None:
    """What `tow` reads from its environment, or puts into that of a step, is on the page about scripts."""
    page = (DOCS / "reference" / "scripts.md").read_text(encoding="utf-8")
    code = "\n".join(path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py"))
    # With an underline before it, the variable is click's own.
    named = set(re.findall(r"(?<!_)TOW_[A-Z][A-Z_]*[A-Z]", code))

    assert sorted(named) == sorted(set(re.findall(r"TOW_[A-Z][A-Z_]*[A-Z]", page)))


PARTS = {
    name: part
    for module in (model, project, triggers)
    for name, part in vars(module).items()
    if isinstance(part, type) and issubclass(part, model.Part)
}
SCHEMAS = {"workflow": schema.workflow_schema(), "project": schema.project_schema()}


@pytest.mark.parametrize(
    ("name", "defined"),
    [
        pytest.param(name, defined, id=f"{which}-{name}")
        for which, whole in SCHEMAS.items()
        for name, defined in whole["$defs"].items()
        if name in PARTS and name != "Step"  # `Step` is the choice between the kinds
    ],
)
def test_the_schema_has_the_keys_of_the_model(name: str, defined: dict[str, typing.Any]) -> None:
    """`tow schema` tells an editor every key that the program takes, and no other, with what it means."""
    fields = PARTS[name].model_fields
    told = {key: value.get("description") for key, value in defined.get("properties", {}).items()}

    taken = {field.alias or key for key, field in fields.items()}
    # A kind of step does not show the keys of every step that have no effect on it.
    hidden = (
        {field.alias or key for key, field in model.Step.model_fields.items()}
        if name.endswith("Step")
        else set()
    )

    assert set(told) <= taken
    assert taken - set(told) <= hidden
    assert [key for key, said in told.items() if not said] == []


def test_the_schema_has_every_part_of_the_model() -> None:
    """No part of the language is missing from the schemas; a file's own keys stand at their top."""
    known = {name for whole in SCHEMAS.values() for name in whole["$defs"]}
    tops = {field.alias or key for key, field in model.Workflow.model_fields.items()}

    # Bases and tops of files have no definition of their own.
    assert (
        set(PARTS) - known - {"Part", "Question", "Workflow", "ProjectFile", "Options", "Verified"} == set()
    )
    assert set(SCHEMAS["workflow"]["properties"]) == tops


def described(module: ModuleType) -> list[str]:
    """The classes of the model whose fields are not all described."""
    return [
        f"{name}.{field}"
        for name, part in vars(module).items()
        if isinstance(part, type) and issubclass(part, model.Part)
        for field, info in part.model_fields.items()
        if not info.description
    ]


def test_every_key_is_described() -> None:
    """No key of the language is without a sentence that says what it means."""
    assert [*described(model), *described(project), *described(triggers)] == []
