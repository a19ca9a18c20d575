"""What schedules start, and when."""

from __future__ import annotations

from typing import Any

from towpath.server.shapes.moments import stamp
from towpath.triggers.ahead import Start

Object = dict[str, Any]  # JSON


def start_object(start: Start) -> Object:
    """A start that a schedule has ahead."""
    return {
        "at": stamp(start.at),
        "scheduled_at": stamp(start.named),
        "workflow": start.workflow,
        "schedule": start.schedule,
        "timezone": start.timezone,
    }
