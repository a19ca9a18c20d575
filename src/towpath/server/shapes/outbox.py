"""Who was told what, and what became of it."""

from __future__ import annotations

from typing import Any

from towpath.people import sendings
from towpath.server.shapes.moments import stamp, stamp_or_none
from towpath.store.contract import SendingRow

Object = dict[str, Any]  # JSON


def sending_object(row: SendingRow) -> Object:
    """One notice for one recipient through one channel."""
    notice = sendings.notice_of(row)
    return {
        "id": row.id,
        "notice": row.notice,
        "run_number": row.run,
        "path": row.path,
        "why": row.why,
        "number": None if notice is None else notice.number,
        "at": stamp(row.at),
        "recipient": row.recipient,
        "channel": row.channel or None,
        "address": row.address or None,
        "state": row.state,
        "attempts": row.attempts,
        "due_at": stamp(row.due_at) if row.state == "waiting" else None,
        "tried_at": stamp_or_none(row.tried_at),
        "ended_at": stamp_or_none(row.ended_at),
        "error": row.error or None,
    }
