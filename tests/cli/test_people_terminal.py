"""Deciding at a real terminal: the evidence is shown first, the form is asked for, and one may think better of it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_terminal import PATIENCE_SECONDS, Terminal

Tow = Callable[..., Any]  # the fixture of this folder
Write = Callable[[str, str], None]
TOW = f"{sys.executable} -m towpath"
RELEASE = """
steps:
  - id: go_live
    approve: Release 1.4?
    who: [user:anna]
    four_eyes: false
    show: {plan: {file: plan.txt}, scan: {critical: 0}}
    form:
      ring: {type: string, enum: [canary, all], title: Which ring}
      percent: {type: integer, default: 10, minimum: 1, maximum: 100}
      ticket: {type: string, required: true}
outputs: {form: "${{ steps.go_live.outputs.form }}", comment: "${{ steps.go_live.outputs.comment }}"}
"""


@pytest.fixture
def terminal(project: Path) -> Iterator[Terminal]:
    """A terminal in the project."""
    opened = Terminal(project, 90, 40)
    yield opened
    opened.close()


def until_answerable(tow: Tow) -> None:
    """Waits until the question is asked and its evidence was read."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not any(
        json.loads(row)["path"] == "go_live"
        for row in tow("inbox", "--as", "anna", "--json").out.splitlines()
    ):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_an_approval_at_the_terminal(
    terminal: Terminal, tow: Tow, write: Write, spawn: Callable[..., Any], project: Path
) -> None:
    """The plan's text stands above the prompt; a wrong field is asked for again; only `y` decides; Enter leaves it open."""
    write("release", RELEASE)
    (project / "plan.txt").write_text("+ 3 to add\n- 1 to destroy\n")
    owner = spawn("run", "release", "--no-ask")
    until_answerable(tow)

    terminal.type(f"clear; {TOW} approve 1 --as anna --form ring=canary -m 'looks good'", "Enter")
    shown = terminal.until("percent (integer) [10]")
    terminal.type("200", "Enter")
    terminal.until("`percent` has to be at most 100")
    terminal.type("20", "Enter")
    terminal.until("ticket (string)")
    terminal.type("T-1", "Enter")
    terminal.until("approve, as anna? [y/N]")
    terminal.type("Enter")
    left = terminal.until("nothing was said; the question is still open")
    terminal.type(
        f"clear; {TOW} approve 1 --as anna --form ring=canary --form ticket=T-2 -m 'looks good'", "Enter"
    )
    terminal.until("percent (integer) [10]", gone="still open")
    terminal.type("Enter")
    terminal.until("approve, as anna? [y/N]")
    terminal.type("y", "Enter")
    terminal.until("go_live — approved by anna")
    owner.communicate(timeout=PATIENCE_SECONDS)

    text = "\n".join(shown)
    assert "? Release 1.4?  go_live" in text
    assert "┃ plan: plan.txt (sha256 " in text
    assert "┃ + 3 to add\n  ┃ - 1 to destroy" in text
    assert '┃   "critical": 0' in text
    assert not any("approved by" in row for row in left)
    assert json.loads(tow("show", "--json").out)["outputs"] == {
        "form": {"ring": "canary", "percent": 10, "ticket": "T-2"},
        "comment": "looks good",
    }


def test_a_rejection_asks_why(
    terminal: Terminal, tow: Tow, write: Write, spawn: Callable[..., Any], project: Path
) -> None:
    """Whoever rejects at a terminal without a comment is asked for the reason; it stands with the decision."""
    write("release", RELEASE)
    (project / "plan.txt").write_text("nothing\n")
    owner = spawn("run", "release", "--no-ask")
    until_answerable(tow)

    terminal.type(f"clear; {TOW} reject 1 --as anna --yes", "Enter")
    terminal.until("why? (may be empty)")
    terminal.type("not on a Friday", "Enter")
    terminal.until("go_live — rejected by anna")
    owner.communicate(timeout=PATIENCE_SECONDS)

    assert "rejected — not on a Friday" in tow("show", "-t").out.replace("reject —", "rejected —")


def test_the_inbox_lives_on_a_terminal(
    terminal: Terminal, tow: Tow, write: Write, spawn: Callable[..., Any]
) -> None:
    """`--watch` shows what comes and what goes without being asked again, and Ctrl-C ends it."""
    write("note", "steps: [{id: note, task: Write the note, assign: [user:anna]}]")
    terminal.type(f"clear; {TOW} inbox --watch --as anna", "Enter")
    terminal.until("nothing waits for anna")
    spawn("run", "note", "--no-ask")
    terminal.until("? Write the note")
    tow("done", "1", "--as", "anna")
    terminal.until("nothing waits for anna", gone="Write the note")
    terminal.type("C-c")
    terminal.type("clear; echo over $((6 * 7))", "Enter")
    terminal.until("over 42")


def test_whoever_sits_at_the_terminal_of_a_run_is_told_there(
    project: Path, terminal: Terminal, write: Write, tow: Tow
) -> None:
    """Asked while other steps still run, and decided by somebody else: both are told once, above the tree; what others are asked is not."""
    write(
        "beside",
        """
        steps:
          - id: both
            parallel:
              - {id: slow, run: "while [ ! -e go_on ]; do sleep 0.05; done"}
              - {id: mine, approve: Go on?, who: ["user:ada", "user:ben"], four_eyes: false}
              - {id: theirs, task: Write it up, assign: ["user:ben"]}
        """,
    )
    terminal.type(f"clear; {TOW} run beside", "Enter")
    terminal.until("» Approval wanted: beside #1, both/mine")
    terminal.until("  you are asked by name")

    tow("approve", "1", "mine", "--as", "ben", "-m", "looks good")
    terminal.until("» Approved by ben: beside #1, both/mine")
    terminal.until("  “looks good”")
    tow("done", "1", "theirs", "--as", "ben")
    (project / "go_on").touch()
    rows = terminal.until("next  tow show 1")

    assert sum("»" in row for row in rows) == 2
