"""What is asked of the process runner and what it answers: plain values, no machinery."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from towpath.steps.secrets.masking import NOTHING_TO_MASK, Masker

STDOUT_TAIL_BYTES: Final = 64 * 1024
STDERR_TAIL_BYTES: Final = 16 * 1024
LINE_BYTES_MAX: Final = 64 * 1024
"""A longer line reaches the sink in pieces of this size; nothing is dropped here."""
READ_BYTES_MAX: Final = 256 * 1024
"""How much of a stream is taken at a time; a batch for the sink is at most this and one line."""
RESULT_BYTES_MAX: Final = 1024 * 1024
GRACE_SECONDS: Final = 3.0
PROCESSES_MAX: Final = 1024
"""Processes that one runner looks after at the same time."""

StreamName = Literal["stdout", "stderr"]


class EndedBy(enum.StrEnum):
    """Why there is nothing left of a process."""

    EXIT = "exit"
    """The command ended on its own; see the exit code or the signal."""
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    SPAWN_ERROR = "spawn_error"
    """The command could not be started: nothing of it ever ran."""
    LOST = "lost"
    """What looked after the process was killed from outside; nothing is left, but how it ended is unknown."""


class OutputSink(Protocol):
    """Takes what a process writes: masked already, in the order of each stream, called in the event loop.

    *data* holds whole lines, each with its newline. Only a line longer than `LINE_BYTES_MAX`, or one that
    had no newline when the stream ended, comes without. A sink that needs time returns an awaitable: the
    stream is not read further until it is done, so that a slow log slows the process down instead of
    filling the memory. A sink that raises stops the process, and its exception is raised to whoever waits
    for it.
    """

    def __call__(self, stream: StreamName, data: bytes, /) -> Awaitable[None] | None:
        """Take one batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """One command to run: everything is said here and nothing is inherited."""

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    stdin: bytes = b""
    timeout_seconds: float | None = None
    grace_seconds: float = GRACE_SECONDS
    """From TERM to KILL."""
    masker: Masker = NOTHING_TO_MASK
    """What must not be seen in anything that the process writes."""
    stdout_tail_bytes: int = STDOUT_TAIL_BYTES
    stderr_tail_bytes: int = STDERR_TAIL_BYTES
    result_fd: int | None = None
    """The number of a descriptor on which the command writes a result apart from its output, unmasked."""
    result_bytes_max: int = RESULT_BYTES_MAX
    files: Mapping[int, bytes] = field(default_factory=dict)
    """What the command finds on further descriptors: a content for each number, in memory and on no disk."""
    inherit: Mapping[int, int] = field(default_factory=dict)
    """More descriptors for the command: its number for each of ours. Ours stay open and stay ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessResult:
    """How a process ended. When there is a result, no process of it is left (but for *survivors*)."""

    ended_by: EndedBy
    exit_code: int | None = None
    """None when the command was ended by a signal, was lost or never started."""
    signal: int | None = None
    message: str = ""
    """What happened, in a sentence for people; empty when the command exited on its own with code 0."""
    seconds: float = 0.0
    stdout_tail: bytes = b""
    """The last of what it wrote, masked before it was cut."""
    stderr_tail: bytes = b""
    stdout_bytes: int = 0
    """How much it wrote, as it wrote it."""
    stderr_bytes: int = 0
    result: bytes = b""
    result_too_long: bool = False
    """The command wrote more than `result_bytes_max`; *result* holds the beginning."""
    leftovers: int = 0
    """Processes that the command had left in the background; they were stopped."""
    survivors: tuple[int, ...] = ()
    """Processes that even KILL did not end within its time: another user's, or stuck in the kernel."""

    @property
    def succeeded(self) -> bool:
        """The command ran and exited with code 0."""
        return self.ended_by is EndedBy.EXIT and self.exit_code == 0

    @property
    def shell_exit_code(self) -> int | None:
        """The exit code as a shell would give it: 128 and the number for a signal."""
        if self.signal is not None:
            return 128 + self.signal
        return self.exit_code
