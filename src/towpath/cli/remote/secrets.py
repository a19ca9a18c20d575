"""The encrypted store of secrets of a server: names come, values only go."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from towpath.cli.remote.wire import API, segment
from towpath.steps.secrets.sealed import SealedEntry

if TYPE_CHECKING:
    from towpath.cli.remote.wire import Wire


class RemoteSecrets:
    """What `tow secrets` asks of the store."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self) -> tuple[SealedEntry, ...]:
        """The names, and when each was set."""
        return tuple(
            SealedEntry(name=one["name"], set_at=datetime.datetime.fromisoformat(one["set_at"]))
            for one in self._wire.call("GET", f"{API}/secrets")["items"]
        )

    def set(self, name: str, value: str) -> None:
        """Keeps a value under a name."""
        self._wire.call("PUT", f"{API}/secrets/{segment(name)}", {"value": value})

    def remove(self, name: str) -> None:
        """Forgets a secret."""
        self._wire.call("DELETE", f"{API}/secrets/{segment(name)}")
