"""What people are told, in words: the one place where a notice becomes a subject and a text.

It is read on a telephone, at three in the morning, by somebody who was asleep. So each text says the same things in the same order: what
is asked, why you, until when, what happens if you do nothing, and the exact command to type. Everything that came from outside (a question,
evidence, names, comments) is cut to a length, freed of control characters, and escaped where a service would read it as markup.
"""

from __future__ import annotations

import datetime
import json
import re
import unicodedata
import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from towpath.people import choices
from towpath.people.channels.contract import Micros, Notice, Text, Why
from towpath.people.decided import deciders

if TYPE_CHECKING:
    from towpath.core.run import Json, Node, Run
    from towpath.store.contract import RunNumber

SUBJECT_CHARS_MAX: Final = 150
QUESTION_CHARS_MAX: Final = 2_000
EVIDENCE_ENTRIES_MAX: Final = 10
EVIDENCE_CHARS_MAX: Final = 200
COMMENT_CHARS_MAX: Final = 500
PATH_CHARS_MAX: Final = 500
NAMES_SHOWN_MAX: Final = 10
NAME_CHARS_MAX: Final = 200

_SECOND: Final = 1_000_000
_JOINER: Final = "\N{WORD JOINER}"
_KINDS: Final[Mapping[str, str]] = {
    "approval": "Approval wanted",
    "task": "To do",
    "failure": "A step failed and waits for you",
    "unknown": "Nobody knows whether a step was done",
    "rollback": "A rollback failed and waits for you",
}
ASKING: Final[tuple[Why, ...]] = ("asked", "reminder", "rung", "handed_over", "voided")
"""Why somebody is told who is to answer; what is out of date when it was decided."""
OVER: Final[frozenset[Why]] = frozenset({"decided", "withdrawn"})
"""Why people are told that nobody needs to answer any more."""


# --- a notice from what an engine knows ---------------------------------------------------------------------


def notice_of(
    number: RunNumber,
    run: Run,
    node: Node,
    *,
    why: Why,
    times: int,
    at: Micros,
    to: Mapping[str, str],
    until: Micros | None = None,
) -> Notice:
    """The notice about a question of a run, whose id is the same whenever it is made.

    Args:
        number: the run's number.
        run: the run.
        node: the step that asks, or asked.
        why: why people are told.
        times: which reminder, which rung, or when it was asked.
        at: now.
        to: who is told, each with the principal behind which they stand.
        until: when silence counts.

    """
    question = node.question
    assert question is not None, node.path
    by = deciders(question, node.answers) if why == "decided" else ()
    return Notice(
        id=f"{run.id}/{node.path}#{node.attempt}@{question.asked_at}!{_IDS.get(why, why)}{times}",
        run=number,
        run_id=run.id,
        workflow=run.plan.workflow.name,
        path=node.path,
        why=why,
        number=times if why in ("reminder", "rung", "handed_over") else 0,
        at=at,
        kind=question.kind,
        question=clean(question.text)[:QUESTION_CHARS_MAX],
        instructions=clean(question.instructions or "")[:QUESTION_CHARS_MAX],
        choices=question.choices,
        quorum=question.quorum,
        answered_by=tuple(answer.by for answer in by or node.answers),
        evidence=summary_of(question.evidence),
        to=to,
        asked=question.who,
        until=until,
        if_unanswered=question.if_unanswered,
        decision=by[-1].decision if by else "",
        by=by[-1].by if by else "",
        comment=clean(by[-1].comment)[:COMMENT_CHARS_MAX] if by else "",
        started_by=run.started_by,
        url=run.url,
    )


_IDS: Final[Mapping[Why, str]] = {"voided": "asked"}
"""That it is asked again is told once: as a question, or with the reason why, whichever comes first."""


