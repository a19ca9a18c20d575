"""How much of the faults is played: three tiers, and the one place where they are told apart.

`quick` belongs to every run of the suite: a few places of every kind, the same ones each time. `full` is every place (`./dev faults`).
`soak` is every place, and what is drawn by chance drawn many times more (`./dev faults --soak`).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")
SOAK_ROUNDS = 10
"""How often a soak plays what chance decides."""


class Tier(StrEnum):
    """How much is played."""

    QUICK = "quick"
    FULL = "full"
    SOAK = "soak"

    def some_of(self, places: Sequence[T], *, quick: int) -> list[T]:
        """Every place; in the quick tier *quick* of them at equal distances, the first and the last among them."""
        if self is not Tier.QUICK or len(places) <= quick:
            return list(places)
        last = len(places) - 1
        return [places[round(position * last / max(1, quick - 1))] for position in range(quick)]

    def rounds(self, *, quick: int, full: int) -> int:
        """How often something is repeated whose course depends on chance."""
        return {Tier.QUICK: quick, Tier.FULL: full, Tier.SOAK: full * SOAK_ROUNDS}[self]
