"""Who there is, and who is on call."""

from __future__ import annotations

from typing import Any

from towpath.people.directory import Shift
from towpath.server.shapes.moments import stamp

Object = dict[str, Any]  # JSON


def shift_object(rota: str, shift: Shift) -> Object:
    """A time in which the same people are on call."""
    return {
        "rota": rota,
        "from": stamp(shift.start),
        "until": stamp(shift.end),
        "people": sorted(shift.duty.people),
        "principal": shift.duty.principal,
        "because": shift.duty.because,
        "reason": shift.duty.reason,
    }
