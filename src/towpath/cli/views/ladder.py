"""The ladder of a question on the screen: what happened to it and when, who was told and how that went, and what will happen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from towpath.cli.views import outbox
from towpath.cli.views.lines import Line, Screen, clip, first_line, line, safe
from towpath.cli.views.questions import answer_text, who
from towpath.core.run import Micros, Node, Question
from towpath.observe import words
from towpath.people import choices, decided, escalation, sendings
from towpath.people.calendars import AnyCalendar
from towpath.people.decided import History
from towpath.store.contract import OwnerId, SendingRow

COMING_SHOWN_MAX = 6
"""Rungs and reminders to come that are shown."""
_TIME_CELLS = 20
_INDENT = 4
Key: TypeAlias = tuple[str, int]
"""Why people were told, and which reminder or rung it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One thing that happened, or will."""

    at: Micros
    text: str
    key: Key | None = None
    """Under which the outbox knows who was told."""


def told_of(rows: Sequence[SendingRow], history: History) -> dict[Key, list[SendingRow]]:
    """What the outbox holds of one question, by what it is about; the oldest first."""
    mark = f"@{history.question.asked_at}!"
    found: dict[Key, list[SendingRow]] = {}
    for row in reversed(rows):
        if row.path == history.path and mark in row.notice:
            notice = sendings.notice_of(row)
            found.setdefault((row.why, 0 if notice is None else notice.number), []).append(row)
    return found


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
    for row in sorted(_past(history, told), key=_moment):
        made.append(_line(row, screen, now=now))
        if row.key is not None:
            indent = _INDENT + _TIME_CELLS
            made += outbox.told_lines(told.get(row.key, ()), screen, alive=alive, now=now, indent=indent)
    if history.ended_at is not None:
        return tuple(made)
    coming = list(_coming(node, history.question, calendar, now=now))
    left_out = len(coming) - COMING_SHOWN_MAX
    made += [_line(row, screen, now=now) for row in coming[:COMING_SHOWN_MAX]]
    if left_out > 1:
        made.append(line(" " * _INDENT, (f"… and {left_out - 1} more in between", "dim")))
    made += [_line(row, screen, now=now) for row in (coming[-1:] if left_out > 0 else [])]
    return tuple(made)


def _line(row: _Row, screen: Screen, *, now: Micros) -> Line:
    role = "plain" if row.at <= now else "dim"
    moment = f"{words.moment(row.at, now=now):<{_TIME_CELLS}}"
    return clip(line(" " * _INDENT, (moment, "dim"), (row.text, role)), screen.width)  # type: ignore[arg-type] # one of two roles


def _moment(row: _Row) -> Micros:
    return row.at


def _past(history: History, told: Mapping[Key, Sequence[SendingRow]]) -> Iterator[_Row]:
    asked = f"asked {safe(', '.join(history.question.who)) or 'whoever operates'}"
    is_anew = bool(history.voided)
    yield _Row(at=history.asked_at, text=asked, key=None if is_anew else ("asked", 0))
    for at, reason in history.voided:
        text = f"the answers so far became void: {safe(reason)}; asked again"
        yield _Row(at=at, text=text, key=("asked", 0) if at == history.question.asked_at else None)
    for each in history.told:
        text = f"{each.kind} {each.number}: told {safe(', '.join(each.to))}"
        yield _Row(at=each.at, text=text, key=(each.kind, each.number))
    over = None
    if history.ended_at is not None:
        over = ("decided", 0) if ("decided", 0) in told else ("withdrawn", 0)
    is_one = len(history.decided_by) == 1
    for answer in history.answers:
        key = over if is_one and answer is history.decided_by[0] else None
        yield _Row(at=answer.at, text=answer_text(answer), key=key)
    for by, at, text in history.comments:
        yield _Row(at=at, text=f"{who(by)}: {first_line(text)}")
    handed_over = 0
    for at, text in history.notes:
        is_hand_over = decided.HANDED_OVER in text
        handed_over += is_hand_over
        yield _Row(at=at, text=safe(text), key=("handed_over", handed_over) if is_hand_over else None)
    if history.ended_at is not None and not is_one:
        yield _Row(at=history.ended_at, text=safe(history.sentence()), key=over)
    for key, rows in told.items():
        if key[0] == "voided":
            yield _Row(at=rows[0].at, text="told that it is asked again", key=key)


def _coming(node: Node, question: Question, calendar: AnyCalendar | None, *, now: Micros) -> Iterator[_Row]:
    for rung in escalation.ladder(question, calendar):
        told = node.told_rungs if rung.kind == "rung" else node.told_reminders
        if rung.kind != "expiry" and rung.number <= told:
            continue
        ahead = words.ahead(rung.at, now=now)
        to = safe(", ".join(rung.to))
        match rung.kind:
            case "expiry" if rung.at > now:
                text = f"the time is up ({ahead}), then {choices.silence(question.if_unanswered)}"
            case "expiry":
                text = (
                    f"the time is up, and nobody has noticed: then {choices.silence(question.if_unanswered)}"
                )
            case "rung" if rung.at > now:
                text = f"rung {rung.number} ({ahead}): tells {to}, who may then answer too"
            case "rung":
                text = f"rung {rung.number} is due: {to} may answer, and will be told"
            case _ if rung.at > now:
                text = f"reminder {rung.number} ({ahead}): tells {to}"
            case _:
                continue
        yield _Row(at=rung.at, text=text)
