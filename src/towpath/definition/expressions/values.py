"""The values that expressions read and give: what JSON can say, and how each one looks inside text."""

from __future__ import annotations

import datetime
import json
import math
from typing import Final, TypeAlias

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"
"""What JSON can say."""

_PLAIN_DIGITS_MAX: Final = 1e15
"""Below this, a whole number that is held as a fraction has no digit to lose."""


def plain_number(number: float) -> str:
    """Return *number* the way a person writes it: 3, 0.25, and 1 for 1.0."""
    if isinstance(number, float) and number.is_integer() and abs(number) < _PLAIN_DIGITS_MAX:
        return str(int(number))
    return repr(number)


def as_text(value: Value) -> str:
    """Return how *value* looks inside text; raises ValueError for null and for what is no finite number."""
    match value:
        case None:
            raise ValueError("null has no text")
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float() if math.isfinite(value):
            return plain_number(value)
        case _:
            return json.dumps(
                value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True
            )


def format_timestamp(moment: datetime.datetime) -> str:
    """Return *moment* as RFC 3339 in UTC, with a fraction only where there is one."""
    return moment.astimezone(datetime.UTC).replace(tzinfo=None).isoformat() + "Z"


def format_duration(duration: datetime.timedelta) -> str:
    """Return *duration* in seconds, as CEL reads it again: `90s`, `1.5s`."""
    microseconds = duration // datetime.timedelta(microseconds=1)
    sign = "-" if microseconds < 0 else ""
    seconds, fraction = divmod(abs(microseconds), 1_000_000)
    return f"{sign}{seconds}.{fraction:06d}".rstrip("0").rstrip(".") + "s"
