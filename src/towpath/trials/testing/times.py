"""Moments and spans of virtual time, as a story tells them."""

from __future__ import annotations

import datetime
import zoneinfo

from towpath.core.run import Micros

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_UNITS = ((86_400_000_000, "d"), (3_600_000_000, "h"), (60_000_000, "m"), (1_000_000, "s"), (1_000, "ms"))


def moment(at: Micros, zone: str) -> str:
    """A moment with its day: `Mon 2026-11-23 09:00:00`; parts of a second only where there are any."""
    local = (_EPOCH + datetime.timedelta(microseconds=at)).astimezone(zoneinfo.ZoneInfo(zone))
    millis = f".{local.microsecond // 1_000:03}" if local.microsecond >= 1_000 else ""  # noqa: PLR2004 - a millisecond
    return f"{_DAYS[local.weekday()]} {local:%Y-%m-%d %H:%M:%S}{millis}"


def span(micros: Micros) -> str:
    """A span as the language writes it, exactly: `3d2h`, `1m30s`, `0s`."""
    parts = []
    rest = abs(micros)
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return ("-" if micros < 0 else "") + ("".join(parts) or "0s")
