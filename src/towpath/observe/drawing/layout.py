"""Places for figures: every figure knows its size before it is placed, and is placed by the one around it.

Time goes down. A column stands on one axis; lanes stand side by side between a fork and a join, in rows where some need others; a
frame has room for its title; handlers stand at the right of what they handle. Sizes are in pixels of the drawing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

from towpath.observe.drawing.figures import Beside, Box, Column, Figure, Frame, Lanes

GAP_DOWN = 30.0
GAP_ACROSS = 26.0
FORK = 22.0
"""The room of a fork or a join."""
PADDING = 18.0
HEADER = 34.0
HEADER_WITH_DETAIL = 50.0
BOX_WIDTH_MIN = 130.0
BOX_WIDTH_MAX = 290.0
BOX_HEIGHT = 34.0
LINE_HEIGHT = 16.0
LABEL_HEIGHT = 26.0
LOOP_ROOM = 26.0
"""Where the arrow of a `repeat` goes back up."""
STACK = 6.0
"""How far the second and third sheet of an `each` stick out."""
MARGIN = 20.0
TITLE_CHAR = 7.6
TEXT_CHAR = 6.3


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedBox:
    """A box with its place."""

    box: Box
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedFrame:
    """A frame with its place."""

    frame: Frame
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A line along points; `to` has an arrow head."""

    points: tuple[tuple[float, float], ...]
    is_dashed: bool = False
    has_head: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A text on a line: the condition of a branch."""

    text: str
    x: float
    y: float
    width: float


@dataclass(slots=True)
class Drawing:
    """Everything with its place, in the order of painting."""

    width: float = 0.0
    height: float = 0.0
    frames: list[PlacedFrame] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    boxes: list[PlacedBox] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    dots: list[tuple[float, float]] = field(default_factory=list)
    """Where lanes part and meet."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much room a figure takes, and where its axis is."""

    width: float
    height: float
    axis: float
    """From the left edge to where lines come in at the top and go out at the bottom."""


def lay_out(figure: Figure) -> Drawing:
    """The drawing of *figure*."""
    drawing = Drawing()
    size = size_of(figure)
    _place(drawing, figure, MARGIN, MARGIN)
    drawing.width = size.width + 2 * MARGIN
    drawing.height = size.height + 2 * MARGIN
    return drawing


# --- sizes -----------------------------------------------------------------------------------------------


def size_of(figure: Figure) -> Size:
    """How much room *figure* takes."""
    match figure:
        case Box():
            return _box_size(figure)
        case Column():
            return _column_size(figure)
        case Lanes():
            return _lanes_size(figure)
        case Frame():
            return _frame_size(figure)
        case Beside():
            return _beside_size(figure)
        case _:
            assert_never(figure)


def _box_size(box: Box) -> Size:
    texts = [text for text in (box.detail, *box.notes) if text]
    wanted = max([len(box.title) * TITLE_CHAR + 46, *(len(text) * TEXT_CHAR + 32 for text in texts)])
    width = min(BOX_WIDTH_MAX, max(BOX_WIDTH_MIN, wanted))
    if box.kind in ("stop", "nothing"):
        width = 84.0
    return Size(width, BOX_HEIGHT + LINE_HEIGHT * len(texts), width / 2)


def _column_size(column: Column) -> Size:
    sizes = [size_of(part) for part in column.parts]
    left = max((size.axis for size in sizes), default=0.0)
    right = max((size.width - size.axis for size in sizes), default=0.0)
    height = sum(size.height for size in sizes) + GAP_DOWN * max(0, len(sizes) - 1)
    return Size(left + right, height, left)


def _rows(lanes: Lanes) -> list[list[int]]:
    """The positions of the lanes, in rows: each row after all that it needs."""
    levels = [0] * len(lanes.parts)
    for _ in lanes.parts:
        for position, needed in enumerate(lanes.needs):
            levels[position] = max(
                [levels[position], *(levels[one] + 1 for one in needed if one != position)]
            )
            levels[position] = min(levels[position], len(levels))
    return [
        [one for one, level in enumerate(levels) if level == row] for row in range(max(levels, default=0) + 1)
    ]


