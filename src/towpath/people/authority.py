"""Authority: may this person say this to this question, now? With the reason, as a sentence for people.

Who may answer is settled when the answer comes, never when the question is asked: people join, leave, go on holiday
and hand over their shift while a question waits. An answer is allowed when all of this holds:

1. The question is open. Who comes later is told who decided.
2. The choice is one that the question has.
3. A person says it, and it is one whom the question goes to now: somebody who stands behind `who`, behind a rung that
   has been reached, or behind somebody whom it was handed over to. A question that names nobody (a failure, an unknown
   outcome, a failed rollback) goes to everybody whom the project knows.
4. Nobody else has claimed it. A claim ends when its holder has answered, gives it back, or may not answer any more: who
   goes on holiday holds nobody up, and of two approvals the second is not held up by who gave the first. Whoever may
   answer may also take it over, in the open.
5. Four eyes: neither who started the run nor who last edited the file approves, under whatever name. Rejecting and
   sending back are open to them.
6. The person has not answered an approval before; they may take their answer back and give another one.

Whether somebody may see or start runs at all is a matter of access, not of questions, and is settled elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from towpath.core.run import Answer, Micros, Node, Question, Run
from towpath.people import calendars, civil_time, decided, escalation
from towpath.people.calendars import AnyCalendar
from towpath.people.directory import SERVICE, Directory, listed

Saying: TypeAlias = Literal["claim", "take_over", "release", "hand_over", "comment", "withdraw", "remind"]
"""What may be said to a question without deciding it; everything else is one of its choices."""
SAYINGS: frozenset[str] = frozenset(get_args(Saying))
_WHY_EMPTY_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    """The person may say this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny:
    """The person may not say this."""

    reason: str
    """A sentence for people: what stands against it."""
    help: str = ""
    """What to do instead."""


Verdict: TypeAlias = Allow | Deny


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A question, and all that has happened to it so far."""

    question: Question
    is_open: bool = True
    started_by: str = ""
    """Who started the run."""
    edited_by: str = ""
    """Who last edited the definition: a user's name or an address."""
    answers: tuple[Answer, ...] = ()
    claimed_by: str = ""
    handed_to: tuple[str, ...] = ()
    told_rungs: int = 0
    """Rungs that were told already."""
    calendar: AnyCalendar | None = None
    """The calendar that the question's `hours` name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """Somebody who may answer from an instant on, when a rung is reached."""

    at: Micros
    people: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """Who could still bring a question to its good end: approve it, or do the task."""

    needed: int
    """How many more of them it takes."""
    people: frozenset[str]
    """Users who could say so now; where one has claimed it, only that one, until the claim ends."""
    later: tuple[Later, ...] = ()
    """Users who may join in when a rung is reached, as far as is known today."""
    is_anybody: bool = False
    """The question goes to everybody, and the project does not say who that is."""
    claimed_by: str = ""
    """Who takes care of it; empty where nobody does."""
    warning: str = ""
    """Why it cannot be decided by the people who are asked now; empty when it can."""


def case_of(run: Run, node: Node, calendar: AnyCalendar | None = None) -> Case:
    """The case of a node that asks, or asked, a question."""
    assert node.question is not None
    return Case(
        question=node.question,
        is_open=node.status == "asking" and not run.has_ended,
        started_by=run.started_by,
        edited_by=run.edited_by,
        answers=node.answers,
        claimed_by=node.claimed_by,
        handed_to=node.handed_to,
        told_rungs=node.told_rungs,
        calendar=None if calendar is None else calendars.timetable(calendar),
    )


def judge(
    directory: Directory,
    case: Case,
    *,
    by: str,
    says: Saying | str,
    at: Micros,
    groups: Iterable[str] = (),
) -> Verdict:
    """Whether *by* may say *says* to the question at an instant.

    *says* is one of the question's choices, or a `Saying`. *groups* are those that an identity provider vouches for;
    they count only in a project that has one.
    """
    person = person_of(directory, by)
    if person is None:
        return Deny(reason=f"{by!r} is not a person, and only people answer questions")
    return (
        _closed(case)
        or _unknown_word(case, says)
        or _said_already(directory, case, person, says)
        or _not_asked(directory, case, person, says, at, frozenset(groups))
        or _claimed(directory, case, person, says, at)
        or _four_eyes(directory, case, person, says)
        or Allow()
    )


def judge_four_eyes(directory: Directory, case: Case, *, by: str, says: str) -> Verdict:
    """Whether four eyes alone stand against *by* saying *says*: all that a project can tell whose file names no people."""
    person = person_of(directory, by)
    return (None if person is None else _four_eyes(directory, case, person, says)) or Allow()


def asked(directory: Directory, case: Case, at: Micros) -> frozenset[str]:
    """The users whom the question goes to at an instant, whether or not they may still say something to it.

    Empty where it goes to everybody and the project does not say who that is.
    """
    principals = principals_of(case, at)
    return directory.people(principals or everybody(directory), at)


def principals_of(case: Case, at: Micros) -> tuple[str, ...]:
    """The principals whom the question goes to at an instant: asked, reached by a rung, or handed it."""
    climbed = escalation.asked_by(case.question, now=at, told_rungs=case.told_rungs, calendar=case.calendar)
    return tuple(dict.fromkeys((*climbed, *(_principal(to) for to in case.handed_to))))


def everybody(directory: Directory) -> tuple[str, ...]:
    """Every user of the project's file as a principal."""
    return tuple(f"user:{name}" for name in directory.file.people.users)


