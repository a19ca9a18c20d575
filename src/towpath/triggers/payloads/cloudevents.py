"""CloudEvents 1.0 over HTTP, structured (all in the body) or binary (attributes in `ce-` headers); kept structured.

Source and id together name a delivery, as the specification says. A batch is refused: each of its events would need an answer of its own.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping

from towpath.core.run import Json
from towpath.triggers.contract import CloudEventFacts, Malformed, Reading
from towpath.triggers.payloads.picking import fingerprint, text

HEADERS: tuple[str, ...] = ()
_PREFIX = "ce-"
_NEEDED = ("id", "source", "specversion", "type")


def unpack(headers: Mapping[str, str], payload: Json) -> Json:
    """The event in its structured form, whichever way it came."""
    if isinstance(payload, list):
        raise Malformed("this is a batch of events", help="Have them sent one by one.")
    if "ce-specversion" not in headers:
        return payload
    attributes = {
        name.removeprefix(_PREFIX): urllib.parse.unquote(value)
        for name, value in headers.items()
        if name.startswith(_PREFIX)
    }
    if content_type := headers.get("content-type"):
        attributes["datacontenttype"] = content_type
    return {**attributes, "data": payload}


def read(headers: Mapping[str, str], payload: Json) -> Reading:  # noqa: ARG001 - every shape is read the same way
    """What the event tells."""
    missing = [name for name in _NEEDED if not text(payload, name)]
    if missing:
        raise Malformed(f"this is no event in the CloudEvents format: it has no {', '.join(missing)}")
    kind, source = text(payload, "type"), text(payload, "source")
    return Reading(
        kinds=("cloudevent",),
        delivery=fingerprint(source, text(payload, "id")),
        facts=CloudEventFacts(type=kind, source=source, subject=text(payload, "subject")),
        title=f"{kind} {source}",
    )
