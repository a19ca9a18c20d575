"""One stream of a process on its way out: read, masked, cut into lines, handed on.

The order matters. Bytes are masked first and everything else is done to what is left, so no cut can go
through a secret and show half of it. Only so much is read as the sink has taken, so a process that writes
faster than its log can be kept waits in `write`, and memory stays where it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import struct
import termios
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from towpath.steps.processes.contract import LINE_BYTES_MAX, READ_BYTES_MAX, OutputSink, StreamName
from towpath.steps.secrets.masking import MaskStream

PIPE_BYTES: Final = 256 * 1024
"""A pipe that has been full once is made this large, where the system allows it."""
_FULL_PIPE_BYTES: Final = 64 * 1024
_F_SETPIPE_SZ: Final = 1031  # `fcntl.F_SETPIPE_SZ`, which not every build of Python has
_CONTINUATION, _LEADING = 0x80, 0xC0  # the first bits of the bytes of a character in UTF-8


class Taker(Protocol):
    """Takes what a `PipeReader` reads; what it returns is awaited before more is read."""

    def take(self, data: bytes) -> Awaitable[None] | None:
        """Take what has just been read."""

    def finish(self) -> Awaitable[None] | None:
        """Nothing more will come."""


class PipeReader:
    """Reads one pipe in the event loop until it ends, or until nobody is left to write to it."""

    def __init__(
        self,
        fd: int,
        taker: Taker,
        *,
        on_error: Callable[[BaseException], None],
        on_end: Callable[[], None],
    ) -> None:
        self._fd = fd
        self._taker: Taker | None = taker
        self._on_error = on_error
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._taking: asyncio.Future[None] | None = None
        self._rest_bytes: int | None = None  # once nobody writes: how much is still to be read
        self._read_bytes = _FULL_PIPE_BYTES
        self._closed = False
        self.ended = False
        """Everything has been read and taken."""
        self._loop.add_reader(fd, self._read)

    def nobody_writes(self) -> None:
        """Every process that could write is gone: what is in the pipe now is the rest.

        A stranger who was given the pipe (or who outlived KILL) may go on writing; that is not read any more.
        """
        if self._closed:
            return
        waiting = bytearray(struct.calcsize("i"))
        fcntl.ioctl(self._fd, termios.FIONREAD, waiting)
        (self._rest_bytes,) = struct.unpack("i", waiting)
        if self._taking is None:
            self._read()

    def abandon(self) -> None:
        """Stop reading, whatever may still come."""
        if not self._closed:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._closed = True

    def _read(self) -> None:
        """Take what is there: once, so that others have a turn; to the end, when nobody writes any more."""
        while not self._closed and self._taking is None:
            if self._rest_bytes is not None and self._rest_bytes <= 0:
                self._close()
                return
            try:
                data = os.read(self._fd, self._read_bytes)
            except BlockingIOError:
                if self._rest_bytes is not None:
                    self._close()
                return
            if not data:
                self._close()
                return
            if len(data) == _FULL_PIPE_BYTES == self._read_bytes:
                self._enlarge()
            self._offer(data)
            if self._rest_bytes is None:
                return
            self._rest_bytes -= len(data)

    def _close(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._closed = True
        self._offer(None)
        if self._taking is None:
            self._end()

    def _end(self) -> None:
        self.ended = True
        self._on_end()

    def _offer(self, data: bytes | None) -> None:
        """Let the taker take *data*, or finish, and wait for it when it asks for time."""
        if self._taker is None:
            return
        try:
            taking = self._taker.finish() if data is None else self._taker.take(data)
        except Exception as error:  # noqa: BLE001 - it is raised to who waits for the process
            self._give_up(error)
            return
        if taking is not None:
            if not self._closed:
                self._loop.remove_reader(self._fd)
            self._taking = asyncio.ensure_future(taking)
            self._taking.add_done_callback(self._taken)

    def _taken(self, taking: asyncio.Future[None]) -> None:
        self._taking = None
        error = asyncio.CancelledError() if taking.cancelled() else taking.exception()
        if error is not None:
            self._give_up(error)
        if self._closed:
            self._end()
            return
        self._loop.add_reader(self._fd, self._read)
        if self._rest_bytes is not None:
            self._read()

    def _give_up(self, error: BaseException) -> None:
        """Go on reading, so that the process can end, but keep nothing more."""
        self._taker = None
        self._on_error(error)

    def _enlarge(self) -> None:
        """Ask for a larger pipe; one is enough to ask, and a system that refuses is no harm."""
        self._read_bytes = READ_BYTES_MAX
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._fd, _F_SETPIPE_SZ, PIPE_BYTES)


class Output:
    """Takes stdout or stderr: counts, masks, keeps the tail, and hands batches of lines to the sink."""

    def __init__(
        self, name: StreamName, *, mask: MaskStream, sink: OutputSink | None, tail_bytes: int
    ) -> None:
        self._name: StreamName = name
        self._mask = mask
        self._sink = sink
        self._lines = Lines()
        self.tail = Tail(tail_bytes)
        self.seen_bytes = 0

    def take(self, data: bytes) -> Awaitable[None] | None:
        """Take what has just been read."""
        self.seen_bytes += len(data)
        return self._hand_on(self._lines.feed(self._mask.feed(data)))

    def finish(self) -> Awaitable[None] | None:
        """Hand on the last line, which may have no newline."""
        return self._hand_on(self._lines.feed(self._mask.finish()) + self._lines.finish())

    def _hand_on(self, batch: bytes) -> Awaitable[None] | None:
        if not batch:
            return None
        self.tail.add(batch)
        return None if self._sink is None else self._sink(self._name, batch)


class Result:
    """Takes what a command writes to its result descriptor, up to a limit."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._kept = bytearray()
        self.too_long = False
        """More came than may be kept."""

    def take(self, data: bytes) -> None:
        """Take what has just been read."""
        room = self._bytes_max - len(self._kept)
        self._kept += data[:room]
        self.too_long = self.too_long or len(data) > room

    def finish(self) -> None:
        """Nothing more will come."""

    def content(self) -> bytes:
        """What was kept."""
        return bytes(self._kept)


