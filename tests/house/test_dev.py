"""`./dev`, the one command for everything, is whole."""

from __future__ import annotations

import re
import subprocess

from house_sources import ROOT

DEV = (ROOT / "dev").read_text(encoding="utf-8")


def help_text() -> str:
    """What `./dev help` prints; it needs no environment."""
    return subprocess.run([ROOT / "dev", "help"], capture_output=True, text=True, check=True).stdout


def test_it_can_be_read_by_bash() -> None:
    """Bash finds no mistake of syntax in the script, nor in what CI runs."""
    for script in ("dev", ".ci/run"):
        subprocess.run(["bash", "-n", ROOT / script], check=True)


def test_help_names_every_command() -> None:
    """What can be typed is what the help tells."""
    told = re.findall(r"^\./dev (\w+)", help_text(), re.MULTILINE)
    taken = re.findall(
        r"^  (\w+)(?: \| -h \| --help)?\) ", DEV.partition("case $command in")[2], re.MULTILINE
    )

    assert sorted(told) == sorted(taken)


def test_every_command_does_what_is_defined() -> None:
    """No command calls a function that is not there."""
    defined = set(re.findall(r"^(\w+)\(\) \{", DEV, re.MULTILINE))
    called = set(re.findall(r"(?:\) |; )(\w+)", DEV.partition("case $command in")[2])) - {"die"}

    assert called <= defined


def test_ci_runs_what_a_contributor_runs() -> None:
    """CI has no commands of its own."""
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()

    assert lines[-1] == "./dev test"
