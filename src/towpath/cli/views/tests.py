"""How tests of workflows went: one line for each, and for one that failed what was expected, what was got, and the story up to there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from towpath.cli.views.lines import Line, Role, cells, clip, line, pad, safe, width_of, wrap
from towpath.observe import words

if TYPE_CHECKING:
    from towpath.trials.testing import Coverage, Difference, Outcome, Report
    from towpath.trials.testing import Line as Told

STORY_LINES_MAX = 80
"""Lines of a story that are shown; what came before them is counted."""
PLACE_CELLS_MAX = 34
MISSING_SHOWN_MAX = 40
"""Branches that were not taken and are named."""
_SLOW_SECONDS = 1.0
_WIDTH_MAX = 100
_LASTED_CELLS = 9
_TOOK_CELLS = 11
_INDENT = "    "
_ROLES: dict[str, Role] = {"good": "good", "bad": "bad", "warn": "warn", "ask": "ask", "dim": "dim"}


def outcome_lines(outcome: Outcome, *, width: int, with_story: bool = False) -> Iterator[Line]:
    """One test: its line, and all that there is to say where it failed, or where its story is wanted."""
    yield _head(outcome, width)
    for difference in outcome.differences:
        yield from _difference(difference, width)
    if not outcome.passed or with_story:
        yield from _story(outcome, width)
        yield ()


def _head(outcome: Outcome, width: int) -> Line:
    sign: tuple[str, Role] = ("✓", "good") if outcome.passed else ("✗", "bad")
    lasted, took = words.duration(outcome.lasted), f"{outcome.seconds * 1000:.1f} ms"
    times = line((f"{lasted:>{_LASTED_CELLS}}", "dim"), (f"{took:>{_TOOK_CELLS}}", "dim"))
    room = min(width, _WIDTH_MAX) - width_of(times)
    left = line("  ", sign, " ", (safe(outcome.test.name), "plain" if outcome.passed else "name"))
    return (*pad(clip(left, room), room), *times)


def _difference(difference: Difference, width: int) -> Iterator[Line]:
    yield line(_INDENT, (safe(difference.what), "name"))
    for label, text, role in (
        ("expected", difference.expected, "good"),
        ("got", difference.got, "bad"),
        ("help", difference.help, "busy"),
    ):
        yield from _labelled(label, text, role, width)  # type: ignore[arg-type] # roles of the table


def _labelled(label: str, text: str, role: Role, width: int) -> Iterator[Line]:
    start = f"{_INDENT}  {label:<9} "
    for row, part in enumerate(
        piece
        for one in text.splitlines()
        for piece in (list(wrap(safe(one), max(16, width - len(start)))) or [""])
    ):
        head = start if row == 0 else " " * len(start)
        yield line((head, "dim"), (part, role))


# --- the story ----------------------------------------------------------------------------------------------


def _story(outcome: Outcome, width: int) -> Iterator[Line]:
    from towpath.trials.testing import times

    told = outcome.story
    shown = told[-STORY_LINES_MAX:]
    before = len(told) - len(shown)
    yield line(
        _INDENT,
        ("the story", "name"),
        (f", after {words.counted(before, 'line')} more", "dim") if before else "",
    )
    column = min(
        PLACE_CELLS_MAX, max(8, width // 3), max((cells(one.place or "run") for one in shown), default=0)
    )
    zone = outcome.test.setting.zone
    day = ""
    for one in shown:
        moment = times.moment(one.at, zone)
        if moment[:14] != day:
            day = moment[:14]
            yield line(_INDENT, "  ", (f"{day} {zone}", "dim"))
        yield from _told(one, moment[15:23], column, width)
    yield line(_INDENT, "  ", (f"{outcome.test.path}:{outcome.test.line}", "place"))


def _told(told: Told, clock: str, column: int, width: int) -> Iterator[Line]:
    place = _short_place(safe(told.place or "run"), column)
    start = (*line(_INDENT, "  ", (clock, "dim"), "  "), *pad(line((place, "name")), column), ("  ", "plain"))
    indent = width_of(start)
    role = _ROLES.get(told.role, "plain")
    for row, part in enumerate(wrap(safe(told.text), max(16, width - indent))):
        yield (*(start if row == 0 else ((" " * indent, "plain"),)), (part, role))


def _short_place(place: str, column: int) -> str:
    """The end of a path that is too long: it says the most."""
    return place if cells(place) <= column else f"…{place[-(column - 1) :]}"


# --- the end ------------------------------------------------------------------------------------------------


def end_lines(report: Report, *, width: int) -> Iterator[Line]:
    """What is to be said after all tests: coverage, snapshots, and how many failed."""
    if report.outcomes and report.outcomes[-1].passed and not report.problems:
        yield ()
    for file in report.broken:
        yield line(
            ("✗ ", "bad"),
            (safe(file.path), "place"),
            " was not played: ",
            words.counted(len(file.errors), "error"),
        )
    for coverage in report.coverage:
        yield from _coverage(coverage, width)
    if report.untested:
        yield from _hanging(line(("no test for: ", "warn")), ", ".join(report.untested), "plain", width)
    for path in report.updated:
        yield line(("wrote ", "dim"), path)
    for name in report.stale:
        yield line(
            ("a snapshot without a test: ", "warn"), safe(name), ("; tow test --update removes it", "dim")
        )
    yield _summary(report)


def _coverage(coverage: Coverage, width: int) -> Iterator[Line]:
    missing = coverage.missing
    total = len(coverage.branches)
    count = f"{len(coverage.taken)} of {total} branch{'' if total == 1 else 'es'}"
    head = line((coverage.workflow, "name"), ": ", (count, "warn" if missing else "good"))
    if not missing:
        yield head
        return
    named = [str(branch) for branch in missing[:MISSING_SHOWN_MAX]]
    if len(missing) > MISSING_SHOWN_MAX:
        named.append(f"and {len(missing) - MISSING_SHOWN_MAX} more")
    yield from _hanging((*head, ("; not taken: ", "plain")), ", ".join(named), "dim", width)


def _hanging(head: Line, text: str, role: Role, width: int) -> Iterator[Line]:
    """A text after a head, wrapped under itself."""
    first, *more = _rows(text, width - width_of(head), width - len(_INDENT))
    yield (*head, (first, role))
    for row in more:
        yield line(_INDENT, (row, role))


def _rows(text: str, first: int, others: int) -> Sequence[str]:
    rows = list(wrap(text, max(16, first)))
    if len(rows) <= 1:
        return rows or [""]
    rest = text[len(rows[0]) :].lstrip()
    return [rows[0], *wrap(rest, max(16, others))]


def _summary(report: Report) -> Line:
    failed, total = len(report.failed), len(report.outcomes)
    took = f"{report.seconds:.2f} s" if report.seconds >= _SLOW_SECONDS else f"{report.seconds * 1000:.0f} ms"
    broken = f", {words.counted(len(report.broken), 'file')} not played" if report.broken else ""
    if failed or broken:
        said = (
            f"{failed} of {words.counted(total, 'test')} failed"
            if failed
            else f"{words.counted(total, 'test')} passed"
        )
        return line(("✗ ", "bad"), (f"{said}{broken}", "bad"), (f"  {took}", "dim"))
    return line(("✓ ", "good"), (f"{words.counted(total, 'test')} passed", "good"), (f"  {took}", "dim"))
