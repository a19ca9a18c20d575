"""What schedules have ahead, of many at once."""

from __future__ import annotations

import itertools

import pytest

from towpath.definition import loader
from towpath.triggers import ahead, schedule
from towpath.triggers.contract import Listener
from towpath.triggers.listening import entries

MINUTE = 60_000_000
NOON = 1_774_000_800 * 1_000_000


def listener(name: str, said: str) -> Listener:
    """A workflow with a schedule."""
    text = f"name: {name}\non:\n  - schedule: {said}\nsteps: [{{id: a, run: echo}}]\n"
    return Listener(workflow=loader.load_workflow(text).workflow, names_secrets=False)


def always_open(_: str, __: int) -> bool:
    """Every calendar is open."""
    return True


@pytest.mark.parametrize("starts_max", [1, 7, 200])
def test_the_first_starts_of_many_schedules_are_told_in_order(starts_max: int) -> None:
    """However far jitter moves starts, those that come first are told, in order: as if all schedules were written out in full."""
    listeners = [
        listener("often", "{every: 1m}"),
        listener("late", '{cron: "*/3 * * * *", jitter: 50m}'),
        listener("daily", '{cron: "0 3 * * *"}'),
    ]

    found = ahead.starts(listeners, after=NOON, is_open=always_open, starts_max=starts_max)

    written_out = sorted(
        (tick.due_at, one.workflow.name)
        for one, trigger in entries(listeners)
        for tick in itertools.islice(
            schedule.upcoming(trigger.settings, workflow=one.workflow.name, after=NOON, is_open=always_open),
            600,
        )
    )
    assert [(start.at, start.workflow) for start in found] == written_out[:starts_max]


def test_nothing_is_told_beyond_the_end() -> None:
    """Starts that schedules name after the last instant are left out."""
    found = ahead.starts(
        [listener("often", "{every: 1m}")],
        after=NOON,
        until=NOON + 3 * MINUTE,
        is_open=always_open,
        starts_max=100,
    )

    assert len(found) == 3
