"""What is told to whoever sits at this terminal: kept until there is room for it, never in the middle of a question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from towpath.cli.views.lines import Line, Screen, line, wrap
from towpath.people.channels.contract import Notice
from towpath.people.messages import OVER


class Told(NamedTuple):
    """A notice and what it says."""

    notice: Notice
    lines: Sequence[str]


class Notices:
    """The notices that were told and are not shown yet."""

    def __init__(self) -> None:
        self._waiting: list[Told] = []

    def told(self, notice: Notice, lines: Sequence[str]) -> None:
        """Keeps one until there is room."""
        self._waiting.append(Told(notice, lines))

    def taken(self, is_news: Callable[[Notice], bool], screen: Screen) -> list[Line]:
        """What there is to show now; what is no news any more is dropped."""
        told, self._waiting = self._waiting, []
        return [row for one in told if is_news(one.notice) for row in told_lines(one, screen)]


def told_lines(told: Told, screen: Screen) -> list[Line]:
    """One notice on the screen: what it is, and below it what makes it yours."""
    first, *rest = told.lines
    is_over = told.notice.why in OVER
    made = [line(("» ", "dim" if is_over else "ask"), (first, "plain" if is_over else "name"))]
    for text in rest:
        made += [line("  ", (row, "dim")) for row in wrap(text, screen.width - 2)]
    return made
