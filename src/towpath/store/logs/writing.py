"""Writing a run's log: every batch is one write to a file.

So a reader sees it at once, and a crash loses nothing but the batch.

What a step prints first goes to `main.log`, in the order in which it came. What goes beyond goes to a ring of
the step's own, `tail-<step>-<offset>.log`, whose oldest file is removed for each new one: the beginning and
the end of a long output are kept, and a line says how much is missing between. When the whole run has used up
its share, everything goes to one ring of the run, `rest-<offset>.log`: the last that was printed is what one
wants to see of a failure. So nothing that prints for ever fills a disk.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import OrderedDict
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.errors import StoreUnavailable
from towpath.store.folder import FOLDER_MODE
from towpath.store.logs.blocks import BLOCK_BYTES_MAX, MAIN_FILE, BlockFile, Stream, head_of_block
from towpath.store.logs.files import AppendFile, Ring
from towpath.store.logs.index import INDEX_WORTH_BYTES, Index

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
OPEN_LOGS_MAX = 64
"""Runs whose files are open at the same time."""


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
        return StepLog(self, path, attempt)

    def write(self, step: StepLog, stream: Stream, data: bytes) -> None:
        """Append *data* as blocks; called by `StepLog`."""
        with self._lock, _explained(self._folder):
            files, is_new = self._opened()
            self._at = max(self._at, self._clock() // 1_000)
            for text in pieces(data):
                files.append(step, self._at, block_parts(self._at, step, stream, text))
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

    def __init__(self, log: RunLog, path: str, attempt: int) -> None:
        self._log = log
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


def block_parts(at: int, step: StepLog, stream: Stream, text: bytes) -> tuple[bytes, ...]:
    """Return what a block consists of, without copying its text."""
    head = head_of_block(at=at, text=text, stream=stream, attempt=step.attempt, path=step.path)
    return (head, text) if text.endswith(b"\n") else (head, text, b"\n")


class _Files:
    """The open files of a run's log, and where the next block goes."""

    def __init__(self, folder: Path, limits: LogLimits) -> None:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        self._folder = folder
        self._limits = limits
        self._main = AppendFile(folder / MAIN_FILE)
        self._index = Index(folder, main_bytes=self._main.size)
        self._tails: dict[int, Ring] = {}
        self._rest: Ring | None = None
        self._used_bytes = 0
        if self._main.size:
            self._go_on()

    def append(self, step: StepLog, at: int, parts: tuple[bytes, ...]) -> None:
        """Put a block where it belongs."""
        size = sum(map(len, parts))
        number = self._index.number_of(step.path, step.attempt)
        if self._rest is not None or self._used_bytes + size > self._limits.run_bytes:
            self._rest_ring(step, at).append(parts, size)
        elif number not in self._tails and self._index.bytes_of(number) + size <= self._limits.head_bytes:
            self._append_main(number, parts, size)
        else:
            self._used_bytes += self._tail_ring(number, step, at).append(parts, size)

    def close(self) -> None:
        """Save the index, when there is enough to be worth one, and close everything."""
        with suppress(OSError):
            if self._main.size >= INDEX_WORTH_BYTES:
                self._index.save()
        for file in (self._main, self._rest, *self._tails.values()):
            if file is not None:
                file.close()

    def _append_main(self, number: int, parts: tuple[bytes, ...], size: int) -> None:
        begin = self._main.size
        self._main.append(parts, size)
        self._index.add(number, begin, size)
        self._used_bytes += size

    def _tail_ring(self, number: int, step: StepLog, at: int) -> Ring:
        if number not in self._tails:
            full, kept = _size(self._limits.head_bytes), _size(self._limits.tail_bytes)
            text = f"[the output has reached {full}: from here on only its last {kept} are kept]"
            self._remark(step, at, text)
            self._index.save()  # the ring is named after the number, which has to stay the same
            self._tails[number] = Ring(self._folder, f"tail-{number}", self._limits.tail_bytes)
        return self._tails[number]

    def _rest_ring(self, step: StepLog, at: int) -> Ring:
        if self._rest is None:
            full, kept = _size(self._limits.run_bytes), _size(self._limits.rest_bytes)
            text = f"[the run's output has reached {full}: from here on only its last {kept} are kept]"
            self._remark(step, at, text)
            self._rest = Ring(self._folder, "rest", self._limits.rest_bytes)
        return self._rest

    def _remark(self, step: StepLog, at: int, text: str) -> None:
        parts = block_parts(at, step, "system", f"{text}\n".encode())
        self._append_main(self._index.number_of(step.path, step.attempt), parts, sum(map(len, parts)))

    def _go_on(self) -> None:
        """Take up what an earlier process has written; what it left half written is cut off."""
        blocks = BlockFile(self._main.path, self._index.end)
        try:
            begin = blocks.position
            while block := blocks.next():
                number = self._index.number_of(block.path, block.attempt)
                self._index.add(number, begin, blocks.position - begin)
                begin = blocks.position
            self._main.cut(blocks.position)
        finally:
            blocks.close()
        for prefix in sorted({path.stem.rpartition("-")[0] for path in self._folder.glob("tail-*-*.log")}):
            self._tails[int(prefix.removeprefix("tail-"))] = Ring(
                self._folder, prefix, self._limits.tail_bytes
            )
        if any(self._folder.glob("rest-*.log")):
            self._rest = Ring(self._folder, "rest", self._limits.rest_bytes)
        self._used_bytes = sum(file.stat().st_size for file in self._folder.iterdir())


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(
            f"cannot write the log in {folder}: {error.strerror or error}",
            help="Free some space on the disk of the data folder, or mend its access rights.",
        ) from error


def _size(count: int) -> str:
    """Write a number of bytes for people."""
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count >> 10} KiB"
