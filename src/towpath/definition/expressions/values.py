"""The values that expressions read and give: what JSON can say, and how each one looks inside text."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias, cast

from towpath.definition.expressions import limits

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"
"""What JSON can say."""

_PLAIN_DIGITS_MAX: Final = 1e15
"""Below this, a whole number that is held as a fraction has no digit to lose."""


def plain(value: object, depth: int = 0) -> Value:
    """Return *value* as plain lists, dicts, texts and numbers; raises ValueError where there is no such form.

    This is the door into CEL, whose own conversion recurses without a bound and cuts a text at its first NUL.
    A list or dict of scalars, which is most of what is read, is looked at by the set of its types and comes
    back as it is.
    """
    kind = type(value)
    if kind in _SCALARS:
        if kind is str and "\0" in cast("str", value):
            raise ValueError(_NUL)
        return cast("Value", value)
    if depth >= limits.RESULT_DEPTH_MAX:
        raise ValueError(f"a value holds more than {limits.RESULT_DEPTH_MAX} lists or maps inside each other")
    match value:
        case dict() if _TEXT.issuperset(map(type, value)) and _SCALARS.issuperset(map(type, value.values())):
            _refuse_nul(value)
            _refuse_nul(value.values())
            return value
        case list() if _SCALARS.issuperset(map(type, value)):
            _refuse_nul(value)
            return value
        case dict() | Mapping():
            return {_key(key): plain(item, depth + 1) for key, item in value.items()}
        case list() | tuple():
            return [plain(item, depth + 1) for item in value]
        case _:
            return _plain_scalar(value)


_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_TEXT: Final = frozenset({str})


def _plain_scalar(value: object) -> Value:
    """Return a text or number without its subclass: an enumeration's member is its text."""
    match value:
        case str():
            return str.__str__(value)
        case int():
            return int(value)
        case float():
            return float(value)
        case _:
            raise ValueError(f"{type(value).__name__} is no value of a run")


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise ValueError(f"a map has the key {key!r}, and keys are texts")  # noqa: TRY004 - as told
    _refuse_nul((key,))
    return key


def _refuse_nul(scalars: Iterable[object]) -> None:
    if "\0" in "".join([scalar for scalar in scalars if type(scalar) is str]):
        raise ValueError(_NUL)


_NUL: Final = "a text holds a NUL character, so it is no text that can be worked with"


def weight(value: object) -> int:
    """Return what *value* weighs, in characters, everything inside it counted."""
    kind = type(value)
    if kind is str:
        return len(cast("str", value))
    if kind is list:
        items = cast("list[object]", value)
        return limits.ITEM_CHARS * len(items) + sum(map(weight, items))
    if kind is dict:
        entries = cast("dict[str, object]", value)
        return limits.ITEM_CHARS * len(entries) + sum(map(len, entries)) + sum(map(weight, entries.values()))
    return limits.ITEM_CHARS


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
