"""What the pages tell people to type can be typed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

import click
import pytest
from house_sources import ROOT

from towpath.cli import commands
from towpath.cli.group import root

PAGES = [
    ROOT / "dev",
    ROOT / "README.md",
    ROOT / "examples" / "README.md",
    *sorted((ROOT / "examples" / "workflows").glob("*.yaml")),
    *sorted(page for page in (ROOT / "docs").rglob("*.md") if page.parts[-2:] != ("reference", "cli.md")),
]
TYPED = re.compile(r"(?:^|`|\$ |: |&& |\"\$BIN/)tow ((?!…)[a-z][^`\n#;]*)", re.MULTILINE)


class Mention(NamedTuple):
    """One command on one page."""

    page: Path
    line: int
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}: tow {' '.join(self.words)}"


def mentions() -> list[Mention]:
    """Every command that stands in code on a page."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in TYPED.finditer(text):
            typed = re.split(r"\s{2,}|\s>|\)|&&|\|", match[1])[0]
            words = tuple(shlex.split(typed)) if typed.count('"') % 2 == 0 else tuple(typed.split())
            found.append(Mention(page, text.count("\n", 0, match.start(1)) + 1, words))
    return found


def unknown(words: tuple[str, ...]) -> list[str]:
    """The words of a command line that `tow` does not know: the command, the one below it, the options."""
    context = click.Context(root, info_name="tow")
    if words[0] not in commands.ENTRIES:
        return [words[0]]
    known = root.get_command(context, words[0])
    rest = list(words[1:])
    if isinstance(known, click.Group) and rest:
        name = rest.pop(0)
        known = known.get_command(context, name)
        if known is None:
            return [name]
    assert known
    options = {name for each in known.params for name in (*each.opts, *each.secondary_opts)} | {
        "--help",
        "-h",
    }
    return [
        word for word in rest if word.startswith("-") and word != "-" and word.split("=")[0] not in options
    ]


@pytest.mark.parametrize("mention", mentions(), ids=str)
def test_what_a_page_shows_can_be_typed(mention: Mention) -> None:
    """Every `tow …` on a page names a command and options that there are."""
    assert unknown(mention.words) == []


def test_mentions_are_found() -> None:
    """The search finds commands in blocks and in sentences."""
    assert len(mentions()) > 50
    assert any(mention.words[:2] == ("secrets", "set") for mention in mentions())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ps", []),
        ("pss", ["pss"]),
        ("lint --format sarif", []),
        ("lint --fromat sarif", ["--fromat"]),
    ],
)
def test_an_unknown_word_is_found(line: str, expected: list[str]) -> None:
    """The check notices a command or an option that there is not."""
    assert unknown(tuple(line.split())) == expected
