"""The outbox on the screen, and as data: who was told what, by which channel, when, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from towpath.cli.views.lines import Line, Role, Screen, Span, line, safe, table, wrap
from towpath.observe import words
from towpath.people import sendings
from towpath.store.contract import Microseconds, OwnerId, SendingRow, SendingState

PATH_CELLS_MAX = 28
NAMES_SHOWN_MAX = 8
ERROR_CELLS = 6
"""How far the reason below a sending is indented."""
_COUNTED: tuple[tuple[SendingState, str, Role], ...] = (
    ("waiting", "to be sent", "warn"),
    ("sending", "on its way", "busy"),
    ("sent", "sent", "plain"),
    ("given_up", "given up", "bad"),
    ("unreachable", "without a way to anybody", "bad"),
    ("recalled", "not needed any more", "dim"),
)


def headline(counts: Mapping[SendingState, int]) -> Line:
    """How many sendings there are in each state: `2 to be sent, 12 sent, 1 given up`."""
    found = [(f"{counts[state]:,} {text}", role) for state, text, role in _COUNTED if counts.get(state)]
    if not found:
        return line("nobody was told anything yet")
    spans: list[Span] = []
    for span in found:
        spans += [(", ", "dim"), span] if spans else [span]
    return tuple(spans)


def listing(
    rows: Sequence[SendingRow], screen: Screen, *, alive: frozenset[OwnerId], now: Microseconds
) -> tuple[Line, ...]:
    """A table of sendings, newest first, with the reason below each that went wrong; *alive* are the processes that live."""
    head = tuple(line((title, "dim")) for title in ("ID", "RUN", "STEP", "WHAT", "TO", "BY", ""))
    body = [
        (
            line((str(row.id), "dim")),
            line((str(row.run), "place")),
            line((safe(row.path)[:PATH_CELLS_MAX] or "the run", "name")),
            line(sendings.what(row)),
            line(safe(sendings.whom(row))),
            line((safe(row.channel) or "—", "dim")),
            line(state_of(row, alive=alive, now=now)),
        )
        for row in rows
    ]
    shown, *lines = table([head, *body], width=screen.width)
    made = [shown]
    for row, text in zip(rows, lines, strict=True):
        made.append(text)
        made += [
            line(" " * ERROR_CELLS, (part, "dim")) for part in _error_rows(row, screen.width - ERROR_CELLS)
        ]
    return tuple(made)


def _error_rows(row: SendingRow, width: int) -> Iterator[str]:
    return iter(()) if row.state == "sent" or not row.error else wrap(safe(row.error), max(20, width))


def state_of(row: SendingRow, *, alive: frozenset[OwnerId], now: Microseconds) -> Span:
    """What became of a sending, or what will, without the reason."""
    tries = f" after {words.counted(row.attempts, 'attempt')}" if row.attempts > 1 else ""
    if sendings.is_left(row, alive):
        failed = f", attempt {row.attempts} failed" if row.attempts else ""
        return f"waits for a process that sends it{failed}", "warn"
    match row.state:
        case "waiting" if row.attempts:
            return f"attempt {row.attempts} failed, again {words.ahead(row.due_at, now=now)}", "warn"
        case "sending":
            return f"is being sent, attempt {row.attempts}", "busy"
        case "sent":
            return f"sent {words.ago(row.ended_at or row.at, now=now)}{tries}", "good"
        case "given_up":
            return f"given up{tries}", "bad"
        case _:
            return _OTHERWISE[row.state]


_OTHERWISE: Mapping[str, Span] = {
    "waiting": ("waits to be sent", "warn"),
    "unreachable": ("not told", "bad"),
    "recalled": ("not sent", "dim"),
}


def told_lines(
    rows: Iterable[SendingRow], screen: Screen, *, alive: frozenset[OwnerId], now: Microseconds, indent: int
) -> list[Line]:
    """Who was told one thing, in as few lines as possible: those who were, in one; each of the others with the reason."""
    rows = list(rows)
    made: list[Line] = []
    told = [f"{_who(row)} {words.clock(row.ended_at or row.at)}" for row in rows if row.state == "sent"]
    if told:
        more = f" and {len(told) - NAMES_SHOWN_MAX} more" if len(told) > NAMES_SHOWN_MAX else ""
        made += _marked(("✓ ", "good"), f"{', '.join(told[:NAMES_SHOWN_MAX])}{more}", "dim", screen, indent)
    without = [row for row in rows if row.state == "unreachable"]
    if without:
        made += _marked(("✗ ", "bad"), _not_told(without), "dim", screen, indent)
    others = [row for row in rows if row.state not in ("sent", "unreachable")]
    for row in others[:NAMES_SHOWN_MAX]:
        text, role = state_of(row, alive=alive, now=now)
        mark: Span = ("✗ ", "bad") if row.state in sendings.FAILED else ("… ", role)
        said = f"{_who(row)}: {text}{_because(row)}"
        made += _marked(mark, said, "dim" if role == "dim" else "plain", screen, indent)
    if len(others) > NAMES_SHOWN_MAX:
        made += _marked(("… ", "dim"), f"and {len(others) - NAMES_SHOWN_MAX} more", "dim", screen, indent)
    return made


def _not_told(rows: Sequence[SendingRow]) -> str:
    """Whom no way leads to; the reason in full where it is one."""
    if len(rows) == 1:
        return safe(rows[0].error)
    names = [safe(sendings.whom(row)) for row in rows]
    more = f" and {len(names) - NAMES_SHOWN_MAX} more" if len(names) > NAMES_SHOWN_MAX else ""
    return f"not told: {', '.join(names[:NAMES_SHOWN_MAX])}{more} (no channel leads to them)"


def _because(row: SendingRow) -> str:
    return f": {safe(row.error)}" if row.error else ""


def _who(row: SendingRow) -> str:
    whom = safe(sendings.whom(row))
    return whom if whom == row.channel else f"{whom} by {safe(row.channel)}"


def _marked(mark: Span, text: str, role: Role, screen: Screen, indent: int) -> list[Line]:
    rows = list(wrap(text, max(20, screen.width - indent - 2)))
    return [
        line(" " * indent, mark if number == 0 else ("  ", "plain"), (row, role))
        for number, row in enumerate(rows)
    ]
