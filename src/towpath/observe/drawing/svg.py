"""A drawing as SVG: one text without scripts, links or fonts from elsewhere.

Colours come from classes, so that a page can bring its own; a file of its own carries the same style sheet inside.
"""

from __future__ import annotations

import functools
import string
from collections.abc import Callable
from html import escape
from typing import TypeAlias

from towpath.observe.drawing import layout
from towpath.observe.drawing.figures import Box, Figure
from towpath.observe.drawing.layout import Drawing, Edge, Label, PlacedBox, PlacedFrame

CORNER = 9.0
Href: TypeAlias = Callable[[str], str]
"""Where a step is told about, by its path."""


def svg(figure: Figure, *, title: str, is_standalone: bool = True, href: Href | None = None) -> str:
    """The picture of *figure*; in a page that has `css()` already it is not standalone, and its steps may be links."""
    drawing = layout.lay_out(figure)
    width, height = round(drawing.width), round(drawing.height)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="tow-graph" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="{"img" if href is None else "group"}" '
        f'aria-label="{escape(title, quote=True)}">'
    )
    style = f"<style>{css()}</style>" if is_standalone else ""
    parts = [head, f"<title>{escape(title)}</title>", style, _MARKER]
    if is_standalone:
        parts.append(f'<rect class="paper" width="{width}" height="{height}"/>')
    parts += _body(drawing, href)
    return "\n".join(part for part in [*parts, "</svg>"] if part) + "\n"


def css() -> str:
    """The style sheet of the pictures, for light and dark."""
    return _style()


def _body(drawing: Drawing, href: Href | None) -> list[str]:
    return [
        *(_linked(_frame(frame), frame.frame.path, frame.frame.title, href) for frame in drawing.frames),
        *(_edge(edge) for edge in drawing.edges),
        *(f'<circle class="head" cx="{_number(x)}" cy="{_number(y)}" r="3.5"/>' for x, y in drawing.dots),
        *(_linked(_box(box), box.box.path, box.box.title, href) for box in drawing.boxes),
        *(_label(label) for label in drawing.labels),
    ]


def _linked(drawn: str, path: str, title: str, href: Href | None) -> str:
    """The same as a link to where its step is told about; what is no step of its own is none."""
    if href is None or not path:
        return drawn
    return f'<a href="{escape(href(path), quote=True)}" aria-label="{escape(title, quote=True)}">{drawn}</a>'


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _rect(x: float, y: float, width: float, height: float, *, css_class: str, corner: float = CORNER) -> str:
    numbers = {"x": x, "y": y, "width": width, "height": height, "rx": corner}
    placed = " ".join(f'{name}="{_number(value)}"' for name, value in numbers.items())
    return f'<rect class="{css_class}" {placed}/>'


def _text(text: str, x: float, y: float, *, css_class: str, room: float = 0.0, anchor: str = "") -> str:
    """A text, cut to the *room* in pixels where one is given."""
    char = layout.TITLE_CHAR if css_class == "title" else layout.TEXT_CHAR
    most = max(1, int(room / char)) if room else len(text)
    shown = text if len(text) <= most else text[: most - 1] + "…"
    anchored = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text class="{css_class}"{anchored} x="{_number(x)}" y="{_number(y)}">{escape(shown)}</text>'


def _frame(placed: PlacedFrame) -> str:
    frame = placed.frame
    parts = [f'<g class="frame {frame.kind} {frame.state}" data-path="{escape(frame.path, quote=True)}">']
    if frame.kind == "each":
        for sheet in (2, 1):
            off = sheet * layout.STACK
            parts.append(
                _rect(placed.x + off, placed.y + off, placed.width, placed.height, css_class="sheet")
            )
    parts.append(_rect(placed.x, placed.y, placed.width, placed.height, css_class="border"))
    kind = "" if frame.kind in ("handler", "steps") else frame.kind
    parts += _words(placed, frame.title, kind, (frame.detail, *frame.notes))
    return "".join([*parts, "</g>"])


