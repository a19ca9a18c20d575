"""WHAT STARTS RUNS: what arrives from outside is kept, and each entry of `on:` says which run it starts, or why none."""

from towpath.triggers.contract import (
    BODY_BYTES_MAX,
    Event,
    Malformed,
    NobodyListens,
    RawRequest,
    Reading,
    Unverified,
    Verdict,
    Verified,
    Wanted,
)
from towpath.triggers.deciding import Decider, Runs
from towpath.triggers.inbox import Inbox, Receipt

__all__ = [
    "BODY_BYTES_MAX",
    "Decider",
    "Event",
    "Inbox",
    "Malformed",
    "NobodyListens",
    "RawRequest",
    "Reading",
    "Receipt",
    "Runs",
    "Unverified",
    "Verdict",
    "Verified",
    "Wanted",
]
