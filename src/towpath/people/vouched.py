"""What the store knows of people beside the project's file: who made tokens, and what the identity provider said when they signed in."""

from __future__ import annotations

from collections.abc import Callable

from towpath.core.run import Micros
from towpath.store.contract import Identities


class Vouched:
    """Keeps `desk.KnownElsewhere` from the store; asks it when it is asked."""

    def __init__(self, identities: Callable[[], Identities], now: Callable[[], Micros]) -> None:
        self._identities = identities
        self._now = now

    def token_makers(self, owner: str) -> frozenset[str]:
        """Who ever made a token that acts for somebody."""
        return self._identities().token_makers(owner)

    def groups_of(self, actor: str) -> frozenset[str]:
        """The groups of the newest sign-in through the identity provider that goes on; none where there is no such."""
        for session in self._identities().sessions(self._now(), actor):
            if session.way == "oidc":
                return frozenset(session.groups)
        return frozenset()
