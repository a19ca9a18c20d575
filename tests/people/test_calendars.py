"""Calendars: what is open, when it opens and closes, and how open time adds up, in every time zone."""

from __future__ import annotations

import bisect
import datetime
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from people_support import BERLIN, DAY, HOUR, MINUTE, ZONES, at, calendar, changes_of_clocks, local

from towpath.core.run import Micros
from towpath.definition.project import WEEKDAYS, Calendar
from towpath.people import calendars

OFFICE = calendar(
    time_zone=BERLIN,
    hours={"mon-fri": "09:00-12:00, 13:00-17:00"},
    holidays=["2026-12-25"],
    maintenance=[{"from": "2026-11-28T22:00", "until": "2026-11-29T04:00", "title": "Patch night"}],
    freezes=[{"from": "2026-12-20", "until": "2027-01-02", "title": "Year end"}],
)


@pytest.mark.parametrize(
    ("moment", "is_open", "name"),
    [
        ("2026-11-23 08:59", False, "the hours mon-fri 09:00-12:00, 13:00-17:00"),
        ("2026-11-23 09:00", True, "the hours mon-fri 09:00-12:00, 13:00-17:00"),
        ("2026-11-23 12:00", False, "the hours mon-fri 09:00-12:00, 13:00-17:00"),
        ("2026-11-23 16:59:59", True, "the hours mon-fri 09:00-12:00, 13:00-17:00"),
        ("2026-11-23 17:00", False, "the hours mon-fri 09:00-12:00, 13:00-17:00"),
        ("2026-11-28 21:59", False, "the hours mon-fri 09:00-12:00, 13:00-17:00"),
        (
            "2026-11-28 22:00",
            True,
            "the maintenance 'Patch night' (2026-11-28T22:00 to 2026-11-29T04:00)",
        ),
        ("2026-11-29 04:00", False, "the hours mon-fri 09:00-12:00, 13:00-17:00"),
        ("2026-12-19 23:59", False, "the hours mon-fri 09:00-12:00, 13:00-17:00"),
        ("2026-12-21 10:00", False, "the freeze 'Year end' (2026-12-20 to 2027-01-02)"),
        ("2027-01-02 23:59:59", False, "the freeze 'Year end' (2026-12-20 to 2027-01-02)"),
        ("2027-01-03 00:00", False, "the hours mon-fri 09:00-12:00, 13:00-17:00"),
    ],
)
def test_the_entry_that_settles_it_is_named(moment: str, is_open: bool, name: str) -> None:
    """A calendar says whether it is open, and which of its lines says so; the last day of a freeze is in it."""
    opening = calendars.is_open(OFFICE, at(moment))

    assert (is_open, name) == (opening.is_open, opening.entry.name)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, (True, "always")),
        ({"hours": {"tue": "09:00-17:00"}}, (False, "hours")),
        ({"hours": {"mon": "09:00-17:00"}}, (True, "hours")),
        ({"hours": {"mon-fri": "09:00-17:00", "mon": "09:00-10:00"}}, (False, "hours")),
        ({"holidays": ["2026-11-23"]}, (False, "holiday")),
        ({"hours": {"mon": "09:00-17:00"}, "holidays": ["2026-11-23"]}, (False, "holiday")),
        ({"holidays": ["2026-11-23"], "maintenance": ["day"]}, (True, "maintenance")),
        ({"hours": {"tue": "09:00-17:00"}, "maintenance": ["day"]}, (True, "maintenance")),
        ({"maintenance": ["day"], "freezes": ["day"]}, (False, "freeze")),
        ({"freezes": ["day"]}, (False, "freeze")),
    ],
)
def test_what_goes_before_what(keys: dict[str, Any], expected: tuple[bool, str]) -> None:
    """A freeze goes before maintenance, that before holidays, they before hours; nothing said is open."""
    day = {"from": "2026-11-23", "until": "2026-11-23"}
    made = {key: [day] if value == ["day"] else value for key, value in keys.items()}
    opening = calendars.is_open(calendar(time_zone=BERLIN, **made), at("2026-11-23 12:00"))

    assert expected == (opening.is_open, opening.entry.kind)


@pytest.mark.parametrize(
    ("moment", "opens", "closes"),
    [
        ("2026-11-23 10:00", "2026-11-23 10:00", "2026-11-23 12:00"),
        ("2026-11-23 12:30", "2026-11-23 13:00", "2026-11-23 12:30"),
        ("2026-11-27 17:00", "2026-11-28 22:00", "2026-11-27 17:00"),
        ("2026-11-28 23:00", "2026-11-28 23:00", "2026-11-29 04:00"),
        ("2026-12-18 18:00", "2027-01-04 09:00", "2026-12-18 18:00"),
    ],
)
def test_the_next_opening_and_closing(moment: str, opens: str, closes: str) -> None:
    """The next opening skips nights, weekends and freezes; what is so already is so now."""
    found = calendars.next_open(OFFICE, at(moment)), calendars.next_close(OFFICE, at(moment))

    assert (at(opens), at(closes)) == found


