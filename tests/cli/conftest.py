"""What the tests of commands share: a project in a folder of its own, and `tow` called in this process."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from towpath.cli.entry import main

TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Tow = Callable[..., Said]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a hello workflow, as the current folder."""
    for name in ("TOW_DATA", "TOW_USER", "FORCE_COLOR", "COLUMNS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TOW_USER", "ada")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "workflows").mkdir()
    (tmp_path / "towpath.yaml").write_text("name: tests\n")
    return tmp_path


@pytest.fixture
def tow(project: Path, capfd: pytest.CaptureFixture[str]) -> Tow:
    """`tow WORDS…` in this process; gives its output and exit code."""

    def call(*words: str) -> Said:
        assert Path.cwd() == project
        capfd.readouterr()
        code = 0
        try:
            main(words)
        except SystemExit as leave:
            code = int(leave.code or 0)
        out, err = capfd.readouterr()
        return Said(code=code, out=out, err=err)

    return call


@pytest.fixture
def write(project: Path) -> Callable[[str, str], None]:
    """Writes a workflow of the project."""

    def workflow(name: str, text: str) -> None:
        (project / "workflows" / f"{name}.yaml").write_text(f"name: {name}\n{textwrap.dedent(text)}")

    return workflow


@pytest.fixture
def spawn(project: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `tow WORDS…` as a process of its own; what is left at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "towpath", *words],
            cwd=project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.communicate(timeout=TIMEOUT_SECONDS)
