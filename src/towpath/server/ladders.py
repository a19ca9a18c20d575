"""The ladder of a question: what happened to it and when, who was told, and what will happen while nobody answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from towpath.core.run import Answer, Micros, Node, Question
from towpath.observe import words
from towpath.people import choices, decided, escalation, sendings
from towpath.people.calendars import AnyCalendar
from towpath.people.decided import History
from towpath.store.contract import SendingRow

Key: TypeAlias = tuple[str, int]
"""Why people were told, and which reminder or rung it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One thing that happened to a question, or will."""

    at: Micros
    text: str
    """In words; what people wrote is in it as they wrote it."""
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


def past(history: History, told: Mapping[Key, Sequence[SendingRow]]) -> list[Happening]:
    """What happened to a question so far, in order."""
    return sorted(_past(history, told), key=_moment)


def _moment(one: Happening) -> Micros:
    return one.at


def _past(history: History, told: Mapping[Key, Sequence[SendingRow]]) -> Iterator[Happening]:
    asked = f"asked {', '.join(history.question.who) or 'whoever operates'}"
    is_anew = bool(history.voided)
    yield Happening(at=history.asked_at, text=asked, key=None if is_anew else ("asked", 0))
    for at, reason in history.voided:
        text = f"the answers so far became void: {reason}; asked again"
        yield Happening(at=at, text=text, key=("asked", 0) if at == history.question.asked_at else None)
    for each in history.told:
        text = f"{each.kind} {each.number}: told {', '.join(each.to)}"
        yield Happening(at=each.at, text=text, key=(each.kind, each.number))
    over = None
    if history.ended_at is not None:
        over = ("decided", 0) if ("decided", 0) in told else ("withdrawn", 0)
    is_one = len(history.decided_by) == 1
    for answer in history.answers:
        key = over if is_one and answer is history.decided_by[0] else None
        yield Happening(at=answer.at, text=answer_text(answer), key=key)
    for by, at, text in history.comments:
        yield Happening(at=at, text=f"{_name(by)}: {_first_line(text)}")
    handed_over = 0
    for at, text in history.notes:
        is_hand_over = decided.HANDED_OVER in text
        handed_over += is_hand_over
        yield Happening(at=at, text=text, key=("handed_over", handed_over) if is_hand_over else None)
    if history.ended_at is not None and not is_one:
        yield Happening(at=history.ended_at, text=history.sentence(), key=over)
    for key, rows in told.items():
        if key[0] == "voided":
            yield Happening(at=rows[0].at, text="told that it is asked again", key=key)


def coming(
    node: Node, question: Question, calendar: AnyCalendar | None, *, now: Micros
) -> Iterator[Happening]:
    """What the ladder of an open question will do, in order."""
    for rung in escalation.ladder(question, calendar):
        told = node.told_rungs if rung.kind == "rung" else node.told_reminders
        if rung.kind != "expiry" and rung.number <= told:
            continue
        ahead = words.ahead(rung.at, now=now)
        to = ", ".join(rung.to)
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
        yield Happening(at=rung.at, text=text, key=(rung.kind, rung.number))


def answer_text(answer: Answer) -> str:
    """`anna: approved — looks good`."""
    said = choices.decision_of(answer.decision)
    return f"{_name(answer.by)}: {said}{f' — {_first_line(answer.comment)}' if answer.comment else ''}"


def _name(actor: str) -> str:
    return actor.removeprefix("user:")


def _first_line(text: str) -> str:
    """The first line that holds anything."""
    return next((part.strip() for part in text.splitlines() if part.strip()), "")
