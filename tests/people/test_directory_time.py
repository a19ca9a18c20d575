"""Civil time: wall clocks and instants, also in nights in which the clocks change."""

from __future__ import annotations

import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from people_support import BERLIN, DAY, HOUR, ZONES, at, changes_of_clocks

from towpath.people import civil_time

ZONE = zoneinfo.ZoneInfo(BERLIN)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026-11-23T09:00", "2026-11-23 08:00", "2026-11-23 08:00"),
        (
            "2026-03-29T02:30",
            "2026-03-29 01:00",
            "2026-03-29 01:00",
        ),  # does not exist: the clocks jump at 01:00 UTC
        ("2026-10-25T02:30", "2026-10-25 00:30", "2026-10-25 01:30"),  # comes twice
        ("2026-11-23T09:00+00:00", "2026-11-23 09:00", "2026-11-23 09:00"),
        ("2026-11-23", "2026-11-22 23:00", "2026-11-23 23:00"),
        ("2026-03-29", "2026-03-28 23:00", "2026-03-29 22:00"),
    ],
)
def test_spans_begin_and_end_by_a_written_rule(text: str, first: str, last: str) -> None:
    """A wall time in the gap is the jump; one that comes twice begins the first and ends the last time."""
    found = civil_time.start_of(text, ZONE), civil_time.end_of(text, ZONE)

    assert (at(first, "UTC"), at(last, "UTC")) == found


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31"])
def test_the_ends_of_time_are_no_trouble(text: str) -> None:
    """A freeze until the end of all calendars does not overflow."""
    start, end = civil_time.start_of(text, ZONE), civil_time.end_of(text, ZONE)

    assert -civil_time.FOREVER < start < end < civil_time.FOREVER


@given(st.sampled_from(ZONES), st.integers(1990, 2035), st.integers(-2 * DAY, 2 * DAY))
def test_there_and_back_again(zone: str, year: int, distance: int) -> None:
    """The instant of what a wall clock shows is the instant at which it shows it: the first or the last such."""
    info = zoneinfo.ZoneInfo(zone)
    changes = changes_of_clocks(zone, year)
    instant = (changes[0] if changes else at(f"{year}-07-01 00:00", "UTC")) + distance
    wall = civil_time.wall_at(info, instant)
    first, last = civil_time.instant_of(info, wall), civil_time.instant_of(info, wall, is_last=True)

    assert instant in (first, last)
    assert (wall, wall) == (civil_time.wall_at(info, first), civil_time.wall_at(info, last))


@given(st.sampled_from(ZONES), st.integers(1990, 2035), st.integers(-DAY, DAY), st.integers(0, 3 * HOUR))
def test_later_on_the_wall_is_not_earlier_in_the_world(
    zone: str, year: int, distance: int, more: int
) -> None:
    """Of two wall times the later one never stands for an earlier instant, also in the gap."""
    info = zoneinfo.ZoneInfo(zone)
    changes = changes_of_clocks(zone, year)
    wall = civil_time.wall_at(info, changes[0] if changes else at(f"{year}-07-01 00:00", "UTC")) + distance

    assert civil_time.instant_of(info, wall) <= civil_time.instant_of(info, wall + more)


def test_the_change_of_the_clocks_is_found_to_the_second() -> None:
    """The instant from which the offset is another one is exact."""
    start = at("2026-10-25 00:00")

    assert at("2026-10-25 01:00", "UTC") == civil_time.offset_change(ZONE, start, start + DAY)
    assert civil_time.offset_change(ZONE, start - DAY, start) is None
