"""What the tests of the outbox and the channels share: notices, a channel that is told what to do, processes of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from towpath.definition.project import Channel, ProjectFile
from towpath.engines.clock import HandClock
from towpath.people.channels.contract import Notice, SendFailed, Sending
from towpath.people.channels.routes import Routes
from towpath.people.messages import text_of
from towpath.people.outbox import Outbox, Patience
from towpath.store.contract import OwnerId, Store

NOW = 1_795_400_000_000_000
"""Mon 23 Nov 2026, 02:13 UTC."""
MINUTE = 60_000_000
PROJECT = {
    "people": {
        "users": {
            "ada": {"email": "ada@example.com", "time_zone": "Europe/Berlin"},
            "ben": {"contact": {"chat": "U012AB3"}},
            "eve": {},
        }
    },
    "channels": {
        "mail": {"kind": "email", "to": "ops@example.com"},
        "chat": {"kind": "slack", "to": "#ops", "secret": "slack_token"},
    },
}


def notice(**different: Any) -> Notice:
    """A notice to ada and ben, who are asked to approve."""
    values: dict[str, Any] = {
        "id": "r1/go_live#0@1!asked1",
        "run": 12,
        "run_id": "r1",
        "workflow": "release_shop",
        "path": "go_live",
        "why": "asked",
        "at": NOW,
        "question": "Release v1.4.2 to production?",
        "choices": ("approve", "reject"),
        "to": {"ada": "group:release_managers", "ben": "oncall:platform"},
        "asked": ("group:release_managers", "oncall:platform"),
        "until": NOW + 90 * MINUTE,
        "if_unanswered": "reject",
        "started_by": "user:carla",
    }
    return Notice(**(values | different))


def sending(told: Notice | None = None, **different: Any) -> Sending:
    """A sending as a channel gets it."""
    told = told or notice()
    values: dict[str, Any] = {
        "key": "tow_0123456789abcdef",
        "notice": told,
        "recipient": "user:ada",
        "address": "ada@example.com",
        "attempt": 1,
        "at": NOW,
        "text": text_of(told, recipient="user:ada", zone="Europe/Berlin"),
    }
    return Sending(**(values | different))


def channel(**written: Any) -> Channel:
    """A channel as towpath.yaml has it."""
    return Channel.model_validate(written)


def routes(file: dict[str, Any] | None = None, **different: Any) -> Routes:
    """The ways of a project."""
    return Routes.of(ProjectFile.model_validate(file or PROJECT), **different)


class Scripted:
    """A channel that notes what it is to send, and then does what it was told to do."""

    def __init__(self, *script: Exception | None) -> None:
        self.script = list(script)
        self.sent: list[Sending] = []
        self.hold: asyncio.Event | None = None
        self.at_once = 0
        self.at_once_max = 0

    async def send(self, one: Sending) -> None:
        """Notes it; waits where it is held; fails where the script says so."""
        self.sent.append(one)
        self.at_once += 1
        self.at_once_max = max(self.at_once, self.at_once_max)
        try:
            if self.hold is not None:
                await self.hold.wait()
            outcome = self.script.pop(0) if self.script else None
            if outcome is not None:
                raise outcome
        finally:
            self.at_once -= 1

    @property
    def told(self) -> list[tuple[str, str, int]]:
        """Recipient, address and attempt of what was sent."""
        return [(one.recipient, one.address, one.attempt) for one in self.sent]


BUSY = SendFailed("the server is busy")


@asynccontextmanager
async def process(
    store: Store,
    channels: dict[str, Any],
    *,
    clock: HandClock | None = None,
    owner: OwnerId | None = None,
    ways: Callable[[], Routes] = routes,
    patience: Patience | None = None,
) -> AsyncIterator[Outbox]:
    """An outbox at work, as one process has it."""
    mine = owner or store.owners.enter("test")
    async with Outbox(
        store.outbox,
        owner=mine,
        clock=clock or HandClock(NOW),
        channel_of=channels.get,
        routes=ways,
        patience=patience,
    ) as outbox:
        yield outbox


def states(store: Store) -> list[tuple[str, str, str, int]]:
    """Recipient, channel, state and attempts of everything in the outbox, oldest first."""
    return [
        (row.recipient, row.channel, row.state, row.attempts) for row in reversed(store.outbox.sendings())
    ]
