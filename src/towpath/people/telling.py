"""Telling: the bell, the outbox and the channels of one process, for as long as its engine runs.

What is said is always kept, also where a project has no channel: then it is on record that nobody could be told, and why. Channels are
made from the project's file, secrets are asked for when something is sent, and the threads of channels end with the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Final

from towpath.people.bell import OutboxBell
from towpath.people.channels.routes import TERMINAL, Routes
from towpath.people.outbox import Outbox

if TYPE_CHECKING:
    from towpath.definition.project import Channel as Written
    from towpath.definition.project import ProjectFile
    from towpath.people.channels.contract import Channel
    from towpath.people.channels.terminal import Terminal
    from towpath.people.desk import Desk
    from towpath.people.outbox import Clock
    from towpath.steps.contract import Egress
    from towpath.steps.secrets.contract import SecretProvider
    from towpath.store.contract import Outbox as Store
    from towpath.store.contract import OwnerId

TERMINAL_SECONDS_MAX: Final = 2.0
"""How long the end of a run waits for what is still to be shown at the terminal."""


class Telling:
    """Has the people of a project told what an engine says."""

    def __init__(
        self,
        store: Callable[[], Store],
        *,
        desk: Desk,
        project: Callable[[], ProjectFile],
        secrets: SecretProvider,
        egress: Egress,
        clock: Clock,
        terminal: Terminal | None = None,
    ) -> None:
        self._store = store
        self._desk = desk
        self._project = project
        self._secrets = secrets
        self._egress = egress
        self._clock = clock
        self._terminal = terminal
        self._outbox: Outbox | None = None
        self._written: Mapping[str, Written] = {}
        """The channels that this process has made: those that towpath.yaml had when it began."""

    @contextlib.asynccontextmanager
    async def of(self, owner: OwnerId) -> AsyncIterator[Outbox]:
        """Has people told while the process of this owner lives."""
        from towpath.people.channels.making import close_channels

        channels = self._channels()
        outbox = Outbox(
            self._store(),
            owner=owner,
            clock=self._clock,
            channel_of=channels.get,
            routes=self._routes,
        )
        try:
            async with outbox:
                self._outbox = outbox
                self._desk.ring_with(self._bell(outbox))
                yield outbox
        finally:
            self._outbox = None
            self._desk.be_silent()
            close_channels(channels)

    async def settle_terminal(self) -> None:
        """Waits until whoever sits at the terminal has been shown all that there is, or for TERMINAL_SECONDS_MAX."""
        if self._terminal is None or self._outbox is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TERMINAL_SECONDS_MAX):
                await self._outbox.settle(TERMINAL)

    def _channels(self) -> dict[str, Channel]:
        self._written = written = self._project().channels
        if not written and self._terminal is None:
            return {}
        from towpath.people.channels.making import make_channels

        return make_channels(written, secrets=self._secrets, egress=self._egress, terminal=self._terminal)

    def _routes(self) -> Routes:
        """New people are reached where they say; a new channel is used by processes that begin after it."""
        at_terminal = "" if self._terminal is None else self._terminal.user
        return dataclasses.replace(
            Routes.of(self._project(), at_terminal=at_terminal), channels=self._written
        )

    def _bell(self, outbox: Outbox) -> OutboxBell:
        return OutboxBell(
            outbox,
            directory=lambda: self._desk.directory,
            calendar=self._desk.calendar,
            now=self._clock.now,
        )
