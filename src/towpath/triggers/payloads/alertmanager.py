"""Alertmanager, and Grafana's alerting, which sends the same shape.

Neither numbers its notifications, and both repeat them while an alert lasts. The news are: which alerts of which group, and what became of
each since when. So a repetition has the same fingerprint, and one alert more, or its end, has another.
"""

from __future__ import annotations

from collections.abc import Mapping

from towpath.core.run import Json
from towpath.triggers.contract import AlertFacts, AlertNews, Malformed, Reading
from towpath.triggers.payloads.picking import fingerprint, items, labels, text

HEADERS: tuple[str, ...] = ()
ALERTS_MAX = 1_000
"""Alerts of one notification that filters look at."""


def read(headers: Mapping[str, str], payload: Json) -> Reading:  # noqa: ARG001 - every shape is read the same way
    """What Alertmanager tells."""
    if not isinstance(payload, Mapping) or not isinstance(payload.get("alerts"), list):
        raise Malformed("this is no notification of Alertmanager: it has no alerts")
    return reading("alertmanager", payload)


def reading(kind: str, payload: Json) -> Reading:
    """What a notification with a list of alerts tells."""
    alerts = items(payload, "alerts")[:ALERTS_MAX]
    news = tuple(_news(alert) for alert in alerts)
    told = sorted(
        [
            text(alert, "fingerprint") or str(sorted(labels(alert, "labels").items())),
            one.status,
            *_times(alert),
        ]
        for alert, one in zip(alerts, news, strict=True)
    )
    names = ", ".join(dict.fromkeys(one.name for one in news))
    status = text(payload, "status")
    return Reading(
        kinds=(kind,),
        delivery=fingerprint(text(payload, "groupKey"), text(payload, "receiver"), told),
        facts=AlertFacts(alerts=news),
        title=f"{status} {names}".strip(),
        note="" if news else "it tells of no alert",
    )


def _news(alert: Json) -> AlertNews:
    said = labels(alert, "labels")
    is_resolved = text(alert, "status") == "resolved"
    return AlertNews(
        name=said.get("alertname", ""), status="resolved" if is_resolved else "firing", labels=said
    )


def _times(alert: Json) -> tuple[str, str]:
    is_resolved = text(alert, "status") == "resolved"
    return text(alert, "startsAt"), text(alert, "endsAt") if is_resolved else ""
