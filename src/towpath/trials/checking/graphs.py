"""The states of a search as a drawing: DOT and SVG of every state, text of the stories that lead to the ends.

States in which the same is going on are one box, and those that lie equally far from the start stand in one row. A search with more
of them than a person can look at is drawn as far as the stories of its ends go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from towpath.core.run import Run
from towpath.trials.checking.checker import Report
from towpath.trials.checking.stories import first_words, name_of
from towpath.trials.checking.world import Move

STATES_DRAWN_MAX = 300
"""Boxes of one drawing; beyond them only the stories of the ends are drawn."""
LABEL_CHARS_MAX = 30
_COLOURS: Mapping[str, str] = {
    "succeeded": "#2e7d32",
    "partially_succeeded": "#9e7d00",
    "rolled_back": "#6a4fb3",
    "rollback_failed": "#b3261e",
    "failed": "#b3261e",
    "rejected": "#9a4f00",
    "cancelled": "#6b6b6b",
}
_WAY = "#44606b"
_BOX_WIDTH, _BOX_HEIGHT = 190, 38
_GAP_ACROSS, _GAP_DOWN = 34, 62
_MARGIN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One state of a drawing."""

    number: int
    label: str
    end: str = ""
    """The end state; empty on the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What leads from one state to another."""

    start: int
    to: int
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StateGraph:
    """What is drawn: states in which the same is going on are one."""

    states: tuple[Drawn, ...]
    lines: tuple[Line, ...]
    count: int
    """States of the search that are in the drawing."""
    left_out: int
    """States that are not."""


def graph_of(report: Report) -> StateGraph:
    """The graph of a report whose search kept its states."""
    found = report.exploration
    shown = sorted(found.labels)
    drawn = _drawn(found.labels, shown)
    if len(set(drawn.values())) > STATES_DRAWN_MAX:
        shown = sorted(set(_on_stories(report)))
        drawn = _drawn(found.labels, shown)
    lines: dict[tuple[int, int], list[str]] = {}
    for start, to, move in found.edges:
        if start in drawn and to in drawn:
            words = lines.setdefault((drawn[start].number, drawn[to].number), [])
            if label_of(move) not in words:
                words.append(label_of(move))
    return StateGraph(
        states=tuple(dict.fromkeys(drawn.values())),
        lines=tuple(Line(start=start, to=to, label="\n".join(words)) for (start, to), words in lines.items()),
        count=len(shown),
        left_out=len(found.labels) - len(shown),
    )


def _on_stories(report: Report) -> Iterator[int]:
    """The states on the plainest story to each way to end."""
    found = report.exploration
    seen: set[tuple[str, str | None]] = set()
    for end in found.ends:
        key = (end.run.status, end.run.outcome)
        if key in seen:
            continue
        seen.add(key)
        state = end.state
        while state >= 0:
            yield state
            state = found.parents[state][0]


def _drawn(runs: Mapping[int, Run], shown: Sequence[int]) -> dict[int, Drawn]:
    """What each state is drawn as: the first one in which the same is going on stands for the others."""
    known: dict[str, Drawn] = {}
    found: dict[int, Drawn] = {}
    for number in shown:
        run = runs[number]
        label = situation(run)
        end = run.status if run.has_ended else ""
        found[number] = known.setdefault(label, Drawn(number=number, label=label, end=end))
    return found


_GOING_ON = {"performing": "", "retrying": " again", "waiting": " waits", "asking": "?"}


def situation(run: Run) -> str:
    """What is going on in a run."""
    if run.has_ended:
        return run.status + (f" ({run.outcome})" if run.outcome else "")
    rows = [
        name_of(leaf.path) + (" stopping" if leaf.stopping else _GOING_ON.get(leaf.status, ""))
        for leaf in run.open_leaves()
    ]
    return "\n".join(rows) or run.status


def label_of(move: Move) -> str:
    """A move in a few words."""
    name = name_of(move.path)
    words = {
        "ok": f"{name} ok",
        "fails": f"{name} fails",
        "lost": f"{name} interrupted",
        "stopped": f"{name} stopped",
        "done_already": f"{name} done already",
        "not_done": f"{name} not done yet",
        "silence": f"nobody answers {name}",
        "timeout": f"time of {name} is up",
        "due": f"{name} goes on",
        "cancel": "cancel",
    }
    text = words.get(move.verb) or f"{name}: {move.verb}"
    return text + (f" ({move.detail})" if move.detail else "")


# --- DOT ----------------------------------------------------------------------------------------------------


def dot(report: Report) -> str:
    """The graph for Graphviz."""
    graph = graph_of(report)
    rows = [f'digraph "{report.workflow}" {{', "  node [shape=box, style=rounded, fontname=sans-serif];"]
    for state in graph.states:
        colour = _COLOURS.get(state.end, _WAY)
        shape = ", peripheries=2" if state.end else ""
        rows.append(f'  s{state.number} [label="{_quoted(state.label)}", color="{colour}"{shape}];')
    rows += [f'  s{line.start} -> s{line.to} [label="{_quoted(line.label)}"];' for line in graph.lines]
    return "\n".join([*rows, "}", ""])


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


# --- SVG ----------------------------------------------------------------------------------------------------


