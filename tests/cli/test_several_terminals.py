"""Several `tow` processes on one data folder: telling a run from outside, stopping it, and going on after a death."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from towpath.cli import exit_codes

Tow = Callable[..., object]
Write = Callable[[str, str], None]
Spawn = Callable[..., subprocess.Popen[str]]
PATIENCE_SECONDS = 40.0

SLOW = """
steps:
  - id: change
    run: echo new >state
    rollback: {run: echo old >state}
  - id: long
    run: |
      echo started >>marks
      echo "at work"
      sleep 60
"""
PEOPLE = """
steps:
  - id: first
    run: echo one
  - id: go
    approve: Go live?
    who: [user:grace]
    show: {why: because}
  - id: note
    task: Write the note
    assign: [user:ada, user:grace]
    form: {link: {type: string, required: true}, copies: {type: integer, default: 1}}
  - id: hold
    wait: {signal: go_on}
  - id: flaky
    run: test -e flag
    on_failure: ask
outputs: {link: "${{ steps.note.outputs.link }}", copies: "${{ steps.note.outputs.copies }}"}
"""


def until(holds: Callable[[], object]) -> None:
    """Waits for what has to become true."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, "it did not become true in time"
        time.sleep(0.05)


def until_marked(owner: subprocess.Popen[str], project: Path) -> None:
    """Waits until the long step of a run works; tells what the process said when it ended instead."""

    def holds() -> bool:
        ended = owner.poll()
        assert ended is None, f"it ended with {ended}: {owner.stdout.read() if owner.stdout else ''}"
        return (project / "marks").exists()

    until(holds)


def waits_for(tow: Tow, path: str) -> Callable[[], bool]:
    """Whether run 1 waits at *path*."""

    def holds() -> bool:
        rows = [json.loads(row) for row in tow("ps", "--json").out.splitlines()]
        return bool(rows) and (rows[0]["waiting_for"] or "").startswith(f"{path}:")

    return holds


def test_a_run_is_driven_from_other_terminals(tow: Tow, write: Write, spawn: Spawn, project: Path) -> None:
    """Answers, signals, forms and retries from another process reach the run, each checked when it is given."""
    write("people", PEOPLE)
    owner = spawn("run", "people")
    until(waits_for(tow, "go"))

    assert "go  " in tow("show").out
    assert tow("answer").out.count("tow answer 1 go approve|reject") == 1
    assert tow("answer", "1", "approve").code == exit_codes.REFUSED  # ada was not asked
    assert tow("answer", "1", "maybe", "--by", "grace").code == exit_codes.REFUSED
    assert tow("answer", "1").code == exit_codes.USAGE
    assert tow("skip", "1", "go").code == exit_codes.REFUSED
    assert tow("answer", "1", "approve", "--by", "grace", "--comment", "fine").code == exit_codes.OK
    until(waits_for(tow, "note"))
    assert tow("answer", "1", "done").code == exit_codes.USAGE  # the form wants a link
    assert (
        tow("answer", "1", "note", "--done", "--form", "link=http://x", "--form", "copies=2").code
        == exit_codes.OK
    )
    until(waits_for(tow, "hold"))
    assert tow("answer", "1").code == exit_codes.REFUSED  # nothing is asked
    assert tow("signal", "1", "go_on", "--payload", "{nope").code == exit_codes.USAGE
    assert tow("signal", "1", "go_on", "--payload", '{"n": 1}').code == exit_codes.OK
    until(waits_for(tow, "flaky"))
    (project / "flag").touch()
    assert tow("retry", "1").code == exit_codes.OK
    out, _ = owner.communicate(timeout=PATIENCE_SECONDS)

    assert owner.returncode == exit_codes.OK
    assert "tow approve 1 go" in out
    told = json.loads(tow("show", "--json").out)
    assert told["outputs"] == {"link": "http://x", "copies": 2}


@pytest.mark.parametrize(
    ("options", "left"), [((), "old\n"), (("--no-rollback", "--reason", "no longer needed"), "new\n")]
)
def test_cancel_from_another_terminal(
    options: tuple[str, ...], left: str, tow: Tow, write: Write, spawn: Spawn, project: Path
) -> None:
    """A cancelled run ends its steps and undoes what it did, unless it is told not to."""
    write("slow", SLOW)
    owner = spawn("run", "slow")
    until_marked(owner, project)

    said = tow("cancel", "1", "--wait", *options)
    owner.communicate(timeout=PATIENCE_SECONDS)

    assert said.code == exit_codes.OK
    assert owner.returncode == exit_codes.CANCELLED
    assert (project / "state").read_text() == left
    assert tow("cancel", "1").code == exit_codes.REFUSED


def test_rollback_of_an_open_run(tow: Tow, write: Write, spawn: Spawn, project: Path) -> None:
    """An open run that is rolled back stops and ends as rolled_back."""
    write("slow", SLOW)
    owner = spawn("run", "slow")
    until_marked(owner, project)

    assert tow("rollback", "1", "--reason", "wrong version").code == exit_codes.OK
    owner.communicate(timeout=PATIENCE_SECONDS)

    assert owner.returncode == exit_codes.ROLLED_BACK
    assert (project / "state").read_text() == "old\n"