@pytest.mark.parametrize(
    ("moment", "hours", "expected"),
    [
        ("2026-11-23 09:00", 0, "2026-11-23 09:00"),
        ("2026-11-23 09:00", 3, "2026-11-23 12:00"),
        ("2026-11-23 09:00", 4, "2026-11-23 14:00"),
        ("2026-11-21 12:00", 1, "2026-11-23 10:00"),
        ("2026-11-27 16:00", 2, "2026-11-28 23:00"),
        ("2026-12-18 16:00", 2, "2027-01-04 10:00"),
    ],
)
def test_open_time_adds_up(moment: str, hours: int, expected: str) -> None:
    """A duration in open hours ends when so much open time has passed, at closing time where it fits exactly."""
    assert at(expected) == calendars.add_working(OFFICE, at(moment), hours * HOUR)


NEVER_OPEN = {
    "frozen for good": calendar(freezes=[{"from": "2000-01-01", "until": "9999-12-31"}]),
    "hours inside a freeze": calendar(
        hours={"mon-sun": "09:00-17:00"}, freezes=[{"from": "2026-01-01", "until": "2200-01-01"}]
    ),
}


@pytest.mark.parametrize("closed", NEVER_OPEN.values(), ids=NEVER_OPEN.keys())
def test_never_is_an_answer(closed: Calendar) -> None:
    """What does not open within ten years never opens, and the question for it comes back."""
    now = at("2026-11-23 09:00")

    assert (
        calendars.next_open(closed, now),
        calendars.add_working(closed, now, MINUTE),
        calendars.open_time(closed, now, now + DAY),
    ) == (None, None, 0)


@pytest.mark.parametrize("always", [calendar(), calendar(hours={"mon-sun": "00:00-24:00"})])
def test_what_never_closes(always: Calendar) -> None:
    """A calendar that never closes says so, and its open time is all time."""
    now = at("2026-11-23 09:00")

    assert (None, now + 100 * DAY) == (
        calendars.next_close(always, now),
        calendars.add_working(always, now, 100 * DAY),
    )


def test_a_span_with_an_offset_is_that_instant() -> None:
    """A moment that names its own offset does not follow the calendar's time zone."""
    kept = calendar(
        time_zone=BERLIN, freezes=[{"from": "2026-11-23T12:00+00:00", "until": "2026-11-23T13:00+00:00"}]
    )
    moments = ["2026-11-23 12:59", "2026-11-23 13:00", "2026-11-23 13:59", "2026-11-23 14:00"]

    assert [calendars.freezes_at(kept, at(moment)) is not None for moment in moments] == [
        False,
        True,
        True,
        False,
    ]


def test_of_several_freezes_the_longest_is_told() -> None:
    """Where freezes overlap, the one that ends last is named: until then nothing opens."""
    kept = calendar(
        freezes=[
            {"from": "2026-11-01", "until": "2026-12-31", "title": "long"},
            {"from": "2026-11-20", "until": "2026-11-25", "title": "short"},
        ]
    )
    found = calendars.freezes_at(kept, at("2026-11-23 12:00", "UTC"))

    assert found is not None
    assert ("long", at("2027-01-01 00:00", "UTC")) == (found.title, found.end)


@pytest.mark.parametrize(
    ("day", "expected_hours"),
    [("2026-03-29", 1), ("2026-10-25", 3), ("2026-10-24", 2)],
)
def test_hours_in_the_night_in_which_the_clocks_change(day: str, expected_hours: int) -> None:
    """Hours that the clocks jump over do not come; hours that come twice count twice."""
    night = calendar(time_zone=BERLIN, hours={"sat, sun": "01:00-03:00"})
    start = at(f"{day} 00:00")

    assert expected_hours * HOUR == calendars.open_time(night, start, start + 12 * HOUR)


def test_a_day_that_a_zone_left_out_is_no_trouble() -> None:
    """Samoa had no 30 December 2011: hours of that day do not come, those of the days around do."""
    office = calendar(time_zone="Pacific/Apia", hours={"mon-sun": "09:00-17:00"})
    start = at("2011-12-29 17:00", "Pacific/Apia")

    assert at("2011-12-31 09:00", "Pacific/Apia") == calendars.next_open(office, start)
    assert calendars.open_time(office, start - 8 * HOUR, start + DAY) == 16 * HOUR


# --- against the clock, minute by minute --------------------------------------------------------------------

DATES = st.dates(datetime.date(2026, 1, 1), datetime.date(2027, 12, 31)).map(str)


@st.composite
def hours_texts(draw: st.DrawFn) -> str:
    """One or two spans of a day."""
    clocks = sorted(draw(st.sets(st.integers(0, 24 * 4), min_size=4, max_size=4)))
    spans = [clocks[:2], clocks[2:]][: draw(st.integers(1, 2))]
    return ", ".join("-".join(f"{clock // 4:02}:{clock % 4 * 15:02}" for clock in span) for span in spans)


