"""Who was told what, and when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from towpath.trials.testing import addresses, times
from towpath.trials.testing.asking import Telling
from towpath.trials.testing.expecting.difference import Difference, numbered
from towpath.trials.testing.files import (
    Expect,
    ExpectedTelling,
    parse_instant,
)
from towpath.trials.testing.world import World

MICROS: Final = 1_000_000


def told(world: World, expect: Expect) -> Iterator[Difference]:
    """Who was told, all of them and in order."""
    if expect.told is None:
        return
    got = world.told
    zone = world.setting.zone
    if len(got) == len(expect.told) and all(
        _is_told(world, *pair) for pair in zip(expect.told, got, strict=True)
    ):
        return
    first = next(
        (
            number
            for number, pair in enumerate(zip(expect.told, got, strict=False), start=1)
            if not _is_told(world, *pair)
        ),
        min(len(got), len(expect.told)) + 1,
    )
    yield Difference(
        what="told",
        expected=numbered([_expected_telling(one) for one in expect.told]),
        got=numbered([telling_line(one, zone) for one in got]),
        help=f"the first that differs is number {first}",
    )


def _is_told(world: World, expected: ExpectedTelling, got: Telling) -> bool:
    zone, start = world.setting.zone, world.setting.at
    return (
        expected.why in (None, got.why)
        and (expected.step is None or addresses.exactness(expected.step, got.place) > 0)
        and expected.number in (None, got.number)
        and (expected.to is None or sorted(expected.to) == sorted(got.to))
        and (expected.people is None or sorted(expected.people) == sorted(got.people))
        and (expected.at is None or parse_instant(expected.at, zone=zone)[0] == got.at)
        and (expected.after is None or start + round(expected.after * MICROS) == got.at)
    )


def telling_line(one: Telling, zone: str) -> str:
    """Who was told what and when, on one line."""
    number = f" {one.number}" if one.number else ""
    people = f" ({', '.join(one.people)})" if one.people else ""
    return f"{times.moment(one.at, zone)}  {one.why}{number}  {one.place.full}  {', '.join(one.to)}{people}"


def _expected_telling(one: ExpectedTelling) -> str:
    said = one.model_dump(exclude_unset=True)
    if "after" in said:
        said["after"] = times.span(round(said["after"] * MICROS))
    words = (
        f"{key} {', '.join(value) if isinstance(value, tuple) else value}" for key, value in said.items()
    )
    return "  ".join(words) or "anything"
