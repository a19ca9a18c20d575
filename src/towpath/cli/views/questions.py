"""A question on the screen: what is asked, of whom, until when; the evidence in full; the ladder, past and to come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from towpath.cli.views import words
from towpath.cli.views.lines import Line, Screen, clip, first_line, line, safe, wrap
from towpath.core.run import Answer, Json, Micros, Node, Question
from towpath.people import choices, escalation
from towpath.people.calendars import AnyCalendar
from towpath.people.decided import History

EVIDENCE_LINES_MAX = 40
"""Lines of one piece of evidence that are shown before a decision."""
COMMENTS_SHOWN_MAX = 10
COMING_SHOWN_MAX = 6
"""Rungs and reminders to come that are shown."""


def question_lines(node: Node, screen: Screen, *, now: Micros) -> tuple[Line, ...]:
    """What is asked, with its instructions, what was said already, and all of its evidence."""
    question = node.question
    assert question is not None, f"{node.path} asks nothing"
    made: list[Line] = [
        line(("? ", "ask"), (first_line(question.text), "name"), (f"  {safe(node.path)}", "dim"))
    ]
    for text in (*question.text.strip().split("\n", 1)[1:], question.instructions or ""):
        made += [line(f"  {row}") for part in text.splitlines() for row in wrap(safe(part), screen.width - 2)]
    made += [clip(line(f"  {text}"), screen.width) for text in _said(node, now=now)]
    for name, value in question.evidence.items():
        made += _evidence(name, value, screen)
    return tuple(made)


def _said(node: Node, *, now: Micros) -> Iterator[str]:
    question = node.question
    assert question is not None, f"{node.path} asks nothing"
    if question.quorum > 1:
        given = [who(answer.by) for answer in node.answers if answer.decision == "approve"]
        yield f"{len(given)} of {question.quorum} approvals{': ' if given else ''}{', '.join(given)}"
    if node.claimed_by:
        yield f"{who(node.claimed_by)} takes care of it"
    for by, at, text in node.comments[-COMMENTS_SHOWN_MAX:]:
        yield f"{who(by)}, {words.ago(at, now=now)}: {first_line(text)}"


def _evidence(name: str, value: Json, screen: Screen) -> list[Line]:
    """One piece of evidence: a file's text, a text, or JSON over several lines."""
    title, text = _evidence_text(name, value)
    rows = text.splitlines() or [""]
    made = [line(("  ┃ ", "frame"), (title, "name"))]
    made += [clip(line(("  ┃ ", "frame"), safe(row)), screen.width) for row in rows[:EVIDENCE_LINES_MAX]]
    if len(rows) > EVIDENCE_LINES_MAX:
        made.append(line(("  ┃ ", "frame"), (f"… and {len(rows) - EVIDENCE_LINES_MAX:,} more lines", "dim")))
    return made


def _evidence_text(name: str, value: Json) -> tuple[str, str]:
    from towpath.cli.views import facts

    if isinstance(value, Mapping) and "file" in value and "digest" in value:
        where = f"{safe(name)}: {safe(str(value['file']))}"
        if value.get("error"):
            return where, f"cannot be shown: {value['error']}"
        return f"{where} (sha256 {str(value['digest'])[:12]})", str(value.get("text", ""))
    return safe(name), value if isinstance(value, str) else facts.json_text(value)


# --- the ladder ---------------------------------------------------------------------------------------------


def ladder_lines(
    node: Node, history: History, screen: Screen, *, calendar: AnyCalendar | None, now: Micros
) -> tuple[Line, ...]:
    """What happened to an open question so far, in order, and what its ladder will do, with the times."""
    question = node.question
    assert question is not None, f"{node.path} asks nothing"
    past = sorted(_past(node, history), key=_moment)
    coming = list(_coming(node, question, calendar, now=now))
    left_out = len(coming) - COMING_SHOWN_MAX
    rows = [*past, *coming[:COMING_SHOWN_MAX], *(coming[-1:] if left_out > 0 else [])]
    made = [
        clip(
            line(
                "    ", (f"{words.moment(at, now=now):<20}", "dim"), (text, "plain" if at <= now else "dim")
            ),
            screen.width,
        )
        for at, text in rows
    ]
    if left_out > 1:
        made.insert(-1, line("    ", (f"… and {left_out - 1} more in between", "dim")))
    return tuple(made)


def _moment(row: tuple[Micros, str]) -> Micros:
    return row[0]


def _past(node: Node, history: History) -> Iterator[tuple[Micros, str]]:
    yield history.asked_at, f"asked {safe(', '.join(history.question.who)) or 'whoever operates'}"
    for at, reason in history.voided:
        yield at, f"the answers so far became void: {safe(reason)}; asked again"
    for told in history.told:
        yield told.at, f"{told.kind} {told.number}: told {safe(', '.join(told.to))}"
    for answer in history.answers:
        yield answer.at, answer_text(answer)
    for by, at, text in node.comments:
        yield at, f"{who(by)}: {first_line(text)}"
    for at, text in history.notes:
        yield at, safe(text)


def _coming(
    node: Node, question: Question, calendar: AnyCalendar | None, *, now: Micros
) -> Iterator[tuple[Micros, str]]:
    for rung in escalation.ladder(question, calendar):
        told = node.told_rungs if rung.kind == "rung" else node.told_reminders
        if rung.at <= now or (rung.kind != "expiry" and rung.number <= told):
            continue
        ahead = words.ahead(rung.at, now=now)
        match rung.kind:
            case "expiry":
                yield (
                    rung.at,
                    f"the time is up ({ahead}), then {choices.silence(question.if_unanswered)}",
                )
            case "rung":
                yield (
                    rung.at,
                    f"rung {rung.number} ({ahead}): tells {safe(', '.join(rung.to))}, who may then answer too",
                )
            case _:
                yield rung.at, f"reminder {rung.number} ({ahead}): tells {safe(', '.join(rung.to))}"


def answer_text(answer: Answer) -> str:
    """`anna approved: looks good`."""
    said = choices.decision_of(answer.decision)
    return f"{who(answer.by)}: {said}{f' — {first_line(answer.comment)}' if answer.comment else ''}"


def who(actor: str) -> str:
    """A person's name as others read it."""
    return safe(actor.removeprefix("user:"))
