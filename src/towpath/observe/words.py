"""Times, sizes and counts as people read them."""

from __future__ import annotations

import datetime

MICROS = 1_000_000
_MINUTE = 60
_HOUR = 3_600
_DAY = 86_400
_TENTHS_BELOW_SECONDS = 10
_SIZE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def duration(micros: int) -> str:
    """A span of time in at most two units: `0.3s`, `42s`, `3m05s`, `2h10m`, `4d03h`."""
    seconds = max(0, micros) / MICROS
    if seconds < _TENTHS_BELOW_SECONDS:
        return f"{int(seconds * 10) / 10:.1f}s"
    whole = int(seconds)
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02}m"
    return f"{whole // _DAY}d{whole % _DAY // _HOUR:02}h"


def rough(micros: int) -> str:
    """A span of time in one unit, rounded down: `5s`, `3m`, `2h`, `4d`."""
    seconds = max(0, micros) // MICROS
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "m")):
        if seconds >= unit:
            return f"{seconds // unit}{name}"
    return f"{seconds}s"


def ago(at: int, *, now: int) -> str:
    """How long ago a moment was: `just now`, `3m ago`."""
    return "just now" if now - at < MICROS else f"{rough(now - at)} ago"


def ahead(at: int, *, now: int) -> str:
    """How far ahead a moment is: `in 12s`, `in 2h`; `now` when it has come."""
    return "now" if at <= now else f"in {rough(at - now + MICROS // 2)}"


def clock(at: int) -> str:
    """The time of day, here: `15:04:05`."""
    return _local(at).strftime("%H:%M:%S")


def moment(at: int, *, now: int) -> str:
    """A moment, here, as short as it is clear: the time alone when it is today's."""
    local = _local(at)
    return local.strftime("%H:%M:%S" if local.date() == _local(now).date() else "%Y-%m-%d %H:%M:%S")


def size(count: int) -> str:
    """Bytes: `512 B`, `3.4 MiB`."""
    value = float(count)
    for unit in _SIZE_UNITS[:-1]:
        if value < 1024:  # noqa: PLR2004 - the step from one unit to the next
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} {_SIZE_UNITS[-1]}"


def counted(number: int, noun: str) -> str:
    """`1 step`, `1,204 steps`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _local(at: int) -> datetime.datetime:
    return _utc(at).astimezone()


def _utc(at: int) -> datetime.datetime:
    seconds, micros = divmod(at, MICROS)
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).replace(microsecond=micros)