def summary_of(evidence: Mapping[str, Json]) -> tuple[tuple[str, str], ...]:
    """Evidence in short: names and the beginnings of their values, the first few."""
    entries = [
        (_line(name, NAME_CHARS_MAX), _line(_value(value), EVIDENCE_CHARS_MAX))
        for name, value in list(evidence.items())[:EVIDENCE_ENTRIES_MAX]
    ]
    more = len(evidence) - len(entries)
    return (*entries, *([("…", f"and {more} more")] if more else []))


def _value(value: Json) -> str:
    if isinstance(value, Mapping) and "digest" in value and "file" in value:
        return f"{value['file']} ({str(value.get('digest'))[:12]})"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


# --- words --------------------------------------------------------------------------------------------------


def text_of(notice: Notice, *, recipient: str = "", at: Micros | None = None, zone: str = "UTC") -> Text:
    """A notice in words, for one recipient, in their time zone."""
    now = notice.at if at is None else at
    lines = list(_lines(notice, recipient=recipient, now=now, zone=zone))
    return Text(
        subject=subject_of(notice),
        plain="\n".join(line.plain for line in lines).strip() + "\n",
        markdown="  \n".join(line.markdown for line in lines).strip() + "\n",
    )


def brief(notice: Notice, *, recipient: str, at: Micros) -> tuple[str, ...]:
    """A notice for somebody who sits at the terminal of its run: what it is, and what makes it theirs."""
    if notice.why in OVER:
        rest = [f"“{_line(notice.comment, COMMENT_CHARS_MAX)}”"] if notice.comment else []
        return (subject_of(notice), *rest)
    asked = _line(notice.question, SUBJECT_CHARS_MAX)
    why = _why_you(notice, recipient)
    until = (
        ""
        if notice.until is None
        else f"; {span(notice.until - at)} left, then {_silence(notice).rstrip('.')}"
    )
    return (subject_of(notice), asked, f"{why}{until}")


def subject_of(notice: Notice) -> str:
    """The one line that is seen before anything is opened."""
    where = f"{notice.workflow} #{notice.run}, {notice.path or 'the run'}"
    return _line(f"{_SUBJECTS[notice.why](notice)}: {where}", SUBJECT_CHARS_MAX)


def _decided(notice: Notice) -> str:
    if notice.decision:
        word = choices.decision_of(notice.decision)
        return f"{word[:1].upper()}{word[1:]}" + (f" by {_deciders(notice)}" if notice.by else "")
    if notice.until is not None and notice.until <= notice.at:
        return f"The time was up, {choices.silence(notice.if_unanswered)}"
    return "No longer asked"


def _deciders(notice: Notice) -> str:
    """Who decided: one person, or all whose approvals it took."""
    names = notice.answered_by if notice.decision == "approve" and notice.answered_by else (notice.by,)
    *first, last = names[:NAMES_SHOWN_MAX]
    return f"{_names(tuple(first))} and {_name(last)}" if first else _name(last)


_SUBJECTS: Final[Mapping[Why, Callable[[Notice], str]]] = {
    "asked": lambda notice: _KINDS.get(notice.kind, "Decision wanted"),
    "reminder": lambda notice: f"Still waiting for you (reminder {notice.number})",
    "rung": lambda notice: f"Escalated to you (rung {notice.number})",
    "decided": _decided,
    "handed_over": lambda notice: "Handed over to you",  # noqa: ARG005 - one shape
    "withdrawn": lambda notice: "No longer asked, the run was stopped",  # noqa: ARG005 - one shape
    "voided": lambda notice: "Asked again, the answers so far are void",  # noqa: ARG005 - one shape
    "review": lambda notice: "Emergency change to be reviewed",  # noqa: ARG005 - one shape
}


class _Line:
    """One line of a text, plain and in Markdown; what came from outside is escaped in the second."""

    __slots__ = ("markdown", "plain")

    def __init__(self, plain: str, markdown: str | None = None) -> None:
        self.plain = plain
        self.markdown = escaped(plain) if markdown is None else markdown


_EMPTY: Final = _Line("", "")


