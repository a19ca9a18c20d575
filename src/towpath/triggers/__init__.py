"""WHAT STARTS RUNS: what arrives from outside is kept, and each entry of `on:` says which run it starts, or why none."""

from towpath.triggers.contract import (
    BODY_BYTES_MAX,
    Event,
    EventId,
    Malformed,
    NobodyListens,
    RawRequest,
    Reading,
    Unverified,
    Verdict,
    Verified,
    Wanted,
)

__all__ = [
    "BODY_BYTES_MAX",
    "Event",
    "EventId",
    "Malformed",
    "NobodyListens",
    "RawRequest",
    "Reading",
    "Unverified",
    "Verdict",
    "Verified",
    "Wanted",
]
