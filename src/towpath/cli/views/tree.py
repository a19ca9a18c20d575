"""A run as a tree on a terminal: the rows as lines, and as many of them as fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

from towpath.cli.views.lines import Line, Role, Screen, Span, cells, clip, line, pad
from towpath.observe import words
from towpath.server.shapes.tree import ITEMS_LISTED_MAX, Detail, Look, Row, tree

__all__ = ["GLYPHS", "ITEMS_LISTED_MAX", "Detail", "Look", "Row", "count_lines", "fit", "lines", "tree"]

LABEL_CELLS_MAX = 44

GLYPHS: Mapping[Look, Span] = {
    "pending": ("·", "dim"),
    "performing": ("●", "busy"),
    "open": ("●", "busy"),
    "retrying": ("↻", "warn"),
    "waiting": ("◷", "warn"),
    "asking": ("?", "ask"),
    "succeeded": ("✓", "good"),
    "failed": ("✗", "bad"),
    "skipped": ("–", "dim"),
    "cancelled": ("⊘", "warn"),
    "undone": ("↶", "warn"),
    "folded": ("…", "dim"),
}
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
SPINNER_ASCII = "|/-\\"
_NOTE_ROLES: Mapping[Look, Role] = {"failed": "bad", "asking": "ask", "retrying": "warn", "waiting": "warn"}


def lines(rows: tuple[Row, ...], screen: Screen, *, beat: int | None = None) -> tuple[Line, ...]:
    """The rows as lines with guides, one column for the times and what is left for notes."""
    flat = tuple(_flat(rows, ""))
    width = screen.width
    most = max(10, min(LABEL_CELLS_MAX, width // 2))
    column = min(most, max((cells(guide) + 2 + cells(row.label) for guide, row, _ in flat), default=0))
    made: list[Line] = []
    for guide, row, below in flat:
        made.append(_row_line(guide, row, screen=screen, column=column, beat=beat))
        made += [clip(line((f"{below}  ┃ ", "frame"), (text, "dim")), width) for text in row.tail]
    return tuple(made)


def _flat(rows: tuple[Row, ...], below: str, *, is_top: bool = True) -> Iterator[tuple[str, Row, str]]:
    """Every row with the guide before it and the guide of what hangs below it."""
    for index, row in enumerate(rows):
        is_last = index == len(rows) - 1
        guide = "" if is_top else f"{below}{'└─ ' if is_last else '├─ '}"
        inner = "" if is_top else f"{below}{'   ' if is_last else '│  '}"
        yield guide, row, inner
        yield from _flat(row.rows, inner, is_top=False)


def _row_line(guide: str, row: Row, *, screen: Screen, column: int, beat: int | None) -> Line:
    label = clip(
        ((row.label, "dim" if row.look in ("pending", "folded", "skipped") else "plain"),),
        column - cells(guide) - 2,
    )
    head = pad(((guide, "frame"), _glyph(row.look, screen, beat), (" ", "plain"), *label), column)
    took: Span = (f" {row.took:>6}", "dim") if row.took or row.note else ("", "plain")
    note: Line = ((f"  {row.note}", _NOTE_ROLES.get(row.look, "dim")),) if row.note else ()
    return clip(tuple(span for span in (*head, took, *note) if span[0]), screen.width)


def _glyph(look: Look, screen: Screen, beat: int | None) -> Span:
    if look == "performing" and beat is not None:
        frames = SPINNER if screen.unicode else SPINNER_ASCII
        return frames[beat % len(frames)], "busy"
    return GLYPHS[look]


def fit(rows: tuple[Row, ...], height: int) -> tuple[Row, ...]:
    """The rows in at most *height* lines: what is settled folds first, then logs, then whatever is last."""
    for narrower in (_same, _without_settled_children, _shorter_tails, _folded_settled, _without_tails):
        rows = narrower(rows)
        if count_lines(rows) <= height:
            return rows
    return _cut(rows, height)


def count_lines(rows: Iterable[Row]) -> int:
    """How many lines the rows take."""
    return sum(1 + len(row.tail) + count_lines(row.rows) for row in rows)


def _same(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    return rows


def _mapped(rows: tuple[Row, ...], **changes: object) -> tuple[Row, ...]:
    return tuple(dataclasses.replace(row, rows=_mapped(row.rows, **changes), **changes) for row in rows)  # type: ignore[arg-type] # the fields of a row


def _without_settled_children(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    return tuple(
        dataclasses.replace(row, rows=() if row.is_settled else _without_settled_children(row.rows))
        for row in rows
    )


def _shorter_tails(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    return tuple(dataclasses.replace(row, tail=row.tail[-1:], rows=_shorter_tails(row.rows)) for row in rows)


def _without_tails(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    return tuple(dataclasses.replace(row, tail=(), rows=_without_tails(row.rows)) for row in rows)


def _folded_settled(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Neighbours that are settled in the same way become one row."""
    found: list[Row] = []
    pile: list[Row] = []
    for row in rows:
        if pile and not (row.is_settled and row.look == pile[0].look):
            found.append(_pile_row(pile))
            pile = []
        if row.is_settled and row.look != "folded":
            pile.append(row)
        else:
            found.append(dataclasses.replace(row, rows=_folded_settled(row.rows)))
    if pile:
        found.append(_pile_row(pile))
    return tuple(found)


def _pile_row(pile: list[Row]) -> Row:
    if len(pile) == 1:
        return pile[0]
    noun = "item" if pile[0].path.endswith("]") else "step"
    return Row(
        look=pile[0].look, label=words.counted(len(pile), noun), note=", ".join(row.label for row in pile)
    )


def _cut(rows: tuple[Row, ...], height: int) -> tuple[Row, ...]:
    """The rows that need attention first; what does not fit is counted."""
    kept, hidden = _kept(rows, max(1, height - 1))
    return (*kept, Row(look="folded", label=f"{hidden:,} more lines")) if hidden else kept


def _kept(rows: tuple[Row, ...], room: int) -> tuple[tuple[Row, ...], int]:
    wanted = sorted(range(len(rows)), key=lambda index: (rows[index].urgency, index))
    taken: dict[int, Row] = {}
    hidden = 0
    for index in wanted:
        row = rows[index]
        if room <= 0:
            hidden += count_lines((row,))
            continue
        below, lost = _kept(row.rows, room - 1)
        taken[index] = dataclasses.replace(row, rows=below, tail=())
        hidden += lost
        room -= count_lines((taken[index],))
    return tuple(taken[index] for index in sorted(taken)), hidden