class Tail:
    """The last bytes of a stream."""

    __slots__ = ("_bytes_max", "_kept")

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._kept = bytearray()

    def add(self, data: bytes) -> None:
        """Remember *data*, and forget what it pushes out."""
        if len(data) >= self._bytes_max:
            self._kept = bytearray(data[len(data) - self._bytes_max :])
            return
        self._kept += data
        if len(self._kept) > 2 * self._bytes_max:
            del self._kept[: -self._bytes_max]

    def content(self) -> bytes:
        """What is remembered."""
        return bytes(self._kept[max(0, len(self._kept) - self._bytes_max) :])


class Lines:
    """Turns chunks into batches of whole lines; a line that grows too long goes on in pieces."""

    __slots__ = ("_begun",)

    def __init__(self) -> None:
        self._begun = b""

    def feed(self, data: bytes) -> bytes:
        """The lines that *data* completes."""
        cut = data.rfind(b"\n") + 1
        whole = self._begun + data[:cut] if cut else b""
        self._begun = data[cut:] if cut else self._begun + data
        return whole + self._pieces() if len(self._begun) >= LINE_BYTES_MAX else whole

    def finish(self) -> bytes:
        """The last line, when it has no newline."""
        begun, self._begun = self._begun, b""
        return begun

    def _pieces(self) -> bytes:
        """As much of the line that has begun as tears no character of UTF-8."""
        cut = len(self._begun)
        while cut > len(self._begun) - 4 and self._begun[cut - 1] & _LEADING == _CONTINUATION:
            cut -= 1
        if self._begun[cut - 1] >= _LEADING:
            cut -= 1
        pieces, self._begun = self._begun[:cut], self._begun[cut:]
        return pieces