def _box(placed: PlacedBox) -> str:
    box = placed.box
    is_pill = box.kind in ("start", "stop", "nothing")
    corner = min(20.0, placed.height / 2) if is_pill else CORNER
    parts = [
        f'<g class="box {box.kind} {box.state}" data-path="{escape(box.path, quote=True)}">',
        f"<title>{escape(_tooltip(box))}</title>",
        _rect(placed.x, placed.y, placed.width, placed.height, css_class="border", corner=corner),
    ]
    if is_pill:
        parts += _centred(placed)
    else:
        parts.append(_rect(placed.x, placed.y + 8, 4, placed.height - 16, css_class="edge-mark", corner=2))
        parts += _words(placed, box.title, box.kind, (box.detail, *box.notes))
    return "".join([*parts, "</g>"])


def _words(placed: PlacedBox | PlacedFrame, title: str, kind: str, rows: tuple[str, ...]) -> list[str]:
    """The title at the left, the kind at the right, and the rows below."""
    room = placed.width - 26
    y = placed.y + 22
    is_full = placed.width >= layout.BOX_WIDTH_MAX  # then the title may reach the kind
    title_room = room - len(kind) * layout.TEXT_CHAR - (12 if kind and is_full else 0)
    parts = [_text(title, placed.x + 14, y, css_class="title", room=title_room)]
    if kind:
        parts.append(_text(kind, placed.x + placed.width - 11, y, css_class="kind", anchor="end"))
    for row in filter(None, rows):
        y += layout.LINE_HEIGHT
        parts.append(_text(row, placed.x + 14, y, css_class="note", room=room))
    return parts


def _centred(placed: PlacedBox) -> list[str]:
    box = placed.box
    middle, y, room = placed.x + placed.width / 2, placed.y + 22, placed.width - 24
    parts = [_text(box.title, middle, y, css_class="title", room=room, anchor="middle")]
    for row in filter(None, (box.detail, *box.notes)):
        y += layout.LINE_HEIGHT
        parts.append(_text(row, middle, y, css_class="note", room=room, anchor="middle"))
    return parts


def _tooltip(box: Box) -> str:
    return "\n".join(text for text in (f"{box.title} ({box.kind})", box.detail, *box.notes) if text)


def _edge(edge: Edge) -> str:
    path = _rounded(edge.points)
    dashed = " dashed" if edge.is_dashed else ""
    head = ' marker-end="url(#tow-head)"' if edge.has_head and not edge.is_dashed else ""
    return f'<path class="edge{dashed}" d="{path}"{head}/>'


def _rounded(points: tuple[tuple[float, float], ...]) -> str:
    """A path along points, with round corners."""
    n = _number
    unique = [point for index, point in enumerate(points) if index == 0 or point != points[index - 1]]
    made = [f"M{n(unique[0][0])} {n(unique[0][1])}"]
    for before, here, after in zip(unique, unique[1:], unique[2:], strict=False):
        radius = min(8.0, _distance(before, here) / 2, _distance(here, after) / 2)
        start, end = _towards(here, before, radius), _towards(here, after, radius)
        made.append(f"L{n(start[0])} {n(start[1])}Q{n(here[0])} {n(here[1])} {n(end[0])} {n(end[1])}")
    made.append(f"L{n(unique[-1][0])} {n(unique[-1][1])}")
    return "".join(made)


def _distance(one: tuple[float, float], other: tuple[float, float]) -> float:
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


def _towards(start: tuple[float, float], goal: tuple[float, float], length: float) -> tuple[float, float]:
    distance = _distance(start, goal)
    if not distance:
        return start
    part = length / distance
    return start[0] + (goal[0] - start[0]) * part, start[1] + (goal[1] - start[1]) * part


def _label(label: Label) -> str:
    chip = _rect(label.x, label.y, label.width, 20.0, css_class="chip", corner=10.0)
    middle = label.x + label.width / 2
    return chip + _text(_fitted(label), middle, label.y + 14, css_class="condition", anchor="middle")


def _fitted(label: Label) -> str:
    most = max(1, int((label.width - 12) / layout.TEXT_CHAR))
    return label.text if len(label.text) <= most else label.text[: most - 1] + "…"


