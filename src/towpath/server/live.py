"""What happens now, for those who look on: a beat whenever something was written, by this process or by another one.

Nobody gets a queue of their own. Whoever follows something remembers up to where they have read, waits for the next beat, and reads on
from the journal: one who is slow, or was away, misses nothing and costs nothing.

The store is looked at only while somebody waits: a server that nobody looks at does nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from towpath.errors import StoreUnavailable
from towpath.server.sharing import Sharing

if TYPE_CHECKING:
    from towpath.store.growth import Growth
    from towpath.store.sqlite import SqliteStore

_LOG = logging.getLogger("towpath.server")
LOOK_SECONDS: Final = 0.05
"""How often it is asked whether the store has grown, while somebody waits."""
SICK_SECONDS: Final = 1.0
"""How often, while the store cannot be read."""


class Live:
    """Tells those who wait that something was written. Used in the loop's thread only."""

    def __init__(self) -> None:
        self._beats = 0
        self._next = asyncio.Event()
        self._waiting = 0
        self._is_wanted = asyncio.Event()
        self._is_ending = False
        self.followers = 0
        """How many streams are open; the streams count themselves."""
        self.sharing = Sharing()
        """What those who follow the same thing share."""

    @property
    def beats(self) -> int:
        """How often something was written; remember it before you read."""
        return self._beats

    @property
    def is_ending(self) -> bool:
        """Whether the server ends: whoever follows something says goodbye."""
        return self._is_ending

    async def after(self, beats: int) -> int:
        """Waits until there were more beats than *beats*, or until the server ends; tells how many there were."""
        self._waiting += 1
        self._is_wanted.set()
        try:
            while self._beats <= beats and not self._is_ending:
                await self._next.wait()
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._is_wanted.clear()
        return self._beats

    def beat(self) -> None:
        """Something was written."""
        self._beats += 1
        self._next.set()
        self._next = asyncio.Event()

    def end(self) -> None:
        """Has every stream say goodbye; to be called before the server waits for its connections to end."""
        self._is_ending = True
        self.beat()

    @contextlib.asynccontextmanager
    async def watching(self, store: SqliteStore) -> AsyncIterator[None]:
        """Beats whenever the store has grown, whoever wrote; at the end every stream is told to end, too."""
        growth = store.growth()
        watch = asyncio.create_task(self._watch(growth), name="live")
        try:
            yield
        finally:
            self.end()
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
            growth.close()

    async def _watch(self, growth: Growth) -> None:
        while True:
            await self._is_wanted.wait()
            try:
                has_grown = growth.has_grown()
            except StoreUnavailable as error:  # whoever reads is told the same
                _LOG.warning("live.store_unavailable %s", error)
                await asyncio.sleep(SICK_SECONDS)
                has_grown = True
            if has_grown:
                self.beat()
            await asyncio.sleep(LOOK_SECONDS)
