"""Schedules: when they come round, what a change of the clocks does to them, and what becomes of what was missed."""

from __future__ import annotations

import datetime
import itertools
from typing import Any

import pytest

from towpath.definition.triggers import Schedule, Trigger, triggers_of
from towpath.triggers.schedule import CATCH_UP_MAX, CronTimes, EveryTimes, Tick, due, identity_of, upcoming

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
BERLIN = "Europe/Berlin"


def at(text: str) -> int:
    """The instant of a time in UTC."""
    return (datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC) - EPOCH) // datetime.timedelta(
        microseconds=1
    )


def said(instant: int) -> str:
    """An instant in UTC, to the second."""
    return f"{EPOCH + datetime.timedelta(microseconds=instant):%Y-%m-%d %H:%M:%S}".removesuffix(":00")


def always(_calendar: str, _at: int) -> bool:
    """A calendar that is always open."""
    return True


def schedule(**settings: Any) -> Schedule:
    """A schedule as the file says it."""
    return Schedule.model_validate(settings)


def look(done_until: str, now: str, **settings: Any) -> tuple[list[str], str, int]:
    """What is due, up to when all is done then, and what was let go."""
    found = due(
        schedule(**settings), workflow="nightly", done_until=at(done_until), now=at(now), is_open=always
    )
    return [said(tick.at) for tick in found.ticks], said(found.done_until), found.missed


CLOCKS = [
    # (cron, zone, from, the next instants in UTC): Berlin jumps from 02:00 to 03:00 at 01:00 UTC
    ("30 2 * * *", BERLIN, "2026-03-27 12:00", ["2026-03-28 01:30", "2026-03-29 01:00", "2026-03-30 00:30"]),
    ("15,45 2 * * *", BERLIN, "2026-03-29 00:00", ["2026-03-29 01:00", "2026-03-30 00:15"]),
    ("*/30 2 * * *", BERLIN, "2026-03-28 12:00", ["2026-03-30 00:00", "2026-03-30 00:30"]),
    ("0 * * * *", BERLIN, "2026-03-29 00:00", ["2026-03-29 01:00", "2026-03-29 02:00"]),
    # and goes back from 03:00 to 02:00 at 01:00 UTC
    ("30 2 * * *", BERLIN, "2026-10-24 12:00", ["2026-10-25 00:30", "2026-10-26 01:30"]),
    (
        "*/30 * * * *",
        BERLIN,
        "2026-10-25 00:00",
        ["2026-10-25 00:30", "2026-10-25 01:00", "2026-10-25 01:30"],
    ),
    ("0 2 * * *", BERLIN, "2026-10-24 12:00", ["2026-10-25 00:00", "2026-10-26 01:00"]),
    # half an hour, at midnight, and a whole day that never was
    ("15 2 * * *", "Australia/Lord_Howe", "2026-10-02 16:00", ["2026-10-03 15:30", "2026-10-04 15:15"]),
    ("0 0 * * *", "America/Santiago", "2026-09-05 12:00", ["2026-09-06 04:00", "2026-09-07 03:00"]),
    (
        "0 9 * * *",
        "Pacific/Apia",
        "2011-12-29 12:00",
        ["2011-12-29 19:00", "2011-12-30 10:00", "2011-12-30 19:00"],
    ),
    (
        "5 */1 * * *",
        "Asia/Pyongyang",
        "2018-05-04 14:00",
        ["2018-05-04 14:35", "2018-05-04 15:05", "2018-05-04 16:05"],
    ),
    ("0 0 29 2 *", "UTC", "2097-01-01", ["2104-02-29 00:00"]),
    ("0 0 * * 5#5", "UTC", "2026-11-01", ["2027-01-29 00:00"]),
    ("0 0 LW * *", "UTC", "2026-01-01", ["2026-01-30 00:00", "2026-02-27 00:00"]),
    ("0 0 13 * 5", "UTC", "2026-11-01", ["2026-11-06 00:00", "2026-11-13 00:00", "2026-11-20 00:00"]),
]


