"""Schedules as events: each instant starts one run, whatever the clock, the process or the file does."""

from __future__ import annotations

import datetime
import json

import pytest
from inbox_support import World

from towpath.triggers.scheduler import Looked, Scheduler

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def at(text: str) -> int:
    """The instant of a time in UTC."""
    moment = datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)
    return (moment - EPOCH) // datetime.timedelta(microseconds=1)


@pytest.fixture
def world() -> World:
    """A world with one nightly schedule, at nine in the evening."""
    made = World()
    made.at = at("2026-11-20 21:00")
    made.project.add(
        "nightly",
        '- schedule: {cron: "0 3 * * *"}\n  inputs: {day: "${{ event.scheduled_at }}"}',
        inputs="inputs: {day: {}}\n",
    )
    return made


def scheduler(world: World) -> Scheduler:
    """A process that looks at the schedules."""
    return Scheduler(world.store.another().events, world.project, now=lambda: world.at)


async def days(world: World) -> list[str]:
    """The days for which runs were started, in order."""
    await world.decider.work()
    return [str(wanted.inputs["day"]) for wanted in world.runs.wanted]


async def test_a_start_that_is_due_starts_its_run(world: World) -> None:
    """Nothing before, one run at the moment, nothing after it; the next moment is told."""
    one = scheduler(world)
    assert one.look() == Looked(kept=0, missed=0, next_at=at("2026-11-21 03:00"))
    world.at = at("2026-11-21 02:59:59")
    assert one.look().kept == 0
    world.at = at("2026-11-21 03:00:01")
    assert one.look() == Looked(kept=1, missed=0, next_at=at("2026-11-22 03:00"))
    assert one.look().kept == 0

    assert await days(world) == ["2026-11-21T03:00:00Z"]
    payload = json.loads(world.store.events.payload(world.row().id))
    assert (payload["workflow"], payload["late_seconds"], payload["missed"]) == ("nightly", 1, 0)
    assert (world.row().title, world.row().way) == ("nightly at 2026-11-21T03:00:00Z", "local")


async def test_a_new_schedule_has_missed_nothing(world: World) -> None:
    """However old the times of a schedule are, it begins when it is first seen."""
    scheduler(world).look()
    scheduler(world).look()

    assert await days(world) == []


async def test_several_processes_start_one_run(world: World) -> None:
    """Whoever looks, and how often: one event for each instant."""
    processes = [scheduler(world) for _ in range(3)]
    for one in processes:
        one.look()
    world.at = at("2026-11-21 03:00")
    kept = [one.look().kept for one in processes]

    assert sum(kept) == 1
    assert await days(world) == ["2026-11-21T03:00:00Z"]


async def test_a_process_that_was_down_for_long_obeys_catch_up(world: World) -> None:
    """Four hundred days later, `catch_up: latest` gives one run, the last one, and says how many were let go."""
    scheduler(world).look()
    world.at += 400 * DAY
    looked = scheduler(world).look()

    assert (looked.kept, looked.missed) == (1, 399)
    assert await days(world) == ["2027-12-25T03:00:00Z"]


async def test_a_clock_that_jumps_repeats_nothing_and_skips_nothing(world: World) -> None:
    """Ten years ahead by mistake, and back again: each instant has at most one run, and the right ones come."""
    one = scheduler(world)
    one.look()
    world.at = at("2036-01-01 04:00")
    one.look()
    world.at = at("2026-11-21 02:00")
    one.look()
    for hour in range(48):
        world.at = at("2026-11-21 02:00") + hour * HOUR
        one.look()

    assert await days(world) == ["2036-01-01T03:00:00Z", "2026-11-21T03:00:00Z", "2026-11-22T03:00:00Z"]


@pytest.mark.parametrize("back", [1, 59, 3_600, 7_200])
async def test_a_clock_that_goes_back_over_a_start_starts_it_once(world: World, back: int) -> None:
    """A step back over an instant that has come, and forward over it again: still one run."""
    one = scheduler(world)
    one.look()
    for moment in (at("2026-11-21 03:00"), at("2026-11-21 03:00") - back * SECOND, at("2026-11-21 03:00:30")):
        world.at = moment
        one.look()
        one.look()

    assert await days(world) == ["2026-11-21T03:00:00Z"]


async def test_a_schedule_that_was_changed_begins_anew(world: World) -> None:
    """Other times are another schedule: it neither makes up for the old one nor repeats it."""
    one = scheduler(world)
    one.look()
    world.project.found.clear()
    world.project.add(
        "nightly",
        '- schedule: {cron: "30 2 * * *"}\n  inputs: {day: "${{ event.scheduled_at }}"}',
        inputs="inputs: {day: {}}\n",
    )
    world.at = at("2026-11-21 02:45")
    one.look()
    world.at = at("2026-11-22 02:45")
    one.look()

    assert await days(world) == ["2026-11-22T02:30:00Z"]


async def test_outside_of_its_calendar_a_schedule_rests(world: World) -> None:
    """While the calendar is closed the instants pass, and are not made up for."""
    world.project.add("office", "- schedule: {every: 1h, calendar: office, catch_up: all}")
    one = scheduler(world)
    one.look()
    world.project.open_hours = False
    world.at += 3 * HOUR
    assert one.look().kept == 0
    world.project.open_hours = True
    world.at += HOUR
    assert one.look().kept == 1
