"""The terminal in front of which somebody sits: that person is told there what concerns them, in a line or two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.people.channels.contract import SendFailed
from towpath.people.channels.routes import TO_PERSON
from towpath.people.messages import brief

if TYPE_CHECKING:
    from towpath.people.channels.contract import Notice, Sending


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """Where a process has somebody in front of it."""

    user: str
    """Who that is, without `user:`."""
    show: Callable[[Notice, Sequence[str]], object]
    """Shows what a notice says, in lines that steer no terminal."""


class TerminalChannel:
    """Shows each notice in a line or two to whoever sits there; what they decided themselves is no news to them."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    async def send(self, sending: Sending) -> None:
        """Shows one notice; raises SendFailed where it was for another terminal, or this one is gone."""
        if sending.recipient != f"{TO_PERSON}{self._terminal.user}":
            raise SendFailed("the terminal that it was for is gone", is_final=True)
        if sending.notice.by == sending.recipient:
            return
        try:
            self._terminal.show(
                sending.notice, brief(sending.notice, recipient=sending.recipient, at=sending.at)
            )
        except (OSError, ValueError) as error:
            raise SendFailed(f"the terminal cannot be written: {error}", is_final=True) from None
