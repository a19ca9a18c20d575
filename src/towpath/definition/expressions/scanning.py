"""Finding brackets and quotes in CEL text without parsing it.

The real parser is recursive, so nesting is measured before it sees the text; and `${{ … }}` ends at the
first `}}` that stands outside quotes and outside every bracket opened within, which only a scan can tell.
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
  | (?:[rR][bB]?|[bB][rR])(?:\"\"\".*?\"\"\"|'''.*?'''|"[^"\n]*"|'[^'\n]*')  # raw: a backslash is itself
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
    """Yield every bracket of *text* from *start* on; depth falls below zero where too many are closed."""
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
    """Return where the `}}` stands that ends the expression begun at *start*, or None."""
    opened: list[str] = []
    for bracket in brackets(text, start):
        if bracket.char not in _CLOSERS:
            opened.append(bracket.char)
        elif opened and opened[-1] == _CLOSERS[bracket.char]:
            opened.pop()
        elif text.startswith("}}", bracket.offset):
            return bracket.offset
    return None


def without_tests(source: str) -> str:
    """Return *source* with `true` for every `has(…)`, everything else at its old place.

    CEL's type checker takes `has(a.b)` for `a.b` itself where the type of `a.b` is declared. What stands
    inside was checked by its path already.
    """
    pieces: list[str] = []
    position = 0
    for token in _TOKEN.finditer(source):
        if token.group() != "has" or token.start() < position:
            continue
        end = _end_of_call(source, token.end())
        if end is None or source[: token.start()].rstrip().endswith("."):
            continue
        rest = source[token.start() + len("true") : end]
        blanks = "".join(char if char == "\n" else " " for char in rest)
        pieces += [source[position : token.start()], "true", blanks]
        position = end
    return "".join([*pieces, source[position:]])


def _end_of_call(source: str, start: int) -> int | None:
    """Return where the brackets end that open at *start*, or None when none open there."""
    first = next(brackets(source, start), None)
    if first is None or first.char != "(" or source[start : first.offset].strip():
        return None
    return next(bracket.offset + 1 for bracket in brackets(source, start) if bracket.depth == 0)


def at_name(source: str, offset: int, function: str) -> int:
    """Return where the name of a *function* begins; CEL reports the *offset* of the bracket after it."""
    before = source[:offset].rstrip()
    return len(before) - len(function) if before.endswith(function) else offset
