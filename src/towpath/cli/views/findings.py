"""What `tow check` found, as lines: how runs can end, and what is wrong with that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from towpath.cli.views.lines import Line, Role, Span, cells, clip, line, safe, wrap
from towpath.observe.words import MICROS, duration

if TYPE_CHECKING:
    from towpath.trials.checking import Ending, Finding, Report

_ARROW = " → "
_STORY_WIDTH_MIN = 24
_NARROW = 80
_LOOKS: Mapping[str, tuple[str, Role]] = {
    "succeeded": ("✓", "good"),
    "partially_succeeded": ("✓", "warn"),
    "rolled_back": ("↶", "warn"),
    "rollback_failed": ("✗", "bad"),
    "failed": ("✗", "bad"),
    "rejected": ("✗", "warn"),
    "cancelled": ("⊘", "dim"),
    "skipped": ("–", "dim"),
}
_BOUNDS: Mapping[str, str] = {
    "states": "the number of states (--max-states)",
    "depth": "the length of a story (--max-depth)",
    "seconds": "time (--max-seconds)",
    "inputs": "combinations of inputs: give some with -i",
    "outputs": "combinations of a step's outputs",
    "items": "items: long lists are looked at as short ones",
    "combinations": "combinations: time limits strike branch by branch",
}


def report_lines(report: Report, *, width: int) -> Iterator[Line]:
    """A whole report."""
    title = safe(report.plan.workflow.title or "")
    yield clip(line((report.workflow, "name"), (f"  {title}" if title else "", "dim")), width)
    yield from _summary(report, width=width)
    yield ()
    yield line("How a run can end")
    column = max((len(_ending_name(ending)) for ending in report.endings), default=0)
    for ending in report.endings:
        yield from _ending(ending, column=column, width=width)
    if not report.endings:
        yield line(("  no end was reached", "warn"))
    for finding in report.findings:
        yield ()
        yield from finding_lines(finding, width=width)
    yield ()


def verdict(report: Report) -> Line:
    """What it comes to, in one line."""
    count = len(report.findings)
    states: Span = (f" in {_count(report.states, 'state')}", "dim")
    if count:
        return line(("✗ ", "bad"), f"{report.workflow}: {_count(count, 'finding')}", states)
    if not report.is_complete:
        rest = ", and not everything was seen"
        return line(("! ", "warn"), f"{report.workflow}: nothing found", states, rest)
    return line(("✓ ", "good"), f"{report.workflow}: nothing found", states)


def _summary(report: Report, *, width: int) -> Iterator[Line]:
    starts = f", from {_count(report.starts, 'start')}" if report.starts > 1 else ""
    took = duration(round(report.seconds * MICROS))
    yield line((f"{_count(report.states, 'state')}{starts}, {took}: ", "dim"), _completeness(report))
    if report.unsure:
        shown = ", ".join(f"`{safe(text)}`" for text in report.unsure[:3])
        rest = f" and {len(report.unsure) - 3} more" if len(report.unsure) > 3 else ""  # noqa: PLR2004 - as many as shown
        text = f"not told apart, so nothing is said of what is never taken: {shown}{rest}"
        yield from (line((row, "dim")) for row in wrap(text, width))


def _completeness(report: Report) -> tuple[str, Role]:
    if report.is_complete:
        return "complete", "good"
    return f"bounded by {', '.join(_BOUNDS[bound] for bound in report.bounds)}", "warn"


def _ending_name(ending: Ending) -> str:
    return ending.status + (f" ({ending.outcome})" if ending.outcome else "")


def _ending(ending: Ending, *, column: int, width: int) -> Iterator[Line]:
    glyph, role = _LOOKS.get(ending.status, ("·", "plain"))
    name = safe(_ending_name(ending))
    if width < _NARROW:
        yield line("  ", (glyph, role), " ", (name, role))
        yield from _told(ending.story, indent=6, width=width)
        return
    first = True
    for row in _story_rows(ending.story, width - column - 7):
        head = (
            line("  ", (glyph, role), " ", (name.ljust(column), role)) if first else line(" " * (column + 4))
        )
        yield (*head, ("   ", "plain"), (row, "plain"))
        first = False


def _story_rows(story: tuple[str, ...], width: int) -> Iterator[str]:
    text = safe(_ARROW.join(story)) or "at once"
    return wrap(text, max(width, _STORY_WIDTH_MIN))


def _told(story: tuple[str, ...], *, indent: int, width: int) -> Iterator[Line]:
    for row in _story_rows(story, width - indent):
        yield line(" " * indent + row)


def finding_lines(finding: Finding, *, width: int) -> Iterator[Line]:
    """One finding: its place, what it is, the line, the story, what to do."""
    yield line((finding.place, "place"), " ", (f"{finding.kind.number} {finding.kind.name}", "bad"))
    for row in wrap(safe(finding.message), max(width - 2, _STORY_WIDTH_MIN)):
        yield line("  " + row)
    if finding.line:
        yield clip(line((f"  {finding.line} | ", "frame"), safe(finding.excerpt)), width)
    if finding.story:
        yield from _labelled("story", _ARROW.join(finding.story), width=width)
    if finding.help:
        yield from _labelled("help", finding.help, width=width)


def _labelled(label: str, text: str, *, width: int) -> Iterator[Line]:
    indent = cells("  story: ")
    for number, row in enumerate(wrap(safe(text), max(width - indent, _STORY_WIDTH_MIN))):
        head = f"  {label}: ".ljust(indent) if number == 0 else " " * indent
        yield line((head, "busy"), row)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
