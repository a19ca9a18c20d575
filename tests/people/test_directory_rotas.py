"""Rotas: whose turn it is, through weeks, overrides, absences and changes of the clocks."""

from __future__ import annotations

import datetime
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from people_support import BERLIN, DAY, HOUR, MINUTE, ZONES, at, changes_of_clocks, directory, local

from towpath.core.run import Micros
from towpath.people import Directory, rotas
from towpath.people import directory as directories

USERS: dict[str, Any] = {
    "anna": {},
    "ben": {},
    "carl": {"absences": [{"from": "2026-11-25", "until": "2026-11-26", "deputy": "user:ben"}]},
}


def rota(*rotations: dict[str, Any], **keys: Any) -> Directory:
    """A directory with the rota `r`, in Berlin."""
    filled = [{"people": ["user:anna", "user:ben", "user:carl"], **each} for each in rotations]
    made = {"time_zone": BERLIN, "rotations": filled, **keys}
    return directory({"users": USERS, "on_call": {"r": made}})


def holder(made: Directory, moment: str, *, fold: int = 0) -> str:
    """Who has the turn: a name, or nothing."""
    return directories.listed(made.who_is_on_call("r", at(moment, fold=fold)).people)


@pytest.mark.parametrize(
    ("rotation", "holders"),
    [
        (  # a week each, from Monday to Monday
            {"start": "2026-11-02"},
            {
                "2026-11-02 08:59": "",
                "2026-11-02 09:00": "anna",
                "2026-11-09 08:59": "anna",
                "2026-11-09 09:00": "ben",
                "2026-11-16 09:00": "carl",
                "2026-11-23 09:00": "anna",
            },
        ),
        (  # it starts on a Wednesday and hands over on Mondays: a short first turn
            {"start": "2026-11-04"},
            {"2026-11-04 08:59": "", "2026-11-04 09:00": "anna", "2026-11-09 09:00": "ben"},
        ),
        (  # a day each, from Wednesday on: the first turn is the first person's
            {"start": "2026-11-04", "every": "1d"},
            {"2026-11-04 09:00": "anna", "2026-11-05 09:00": "ben", "2026-11-09 09:00": "carl"},
        ),
        (  # handing over on no certain day of the week
            {"start": "2026-11-04", "handover": "18:00"},
            {"2026-11-04 17:59": "", "2026-11-04 18:00": "anna", "2026-11-11 18:00": "ben"},
        ),
        (  # twelve hours each
            {"start": "2026-11-02", "every": "12h", "handover": "09:00"},
            {"2026-11-02 09:00": "anna", "2026-11-02 21:00": "ben", "2026-11-03 09:00": "carl"},
        ),
        (  # counted in office hours only, while turns go by
            {"start": "2026-11-02", "days": "mon-fri", "hours": "09:00-17:00"},
            {
                "2026-11-02 09:00": "anna",
                "2026-11-02 17:00": "",
                "2026-11-07 12:00": "",
                "2026-11-10 16:59": "ben",
            },
        ),
        (  # a turn of no length is a turn of a minute
            {"start": "2026-11-02", "every": "0s", "handover": "09:00"},
            {"2026-11-02 09:00": "anna", "2026-11-02 09:01": "ben", "2026-11-02 09:02": "carl"},
        ),
        (  # where no start is said, turns are counted from Monday, 1 January 2024
            {},
            {"2023-12-31 12:00": "", "2024-01-01 09:00": "anna", "2024-01-08 09:00": "ben"},
        ),
    ],
)
def test_whose_turn_it_is(rotation: dict[str, Any], holders: dict[str, str]) -> None:
    """Turns follow each other at the handover, in the order of the file."""
    made = rota(rotation)

    assert holders == {moment: holder(made, moment) for moment in holders}


def test_a_handover_keeps_its_time_of_day() -> None:
    """A week in which the clocks change hands over at 09:00 like any other."""
    made = rota({"start": "2026-03-23"})

    assert [holder(made, f"2026-03-30 {clock}") for clock in ("08:59", "09:00")] == ["anna", "ben"]


def test_a_handover_that_the_clocks_jump_over() -> None:
    """A handover in the hour that does not exist happens when the clocks jump."""
    made = rota({"start": "2026-03-27", "every": "1d", "handover": "02:30"})
    jump = at("2026-03-29 01:00", "UTC")

    assert [made.who_is_on_call("r", moment).principal for moment in (jump - MINUTE, jump)] == [
        "user:ben",
        "user:carl",
    ]


