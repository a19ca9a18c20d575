"""Real `tow` processes on real folders."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

TOW = (sys.executable, "-m", "towpath")
SECONDS_MAX = 60.0
PROJECT = """
name: faults
people: {users: {ann: {name: Ann}, bob: {name: Bob}}}
"""


def needed(program: str) -> str:
    """The path of a program without which a test cannot show what it promises."""
    found = shutil.which(program)
    if found is None:
        pytest.fail(f"{program} is needed: ./dev test installs it (Debian: apt-get install {program})")
    return found


PLACES: list[Place] = []
"""The places of the test that runs: what was killed on them has left things in memory."""


class Place:
    """A project folder, with its data folder inside or elsewhere, and `tow` on it."""

    def __init__(self, folder: Path, *, data: Path | None = None, **workflows: str) -> None:
        PLACES.append(self)
        self.folder = folder
        self.data = data or folder / ".towpath"
        (folder / "workflows").mkdir(parents=True)
        (folder / "towpath.yaml").write_text(PROJECT)
        for name, text in workflows.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        """Writes a workflow."""
        (self.folder / "workflows" / f"{name}.yaml").write_text(f"name: {name}\n{text}")

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """What `tow` sees."""
        base = {name: value for name, value in os.environ.items() if not name.startswith("TOW_")}
        return {**base, "TOW_USER": "ann", "TOW_DATA": str(self.data), "NO_COLOR": "1", **(more or {})}

    def begin(self, *arguments: str, before: tuple[str, ...] = (), **env: str) -> subprocess.Popen[str]:
        """Starts `tow`, behind another program where one is named."""
        return subprocess.Popen(
            [*before, *TOW, *arguments],
            cwd=self.folder,
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def tow(
        self, *arguments: str, before: tuple[str, ...] = (), **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs `tow` to its end."""
        process = self.begin(*arguments, before=before, **env)
        try:
            out, err = process.communicate(timeout=SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            pytest.fail(f"tow {' '.join(arguments)} did not end within {SECONDS_MAX:g} s:\n{out}{err}")
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def runs(self) -> list[dict[str, Any]]:
        """Every run, the oldest first."""
        listed = self.tow("ps", "--all", "--json")
        return sorted(json_lines(listed.stdout), key=lambda run: int(run["number"]))

    def facts(self, run: int = 1) -> list[tuple[int, str]]:
        """Sequence and record of every event in the journal, straight from the file."""
        with contextlib.closing(sqlite3.connect(self.data / "towpath.db")) as connection:
            found = connection.execute(
                "SELECT sequence, record FROM journal WHERE run = ? ORDER BY sequence", (run,)
            )
            return [(int(sequence), bytes(record).decode()) for sequence, record in found]

    def counted(self, query: str) -> int:
        """The one number that a query gives, straight from the file; 0 while that is being made."""
        with contextlib.closing(sqlite3.connect(self.data / "towpath.db")) as connection:
            try:
                (number,) = connection.execute(query).fetchone()
            except sqlite3.OperationalError:
                return 0
        return int(number)

    def statuses(self) -> list[str]:
        """How every run stands, the oldest first, straight from the file."""
        with contextlib.closing(sqlite3.connect(self.data / "towpath.db")) as connection:
            return [status for (status,) in connection.execute("SELECT status FROM runs ORDER BY number")]


def json_lines(text: str) -> list[dict[str, Any]]:
    """The JSON values of a text, one a line."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def wait_for(
    holds: Callable[[], object],
    *,
    seconds: float = SECONDS_MAX,
    what: str = "it",
    of: subprocess.Popen[str] | None = None,
) -> None:
    """Waits for something that another process does; fails at once, with what it said, when that has ended."""
    until = time.monotonic() + seconds
    while not holds():
        if of is not None and of.poll() is not None and not holds():
            out, err = of.communicate()
            pytest.fail(
                f"{what} did not come; the process ended with {of.returncode}:\n{out[-1500:]}{err[-1500:]}"
            )
        if time.monotonic() > until:
            pytest.fail(f"{what} did not come within {seconds:g} s")
        time.sleep(0.01)


def kill(process: subprocess.Popen[str]) -> tuple[str, str]:
    """`kill -9`, and what it had said until then."""
    process.send_signal(signal.SIGKILL)
    return process.communicate(timeout=SECONDS_MAX)


def stop_between_writes(place: Place, process: subprocess.Popen[str]) -> None:
    """SIGSTOP at a moment when the process does not hold the database: whoever stands still in a write holds up everybody, and is told of."""

    def stands_still() -> bool:
        process.send_signal(signal.SIGSTOP)
        with contextlib.closing(
            sqlite3.connect(place.data / "towpath.db", timeout=0, isolation_level=None)
        ) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                process.send_signal(signal.SIGCONT)
                return False
        return True

    wait_for(stands_still, what="a moment between two writes", of=process)


def processes_with(word: str) -> list[int]:
    """The living processes that carry *word* in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                held = word.encode() in (entry / "environ").read_bytes()
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if held and state != "Z":
                found.append(int(entry.name))
    return found
