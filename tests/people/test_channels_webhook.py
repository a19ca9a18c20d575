"""Webhooks, against a real HTTP server and through the guarded egress."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from http_support import answering
from outbox_support import NOW, notice, sending

from towpath.people.channels.contract import SendFailed
from towpath.people.channels.webhook import WebhookChannel, key_of, retry_after, signature
from towpath.steps.egress import EgressPolicy, GuardedEgress

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def channel(url: str, *, key: str | None = None, policy: EgressPolicy | None = None) -> WebhookChannel:
    """A webhook channel as towpath.yaml makes one."""
    return WebhookChannel(
        egress=GuardedEgress(policy), url=lambda: url, signing_key=None if key is None else lambda: key
    )


async def test_a_notice_arrives_as_signed_json() -> None:
    """The body says all there is to know, and the signature is that of Standard Webhooks over id, time and body."""
    async with answering() as server:
        await channel(f"{server.url}/hook?x=1", key=KEY).send(sending(notice(evidence=(("scan", "clean"),))))

    (request,) = server.received
    said = json.loads(request.body)
    assert request.line == "POST /hook?x=1 HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "tow_0123456789abcdef"
    assert request.headers["webhook-timestamp"] == str(NOW // 1_000_000)
    signed = b"tow_0123456789abcdef." + request.headers["webhook-timestamp"].encode() + b"." + request.body
    digest = hmac.new(base64.b64decode(KEY.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    assert request.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    assert (said["type"], said["timestamp"]) == ("question.asked", "2026-11-23T02:13:20.000+00:00")
    assert said["data"] | {"text": ""} == {
        "notice": "r1/go_live#0@1!asked1",
        "run": 12,
        "run_id": "r1",
        "workflow": "release_shop",
        "path": "go_live",
        "why": "asked",
        "number": 0,
        "kind": "approval",
        "question": "Release v1.4.2 to production?",
        "instructions": "",
        "choices": ["approve", "reject"],
        "quorum": 1,
        "answered_by": [],
        "evidence": {"scan": "clean"},
        "to": ["ada", "ben"],
        "asked": ["group:release_managers", "oncall:platform"],
        "recipient": "user:ada",
        "address": "ada@example.com",
        "until": "2026-11-23T03:43:20.000+00:00",
        "if_unanswered": "reject",
        "decision": None,
        "by": None,
        "comment": "",
        "started_by": "user:carla",
        "url": "",
        "attempt": 1,
        "subject": "Approval wanted: release_shop #12, go_live",
        "text": "",
    }


async def test_every_attempt_has_the_same_id() -> None:
    """A receiver tells a repetition by `webhook-id`; the time is that of the attempt."""
    async with answering() as server:
        await channel(server.url, key=KEY).send(sending())
        await channel(server.url, key=KEY).send(sending(attempt=2, at=NOW + 5_000_000))

    ids = [request.headers["webhook-id"] for request in server.received]
    times = [int(request.headers["webhook-timestamp"]) for request in server.received]
    assert ids == [ids[0]] * 2
    assert times[1] - times[0] == 5


async def test_without_a_key_there_is_no_signature() -> None:
    """A URL that is itself the secret needs none."""
    async with answering() as server:
        await channel(server.url).send(sending())

    assert "webhook-signature" not in server.received[0].headers


def test_the_signature_is_the_one_of_the_standard() -> None:
    """The example of the standard's own libraries comes out."""
    made = signature(
        key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        key_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        stamp="1614265330",
        body=b'{"test": 2432232314}',
    )

    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("answer", "is_final", "after", "said"),
    [
        ({"status": "500 Oops", "body": b"stack\ntrace"}, False, None, "answered 500: stack trace"),
        ({"status": "403 Forbidden", "body": b""}, False, None, "answered 403"),
        ({"status": "410 Gone", "body": b""}, True, None, "answered 410"),
        ({"status": "429 Slow", "headers": ("Retry-After: 90",), "body": b""}, False, 90.0, "answered 429"),
        ({"status": "302 Found", "headers": ("Location: /x",)}, False, None, "the address has moved"),
    ],
)
async def test_what_is_answered_decides_what_is_next(
    answer: dict[str, Any], is_final: bool, after: float | None, said: str
) -> None:
    """Only `Gone` is final; who asks for time gets it; a redirect is not followed."""
    async with answering(**answer) as server:
        with pytest.raises(SendFailed) as failed:
            await channel(server.url).send(sending())

    assert len(server.received) == 1
    assert (failed.value.is_final, failed.value.retry_after_seconds) == (is_final, after)
    assert said in failed.value.message


async def test_requests_go_where_the_project_lets_them() -> None:
    """A webhook passes the same guard as every request of a step, and what is denied is not tried again."""
    async with answering() as server:
        with pytest.raises(SendFailed, match="denied") as failed:
            await channel(server.url, policy=EgressPolicy(loopback=False)).send(sending())

    assert (server.received, failed.value.is_final) == ([], True)


async def test_a_server_that_is_not_there_is_tried_again() -> None:
    """A refused connection may be accepted later."""
    async with answering() as server:
        pass
    with pytest.raises(SendFailed) as failed:
        await channel(server.url).send(sending())

    assert not failed.value.is_final


@pytest.mark.parametrize("key", ["short", "whsec_c2hvcnQ=", "whsec_not*base64*at*all*whatever*you*do"])
async def test_a_weak_or_broken_key_is_not_used(key: str) -> None:
    """Nothing is sent with a key that protects nothing, and the key is not repeated."""
    async with answering() as server:
        with pytest.raises(SendFailed) as failed:
            await channel(server.url, key=key).send(sending())

    assert (server.received, failed.value.is_final) == ([], True)
    assert key not in failed.value.message


def test_a_plain_text_can_be_a_key() -> None:
    """A secret that is not in the standard's form is taken as it is."""
    assert key_of("a plain text that is long enough\n") == b"a plain text that is long enough"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("120", 120.0),
        ("Mon, 23 Nov 2026 02:14:20 GMT", 60.0),
        ("Mon, 23 Nov 2020 02:14:20 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("9" * 400, None),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str, expected: float | None) -> None:
    """Seconds or a date; what is neither asks for nothing."""
    assert retry_after(value, at=NOW) == expected