_MARKER = (
    '<defs><marker id="tow-head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path class="head" d="M0 0.8 7.5 4 0 7.2 1.6 4Z"/></marker></defs>'
)
_LIGHT = {
    "paper": "#ffffff", "ink": "#1c2733", "soft": "#5b6b7b", "line": "#9aa8b5", "box": "#f6f8fa", "rim": "#c9d3dc",
    "good": "#1a7f4b", "good_bg": "#e3f5ea", "bad": "#c4302b", "bad_bg": "#fde8e7", "busy": "#1769c4",
    "busy_bg": "#e4effc", "warn": "#a15c00", "warn_bg": "#fdf1dc", "ask": "#7c3aad", "ask_bg": "#f3e8fc",
}  # fmt: skip
_DARK = {
    "paper": "#10161d", "ink": "#e6edf3", "soft": "#98a6b3", "line": "#5d6b78", "box": "#1a232d", "rim": "#36424e",
    "good": "#4cc38a", "good_bg": "#12301f", "bad": "#ff7b72", "bad_bg": "#3b1716", "busy": "#6cb2ff",
    "busy_bg": "#11294a", "warn": "#e3a34a", "warn_bg": "#33250e", "ask": "#c79bf0", "ask_bg": "#2c1a3f",
}  # fmt: skip
_SHAPE = """
.tow-graph{font-family:ui-sans-serif,system-ui,"Segoe UI","Helvetica Neue",Arial,sans-serif}
.tow-graph .title{font-size:13px;font-weight:600}
.tow-graph .note{font-size:11.5px}
.tow-graph .kind{font-size:10.5px}
.tow-graph .condition{font-size:11px;font-family:ui-monospace,Menlo,Consolas,monospace}
.tow-graph .border{stroke-width:1.2}
.tow-graph .frame>.border{fill-opacity:.55}
.tow-graph .frame.handler>.border{stroke-dasharray:5 4}
.tow-graph .edge{fill:none;stroke-width:1.5}
.tow-graph .edge.dashed{stroke-dasharray:4 4}
.tow-graph .start>.border,.tow-graph .stop>.border{stroke:none}
.tow-graph .running>.border,.tow-graph .asking>.border{stroke-width:2}
.tow-graph .box.skipped>.border{stroke-dasharray:3 3}
"""
_COLOURS = """
.tow-graph .paper{fill:$paper}
.tow-graph text{fill:$ink}
.tow-graph .note,.tow-graph .kind{fill:$soft}
.tow-graph .chip{fill:$paper;stroke:$rim}
.tow-graph .border{fill:$box;stroke:$rim}
.tow-graph .frame>.border,.tow-graph .frame>.sheet{fill:$paper;stroke:$rim}
.tow-graph .edge{stroke:$line}
.tow-graph .head,.tow-graph .edge-mark{fill:$line}
.tow-graph .start>.border,.tow-graph .stop>.border{fill:$ink}
.tow-graph .start text,.tow-graph .stop text{fill:$paper}
.tow-graph .approve>.edge-mark,.tow-graph .task>.edge-mark,.tow-graph .asking>.edge-mark{fill:$ask}
.tow-graph .wait>.edge-mark,.tow-graph .waiting>.edge-mark,.tow-graph .undone>.edge-mark,
.tow-graph .cancelled>.edge-mark{fill:$warn}
.tow-graph .succeeded>.edge-mark{fill:$good}
.tow-graph .failed>.edge-mark{fill:$bad}
.tow-graph .running>.edge-mark{fill:$busy}
.tow-graph .box.succeeded>.border{fill:$good_bg;stroke:$good}
.tow-graph .box.failed>.border{fill:$bad_bg;stroke:$bad}
.tow-graph .box.running>.border{fill:$busy_bg;stroke:$busy}
.tow-graph .box.waiting>.border,.tow-graph .box.undone>.border,.tow-graph .box.cancelled>.border{fill:$warn_bg;stroke:$warn}
.tow-graph .box.asking>.border{fill:$ask_bg;stroke:$ask}
.tow-graph .box.skipped text{fill:$soft}
.tow-graph .frame.succeeded>.border{stroke:$good}
.tow-graph .frame.failed>.border{stroke:$bad}
.tow-graph .frame.running>.border{stroke:$busy}
"""


@functools.cache
def _style() -> str:
    """The whole style sheet; every colour is written out, for viewers that know no variables."""
    colours = string.Template(_COLOURS)
    dark = f"@media (prefers-color-scheme:dark){{{colours.substitute(_DARK)}}}"
    return "".join((_SHAPE, colours.substitute(_LIGHT), dark)).replace("\n", "")
