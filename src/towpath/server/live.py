"""What happens now, for those who look on: a beat whenever something was written.

Nobody gets a queue of their own. Whoever follows something remembers up to where they have read, waits for the next beat, and reads on
from the journal: one who is slow, or was away, misses nothing and costs nothing.
"""

from __future__ import annotations

import asyncio


class Live:
    """Tells those who wait that something was written. Used in the loop's thread only."""

    def __init__(self) -> None:
        self._beats = 0
        self._next = asyncio.Event()

    @property
    def beats(self) -> int:
        """How often something was written; remember it before you read."""
        return self._beats

    async def after(self, beats: int) -> int:
        """Waits until there were more beats than *beats*, and tells how many there were."""
        while self._beats <= beats:
            await self._next.wait()
        return self._beats

    def beat(self) -> None:
        """Something was written."""
        self._beats += 1
        self._next.set()
        self._next = asyncio.Event()
