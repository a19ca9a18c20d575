"""Escalation: reminders, rungs and the expiry, as a function of the question and the time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from people_support import BERLIN, DAY, HOUR, MINUTE, at, calendar, local, question

from towpath.core.run import Micros, Question
from towpath.definition.project import Calendar
from towpath.people import calendars, escalation

OFFICE = calendar(time_zone=BERLIN, hours={"mon-fri": "09:00-17:00"}, holidays=["2026-11-24"])
LEADS, PLATFORM = ("group:leads",), ("oncall:platform",)
MANAGERS = ("group:managers",)


def told(rungs: tuple[escalation.Rung, ...]) -> list[tuple[str, str, int]]:
    """Rungs as a table has them: when in Berlin, what, which."""
    return [(f"{local(rung.at, BERLIN):%a %d %H:%M}", rung.kind, rung.number) for rung in rungs]


LADDERS: dict[str, tuple[dict[str, Any], Calendar | None, list[tuple[str, str, int]]]] = {
    "nothing": ({}, None, []),
    "the example of the language": (
        {"answer_within": 4 * HOUR, "escalate": ((30 * MINUTE, LEADS), (2 * HOUR, PLATFORM)), "remind": HOUR},
        None,
        [
            ("Fri 20 16:30", "rung", 1),
            ("Fri 20 17:00", "reminder", 1),
            ("Fri 20 18:00", "rung", 2),
            ("Fri 20 18:00", "reminder", 2),
            ("Fri 20 19:00", "reminder", 3),
            ("Fri 20 20:00", "expiry", 1),
        ],
    ),
    "the same in office hours": (
        {"answer_within": 4 * HOUR, "escalate": ((30 * MINUTE, LEADS), (2 * HOUR, PLATFORM)), "remind": HOUR},
        OFFICE,
        [
            ("Fri 20 16:30", "rung", 1),
            ("Mon 23 09:00", "reminder", 1),  # an hour after the question is closing time: told when it opens
            ("Mon 23 10:00", "rung", 2),
            ("Mon 23 10:00", "reminder", 2),
            ("Mon 23 11:00", "reminder", 3),
            ("Mon 23 12:00", "expiry", 1),
        ],
    ),
    "an expiry at closing time comes then": (
        {"answer_within": HOUR, "escalate": ((HOUR, LEADS),), "remind": HOUR},
        OFFICE,
        [("Fri 20 17:00", "expiry", 1)],
    ),
    "over a weekend and a holiday": (
        {"answer_within": 10 * HOUR, "remind": 4 * HOUR},
        OFFICE,
        [("Mon 23 12:00", "reminder", 1), ("Mon 23 16:00", "reminder", 2), ("Wed 25 10:00", "expiry", 1)],
    ),
    "a lower rung that is written later is not told before": (
        {"escalate": ((2 * HOUR, PLATFORM), (HOUR, LEADS))},
        None,
        [("Fri 20 18:00", "rung", 1), ("Fri 20 18:00", "rung", 2)],
    ),
    "nothing after the expiry": (
        {"answer_within": HOUR, "escalate": ((2 * HOUR, LEADS),), "remind": 2 * HOUR},
        None,
        [("Fri 20 17:00", "expiry", 1)],
    ),
    "an expiry of an old journal, which has the instant only": (
        {"due": at("2026-11-20 16:20")},
        None,
        [("Fri 20 16:20", "expiry", 1)],
    ),
    "a calendar that never opens": (
        {"answer_within": HOUR, "escalate": ((HOUR, LEADS),), "remind": HOUR},
        calendar(freezes=[{"from": "2026-01-01", "until": "9999-12-31"}]),
        [],
    ),
}


@pytest.mark.parametrize(("keys", "kept", "expected"), LADDERS.values(), ids=LADDERS.keys())
def test_the_ladder(
    keys: dict[str, Any], kept: Calendar | None, expected: list[tuple[str, str, int]]
) -> None:
    """A ladder asked on Friday at 16:00 has these steps, at these times, in this order."""
    asked = question(asked_at=at("2026-11-20 16:00"), **keys)

    assert expected == told(escalation.ladder(asked, kept))


def test_whom_the_steps_are_for() -> None:
    """A rung tells its own people; reminders and the expiry go to everybody who was asked by then, each once."""
    asked = question(
        asked_at=0, answer_within=4 * HOUR, remind=HOUR, escalate=((90 * MINUTE, LEADS), (3 * HOUR, MANAGERS))
    )

    assert [(rung.kind, rung.to) for rung in escalation.ladder(asked)] == [
        ("reminder", MANAGERS),
        ("rung", LEADS),
        ("reminder", MANAGERS + LEADS),
        ("rung", MANAGERS),
        ("reminder", MANAGERS + LEADS),
        ("expiry", MANAGERS + LEADS),
    ]


def test_a_ladder_without_end_is_shown_in_part() -> None:
    """Reminders without an expiry are shown up to a limit, and told up to a higher one."""
    asked = question(asked_at=0, remind=DAY)
    last = escalation.REMINDERS_MAX

    assert len(escalation.ladder(asked)) == escalation.LADDER_REMINDERS_MAX
    assert last * DAY == escalation.next_at(asked, told_reminders=last - 1, told_rungs=0, now=0)
    assert escalation.next_at(asked, told_reminders=last, told_rungs=0, now=0) is None
    assert escalation.due(asked, told_reminders=last, told_rungs=0, now=10 * last * DAY) == ()


def test_reminders_keep_their_distance() -> None:
    """A distance of nothing is one of a minute: a slip in a file does not flood people."""
    asked = question(asked_at=0, remind=0, answer_within=3 * MINUTE)

    assert [rung.at for rung in escalation.ladder(asked)] == [MINUTE, 2 * MINUTE, 3 * MINUTE]


LATE = question(
    asked_at=at("2026-11-20 10:00"),
    answer_within=12 * HOUR,
    remind=HOUR,
    escalate=((2 * HOUR, LEADS), (4 * HOUR, PLATFORM)),
)


@pytest.mark.parametrize(
    ("now", "reminders", "rungs", "expected"),
    [
        ("2026-11-20 10:59", 0, 0, []),
        ("2026-11-20 11:00", 0, 0, [("reminder", 1)]),
        ("2026-11-20 11:59", 1, 0, []),
        ("2026-11-20 12:00", 1, 0, [("rung", 1), ("reminder", 2)]),
        ("2026-11-20 14:30", 0, 0, [("rung", 1), ("rung", 2), ("reminder", 4)]),  # four reminders are one
        ("2026-11-20 14:30", 4, 1, [("rung", 2)]),
        ("2026-11-20 14:30", 4, 2, []),
        ("2026-11-20 20:00", 10, 1, [("rung", 2)]),  # late for a person, but no calendar says so
        ("2026-11-20 22:00", 11, 2, [("expiry", 1)]),
        ("2026-11-25 12:00", 0, 0, [("rung", 1), ("rung", 2), ("expiry", 1)]),  # nobody is reminded any more
    ],
)
def test_what_is_due(now: str, reminders: int, rungs: int, expected: list[tuple[str, int]]) -> None:
    """Late or not, every rung is told, the newest reminder is told, and the expiry comes last."""
    found = escalation.due(LATE, told_reminders=reminders, told_rungs=rungs, now=at(now))

    assert expected == [(rung.kind, rung.number) for rung in found]


@pytest.mark.parametrize(
    ("now", "expected", "next_at"),
    [
        ("2026-11-20 16:59", [("rung", 1)], "2026-11-20 16:59"),
        ("2026-11-20 17:00", [], "2026-11-23 09:00"),
        ("2026-11-22 03:00", [], "2026-11-23 09:00"),
        ("2026-11-23 09:00", [("rung", 1)], "2026-11-23 09:00"),
    ],
)
def test_what_is_late_waits_for_the_opening(now: str, expected: list[tuple[str, int]], next_at: str) -> None:
    """A rung that was missed on Friday is told on Monday morning, not in the night."""
    asked = question(asked_at=at("2026-11-20 16:00"), escalate=((30 * MINUTE, LEADS),))
    arguments: dict[str, Any] = {"told_reminders": 0, "told_rungs": 0, "now": at(now), "calendar": OFFICE}

    assert expected == [(rung.kind, rung.number) for rung in escalation.due(asked, **arguments)]
    assert at(next_at) == escalation.next_at(asked, **arguments)


@pytest.mark.parametrize(
    ("now", "told_rungs", "expected"),
    [
        ("2026-11-20 11:59", 0, MANAGERS),
        ("2026-11-20 12:00", 0, MANAGERS + LEADS),
        ("2026-11-20 11:59", 1, MANAGERS + LEADS),
        ("2026-11-20 14:00", 0, MANAGERS + LEADS + PLATFORM),
    ],
)
def test_who_was_asked_by_then(now: str, told_rungs: int, expected: tuple[str, ...]) -> None:
    """A rung's people are asked from its time on, and when they were told, whatever the calendar says since."""
    assert expected == escalation.asked_by(LATE, now=at(now), told_rungs=told_rungs)


