"""The timeline of a run: for each step its attempts and waits as bars, and the same in words for those who cannot see them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from towpath.core.run import Micros, Path
from towpath.observe import words
from towpath.server.web.states import Tone
from towpath.server.web.story import Span, Story

ROWS_MAX: Final = 200
"""Steps on one page."""
WIDTH: Final = 1_000.0
"""Of the picture, in its own units."""
BAR_WIDTH_MIN: Final = 3.0
"""What took no time at all is seen all the same."""
TICKS: Final = 5

_TONES: Final[dict[str, Tone]] = {
    "succeeded": "good",
    "failed": "bad",
    "cancelled": "warn",
    "skipped": "calm",
}
_WAITS: Final = frozenset({"waiting", "retrying", "asking"})
_WORDS: Final = {
    "performing": "worked",
    "checking": "looked whether it is done",
    "waiting": "waited",
    "retrying": "waited to try again",
    "asking": "asked people",
    "open": "open",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One stretch of time, with its place."""

    x: float
    width: float
    tone: Tone
    is_thin: bool
    """Nothing was done: it waited, or its steps did something."""
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One step."""

    path: Path
    depth: int
    label: str
    bars: tuple[Bar, ...]
    began: Micros
    took: Micros
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A mark on the time that is told."""

    x: float
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The bars of some steps of a run."""

    lines: tuple[Line, ...]
    ticks: tuple[Tick, ...]
    begin: Micros
    end: Micros
    total: int
    after: int


def chart(story: Story, *, until: Micros, after: int = 0) -> Chart:
    """The bars of the steps of a run, in the order of their beginning, from the one behind *after* on."""
    run = story.run
    begin = run.accepted_at
    end = max(run.ended_at or until, begin + 1)
    paths = [path for path in story.spans if path and _is_step(story, path)]
    scale = WIDTH / (end - begin)
    lines = tuple(
        _line(path, story.spans[path], begin, end, scale) for path in paths[after : after + ROWS_MAX]
    )
    ticks = tuple(
        Tick(x=WIDTH * index / TICKS, words=words.duration((end - begin) * index // TICKS))
        for index in range(TICKS + 1)
    )
    return Chart(lines=lines, ticks=ticks, begin=begin, end=end, total=len(paths), after=after)


def _is_step(story: Story, path: Path) -> bool:
    node = story.run.nodes.get(path)
    return node is not None and not node.frame


def _line(path: Path, spans: Iterable[Span], begin: Micros, end: Micros, scale: float) -> Line:
    known = tuple(spans)
    parts = path.split("/")
    last = known[-1].end or end
    return Line(
        path=path,
        depth=len(parts) - 1,
        label=path,
        bars=tuple(_bar(span, begin, end, scale) for span in known),
        began=known[0].begin,
        took=last - known[0].begin,
        attempts=sum(span.doing == "performing" for span in known),
    )


def _bar(span: Span, begin: Micros, end: Micros, scale: float) -> Bar:
    stop = span.end if span.end is not None else end
    width = max((stop - span.begin) * scale, BAR_WIDTH_MIN)
    x = min((span.begin - begin) * scale, WIDTH - width)
    return Bar(
        x=round(max(0.0, x), 1),
        width=round(width, 1),
        tone=_tone(span),
        is_thin=span.doing in _WAITS or span.doing == "open",
        words=_in_words(span, stop),
    )


def _tone(span: Span) -> Tone:
    if span.doing == "asking":
        return "ask"
    if span.doing in _WAITS:
        return "warn"
    if span.doing == "open":
        return _TONES.get(span.outcome, "busy") if span.outcome in ("failed", "cancelled") else "calm"
    return "busy" if span.end is None else _TONES.get(span.outcome, "calm")


def _in_words(span: Span, stop: Micros) -> str:
    attempt = f"attempt {span.attempt} " if span.attempt and span.doing == "performing" else ""
    how = f", {span.outcome}" if span.outcome else ""
    why = f": {span.words.strip().splitlines()[0][:200]}" if span.words.strip() else ""
    return f"{attempt}{_WORDS[span.doing]} {words.duration(stop - span.begin)}{how}{why}"
