"""What a person sees: the live tree on a real terminal, questions answered right there, and Ctrl-C."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Write = Callable[[str, str], None]
PATIENCE_SECONDS = 40.0


class Terminal:
    """A terminal of a given size, and what stands on it."""

    def __init__(self, folder: Path, width: int, height: int) -> None:
        self._base = ["tmux", "-f", "/dev/null", "-S", str(folder / "tmux.socket")]
        environment = {**os.environ, "PS1": "$ ", "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}
        size = ["-x", str(width), "-y", str(height)]
        start = ["new-session", "-d", "-s", "t", *size, "bash --norc --noprofile"]
        subprocess.run([*self._base, *start], cwd=folder, env=environment, check=True, timeout=30)
        self._call("set", "-g", "status", "off")

    def type(self, *keys: str) -> None:
        """Presses keys; `Enter` and `C-c` are keys with names."""
        self._call("send-keys", "-t", "t", *keys)

    def screen(self) -> list[str]:
        """The rows that are visible."""
        shown = self._call("capture-pane", "-p", "-t", "t")
        return [row.rstrip() for row in shown.splitlines()]

    def until(self, wanted: str, *, gone: str = "") -> list[str]:
        """Waits until the screen shows a text, and another one no longer; gives the screen."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            rows = self.screen()
            text = "\n".join(rows)
            if wanted in text and (not gone or gone not in text):
                return rows
            assert time.monotonic() < end, f"{wanted!r} never came:\n{text}"
            time.sleep(0.1)

    def close(self) -> None:
        """Ends the terminal and everything on it."""
        subprocess.run([*self._base, "kill-server"], check=False, capture_output=True, timeout=30)

    def _call(self, *words: str) -> str:
        done = subprocess.run([*self._base, *words], check=True, capture_output=True, text=True, timeout=30)
        return done.stdout


@pytest.fixture
def terminal(project: Path) -> Iterator[Callable[..., Terminal]]:
    """Opens a terminal in the project."""
    opened: list[Terminal] = []

    def make(width: int = 80, height: int = 24) -> Terminal:
        opened.append(Terminal(project, width, height))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


TOW = f"{sys.executable} -m towpath"


def test_the_live_tree_and_its_end(terminal: Callable[..., Terminal], write: Write, project: Path) -> None:
    """Running steps show their last log lines; the last tree replaces the live one, once, with what to type next."""
    write(
        "talks",
        """
        steps:
          - id: talk
            title: Talk a little
            run: |
              for i in 1 2 3 4 5; do echo "line $i"; done
              while [ ! -e flag ]; do sleep 0.1; done
          - {id: after, run: "true"}
        """,
    )
    screen = terminal(80, 24)
    screen.type(f"clear; {TOW} run talks", "Enter")
    live = screen.until("┃ line 5")
    (project / "flag").touch()
    last = screen.until("next  tow show 1", gone="┃")

    start = next(index for index, row in enumerate(live) if row.startswith("talks #1  running"))
    assert [row[:7].rstrip() for row in live[start + 2 : start + 5]] == ["  ┃ lin"] * 3
    assert live[start + 5].startswith("· after")
    assert sum(row.startswith("talks #1") for row in last) == 1
    assert any(row.startswith("✓ talk ") for row in last)
    assert any(row.startswith("✓ after") for row in last)


def test_a_low_and_narrow_window(terminal: Callable[..., Terminal], write: Write, project: Path) -> None:
    """In 40 columns and 10 rows nothing wraps and nothing scrolls away while a large loop runs."""
    hosts = ", ".join(f"machine_with_a_long_name_{number}" for number in range(60))
    write(
        "release_the_whole_fleet_of_services",
        f"""
        steps:
          - id: fleet
            each: [{hosts}]
            max_parallel: 6
            steps:
              - {{id: install_the_thing, run: "while [ ! -e flag ]; do sleep 0.2; done"}}
        """,
    )
    screen = terminal(40, 10)
    screen.type(f"clear; {TOW} run release_the_whole_fleet_of_services", "Enter")
    rows = screen.until("0 of 60, 6")
    (project / "flag").touch()
    last = screen.until("60 of 60")

    shown = [row for row in rows if row]
    assert any("#1  running" in row for row in shown)
    assert max(len(row) for row in shown) <= 40
    assert sum("#1  running" in row for row in shown) == 1
    assert any("#1  succeeded" in row for row in last) or any("next" in row for row in last)