def person_of(directory: Directory, actor: str) -> str | None:
    """The name of the user that an actor is: `user:anna`, `anna` or an address; None for what is no person."""
    kind, colon, name = actor.partition(":")
    if colon and kind != "user":
        return None
    plain = name if colon else actor
    if plain in directory.file.people.users:
        return plain
    return directory.user_by_email(plain) or plain or None


def outlook(directory: Directory, case: Case, at: Micros) -> Outlook:
    """Who could still approve, or do, what is asked, and a warning where that cannot be enough."""
    wanted = case.question.choices[0] if case.question.choices else ""
    is_approval = case.question.kind == "approval"
    given = sum(answer.decision == "approve" for answer in case.answers) if is_approval else 0
    needed = max((case.question.quorum if is_approval else 1) - given, 0)
    able = _able(directory, case, asked(directory, case, at), wanted)
    holder = claimer(directory, case, at)
    later = _later(directory, case, at, wanted, able)
    is_anybody = not principals_of(case, at) and not everybody(directory)
    elsewhere = directory.resolve(principals_of(case, at), at).groups_elsewhere
    can = is_anybody or bool(elsewhere) or len(able) >= needed
    return Outlook(
        needed=needed,
        people=able if holder is None else able & {holder},
        later=later,
        is_anybody=is_anybody,
        claimed_by=holder or "",
        warning="" if can else _warning(directory, case, at, needed=needed, now=able, later=later),
    )


# --- the rules, in the order in which they are asked --------------------------------------------------------


def _closed(case: Case) -> Deny | None:
    if case.is_open:
        return None
    deciders = decided.deciders(case.question, case.answers)
    if not deciders:
        return Deny(reason="the question is not open any more: it ended without a decision of people")
    when = civil_time.said(deciders[-1].at, civil_time.zone_of("UTC"))
    verb = "has" if len(deciders) == 1 else "have"
    who = decided.names_of(deciders)
    return Deny(reason=f"{who} {verb} decided it: {_words(deciders[-1].decision)}, {when}")


def _unknown_word(case: Case, says: str) -> Deny | None:
    choices = case.question.choices
    if says in choices or says in SAYINGS:
        return None
    return Deny(
        reason=f"this question cannot be answered with {says!r}",
        help=f"answer with one of: {', '.join(choices)}",
    )


def _said_already(directory: Directory, case: Case, person: str, says: str) -> Deny | None:
    own = [answer for answer in case.answers if person_of(directory, answer.by) == person]
    if says == "withdraw":
        return None if own else Deny(reason=f"{person} has not answered it, so there is nothing to take back")
    if says in case.question.choices and case.question.kind == "approval" and own:
        return Deny(
            reason=f"{person} has answered it already: {_words(own[-1].decision)}",
            help="take the answer back first, if it was wrong",
        )
    return None


def _not_asked(
    directory: Directory, case: Case, person: str, says: str, at: Micros, groups: frozenset[str]
) -> Deny | None:
    if says in _OPEN_TO_THE_PROJECT:
        return _stranger(directory, person)
    if says == "withdraw":
        return None  # who was allowed to answer may take it back, member still or not
    principals = principals_of(case, at)
    if not principals:
        return _stranger(directory, person)
    found = directory.resolve(principals, at)
    if person in found.people or groups & found.groups_elsewhere:
        return None
    return Deny(
        reason=f"{person} is not asked: the question goes to {', '.join(principals)}"
        f" ({_who_that_is(directory, case, at)}), and {directory.why_not(person, principals, at)}",
        help="ask one of them, or have it handed over to you",
    )


def _stranger(directory: Directory, person: str) -> Deny | None:
    if not directory.is_closed or person in directory.file.people.users:
        return None
    return Deny(
        reason=f"the project knows nobody called {person}", help="add them to towpath.yaml under people"
    )


