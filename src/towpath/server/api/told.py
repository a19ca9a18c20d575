"""What the API answers and takes: values with every field described, and nothing besides."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Final, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict

from towpath.definition.model import parse_duration

Json: TypeAlias = Any  # what JSON can say; Python has no recursive alias that every checker follows
MICROS: Final = 1_000_000
NUMBER_MAX: Final = 2**63 - 1
"""The greatest number that the store can hold: run numbers, sequences."""
PAGE_MAX: Final = 500
"""Entries of one page."""


class Told(BaseModel):
    """A value that the API answers with, or a part of one."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Asking(BaseModel):
    """A value that the API takes: the body of a request, or its query."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def moment_of(text: str, *, now: int) -> int:
    """Microseconds since 1970 of `7d` (so long ago) or of a timestamp, UTC where it names no zone; raises ValueError."""
    try:
        return now - round(parse_duration(text) * MICROS)
    except ValueError:
        pass
    try:
        moment = datetime.datetime.fromisoformat(text)
        told = moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)
        return round(told.timestamp() * MICROS)
    except (ValueError, OverflowError):
        raise ValueError(
            "is no moment: write how long ago (2h, 7d) or a timestamp (2026-11-22T08:00:00Z)"
        ) from None


def _check_moment(text: str) -> str:
    moment_of(text, now=0)
    return text


Moment = Annotated[str, AfterValidator(_check_moment)]
"""A moment as people write it: how long ago, or a timestamp."""
