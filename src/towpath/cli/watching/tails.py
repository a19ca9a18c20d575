"""The log of a run that is being watched: the new lines, and the last ones of every step."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeAlias

from towpath.cli.views.lines import safe
from towpath.core import run as core
from towpath.store.logs import LogLine, LogReader

ReaderOf: TypeAlias = Callable[..., LogReader]
"""Reads the log of the run, or with `step` and `attempt` a part of it."""
TAIL_LINES = 3
LINES_AT_ONCE_MAX = 2_000
"""Lines that are read in one go while the run goes on: showing must not slow down doing."""
LINES_KEPT_MAX = 15
"""Lines of a step that are kept; so many are shown of one that failed."""
TAILS_KEPT_MAX = 200


class Tails:
    """Reads a run's log bit by bit."""

    def __init__(self, reader_of: ReaderOf) -> None:
        self.reader_of = reader_of
        self._reader = reader_of()
        self._coming: Iterator[LogLine] | None = None
        self._last: dict[core.Path, tuple[int, deque[str]]] = {}
        """The latest attempt of a step, and its last lines."""

    def new_lines(self, at_most: int | None = LINES_AT_ONCE_MAX) -> Iterator[LogLine]:
        """Lines that have come since the last time."""
        if self._coming is None:
            self._coming = self._reader.more()
        for read, one in enumerate(self._coming, start=1):
            self._keep(one)
            yield one
            if at_most is not None and read >= at_most:
                return
        self._coming = None

    def last(self, path: core.Path, count: int = TAIL_LINES) -> tuple[str, ...]:
        """The last lines of a step, the newest last."""
        _, kept = self._last.get(path, (0, ()))
        return tuple(itertools.islice(kept, max(0, len(kept) - count), None))

    def close(self) -> None:
        """Closes the files."""
        self._coming = None
        self._reader.close()

    def _keep(self, one: LogLine) -> None:
        attempt, kept = self._last.get(one.path, (0, None))
        if kept is None or attempt != one.attempt:
            while len(self._last) >= TAILS_KEPT_MAX:
                self._last.pop(next(iter(self._last)))
            kept = deque(maxlen=LINES_KEPT_MAX)
            self._last[one.path] = (one.attempt, kept)
        text = safe(one.text).rstrip()
        if text:
            kept.append(text)


def last_words(reader_of: ReaderOf, run: core.Run) -> tuple[str, ...]:
    """The last lines that the failing step of a run printed in its last attempt."""
    if run.error is None or not run.error.step:
        return ()
    node = run.nodes.get(run.error.step)
    attempt = node.attempt if node is not None else None
    with reader_of(step=run.error.step, attempt=attempt) as reader:
        texts = (safe(one.text).rstrip() for one in reader.more())
        return tuple(deque((text for text in texts if text), maxlen=LINES_KEPT_MAX))
