"""Reading a run's log: everything or one step's, once or again and again while it is written.

A reader keeps its place in every file. `more()` gives what has come since the last time, so following a log
is calling it now and then. Within one call the files are merged by time; where a ring has lost its oldest
part, a line says how much.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.store.logs.blocks import MAIN_FILE, Block, BlockFile, LogLine
from towpath.store.logs.files import ring_files
from towpath.store.logs.index import read_parts, read_steps

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """Whose lines are wanted: those of a step, with all that is inside of it, and of one attempt."""

    step: str | None = None
    attempt: int | None = None

    def wants(self, path: str, attempt: int) -> bool:
        """Tell whether the lines of a step's attempt are wanted."""
        if self.attempt is not None and attempt != self.attempt:
            return False
        if self.step is None or path == self.step:
            return True
        return path.startswith((f"{self.step}/", f"{self.step}["))


class LogReader:
    """Reads one run's log; any number of them, in any process, while it is written."""

    def __init__(self, folder: Path, *, step: str | None = None, attempt: int | None = None) -> None:
        self._folder = folder
        self._filter = LogFilter(step=step, attempt=attempt)
        self._main: BlockFile | None = None
        self._rings: dict[str, _RingReader] = {}

    def more(self) -> Iterator[LogLine]:
        """Yield the lines that have come since the last call, in the order of their time."""
        sources = [self._main_blocks(), *(ring.blocks() for ring in self._find_rings())]
        for block in heapq.merge(*sources, key=lambda block: block.at):
            if self._filter.wants(block.path, block.attempt):
                yield from block.lines()

    def close(self) -> None:
        """Close the files."""
        if self._main is not None:
            self._main.close()
            self._main = None
        for ring in self._rings.values():
            ring.close()
        self._rings.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _main_blocks(self) -> Iterator[Block]:
        if self._main is None:
            try:
                self._main = BlockFile(self._folder / MAIN_FILE)
            except FileNotFoundError:
                return
            yield from self._indexed_blocks(self._main)
        while block := self._main.next():
            yield block

    def _indexed_blocks(self, main: BlockFile) -> Iterator[Block]:
        """Read the wanted parts of what is indexed, and pass over the others."""
        if self._filter == LogFilter():
            return
        names = tuple(read_steps(self._folder))
        wanted = {number for number, name in enumerate(names) if self._filter.wants(*name)}
        for number, begin, length in read_parts(self._folder):
            if number in wanted:
                main.jump(begin)
                while block := main.next(begin + length):
                    yield block
            main.jump(begin + length)

    def _find_rings(self) -> list[_RingReader]:
        """Look for rings that have come into being."""
        prefixes = {path.stem.rpartition("-")[0] for path in self._folder.glob("*-*.log")}
        for prefix in sorted(prefixes - self._rings.keys()):
            self._rings[prefix] = _RingReader(self._folder, prefix)
        return list(self._rings.values())


class _RingReader:
    """Reads a ring from its oldest file to its newest, and notices what it missed."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self._folder = folder
        self._prefix = prefix
        self._file: BlockFile | None = None
        self._offset = 0
        """How much of what was ever printed here lies before the file that is open."""

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks that have come."""
        while True:
            yield from self._rest_of_file()
            following = self._following()
            if following is None:
                return
            yield from self._rest_of_file()  # what came between the last look and the next file
            yield from self._begin(*following)

    def close(self) -> None:
        """Close the file that is open."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _rest_of_file(self) -> Iterator[Block]:
        while self._file is not None and (block := self._file.next()):
            yield block

    def _following(self) -> tuple[int, Path] | None:
        """Look for the file behind the one that is open."""
        files = ring_files(self._folder, self._prefix)
        return next((file for file in files if self._file is None or file[0] > self._offset), None)

    def _begin(self, offset: int, path: Path) -> Iterator[Block]:
        """Open a file; when something between was removed, its first block comes with a remark."""
        read_to = self._offset + (self._file.position if self._file is not None else 0)
        try:
            opened = BlockFile(path)
        except FileNotFoundError:
            return
        self.close()
        self._file, self._offset = opened, offset
        first = opened.next()
        if first is not None:
            if offset > read_to:
                yield remark(first, offset - read_to)
            yield first


def remark(block: Block, missed: int) -> Block:
    """Say in the place of what is gone how much it was."""
    text = f"[{missed} bytes of output are not kept]\n".encode()
    return Block(block.at, "system", False, block.attempt, block.path, text)  # noqa: FBT003 - positional for speed
