"""Text from outside on one line: what would move a cursor, hide something or turn it around is gone, or is visible as a mark."""

from __future__ import annotations

import re
from typing import Final

ESCAPE: Final = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~])"
)
"""One escape sequence of a terminal."""


def safe(text: str) -> str:
    """Text from outside on one line: escape sequences are gone, other control characters are visible as one mark."""
    if text.isprintable():
        return text
    text = ESCAPE.sub("", text)
    return "".join(_shown(character) for character in text)


def first_line(text: str) -> str:
    """The first line of text from outside that holds anything."""
    for part in text.splitlines():
        if part.strip():
            return safe(part.strip())
    return ""


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character in "\t\n\r" else "\N{REPLACEMENT CHARACTER}"