def test_sigint_without_a_terminal_cancels(write: Write, spawn: Spawn, project: Path) -> None:
    """Where nobody can be asked, SIGINT cancels the run and undoes what it did."""
    write("slow", SLOW)
    owner = spawn("run", "slow")
    until_marked(owner, project)

    owner.send_signal(signal.SIGINT)
    owner.communicate(timeout=PATIENCE_SECONDS)

    assert owner.returncode == exit_codes.CANCELLED
    assert (project / "state").read_text() == "old\n"


def test_sigterm_leaves_the_run_for_resume(tow: Tow, write: Write, spawn: Spawn, project: Path) -> None:
    """SIGTERM leaves the run as it is; nothing runs any more, and `tow resume` goes on."""
    write(
        "slow",
        SLOW.replace("sleep 60", "[ -e again ] || sleep 60").replace(
            "- id: long", "- id: long\n    idempotent: true"
        ),
    )
    owner = spawn("run", "slow")
    until_marked(owner, project)

    owner.send_signal(signal.SIGTERM)
    out, _ = owner.communicate(timeout=PATIENCE_SECONDS)

    assert owner.returncode == exit_codes.WAITING
    assert "tow resume 1" in out
    assert (project / "state").read_text() == "new\n"
    assert "owner left — tow resume 1" in tow("ps").out
    (project / "again").touch()
    assert tow("resume").code == exit_codes.OK
    assert (project / "marks").read_text() == "started\n" * 2
    assert tow("resume").out == "nothing to resume: every open run has a living owner\n"


def _kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=PATIENCE_SECONDS)


def test_a_death_and_an_unknown_outcome(tow: Tow, write: Write, spawn: Spawn, project: Path) -> None:
    """After `kill -9`, ps says that the owner died; the lost step is not repeated: a person is asked, and settles it."""
    write("slow", SLOW)
    owner = spawn("run", "slow")
    until_marked(owner, project)
    _kill(owner)

    until(lambda: "stranded" in tow("ps").out)  # once the steps of the dead process are gone too
    assert "owner died — tow resume 1" in tow("ps").out
    assert "tow resume 1" in tow("show").out
    assert tow("answer", "1").code == exit_codes.REFUSED
    assert tow("cancel", "1").code == exit_codes.REFUSED
    second = spawn("resume", "1")
    until(waits_for(tow, "long"))
    assert "did it do its work?" in tow("answer", "1").err + tow("answer").out
    assert tow("answer", "1", "--done", "--comment", "I looked").code == exit_codes.OK
    second.communicate(timeout=PATIENCE_SECONDS)

    assert second.returncode == exit_codes.OK
    assert (project / "marks").read_text() == "started\n"
    assert "answered: done — I looked" in tow("show", "--timeline").out


def test_an_idempotent_step_runs_again(tow: Tow, write: Write, spawn: Spawn, project: Path) -> None:
    """After `kill -9`, a step that is idempotent simply runs again; what had ended does not."""
    write(
        "slow",
        SLOW.replace("sleep 60", "[ -e again ] || sleep 60").replace(
            "- id: long", "- id: long\n    idempotent: true"
        ),
    )
    owner = spawn("run", "slow")
    until_marked(owner, project)
    _kill(owner)
    until(lambda: "stranded" in tow("ps").out)
    (project / "again").touch()
    (project / "state").write_text("touched by nobody\n")

    said = tow("resume", "1")

    assert said.code == exit_codes.OK
    assert (project / "marks").read_text() == "started\n" * 2
    assert (project / "state").read_text() == "touched by nobody\n"


def test_no_two_owners(tow: Tow, write: Write, spawn: Spawn, project: Path) -> None:
    """A run that somebody drives cannot be taken over."""
    write("slow", SLOW)
    owner = spawn("run", "slow")
    until_marked(owner, project)

    said = tow("resume", "1")

    assert said.code == exit_codes.REFUSED
    assert "is driven by process" in said.err


def test_logs_are_followed(write: Write, spawn: Spawn, project: Path) -> None:
    """`tow logs -f` prints what comes and ends with the run."""
    write(
        "talks",
        """
        steps:
          - {id: talk, run: "echo one; touch marks; while [ ! -e flag ]; do sleep 0.1; done; echo two"}
        """,
    )
    owner = spawn("run", "talks")
    until_marked(owner, project)
    follower = spawn("logs", "1", "-f", "--raw")
    os.set_blocking(follower.stdout.fileno(), True)  # type: ignore[union-attr]
    assert follower.stdout is not None
    assert follower.stdout.readline() == "one\n"
    (project / "flag").touch()
    rest, _ = follower.communicate(timeout=PATIENCE_SECONDS)

    assert rest == "two\n"
    assert follower.returncode == exit_codes.OK


def test_a_closed_pipe_is_no_error(tow: Tow, write: Write, project: Path) -> None:
    """`tow logs | head -1` ends quietly."""
    write("talks", "steps: [{id: talk, run: seq 200000}]")
    tow("run", "talks")

    pipe = f"{sys.executable} -m towpath logs 1 --raw | head -1"
    done = subprocess.run(
        ["bash", "-c", pipe], capture_output=True, text=True, cwd=project, check=False, timeout=60
    )

    assert (done.stdout, done.stderr) == ("1\n", "")
