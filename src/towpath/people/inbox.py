"""The inbox: what waits for a person, why for this one, since when, until when, and what happens if nobody does anything.

It is worked out from the list of open questions, which the store keeps beside the runs, and from the project's people as they are at
this moment: no run is folded and no engine is asked, so ten thousand open gates are listed as quickly as they are read.

Whoever is asked finds a question in one of four places:

- **asked**: the person may answer it now.
- **answered**: they have, and it takes more answers than theirs.
- **held**: they are asked, but something stands against their answer: four eyes, or somebody else's claim. The reason stands with it.
- **others**: it goes to other people. Only somebody who looks at everything sees it.

A question that names nobody (a failure, an unknown outcome, a failed rollback) is asked of everybody: whoever operates settles it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, TypeAlias

from towpath.core.run import Answer, Micros, Path
from towpath.people import authority, choices, escalation
from towpath.people.authority import Case, Deny, Outlook
from towpath.people.calendars import Timetable, timetable
from towpath.people.civil_time import FOREVER
from towpath.people.directory import Directory
from towpath.people.escalation import Rung
from towpath.store.contract import AskingRun, OpenQuestion, RunNumber

ITEMS_MAX = 1_000
"""Questions that one look into the inbox gives in full; of more, their number is told."""

Standing: TypeAlias = Literal["asked", "answered", "held", "others"]
"""Where the person stands to a question, see above."""
How: TypeAlias = Literal["asked", "rung", "handed_over", "everybody"]
_ORDER: Final[tuple[Standing, ...]] = ("asked", "held", "answered", "others")
ANY_GROUP: Final = "*"
"""Every group and rota that the person stands behind."""


class Because(NamedTuple):
    """Why a question comes to a person: the principal behind which they stand, and how that one came to be asked."""

    principal: str
    how: How
    rung: int = 0
    """Which rung of the escalation, from 1."""
    instead_of: str = ""
    """The user whose deputy the person is."""

    @property
    def words(self) -> str:
        """In words: `group:shop`, `rung 2: oncall:platform`, `handed over to you`, `instead of ben`."""
        if self.how == "everybody":
            return "whoever operates (nobody is named)"
        who = f"instead of {self.instead_of}" if self.instead_of else self.principal
        if self.how == "rung":
            return f"rung {self.rung}: {who}"
        return f"handed over to {who}" if self.how == "handed_over" else who


class Command(NamedTuple):
    """A choice, and what to type for it."""

    choice: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One open question, as one person sees it."""

    run: AskingRun
    open: OpenQuestion
    standing: Standing
    reason: str
    """What stands against the person's answer; empty where nothing does."""
    because: tuple[Because, ...]
    """Why it comes to the person, or, where it goes to others, whom it goes to."""
    until: Micros | None
    """When silence counts; None where it never does."""
    next_rung: Rung | None
    """What the ladder does next, before the time is up."""
    needed: int
    """How many answers are still missing."""
    mine: Answer | None
    """What the person has said already."""
    others: frozenset[str]
    """Who else could bring it to its good end now, without `user:`."""
    later: tuple[authority.Later, ...]
    """Who may join in when a rung is reached."""
    warning: str
    """Why those who are asked cannot decide it; empty when they can."""
    claimed_by: str
    """Who takes care of it; empty where nobody does."""
    commands: tuple[Command, ...]
    """The choices that are open to the person, and what to type for each; after an answer, how to take it back."""

    @property
    def since(self) -> Micros:
        """When it was asked."""
        return self.open.question.asked_at

    @property
    def path(self) -> Path:
        """The step's path."""
        return self.open.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbox:
    """What waits, the most urgent first."""

    items: tuple[Item, ...]
    left_out: int = 0
    """Questions that wait for the person as well, beyond those that were wanted."""
    unlisted: Mapping[RunNumber, int] = field(default_factory=dict)
    """Runs that ask more than the list of questions holds, and how much more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which questions somebody wants to see."""

    everything: bool = False
    """Those that go to others, too."""
    group: str | None = None
    """Only what comes through this group or rota, or through `ANY_GROUP` of the person's."""
    run: RunNumber | None = None
    items_max: int = ITEMS_MAX


