"""A notice as JSON to somebody's URL, signed as Standard Webhooks (standardwebhooks.com) has it.

`webhook-id` is the sending's key: the same for every attempt, so that a receiver who has seen it already can answer 2xx and do nothing.
`webhook-signature` is HMAC-SHA256 over id, time and body. Requests go through the guarded egress; a redirect is not followed, because
the body was meant for the address that the operator wrote.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import datetime
import email.utils
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from towpath.people.channels.contract import SEND_SECONDS_MAX, SendFailed
from towpath.steps.contract import ActionFailed, Egress, HttpRequest

if TYPE_CHECKING:
    from towpath.people.channels.contract import Micros, Sending
    from towpath.steps.contract import HttpResponse

KEY_BYTES_MIN: Final = 24
"""The shortest signing key, as the standard has it."""
ANSWER_BYTES_MAX: Final = 64 * 1024
ANSWER_CHARS_SHOWN: Final = 200
_GONE: Final = 410
_SECOND: Final = 1_000_000
_PREFIX: Final = "whsec_"


class WebhookChannel:
    """Posts notices to one URL."""

    def __init__(
        self, *, egress: Egress, url: Callable[[], str], signing_key: Callable[[], str] | None = None
    ) -> None:
        self._egress = egress
        self._url = url
        self._signing_key = signing_key

    async def send(self, sending: Sending) -> None:
        """Posts one notice; any status of 2xx is a receipt, 410 says never to come back."""
        body = json.dumps(payload(sending), ensure_ascii=False, separators=(",", ":")).encode()
        url, headers = await asyncio.to_thread(lambda: (self._url(), self._headers(sending, body)))
        request = HttpRequest(
            method="POST",
            url=url,
            headers=headers,
            body=body,
            timeout_seconds=SEND_SECONDS_MAX,
            follow_redirects=False,
            response_bytes_max=ANSWER_BYTES_MAX,
        )
        try:
            response = await self._egress.send(request)
        except ActionFailed as failed:
            is_final = failed.kind in ("denied", "invalid")
            raise SendFailed(failed.message, is_final=is_final, help=failed.help) from None
        _judge(response, at=sending.at)

    def _headers(self, sending: Sending, body: bytes) -> Mapping[str, str]:
        stamp = str(sending.at // _SECOND)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": sending.key,
            "webhook-timestamp": stamp,
        }
        if self._signing_key is not None:
            key = key_of(self._signing_key())
            headers["webhook-signature"] = signature(key, key_id=sending.key, stamp=stamp, body=body)
        return headers


def signature(key: bytes, *, key_id: str, stamp: str, body: bytes) -> str:
    """The value of `webhook-signature`."""
    signed = f"{key_id}.{stamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode("ascii")


def key_of(secret: str) -> bytes:
    """The bytes of a signing key: `whsec_` and base64, as the standard writes it, or the text itself."""
    text = secret.strip()
    if not text.startswith(_PREFIX):
        key = text.encode()
    else:
        try:
            key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            raise SendFailed(
                "the secret begins with whsec_, but what follows is not base64", is_final=True
            ) from None
    if len(key) < KEY_BYTES_MIN:
        raise SendFailed(
            f"the signing key has {len(key)} bytes, and at least {KEY_BYTES_MIN} are needed",
            is_final=True,
            help='make one with: echo "whsec_$(openssl rand -base64 32)"',
        )
    return key


def payload(sending: Sending) -> dict[str, Any]:
    """What is posted: a type, a time and the notice, with its text for those who only show it."""
    notice = sending.notice
    return {
        "type": f"question.{notice.why}",
        "timestamp": _iso(notice.at),
        "data": {
            "notice": notice.id,
            "run": notice.run,
            "run_id": notice.run_id,
            "workflow": notice.workflow,
            "path": notice.path,
            "why": notice.why,
            "number": notice.number,
            "kind": notice.kind,
            "question": notice.question,
            "instructions": notice.instructions,
            "choices": list(notice.choices),
            "quorum": notice.quorum,
            "answered_by": list(notice.answered_by),
            "evidence": dict(notice.evidence),
            "to": sorted(notice.to),
            "asked": list(notice.asked),
            "recipient": sending.recipient,
            "address": sending.address,
            "until": None if notice.until is None else _iso(notice.until),
            "if_unanswered": notice.if_unanswered,
            "decision": notice.decision or None,
            "by": notice.by or None,
            "comment": notice.comment,
            "started_by": notice.started_by,
            "url": notice.url,
            "attempt": sending.attempt,
            "subject": sending.text.subject,
            "text": sending.text.plain,
        },
    }


def _iso(at: Micros) -> str:
    try:
        return datetime.datetime.fromtimestamp(at / _SECOND, datetime.UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):
        return "9999-12-31T23:59:59.999+00:00"


def _judge(response: HttpResponse, *, at: Micros) -> None:
    if 200 <= response.status < 300:  # noqa: PLR2004 - success
        return
    if 300 <= response.status < 400:  # noqa: PLR2004 - elsewhere
        raise SendFailed(
            f"answered {response.status}: the address has moved",
            help="write the new address into towpath.yaml",
        )
    shown = " ".join(response.body[:ANSWER_CHARS_SHOWN].decode(errors="replace").split())
    raise SendFailed(
        f"answered {response.status}" + (f": {shown}" if shown else ""),
        is_final=response.status == _GONE,
        retry_after_seconds=retry_after(response.headers.get("retry-after", ""), at=at),
    )


def retry_after(value: str, *, at: Micros) -> float | None:
    """The seconds that a `Retry-After` asks for, written as seconds or as a date; None where it asks for nothing."""
    if re.fullmatch(r"\d{1,9}", value.strip()):
        return float(value)
    try:
        until = email.utils.parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=datetime.UTC)
    return max(0.0, until.timestamp() - at / _SECOND)
