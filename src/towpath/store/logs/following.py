"""Going on in a run's log from where somebody stopped, without keeping anything for them.

A *place* is a short text that says up to where every file of the log was read. Whoever reads a piece gets the place behind it, and
comes back with it: from another process, after a restart, or never. What a ring has lost meanwhile is said in its place.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from towpath.errors import Refused
from towpath.store.logs.blocks import MAIN_FILE, Block, BlockFile, LogLine
from towpath.store.logs.files import ring_files
from towpath.store.logs.index import read_parts, read_steps
from towpath.store.logs.reading import LogFilter, remark

if TYPE_CHECKING:
    from pathlib import Path

PIECE_BYTES: Final = 64 * 1024
"""About as much text as one piece holds; one block more is the most."""
PLACES_MAX: Final = 64
"""Files of one log: the main one, and the rings of the few steps that printed the most."""
_MAIN: Final = "main"
_PLACE: Final = re.compile(r"([A-Za-z0-9_]{1,64}(?:-[A-Za-z0-9_]{1,64})?)=(\d{1,18})")

_Read = tuple[Block, str, int]
"""A block, the file or ring that it stands in, and up to where that was read with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some lines, and where to go on."""

    lines: tuple[LogLine, ...]
    place: str


def read_on(
    folder: Path,
    *,
    place: str = "",
    step: str | None = None,
    attempt: int | None = None,
    piece_bytes: int = PIECE_BYTES,
) -> Piece:
    """The lines that come behind *place*, at most a piece of them; raises Refused for what is no place."""
    places = _places_of(place)
    wanted = LogFilter(step=step, attempt=attempt)
    prefixes = {path.stem.rpartition("-")[0] for path in folder.glob("*-*.log")}
    sources = [_main(folder, places.get(_MAIN, 0), wanted)]
    sources += [_ring(folder, prefix, places.get(prefix, 0)) for prefix in sorted(prefixes)]
    lines: list[LogLine] = []
    size = 0
    for block, name, position in heapq.merge(*sources, key=lambda read: read[0].at):
        places[name] = position
        if wanted.wants(block.path, block.attempt):
            lines += block.lines()
            size += len(block.text)
            if size >= piece_bytes:
                break
    for source in sources:
        source.close()  # type: ignore[attr-defined] # they are generators, and this has them close their files
    return Piece(lines=tuple(lines), place=_text_of(places))


def _places_of(text: str) -> dict[str, int]:
    parts = text.split(".") if text else []
    found = [_PLACE.fullmatch(part) for part in parts[: PLACES_MAX + 1]]
    if len(parts) > PLACES_MAX or not all(found):
        raise Refused("this is no place in a log", help="leave it out to begin at the beginning")
    return {match[1]: int(match[2]) for match in found if match is not None}


def _text_of(places: dict[str, int]) -> str:
    return ".".join(f"{name}={position}" for name, position in sorted(places.items()))


def _main(folder: Path, position: int, wanted: LogFilter) -> Iterator[_Read]:
    """The blocks of the main log, without the parts of which the index says that nobody wants them."""
    try:
        file = BlockFile(folder / MAIN_FILE, position)
    except FileNotFoundError:
        return
    try:
        for begin, end in _unwanted(folder, wanted):
            if end <= file.position:
                continue
            while file.position < begin and (block := file.next(begin)):
                yield block, _MAIN, file.position
            if file.position < begin:
                return
            file.jump(end)
        while block := file.next():
            yield block, _MAIN, file.position
    finally:
        file.close()


def _unwanted(folder: Path, wanted: LogFilter) -> Iterator[tuple[int, int]]:
    """Where the main log holds what nobody wants: begin and end, as far as the index knows."""
    if wanted == LogFilter():
        return
    numbers = {number for number, name in enumerate(read_steps(folder)) if wanted.wants(*name)}
    for number, begin, length in read_parts(folder):
        if number not in numbers:
            yield begin, begin + length


def _ring(folder: Path, prefix: str, position: int) -> Iterator[_Read]:
    """The blocks of a ring behind what was read of it; the first one says what is gone."""
    files = ring_files(folder, prefix)
    ends = [after for _, (after, _) in pairwise(files)]
    for (offset, path), end in zip(files, [*ends, None], strict=True):
        if end is not None and end <= position:
            continue
        try:
            file = BlockFile(path, max(0, position - offset))
        except FileNotFoundError:
            continue
        try:
            missed = max(0, offset - position)
            while block := file.next():
                if missed:
                    yield remark(block, missed), prefix, offset
                    missed = 0
                position = offset + file.position
                yield block, prefix, position
        finally:
            file.close()