def svg(report: Report) -> str:
    """The graph as SVG, without scripts, links or fonts from elsewhere."""
    graph = graph_of(report)
    rows = _rows(graph)
    places = _places(graph, rows)
    widest = max((len(row) for row in rows), default=1)
    width = 2 * _MARGIN + widest * (_BOX_WIDTH + _GAP_ACROSS)
    height = 2 * _MARGIN + len(rows) * (_BOX_HEIGHT + _GAP_DOWN) + 20
    note = f"{graph.count:,} of {graph.count + graph.left_out:,} states, those in which the same is going on as one"
    head = _SVG_HEAD.format(width=width, height=height, title=escape(f"{report.workflow}: {note}"))
    parts = [
        head,
        *(_svg_line(line, places) for line in graph.lines),
        *(_svg_box(state, places[state.number]) for state in graph.states),
        f'<text class="l" x="{_MARGIN}" y="{height - 8}">{note}</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


_SVG_HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">
<title>{title}</title>
<style>
text{{font:11px sans-serif;fill:#1d2b30}} .l{{font-size:9px;fill:#5b6c73}}
.b{{fill:#fff;stroke-width:1.5}} .e{{fill:none;stroke:#9db0b7;stroke-width:1}}
</style>
<defs><marker id="a" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="6" markerHeight="6" orient="auto">
<path d="M0 0 8 4 0 8z" fill="#9db0b7"/></marker></defs>"""


def _rows(graph: StateGraph) -> tuple[tuple[int, ...], ...]:
    """The states by how many moves they are away from a start; the ends stand in the last row."""
    ends = tuple(state.number for state in graph.states if state.end)
    following: dict[int, list[int]] = {}
    for line in graph.lines:
        following.setdefault(line.start, []).append(line.to)
    targets = {line.to for line in graph.lines if line.to != line.start}
    row = [state.number for state in graph.states if state.number not in targets] or [graph.states[0].number]
    seen = set(row)
    seen.update(ends)
    rows = [tuple(one for one in row if one not in ends)]
    while row:
        row = list(dict.fromkeys(to for one in row for to in following.get(one, ()) if to not in seen))
        seen.update(row)
        if row:
            rows.append(tuple(row))
    return tuple(one for one in (*rows, ends) if one)


def _places(graph: StateGraph, rows: Sequence[Sequence[int]]) -> dict[int, tuple[float, float]]:
    """Where each box stands: below the middle of those that lead to it, as far as there is room."""
    before: dict[int, list[int]] = {}
    for line in graph.lines:
        before.setdefault(line.to, []).append(line.start)
    places: dict[int, tuple[float, float]] = {}
    for depth, row in enumerate(rows):
        y = _MARGIN + depth * (_BOX_HEIGHT + _GAP_DOWN)
        wanted = {
            state: _middle([places[one][0] for one in before.get(state, ()) if one in places], position)
            for position, state in enumerate(row)
        }
        for position, state in enumerate(sorted(row, key=lambda one: (wanted[one], one))):
            places[state] = (_MARGIN + position * (_BOX_WIDTH + _GAP_ACROSS), y)
    return places


def _middle(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _svg_box(state: Drawn, place: tuple[float, float]) -> str:
    x, y = place
    colour = _COLOURS.get(state.end, _WAY)
    texts = [_cut(row) for row in state.label.split("\n")[:2]]
    start = y + _BOX_HEIGHT / 2 + 4 - (len(texts) - 1) * 7
    spans = "".join(
        f'<text x="{x + _BOX_WIDTH / 2:g}" y="{start + number * 14:g}" text-anchor="middle">{escape(text)}</text>'
        for number, text in enumerate(texts)
    )
    return (
        f'<g><title>{escape(state.label)}</title><rect class="b" x="{x:g}" y="{y:g}" width="{_BOX_WIDTH}" '
        f'height="{_BOX_HEIGHT}" rx="8" stroke="{colour}"/>{spans}</g>'
    )


def _svg_line(line: Line, places: Mapping[int, tuple[float, float]]) -> str:
    x, y = places[line.start]
    to_x, to_y = places[line.to]
    x, to_x, y = x + _BOX_WIDTH / 2, to_x + _BOX_WIDTH / 2, y + _BOX_HEIGHT
    if to_y < y:  # back to a state that came before
        side = max(x, to_x) + _BOX_WIDTH / 2 + 14
        to_y += _BOX_HEIGHT
        way = f"M{x:g} {y:g}C{side:g} {y + 30:g} {side:g} {to_y + 30:g} {to_x:g} {to_y:g}"
    else:
        bend = (to_y - y) / 2
        way = f"M{x:g} {y:g}C{x:g} {y + bend:g} {to_x:g} {to_y - bend:g} {to_x:g} {to_y:g}"
    label = escape(_cut(line.label.replace("\n", ", "))) if to_y > y else ""
    at_x, at_y = x + (to_x - x) * 0.7, y + (to_y - y) * 0.7
    return (
        f'<g><title>{escape(line.label)}</title><path class="e" d="{way}" marker-end="url(#a)"/>'
        f'<text class="l" x="{at_x:g}" y="{at_y:g}" text-anchor="middle">{label}</text></g>'
    )


def _cut(text: str) -> str:
    return text if len(text) <= LABEL_CHARS_MAX else f"{text[: LABEL_CHARS_MAX - 1]}…"


# --- text ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Branch:
    below: dict[str, _Branch]


def outline(report: Report) -> tuple[tuple[str, str], ...]:
    """The plainest stories to all ends as one tree: (guide, text)."""
    root = _Branch({})
    for ending in report.endings:
        branch = root
        for beat in (
            *ending.story,
            f"= {ending.status}" + (f" ({ending.outcome})" if ending.outcome else ""),
        ):
            branch = branch.below.setdefault(first_words(beat), _Branch({}))
    return tuple(_outlined(root, ""))


def _outlined(branch: _Branch, guide: str) -> Iterator[tuple[str, str]]:
    last = len(branch.below) - 1
    for position, (text, inner) in enumerate(branch.below.items()):
        yield guide + ("└─ " if position == last else "├─ "), text
        yield from _outlined(inner, guide + ("   " if position == last else "│  "))