@pytest.mark.parametrize(("cron", "zone", "start", "expected"), CLOCKS)
def test_the_change_of_the_clocks_follows_the_written_rule(
    cron: str, zone: str, start: str, expected: list[str]
) -> None:
    """A time of the day happens once, after a jump or the first of two; what is said by so often counts time."""
    found = itertools.islice(CronTimes(cron, zone).after(at(start)), len(expected))

    assert expected == [said(instant) for instant in found]


@pytest.mark.parametrize(("cron", "zone", "start", "_"), CLOCKS)
def test_looking_back_finds_what_looking_ahead_found(cron: str, zone: str, start: str, _: list[str]) -> None:
    """The instants up to a point are those after an earlier one, the other way round."""
    ahead = list(itertools.islice(CronTimes(cron, zone).after(at(start)), 30))
    back = itertools.takewhile(lambda instant: instant > at(start), CronTimes(cron, zone).until(ahead[-1]))

    assert ahead == list(back)[::-1]


def test_a_day_that_never_comes_ends() -> None:
    """Looking for a day that is in no calendar gives up instead of looking for ever."""
    assert list(CronTimes("0 0 31 2 */7", "UTC").until(at("2026-01-01"))) == []
    assert list(CronTimes("0 0 31 2 */7", "UTC").after(at("2026-01-01"))) == []


def test_every_counts_from_one_point_for_all() -> None:
    """`every` gives the same instants on every machine: multiples since 1970."""
    times = EveryTimes(interval=90 * MINUTE)

    assert [said(one) for one in itertools.islice(times.after(at("2026-01-01 00:00")), 2)] == [
        "2026-01-01 01:30",
        "2026-01-01 03:00",
    ]
    assert next(times.until(at("2026-01-01 01:30"))) == at("2026-01-01 01:30")


@pytest.mark.parametrize(
    ("settings", "done_until", "now", "expected"),
    [
        # nothing is due, one is due, one is late but on time
        ({"every": "1h"}, "2026-01-01 10:00", "2026-01-01 10:59", ([], "2026-01-01 10:00", 0)),
        ({"every": "1h"}, "2026-01-01 10:00", "2026-01-01 11:00", (["2026-01-01 11:00"], "2026-01-01 11:00", 0)),
        (
            {"every": "1h", "catch_up": "none"},
            "2026-01-01 10:00",
            "2026-01-01 11:01",
            (["2026-01-01 11:00"], "2026-01-01 11:00", 0),
        ),
        # down for three hours and a half
        ({"every": "1h", "catch_up": "none"}, "2026-01-01 10:00", "2026-01-01 13:30", ([], "2026-01-01 13:00", 3)),
        (
            {"every": "1h", "catch_up": "latest"},
            "2026-01-01 10:00",
            "2026-01-01 13:30",
            (["2026-01-01 13:00"], "2026-01-01 13:00", 2),
        ),
        (
            {"every": "1h", "catch_up": "all"},
            "2026-01-01 10:00",
            "2026-01-01 13:30",
            (["2026-01-01 11:00", "2026-01-01 12:00", "2026-01-01 13:00"], "2026-01-01 13:00", 0),
        ),
        # down for 400 days
        (
            {"cron": "0 3 * * *", "catch_up": "latest"},
            "2025-01-01 03:00",
            "2026-02-05 12:00",
            (["2026-02-05 03:00"], "2026-02-05 03:00", 399),
        ),
    ],
)  # fmt: skip
def test_what_was_missed_is_made_up_for_as_the_file_says(
    settings: dict[str, Any], done_until: str, now: str, expected: tuple[list[str], str, int]
) -> None:
    """`catch_up` decides: nothing, the last one, or all; what is a little late is not missed."""
    assert expected == look(done_until, now, **settings)


def test_catching_up_has_a_limit() -> None:
    """However long nobody looked, `catch_up: all` makes up for the latest hundred and no more."""
    ticks, done_until, missed = look("2025-01-01 00:00", "2026-02-05 00:00", every="1h", catch_up="all")

    assert (len(ticks), ticks[-1], done_until) == (CATCH_UP_MAX, "2026-02-05 00:00", "2026-02-05 00:00")
    assert missed == 400 * 24 - CATCH_UP_MAX