def look(
    asking: Iterable[AskingRun],
    *,
    directory: Directory,
    person: str,
    at: Micros,
    wanted: Wanted | None = None,
) -> Inbox:
    """What waits for a person at an instant, the most urgent first.

    Args:
        asking: the runs that ask something.
        directory: the people, and the calendars, of the project.
        person: the user's name, without `user:`.
        at: now.
        wanted: which questions.

    """
    view = _View(directory=directory, person=person, at=at)
    wanted = wanted or Wanted()
    found: list[_Sighted] = []
    unlisted: dict[RunNumber, int] = {}
    for run in asking:
        if wanted.run not in (None, run.number):
            continue
        if run.questions_more:
            unlisted[run.number] = run.questions_more
        found.extend(
            sighted for each in run.questions if (sighted := view.sight(run, each, wanted)) is not None
        )
    found.sort(key=_urgency)
    items = tuple(view.item(sighted) for sighted in found[: wanted.items_max])
    return Inbox(items=items, left_out=len(found) - len(items), unlisted=unlisted)


class _Sighted(NamedTuple):
    """A question that is to be seen, before anything costly is worked out."""

    run: AskingRun
    open: OpenQuestion
    case: Case
    standing: Standing
    reason: str
    until: Micros | None


def _urgency(sighted: _Sighted) -> tuple[int, Micros, Micros, RunNumber, Path]:
    """What one can do something about comes first; then what runs out first; then what waits longest."""
    until = FOREVER if sighted.until is None else sighted.until
    asked_at = sighted.open.question.asked_at
    return _ORDER.index(sighted.standing), until, asked_at, sighted.run.number, sighted.open.path


