"""Escalation: when people are reminded, when more people are told, when silence counts. A pure function of time.

A question has a *ladder*: reminders at equal distances, the rungs of `escalate`, and at its end the expiry. All of
them are counted from the moment of the question. Nothing is stored but how many reminders and rungs were told;
everything else is worked out again whenever it is wanted, so a restart, a lost timer or a clock that was wrong
for a while neither loses a rung nor tells one twice.

The rules:

- **Hours.** With a calendar, distances are open time: two hours from Friday 16:00 are Monday 10:00. What falls on
  the moment of closing is told at the next opening, and nothing is told while the calendar is closed, late or
  not. Only the expiry comes exactly when its time has passed.
- **Rungs** are climbed from the bottom: one that is written below another is not told before it. Every one is told,
  however late. From its time on, the people of a rung may answer, told or not.
- **Reminders** that were missed together are told as one: the newest. They go to everybody who was asked by then.
- **Nothing comes after the expiry**, nor at the same moment. An answer ends the ladder, because the question is over.
- A ladder whose calendar never opens again stops there: what is never reached is not on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from towpath.core.run import Micros, Question
from towpath.people import calendars
from towpath.people.calendars import AnyCalendar
from towpath.people.civil_time import FOREVER, MINUTE

REMIND_MIN: Micros = MINUTE
"""The shortest distance between two reminders, in microseconds; a shorter one is taken as this long."""
REMINDERS_MAX = 1_000
"""Reminders of one question; after so many, people are left in peace."""
LADDER_REMINDERS_MAX = 100
"""Reminders that a whole ladder shows."""

RungKind: TypeAlias = Literal["rung", "reminder", "expiry"]
_ORDER: tuple[RungKind, ...] = ("rung", "reminder", "expiry")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One thing that a question's ladder does, when, and whom it is for."""

    at: Micros
    """The instant, in microseconds since the epoch."""
    kind: RungKind
    number: int
    """Which reminder or which rung of the file, from 1; 1 for the expiry."""
    to: tuple[str, ...]
    """A rung: who is told and may answer from then on. Otherwise: everybody who was asked by then."""


def ladder(question: Question, calendar: AnyCalendar | None = None) -> tuple[Rung, ...]:
    """The whole ladder of a question, in order, with its first `LADDER_REMINDERS_MAX` reminders.

    The *calendar* is the one that the question's `hours` name; without one, all time counts.
    """
    times = _Times.of(question, calendar)
    climbed = _rungs(times)
    reminders = [
        _reminder(question, climbed, number, at)
        for number, at in _first_reminders(times, LADDER_REMINDERS_MAX)
    ]
    return tuple(sorted([*climbed, *reminders, *_expiry(times, climbed)], key=_in_order))


def rungs(question: Question, calendar: AnyCalendar | None = None) -> tuple[Rung, ...]:
    """The rungs of a question that are reached before its expiry, without reminders."""
    return _rungs(_Times.of(question, calendar))


def due(
    question: Question,
    *,
    told_reminders: int,
    told_rungs: int,
    now: Micros,
    calendar: AnyCalendar | None = None,
) -> tuple[Rung, ...]:
    """What is due at *now* and was not told yet, in order; the expiry, when it has come, is the last.

    *told_reminders* and *told_rungs* are the numbers of the last ones that were told; 0 when none was.
    """
    times = _Times.of(question, calendar)
    has_expired = times.expiry <= now
    if not has_expired and not times.is_open(now):
        return ()
    climbed = _rungs(times)
    late = [rung for rung in climbed if rung.number > told_rungs and rung.at <= now]
    reminder = None if has_expired else _newest_reminder(times, climbed, now)
    if reminder is not None and reminder.number > told_reminders:
        late.append(reminder)
    return (*sorted(late, key=_in_order), *(_expiry(times, climbed) if has_expired else ()))


def next_at(
    question: Question,
    *,
    told_reminders: int,
    told_rungs: int,
    now: Micros,
    calendar: AnyCalendar | None = None,
) -> Micros | None:
    """The first instant, not before *now*, at which something is `due`; None where the ladder is at its end."""
    times = _Times.of(question, calendar)
    told = [rung.at for rung in _rungs(times) if rung.number > told_rungs]
    if (reminder := _reminder_at(times, told_reminders + 1)) is not None:
        told.append(reminder)
    first = min(told, default=FOREVER)
    if first <= now:
        first = times.opening(now)
    found = max(min(first, times.expiry), now)
    return None if found >= FOREVER else found


def expires_at(question: Question, calendar: AnyCalendar | None = None) -> Micros | None:
    """When the time to answer is over; None where silence never counts."""
    if question.answer_within is None:
        return question.due
    return _Times.of(question, calendar).after(question.answer_within)


def rungs_reached(
    question: Question, *, now: Micros, told_rungs: int = 0, calendar: AnyCalendar | None = None
) -> int:
    """How many rungs were climbed at *now*: those whose time has come, and those that were told already."""
    times = _Times.of(question, calendar)
    return max([told_rungs, *(rung.number for rung in _rungs(times) if rung.at <= now)])


