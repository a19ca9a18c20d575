"""`tow automate`: a runbook runs as a checklist, then step by step by itself, under one history."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import Tow
from towpath.cli import exit_codes
from towpath.definition import loader, model

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE_SECONDS = 60
FILE = """\
name: f
steps:
  - id: look
    task: Look    # closely
    assign: [user:ada]
    takes: 5m
    # run: df -h
"""


@pytest.fixture
def file(project: Path) -> Path:
    """A workflow with one manual step."""
    path = project / "workflows" / "f.yaml"
    path.write_text(FILE)
    return path


def test_a_step_is_automated_from_its_suggestion(tow: Tow, file: Path) -> None:
    """The diff is shown, the file is written, its rights stay, and nothing else changes."""
    file.chmod(0o640)
    said = tow("automate", "look", "--yes")

    assert said.code == exit_codes.OK
    assert "-    task: Look    # closely\n" in said.out
    assert "+    title: Look    # closely\n" in said.out
    assert file.read_text() == FILE.replace("task:", "title:").replace("assign", "# assign").replace(
        "# run", "run"
    )
    assert file.stat().st_mode & 0o777 == 0o640


def test_both_ways(tow: Tow, file: Path) -> None:
    """`--manual` takes the script away again; the file is as it was."""
    assert tow("automate", "look", "--from-suggestion", "-y").code == exit_codes.OK
    assert tow("automate", "look", "--manual", "-y").code == exit_codes.OK
    assert file.read_text() == FILE


def test_nothing_is_written_unasked(tow: Tow, file: Path) -> None:
    """Without a terminal and without --yes the diff is shown and the file stays."""
    said = tow("automate", "look", "--run", "true")

    assert (said.code, file.read_text()) == (exit_codes.REFUSED, FILE)
    assert "+    run:" in said.out
    assert "nothing was written" in said.err
    assert tow("automate", "look", "--diff").code == exit_codes.OK
    assert file.read_text() == FILE


def test_the_step_is_found_by_id_path_or_file(tow: Tow, file: Path) -> None:
    """A path as `tow show` writes it, a file and a workflow's name all lead to the step."""
    for words in (("fleet[web1]/look",), ("look", "--file", "workflows/f.yaml"), ("look", "--file", "f")):
        assert tow("automate", *words, "--diff").code == exit_codes.OK

    (file.parent / "g.yaml").write_text(FILE.replace("name: f", "name: g"))
    said = tow("automate", "look", "--diff")
    assert said.code == exit_codes.REFUSED
    assert "2 files have a step `look`: workflows/f.yaml, workflows/g.yaml" in said.err


def test_line_ends_stay(tow: Tow, file: Path) -> None:
    """A file with Windows line ends keeps them."""
    file.write_bytes(FILE.replace("\n", "\r\n").encode())

    assert tow("automate", "look", "-y").code == exit_codes.OK
    assert file.read_bytes().count(b"\r\n") == file.read_bytes().count(b"\n") == FILE.count("\n")


def test_json_says_what_would_change(tow: Tow, file: Path) -> None:
    """`--json` gives the diff and the hints, and writes only with --yes."""
    data = json.loads(tow("automate", "look", "--run", "make", "--json").out)

    assert (data["file"], data["step"], "+    run: make" in data["diff"]) == (
        "workflows/f.yaml",
        "look",
        True,
    )
    assert file.read_text() == FILE


MISTAKES = [
    (("lok",), exit_codes.NOT_FOUND, "look"),
    (("look", "--run", ""), exit_codes.USAGE, "--run is empty"),
    (("look", "--run", "a", "--from-suggestion"), exit_codes.USAGE, "two scripts"),
    (("look", "--manual", "--run", "a"), exit_codes.USAGE, "--manual"),
    (("look", "--assign", "user:ada"), exit_codes.USAGE, "--manual"),
    (("look", "--manual", "-y"), exit_codes.REFUSED, "people already"),
    (("look", "--file", "nothing", "-y"), exit_codes.NOT_FOUND, "nothing"),
    (("look", "--run", "echo ${{ inputs.x }}", "-y"), exit_codes.FAILED, "expression"),
]


@pytest.mark.parametrize(("words", "code", "message"), MISTAKES)
def test_mistakes(tow: Tow, file: Path, words: tuple[str, ...], code: int, message: str) -> None:
    """Every mistake has its exit code and a sentence, and the file stays."""
    said = tow("automate", *words)

    assert (said.code, file.read_text()) == (code, FILE)
    assert message in said.err


