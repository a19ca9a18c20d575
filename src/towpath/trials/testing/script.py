"""The script of a test while it is played: what comes next at a place, and what of it was never needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from towpath.trials.testing import addresses
from towpath.trials.testing.addresses import Place
from towpath.trials.testing.files import many

T = TypeVar("T")


class Lines(Generic[T]):
    """One table of a script: by address one line, or several for one time after the other."""

    def __init__(self, table: Mapping[str, T | tuple[T, ...]], *, own: frozenset[str], repeats: bool) -> None:
        self._table: dict[str, tuple[T, ...]] = {address: many(said) for address, said in table.items()}
        self._own = own
        """The addresses that the test itself says, apart from its file."""
        self._repeats = repeats
        """Whether the last line counts from then on."""
        self._positions: dict[str, int] = {}
        self._used: dict[str, int] = {}
        """Addresses that came up, and how many of their lines were taken at the most."""

    def next(self, place: Place) -> T | None:
        """The next line for a place; None where nothing is said, or nothing more."""
        address = addresses.best(self._table, place)
        if address is None:
            return None
        lines = self._table[address]
        position = self._positions.get(place.thread, 0)
        self._positions[place.thread] = position + 1
        self._used[address] = max(self._used.get(address, 0), min(position + 1, len(lines)))
        if position >= len(lines):
            return lines[-1] if self._repeats else None
        return lines[position]

    def says(self, place: Place) -> bool:
        """Whether anything is said of a place."""
        return addresses.best(self._table, place) is not None

    @property
    def unused(self) -> tuple[str, ...]:
        """What the test says of places that never came up."""
        return tuple(address for address in self._table if address in self._own and address not in self._used)

    @property
    def unsaid(self) -> tuple[tuple[str, int], ...]:
        """Addresses that came up while some of their lines never did: with the number of the first of those."""
        if self._repeats:
            return ()
        return tuple(
            (address, taken + 1)
            for address, taken in self._used.items()
            if address in self._own and taken < len(self._table[address])
        )
