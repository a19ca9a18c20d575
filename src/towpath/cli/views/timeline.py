"""What happened in a run, as lines of a terminal."""

from __future__ import annotations

from towpath.cli.views.lines import Line, Span, line, safe
from towpath.observe import words
from towpath.server.shapes.entries import ENTERED, Entry, Teller, status_role

__all__ = ["ENTERED", "PATH_CELLS_MAX", "Entry", "Teller", "entry_line", "status_span"]

PATH_CELLS_MAX = 40


def status_span(status: str) -> Span:
    """A run's status in its colour."""
    return status, status_role(status)


def entry_line(entry: Entry, *, path_width: int = 0) -> Line:
    """One entry as a line: when, where, what, who."""
    path = safe(entry.path) or "run"
    return line(
        (words.clock(entry.at), "dim"),
        "  ",
        (f"{path:<{path_width}}", "name"),
        "  ",
        (entry.text, entry.role),
        (f"  ({entry.by})" if entry.by else "", "dim"),
    )
