"""Finding brackets and quotes in CEL text without parsing it.

The real parser is recursive, so nesting is measured before it sees the text; and `${{ … }}` ends at the first
`}}` that stands outside quotes and outside every bracket opened within, which only a scan can tell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN: Final = re.compile(
    r"""
    //[^\n]*                                        # a comment
  | (?:[rR][bB]?|[bB][rR])(?:\"\"\".*?\"\"\"|'''.*?'''|"[^"\n]*"|'[^'\n]*')      # raw text: a backslash is itself
  | \"\"\"(?:[^\\]|\\.)*?\"\"\" | '''(?:[^\\]|\\.)*?'''
  | "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*'
  | [A-Za-z_][A-Za-z_0-9]*                          # a word, so that its last letter is no raw-text prefix
  | [()\[\]{}]
  """,
    re.VERBOSE | re.DOTALL,
)
_CLOSERS: Final = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """One bracket outside quotes and comments, and how many are open after it."""

    char: str
    offset: int
    depth: int


def brackets(text: str, start: int = 0) -> Iterator[Bracket]:
    """Yield every bracket of *text* from *start* on; depth goes below zero where more are closed than opened."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        char = token.group()
        if char in "([{":
            depth += 1
        elif char in _CLOSERS:
            depth -= 1
        else:
            continue
        yield Bracket(char=char, offset=token.start(), depth=depth)


def too_deep(source: str, *, depth_max: int) -> int | None:
    """Return the offset of the first bracket that is nested deeper than *depth_max*."""
    return next((bracket.offset for bracket in brackets(source) if bracket.depth > depth_max), None)


def end_of_expression(text: str, start: int) -> int | None:
    """Return where the `}}` stands that ends the expression beginning at *start*, or None when there is none."""
    opened: list[str] = []
    for bracket in brackets(text, start):
        if bracket.char not in _CLOSERS:
            opened.append(bracket.char)
        elif opened and opened[-1] == _CLOSERS[bracket.char]:
            opened.pop()
        elif text.startswith("}}", bracket.offset):
            return bracket.offset
    return None