def test_a_handover_that_comes_twice_happens_once() -> None:
    """In the hour that comes twice the first time counts; nobody gets the turn back when the clocks go back."""
    made = rota({"start": "2026-10-24", "every": "1d", "handover": "02:30"})
    moments = [("02:29", 0), ("02:30", 0), ("02:10", 1), ("02:30", 1), ("03:30", 0)]

    assert [holder(made, f"2026-10-25 {clock}", fold=fold) for clock, fold in moments] == [
        "anna",
        "ben",
        "ben",
        "ben",
        "ben",
    ]


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-24 12:00", ("anna", "rotation 1")),
        ("2026-11-24 20:00", ("ben", "rotation 2")),
        ("2026-11-25 20:00", ("ben", "an override")),  # carl, who is away; ben stands in
        ("2026-11-27 12:00", ("carl", "an override")),
        ("2026-11-28 00:00", ("anna", "an override")),  # the later override counts
        ("2026-11-29 00:00", ("ben", "rotation 2")),
    ],
)
def test_what_counts_of_several(moment: str, expected: tuple[str, str]) -> None:
    """An override goes before rotations, and of several the last one that counts."""
    made = rota(
        {"people": ["user:anna"], "start": "2026-11-02"},
        {"people": ["user:ben"], "start": "2026-11-02", "hours": "00:00-08:00, 18:00-24:00"},
        overrides=[
            {"from": "2026-11-25", "until": "2026-11-28", "who": "user:carl"},
            {"from": "2026-11-28", "until": "2026-11-28", "who": "user:anna"},
        ],
    )
    duty = made.who_is_on_call("r", at(moment))

    assert expected == (directories.listed(duty.people), duty.because)


def test_shifts_are_told_without_gaps() -> None:
    """Shifts join what is alike and part at handovers, at overrides, and when somebody leaves or comes back."""
    made = rota(
        {"start": "2026-11-09"},
        overrides=[{"from": "2026-11-17T12:00", "until": "2026-11-17T14:00", "who": "user:anna"}],
    )
    shifts = made.shifts("r", at("2026-11-08 00:00"), at("2026-11-29 00:00"))

    assert [
        (
            f"{local(each.start, BERLIN):%Y-%m-%d %H:%M}",
            directories.listed(each.duty.people),
            each.duty.because,
        )
        for each in shifts
    ] == [
        ("2026-11-08 00:00", "", ""),
        ("2026-11-09 09:00", "anna", "rotation 1"),
        ("2026-11-16 09:00", "ben", "rotation 1"),
        ("2026-11-17 12:00", "anna", "an override"),
        ("2026-11-17 14:00", "ben", "rotation 1"),
        ("2026-11-23 09:00", "carl", "rotation 1"),
        ("2026-11-25 01:00", "ben", "rotation 1"),  # carl lives by UTC and is away
        ("2026-11-27 01:00", "carl", "rotation 1"),
    ]
    assert at("2026-11-29 00:00") == shifts[-1].end


def test_a_rota_in_a_rota() -> None:
    """A turn may belong to another rota, whose handovers part the shifts as well."""
    made = directory(
        {
            "users": USERS,
            "on_call": {
                "inner": {
                    "rotations": [{"people": ["user:anna", "user:ben"], "every": "1d", "handover": "00:00"}]
                },
                "r": {"rotations": [{"people": ["oncall:inner"]}]},
            },
        }
    )
    start = at("2026-11-23 00:00", "UTC")

    assert sorted(
        (directories.listed(each.duty.people), each.end - each.start)
        for each in made.shifts("r", start, start + 2 * DAY)
    ) == [("anna", DAY), ("ben", DAY)]


def test_a_rota_of_itself_has_nobody() -> None:
    """A rota that hands over to itself ends the search instead of going round."""
    made = directory({"users": USERS, "on_call": {"r": {"rotations": [{"people": ["oncall:r"]}]}}})

    assert frozenset() == made.who_is_on_call("r", at("2026-11-23 12:00")).people


