"""Jira: `webhookEvent` names the event; an issue whose status category became *done* is closed as well as updated."""

from __future__ import annotations

from collections.abc import Mapping

from towpath.core.run import Json
from towpath.triggers.contract import Malformed, Reading, TicketFacts
from towpath.triggers.payloads.picking import fingerprint, items, pick, text, texts

HEADERS = ("x-atlassian-webhook-identifier",)
_KINDS: Mapping[str, tuple[str, ...]] = {
    "jira:issue_created": ("created",),
    "jira:issue_updated": ("updated",),
    "comment_created": ("commented",),
}
_CLOSING = ("status", "resolution")


def read(headers: Mapping[str, str], payload: Json) -> Reading:
    """What Jira tells."""
    event, issue = text(payload, "webhookEvent"), pick(payload, "issue")
    if not event:
        raise Malformed("this is no webhook of Jira: it has no webhookEvent")
    kinds = [*_KINDS.get(event, ())]
    if event == "jira:issue_updated" and text(payload, "issue_event_type_name") == "issue_commented":
        kinds.append("commented")
    if event == "jira:issue_updated" and _is_closed(payload):
        kinds.append("closed")
    fields = pick(issue, "fields")
    told = (event, text(issue, "key"), pick(payload, "timestamp"), text(payload, "comment", "id"))
    return Reading(
        kinds=tuple(f"jira.{kind}" for kind in kinds),
        delivery=headers.get("x-atlassian-webhook-identifier") or fingerprint(*told),
        facts=TicketFacts(
            project=text(fields, "project", "key"),
            type=text(fields, "issuetype", "name"),
            labels=texts(fields, "labels"),
            fields=fields if isinstance(fields, Mapping) else {},
        ),
        title=f"{event} {text(issue, 'key')}".strip(),
        note="" if kinds else f"no trigger is called after {event}",
    )


def _is_closed(payload: Json) -> bool:
    """Whether this very change closed it, and not an earlier one."""
    is_done = text(payload, "issue", "fields", "status", "statusCategory", "key") == "done"
    return is_done and any(text(item, "field") in _CLOSING for item in items(payload, "changelog", "items"))
