"""Schedules agree with an independent program, cronsim, in every time zone.

What is interesting happens where the clocks change, so the quick tier compares the days around every change of ten years in some zones, the
odd ones always among them. The full tier (`--tier full`) compares all zones, and those whole ten years.
"""

from __future__ import annotations

import datetime
import itertools
import zoneinfo
from collections.abc import Iterator

from cronsim import CronSim

from tiers import Tier
from towpath.triggers.schedule import CronTimes

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MICROSECOND = datetime.timedelta(microseconds=1)
FIRST, LAST = 2017, 2027
ODD = (
    "Africa/Casablanca", "America/Havana", "America/Sao_Paulo", "America/Santiago", "America/St_Johns",
    "Antarctica/Casey", "Antarctica/Troll", "Asia/Beirut", "Asia/Gaza", "Asia/Kathmandu", "Asia/Tehran",
    "Australia/Lord_Howe", "Europe/Berlin", "Europe/Dublin", "Pacific/Apia", "Pacific/Chatham",
)  # fmt: skip
AROUND_CHANGES = ("30 2 * * *", "0 0 * * *", "*/20 * * * *", "15,45 0-3 * * *", "5 */1 * * *", "59 23 * * *")
OVER_YEARS = (
    "0 3 * * 1-5",
    "30 1 L * *",
    "15 0 LW * *",
    "0 12 * * 5#2",
    "45 23 * * 0L",
    "0 0 13 * 5",
    "0 2 29 2 *",
)

ORACLE_ERRORS = {("5 */1 * * *", "Asia/Pyongyang", "2018-05-04")}
"""Where the oracle is wrong: it goes an hour ahead over a jump of half an hour, and so past a minute that there was."""


def zones() -> list[str]:
    """All zones of the database, by name."""
    return sorted(zoneinfo.available_timezones() - {"Factory", "localtime"})


def some_zones() -> list[str]:
    """The odd ones, and some more at equal distances."""
    others = sorted(set(zones()) - set(ODD))
    return [*ODD, *others[:: len(others) // 8]]


def changes(zone: zoneinfo.ZoneInfo) -> Iterator[datetime.datetime]:
    """The days before which the offset was another one."""
    day = datetime.datetime(FIRST, 1, 1, tzinfo=datetime.UTC)
    while day.year < LAST:
        following = day + datetime.timedelta(days=1)
        if day.astimezone(zone).utcoffset() != following.astimezone(zone).utcoffset():
            yield day
        day = following


def by_oracle(
    cron: str, zone: zoneinfo.ZoneInfo, start: datetime.datetime, end: datetime.datetime
) -> list[int]:
    """What cronsim says, in instants; it gives an instant twice where several times fall together after a jump."""
    moments = (moment.astimezone(datetime.UTC) for moment in CronSim(cron, start.astimezone(zone)))
    instants = itertools.takewhile(lambda moment: moment < end, moments)
    return [instant for instant, _ in itertools.groupby((one - EPOCH) // MICROSECOND for one in instants)]


def by_us(cron: str, zone: str, start: datetime.datetime, end: datetime.datetime) -> list[int]:
    """What we say."""
    stop = (end - EPOCH) // MICROSECOND
    found = CronTimes(cron, zone).after((start - EPOCH) // MICROSECOND)
    return list(itertools.takewhile(lambda instant: instant < stop, found))


def test_schedules_agree_around_every_change_of_the_clocks(tier: Tier) -> None:
    """In the days around a change of the clocks, no start is missing and none is there twice."""
    wrong = []
    compared = 0
    for name in zones() if tier is not Tier.QUICK else some_zones():
        zone = zoneinfo.ZoneInfo(name)
        for change in changes(zone):
            start, end = change - datetime.timedelta(days=1), change + datetime.timedelta(days=2)
            for cron in AROUND_CHANGES:
                expected = by_oracle(cron, zone, start, end)
                compared += len(expected)
                is_known = (cron, name, f"{change:%Y-%m-%d}") in ORACLE_ERRORS
                if (expected != by_us(cron, name, start, end)) is not is_known:
                    wrong.append(f"{cron} in {name} around {change:%Y-%m-%d}")

    assert wrong == []
    assert compared > 10_000


def test_schedules_agree_over_ten_years(tier: Tier) -> None:
    """Days of the month and of the week are those of the oracle for ten years on end."""
    start, end = (datetime.datetime(year, 1, 1, tzinfo=datetime.UTC) for year in (FIRST, LAST))
    names = zones() if tier is not Tier.QUICK else ODD[::4]
    wrong = [
        f"{cron} in {name}"
        for name in names
        for cron in OVER_YEARS
        if by_oracle(cron, zoneinfo.ZoneInfo(name), start, end) != by_us(cron, name, start, end)
    ]

    assert wrong == []