def test_a_person_at_a_terminal_is_asked(file: Path) -> None:
    """On a terminal the diff is followed by a question; `n` leaves the file as it is."""
    import pty

    for answer, expected in ((b"n\n", FILE), (b"y\n", FILE.replace("task:", "title:"))):
        main, other = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "towpath", "automate", "look", "--file", str(file)],
            stdin=other, stdout=other, stderr=other, cwd=file.parent,
        )  # fmt: skip
        import os

        os.close(other)
        os.write(main, answer)
        process.wait(timeout=PATIENCE_SECONDS)
        os.close(main)
        assert expected.splitlines()[3] in file.read_text()


# --- one history ----------------------------------------------------------------------------------------------


def until(holds: Callable[[], bool]) -> None:
    """Waits until something holds."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def asked(tow: Tow) -> list[dict[str, str]]:
    """The open questions."""
    return [json.loads(line) for line in tow("answer", "--json").out.splitlines()]


def test_a_runbook_runs_as_a_checklist_and_then_with_a_step_automated(
    tow: Tow, project: Path, spawn: Callable[..., subprocess.Popen[str]]
) -> None:
    """The example of 33 lines: seven tasks by hand; then its third step by a machine, under the same id."""
    shutil.copy(EXAMPLES / "towpath.yaml", project / "towpath.yaml")
    shutil.copy(EXAMPLES / "runbooks" / "full_disk.md", project / "full_disk.md")
    (project / "var" / "log").mkdir(parents=True)
    assert tow("import", "full_disk.md", "-o", "workflows/full_disk.yaml").code == exit_codes.OK
    ids = leaves(project / "workflows" / "full_disk.yaml")

    first = drive(tow, spawn)
    assert tow("automate", "look/see_which_folders_are_large", "--yes").code == exit_codes.OK
    second = drive(tow, spawn)

    third = "see_which_folders_are_large"
    assert leaves(project / "workflows" / "full_disk.yaml") == ids
    assert (ids.index(third), first) == (2, ids)
    assert second == [step for step in ids if step != third]
    assert "4.0K" in (shown := tow("logs", "2").out) or "var/log" in shown
    by_hand, by_machine = (history(tow, run, f"look/{third}") for run in ("1", "2"))
    assert by_hand.paths == by_machine.paths
    assert (by_hand.asked, by_machine.asked) == (True, False)
    assert [line.split()[1] for line in tow("ps", "--all", "-w", "full_disk").out.splitlines()[1:]] == [
        "full_disk"
    ] * 2
    assert tow("automate", f"look/{third}", "--manual", "--yes").code == exit_codes.OK
    assert leaves(project / "workflows" / "full_disk.yaml") == ids


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a run remembers, and how it remembers one step."""

    paths: list[str]
    """Every step that has begun, in order."""
    asked: bool
    """Whether a person was asked to do the step."""


def history(tow: Tow, run: str, path: str) -> History:
    """The history of a run, with that of one of its steps, which has ended well."""
    steps = json.loads(tow("show", run, "--json").out)["steps"]
    step = next(one for one in steps if one["path"] == path)
    assert step["status"] == "succeeded"
    told = tow("show", run, "--step", path).out
    assert told.splitlines()[0] == f"{path}  succeeded"
    return History(paths=[one["path"] for one in steps], asked="asks" in told)


def leaves(path: Path) -> list[str]:
    """The ids of the steps that do something."""
    workflow = loader.load_workflow(path).workflow
    return [
        str(step.id)
        for group in workflow.steps
        for step in (group.steps if isinstance(group, model.GroupStep) else (group,))
    ]


def drive(tow: Tow, spawn: Callable[..., subprocess.Popen[str]]) -> list[str]:
    """Runs the runbook and does every task by hand; gives their ids."""
    owner = spawn("run", "full_disk", "-i", "days=30", "--no-ask")
    done: list[str] = []
    while owner.poll() is None:
        until(lambda: bool(asked(tow)) or owner.poll() is not None)
        for question in asked(tow):
            path = question["path"]
            answered = tow("answer", question["run"], path, "done", "--by", "grace")
            if answered.code == exit_codes.REFUSED:
                answered = tow("answer", question["run"], path, "done", "--by", "ada")
            assert answered.code == exit_codes.OK, answered.err
            done.append(path.rpartition("/")[2])
            until(
                lambda path=path: owner.poll() is not None or all(each["path"] != path for each in asked(tow))
            )  # type: ignore[misc]
    assert owner.returncode == exit_codes.OK, owner.communicate()
    return done
