"""What each status looks like: its picture, its tone and its word. The one table for runs, steps, questions and events."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

Tone: TypeAlias = Literal["good", "bad", "busy", "warn", "ask", "calm"]


class State(NamedTuple):
    """How a status is shown."""

    icon: str
    tone: Tone
    word: str


_STATES: Final[Mapping[str, State]] = MappingProxyType(
    {
        # Runs.
        "queued": State("queued", "calm", "queued"),
        "running": State("busy", "busy", "running"),
        "waiting": State("wait", "warn", "waiting"),
        "succeeded": State("ok", "good", "succeeded"),
        "partially_succeeded": State("partly", "warn", "partially succeeded"),
        "failed": State("bad", "bad", "failed"),
        "rolled_back": State("undone", "warn", "rolled back"),
        "rollback_failed": State("bad", "bad", "rollback failed"),
        "rejected": State("stopped", "bad", "rejected"),
        "cancelled": State("stopped", "warn", "cancelled"),
        "skipped": State("skipped", "calm", "skipped"),
        # Steps.
        "pending": State("pending", "calm", "not yet"),
        "open": State("busy", "busy", "running"),
        "performing": State("busy", "busy", "running"),
        "retrying": State("wait", "warn", "waits to retry"),
        "asking": State("ask", "ask", "asks people"),
        "undone": State("undone", "warn", "undone"),
        "reset": State("pending", "calm", "runs again"),
        # What comes from outside, and what people are told.
        "matched": State("ok", "good", "started a run"),
        "ignored": State("skipped", "calm", "ignored"),
        "held": State("wait", "warn", "held"),
        "new": State("queued", "calm", "new"),
        "sent": State("ok", "good", "sent"),
        "sending": State("busy", "busy", "being sent"),
        "given_up": State("bad", "bad", "given up"),
        "recalled": State("stopped", "calm", "recalled"),
        "unreachable": State("bad", "bad", "nobody reached"),
        # Versions of workflows.
        "current": State("ok", "good", "current"),
        "canary": State("busy", "busy", "being tried"),
        "aborted": State("stopped", "bad", "sent back"),
        "former": State("skipped", "calm", "former"),
        # Parts of the server.
        "ok": State("ok", "good", "in order"),
        "warning": State("warn", "warn", "warning"),
        "broken": State("bad", "bad", "broken"),
    }
)


def state_of(status: str) -> State:
    """How a status is shown; one that nobody knows is shown by its word."""
    return _STATES.get(status) or State("pending", "calm", status.replace("_", " "))
