"""Commands do what they say, from the first run to the last, in one process with the real engine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from towpath.cli import exit_codes

Tow = Callable[..., object]
Write = Callable[[str, str], None]

HELLO = """
inputs: {whom: {type: string, default: world}, count: {type: integer, default: 1}}
steps:
  - id: greet
    run: |
      echo "hello, $WHOM"
      echo "letters=${#WHOM}" >>"$TOW_OUTPUT"
    env: {WHOM: "${{ inputs.whom }}"}
    outputs: [letters]
    artifacts: [note.txt]
outputs: {letters: "${{ steps.greet.outputs.letters }}"}
"""
BROKEN = """
steps:
  - id: change
    run: echo new >state
    rollback: {id: change_back, run: echo old >state}
  - id: check
    run: |
      echo "looking"
      exit 3
"""


@pytest.fixture(autouse=True)
def _workflows(write: Write, project: Path) -> None:
    write("hello", HELLO)
    write("broken", BROKEN)
    (project / "note.txt").write_text("a note\n")


def test_a_run_that_succeeds(tow: Tow) -> None:
    """A run in a pipe tells each fact and each log line on a line, and exits with 0."""
    said = tow("run", "hello", "-i", "whom=Ada")

    assert said.code == exit_codes.OK
    rows = [" ".join(row[10:].split()) for row in said.out.splitlines() if row[:2].isdigit()]
    assert [re.sub(r"[\d.]+s", "0s", row) for row in rows] == [
        "run accepted (user:ada)",
        "greet started",
        "greet │ hello, Ada",
        "greet succeeded after 0s",
        "run ended: succeeded after 0s",
    ]
    assert "tow show 1" in said.out


def test_a_run_that_fails_and_rolls_back(tow: Tow, project: Path) -> None:
    """A failed run is undone; the exit code, the tree and the log of the failing step say so."""
    said = tow("run", "broken")
    shown = tow("show")

    assert said.code == exit_codes.ROLLED_BACK
    assert (project / "state").read_text() == "old\n"
    assert "error  check: exit code 3" in said.out
    assert "↶ change" in shown.out
    assert "rolled back by change_back" in shown.out
    assert "  ┃ looking" in shown.out
    assert "tow retry 1" in shown.out


def test_json_lines(tow: Tow) -> None:
    """With --json every line is an object: the facts in order, and at the end how it ended."""
    said = tow("run", "hello", "--json", "-i", "whom=Grace")
    *facts, final = [json.loads(row) for row in said.out.splitlines()]

    assert [fact["sequence"] for fact in facts] == list(range(1, len(facts) + 1))
    assert facts[0]["event"] == "run_accepted"
    assert facts[-1]["event"] == "run_ended"
    assert (final["final"], final["status"], final["exit_code"], final["outputs"]) == (
        True,
        "succeeded",
        0,
        {"letters": "5"},
    )


def test_inputs_from_a_file(tow: Tow, project: Path) -> None:
    """Inputs come from a file; those on the command line go before."""
    (project / "in.yaml").write_text("whom: Mary\ncount: 3\n")

    said = tow("run", "hello", "--inputs", "in.yaml", "-i", "count=4", "--json")

    assert json.loads(said.out.splitlines()[0])["inputs"] == {"whom": "Mary", "count": 4}


def test_wrong_inputs_are_told_all_at_once(tow: Tow) -> None:
    """Every problem with the inputs is named, and nothing starts."""
    said = tow("run", "hello", "-i", "count=many", "-i", "wohm=x")

    assert said.code == exit_codes.USAGE
    assert said.err.count("error: ") == 2
    assert tow("ps", "--all", "--json").out == ""


def test_a_file_that_does_not_load(tow: Tow, project: Path) -> None:
    """A file with mistakes prints each with its line and a caret; nothing starts."""
    (project / "wrong.yaml").write_text("name: wrong\nsteps:\n  - rnu: echo\n")

    said = tow("run", "wrong.yaml")

    assert said.code == exit_codes.FAILED
    assert "wrong.yaml:3:" in said.err
    assert "^" in said.err
    assert "1 error in 1 file" in said.err


def test_a_dry_run_does_nothing(tow: Tow, project: Path) -> None:
    """A dry run tells the steps, their values and what would be undone how; no run exists after it."""
    before = {path: path.stat().st_mtime_ns for path in project.rglob("*") if ".towpath" not in path.parts}

    said = tow("run", "broken", "--dry-run")
    after = {path: path.stat().st_mtime_ns for path in project.rglob("*") if ".towpath" not in path.parts}

    assert said.code == exit_codes.OK
    assert "dry run: nothing is done" in said.out
    assert "undone by change_back" in said.out
    assert after == before
    assert tow("ps", "--all", "--json").out == ""


def test_retry_rerun_and_rollback_of_ended_runs(tow: Tow, write: Write, project: Path) -> None:
    """An ended run never opens again: going on from it, repeating and undoing it are new runs that name it."""
    tow("run", "broken")
    (project / "workflows" / "broken.yaml").write_text("name: broken\nsteps: [{run: 'true'}]\n")

    again = tow("retry", "1")
    anew = tow("rerun", "1")
    write("good", "steps: [{id: s, run: 'true', rollback: {run: 'true'}}]")
    good = tow("run", "good")
    undone = tow("rollback", "4")

    assert (again.code, anew.code, good.code, undone.code) == (
        exit_codes.ROLLED_BACK,
        exit_codes.ROLLED_BACK,
        exit_codes.OK,
        exit_codes.OK,
    )
    rows = [json.loads(row) for row in tow("ps", "--all", "--json").out.splitlines()]
    assert [(row["number"], row["origin_reason"], row["origin"]) for row in rows] == [
        (5, "rollback", 4),
        (4, None, None),
        (3, "rerun", 1),
        (2, "retry", 1),
        (1, None, None),
    ]


def test_logs(tow: Tow) -> None:
    """Logs are read as a whole, by step, by attempt and by their end."""
    tow("run", "broken")

    assert tow("logs", "1", "--raw").out == "looking\n"
    assert tow("logs", "1", "--step", "check", "--attempt", "1", "--raw").out == "looking\n"
    assert tow("logs", "1", "--step", "check", "--attempt", "2", "--raw").out == ""
    assert tow("logs", "1", "-n", "0", "--raw").out == ""
    told = json.loads(tow("logs", "1", "--json").out)
    assert (told["path"], told["stream"], told["text"]) == ("check", "stdout", "looking")
    assert tow("logs", "1", "--step", "chekc").code == exit_codes.NOT_FOUND


def test_show_a_step(tow: Tow) -> None:
    """A step is shown with what it was given and what it handed on."""
    tow("run", "hello", "-i", "whom=Ada")

    said = tow("show", "1", "--step", "greet")

    rows = [" ".join(row.split()) for row in said.out.splitlines()]
    assert "with WHOM Ada" in rows
    assert any("letters 3" in row for row in rows)


def test_show_json(tow: Tow) -> None:
    """The run as JSON has its steps with their outputs."""
    tow("run", "hello")

    told = json.loads(tow("show", "--json").out)

    assert (told["number"], told["status"], told["steps"][0]["outputs"]["letters"]) == (1, "succeeded", "5")


def test_timeline_names_who(tow: Tow) -> None:
    """The timeline tells everything in order, and who did it."""
    tow("run", "broken", "--by", "grace")

    rows = [
        " ".join(row[10:].split()) for row in tow("show", "--timeline").out.splitlines() if row[:2].isdigit()
    ]

    assert rows[0] == "run accepted (user:grace)"
    assert "change is being rolled back" in rows
    assert rows[-1].startswith("run ended: rolled_back")


def test_artifacts(tow: Tow, project: Path) -> None:
    """A kept file is listed and fetched; what exists is not overwritten."""
    tow("run", "hello")
    (project / "note.txt").write_text("changed since\n")

    listed = json.loads(tow("artifacts", "--json").out)
    assert (listed["name"], listed["step"], listed["size"]) == ("note.txt", "greet", 7)
    assert tow("artifacts", "1", "note.txt").code == exit_codes.REFUSED
    assert tow("artifacts", "1", "note.txt", "--out", "fetched.txt").code == exit_codes.OK
    assert (project / "fetched.txt").read_text() == "a note\n"
    assert tow("artifacts", "1", "note.txt", "--out", "-").out == "a note\n"
    assert tow("artifacts", "1", "nothing").code == exit_codes.NOT_FOUND


def test_gc_tells_before_it_does(tow: Tow) -> None:
    """A dry gc removes nothing; a real one removes the run and its logs."""
    tow("run", "hello")

    assert "would go: 1 run" in tow("gc", "--older-than", "0s", "--dry-run").out
    assert "would go: 0 runs" in tow("gc", "--older-than", "1d", "--dry-run").out
    assert json.loads(tow("gc", "--older-than", "0s", "--json").out)["runs"] == [1]
    assert tow("show", "1").code == exit_codes.NOT_FOUND


def test_gc_keeps_the_newest(tow: Tow) -> None:
    """With --keep, the newest runs of each workflow stay."""
    for _ in range(3):
        tow("run", "hello")

    assert json.loads(tow("gc", "--keep", "2", "--json").out)["runs"] == [1]


def test_backup_and_restore(tow: Tow, project: Path) -> None:
    """What was backed up comes back, and nothing is overwritten without being told to."""
    tow("run", "hello")
    assert tow("backup", "data.tar").code == exit_codes.OK
    tow("run", "hello")

    assert tow("restore", "data.tar", "--check").code == exit_codes.OK
    assert tow("restore", "data.tar").code == exit_codes.REFUSED
    assert tow("restore", "data.tar", "--force").code == exit_codes.OK
    assert len(tow("ps", "--all", "--json").out.splitlines()) == 1
    (project / "data.tar").write_bytes((project / "data.tar").read_bytes()[:20_000])
    assert tow("restore", "data.tar", "--check").code == exit_codes.UNAVAILABLE


def test_secrets(tow: Tow, project: Path, write: Write) -> None:
    """A secret is kept from a file, used by a step, and shown nowhere."""
    (project / "password").write_text("hunter2-and-more")
    write("uses_it", 'steps: [{id: s, run: \'echo "it is $PW"\', env: {PW: "${{ secrets.db_pw }}"}}]')

    assert tow("secrets", "set", "db_pw", "--file", "password").code == exit_codes.OK
    assert json.loads(tow("secrets", "list", "--json").out)["name"] == "db_pw"
    said = tow("run", "uses_it")
    shown = tow("show", "--step", "s").out + tow("show", "--json").out + tow("logs").out + said.out
    assert said.code == exit_codes.OK
    assert "hunter2-and-more" not in shown
    assert "<secret db_pw>" in shown
    assert tow("secrets", "rm", "db_pw").code == exit_codes.OK
    assert tow("secrets", "list").out.startswith("no secrets")


def test_actions(tow: Tow) -> None:
    """Actions are listed by name or beginning, and told in detail with an example."""
    assert "file.write" in tow("actions").out
    assert "http.request" not in tow("actions", "file").out
    told = tow("actions", "file.write").out
    assert "uses: file.write" in told
    assert "path*" in told
    assert json.loads(tow("actions", "log", "--json").out)["name"] == "log"
    assert tow("actions", "fiel.write").code == exit_codes.NOT_FOUND


def test_init_never_overwrites(tow: Tow, project: Path) -> None:
    """`tow init` makes what is missing and leaves everything that is there; its workflow runs."""
    (project / "workflows" / "hello.yaml").unlink()
    said = tow("init")

    assert (project / "towpath.yaml").read_text() == "name: tests\n"
    assert ".towpath/" in (project / ".gitignore").read_text()
    assert "towpath.yaml  is there already" in said.out
    assert tow("run", "hello", "-i", "whom=Ada").code == exit_codes.OK
    assert tow("init").out.count("is there already") == 4
    assert tow("test").out.splitlines()[-1].startswith("✓ 2 tests passed")


def test_init_makes_a_project_that_lints(tow: Tow, project: Path) -> None:
    """A new project in a folder of any name has no problems."""
    assert tow("init", "42 Strange Näme").code == exit_codes.OK
    assert tow("lint", str(project / "42 Strange Näme")).code == exit_codes.OK


def test_graphs(tow: Tow, project: Path) -> None:
    """A workflow and a run are drawn as text and as SVG."""
    tow("run", "broken")

    assert "change" in tow("graph", "broken").out
    assert "✗ check" in tow("graph", "1").out
    assert tow("graph", "broken", "--svg").out.startswith("<svg ")
    assert tow("graph", "last", "--out", "run.svg").code == exit_codes.OK
    assert 'class="box run failed"' in (project / "run.svg").read_text()


def test_there_is_nothing_to_go_on_from_or_to_undo(tow: Tow) -> None:
    """A run that succeeded is not retried, and one without rollbacks is not undone; both say so and start nothing."""
    tow("run", "hello")

    retry, rollback = tow("retry", "1"), tow("rollback", "1")

    assert (retry.code, rollback.code) == (exit_codes.REFUSED, exit_codes.REFUSED)
    assert "tow rerun 1" in retry.err
    assert "nothing to undo" in rollback.err
    assert len(tow("ps", "--all", "--json").out.splitlines()) == 1


def test_what_was_undone_is_not_undone_again(tow: Tow, write: Write) -> None:
    """A run that succeeded is undone once."""
    write("good", "steps: [{id: s, run: 'true', rollback: {run: 'true'}}]")
    tow("run", "good")

    assert tow("rollback", "1").code == exit_codes.OK
    assert tow("rollback", "2").code == exit_codes.REFUSED


def test_children_go_on_here_too(tow: Tow, write: Write, project: Path) -> None:
    """A run that another one started without waiting for it is not left behind when that one ends."""
    write("child", "steps: [{id: s, run: 'sleep 0.5; touch child_was_here'}]")
    write("parent", "steps: [{id: c, workflow: child, detach: true}, {id: d, workflow: hello}]")

    said = tow("run", "parent")

    assert said.code == exit_codes.OK
    assert (project / "child_was_here").exists()
    rows = [json.loads(row) for row in tow("ps", "--all", "--json").out.splitlines()]
    assert [(row["workflow"], row["status"]) for row in rows] == [
        ("hello", "succeeded"),
        ("child", "succeeded"),
        ("parent", "succeeded"),
    ]


def test_nothing_yet(tow: Tow) -> None:
    """Before the first run, lists are empty and say how to begin; nothing is made."""
    assert "no runs yet" in tow("ps").out
    assert tow("answer").out == "nobody is asked anything\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(tow: Tow, shell: str) -> None:
    """The script of each shell calls `tow` for completions."""
    assert "_TOW_COMPLETE" in tow("completion", shell).out


def test_completion_of_runs_and_workflows(tow: Tow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Completion offers commands, workflows and runs."""
    tow("run", "hello")
    monkeypatch.setenv("_TOW_COMPLETE", "bash_complete")

    def completed(words: str, position: int) -> str:
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(position))
        return str(tow().out)

    assert "plain,rollback" in completed("tow roll", 1)
    assert "plain,hello" in completed("tow run he", 2)
    assert "plain,1" in completed("tow show ", 2)