@st.composite
def spans_around(draw: st.DrawFn, day: datetime.date) -> dict[str, str]:
    """A span of whole days near a day."""
    start = day + datetime.timedelta(days=draw(st.integers(-3, 3)))
    return {"from": str(start), "until": str(start + datetime.timedelta(days=draw(st.integers(0, 2))))}


@st.composite
def cases(draw: st.DrawFn) -> tuple[Calendar, Micros]:
    """A calendar of any time zone and an instant, mostly one near a change of its clocks."""
    zone = draw(st.sampled_from(ZONES))
    year = draw(st.integers(2024, 2031))
    changes = changes_of_clocks(zone, year)
    middle = draw(st.sampled_from(changes)) if changes else at(f"{year}-07-01 00:00", "UTC")
    start = middle - draw(st.integers(0, 2 * 24 * 60)) * MINUTE
    day = local(start, zone).date()
    keys = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "hours": st.dictionaries(
                    st.sampled_from([*WEEKDAYS, "mon-fri", "sat, sun", "fri-mon"]), hours_texts(), max_size=3
                ),
                "holidays": st.lists(
                    st.integers(-1, 3).map(lambda days: str(day + datetime.timedelta(days=days))), max_size=2
                ),
                "maintenance": st.lists(spans_around(day), max_size=2),
                "freezes": st.lists(spans_around(day), max_size=1),
            },
        )
    )
    return calendar(time_zone=zone, **keys), start


def oracle(kept: Calendar, instant: Micros) -> bool:
    """Whether a calendar is open, told slowly and from the wall clock alone."""
    shown = local(instant, kept.time_zone)
    today = str(shown.date())
    if any(span.from_ <= today <= span.until for span in kept.freezes):
        return False
    if any(span.from_ <= today <= span.until for span in kept.maintenance):
        return True
    if today in kept.holidays:
        return False
    if not kept.hours:
        return True
    said = [text for days, text in kept.hours.items() if shown.weekday() in WEEK[days]]
    clock = f"{shown:%H:%M}"
    spans = said[-1].split(", ") if said else []
    return any(span[:5] <= clock < span[6:] for span in spans)


WEEK = {
    **{day: {number} for number, day in enumerate(WEEKDAYS)},
    "mon-fri": {0, 1, 2, 3, 4},
    "sat, sun": {5, 6},
    "fri-mon": {4, 5, 6, 0},
}
MINUTES = 3 * 24 * 60


@settings(max_examples=150)
@given(cases(), st.integers(0, 24 * 60))
def test_arithmetic_agrees_with_the_clock_on_the_wall(case: tuple[Calendar, Micros], minutes: int) -> None:
    """Opening, closing, adding and measuring agree with a look at the clock in every minute of three days."""
    kept, start = case
    looks = [oracle(kept, start + minute * MINUTE) for minute in range(MINUTES)]
    end = start + MINUTES * MINUTE

    told = [False] * MINUTES
    for piece in calendars.pieces(kept, start, end):
        for minute in range((piece.start - start) // MINUTE, (piece.end - start) // MINUTE):
            told[minute] = piece.is_open
    assert looks == told
    assert sum(looks) * MINUTE == calendars.open_time(kept, start, end)
    for state, found in (
        (True, calendars.next_open(kept, start)),
        (False, calendars.next_close(kept, start)),
    ):
        expected = start + looks.index(state) * MINUTE if state in looks else None
        assert expected == found or (expected is None and (found is None or found >= end))
    sums = [0, *itertools.accumulate(looks)]
    if sums[-1] >= minutes:
        enough = bisect.bisect_left(sums, minutes)
        assert start + enough * MINUTE == calendars.add_working(kept, start, minutes * MINUTE)


@settings(max_examples=150)
@given(cases(), st.integers(0, 40 * 60), st.integers(0, 40 * 60))
def test_durations_can_be_added_one_after_the_other(
    case: tuple[Calendar, Micros], first: int, second: int
) -> None:
    """Adding two durations one after the other is adding their sum, and what was added is what has passed."""
    kept, start = case
    once = calendars.add_working(kept, start, first * MINUTE)
    whole = calendars.add_working(kept, start, (first + second) * MINUTE)
    if once is not None and whole is not None:
        assert whole == calendars.add_working(kept, once, second * MINUTE)
        assert (first + second) * MINUTE == calendars.open_time(kept, start, whole)


@settings(max_examples=100)
@given(cases(), st.integers(0, 60 * 24 * 60), st.integers(-40, 40))
def test_whole_weeks_are_counted_like_days(case: tuple[Calendar, Micros], minutes: int, days: int) -> None:
    """Counting in whole weeks, where nothing special is near, gives what counting piece by piece gives."""
    kept, near = case
    start = near + days * DAY
    end = start + minutes * MINUTE
    passed = sum(piece.end - piece.start for piece in calendars.pieces(kept, start, end) if piece.is_open)

    assert passed == calendars.open_time(kept, start, end)
    if passed:
        reached = calendars.add_working(kept, start, passed)
        assert reached is not None
        assert reached <= end
        assert passed == calendars.open_time(kept, start, reached)
        assert passed > calendars.open_time(kept, start, reached - 1)
