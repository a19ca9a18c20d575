"""The ladder of a question on the screen: what happened to it and when, who was told and how that went, and what will happen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from towpath.cli.views import outbox
from towpath.cli.views.lines import Line, Screen, clip, line, safe
from towpath.core.run import Micros, Node
from towpath.observe import words
from towpath.people.calendars import AnyCalendar
from towpath.people.decided import History
from towpath.server import ladders
from towpath.server.ladders import Happening, Key
from towpath.store.contract import OwnerId, SendingRow

COMING_SHOWN_MAX = 6
"""Rungs and reminders to come that are shown."""
_TIME_CELLS = 20
_INDENT = 4


def ladder_lines(
    node: Node,
    history: History,
    told: Mapping[Key, Sequence[SendingRow]],
    screen: Screen,
    *,
    calendar: AnyCalendar | None,
    alive: frozenset[OwnerId],
    now: Micros,
) -> tuple[Line, ...]:
    """What happened to a question so far, in order, with the times, and while it is open what its ladder will do.

    *alive* are the processes that live: what belongs to another waits for one.
    """
    made: list[Line] = []
    for row in ladders.past(history, told):
        made.append(_line(row, screen, now=now))
        if row.key is not None:
            indent = _INDENT + _TIME_CELLS
            made += outbox.told_lines(told.get(row.key, ()), screen, alive=alive, now=now, indent=indent)
    if history.ended_at is not None:
        return tuple(made)
    coming = list(ladders.coming(node, history.question, calendar, now=now))
    left_out = len(coming) - COMING_SHOWN_MAX
    made += [_line(row, screen, now=now) for row in coming[:COMING_SHOWN_MAX]]
    if left_out > 1:
        made.append(line(" " * _INDENT, (f"… and {left_out - 1} more in between", "dim")))
    made += [_line(row, screen, now=now) for row in (coming[-1:] if left_out > 0 else [])]
    return tuple(made)


def _line(row: Happening, screen: Screen, *, now: Micros) -> Line:
    role = "plain" if row.at <= now else "dim"
    moment = f"{words.moment(row.at, now=now):<{_TIME_CELLS}}"
    return clip(line(" " * _INDENT, (moment, "dim"), (safe(row.text), role)), screen.width)  # type: ignore[arg-type] # one of two roles
