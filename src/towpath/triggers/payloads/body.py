"""The bytes of a delivery as a value: JSON, a form, or plain text. Limits hold before anything is built from it."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping

import msgspec

from towpath.core.run import Json
from towpath.errors import LimitExceeded
from towpath.triggers.contract import BODY_BYTES_MAX, PAYLOAD_DEPTH_MAX, Malformed

FORM = "application/x-www-form-urlencoded"
FORM_FIELDS_MAX = 1_000


def check_size(body: bytes) -> None:
    """Refuse a body that is too long; the first thing that is asked of one."""
    if len(body) > BODY_BYTES_MAX:
        raise LimitExceeded(
            f"a delivery of {len(body):,} bytes is longer than BODY_BYTES_MAX ({BODY_BYTES_MAX:,})",
            limit="BODY_BYTES_MAX",
            help="Have the sender tell less.",
        )


def parse_body(headers: Mapping[str, str], body: bytes) -> Json:
    """The value of a body; a text that is neither JSON nor a form is `{body: …}`. Raises Malformed or LimitExceeded."""
    check_size(body)
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == FORM:
        return _form(body)
    if content_type.endswith("json") or body.lstrip()[:1] in (b"{", b"["):
        return _json(body)
    return {"body": _text(body)}


def _json(body: bytes) -> Json:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Malformed(f"the body is not JSON: {error}", help="Look at what the sender sends.") from None
    if not _is_shallow(value):
        raise LimitExceeded(
            f"the body has more than PAYLOAD_DEPTH_MAX ({PAYLOAD_DEPTH_MAX}) lists and maps inside each other",
            limit="PAYLOAD_DEPTH_MAX",
            help="Have the sender tell it flatter.",
        )
    return value


def _is_shallow(value: Json) -> bool:
    """Whether nothing lies deeper than the limit; level by level, so that depth costs no stack."""
    level = [value]
    for _ in range(PAYLOAD_DEPTH_MAX + 1):
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return True
    return False


def _inside(value: Json) -> list[Json]:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [child for child in children if isinstance(child, dict | list)]


def _form(body: bytes) -> Json:
    """The fields of a form; `payload` alone is how some senders wrap their JSON."""
    try:
        fields = urllib.parse.parse_qs(
            _text(body), keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX, strict_parsing=bool(body)
        )
    except ValueError as error:
        raise Malformed(f"the body is not a form: {error}") from None
    if list(fields) == ["payload"] and len(fields["payload"]) == 1:
        return _json(fields["payload"][0].encode())
    return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Malformed("the body is neither JSON nor UTF-8 text") from None
