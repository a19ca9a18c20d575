"""`tow lint` and `tow schema`: what is printed, in every form, and the exit code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result
from definition_support import FILES, PROJECTS, REPOSITORY

from towpath.cli import exit_codes, lint, schema

GOOD = "name: good\nsteps: [{run: make}]\n"
WARNED = "name: warned\nenv: {PYTHON: 3.10}\nsteps: [{run: make}]\n"
BAD = "name: bad\nsteps: [{run: make, tile: a}]\n"


def run_lint(*arguments: str, text: str | None = None) -> Result:
    """The command's answer."""
    return CliRunner().invoke(lint.command, arguments, input=text)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder in which the command runs."""
    (tmp_path / "towpath.yaml").write_text("name: here\n")
    (tmp_path / "workflows").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


EXIT_CODES = [
    (GOOD, (), exit_codes.OK),
    (WARNED, (), exit_codes.OK),
    (WARNED, ("--strict",), exit_codes.FAILED),
    (BAD, (), exit_codes.FAILED),
    ("", (), exit_codes.FAILED),
]


@pytest.mark.parametrize(("text", "options", "code"), EXIT_CODES)
@pytest.mark.parametrize("form", ["text", "json", "sarif", "github"])
def test_the_exit_code_says_whether_there_are_errors(
    folder: Path, text: str, options: tuple[str, ...], code: int, form: str
) -> None:
    """0 without errors, 1 with one, in every form; `--strict` counts warnings."""
    file = folder / "workflows" / "a.yaml"
    file.write_text(text)

    assert code == run_lint(str(file), "--format", form, *options).exit_code


def test_a_file_that_is_not_there_is_a_problem() -> None:
    """A wrong name is told like any other problem."""
    result = run_lint("nowhere/at_all.yaml")

    assert result.exit_code == exit_codes.FAILED
    assert "nowhere/at_all.yaml: error TOW001 unreadable" in result.output


def test_the_whole_project_is_read_when_nothing_is_named(folder: Path) -> None:
    """Without a name, towpath.yaml and every workflow of the project are checked, and counted."""
    (folder / "workflows" / "good.yaml").write_text(GOOD)
    (folder / "workflows" / "bad.yml").write_text(BAD)
    result = run_lint()

    assert "workflows/bad.yml:2:21: error TOW101 unknown-key" in result.output
    assert result.output.endswith("✗ 1 error in 1 of 3 files\n")


def test_a_clean_project_says_so_in_one_line(folder: Path) -> None:
    """Nothing is printed but that there is nothing to say."""
    (folder / "workflows" / "good.yaml").write_text(GOOD)

    assert run_lint().output == "✓ 2 files, no problems\n"


def test_a_broken_project_file_does_not_hide_the_workflows(folder: Path) -> None:
    """What is wrong with towpath.yaml is told once, and the workflows are checked all the same."""
    (folder / "towpath.yaml").write_text("nmae: here\n")
    (folder / "workflows" / "bad.yaml").write_text(BAD)
    output = run_lint().output

    assert [
        output.count("towpath.yaml:1:1: error TOW101"),
        output.count("workflows/bad.yaml:2:21: error"),
    ] == [1, 1]


def test_a_folder_stands_for_its_files(folder: Path) -> None:
    """A folder that is no project stands for the workflow files in it."""
    (folder / "workflows" / "bad.yaml").write_text(BAD)

    assert "1 error in 1 file" in run_lint("workflows").output


def test_standard_input_is_a_workflow() -> None:
    """`-` reads a workflow from standard input."""
    result = run_lint("-", text=BAD)

    assert result.exit_code == exit_codes.FAILED
    assert result.output.startswith("<stdin>:2:21: error TOW101")


def test_twelve_mistakes_are_printed_in_one_go() -> None:
    """The file with 12 mistakes prints 12 errors with their lines and carets, with the real actions."""
    output = run_lint(str(FILES / "twelve_mistakes.yaml")).output

    carets = re.findall(r"^ +\| +\^+$", output, re.MULTILINE)

    assert (output.count(": error TOW"), len(carets)) == (12, 12)
    assert output.endswith("✗ 12 errors in 1 file\n")


def test_json_holds_every_part_of_a_problem(folder: Path) -> None:
    """Programs get counts and all fields."""
    (folder / "workflows" / "bad.yaml").write_text(BAD)
    report = json.loads(run_lint("--format", "json").output)

    assert report == {
        "errors": 1,
        "warnings": 0,
        "problems": [
            {
                "code": "TOW101",
                "name": "unknown-key",
                "severity": "error",
                "message": "a `run` step has no `tile`",
                "path": "workflows/bad.yaml",
                "line": 2,
                "column": 21,
                "end_column": 25,
                "excerpt": "steps: [{run: make, tile: a}]",
                "help": "did you mean `title`?",
            }
        ],
    }


def test_github_gets_annotations(folder: Path) -> None:
    """A pull request shows each problem at its line; separators inside the texts are escaped."""
    (folder / "workflows" / "bad.yaml").write_text(BAD)

    assert run_lint("--format", "github").output == (
        "::error file=workflows/bad.yaml,line=2,col=21,endColumn=25,title=TOW101 unknown-key::"
        "a `run` step has no `tile`%0Adid you mean `title`?\n"
    )


def test_github_gets_nothing_when_there_is_nothing(folder: Path) -> None:
    """A clean project makes no annotation."""
    (folder / "workflows" / "good.yaml").write_text(GOOD)

    assert run_lint("--format", "github").output == ""


SARIF_SHAPE = {
    "type": "object",
    "required": ["$schema", "version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "runs": {
            "minItems": 1,
            "items": {
                "required": ["tool", "results"],
                "properties": {
                    "tool": {"properties": {"driver": {"required": ["name", "version", "rules"]}}},
                    "results": {
                        "items": {
                            "required": ["ruleId", "ruleIndex", "level", "message", "locations"],
                            "properties": {
                                "level": {"enum": ["error", "warning", "note", "none"]},
                                "message": {"required": ["text"]},
                            },
                        }
                    },
                },
            },
        },
    },
}
"""What SARIF 2.1.0 asks of the parts that are used."""


def test_sarif_is_what_code_scanners_read() -> None:
    """The log has the parts that SARIF 2.1.0 asks for, and every result points to its rule."""
    log = json.loads(run_lint(str(FILES / "twelve_mistakes.yaml"), "--format", "sarif").output)
    jsonschema.validate(log, SARIF_SHAPE)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]

    assert [rules[result["ruleIndex"]]["id"] for result in run["results"]] == [
        r["ruleId"] for r in run["results"]
    ]
    assert run["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] == 2


def test_colours_are_for_terminals_only() -> None:
    """What is piped has no escape sequences; a terminal gets them."""
    file = str(FILES / "twelve_mistakes.yaml")
    plain = CliRunner().invoke(lint.command, [file]).output
    coloured = CliRunner().invoke(lint.command, [file], color=True).output

    assert ("\x1b[" in plain, "\x1b[" in coloured) == (False, True)


def test_a_file_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    """Escape sequences of a file, or of its name, never reach the terminal."""
    file = tmp_path / "a.yaml"
    file.write_bytes(b"name: \x1b]0;title\x07\x1b[31m\n")

    assert "\x1b" not in run_lint(str(file)).output


def test_the_examples_are_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples have no problem."""
    monkeypatch.chdir(REPOSITORY / "examples")

    assert "no problems" in run_lint("--strict").output


def test_a_project_is_told_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command finds in a project what its files say of each other."""
    monkeypatch.chdir(PROJECTS / "calls")
    output = run_lint().output

    assert {"TOW304", "TOW405", "TOW607"} <= {word for word in output.split() if word.startswith("TOW")}


def test_the_schema_is_printed_or_written(folder: Path) -> None:
    """`tow schema` prints JSON, or writes it where `--output` says."""
    printed = CliRunner().invoke(schema.command, ["workflow"])
    written = CliRunner().invoke(schema.command, ["project", "--output", "project.json"])

    assert (printed.exit_code, written.exit_code) == (0, 0)
    assert json.loads(printed.output)["title"] == "A Towpath workflow"
    assert json.loads((folder / "project.json").read_text())["title"] == "A Towpath project"