def asked_by(
    question: Question, *, now: Micros, told_rungs: int = 0, calendar: AnyCalendar | None = None
) -> tuple[str, ...]:
    """The principals who were asked up to *now*: those of the question itself, and those of the rungs reached."""
    reached = rungs_reached(question, now=now, told_rungs=told_rungs, calendar=calendar)
    climbed = (principal for _, to in question.escalate[:reached] for principal in to)
    return tuple(dict.fromkeys((*question.who, *climbed)))


# --- times --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Times:
    """A question's distances, laid on the clock or on a calendar."""

    question: Question
    calendar: calendars.Timetable | None
    expiry: Micros
    """FOREVER where silence never counts."""

    @classmethod
    def of(cls, question: Question, calendar: AnyCalendar | None) -> _Times:
        table = None if calendar is None else calendars.timetable(calendar)
        bare = cls(question=question, calendar=table, expiry=FOREVER)
        expiry = question.due if question.answer_within is None else bare.after(question.answer_within)
        return bare if expiry is None else cls(question=question, calendar=table, expiry=expiry)

    def after(self, distance: Micros, *, since: Micros | None = None) -> Micros | None:
        """The instant at which so much time has passed since the question, or *since*; None for never."""
        start = self.question.asked_at if since is None else since
        return (
            start + distance
            if self.calendar is None
            else calendars.add_working(self.calendar, start, distance)
        )

    @property
    def horizon(self) -> Micros:
        """After it, a calendar is not looked at any more."""
        return FOREVER if self.calendar is None else self.question.asked_at + calendars.HORIZON

    def opening(self, at: Micros) -> Micros:
        """The first moment from *at* on at which people may be told something; FOREVER for never."""
        if self.calendar is None:
            return at
        opens = calendars.next_open(self.calendar, at)
        return FOREVER if opens is None else opens

    def is_open(self, at: Micros) -> bool:
        """Whether people may be told something."""
        return self.calendar is None or calendars.is_open(self.calendar, at).is_open

    def passed(self, now: Micros) -> Micros:
        """How much time has passed since the question."""
        asked_at = self.question.asked_at
        if self.calendar is None:
            return max(now - asked_at, 0)
        return calendars.open_time(self.calendar, asked_at, now)


def _in_order(rung: Rung) -> tuple[Micros, int, int]:
    return rung.at, _ORDER.index(rung.kind), rung.number


# --- rungs and the expiry -----------------------------------------------------------------------------------


def _rungs(times: _Times) -> tuple[Rung, ...]:
    """The rungs that are reached before the expiry; each one not before those below it."""
    found: list[Rung] = []
    distance = 0
    for number, (after, to) in enumerate(times.question.escalate, 1):
        distance = max(distance, after)
        reached = times.after(distance)
        at = FOREVER if reached is None else times.opening(reached)
        if at >= times.expiry:
            break
        found.append(Rung(at=at, kind="rung", number=number, to=to))
    return tuple(found)


def _expiry(times: _Times, climbed: Sequence[Rung]) -> tuple[Rung, ...]:
    if times.expiry >= FOREVER:
        return ()
    to = _asked_by(times.question, climbed, times.expiry)
    return (Rung(at=times.expiry, kind="expiry", number=1, to=to),)


def _asked_by(question: Question, climbed: Sequence[Rung], at: Micros) -> tuple[str, ...]:
    """Everybody who was asked up to an instant."""
    more = (principal for rung in climbed if rung.at <= at for principal in rung.to)
    return tuple(dict.fromkeys((*question.who, *more)))


# --- reminders ----------------------------------------------------------------------------------------------


def _distance(times: _Times) -> Micros | None:
    remind = times.question.remind
    return None if remind is None else max(remind, REMIND_MIN)


def _reminder(question: Question, climbed: Sequence[Rung], number: int, at: Micros) -> Rung:
    return Rung(at=at, kind="reminder", number=number, to=_asked_by(question, climbed, at))


def _reminder_at(times: _Times, number: int) -> Micros | None:
    """When that reminder is due; None where there is none."""
    distance = _distance(times)
    if distance is None or number > REMINDERS_MAX:
        return None
    reached = times.after(number * distance)
    if reached is None:
        return None
    at = times.opening(reached)
    return at if at < times.expiry else None


def _first_reminders(times: _Times, count_max: int) -> Iterator[tuple[int, Micros]]:
    """The first reminders and their instants, each found from the one before."""
    distance = _distance(times)
    reached: Micros | None = times.question.asked_at
    for number in range(1, count_max + 1):
        reached = None if distance is None else times.after(distance, since=reached)
        if reached is None or reached > times.horizon:
            return
        at = times.opening(reached)
        if at >= times.expiry:
            return
        yield number, at


def _newest_reminder(times: _Times, climbed: Sequence[Rung], now: Micros) -> Rung | None:
    """The last reminder that is due at *now*, at which the calendar is open."""
    distance = _distance(times)
    if distance is None:
        return None
    number = min(times.passed(now) // distance, REMINDERS_MAX)
    at = _reminder_at(times, number) if number else None
    return None if at is None else _reminder(times.question, climbed, number, at)
