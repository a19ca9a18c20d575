"""Choices read from a list of numbers: what the list does not say is 0, so a shorter list is a simpler story."""

from __future__ import annotations

from collections.abc import Sequence


class Tape:
    """A list of numbers, read once from the beginning."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = numbers
        self._position = 0

    @property
    def is_over(self) -> bool:
        """Whether every number was read."""
        return self._position >= len(self._numbers)

    def next(self, count: int) -> int:
        """A choice among *count*; 0 when the tape is over."""
        if self.is_over:
            return 0
        number = self._numbers[self._position]
        self._position += 1
        return number % count

    def chance(self, part: int, whole: int) -> bool:
        """Whether something that happens *part* times out of *whole* happens; never when the tape is over."""
        return self.next(whole) >= whole - part
