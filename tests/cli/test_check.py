"""`tow check` on a command line: what it prints, draws and answers to the shell."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from towpath.cli import exit_codes

if TYPE_CHECKING:
    from conftest import Tow

SOUND = """
    steps:
      - id: build
        idempotent: true
        run: make
      - id: deploy
        run: ./deploy.sh
        rollback: {run: ./deploy.sh back}
      - id: smoke
        idempotent: true
        run: ./smoke.sh
        retry: {attempts: 3, delay: 1s}
"""
MISTAKEN = """
    steps:
      - id: hold
        wait: {signal: go}
"""


@pytest.fixture
def sound(write: Callable[[str, str], None]) -> None:
    """A workflow without a mistake."""
    write("sound", SOUND)


@pytest.mark.usefixtures("sound")
def test_a_sound_workflow_is_told_with_its_stories(tow: Tow) -> None:
    """Every way to end comes with a story, and the exit code is 0."""
    said = tow("check", "sound")

    assert said.code == exit_codes.OK
    assert "complete" in said.out
    assert "build ok → deploy fails → rolled back: deploy" in said.out
    assert said.out.rstrip().endswith("✓ sound: nothing found in 20 states")


def test_a_finding_has_a_place_a_story_and_an_exit_code(tow: Tow, write: Callable[[str, str], None]) -> None:
    """What is wrong is told with file, line, number and story, and the shell gets 12."""
    write("held", MISTAKEN)

    said = tow("check", "workflows/held.yaml")

    assert said.code == exit_codes.FINDINGS
    assert "workflows/held.yaml:5:5 CHK05 endless-wait" in said.out
    assert "  5 |     wait: {signal: go}" in said.out
    assert "story: hold waits for the signal `go`" in said.out


@pytest.mark.usefixtures("sound")
def test_without_a_name_the_whole_project_is_checked(tow: Tow, write: Callable[[str, str], None]) -> None:
    """All workflows are checked, and one finding decides the exit code."""
    write("held", MISTAKEN)

    said = tow("check")

    assert said.code == exit_codes.FINDINGS
    assert "✗ held: 1 finding" in said.out
    assert "✓ sound: nothing found" in said.out


def test_an_empty_project_has_nothing_to_check(tow: Tow) -> None:
    """A project without workflows is no mistake."""
    assert tow("check").code == exit_codes.OK


def test_a_file_that_does_not_load_is_told_as_lint_tells_it(
    tow: Tow, write: Callable[[str, str], None]
) -> None:
    """What cannot be loaded cannot be explored: its problems are told."""
    write("broken", "\nsteps:\n  - rnu: make\n")

    said = tow("check", "broken")

    assert said.code == exit_codes.FAILED
    assert "TOW1" in said.err


def test_json_has_endings_findings_and_numbers(tow: Tow, write: Callable[[str, str], None]) -> None:
    """Programs get the same as people."""
    write("held", MISTAKEN)

    (report,) = json.loads(tow("check", "held", "--json").out)

    assert report["complete"] is True
    assert report["states"] > 1
    assert {ending["status"] for ending in report["endings"]} == {"succeeded"}
    assert [(one["code"], one["line"]) for one in report["findings"]] == [("CHK05", 5)]


@pytest.mark.usefixtures("sound")
def test_laws_of_the_command_line_are_checked(tow: Tow) -> None:
    """A law that can be broken is told with the story that breaks it; one that holds is not."""
    broken = tow("check", "sound", "--always", 'status != "rolled_back"')
    kept = tow("check", "sound", "--never", 'status == "succeeded" && steps.build.status != "succeeded"')

    assert broken.code == exit_codes.FINDINGS
    assert "CHK17 always-broken" in broken.out
    assert kept.code == exit_codes.OK


@pytest.mark.parametrize("law", ["steps.nowhere.decided", "nobody == 1", "status =="])
@pytest.mark.usefixtures("sound")
def test_a_law_that_cannot_be_read_is_refused(tow: Tow, law: str) -> None:
    """A law with an unknown step or name, or that is no expression, is told as such."""
    said = tow("check", "sound", "--never", law)

    assert said.code == exit_codes.FAILED
    assert "error: " in said.err


@pytest.mark.usefixtures("sound")
def test_a_bounded_search_says_so(tow: Tow) -> None:
    """A search that met a limit names it, and does not claim that nothing is wrong."""
    said = tow("check", "sound", "--max-states", "3")

    assert said.code == exit_codes.OK
    assert "bounded by the number of states (--max-states)" in said.out
    assert "nothing found in 3 states, and not everything was seen" in said.out


@pytest.mark.usefixtures("sound")
def test_a_cancel_is_an_option(tow: Tow) -> None:
    """With --cancel somebody may stop the run, and what was done is undone."""
    assert "cancelled" not in tow("check", "sound").out
    assert "somebody cancels the run" in tow("check", "sound", "--cancel").out


@pytest.mark.usefixtures("sound")
def test_the_states_are_drawn(tow: Tow, tmp_path: Path) -> None:
    """The graph comes as text, as DOT and as SVG that is sound XML with every end state in it."""
    text = tow("check", "sound", "--graph", "text").out
    dot = tow("check", "sound", "--graph", "dot").out
    tow("check", "sound", "--graph", "svg", "--out", str(tmp_path / "states.svg"))

    drawn = ET.parse(tmp_path / "states.svg").getroot()  # noqa: S314 - our own drawing
    words = {element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert "= rolled_back" in text
    assert dot.startswith('digraph "sound" {')
    assert dot.count("peripheries=2") >= 4
    assert {"succeeded", "rolled_back", "failed", "rollback_failed"} <= words


@pytest.mark.parametrize("options", [("--graph", "dot"), ("-i", "x=1")])
@pytest.mark.usefixtures("sound")
def test_what_is_meant_for_one_workflow_takes_one(tow: Tow, options: tuple[str, ...]) -> None:
    """A drawing, or inputs, of a whole project are a wrong command line."""
    assert tow("check", "sound", "sound", *options).code == exit_codes.USAGE


@pytest.mark.usefixtures("sound")
def test_narrow_windows_break_stories_between_words(tow: Tow, monkeypatch: pytest.MonkeyPatch) -> None:
    """On 60 columns no line is longer than that, and the stories are whole."""
    monkeypatch.setenv("COLUMNS", "60")

    said = tow("check", "sound", "--always", 'status != "rolled_back"')

    assert max(len(row) for row in said.out.splitlines()) <= 60
    assert "rolled back: deploy" in " ".join(said.out.split())
