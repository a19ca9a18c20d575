"""Lines of styled text, and how they reach a terminal, a pipe or a window that is too narrow.

A line is a tuple of spans, a span is text with a role. Views make lines and know nothing of terminals; `Screen` paints them.
Text from outside passes `safe` first: it can hold no control character, so it can move no cursor and hide nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from towpath.observe import plain_text

Role: TypeAlias = Literal[
    "plain", "name", "good", "bad", "warn", "busy", "ask", "dim", "place", "frame", "command"
]
Span: TypeAlias = tuple[str, Role]
Line: TypeAlias = tuple[Span, ...]

WIDTH_DEFAULT = 100
WIDTH_PIPED = 400
"""A pipe has no edge: hardly anything is cut there."""
WIDTH_MIN = 20
_CODES: Mapping[Role, str] = {
    "plain": "",
    "name": "1",
    "good": "32",
    "bad": "31",
    "warn": "33",
    "busy": "36",
    "ask": "1;35",
    "dim": "2",
    "place": "1",
    "frame": "2",
    "command": "36",
}
_RESET = "\x1b[0m"
safe, first_line = plain_text.safe, plain_text.first_line  # views take them from here
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def line(*parts: str | Span) -> Line:
    """A line of spans; bare text is plain."""
    spans: list[Span] = [(part, "plain") if isinstance(part, str) else part for part in parts]
    return tuple(span for span in spans if span[0])


def coloured(text: str) -> str:
    """Text of a step for a terminal: its colours stay, every other escape sequence and control character goes."""
    if text.isprintable():
        return text
    kept: list[str] = []
    end = 0
    for found in _COLOUR.finditer(text):
        kept += [safe(text[end : found.start()]), found[0]]
        end = found.end()
    kept.append(safe(text[end:]))
    return "".join(kept) + (_RESET if end else "")


def cells(text: str) -> int:
    """How many columns a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(_cell(character) for character in text)


def _cell(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Me", "Mn"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def width_of(spans: Line) -> int:
    """How many columns a line takes."""
    return sum(cells(text) for text, _ in spans)


def clip(spans: Line, width: int, *, ellipsis: str = "…") -> Line:
    """The line in at most *width* columns; what is cut is marked."""
    if width_of(spans) <= width:
        return spans
    room = width - cells(ellipsis)
    kept: list[Span] = []
    for text, role in spans:
        part = _fitting(text, room)
        kept.append((part, role))
        room -= cells(part)
        if part != text:
            return (*kept, (ellipsis, role))
    return tuple(kept)


def _fitting(text: str, room: int) -> str:
    if cells(text) <= room:
        return text
    used = 0
    for index, character in enumerate(text):
        used += _cell(character)
        if used > room:
            return text[:index]
    return text


def pad(spans: Line, width: int) -> Line:
    """The line filled up with spaces to *width* columns."""
    missing = width - width_of(spans)
    return (*spans, (" " * missing, "plain")) if missing > 0 else spans


def wrap(text: str, width: int) -> Iterator[str]:
    """Text in lines of at most *width* columns, broken between words where there are any."""
    row = ""
    for word in text.split(" "):
        while cells(word) > width:
            if row:
                yield row
                row = ""
            part = _fitting(word, width)
            yield part
            word = word[len(part) :]  # noqa: PLW2901 - the rest of the long word
        longer = f"{row} {word}" if row else word
        if cells(longer) > width:
            yield row
            row = word
        else:
            row = longer
    if row:
        yield row


def table(
    rows: Iterable[tuple[Line, ...]], *, width: int, flexible: int = -1, gap: int = 2
) -> tuple[Line, ...]:
    """Rows with aligned columns in at most *width* columns; the column *flexible* gives way when they do not fit."""
    rows = tuple(rows)
    if not rows:
        return ()
    count = len(rows[0])
    widths = [max(width_of(row[column]) for row in rows) for column in range(count)]
    flexible %= count
    over = sum(widths) + gap * (count - 1) - width
    if over > 0:
        widths[flexible] = max(8, widths[flexible] - over)
    lines = []
    for row in rows:
        spans: list[Span] = []
        for column, cell in enumerate(row):
            fitted = clip(cell, widths[column])
            spans += fitted if column == count - 1 else pad(fitted, widths[column] + gap)
        lines.append(clip(tuple(spans), width))
    return tuple(lines)


class Stream(Protocol):
    """Where text goes."""

    def write(self, text: str, /) -> object:
        """Writes text."""

    def flush(self) -> object:
        """Sees to it that it is out."""

    def isatty(self) -> bool:
        """Whether it is a terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """What a stream can show, and how much of it."""

    stream: Stream
    is_terminal: bool = False
    colours: bool = False
    unicode: bool = True
    fixed_width: int | None = None
    fixed_height: int | None = None

    @property
    def width(self) -> int:
        """Columns; a pipe has as many as it wants, and gets a readable number."""
        if self.fixed_width is not None:
            return self.fixed_width
        return max(WIDTH_MIN, shutil.get_terminal_size((WIDTH_DEFAULT, 24)).columns)

    @property
    def height(self) -> int:
        """Rows of the window."""
        if self.fixed_height is not None:
            return self.fixed_height
        return max(4, shutil.get_terminal_size((WIDTH_DEFAULT, 24)).lines)

    def text(self, spans: Line) -> str:
        """The line as the stream wants it."""
        shown = spans if self.unicode else tuple((ascii_text(text), role) for text, role in spans)
        if not self.colours:
            return "".join(text for text, _ in shown).rstrip()
        return "".join(_painted(text, role) for text, role in shown)

    def show(self, *lines: Line) -> None:
        """Writes lines."""
        if lines:
            self.stream.write("\n".join(self.text(one) for one in lines) + "\n")
            self.stream.flush()

    def say(self, *parts: str | Span) -> None:
        """Writes one line of parts."""
        self.show(line(*parts))


def screen_of(stream: Stream, environment: Mapping[str, str] | None = None) -> Screen:
    """The screen that *stream* is, following NO_COLOR, FORCE_COLOR, TERM, COLUMNS and the encoding."""
    environment = os.environ if environment is None else environment
    is_terminal = stream.isatty() and environment.get("TERM") != "dumb"
    colours = (is_terminal or bool(environment.get("FORCE_COLOR"))) and not environment.get("NO_COLOR")
    return Screen(
        stream=stream,
        is_terminal=is_terminal,
        colours=colours,
        unicode=_can_unicode(stream) and environment.get("TOW_ASCII", "") in ("", "0"),
        fixed_width=None if is_terminal or environment.get("COLUMNS") else WIDTH_PIPED,
    )


def _can_unicode(stream: Stream) -> bool:
    try:
        "✓├─…".encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


_ASCII = {
    "✓": "+", "✗": "x", "–": "-", "⊘": "!", "●": ">", "·": ".", "↻": "~", "◷": "@", "?": "?", "↶": "<",
    "├": "|", "└": "`", "─": "-", "│": "|", "…": "...", "→": "->", "—": "-", "×": "x", "┃": "|", "❯": ">",
    "║": "|", "╟": "|", "╙": "`", "⟳": "@", "◇": "<>",
}  # fmt: skip


def ascii_text(text: str) -> str:
    """The text for a terminal that has no Unicode."""
    if text.isascii():
        return text
    return "".join(c if c.isascii() else _ASCII.get(c, "?") for c in text)


def _painted(text: str, role: Role) -> str:
    code = _CODES[role]
    return f"\x1b[{code}m{text}{_RESET}" if code and text else text