def _lines(notice: Notice, *, recipient: str, now: Micros, zone: str) -> Iterator[_Line]:
    yield from _paragraph(notice.question, QUESTION_CHARS_MAX)
    where = _line(notice.path, PATH_CHARS_MAX) or "(the run)"
    workflow = _line(notice.workflow, NAME_CHARS_MAX)
    yield _labelled("Where", f"{workflow}, run {notice.run}, step {where}")
    if notice.started_by:
        yield _labelled("Started by", _name(notice.started_by))
    if notice.why in OVER:
        yield from _about_end(notice)
    else:
        yield from _about_asking(notice, recipient=recipient, now=now, zone=zone)
    yield from _to_look(notice)


def _about_end(notice: Notice) -> Iterator[_Line]:
    yield _labelled("Outcome", _SUBJECTS[notice.why](notice))
    if notice.comment:
        yield _labelled("Comment", _line(notice.comment, COMMENT_CHARS_MAX))
    yield _Line("You need not do anything.")


def _about_asking(notice: Notice, *, recipient: str, now: Micros, zone: str) -> Iterator[_Line]:
    yield _labelled("Why you", _why_you(notice, recipient))
    yield from _about_progress(notice)
    yield _labelled("Until", _until(notice, now=now, zone=zone))
    yield _labelled("If nobody answers", _silence(notice))
    yield from _about_evidence(notice)
    if notice.instructions:
        yield _EMPTY
        yield from _paragraph(notice.instructions, QUESTION_CHARS_MAX)
    yield _Line("To answer:")
    for choice in notice.choices:
        yield _typed(command_of(notice, choice))
    yield _EMPTY


def _about_progress(notice: Notice) -> Iterator[_Line]:
    if notice.why == "voided":
        yield _Line(
            "What it is about changed after the question: please look again, also if you have answered."
        )
    if notice.quorum > 1 or (notice.answered_by and notice.why != "voided"):
        given = _names(notice.answered_by) if notice.answered_by else "none so far"
        yield _labelled("Answers", f"{notice.quorum} wanted; {given}")


def _about_evidence(notice: Notice) -> Iterator[_Line]:
    if notice.evidence:
        yield _Line("Shown with it:")
        for name, value in notice.evidence:
            yield _Line(f"  {_line(name, NAME_CHARS_MAX)}: {_line(value, EVIDENCE_CHARS_MAX)}")


_PAGE: Final = re.compile(r"https?://[!-;=?-_a-z{-~]{1,2000}")
"""The address of a run's page, which is ours: nothing in it ends a link."""


def _to_look(notice: Notice) -> Iterator[_Line]:
    yield _Line("To look at it:")
    yield _typed(f"tow show {notice.run}")
    if _PAGE.fullmatch(notice.url):
        yield _Line(f"  {notice.url}", f"<{notice.url}>")


def command_of(notice: Notice, choice: str) -> str:
    """The exact command that gives an answer; one that asks, where the step cannot be typed."""
    if _line(notice.path, PATH_CHARS_MAX) != notice.path:
        return f"tow answer {notice.run}"
    return choices.command_of(notice.run, notice.path, choice)


def _why_you(notice: Notice, recipient: str) -> str:
    user = recipient.removeprefix("user:")
    if not recipient.startswith("user:") or user not in notice.to:
        told = _names(tuple(notice.to)) if notice.to else _names(notice.asked)
        return f"asked: {told}"
    through = notice.to[user]
    if not notice.asked and not through:
        reason = "nobody is named, and you started the run"
    elif not through or through == recipient:
        reason = "you are asked by name"
    elif through.startswith("user:"):
        reason = f"you stand in for {_name(through)}"
    elif through.startswith("oncall:"):
        reason = f"you are on call ({_line(through, NAME_CHARS_MAX)})"
    else:
        reason = f"you are in {_line(through, NAME_CHARS_MAX)}"
    return f"{reason}, and it still waits" if notice.why == "rung" else reason


