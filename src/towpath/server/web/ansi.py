"""Colours of what steps printed, made safe: of all that a terminal obeys only colours and weights are kept, as names of CSS classes.

Everything else that a terminal would do (moving, erasing, titles, links, sounds) is dropped. The text between is data: the template
escapes it like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from towpath.observe.plain_text import ESCAPE

LINE_CHARS_MAX: Final = 20_000
"""Of a longer line the rest is not shown."""
SPANS_MAX: Final = 2_000
"""Pieces of one line: one that changes its colour more often goes on without colours."""
NUMBERS_MAX: Final = 32
"""Numbers of one sequence that are looked at."""

_SGR: Final = re.compile(r"\x1b\[([0-9;:]*)m")
_BRIGHT: Final = 8
_FIRST_OF_CUBE: Final = 16
_FIRST_GREY: Final = 232
_WEIGHTS: Final = {1: "bold", 2: "dim", 3: "italic", 4: "underlined", 7: "turned", 9: "struck"}
_ENDS: Final = {22: ("bold", "dim"), 23: ("italic",), 24: ("underlined",), 27: ("turned",), 29: ("struck",)}
_INKS: Final[Mapping[int, int | None]] = {
    39: None,
    **{30 + colour: colour for colour in range(8)},
    **{90 + colour: colour + _BRIGHT for colour in range(8)},
}
_GROUNDS: Final[Mapping[int, int | None]] = {number + 10: colour for number, colour in _INKS.items()}
_INK_OF_MANY: Final = 38
_GROUND_OF_MANY: Final = 48


class Piece(NamedTuple):
    """A stretch of text in one look."""

    classes: str
    """Names of CSS classes, our own; empty for plain text."""
    text: str
    is_found: bool = False
    """Whether it is what was searched for."""


@dataclass(frozen=True, slots=True)
class _Look:
    ink: int | None = None
    ground: int | None = None
    weights: frozenset[str] = frozenset()

    @property
    def classes(self) -> str:
        names = [f"ansi-{weight}" for weight in sorted(self.weights)]
        if self.ink is not None:
            names.append(f"ansi-{self.ink}")
        if self.ground is not None:
            names.append(f"ansi-on-{self.ground}")
        return " ".join(names)


def pieces(text: str, find: str = "") -> tuple[Piece, ...]:
    """A line as pieces with their looks; what is searched for is a piece of its own, whatever its case."""
    text = _overwritten(text[:LINE_CHARS_MAX])
    found = tuple(_coloured(text))
    if not find:
        return found
    return tuple(part for piece in found for part in _marked(piece, find))


def plain(text: str) -> str:
    """A line without everything that a terminal would obey."""
    return ESCAPE.sub("", _overwritten(text[:LINE_CHARS_MAX]))


def _overwritten(text: str) -> str:
    """What is left of a line that was written over, as progress bars do: what came behind the last return."""
    if "\r" not in text:
        return text
    return next((part for part in reversed(text.split("\r")) if part), "")


def _coloured(text: str) -> Iterator[Piece]:
    look, end, count = _Look(), 0, 0
    for found in _SGR.finditer(text):
        if (between := ESCAPE.sub("", text[end : found.start()])) != "":
            yield Piece(look.classes, between)
            count += 1
        end = found.end()
        if count >= SPANS_MAX:
            look = _Look()
            break
        look = _turned(look, found[1])
    if (rest := ESCAPE.sub("", text[end:])) != "":
        yield Piece(look.classes, rest)


def _turned(look: _Look, parameters: str) -> _Look:
    """The look after one sequence."""
    numbers = iter(_numbers(parameters))
    for number in numbers:
        look = _one(look, number, numbers)
    return look


def _numbers(parameters: str) -> list[int]:
    parts = parameters.replace(":", ";").split(";")[:NUMBERS_MAX]
    return [int(part) if part and len(part) <= 3 else 0 for part in parts]  # noqa: PLR2004 - 0 to 255


def _one(look: _Look, number: int, more: Iterator[int]) -> _Look:
    """The look after one number of a sequence."""
    if number == 0:
        return _Look()
    if number in _WEIGHTS or number in _ENDS:
        begins = {_WEIGHTS[number]} if number in _WEIGHTS else set()
        return replace(look, weights=look.weights - set(_ENDS.get(number, ())) | begins)
    if number in _INKS:
        return replace(look, ink=_INKS[number])
    if number in _GROUNDS:
        return replace(look, ground=_GROUNDS[number])
    if number in (_INK_OF_MANY, _GROUND_OF_MANY):
        chosen = _of_many(more)
        return replace(look, ink=chosen) if number == _INK_OF_MANY else replace(look, ground=chosen)
    return look


def _of_many(more: Iterator[int]) -> int | None:
    """The nearest of the sixteen colours to one of 256, or to a mixed one."""
    kind = next(more, None)
    if kind == 5:  # noqa: PLR2004 - one of 256
        number = next(more, 0)
        if number < _FIRST_OF_CUBE:
            return number
        if number >= _FIRST_GREY:
            level = (number - _FIRST_GREY) * 10 + 8
            return _nearest(level, level, level)
        number -= _FIRST_OF_CUBE
        return _nearest(*(part * 51 for part in (number // 36 % 6, number // 6 % 6, number % 6)))
    if kind == 2:  # noqa: PLR2004 - red, green and blue
        return _nearest(next(more, 0), next(more, 0), next(more, 0))
    return None


def _nearest(red: int, green: int, blue: int) -> int:
    strongest = max(red, green, blue)
    if strongest < 48:  # noqa: PLR2004 - nearly black
        return 0
    if max(red, green, blue) - min(red, green, blue) < 32:  # noqa: PLR2004 - hardly any colour: a grey
        return 8 if strongest < 128 else 7 if strongest < 224 else 15  # noqa: PLR2004 - darker, lighter, white
    half = strongest / 2
    index = (red > half) + 2 * (green > half) + 4 * (blue > half)
    return index + (_BRIGHT if strongest > 200 else 0)  # noqa: PLR2004 - a bright one


def _marked(piece: Piece, find: str) -> Iterable[Piece]:
    wanted, text = find.casefold(), piece.text
    # A character may become several when its case is folded; then places cannot be told and nothing is marked.
    folded = text.casefold()
    if len(folded) != len(text):
        yield piece
        return
    begin = 0
    while (at := folded.find(wanted, begin)) >= 0:
        if at > begin:
            yield Piece(piece.classes, text[begin:at])
        yield Piece(piece.classes, text[at : at + len(wanted)], is_found=True)
        begin = at + len(wanted)
    if begin < len(text):
        yield Piece(piece.classes, text[begin:])