def _claimed(directory: Directory, case: Case, person: str, says: str, at: Micros) -> Deny | None:
    holder = claimer(directory, case, at)
    if says == "release" and holder != person:
        return Deny(reason=f"{person} has not claimed it, so there is nothing to release")
    if holder in (None, person) or says in _BESIDE_A_CLAIM:
        return None
    return Deny(
        reason=f"{holder} has claimed it and takes care of it",
        help=f"let {holder} answer, have it handed over to you, or take it over",
    )


def claimer(directory: Directory, case: Case, at: Micros) -> str | None:
    """Who has claimed the question and may still answer it; None where nobody holds it."""
    if not case.claimed_by:
        return None
    holder = person_of(directory, case.claimed_by)
    if any(person_of(directory, answer.by) == holder for answer in case.answers):
        return None
    principals = principals_of(case, at)
    if holder is None or not principals:
        return holder
    found = directory.resolve(principals, at)
    return holder if holder in found.people or found.groups_elsewhere else None


def _four_eyes(directory: Directory, case: Case, person: str, says: str) -> Deny | None:
    if not case.question.four_eyes or says not in _FOR_OTHER_EYES:
        return None
    advice = "somebody else has to approve it; you may reject it"
    if case.started_by and directory.are_one(person, case.started_by):
        if case.started_by.startswith(SERVICE):
            return Deny(
                reason=f"{person} answers for {case.started_by}, which started the run, and may not approve it (four_eyes)",
                help=advice,
            )
        return Deny(reason=f"{person} started the run and may not approve it (four_eyes)", help=advice)
    if case.edited_by and directory.are_one(person, case.edited_by):
        known = "" if person == case.edited_by.removeprefix("user:") else f", as {case.edited_by}"
        return Deny(
            reason=f"{person} last edited the workflow{known}, and may not approve it (four_eyes)",
            help=advice,
        )
    return None


_FOR_OTHER_EYES = frozenset({"approve", "claim", "take_over"})
"""An approval, and what would only keep others from giving it."""
_OPEN_TO_THE_PROJECT: frozenset[str] = frozenset({"comment", "remind", "release"})
_BESIDE_A_CLAIM: frozenset[str] = frozenset({"comment", "remind", "withdraw", "take_over"})


# --- who could still decide ---------------------------------------------------------------------------------


def _able(directory: Directory, case: Case, people: Iterable[str], says: str) -> frozenset[str]:
    """Those among *people* against whom neither four eyes nor an earlier answer stands."""
    return frozenset(
        person
        for person in people
        if _said_already(directory, case, person, says) is None
        and _four_eyes(directory, case, person, says) is None
    )


def _later(directory: Directory, case: Case, at: Micros, says: str, now: frozenset[str]) -> tuple[Later, ...]:
    found: list[Later] = []
    known = now
    for rung in escalation.rungs(case.question, case.calendar):
        if rung.at > at and rung.number > case.told_rungs:
            people = _able(directory, case, directory.people(rung.to, rung.at), says) - known
            if people:
                found.append(Later(at=rung.at, people=people))
                known |= people
    return tuple(found)


def _warning(
    directory: Directory,
    case: Case,
    at: Micros,
    *,
    needed: int,
    now: frozenset[str],
    later: tuple[Later, ...],
) -> str:
    lacks = "nobody who is asked now" if not now else f"only {listed(now)}"
    many = f"{needed} more approvals are needed, and " if needed > 1 else ""
    verb = "approve it" if case.question.kind == "approval" else "answer it"
    soon = "".join(
        f"; from {civil_time.said(each.at, civil_time.zone_of('UTC'))} also {listed(each.people)}"
        for each in later
    )
    reasons = [each.reason for each in directory.resolve(principals_of(case, at), at).nobody]
    reasons.extend(_held_back(directory, case, asked(directory, case, at)))
    why = f" ({'; '.join(reasons[:_WHY_EMPTY_MAX])})" if reasons else ""
    return f"{many}{lacks} can {verb}{why}{soon}"


def _held_back(directory: Directory, case: Case, people: Iterable[str]) -> list[str]:
    verdicts = [_four_eyes(directory, case, person, "approve") for person in sorted(people)]
    is_approval = case.question.kind == "approval"
    return [verdict.reason for verdict in verdicts if verdict is not None] if is_approval else []


def _who_that_is(directory: Directory, case: Case, at: Micros) -> str:
    people = asked(directory, case, at)
    return f"now {listed(people)}" if people else "nobody at present"


# --- words --------------------------------------------------------------------------------------------------


def _principal(name: str) -> str:
    return name if ":" in name else f"user:{name}"


def _name(actor: str) -> str:
    return actor.removeprefix("user:")


def _words(decision: str) -> str:
    return decision.replace("_", " ")
