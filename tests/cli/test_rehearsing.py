"""`tow run --dry-run`, `--save` and `--plan`: as a person types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from towpath.cli import exit_codes

Tow = Callable[..., Any]  # Any: what `conftest.Said` is
Write = Callable[[str, str], None]

FILES = """
inputs: {skip: {type: boolean, default: true}, text: {type: string, default: some text}}
steps:
  - {id: put, uses: file.write, with: {path: new.txt, content: "${{ inputs.text }}\\n"}}
  - {id: never, if: "!inputs.skip", run: "true"}
  - {id: later, run: echo "$X", env: {X: "${{ steps.put.outputs.sha256 }}", Y: "${{ run.id }}"}}
"""


def rows_of(said: str) -> list[str]:
    """The lines of an output, with single blanks."""
    return [" ".join(row.split()) for row in said.splitlines()]


def test_a_dry_run_tells_every_step(tow: Tow, write: Write, project: Path) -> None:
    """Changes with their difference, skipped steps with their condition, values as far as they are known, and a sum."""
    write("files", FILES)

    said = tow("run", "files", "--dry-run")
    rows = rows_of(said.out)

    assert said.code == exit_codes.OK
    assert "files dry run: nothing is done" in rows
    assert f"~ put file.write creates {project}/new.txt" in rows
    assert "+some text" in rows
    assert "– never run skipped: !inputs.skip does not hold" in rows
    assert "Y=${{ run.id }}" in rows
    assert any(row.startswith("X=") and "$" not in row for row in rows)
    assert any(row.startswith("1 change; 1 step whose changes cannot be foreseen") for row in rows)
    assert not (project / "new.txt").exists()
    assert not (project / ".towpath").exists()


def test_a_dry_run_as_data(tow: Tow, write: Write, project: Path) -> None:
    """--json gives the same as data: happens, effect, changes, values and the digest."""
    write("files", FILES)

    told = json.loads(tow("run", "files", "--dry-run", "--json").out)
    put, never, later = told["steps"]

    assert (told["dry_run"], told["workflow"], told["changes"], told["unforeseen"]) == (True, "files", 1, 1)
    assert [(one["name"], one["happens"], one["effect"]) for one in told["steps"]] == [
        ("put", "yes", "changes"),
        ("never", "no", "inside"),
        ("later", "yes", "unknown"),
    ]
    assert [(change["verb"], change["target"]) for change in put["changes"]] == [
        ("create", f"{project}/new.txt")
    ]
    assert never["says"] == ["skipped: !inputs.skip does not hold"]
    assert later["later"] == ["run.id"]


def test_without_reads_nothing_is_looked_at(tow: Tow, write: Write, project: Path) -> None:
    """--no-reads runs no check and asks no action, and says so."""
    write(
        "looks",
        """
        steps:
          - {id: put, uses: file.write, with: {path: new.txt, content: x}}
          - {id: checked, check: touch checked, run: "true"}
          - {id: told, rehearse: touch told, run: "true"}
        """,
    )

    said = tow("run", "looks", "--dry-run", "--no-reads")

    assert "nothing outside of the file was looked at" in said.out
    assert "3 steps whose changes cannot be foreseen" in said.out
    assert not (project / "checked").exists()
    assert not (project / "told").exists()


def test_a_saved_plan_is_started(tow: Tow, write: Write, project: Path) -> None:
    """--save keeps the plan, for its owner alone; --plan starts the workflow with its inputs."""
    write("files", FILES)

    saved = tow("run", "files", "--dry-run", "-i", "text=planned", "--save", "plan.json")
    started = tow("run", "--plan", "plan.json")

    assert "tow run --plan plan.json" in saved.out
    assert (project / "plan.json").stat().st_mode & 0o777 == 0o600
    assert started.code == exit_codes.OK
    assert (project / "new.txt").read_text() == "planned\n"


def test_a_plan_that_is_out_of_date_is_refused(tow: Tow, write: Write, project: Path) -> None:
    """When something else would happen now, nothing is started, and the difference is shown."""
    write("files", FILES)
    tow("run", "files", "--dry-run", "--save", "plan.json")
    (project / "new.txt").write_text("somebody was here\n")

    refused = tow("run", "--plan", "plan.json")

    assert refused.code == exit_codes.REFUSED
    assert "the plan is out of date" in refused.err
    assert "-somebody was here" in refused.err
    assert (project / "new.txt").read_text() == "somebody was here\n"
    assert tow("ps", "--all", "--json").out == ""


def test_a_plan_of_another_definition_is_refused(tow: Tow, write: Write) -> None:
    """A workflow that was edited after its rehearsal is not what was planned."""
    write("files", FILES)
    tow("run", "files", "--dry-run", "--save", "plan.json")
    write("files", FILES + "  - {run: 'true'}\n")

    refused = tow("run", "--plan", "plan.json")

    assert refused.code == exit_codes.REFUSED
    assert "files has changed since it was rehearsed" in refused.err


def test_the_data_folder_is_left_alone(tow: Tow, write: Write, project: Path) -> None:
    """Where there is a journal already, a rehearsal opens, changes and adds nothing in it; where there is none, none is made."""
    write(
        "quiet", "steps: [{run: 'true', env: {X: '${{ secrets.nobody_has_it }}'}, rehearse: 'echo \"$X\"'}]"
    )
    without = tow("run", "quiet", "--dry-run")
    made = (project / ".towpath").exists()
    write("files", FILES)
    tow("run", "files")
    before = _picture(project / ".towpath")
    tow("run", "files", "--dry-run", "--save", "plan.json")

    assert "would fail as things are now" in without.out
    assert not made
    assert _picture(project / ".towpath") == before


def _picture(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


WRONG = [
    (("run", "files", "--save", "p.json"), exit_codes.USAGE, "go with --dry-run"),
    (("run", "files", "--no-reads"), exit_codes.USAGE, "go with --dry-run"),
    (("run",), exit_codes.USAGE, "WORKFLOW"),
    (("run", "files", "--plan", "p.json"), exit_codes.USAGE, "give it alone"),
    (("run", "--plan", "missing.json"), exit_codes.NOT_FOUND, "missing.json cannot be read"),
    (("run", "--plan", "towpath.yaml"), exit_codes.REFUSED, "is no plan"),
    (("run", "files", "--dry-run", "--save", "no/such/p.json"), exit_codes.REFUSED, "cannot be written"),
]


@pytest.mark.parametrize(("words", "code", "told"), WRONG, ids=[" ".join(words) for words, _, _ in WRONG])
def test_what_makes_no_sense_is_told(
    tow: Tow, write: Write, words: tuple[str, ...], code: int, told: str
) -> None:
    """Options that do not go together and plans that are none are refused with the reason."""
    write("files", FILES)

    said = tow(*words)

    assert said.code == code
    assert told in said.err


def test_a_narrow_window_cuts_nothing_that_is_said(
    tow: Tow, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is said about a step goes below it where it does not fit, and no line is wider than the window."""
    monkeypatch.setenv("COLUMNS", "50")
    write(
        "wordy",
        "steps: [{id: a_rather_long_name_for_a_step, if: \"run.url == 'x' || run.id == 'y'\", run: 'true',"
        " title: 'A title that says more than fits into one line of such a window'}]",
    )

    rows = tow("run", "wordy", "--dry-run").out.splitlines()

    assert max(len(row) for row in rows) <= 50
    assert "window" in " ".join(rows)
    assert "depends on" in " ".join(" ".join(rows).split())