def _row_size(lanes: Lanes, row: Iterable[int]) -> Size:
    sizes = [size_of(lanes.parts[position]) for position in row]
    widths = [
        max(size.width, _label_width(lanes, position)) for size, position in zip(sizes, row, strict=True)
    ]
    width = sum(widths) + GAP_ACROSS * max(0, len(widths) - 1)
    return Size(width, max((size.height for size in sizes), default=0.0), width / 2)


def _label_width(lanes: Lanes, position: int) -> float:
    if not lanes.labels:
        return 0.0
    return min(BOX_WIDTH_MAX, len(lanes.labels[position]) * TEXT_CHAR + 18)


def _lanes_size(lanes: Lanes) -> Size:
    rows = [_row_size(lanes, row) for row in _rows(lanes)]
    width = max(row.width for row in rows)
    labels = LABEL_HEIGHT if lanes.labels else 0.0
    height = 2 * FORK + labels + sum(row.height for row in rows) + (GAP_DOWN + 8) * (len(rows) - 1)
    return Size(width, height, width / 2)


def _header(frame: Frame) -> float:
    base = HEADER_WITH_DETAIL if frame.detail else HEADER
    loop = 10.0 if frame.kind == "repeat" else 0.0
    return base + loop + LINE_HEIGHT * len(frame.notes)


def _frame_size(frame: Frame) -> Size:
    inner = size_of(frame.inner)
    loop = LOOP_ROOM if frame.kind == "repeat" else 0.0
    stack = 2 * STACK if frame.kind == "each" else 0.0
    texts = max([0.0, *(len(text) * TEXT_CHAR + 28 for text in (frame.detail, *frame.notes))])
    title = max(
        len(frame.title) * TITLE_CHAR + len(frame.kind) * TEXT_CHAR + 60, min(texts, BOX_WIDTH_MAX + 60)
    )
    width = max(inner.width + 2 * PADDING + loop, title)
    axis = max(inner.axis + PADDING, (width - loop) / 2 - inner.width / 2 + inner.axis)
    return Size(width + stack, inner.height + _header(frame) + PADDING + stack, axis)


def _beside_size(beside: Beside) -> Size:
    main = size_of(beside.main)
    sides = [size_of(side) for side in beside.sides]
    width = main.width + GAP_ACROSS + max(size.width for size in sides)
    height = max(main.height, sum(size.height for size in sides) + 14 * (len(sides) - 1))
    return Size(width, height, main.axis)


# --- places ----------------------------------------------------------------------------------------------


def _place(drawing: Drawing, figure: Figure, x: float, y: float) -> None:
    match figure:
        case Box():
            size = _box_size(figure)
            drawing.boxes.append(PlacedBox(box=figure, x=x, y=y, width=size.width, height=size.height))
        case Column():
            _place_column(drawing, figure, x, y)
        case Lanes():
            _place_lanes(drawing, figure, x, y)
        case Frame():
            _place_frame(drawing, figure, x, y)
        case Beside():
            _place_beside(drawing, figure, x, y)
        case _:
            assert_never(figure)


def _bottom(figure: Figure, size: Size) -> float:
    """Where the line out of a figure begins: a figure with handlers ends where its main part does."""
    return size_of(figure.main).height if isinstance(figure, Beside) else size.height


def _place_column(drawing: Drawing, column: Column, x: float, y: float) -> None:
    axis = x + _column_size(column).axis
    last: float | None = None
    for part in column.parts:
        size = size_of(part)
        _place(drawing, part, axis - size.axis, y)
        if last is not None:
            drawing.edges.append(Edge(points=((axis, last), (axis, y))))
        last = y + _bottom(part, size)
        y += size.height + GAP_DOWN