@dataclass(slots=True, kw_only=True)
class _View:
    """One look of one person at one instant; what many questions share is worked out once."""

    directory: Directory
    person: str
    at: Micros
    known: dict[tuple[str, ...], frozenset[str]] = field(default_factory=dict)
    calendars: dict[str, Timetable | None] = field(default_factory=dict)

    def sight(self, run: AskingRun, asked: OpenQuestion, wanted: Wanted) -> _Sighted | None:
        """The question as the person sees it; None where they do not, or do not want to."""
        case = self._case(run, asked)
        standing, reason = self._standing(case)
        if standing == "others" and not (wanted.everything or wanted.group not in (None, ANY_GROUP)):
            return None
        if wanted.group is not None and not self._comes_through(case, wanted.group):
            return None
        until = escalation.expires_at(case.question, case.calendar)
        return _Sighted(run, asked, case, standing, reason, until)

    def item(self, sighted: _Sighted) -> Item:
        """The question with everything that there is to say about it."""
        case, asked = sighted.case, sighted.open
        outlook: Outlook = authority.outlook(self.directory, case, self.at)
        own = [answer for answer in case.answers if self._is_me(answer.by)]
        return Item(
            run=sighted.run,
            open=asked,
            standing=sighted.standing,
            reason=sighted.reason,
            because=self._because(case, for_others=sighted.standing == "others"),
            until=sighted.until,
            next_rung=self._next_rung(case, asked),
            needed=outlook.needed,
            mine=own[-1] if own else None,
            others=outlook.people - {self.person},
            later=outlook.later,
            warning=outlook.warning,
            claimed_by=outlook.claimed_by,
            commands=self._commands(sighted),
        )

    def _case(self, run: AskingRun, asked: OpenQuestion) -> Case:
        return Case(
            question=asked.question,
            started_by=run.started_by,
            edited_by=asked.edited_by,
            answers=asked.answers,
            claimed_by=asked.claimed_by,
            handed_to=asked.handed_to,
            told_rungs=asked.told_rungs,
            calendar=self._calendar(asked.question.hours),
        )

    def _calendar(self, name: str | None) -> Timetable | None:
        if name is None:
            return None
        if name not in self.calendars:
            known = self.directory.file.calendars.get(name)
            self.calendars[name] = None if known is None else timetable(known)
        return self.calendars[name]

    def _people(self, principals: tuple[str, ...]) -> frozenset[str]:
        if principals not in self.known:
            self.known[principals] = self.directory.people(principals, self.at)
        return self.known[principals]

    def _is_me(self, actor: str) -> bool:
        return authority.person_of(self.directory, actor) == self.person

    def _standing(self, case: Case) -> tuple[Standing, str]:
        if case.question.kind == "approval" and any(self._is_me(answer.by) for answer in case.answers):
            return "answered", ""
        principals = authority.principals_of(case, self.at)
        if principals and self.person not in self._people(principals):
            return "others", ""
        says = case.question.choices[0] if case.question.choices else ""
        verdict = authority.judge(self.directory, case, by=f"user:{self.person}", says=says, at=self.at)
        if not isinstance(verdict, Deny):
            return "asked", ""
        return ("held" if principals else "others"), verdict.reason

    def _comes_through(self, case: Case, group: str) -> bool:
        principals = authority.principals_of(case, self.at)
        if group != ANY_GROUP:
            names = {group} if ":" in group else {f"group:{group}", f"oncall:{group}"}
            return not names.isdisjoint(principals)
        return any(
            not principal.startswith("user:") and self.person in self._people((principal,))
            for principal in principals
        )

    def _because(self, case: Case, *, for_others: bool) -> tuple[Because, ...]:
        question = case.question
        reached = escalation.rungs_reached(
            question, now=self.at, told_rungs=case.told_rungs, calendar=case.calendar
        )
        ways = [Because(principal, "asked") for principal in question.who]
        ways += [
            Because(principal, "rung", number)
            for number, (_, to) in enumerate(question.escalate[:reached], 1)
            for principal in to
        ]
        ways += [Because(to if ":" in to else f"user:{to}", "handed_over") for to in case.handed_to]
        if not ways:
            return (Because("", "everybody"),)
        if for_others:
            return tuple(dict.fromkeys(ways))
        mine = [way for way in ways if self.person in self._people((way.principal,))]
        return tuple(dict.fromkeys(map(self._with_deputy, mine or ways)))

    def _with_deputy(self, way: Because) -> Because:
        kind, _, name = way.principal.partition(":")
        is_other = kind == "user" and name != self.person and self.person in self._people((way.principal,))
        return way._replace(instead_of=name) if is_other else way

    def _commands(self, sighted: _Sighted) -> tuple[Command, ...]:
        """What the person may say; of what goes to others, everything."""
        number, asked = sighted.run.number, sighted.open
        if sighted.standing == "answered":
            return (Command("withdraw", f"tow withdraw {number} {shlex.quote(asked.path)}"),)
        return tuple(
            Command(choice, choices.command_of(number, asked.path, choice, asked.fields))
            for choice in asked.question.choices
            if sighted.standing != "held" or self._may(sighted.case, choice)
        )

    def _may(self, case: Case, says: str) -> bool:
        verdict = authority.judge(self.directory, case, by=f"user:{self.person}", says=says, at=self.at)
        return not isinstance(verdict, Deny)

    def _next_rung(self, case: Case, asked: OpenQuestion) -> Rung | None:
        """What the ladder does next: the first rung or reminder that is still to come."""
        question = case.question
        if not question.escalate and question.remind is None:
            return None
        coming = escalation.next_at(
            question,
            told_reminders=asked.told_reminders,
            told_rungs=asked.told_rungs,
            now=self.at,
            calendar=case.calendar,
        )
        if coming is None:
            return None
        due = escalation.due(
            question,
            told_reminders=asked.told_reminders,
            told_rungs=asked.told_rungs,
            now=coming,
            calendar=case.calendar,
        )
        return next((rung for rung in due if rung.kind != "expiry"), None)
