"""From bytes to an event: the body is read, the sender's shape is found in it, and what has to be kept is put together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from towpath.core.run import Micros
from towpath.triggers.contract import (
    DELIVERY_CHARS_MAX,
    HEADERS_MAX,
    LOCAL,
    Event,
    Reading,
    Verified,
)
from towpath.triggers.payloads import Source, parse_body, sources

HEADER_CHARS_MAX = 1_000
"""Of a header that is kept."""
UNVERIFIED_PREFIX = "unverified/"
"""Before the id of a delivery that nobody has signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """An event, and what it is."""

    event: Event
    reading: Reading


def receive(
    source: Source,
    headers: Mapping[str, str],
    body: bytes,
    *,
    at: Micros,
    verified: Verified = LOCAL,
    path: str = "",
    delivery: str = "",
) -> Received:
    """The event in a body that came from *source*; raises Malformed or LimitExceeded.

    Args:
        source: who sends.
        headers: with small letters, as `lowered` gives them.
        body: as it came.
        at: when it came.
        verified: how it is known who sent it.
        path: of a webhook, the path that it came to.
        delivery: an id for what has none of its own.

    """
    known = {**headers, "path": path} if path else headers
    payload = source.unpack(known, parse_body(known, body))
    kept = {name: known[name][:HEADER_CHARS_MAX] for name in source.headers if name in known}
    reading = source.read(kept, payload)
    # Nobody may take the id of a delivery that the real sender has yet to make.
    prefix = "" if verified.is_trusted else UNVERIFIED_PREFIX
    event = Event(
        source=f"{source.name}{path}",
        delivery=shortened(f"{prefix}{reading.delivery or delivery}"),
        received_at=at,
        kind=sources.kind_of(reading, source),
        payload=payload,
        headers=kept,
        verified=verified,
    )
    return Received(event=event, reading=reading)


def lowered(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers with small letters, as HTTP means them; what comes after HEADERS_MAX is not looked at."""
    return {name.lower(): value for name, value in list(headers.items())[:HEADERS_MAX]}


def shortened(delivery: str) -> str:
    """An id of a delivery; a digest in place of one that is too long, or that nobody could type."""
    if len(delivery) <= DELIVERY_CHARS_MAX and delivery.isprintable():
        return delivery
    return hashlib.sha256(delivery.encode("utf-8", "surrogatepass")).hexdigest()
