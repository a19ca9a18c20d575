"""How often somebody may try to sign in: wrong attempts are counted by the address they come from."""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from towpath.errors import LimitExceeded

LOGINS_MAX: Final = 10
"""Attempts that fail, of one address, within LOGIN_WINDOW_SECONDS; further ones are answered with 429."""
LOGIN_WINDOW_SECONDS: Final = 300.0
ADDRESSES_MAX: Final = 10_000
"""Addresses that are remembered; the one that tried longest ago is forgotten first."""
_IPV6_PREFIX: Final = 64
_MICROS: Final = 1_000_000


class Attempts:
    """Counts what failed; safe to be used by threads."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._failed: OrderedDict[str, deque[int]] = OrderedDict()

    def check(self, address: str) -> None:
        """Raises LimitExceeded where an address has failed too often lately."""
        with self._lock:
            failed = self._recent(_key(address))
            if len(failed) >= LOGINS_MAX:
                raise LimitExceeded(
                    "too many attempts to sign in",
                    limit="LOGINS_MAX",
                    help=f"wait for {LOGIN_WINDOW_SECONDS / 60:g} minutes",
                )

    def failed(self, address: str) -> None:
        """An attempt of this address has failed."""
        key = _key(address)
        with self._lock:
            self._failed[key] = failed = self._recent(key)
            self._failed.move_to_end(key)
            failed.append(self._now())
            while len(self._failed) > ADDRESSES_MAX:
                self._failed.popitem(last=False)

    def _recent(self, key: str) -> deque[int]:
        since = self._now() - round(LOGIN_WINDOW_SECONDS * _MICROS)
        return deque((at for at in self._failed.get(key, ()) if at > since), maxlen=LOGINS_MAX)


def _key(address: str) -> str:
    """The address, or the network of which an IPv6 host has all addresses to itself."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, _IPV6_PREFIX), strict=False))
    return str(found)
