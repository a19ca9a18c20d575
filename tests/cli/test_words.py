"""Times and sizes read as people say them."""

from __future__ import annotations

import pytest

from towpath.observe import words
from towpath.server.shapes import moments

SECOND = 1_000_000
DAY = 86_400 * SECOND


@pytest.mark.parametrize(
    ("micros", "expected"),
    [
        (-5, "0.0s"),
        (0, "0.0s"),
        (49_999, "0.0s"),
        (350_000, "0.3s"),
        (9_990_000, "9.9s"),
        (10 * SECOND, "10s"),
        (59_999_999, "59s"),
        (60 * SECOND, "1m00s"),
        (185 * SECOND, "3m05s"),
        (3_600 * SECOND, "1h00m"),
        (7_830 * SECOND, "2h10m"),
        (DAY, "1d00h"),
        (4 * DAY + 11_000 * SECOND, "4d03h"),
    ],
)
def test_duration(micros: int, expected: str) -> None:
    """A span of time has at most two units and never rounds up to a time that has not come."""
    assert expected == words.duration(micros)


@pytest.mark.parametrize(
    ("micros", "expected"),
    [(0, "0s"), (59 * SECOND, "59s"), (60 * SECOND, "1m"), (7_200 * SECOND, "2h"), (3 * DAY, "3d")],
)
def test_rough(micros: int, expected: str) -> None:
    """A rough span has one unit."""
    assert expected == words.rough(micros)


@pytest.mark.parametrize(
    ("at", "expected"),
    [(0, "now"), (SECOND, "in 1s"), (3_600 * SECOND - 100_000, "in 1h"), (90 * SECOND, "in 1m")],
)
def test_ahead(at: int, expected: str) -> None:
    """What is an hour ahead but for the blink of an eye is an hour ahead."""
    assert expected == words.ahead(at, now=0)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (3_600_000, "3.4 MiB"), (5 << 40, "5.0 TiB")],
)
def test_size(count: int, expected: str) -> None:
    """Bytes are told in the largest unit that leaves a whole part."""
    assert expected == words.size(count)


def test_stamp_is_utc_with_milliseconds() -> None:
    """A moment in full is RFC 3339 in UTC, whatever the clock of the machine says."""
    assert moments.stamp(1_700_000_000_123_456) == "2023-11-14T22:13:20.123Z"