@pytest.mark.parametrize(
    ("keys", "kept", "expected"),
    [
        ({}, None, None),
        ({"answer_within": HOUR}, None, "2026-11-20 17:00"),
        ({"answer_within": 2 * HOUR}, OFFICE, "2026-11-23 10:00"),
        ({"due": at("2026-11-20 18:00")}, OFFICE, "2026-11-20 18:00"),
    ],
)
def test_when_silence_counts(keys: dict[str, Any], kept: Calendar | None, expected: str | None) -> None:
    """The expiry alone, for whoever shows how long there is to answer."""
    found = escalation.expires_at(question(asked_at=at("2026-11-20 16:00"), **keys), kept)

    assert (None if expected is None else at(expected)) == found


def drive(
    asked: Question, kept: calendars.AnyCalendar | None, moments: list[Micros]
) -> list[tuple[Micros, str, int]]:
    """What an engine tells that looks at these moments and remembers no more than two numbers."""
    reminders = rungs = 0
    kept = None if kept is None else calendars.timetable(kept)
    found: list[tuple[Micros, str, int]] = []
    for now in moments:
        for rung in escalation.due(asked, told_reminders=reminders, told_rungs=rungs, now=now, calendar=kept):
            found.append((now, rung.kind, rung.number))
            if rung.kind == "expiry":
                return found
            reminders = rung.number if rung.kind == "reminder" else reminders
            rungs = rung.number if rung.kind == "rung" else rungs
    return found