def _place_lanes(drawing: Drawing, lanes: Lanes, x: float, y: float) -> None:
    whole = _lanes_size(lanes)
    axis = x + whole.axis
    tops: dict[int, tuple[float, float]] = {}
    bottoms: dict[int, tuple[float, float]] = {}
    labels = LABEL_HEIGHT if lanes.labels else 0.0
    top = y + FORK + labels
    for row in _rows(lanes):
        row_size = _row_size(lanes, row)
        left = x + (whole.width - row_size.width) / 2
        for position in row:
            part = lanes.parts[position]
            size = size_of(part)
            width = max(size.width, _label_width(lanes, position))
            start = left + (width - size.width) / 2
            _place(drawing, part, start, top)
            tops[position] = (start + size.axis, top)
            bottoms[position] = (start + size.axis, top + _bottom(part, size))
            left += width + GAP_ACROSS
        top += row_size.height + GAP_DOWN + 8
    _connect_lanes(drawing, lanes, tops, bottoms, fork=(axis, y), join=(axis, y + whole.height))


def _connect_lanes(
    drawing: Drawing,
    lanes: Lanes,
    tops: dict[int, tuple[float, float]],
    bottoms: dict[int, tuple[float, float]],
    *,
    fork: tuple[float, float],
    join: tuple[float, float],
) -> None:
    needed = {one for needs in lanes.needs for one in needs}
    drawing.dots += [fork, join]
    for position, top in tops.items():
        needs = lanes.needs[position] if lanes.needs else ()
        for one in needs:
            middle = (bottoms[one][1] + top[1]) / 2
            drawing.edges.append(
                Edge(points=(bottoms[one], (bottoms[one][0], middle), (top[0], middle), top))
            )
        if not needs:
            bend = fork[1] + FORK / 2
            drawing.edges.append(Edge(points=(fork, (fork[0], bend), (top[0], bend), top)))
        if lanes.labels:
            width = _label_width(lanes, position)
            label = Label(
                text=lanes.labels[position], x=top[0] - width / 2, y=top[1] - LABEL_HEIGHT - 4, width=width
            )
            drawing.labels.append(label)
        if position not in needed and not _ends_run(lanes.parts[position]):
            bottom = bottoms[position]
            bend = join[1] - FORK / 2
            points = (bottom, (bottom[0], bend), (join[0], bend), join)
            drawing.edges.append(Edge(points=points, has_head=False))


def _ends_run(figure: Figure) -> bool:
    """Whether nothing follows the figure: its last step ends the run."""
    last = figure.parts[-1] if isinstance(figure, Column) else figure
    return isinstance(last, Box) and last.kind == "end"


def _place_frame(drawing: Drawing, frame: Frame, x: float, y: float) -> None:
    size = _frame_size(frame)
    stack = 2 * STACK if frame.kind == "each" else 0.0
    width, height = size.width - stack, size.height - stack
    drawing.frames.append(PlacedFrame(frame=frame, x=x, y=y, width=width, height=height))
    inner = size_of(frame.inner)
    left = x + size.axis - inner.axis
    top = y + _header(frame)
    _place(drawing, frame.inner, left, top)
    if frame.kind == "repeat":
        right = x + width - LOOP_ROOM / 2 - 4
        axis = left + inner.axis
        bottom = top + inner.height + PADDING / 2
        points = (
            (axis, top + inner.height),
            (axis, bottom),
            (right, bottom),
            (right, top - 8),
            (axis, top - 8),
            (axis, top),
        )
        drawing.edges.append(Edge(points=points))


def _place_beside(drawing: Drawing, beside: Beside, x: float, y: float) -> None:
    main = size_of(beside.main)
    _place(drawing, beside.main, x, y)
    left = x + main.width + GAP_ACROSS
    top = y
    for side in beside.sides:
        size = size_of(side)
        _place(drawing, side, left, top)
        middle = top + min(size.height / 2, HEADER / 2)
        start = min(middle, y + main.height - 8)
        reach = _right_edge(beside.main, x, main)
        drawing.edges.append(Edge(points=((reach, start), (left, start)), is_dashed=True))
        top += size.height + 14


def _right_edge(figure: Figure, x: float, size: Size) -> float:
    """Where a line to the right begins: at the border of a box or a frame, at the axis of what has none."""
    if isinstance(figure, Box):
        return x + size.width
    if isinstance(figure, Frame):
        return x + size.width - (2 * STACK if figure.kind == "each" else 0.0)
    return x + size.axis
