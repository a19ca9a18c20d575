"""When a failed attempt is repeated: a pure calculation."""

from __future__ import annotations

from towpath.core.run import Error, Micros
from towpath.definition.model import Retry

NEVER_RETRIED = frozenset({"cancelled", "rejected", "policy"})
"""Kinds of error that a repetition cannot mend: somebody decided so."""
_SEED_STEPS = 1 << 20


def next_attempt_at(retry: Retry, *, tries: int, error: Error, at: Micros, seed: int) -> Micros | None:
    """When the next attempt is due after *tries* of them; None when there is none.

    The wait before attempt n+1 is `delay × factor^(n-1)`, at most `max_delay`; with jitter it is drawn from its upper half.
    """
    if tries >= retry.attempts or error.kind in NEVER_RETRIED:
        return None
    seconds = retry.delay
    for _ in range(tries - 1):
        seconds *= retry.factor
        if seconds >= retry.max_delay:
            break
    seconds = min(seconds, retry.max_delay)
    if retry.jitter:
        seconds *= 0.5 + 0.5 * (seed % _SEED_STEPS) / _SEED_STEPS
    return at + round(seconds * 1_000_000)
