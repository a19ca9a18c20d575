"""Grafana: its alerting sends Alertmanager's shape; the legacy alerts of old versions have one of their own."""

from __future__ import annotations

from collections.abc import Mapping

from towpath.core.run import Json
from towpath.triggers.contract import AlertFacts, AlertNews, Malformed, Reading
from towpath.triggers.payloads import alertmanager
from towpath.triggers.payloads.picking import fingerprint, labels, pick, text

HEADERS: tuple[str, ...] = ()


def read(headers: Mapping[str, str], payload: Json) -> Reading:  # noqa: ARG001 - every shape is read the same way
    """What Grafana tells."""
    if not isinstance(payload, Mapping):
        raise Malformed("this is no notification of Grafana")
    if isinstance(payload.get("alerts"), list):
        return alertmanager.reading("grafana", payload)
    if "ruleName" in payload or "ruleId" in payload:
        return _legacy(payload)
    raise Malformed("this is no notification of Grafana: it has neither alerts nor a ruleName")


def _legacy(payload: Json) -> Reading:
    state, name = text(payload, "state"), text(payload, "ruleName")
    is_known = state in ("alerting", "ok", "no_data")
    news = AlertNews(
        name=name, status="resolved" if state == "ok" else "firing", labels=labels(payload, "tags")
    )
    return Reading(
        kinds=("grafana",),
        delivery=fingerprint(text(payload, "ruleId"), state, pick(payload, "evalMatches")),
        facts=AlertFacts(alerts=(news,)),
        title=f"{state} {name}",
        note="" if is_known else f"the state {state!r} is neither an alert nor its end",
    )
