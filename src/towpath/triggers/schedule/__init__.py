"""When schedules come round: pure arithmetic on instants, time zones and the moment up to which everything is done."""

from towpath.triggers.schedule.cron import CronTimes
from towpath.triggers.schedule.due import (
    CATCH_UP_MAX,
    ON_TIME_SECONDS,
    Due,
    Tick,
    due,
    identity_of,
    upcoming,
)
from towpath.triggers.schedule.times import EveryTimes, Times, times_of

__all__ = [
    "CATCH_UP_MAX",
    "ON_TIME_SECONDS",
    "CronTimes",
    "Due",
    "EveryTimes",
    "Tick",
    "Times",
    "due",
    "identity_of",
    "times_of",
    "upcoming",
]
