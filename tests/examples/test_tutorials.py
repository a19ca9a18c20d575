"""The tutorials can be followed: what they tell to type does what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from towpath.cli import exit_codes

TUTORIALS = Path(__file__).resolve().parents[2] / "docs" / "tutorial"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project as `tow init` begins it."""
    folder = tmp_path / "shop"
    folder.mkdir()
    assert typed(folder, "tow init") == exit_codes.OK
    return folder


def typed(project: Path, line: str) -> int:
    """The exit code of a line that a page tells to type."""
    command = re.sub(r"\btow\b", f"{sys.executable} -m towpath", line, count=1)
    done = subprocess.run(
        ["bash", "-c", command], cwd=project, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return done.returncode


def block(page: str, language: str, *, holding: str) -> str:
    """The piece of code on a page that holds certain words."""
    text = (TUTORIALS / page).read_text(encoding="utf-8")
    return next(
        found for found in re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL) if holding in found
    )


def test_init_writes_what_the_tutorial_shows(project: Path) -> None:
    """The first workflow on the page is the one that `tow init` writes."""
    shown = block("first-workflow.md", "yaml", holding="name: hello")

    assert shown == (project / "workflows" / "hello.yaml").read_text(encoding="utf-8")


def test_the_first_workflow_runs(project: Path) -> None:
    """Everything that the first page tells to type succeeds."""
    lines = block("first-workflow.md", "sh", holding="tow run hello").splitlines()

    assert [typed(project, line) for line in lines] == [exit_codes.OK] * len(lines)


def test_the_page_goes_back_when_its_smoke_test_fails(project: Path) -> None:
    """The second page's workflow puts a page live, goes back when its test fails, and is undone later."""
    workflow = block("fail-and-roll-back.md", "yaml", holding="name: switch_page")
    (project / "workflows" / "switch_page.yaml").write_text(workflow, encoding="utf-8")
    good, bad, _ = block("fail-and-roll-back.md", "sh", holding="It does not.").splitlines()
    better, undo, _ = block("fail-and-roll-back.md", "sh", holding="It works better.").splitlines()
    seen = []
    for line in (good, bad, better, undo):
        code = typed(project, line)
        seen.append((code, (project / "site" / "live").read_text(encoding="utf-8").strip()))

    assert seen == [
        (exit_codes.OK, "It works."),
        (exit_codes.ROLLED_BACK, "It works."),
        (exit_codes.OK, "It works better."),
        (exit_codes.OK, "It works."),
    ]
