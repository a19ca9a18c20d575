"""Draws that depend on nothing but the seed and what they are for: leaving out one fault does not change the others."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """A few numbers drawn for one thing, such as an attempt."""

    __slots__ = ("_rest",)

    def __init__(self, seed: int, *names: object) -> None:
        text = "/".join(map(str, (seed, *names)))
        self._rest = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=32).digest())

    def below(self, count: int) -> int:
        """A number from 0 to *count* - 1."""
        self._rest, drawn = divmod(self._rest, count)
        return drawn

    def chance(self, part: int, whole: int) -> bool:
        """Whether something happens that happens *part* times out of *whole*."""
        return self.below(whole) < part

    def pick(self, some: Sequence[T]) -> T:
        """One of several."""
        return some[self.below(len(some))]

    def seconds(self, *, most: float) -> float:
        """A span of time: mostly short, now and then nearly *most*."""
        scale = 10.0 ** -self.below(4)
        return most * scale * (1 + self.below(1_000)) / 1_000
