"""Which part of a run's main log belongs to which step: what lets a reader pass over the rest.

Two files, written when the log has become long enough to be worth it: `steps` numbers the attempts of steps,
one line each, and `main.index` holds parts, (number, begin, length), side by side without a gap. They may end
early, after a crash or because there was no need yet: what they lack is found by reading the log itself.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

from towpath.store.logs.files import AppendFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INDEX_WORTH_BYTES = 1024 * 1024
"""A main log that is shorter is read as a whole."""
INDEX_PARTS_MAX = 64
"""Parts that gather in memory before they are written."""

_PART = struct.Struct("<IQQ")
_STEPS_FILE = "steps"
_INDEX_FILE = "main.index"


class Index:
    """The index as its one writer has it."""

    def __init__(self, folder: Path, *, main_bytes: int) -> None:
        self._folder = folder
        self._names = list(read_steps(folder)) if main_bytes else []
        self._numbers = {name: number for number, name in enumerate(self._names)}
        self._names_saved = len(self._names)
        parts = [part for part in read_parts(folder) if sum(part[1:]) <= main_bytes] if main_bytes else []
        self._parts_saved = len(parts)
        self._parts: list[tuple[int, int, int]] = []
        """Those that are not saved yet."""
        self._bytes: dict[int, int] = {}
        self.end = 0
        """Up to where the main log is indexed."""
        for part in parts:
            self._count(*part)

    def number_of(self, path: str, attempt: int) -> int:
        """Return the number of a step's attempt."""
        number = self._numbers.setdefault((path, attempt), len(self._names))
        if number == len(self._names):
            self._names.append((path, attempt))
        return number

    def bytes_of(self, number: int) -> int:
        """Return how much of the main log belongs to a step's attempt."""
        return self._bytes.get(number, 0)

    def add(self, number: int, begin: int, length: int) -> None:
        """Note a part, which begins where the one before it ended; neighbours of one step are joined."""
        if self._parts and self._parts[-1][0] == number:
            _, before, so_far = self._parts[-1]
            self._parts[-1] = (number, before, so_far + length)
        else:
            if len(self._parts) >= INDEX_PARTS_MAX and self.end >= INDEX_WORTH_BYTES:
                self.save()
            self._parts.append((number, begin, length))
        self._count(number, begin, length)

    def save(self) -> None:
        """Write what is not written yet: first the names, then the parts that use them."""
        lines = [_line(*name) for name in self._names[self._names_saved :]]
        kept = sum(len(_line(*name)) for name in self._names[: self._names_saved])
        _write(self._folder / _STEPS_FILE, kept, b"".join(lines))
        self._names_saved = len(self._names)
        parts = b"".join(_PART.pack(*part) for part in self._parts)
        _write(self._folder / _INDEX_FILE, self._parts_saved * _PART.size, parts)
        self._parts_saved += len(self._parts)
        self._parts.clear()

    def _count(self, number: int, begin: int, length: int) -> None:
        self._bytes[number] = self._bytes.get(number, 0) + length
        self.end = begin + length


def read_steps(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield the steps and attempts in the order of their numbers, as far as they are written."""
    try:
        lines = (folder / _STEPS_FILE).read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return
    for line in lines:
        step, attempt = json.loads(line)
        yield step, attempt


def read_parts(folder: Path) -> Iterator[tuple[int, int, int]]:
    """Yield number, begin and length of the parts, as far as they follow each other without a gap."""
    try:
        data = (folder / _INDEX_FILE).read_bytes()
    except FileNotFoundError:
        return
    end = 0
    for number, begin, length in _PART.iter_unpack(data[: len(data) - len(data) % _PART.size]):
        if begin != end:
            return
        end = begin + length
        yield number, begin, length


def _line(path: str, attempt: int) -> bytes:
    return json.dumps([path, attempt]).encode() + b"\n"


def _write(path: Path, kept_bytes: int, data: bytes) -> None:
    """Put data behind the first *kept_bytes*; what a crash has left there goes."""
    file = AppendFile(path)
    try:
        file.cut(kept_bytes)
        file.append((data,), len(data))
    finally:
        file.close()