def _until(notice: Notice, *, now: Micros, zone: str) -> str:
    if notice.until is None:
        return "no time limit, it waits until somebody answers"
    left = notice.until - now
    said = moment(notice.until, zone)
    return f"{said} (in {span(left)})" if left > 0 else f"{said} (over)"


def _silence(notice: Notice) -> str:
    if notice.until is None or notice.if_unanswered is None:
        return "nothing happens; the run goes on waiting."
    return f"{choices.silence(notice.if_unanswered)}."


def moment(at: Micros, zone: str = "UTC") -> str:
    """A point in time as a person in a time zone reads it: `Mon 23 Nov 2026 04:30 CET`."""
    try:
        known: datetime.tzinfo = zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = datetime.UTC
    try:
        local = datetime.datetime.fromtimestamp(at / _SECOND, known)
    except (OverflowError, ValueError, OSError):
        return "in a far future"
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[local.weekday()]
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{day} {local.day} {months[local.month - 1]} {local.year} {local:%H:%M} {local.tzname()}"


def span(duration: Micros) -> str:
    """A stretch of time in two words at most: `3 d 4 h`, `1 h 12 min`, `40 s`."""
    seconds = max(0, round(duration / _SECOND))
    for size, unit, below, smaller in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if seconds >= size:
            rest = seconds % size // below
            return f"{seconds // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{seconds} s"


# --- text from outside --------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """Text from outside without what steers terminals and hides words: control, format and unpaired surrogate characters.

    Line breaks stay; a tab becomes a blank. Joiners that belong to a script or an emoji stay.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    return "".join(char for char in text if char == "\n" or not _is_hidden(char))


_JOINERS: Final = frozenset("\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}")


def _is_hidden(char: str) -> bool:
    if " " <= char <= "~":
        return False
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in _JOINERS


_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&])")
_CALLS = re.compile(r"@(?=\S)")
_ADDRESSES = re.compile(r"(?i)\b(https?|ftp|mailto|javascript)(?=:)")


def escaped(text: str) -> str:
    """Text as Markdown shows it literally: no emphasis, no link, no heading, and nobody is called by an `@`."""
    return _CALLS.sub(f"@{_JOINER}", _ADDRESSES.sub(rf"\1{_JOINER}", _MARKUP.sub(r"\\\1", text)))


_GROUP_CALLS = re.compile(r"(?i)@(?=(everyone|here|channel|all)\b)")
_POINTED_CALLS = re.compile(r"<(?=[@!#])")


def calling_nobody(text: str) -> str:
    """Plain text in which no chat service finds a call to everybody, or a mention in its own notation."""
    return _POINTED_CALLS.sub(f"<{_JOINER}", _GROUP_CALLS.sub(f"@{_JOINER}", text))


def _line(text: str, chars_max: int) -> str:
    """Text from outside as one line of a limited length."""
    line = " ".join(clean(text).split())
    return line if len(line) <= chars_max else line[: chars_max - 1].rstrip() + "…"


def _paragraph(text: str, chars_max: int) -> Iterator[_Line]:
    cut = clean(text).strip()
    if len(cut) > chars_max:
        cut = cut[: chars_max - 1].rstrip() + "…"
    for line in cut.splitlines():
        yield _Line(line)
    if cut:
        yield _EMPTY


def _labelled(label: str, said: str) -> _Line:
    return _Line(f"{label}: {said}", f"**{label}:** {escaped(said)}")


def _typed(command: str) -> _Line:
    """A command to be typed; in Markdown as code, unless it holds what would end the code."""
    return _Line(f"  {command}", escaped(command) if "`" in command else f"`{command}`")


def _names(names: tuple[str, ...]) -> str:
    shown = ", ".join(_name(name) for name in names[:NAMES_SHOWN_MAX])
    more = len(names) - NAMES_SHOWN_MAX
    return shown + (f" and {more} more" if more > 0 else "")


def _name(name: str) -> str:
    return _line(name.removeprefix("user:"), NAME_CHARS_MAX)