def test_a_clock_that_goes_back_repeats_nothing() -> None:
    """Between the wrong time and the right one nothing is due; the mark comes back, so nothing is silent for years."""
    each = schedule(every="1h")
    found = due(each, workflow="a", done_until=at("2036-01-01"), now=at("2026-01-01 10:30"), is_open=always)

    assert (found.ticks, found.done_until, found.is_clock_back) == ((), at("2026-01-01 10:30"), True)


@pytest.mark.parametrize("step", [1, 7, 61, 3_600, 86_399])
def test_it_does_not_matter_how_often_one_looks(step: int) -> None:
    """Looking every second, or once a day, gives the same instants where everything is caught up with."""
    each = schedule(cron="*/20 1-3 * * *", timezone=BERLIN, catch_up="all", jitter="10m")
    start, end = at("2026-10-24 20:00"), at("2026-10-25 06:00") if step == 1 else at("2026-10-27 06:00")
    found: list[Tick] = []
    mark, now = start, start
    while now < end:
        now = min(end, now + step * 1_000_000)
        made = due(each, workflow="a", done_until=mark, now=now, is_open=always)
        found += made.ticks
        mark = made.done_until

    wanted = CronTimes("*/20 1-3 * * *", BERLIN).after(start)
    assert [tick.at for tick in found] == list(
        itertools.takewhile(lambda instant: instant <= found[-1].at, wanted)
    )
    assert end - found[-1].at < DAY


def test_jitter_is_the_same_every_time_and_another_for_each_workflow() -> None:
    """A start is moved by less than the jitter, always the same for one workflow and instant, and in order."""
    each = schedule(cron="0 * * * *", jitter="30m")
    start = at("2026-01-01 00:30")

    def moves(workflow: str) -> list[int]:
        ticks = upcoming(each, workflow=workflow, after=start, is_open=always)
        return [tick.due_at - tick.at for tick in itertools.islice(ticks, 20)]

    assert moves("a") == moves("a")
    assert moves("a") != moves("b")
    assert all(0 <= move < 30 * MINUTE for move in moves("a"))
    assert len(set(moves("a"))) > 10


def test_a_start_with_jitter_waits_for_its_own_moment() -> None:
    """Nothing starts before its moved instant, and everything up to then has started once it has passed."""
    each = schedule(cron="0 * * * *", jitter="30m")
    (tick,) = itertools.islice(upcoming(each, workflow="a", after=at("2026-01-01"), is_open=always), 1)

    def ticks(now: int) -> tuple[Tick, ...]:
        return due(each, workflow="a", done_until=at("2026-01-01"), now=now, is_open=always).ticks

    assert ticks(tick.due_at - 1) == ()
    assert ticks(tick.due_at) == (tick,)


def test_what_is_outside_of_the_calendars_hours_is_left_out() -> None:
    """A start outside of the hours does not happen, neither then nor later."""

    def is_open(calendar: str, instant: int) -> bool:
        assert calendar == "office"
        return instant % DAY >= 9 * HOUR

    each = schedule(every="6h", calendar="office", catch_up="all")
    found = due(each, workflow="a", done_until=at("2026-01-01"), now=at("2026-01-02 07:00"), is_open=is_open)

    assert [said(tick.at) for tick in found.ticks] == ["2026-01-01 12:00", "2026-01-01 18:00"]
    assert (said(found.done_until), found.missed) == ("2026-01-02 06:00", 3)


def test_a_schedule_is_known_by_what_it_starts_and_when() -> None:
    """Moving an entry changes nothing; other times or other inputs are another schedule."""

    def identity(position: int, **entry: Any) -> str:
        on: list[object] = ["manual"] * position
        found: tuple[Trigger, ...] = triggers_of((*on, {"schedule": {"cron": "0 3 * * *"}, **entry}))
        return identity_of(found[position])

    assert identity(0) == identity(3)
    assert identity(0) != identity(0, inputs={"full": True})
    assert identity(0) != identity(0, schedule={"cron": "0 4 * * *"})
