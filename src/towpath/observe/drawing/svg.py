"""A drawing as SVG: one text without scripts, links or fonts from elsewhere.

Colours come from classes, so that a page can bring its own; a file of its own carries the same style sheet inside.
"""

from __future__ import annotations

from html import escape

from towpath.observe.drawing import layout
from towpath.observe.drawing.figures import Figure
from towpath.observe.drawing.layout import Drawing, Edge, Label, PlacedBox, PlacedFrame

CORNER = 9.0


def svg(figure: Figure, *, title: str, is_standalone: bool = True) -> str:
    """The picture of *figure*; in a page that has `css()` already it is not standalone."""
    drawing = layout.lay_out(figure)
    width, height = round(drawing.width), round(drawing.height)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="tow-graph" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title, quote=True)}">'
    )
    style = f"<style>{css()}</style>" if is_standalone else ""
    parts = [head, f"<title>{escape(title)}</title>", style, _MARKER]
    if is_standalone:
        parts.append(f'<rect class="paper" width="{width}" height="{height}"/>')
    parts += _body(drawing)
    return "\n".join(part for part in [*parts, "</svg>"] if part) + "\n"


def css() -> str:
    """The style sheet of the pictures, for light and dark."""
    return _CSS


def _body(drawing: Drawing) -> list[str]:
    return [
        *(_frame(frame) for frame in drawing.frames),
        *(_edge(edge) for edge in drawing.edges),
        *(_box(box) for box in drawing.boxes),
        *(_label(label) for label in drawing.labels),
    ]


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _rect(x: float, y: float, width: float, height: float, *, css_class: str, corner: float = CORNER) -> str:
    n = _number
    return f'<rect class="{css_class}" x="{n(x)}" y="{n(y)}" width="{n(width)}" height="{n(height)}" rx="{n(corner)}"/>'


def _text(text: str, x: float, y: float, *, css_class: str, room: float, char: float) -> str:
    most = max(1, int(room / char))
    shown = text if len(text) <= most else text[: most - 1] + "…"
    return f'<text class="{css_class}" x="{_number(x)}" y="{_number(y)}">{escape(shown)}</text>'


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
    room = placed.width - 28
    y = placed.y + 21
    parts.append(_text(frame.title, placed.x + 14, y, css_class="title", room=room, char=layout.TITLE_CHAR))
    if frame.kind not in ("handler", "steps"):
        right = placed.x + placed.width - 12
        parts.append(
            f'<text class="kind" text-anchor="end" x="{_number(right)}" y="{_number(y)}">{frame.kind}</text>'
        )
    for text in (frame.detail, *frame.notes):
        if text:
            y += layout.LINE_HEIGHT
            parts.append(_text(text, placed.x + 14, y, css_class="note", room=room, char=layout.TEXT_CHAR))
    return "".join([*parts, "</g>"])


def _box(placed: PlacedBox) -> str:
    box = placed.box
    is_end = box.kind in ("stop", "nothing")
    corner = placed.height / 2 if is_end or box.kind == "start" else CORNER
    parts = [f'<g class="box {box.kind} {box.state}" data-path="{escape(box.path, quote=True)}">']
    parts.append(f"<title>{escape(_tooltip(placed))}</title>")
    parts.append(
        _rect(placed.x, placed.y, placed.width, placed.height, css_class="border", corner=min(corner, 20))
    )
    middle = placed.x + placed.width / 2
    y = placed.y + 22
    if is_end or box.kind == "start":
        parts.append(
            f'<text class="title" text-anchor="middle" x="{_number(middle)}" y="{_number(y)}">{escape(box.title)}</text>'
        )
        for text in (box.detail, *box.notes):
            if text:
                y += layout.LINE_HEIGHT
                room = int((placed.width - 24) / layout.TEXT_CHAR)
                shown = text if len(text) <= room else text[: room - 1] + "…"
                parts.append(
                    f'<text class="note" text-anchor="middle" x="{_number(middle)}" y="{_number(y)}">{escape(shown)}</text>'
                )
        return "".join([*parts, "</g>"])
    room = placed.width - 24
    kind_room = len(box.kind) * layout.TEXT_CHAR
    parts.append(
        f'<rect class="edge-mark" x="{_number(placed.x)}" y="{_number(placed.y + 8)}" width="4" height="{_number(placed.height - 16)}" rx="2"/>'
    )
    parts.append(
        _text(box.title, placed.x + 14, y, css_class="title", room=room - kind_room, char=layout.TITLE_CHAR)
    )
    right = placed.x + placed.width - 10
    parts.append(
        f'<text class="kind" text-anchor="end" x="{_number(right)}" y="{_number(y)}">{escape(box.kind)}</text>'
    )
    for text in (box.detail, *box.notes):
        if text:
            y += layout.LINE_HEIGHT
            parts.append(_text(text, placed.x + 14, y, css_class="note", room=room, char=layout.TEXT_CHAR))
    return "".join([*parts, "</g>"])


