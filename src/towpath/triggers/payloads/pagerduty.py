"""PagerDuty: webhooks of version 3. An incident that was triggered is firing; what is in between tells of no alert."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from towpath.core.run import Json
from towpath.triggers.contract import AlertFacts, AlertNews, Malformed, Reading
from towpath.triggers.payloads.picking import fingerprint, pick, text

HEADERS: tuple[str, ...] = ("x-webhook-id",)
_STATUS: Mapping[str, Literal["firing", "resolved"]] = {
    "incident.triggered": "firing",
    "incident.reopened": "firing",
    "incident.resolved": "resolved",
}


def read(headers: Mapping[str, str], payload: Json) -> Reading:  # noqa: ARG001 - every shape is read the same way
    """What PagerDuty tells."""
    event = pick(payload, "event")
    told = text(event, "event_type")
    if not told:
        raise Malformed("this is no webhook of PagerDuty, version 3: it has no event.event_type")
    data = pick(event, "data")
    name = text(data, "title") or text(data, "summary")
    status = _STATUS.get(told)
    news = () if status is None else (AlertNews(name=name, status=status, labels=_labels(data)),)
    return Reading(
        kinds=("pagerduty",),
        delivery=text(event, "id") or fingerprint(payload),
        facts=AlertFacts(alerts=news),
        title=f"{told} {name}".strip(),
        note="" if status else f"{told} is neither the beginning of an incident nor its end",
    )


def _labels(data: Json) -> dict[str, str]:
    found = {
        "service": text(data, "service", "summary"),
        "service_id": text(data, "service", "id"),
        "urgency": text(data, "urgency"),
        "priority": text(data, "priority", "summary"),
        "severity": text(data, "priority", "summary") or text(data, "urgency"),
        "escalation_policy": text(data, "escalation_policy", "summary"),
    }
    return {name: value for name, value in found.items() if value}