def test_shifts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One answer holds a limited number of shifts; asking again from its end goes on without a gap."""
    made = rota({"every": "1h", "handover": "00:00"})
    monkeypatch.setattr(directories, "SHIFTS_MAX", 5)
    start = at("2026-11-24 00:00")
    first = made.shifts("r", start, start + DAY)
    second = made.shifts("r", first[-1].end, start + DAY)

    assert (5, 5 * HOUR, first[-1].end) == (len(first), first[-1].end - start, second[0].start)


# --- against the clock --------------------------------------------------------------------------------------


def slow_turn(first: datetime.datetime, every: Micros, zone: str, instant: Micros) -> int:
    """How many handovers have happened by an instant, counted one by one on the wall clock.

    A handover has happened once the wall clock has shown its time, or has jumped over it.
    """
    turn = 0
    shown = max(
        local(instant - back * 10 * MINUTE, zone) for back in range(30)
    )  # before the clocks went back
    while shown >= first + (turn + 1) * datetime.timedelta(microseconds=every):
        turn += 1
    return turn


@settings(max_examples=300)
@given(
    st.sampled_from(ZONES),
    st.integers(2025, 2031),
    st.sampled_from([DAY, 7 * DAY, 12 * HOUR, 8 * HOUR, HOUR, 90 * MINUTE]),
    st.integers(0, 23),
    st.sampled_from([0, 30]),
    st.integers(-36 * 6, 36 * 6),
)
def test_turns_agree_with_the_clock_on_the_wall(
    zone: str, year: int, every: Micros, hour: int, minute: int, tens: int
) -> None:
    """In every time zone, near every change of the clocks, the turn is the one that counting handovers gives."""
    changes = changes_of_clocks(zone, year)
    instant = (changes[0] + HOUR if changes else at(f"{year}-07-01 00:00", "UTC")) + tens * 10 * MINUTE
    first = datetime.datetime.combine(
        local(instant, zone).date(), datetime.time(hour, minute)
    ) - datetime.timedelta(days=8)
    people = ["user:anna", "user:ben", "user:carl"]
    rotation = {
        "people": people,
        "every": f"{every // MINUTE}m",
        "handover": f"{hour:02}:{minute:02}",
        "start": str(first.date()),
    }
    made = directory(
        {
            "users": {"anna": {}, "ben": {}, "carl": {}},
            "on_call": {"r": {"time_zone": zone, "rotations": [rotation]}},
        }
    )
    expected = people[slow_turn(first, every, zone, instant) % 3]

    assert expected == made.who_is_on_call("r", instant).principal


@st.composite
def rotas_with_everything(draw: st.DrawFn) -> Directory:
    """A rota with up to two rotations, an override and an absence, in any zone."""
    names = st.sampled_from(["user:anna", "user:ben", "user:carl"])
    rotation = st.fixed_dictionaries(
        {
            "people": st.lists(names, min_size=1, max_size=3),
            "every": st.sampled_from(["12h", "1d", "7d", "5h"]),
            "handover": st.sampled_from(["mon 09:00", "02:30", "wed 00:00", "sun 24:00"]),
            "start": st.sampled_from(["2026-10-19", "2026-10-24"]),
        },
        optional={
            "days": st.sampled_from(["mon-fri", "sat, sun"]),
            "hours": st.sampled_from(["02:00-03:00", "18:00-24:00"]),
        },
    )
    override = st.fixed_dictionaries(
        {
            "from": st.just("2026-10-24T02:15"),
            "until": st.sampled_from(["2026-10-25T02:45", "2026-10-26"]),
            "who": names,
        }
    )
    return directory(
        {
            "users": {**USERS, "ben": {"absences": [{"from": "2026-10-25", "until": "2026-10-25"}]}},
            "on_call": {
                "r": {
                    "time_zone": draw(
                        st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "UTC"])
                    ),
                    "rotations": draw(st.lists(rotation, min_size=1, max_size=2)),
                    "overrides": draw(st.lists(override, max_size=1)),
                }
            },
        }
    )


@settings(max_examples=60)
@given(rotas_with_everything())
def test_shifts_agree_with_asking_all_the_time(made: Directory) -> None:
    """The shifts of four days say at every moment what asking at that moment says, and neighbours differ."""
    start, end = at("2026-10-23 12:00"), at("2026-10-27 12:00")
    shifts = made.shifts("r", start, end)

    assert (start, end) == (shifts[0].start, shifts[-1].end)
    assert all(one.end == two.start and one.duty != two.duty for one, two in itertools.pairwise(shifts))
    for shift in shifts:
        moments = [*range(shift.start, shift.end, 15 * MINUTE), shift.end - 1]
        assert {shift.duty} == {made.who_is_on_call("r", moment) for moment in moments}


def test_the_next_change_is_always_later() -> None:
    """Looking for the next change moves on, also from the very moment of one."""
    made = rota({"every": "1h", "handover": "02:30", "hours": "02:00-03:00"})
    moment = at("2026-10-25 00:00")
    for _ in range(100):
        after = rotas.next_change(made.rotas["r"], moment)
        assert after > moment
        moment = after