def _tooltip(placed: PlacedBox) -> str:
    box = placed.box
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
    parts = [
        _rect(label.x, label.y, label.width, 20.0, css_class="chip", corner=10.0),
        f'<text class="condition" text-anchor="middle" x="{_number(label.x + label.width / 2)}" '
        f'y="{_number(label.y + 14)}">{escape(_fitted(label))}</text>',
    ]
    return "".join(parts)


def _fitted(label: Label) -> str:
    most = max(1, int((label.width - 12) / layout.TEXT_CHAR))
    return label.text if len(label.text) <= most else label.text[: most - 1] + "…"


_MARKER = (
    '<defs><marker id="tow-head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path class="head" d="M0 0.8 7.5 4 0 7.2 1.6 4Z"/></marker></defs>'
)
_CSS = """
.tow-graph{--paper:#fff;--ink:#1c2733;--soft:#5b6b7b;--line:#9aa8b5;--box:#f6f8fa;--rim:#c9d3dc;--frame:#ffffff00;
--good:#1a7f4b;--good-bg:#e3f5ea;--bad:#c4302b;--bad-bg:#fde8e7;--busy:#1769c4;--busy-bg:#e4effc;
--warn:#a15c00;--warn-bg:#fdf1dc;--ask:#7c3aad;--ask-bg:#f3e8fc;font-family:ui-sans-serif,system-ui,"Segoe UI",
"Helvetica Neue",Arial,sans-serif;color-scheme:light dark}
@media (prefers-color-scheme:dark){.tow-graph{--paper:#10161d;--ink:#e6edf3;--soft:#98a6b3;--line:#5d6b78;--box:#1a232d;
--rim:#36424e;--good:#4cc38a;--good-bg:#12301f;--bad:#ff7b72;--bad-bg:#3b1716;--busy:#6cb2ff;--busy-bg:#11294a;
--warn:#e3a34a;--warn-bg:#33250e;--ask:#c79bf0;--ask-bg:#2c1a3f}}
.tow-graph .paper{fill:var(--paper)}
.tow-graph text{fill:var(--ink)}
.tow-graph .title{font-size:13px;font-weight:600}
.tow-graph .note{font-size:11.5px;fill:var(--soft)}
.tow-graph .kind{font-size:10.5px;fill:var(--soft)}
.tow-graph .condition{font-size:11px;fill:var(--ink);font-family:ui-monospace,Menlo,Consolas,monospace}
.tow-graph .chip{fill:var(--paper);stroke:var(--rim)}
.tow-graph .border{fill:var(--box);stroke:var(--rim);stroke-width:1.2}
.tow-graph .frame>.border{fill:var(--paper);fill-opacity:.55}
.tow-graph .frame>.sheet{fill:var(--paper);stroke:var(--rim)}
.tow-graph .frame.handler>.border{stroke-dasharray:5 4}
.tow-graph .edge-mark{fill:var(--line)}
.tow-graph .edge{fill:none;stroke:var(--line);stroke-width:1.5}
.tow-graph .edge.dashed{stroke-dasharray:4 4}
.tow-graph .head{fill:var(--line)}
.tow-graph .start>.border,.tow-graph .stop>.border{fill:var(--ink);stroke:none}
.tow-graph .start text,.tow-graph .stop text{fill:var(--paper)}
.tow-graph .approve>.edge-mark,.tow-graph .task>.edge-mark{fill:var(--ask)}
.tow-graph .wait>.edge-mark{fill:var(--warn)}
.tow-graph .box.succeeded>.border{fill:var(--good-bg);stroke:var(--good)}
.tow-graph .box.failed>.border{fill:var(--bad-bg);stroke:var(--bad)}
.tow-graph .box.running>.border{fill:var(--busy-bg);stroke:var(--busy);stroke-width:2}
.tow-graph .box.waiting>.border,.tow-graph .box.undone>.border,.tow-graph .box.cancelled>.border{
fill:var(--warn-bg);stroke:var(--warn)}
.tow-graph .box.asking>.border{fill:var(--ask-bg);stroke:var(--ask);stroke-width:2}
.tow-graph .box.skipped>.border{stroke-dasharray:3 3}
.tow-graph .box.skipped text{fill:var(--soft)}
.tow-graph .succeeded>.edge-mark{fill:var(--good)}.tow-graph .failed>.edge-mark{fill:var(--bad)}
.tow-graph .running>.edge-mark{fill:var(--busy)}.tow-graph .waiting>.edge-mark,.tow-graph .undone>.edge-mark,
.tow-graph .cancelled>.edge-mark{fill:var(--warn)}.tow-graph .asking>.edge-mark{fill:var(--ask)}
.tow-graph .frame.succeeded>.border{stroke:var(--good)}.tow-graph .frame.failed>.border{stroke:var(--bad)}
.tow-graph .frame.running>.border{stroke:var(--busy);stroke-width:2}
""".replace("\n", "")
