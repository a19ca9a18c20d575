"""Datadog: the payload of its webhooks is a template that people write themselves.

Datadog's own default tells hardly anything, so this is what is looked for, under the names of Datadog's variables:
`id`, `title`, `alert_transition`, `alert_id`, `alert_title`, `alert_type`, `tags`, `last_updated`. Where there is
no transition, the title's beginning tells it: `[Triggered]`, `[Recovered]`, …
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from towpath.core.run import Json
from towpath.triggers.contract import AlertFacts, AlertNews, Malformed, Reading
from towpath.triggers.payloads.picking import fingerprint, pick, text, texts

HEADERS: tuple[str, ...] = ()
_TITLE = re.compile(r"\[([A-Za-z ]{1,40})(?: on [^\]]{0,200})?\] *(.*)", re.DOTALL)


def read(headers: Mapping[str, str], payload: Json) -> Reading:  # noqa: ARG001 - every shape is read the same way
    """What Datadog tells."""
    if not isinstance(payload, Mapping) or not (text(payload, "title") or text(payload, "alert_title")):
        raise Malformed(
            "this is no webhook of Datadog: it has no title",
            help='Its payload has to say: "title": "$EVENT_TITLE", "alert_transition": "$ALERT_TRANSITION"',
        )
    title = text(payload, "title") or text(payload, "alert_title")
    found = _TITLE.match(title)
    transition = text(payload, "alert_transition") or (found[1] if found else "")
    is_over = (
        transition.lower().startswith(("recovered", "resolved")) or text(payload, "alert_type") == "success"
    )
    name = text(payload, "alert_title") or (found[2] if found else title)
    told = [text(payload, key) for key in ("id", "alert_id", "alert_cycle_key", "last_updated", "title")]
    return Reading(
        kinds=("datadog",),
        delivery=fingerprint(transition, *told),
        facts=AlertFacts(
            alerts=(AlertNews(name=name, status="resolved" if is_over else "firing", labels=_tags(payload)),)
        ),
        title=title,
    )


def _tags(payload: Json) -> dict[str, str]:
    """`env:prod,team:shop`, or a list of such texts."""
    said = pick(payload, "tags")
    parts = said.split(",") if isinstance(said, str) else texts(payload, "tags")
    pairs = (part.strip().partition(":") for part in parts if part.strip())
    return {name: value for name, _, value in pairs}
