"""Moments as programs read them: RFC 3339 in UTC, to the millisecond."""

from __future__ import annotations

import datetime

MICROS = 1_000_000


def stamp(at: int) -> str:
    """A moment in full, in UTC: `2026-11-22T15:04:05.123Z`."""
    moment = datetime.datetime.fromtimestamp(at // MICROS, tz=datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at % MICROS // 1000:03}Z"


def micros_of(text: str) -> int:
    """The moment that a stamp tells, to its millisecond."""
    since = datetime.datetime.fromisoformat(text) - datetime.datetime.fromtimestamp(0, tz=datetime.UTC)
    return since // datetime.timedelta(microseconds=1)


def stamp_or_none(at: int | None) -> str | None:
    """A moment in full, or None."""
    return None if at is None else stamp(at)
