"""What arrived from outside, and what every entry of `on:` makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from towpath.server.shapes.moments import stamp, stamp_or_none
from towpath.store.contract import EventRow

if TYPE_CHECKING:
    from towpath.triggers.contract import Verdict
    from towpath.triggers.receiving import Received

Object = dict[str, Any]  # JSON


def event_object(row: EventRow) -> Object:
    """An event and what it started; if nothing, why not."""
    return {
        "event": row.id,
        "source": row.source,
        "delivery": row.delivery,
        "kind": row.kind,
        "title": row.title,
        "received_at": stamp(row.received_at),
        "verified": row.way,
        "secrets": list(row.secrets),
        "state": row.state,
        "because": row.because,
        "settled_at": stamp_or_none(row.settled_at),
        "repeats": row.repeats,
        "reactions": [
            {
                "workflow": one.workflow,
                "entry": one.position + 1 if one.kind and not one.told else None,
                "kind": one.kind,
                "run": one.run,
                "told": one.told,
                "existing": one.existing,
                "held_until": stamp_or_none(one.held_until),
                "because": one.because,
                "is_failure": one.is_failure,
            }
            for one in row.reactions
        ],
    }


def trial_object(received: Received, verdicts: Sequence[Verdict]) -> Object:
    """What an event is, and what every entry of a workflow's `on:` would make of it."""
    return {
        "source": received.event.source,
        "kinds": list(received.reading.kinds),
        "delivery": received.event.delivery,
        "title": received.reading.title,
        "note": received.reading.note,
        "entries": [_verdict_object(verdict) for verdict in verdicts],
    }


def _verdict_object(verdict: Verdict) -> Object:
    wanted = verdict.wanted
    return {
        "workflow": verdict.workflow,
        "entry": verdict.position + 1,
        "kind": verdict.kind,
        "starts": wanted is not None,
        "because": verdict.because,
        "inputs": dict(wanted.inputs) if wanted else None,
        "start_key": wanted.start_key if wanted else None,
        "debounce_seconds": verdict.debounce / 1_000_000 if verdict.debounce is not None else None,
        "without_secrets": wanted.without_secrets if wanted else None,
    }
