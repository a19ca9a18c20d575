"""The terminal in front of which somebody sits: what is to be told is printed there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from towpath.people.channels.contract import SendFailed
from towpath.people.messages import clean

if TYPE_CHECKING:
    from towpath.people.channels.contract import Sending


class TerminalChannel:
    """Prints each text as a block of lines; what was cleaned of control characters steers no terminal."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    async def send(self, sending: Sending) -> None:
        """Prints one text, its subject first."""
        text = sending.text
        body = "".join(f"  {line}".rstrip() + "\n" for line in clean(text.plain).splitlines())
        try:
            self._write(f"{clean(text.subject)}\n{body}")
        except (OSError, ValueError) as error:
            raise SendFailed(f"the terminal cannot be written: {error}", is_final=True) from None