def test_three_days_of_silence_over_a_weekend() -> None:
    """Nobody answers from Friday on: what happens, happens in office hours, and then the expiry does."""
    asked = question(
        asked_at=at("2026-11-20 15:00"),
        answer_within=12 * HOUR,
        remind=4 * HOUR,
        escalate=((HOUR, LEADS), (6 * HOUR, PLATFORM)),
    )
    moments = [asked.asked_at + minute * MINUTE for minute in range(8 * 24 * 60)]
    found = drive(asked, OFFICE, moments)

    assert [(f"{local(now, BERLIN):%a %d %H:%M}", kind, number) for now, kind, number in found] == [
        ("Fri 20 16:00", "rung", 1),
        ("Mon 23 11:00", "reminder", 1),
        ("Mon 23 13:00", "rung", 2),
        ("Mon 23 15:00", "reminder", 2),
        ("Wed 25 11:00", "expiry", 1),  # Tuesday is a holiday
    ]


@st.composite
def questions(draw: st.DrawFn) -> tuple[Question, Calendar | None]:
    """A question with any ladder, asked at any minute of two weeks, with a calendar or without."""
    minutes = st.integers(1, 40 * 60).map(lambda count: count * MINUTE)
    asked = question(
        asked_at=at("2026-10-19 00:00") + draw(st.integers(0, 14 * 24 * 60)) * MINUTE,
        answer_within=draw(st.none() | minutes),
        remind=draw(st.none() | minutes),
        escalate=tuple((after, LEADS) for after in draw(st.lists(minutes, max_size=3))),
    )
    night = calendar(time_zone=BERLIN, hours={"sat, sun": "01:00-03:00", "mon-wed": "22:00-24:00"})
    return asked, draw(st.sampled_from([None, OFFICE, night]))


@settings(max_examples=40)
@given(questions())
def test_one_who_always_looks_tells_the_ladder(case: tuple[Question, Calendar | None]) -> None:
    """Looking every minute tells exactly the ladder, each step in its minute."""
    asked, kept = case
    moments = [asked.asked_at + minute * MINUTE for minute in range(2 * 24 * 60)]
    expected = [rung for rung in escalation.ladder(asked, kept) if rung.at <= moments[-1]]
    found = [step for step in drive(asked, kept, moments) if step[2] <= escalation.LADDER_REMINDERS_MAX]

    assert found == [(rung.at, rung.kind, rung.number) for rung in expected]


@settings(max_examples=200)
@given(questions(), st.lists(st.integers(0, 30 * 24 * 60), max_size=6))
def test_one_who_seldom_looks_loses_no_rung(case: tuple[Question, Calendar | None], looks: list[int]) -> None:
    """However seldom an engine looks, every rung is told once, in order and not early; and so is the expiry."""
    asked, kept = case
    end = asked.asked_at + 365 * DAY
    opens = end if kept is None else calendars.next_open(kept, end) or end
    moments = [*sorted(asked.asked_at + look * MINUTE for look in looks), opens]
    found = drive(asked, kept, moments)
    whole = escalation.ladder(asked, kept)

    told_rungs = [(kind, number) for _, kind, number in found if kind != "reminder"]
    assert [(rung.kind, rung.number) for rung in whole if rung.kind != "reminder"] == told_rungs
    times = {(rung.kind, rung.number): rung.at for rung in whole}
    assert all(now >= times.get((kind, number), now) for now, kind, number in found)
    reminders = [number for _, kind, number in found if kind == "reminder"]
    assert reminders == sorted(set(reminders))
    assert all(
        kept is None or kind == "expiry" or found[-1][1] == "expiry" or calendars.is_open(kept, now).is_open
        for now, kind, _ in found
    )


@settings(max_examples=200)
@given(questions(), st.integers(0, 3), st.integers(0, 3), st.integers(0, 20 * 24 * 60))
def test_the_next_moment_is_the_first_at_which_something_is_due(
    case: tuple[Question, Calendar | None], reminders: int, rungs: int, minutes: int
) -> None:
    """A timer set to the next moment finds something to do, and a moment earlier there was nothing."""
    asked, kept = case
    now = asked.asked_at + minutes * MINUTE
    state: dict[str, Any] = {"told_reminders": reminders, "told_rungs": rungs, "calendar": kept}
    found = escalation.next_at(asked, now=now, **state)

    if found is None:
        assert escalation.due(asked, now=now + 365 * DAY, **state) == ()
        return
    assert found >= now
    assert escalation.due(asked, now=found, **state) != ()
    earlier = [now, found - 1, (now + found) // 2]
    assert not any(escalation.due(asked, now=moment, **state) for moment in earlier if now <= moment < found)
