"""A figure as text: an outline for terminals, diffs and mails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from towpath.observe.drawing.figures import Beside, Box, Column, Figure, Frame, Lanes
from towpath.observe.drawing.progress import State


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlineRow:
    """One line: the guide before it, what it is, and what is to be known of it."""

    guide: str
    title: str
    kind: str
    detail: str = ""
    notes: tuple[str, ...] = ()
    state: State = "pending"


def outline(figure: Figure) -> tuple[OutlineRow, ...]:
    """The rows of a whole figure, the beginning and the end left out."""
    parts = figure.parts if isinstance(figure, Column) else (figure,)
    body = [part for part in parts if not (isinstance(part, Box) and part.kind in ("start", "stop"))]
    return tuple(_rows(_flattened(body), below="", is_top=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A figure in a list, with the words that its place in lanes gives it."""

    figure: Box | Frame
    children: tuple[_Entry, ...] = ()
    prefix: str = ""
    suffix: str = ""
    is_parallel: bool = False


def _flattened(parts: list[Figure], *, is_parallel: bool = False) -> tuple[_Entry, ...]:
    return tuple(entry for part in parts for entry in _entries(part, is_parallel=is_parallel))


def _entries(figure: Figure, *, is_parallel: bool = False) -> Iterator[_Entry]:
    match figure:
        case Box():
            yield _Entry(figure=figure, is_parallel=is_parallel)
        case Column():
            for part in figure.parts:
                yield from _entries(part)
        case Lanes():
            yield from _lanes(figure)
        case Frame():
            yield _Entry(figure=figure, children=tuple(_entries(figure.inner)), is_parallel=is_parallel)
        case Beside():
            yield from _beside(figure, is_parallel=is_parallel)


def _lanes(lanes: Lanes) -> Iterator[_Entry]:
    if lanes.labels:
        for label, part in zip(lanes.labels, lanes.parts, strict=True):
            word = label if label == "else" else f"if {label}"
            yield _Entry(figure=Frame(kind="choose", title=word, inner=part), children=tuple(_entries(part)))
        return
    names = [_name(part) for part in lanes.parts]
    for position, part in enumerate(lanes.parts):
        needs = lanes.needs[position] if lanes.needs else ()
        suffix = f"needs {', '.join(names[one] for one in needs)}" if needs else ""
        for entry in _entries(part, is_parallel=True):
            yield _Entry(
                figure=entry.figure, children=entry.children, suffix=suffix or entry.suffix, is_parallel=True
            )


def _beside(beside: Beside, *, is_parallel: bool) -> Iterator[_Entry]:
    *before, last = tuple(_entries(beside.main, is_parallel=is_parallel))
    sides = tuple(entry for side in beside.sides for entry in _entries(side))
    yield from before
    if isinstance(beside.main, Column):
        yield last
        yield from sides
    else:
        yield _Entry(
            figure=last.figure,
            children=(*last.children, *sides),
            suffix=last.suffix,
            is_parallel=last.is_parallel,
        )


def _name(figure: Figure) -> str:
    match figure:
        case Box() | Frame():
            return figure.title
        case Beside():
            return _name(figure.main)
        case _:
            return ""


def _rows(entries: tuple[_Entry, ...], *, below: str, is_top: bool) -> Iterator[OutlineRow]:
    for index, entry in enumerate(entries):
        is_last = index == len(entries) - 1
        joint, rail = ("╙─ ", "║  ") if entry.is_parallel else ("└─ ", "│  ")
        guide = "" if is_top else below + (joint if is_last else joint.replace("╙", "╟").replace("└", "├"))
        inner = "" if is_top else below + ("   " if is_last else rail)
        figure = entry.figure
        kind = figure.kind if isinstance(figure, Box) or figure.kind not in ("handler", "choose") else ""
        if isinstance(figure, Frame) and figure.kind == "choose" and figure.path:
            kind = "choose"
        notes = (*((entry.suffix,) if entry.suffix else ()), *figure.notes)
        yield OutlineRow(
            guide=guide, title=figure.title, kind=kind, detail=figure.detail, notes=notes, state=figure.state
        )
        yield from _rows(entry.children, below=inner, is_top=False)
