"""What the tests of `tow test` share: a project with one workflow of each kind, and the text of what is wrong with a file."""

from __future__ import annotations

import functools
from pathlib import Path

from towpath.definition.problems import Problem, render_text, summary
from towpath.trials.testing import Bench, Outcome, Report, Runner

HERE = Path(__file__).parent
PROJECT = HERE / "project"
MISTAKES = sorted((HERE / "mistakes").glob("*.yaml"))
FAILING = sorted((HERE / "failing").glob("*.yaml"))
SHOWS = sorted((HERE / "shows").glob("*.yaml"))


@functools.cache
def bench() -> Bench:
    """The project of these tests, read once."""
    return Bench.of(PROJECT)


def played(file: Path, *, keyword: str = "", update: bool = False) -> Report:
    """How the tests of a file go in the project of these tests."""
    return Runner(bench(), keyword=keyword, update=update).run([file], shown=lambda path: path.name)


def played_text(folder: Path, text: str, *, name: str = "a.yaml", update: bool = False) -> Report:
    """How the tests in a text go."""
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return played(file, update=update)


def said(problems: tuple[Problem, ...]) -> str:
    """What `tow test` prints of *problems*."""
    return f"{render_text(problems)}\n\n{summary(problems)}\n" if problems else "no problems\n"


def told(outcome: Outcome) -> str:
    """Everything that was not as expected in one test, as text."""
    lines = [f"# {outcome.test.name}"]
    for one in outcome.differences:
        lines += [one.what, *_labelled("expected", one.expected), *_labelled("got", one.got)]
        lines += _labelled("help", one.help) if one.help else []
    return "\n".join(lines)


def _labelled(label: str, text: str) -> list[str]:
    return [f"  {label:<9} {line}" for line in text.splitlines() or [""]]
