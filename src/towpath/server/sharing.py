"""What many follow is read and encoded once.

Those who follow the same thing stand at the same place most of the time: whoever asks first has it read, those who ask meanwhile wait
for the same answer, and those who come a little later find it in a small memory. What is not there any more is read again: the memory
is only for speed.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from starlette.concurrency import run_in_threadpool

SHARED_BYTES_MAX: Final = 4 * 1024 * 1024
"""What is kept for those who come a little later, all together."""
NOTHING_KEPT_MAX: Final = 10_000
"""Places of which it is remembered that nothing had come."""

P = TypeVar("P")
Place = TypeVar("Place", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part(Generic[P, Place]):
    """What came behind a place, and the place behind it."""

    said: P
    size: int
    """In bytes; 0 where nothing had come."""
    place: Place
    is_end: bool = False
    """Nothing will come any more."""


@dataclass(slots=True)
class Sharing:
    """The parts that were read lately. Used in the loop's thread only."""

    bytes_max: int = SHARED_BYTES_MAX
    _kept: OrderedDict[Hashable, Part[Any, Any]] = field(default_factory=OrderedDict)
    """Any: each kind of stream has parts of its own."""
    _size: int = 0
    _nothing: OrderedDict[Hashable, tuple[int, Part[Any, Any]]] = field(default_factory=OrderedDict)
    _reading: dict[Hashable, tuple[int, asyncio.Task[Part[Any, Any]]]] = field(default_factory=dict)
    reads: int = 0
    """How often something was really read."""

    @property
    def size(self) -> int:
        """How much is kept, in bytes."""
        return self._size

    async def part(self, key: Hashable, beats: int, read: Callable[[], Part[P, Place]]) -> Part[P, Place]:
        """What *read* gives for *key*, as true as at beat *beats* or later; *read* is called in a thread."""
        while True:
            if (kept := self._kept.get(key)) is not None:
                return kept
            looked, nothing = self._nothing.get(key, (-1, None))
            if nothing is not None and looked >= beats:
                return nothing
            since, task = self._reading.get(key, (-1, None))
            if task is None:
                since, task = beats, asyncio.create_task(self._read(key, beats, read))
                self._reading[key] = (beats, task)
            found: Part[P, Place] = await asyncio.shield(task)
            if found.size or found.is_end or since >= beats:
                return found

    async def _read(self, key: Hashable, beats: int, read: Callable[[], Part[P, Place]]) -> Part[P, Place]:
        try:
            found = await run_in_threadpool(read)
        finally:
            self._reading.pop(key, None)
        self.reads += 1
        if found.size and not found.is_end:
            self._keep(key, found)
        else:
            self._nothing[key] = (beats, found)
            while len(self._nothing) > NOTHING_KEPT_MAX:
                self._nothing.popitem(last=False)
        return found

    def _keep(self, key: Hashable, found: Part[Any, Any]) -> None:
        self._nothing.pop(key, None)
        if found.size > self.bytes_max:
            return
        self._kept[key] = found
        self._size += found.size
        while self._size > self.bytes_max:
            _, oldest = self._kept.popitem(last=False)
            self._size -= oldest.size