def test_a_question_is_answered_right_there(terminal: Callable[..., Terminal], write: Write) -> None:
    """A run that waits for a person asks here; a wrong value is asked for again; the run goes on."""
    write(
        "asks",
        """
        steps:
          - id: note
            task: Write the note
            instructions: Open it, then post it.
            assign: [user:ada]
            form: {copies: {type: integer, required: true, minimum: 1}}
          - {id: after, run: "true"}
        """,
    )
    screen = terminal()
    screen.type(f"clear; {TOW} run asks", "Enter")
    rows = screen.until("❯ [d]one  [f]ailed  [l]ater")
    screen.type("d", "Enter")
    screen.until("❯ copies (integer)")
    screen.type("none", "Enter")
    screen.until("`copies` has to be an integer, not 'none'")
    screen.type("3", "Enter")
    screen.until("❯ comment")
    screen.type("Enter")
    last = screen.until("next  tow show 1")

    assert any(row.strip() == "Open it, then post it." for row in rows)
    assert any("done by user:ada" in row for row in last)


def test_a_question_that_was_answered_elsewhere_is_taken_back(
    terminal: Callable[..., Terminal], write: Write, tow: Callable[..., object]
) -> None:
    """Who answers first decides; the other terminal is told and the run goes on there."""
    write("asks", "steps: [{id: note, task: Write the note, assign: [user:ada]}, {id: after, run: 'true'}]")
    screen = terminal()
    screen.type(f"clear; {TOW} run asks", "Enter")
    screen.until("❯ [d]one")

    tow("answer", "1", "done")

    rows = screen.until("next  tow show 1")
    assert any(row.startswith("  decided by ada at ") and row.endswith(": done") for row in rows)


SLOW = """
steps:
  - {id: change, run: "echo new >state", rollback: {run: "echo old >state"}}
  - {id: long, idempotent: true, run: "touch marks; [ -e again ] || sleep 60"}
"""


@pytest.mark.parametrize(
    ("keys", "ending", "state"),
    [
        (("c", "Enter"), "#1  cancelled", "old\n"),
        (("C-c",), "#1  cancelled", "old\n"),
        (("l", "Enter"), "tow resume 1", "new\n"),
    ],
)
def test_ctrl_c_asks(
    keys: tuple[str, ...],
    ending: str,
    state: str,
    terminal: Callable[..., Terminal],
    write: Write,
    project: Path,
) -> None:
    """Ctrl-C asks what is meant: cancelling undoes what was done, leaving keeps it, a second Ctrl-C cancels."""
    write("slow", SLOW)
    screen = terminal()
    screen.type(f"clear; {TOW} run slow; echo code $?", "Enter")
    end = time.monotonic() + PATIENCE_SECONDS
    while not (project / "marks").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    screen.type("C-c")
    screen.until("❯ [c]ancel  [l]eave  [g]o on")
    screen.type(*keys)
    rows = screen.until("code ")

    assert any(ending in row for row in rows)
    assert (project / "state").read_text() == state
    assert rows[[row.startswith("code ") for row in rows].index(True)] == (
        "code 130" if "resume" in ending else "code 6"
    )


def test_going_on_after_ctrl_c(terminal: Callable[..., Terminal], write: Write, project: Path) -> None:
    """Who answers `go on` has stopped nothing."""
    write("slow", SLOW.replace("[ -e again ] || sleep 60", "while [ ! -e again ]; do sleep 0.1; done"))
    screen = terminal()
    screen.type(f"clear; {TOW} run slow; echo code $?", "Enter")
    screen.until("long")
    screen.type("C-c")
    screen.until("❯ [c]ancel")
    screen.type("g", "Enter")
    (project / "again").touch()

    assert any(row == "code 0" for row in screen.until("code "))
