"""Writing a run's log: every batch is one write to a file.

So a reader sees it at once, and a crash loses nothing but the batch.

The bounds, so that a step which prints for ever fills no disk:

- The first part of what each step prints goes to `main.log`, in the order in which it came.
- What goes beyond goes to a ring of the step's own, `tail-<step>-<offset>.log`, whose oldest file is removed
for each new one. So the beginning
  and the end of a long output are kept; where the middle was is said in its place.
- When the whole run has used up its share, everything goes to one ring of the run, `rest-<offset>.log`: the
last that was printed is what one
  wants to see of a failure.

`steps` numbers the steps and their attempts; `main.index` says which part of `main.log` belongs to which
number. Both may end early after a crash: what they lack is found by reading.
"""

from __future__ import annotations

import json
import os
import struct
import threading
import time
import weakref
from collections import OrderedDict
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.errors import StoreUnavailable
from towpath.store.folder import FILE_MODE, FOLDER_MODE
from towpath.store.logs.blocks import (
    BLOCK_BYTES_MAX,
    INDEX_FILE,
    MAIN_FILE,
    STEPS_FILE,
    BlockFile,
    Stream,
    head_of_block,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from towpath.store.contract import RunNumber

LOG_STEP_HEAD_BYTES = 8 * 1024 * 1024
"""What is kept of the beginning of what a step's attempt prints."""
LOG_STEP_TAIL_BYTES = 8 * 1024 * 1024
"""What is kept of its end."""
LOG_STEP_BYTES_MAX = LOG_STEP_HEAD_BYTES + LOG_STEP_TAIL_BYTES
LOG_RUN_BYTES_MAX = 256 * 1024 * 1024
"""After so much of a run, only the end of all that follows is kept."""
LOG_REST_BYTES = 32 * 1024 * 1024
"""How much that is."""
RING_FILES = 8
"""Into how many files a ring is cut; the oldest goes as a whole."""
OPEN_LOGS_MAX = 64
"""Runs whose files are open at the same time."""
INDEX_PARTS_MAX = 64
"""Parts of the index that gather in memory before they are written."""

INDEX_PART = struct.Struct("<IQQ")
"""Number of the step, where its part begins, and how long it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLimits:
    """How much is kept; see the constants."""

    head_bytes: int = LOG_STEP_HEAD_BYTES
    tail_bytes: int = LOG_STEP_TAIL_BYTES
    run_bytes: int = LOG_RUN_BYTES_MAX
    rest_bytes: int = LOG_REST_BYTES


DEFAULT_LIMITS = LogLimits()


class Logs:
    """The logs of a data folder: the one place that writes them in this process."""

    def __init__(
        self, folder: Path, *, limits: LogLimits = DEFAULT_LIMITS, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._folder = folder
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._known: weakref.WeakValueDictionary[RunNumber, RunLog] = weakref.WeakValueDictionary()
        self._open: OrderedDict[RunLog, None] = OrderedDict()

    def step(self, run: RunNumber, path: str, attempt: int) -> StepLog:
        """Begin to write what one attempt of a step prints."""
        with self._lock:
            log = self._known.get(run)
            if log is None:
                log = RunLog(self.folder_of(run), self._limits, self._clock, self._note_open)
                self._known[run] = log
        return log.step(path, attempt)

    def folder_of(self, run: RunNumber) -> Path:
        """Return where the log of a run lies."""
        return self._folder / str(run)

    def close_run(self, run: RunNumber) -> None:
        """Close the files of a run that has ended or goes to sleep; writing again opens them again."""
        with self._lock:
            log = self._known.get(run)
            if log is not None:
                self._open.pop(log, None)
        if log is not None:
            log.close()

    def close(self) -> None:
        """Close the files of every run."""
        with self._lock:
            logs = tuple(self._open)
            self._open.clear()
        for log in logs:
            log.close()

    def _note_open(self, log: RunLog) -> None:
        """Keep the number of open logs small: who has been open longest is closed, until it writes again."""
        with self._lock:
            self._open[log] = None
            oldest = self._open.popitem(last=False)[0] if len(self._open) > OPEN_LOGS_MAX else None
        if oldest is not None:
            oldest.close()


class RunLog:
    """Writes one run's log; its files are open from the first write until somebody closes them."""

    def __init__(
        self, folder: Path, limits: LogLimits, clock: Callable[[], int], on_open: Callable[[RunLog], None]
    ) -> None:
        self._folder = folder
        self._limits = limits
        self._clock = clock
        self._on_open = on_open
        self._lock = threading.Lock()
        self._files: _Files | None = None
        self._at = 0

    def step(self, path: str, attempt: int) -> StepLog:
        """Begin to write what one attempt of a step prints."""
        with self._lock, _explained(self._folder):
            files, is_new = self._opened()
            number = files.number_of(path, attempt)
        if is_new:
            self._on_open(self)
        return StepLog(self, number, path, attempt)

    def write(self, step: StepLog, stream: Stream, data: bytes) -> None:
        """Append *data* as blocks; called by `StepLog`."""
        with self._lock, _explained(self._folder):
            files, is_new = self._opened()
            self._at = max(self._at, self._clock() // 1_000)
            for text in pieces(data):
                files.append(step.number, block_parts(self._at, step.path, step.attempt, stream, text))
        if is_new:
            self._on_open(self)

    def close(self) -> None:
        """Close the files; writing opens them again."""
        with self._lock:
            if self._files is not None:
                self._files.close()
                self._files = None

    def _opened(self) -> tuple[_Files, bool]:
        if self._files is not None:
            return self._files, False
        self._files = _Files(self._folder, self._limits)
        return self._files, True


class StepLog:
    """Writes what one attempt of a step prints; may be given to the process runner as its sink."""

    def __init__(self, log: RunLog, number: int, path: str, attempt: int) -> None:
        self._log = log
        self.number = number
        self.path = path
        self.attempt = attempt

    def write(self, stream: Stream, data: bytes) -> None:
        """Append lines, masked already; a line without its newline goes on in the next batch."""
        if data:
            self._log.write(self, stream, data)

    __call__ = write

    def say(self, text: str) -> None:
        """Append what Towpath itself has to say about the step."""
        self.write("system", f"{text}\n".encode())


def pieces(data: bytes) -> Iterator[bytes]:
    """Cut data into texts that a block may hold, behind a newline where there is one."""
    begin, end = 0, len(data)
    while end - begin > BLOCK_BYTES_MAX:
        cut = data.rfind(b"\n", begin, begin + BLOCK_BYTES_MAX) + 1 or begin + BLOCK_BYTES_MAX
        yield data[begin:cut]
        begin = cut
    yield data[begin:] if begin else data


def block_parts(at: int, path: str, attempt: int, stream: Stream, text: bytes) -> tuple[bytes, ...]:
    """Return what a block consists of, without copying its text."""
    head = head_of_block(at=at, text=text, stream=stream, attempt=attempt, path=path)
    return (head, text) if text.endswith(b"\n") else (head, text, b"\n")


class _Files:
    """The open files of a run's log, and where the next block goes."""

    def __init__(self, folder: Path, limits: LogLimits) -> None:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        self._folder = folder
        self._limits = limits
        self._steps = _Steps(folder / STEPS_FILE)
        self._main = _AppendFile(folder / MAIN_FILE)
        self._index = _Index(folder / INDEX_FILE, self._main.size)
        self._mend()
        self._used_bytes = sum(file.stat().st_size for file in folder.iterdir())
        self._tails: dict[int, _Ring] = {}
        self._rest: _Ring | None = None
        if any(folder.glob("rest-*.log")):
            self._rest = _Ring(folder, "rest", limits.rest_bytes)

    def number_of(self, path: str, attempt: int) -> int:
        """Return the number of a step's attempt; a new one is noted first."""
        return self._steps.number_of(path, attempt)

    def append(self, number: int, parts: tuple[bytes, ...]) -> None:
        """Put a block where it belongs."""
        size = sum(map(len, parts))
        if self._rest is not None or self._used_bytes + size > self._limits.run_bytes:
            self._rest_ring(number).append(parts, size)
        elif number not in self._tails and self._index.bytes_of(number) + size <= self._limits.head_bytes:
            self._append_main(number, parts, size)
        else:
            self._used_bytes += self._tail_ring(number).append(parts, size)

    def close(self) -> None:
        """Write what the index still lacks and close everything."""
        for file in (self._main, self._index, self._steps, self._rest, *self._tails.values()):
            if file is not None:
                with suppress(OSError):
                    file.close()

    def _append_main(self, number: int, parts: tuple[bytes, ...], size: int) -> None:
        begin = self._main.size
        self._main.append(parts, size)
        self._index.add(number, begin, size)
        self._used_bytes += size

    def _tail_ring(self, number: int) -> _Ring:
        ring = self._tails.get(number)
        if ring is None:
            kept = f"only the last {_mebibytes(self._limits.tail_bytes)} of the output are kept"
            self._remark(number, f"[{_mebibytes(self._limits.head_bytes)} are full: from here on {kept}]")
            ring = self._tails[number] = _Ring(self._folder, f"tail-{number}", self._limits.tail_bytes)
        return ring

    def _rest_ring(self, number: int) -> _Ring:
        if self._rest is None:
            kept = f"only the last {_mebibytes(self._limits.rest_bytes)} of all output are kept"
            full = f"the run has printed {_mebibytes(self._limits.run_bytes)}"
            self._remark(number, f"[{full}: from here on {kept}]")
            self._rest = _Ring(self._folder, "rest", self._limits.rest_bytes)
        return self._rest

    def _remark(self, number: int, text: str) -> None:
        path, attempt = self._steps.name_of(number)
        parts = block_parts(time.time_ns() // 1_000, path, attempt, "system", f"{text}\n".encode())
        self._append_main(number, parts, sum(map(len, parts)))

    def _mend(self) -> None:
        """Cut off what a crash has left half written, and index what the index lacks."""
        blocks = BlockFile(self._main.path, self._index.end)
        try:
            begin = blocks.position
            while block := blocks.next():
                number = self._steps.number_of(block.path, block.attempt)
                self._index.add(number, begin, blocks.position - begin)
                begin = blocks.position
            self._main.cut(blocks.position)
        finally:
            blocks.close()


class _AppendFile:
    """A file that only grows; a write that fails leaves it as it was."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        self.size = os.fstat(self._descriptor).st_size

    def append(self, parts: tuple[bytes, ...], size: int) -> None:
        """Write all parts or nothing."""
        try:
            written = os.writev(self._descriptor, parts)
            if written < size:
                _write_all(self._descriptor, b"".join(parts)[written:])
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self.size)
            raise
        self.size += size

    def cut(self, size: int) -> None:
        """Remove what lies behind *size*."""
        if size < self.size:
            os.ftruncate(self._descriptor, size)
            self.size = size

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class _Ring:
    """The last bytes of something endless, in a few files of which the oldest is removed."""

    def __init__(self, folder: Path, prefix: str, bytes_max: int) -> None:
        self._folder = folder
        self._prefix = prefix
        self._file_bytes_max = max(bytes_max // RING_FILES, 1)
        found = [(offset, path, path.stat().st_size) for offset, path in ring_files(folder, prefix)]
        self._kept = [(path, size) for _, path, size in found if size]
        self._offset = max((offset + size for offset, _, size in found), default=0)
        self._file: _AppendFile | None = None

    def append(self, parts: tuple[bytes, ...], size: int) -> int:
        """Append a block; returns by how much the ring has grown."""
        before = self._bytes()
        if self._file is None or self._file.size + size > self._file_bytes_max:
            self._roll()
        if self._file is not None:
            self._file.append(parts, size)
            self._offset += size
        return self._bytes() - before

    def close(self) -> None:
        """Close the newest file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _roll(self) -> None:
        if self._file is not None:
            self._kept.append((self._file.path, self._file.size))
            self.close()
        self._file = _AppendFile(self._folder / f"{self._prefix}-{self._offset}.log")
        while len(self._kept) >= RING_FILES:
            path, _ = self._kept.pop(0)
            path.unlink(missing_ok=True)

    def _bytes(self) -> int:
        return sum(size for _, size in self._kept) + (self._file.size if self._file else 0)


def ring_files(folder: Path, prefix: str) -> list[tuple[int, Path]]:
    """Return the files of a ring, oldest first, each with how much was printed before it."""
    names = (path for path in folder.glob(f"{prefix}-*.log"))
    return sorted((int(path.stem.rpartition("-")[2]), path) for path in names)


class _Steps:
    """Numbers the attempts of steps, one line each."""

    def __init__(self, path: Path) -> None:
        self._names = list(read_steps(path))
        self._numbers = {name: number for number, name in enumerate(self._names)}
        self._file = _AppendFile(path)
        self._file.cut(sum(len(_step_line(*name)) for name in self._names))

    def number_of(self, path: str, attempt: int) -> int:
        """Return the number of a step's attempt; a new one is noted."""
        number = self._numbers.get((path, attempt))
        if number is None:
            line = _step_line(path, attempt)
            self._file.append((line,), len(line))
            number = self._numbers[path, attempt] = len(self._names)
            self._names.append((path, attempt))
        return number

    def name_of(self, number: int) -> tuple[str, int]:
        """Return the step and the attempt with a number."""
        return self._names[number]

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_steps(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the steps and attempts of a log in the order of their numbers; a torn end is left out."""
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return
    for line in lines:
        step, attempt = json.loads(line)
        yield step, attempt


def _step_line(path: str, attempt: int) -> bytes:
    return json.dumps([path, attempt]).encode() + b"\n"


class _Index:
    """Says which parts of the main file belong to which step; parts side by side become one."""

    def __init__(self, path: Path, main_bytes: int) -> None:
        parts = [part for part in read_index(path) if part[1] + part[2] <= main_bytes]
        self._file = _AppendFile(path)
        self._file.cut(len(parts) * INDEX_PART.size)
        self._parts: list[tuple[int, int, int]] = []
        self.end = 0
        self._bytes: dict[int, int] = {}
        for number, begin, length in parts:
            self._count(number, begin + length, length)

    def add(self, number: int, begin: int, length: int) -> None:
        """Note a part, which begins where the one before it ended."""
        if self._parts and self._parts[-1][0] == number:
            _, before, so_far = self._parts[-1]
            self._parts[-1] = (number, before, so_far + length)
        else:
            if len(self._parts) >= INDEX_PARTS_MAX:
                self._flush()
            self._parts.append((number, begin, length))
        self._count(number, begin + length, length)

    def bytes_of(self, number: int) -> int:
        """Return how much of the main file belongs to a step."""
        return self._bytes.get(number, 0)

    def close(self) -> None:
        """Write what is in memory and close the file."""
        try:
            self._flush()
        finally:
            self._file.close()

    def _count(self, number: int, end: int, length: int) -> None:
        self._bytes[number] = self._bytes.get(number, 0) + length
        self.end = end

    def _flush(self) -> None:
        data = b"".join(INDEX_PART.pack(*part) for part in self._parts)
        self._file.append((data,), len(data))
        self._parts.clear()


def read_index(path: Path) -> Iterator[tuple[int, int, int]]:
    """Yield number, begin and length of the parts, as far as they follow each other without a gap."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    end = 0
    for number, begin, length in INDEX_PART.iter_unpack(data[: len(data) - len(data) % INDEX_PART.size]):
        if begin != end:
            return
        end = begin + length
        yield number, begin, length


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(
            f"cannot write the log in {folder}: {error.strerror or error}",
            help="Free some space on the disk of the data folder, or mend its access rights.",
        ) from error


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _mebibytes(count: int) -> str:
    return f"{count / (1024 * 1024):g} MiB"
