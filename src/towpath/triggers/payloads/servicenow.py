"""ServiceNow: what a business rule or a flow sends, which people write themselves.

This is what is looked for: `action` (`insert` or `update`; `operation` is the same), `table`, `record` with the
record's fields, and, where one has it, `changed` with the names of the fields that changed.
`docs/howto/receive-events.md` has the rule to paste.
"""

from __future__ import annotations

from collections.abc import Mapping

from towpath.core.run import Json
from towpath.triggers.contract import Malformed, Reading, TicketFacts
from towpath.triggers.payloads.picking import fingerprint, pick, text, texts

HEADERS: tuple[str, ...] = ()
_COMMENTS = ("comments", "work_notes", "comments_and_work_notes")
_CLOSED = ("closed", "closed complete", "closed incomplete", "closed skipped", "7")
_STATES = ("state", "incident_state", "active")


def read(headers: Mapping[str, str], payload: Json) -> Reading:  # noqa: ARG001 - every shape is read the same way
    """What ServiceNow tells."""
    record = pick(payload, "record")
    action = (text(payload, "action") or text(payload, "operation")).lower()
    if not isinstance(record, Mapping) or action not in ("insert", "update", "delete"):
        raise Malformed(
            "this is no message of ServiceNow as it is expected here",
            help='Its body has to be: {"action": "insert" or "update", "table": …, "record": {…}}',
        )
    changed = texts(payload, "changed")
    kinds = {"insert": ["created"], "update": ["updated"], "delete": []}[action]
    if action == "update" and any(name in _COMMENTS for name in changed):
        kinds.append("commented")
    if (
        action == "update"
        and _is_closed(record)
        and (not changed or any(name in _STATES for name in changed))
    ):
        kinds.append("closed")
    table = text(payload, "table") or text(record, "sys_class_name")
    number = text(record, "number")
    told = [text(record, key) for key in ("sys_id", "number", "sys_mod_count", "sys_updated_on", "state")]
    return Reading(
        kinds=tuple(f"servicenow.{kind}" for kind in kinds),
        delivery=text(payload, "id") or fingerprint(action, table, told, sorted(changed)),
        facts=TicketFacts(
            project=table,
            type=text(record, "type") or text(record, "category") or table,
            labels=tuple(tag.strip() for tag in text(record, "sys_tags").split(",") if tag.strip()),
            fields=record,
        ),
        title=f"{action} {table} {number}".strip(),
        note="" if kinds else "a record was deleted",
    )


def _is_closed(record: Mapping[str, Json]) -> bool:
    """By its state, as a word or as the number that ServiceNow shows nobody."""
    state = pick(record, "state")
    shown = text(state, "display_value") or text(record, "state")
    return shown.lower() in _CLOSED
