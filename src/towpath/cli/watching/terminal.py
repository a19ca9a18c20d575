"""The terminal while a run is shown on it: a region that is drawn again and again, and lines that a person types.

Both live in the engine's own loop: nothing here blocks, and a question can be taken back when somebody else has answered it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import termios
from collections.abc import Iterator, Sequence

from towpath.cli.views.lines import Line, Screen, line, width_of

_HIDE_CURSOR = "\x1b[?25l"
_SHOW_CURSOR = "\x1b[?25h"
_CLEAR_BELOW = "\x1b[J"
_CLEAR_LINE = "\x1b[K"
READ_BYTES = 4096
LINE_BYTES_MAX = 64 * 1024


class Region:
    """The last lines of the screen, replaced as a whole; what was above stays."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self._widths: list[int] = []

    def draw(self, lines: Sequence[Line]) -> None:
        """Replaces what was drawn before."""
        rows = "".join(f"{self.screen.text(one)}{_CLEAR_LINE}\n" for one in lines)
        self._write(f"{_HIDE_CURSOR}{self._up()}{rows}{_CLEAR_BELOW}")
        self._widths = [width_of(one) for one in lines]

    def clear(self) -> None:
        """Takes away what was drawn; the next text stands in its place."""
        self._write(f"{self._up()}{_CLEAR_BELOW}{_SHOW_CURSOR}")
        self._widths = []

    def leave(self) -> None:
        """Leaves what was drawn where it is; the next text stands below."""
        self._write(_SHOW_CURSOR)
        self._widths = []

    def _up(self) -> str:
        """Back to the first line; after the window became narrower, a line takes several rows."""
        width = self.screen.width
        rows = sum(max(1, -(-drawn // width)) for drawn in self._widths)
        return f"\r\x1b[{rows}A" if rows else "\r"

    def _write(self, text: str) -> None:
        self.screen.stream.write(text)
        self.screen.stream.flush()


@contextlib.contextmanager
def quiet_keyboard() -> Iterator[None]:
    """What is typed does not appear on the screen; Ctrl-C works as ever."""
    try:
        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
    except (termios.error, ValueError, OSError):
        yield
        return
    set_echo(shown=False)
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def set_echo(*, shown: bool) -> None:
    """Whether typed characters appear; what was typed before is forgotten."""
    with contextlib.suppress(termios.error, ValueError, OSError):
        descriptor = sys.stdin.fileno()
        modes = termios.tcgetattr(descriptor)
        modes[3] = modes[3] | termios.ECHO if shown else modes[3] & ~termios.ECHO
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, modes)


class Keyboard:
    """Lines that a person types, awaited in the loop."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self._buffer = b""

    async def ask(self, prompt: Line) -> str:
        """Shows a prompt and waits for a line; raises EOFError when there is no more input."""
        self.screen.stream.write(self.screen.text((*prompt, (" ", "plain"))))
        if not self.screen.colours:
            self.screen.stream.write(" ")
        self.screen.stream.flush()
        set_echo(shown=True)
        try:
            return await self._line()
        finally:
            set_echo(shown=False)

    async def _line(self) -> str:
        loop = asyncio.get_running_loop()
        descriptor = sys.stdin.fileno()
        typed: asyncio.Future[str] = loop.create_future()

        def readable() -> None:
            data = os.read(descriptor, READ_BYTES)
            self._buffer += data
            if typed.done():
                return
            if not data:
                typed.set_exception(EOFError())
            elif b"\n" in self._buffer or len(self._buffer) > LINE_BYTES_MAX:
                text, _, self._buffer = self._buffer.partition(b"\n")
                typed.set_result(text.decode(errors="replace").strip())

        loop.add_reader(descriptor, readable)
        try:
            return await typed
        finally:
            loop.remove_reader(descriptor)


def prompt(*words: str) -> Line:
    """A prompt in the colour of questions."""
    return line(("❯ ", "ask"), *words)
