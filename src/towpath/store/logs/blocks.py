"""The format of a log: blocks, each one batch of lines of one step.

A block is a line that says whose it is, then its text:

    @1700000000000000 12 stdout . 1 "fleet[web1]/install"
    hello
    world

The head holds the time in microseconds, the length of the text in bytes, the stream, `.` or `+`, the attempt,
and the step's path as JSON. `+` says that the last line goes on in the step's next block of that stream; its
newline here is not part of it. A person can read the file with `less`; a program never searches in it for the
end of a text, so nothing that a step prints can look like a block. What a crash has left half written at the
end of a file is no block and is cut off by the next writer.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

Stream: TypeAlias = Literal["stdout", "stderr", "system"]
"""Where text came from; `system` is Towpath itself."""

BLOCK_BYTES_MAX = 256 * 1024
"""The text of one block; more is split."""
HEAD_BYTES_MAX = 16 * 1024
"""The first line of a block; a path has its own, smaller limit."""
READ_BUFFER_BYTES = 512 * 1024
MAIN_FILE = "main.log"

_HEAD = re.compile(rb'@(\d{1,19}) (\d{1,7}) (stdout|stderr|system) ([.+]) (\d{1,9}) ("(?:[^"\\\n]|\\.)*")\n')


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line that a step printed."""

    at: int
    """When its batch arrived; microseconds since 1970, UTC."""
    path: str
    attempt: int
    stream: Stream
    text: str
    """Without its newline; what is not UTF-8 is replaced."""
    goes_on: bool = False
    """The line is longer than a piece may be: the next line of this step and stream is the rest of it."""


@dataclass(frozen=True, slots=True)
class Block:
    """A batch of lines as it stands in a file."""

    at: int
    stream: Stream
    goes_on: bool
    attempt: int
    path: str
    text: bytes

    def lines(self) -> Iterator[LogLine]:
        """Split the text into lines."""
        texts = self.text.decode("utf-8", "replace").split("\n")
        if texts[-1] == "":
            texts.pop()
        last = len(texts) - 1
        for position, text in enumerate(texts):
            yield LogLine(
                at=self.at,
                path=self.path,
                attempt=self.attempt,
                stream=self.stream,
                text=text,
                goes_on=self.goes_on and position == last,
            )


def head_of_block(*, at: int, text: bytes, stream: Stream, attempt: int, path: str) -> bytes:
    """Write the first line of a block; a text without a newline at its end gets one that does not count."""
    goes_on = not text.endswith(b"\n")
    length = len(text) + goes_on
    return b"@%d %d %s %s %d %s\n" % (
        at,
        length,
        stream.encode(),
        b"+" if goes_on else b".",
        attempt,
        json.dumps(path).encode(),
    )


class BlockFile:
    """Reads blocks from a file that may be growing, from a position on."""

    def __init__(self, path: Path, position: int = 0) -> None:
        self._file: BinaryIO = path.open("rb", buffering=READ_BUFFER_BYTES)
        self.position = position
        """Where the next block begins."""
        self._file.seek(position)

    def next(self, end: int | None = None) -> Block | None:
        """Return the next block that is there as a whole, or None; none that begins at *end* or later."""
        while end is None or self.position < end:
            head = self._file.readline(HEAD_BYTES_MAX)
            found = _HEAD.fullmatch(head)
            if found:
                return self._body(found, len(head))
            if not head.endswith(b"\n") and len(head) < HEAD_BYTES_MAX:
                self._file.seek(self.position)
                return None
            self.position += len(head)  # no block: a disk has lost something here
        return None

    def jump(self, position: int) -> None:
        """Go on at *position*, where a block begins."""
        if position != self.position:
            self.position = position
            self._file.seek(position)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _body(self, found: re.Match[bytes], head_bytes: int) -> Block | None:
        at, length, stream, mark, attempt, path = found.groups()
        text = self._file.read(int(length))
        if len(text) < int(length):
            self._file.seek(self.position)
            return None
        self.position += head_bytes + len(text)
        return Block(int(at), _STREAMS[stream], mark == b"+", int(attempt), json.loads(path), text)


_STREAMS: dict[bytes, Stream] = {b"stdout": "stdout", b"stderr": "stderr", b"system": "system"}
