"""Verification: the vectors that senders publish fit, and nothing that differs by a byte, a key or five minutes does."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest

from towpath.definition.triggers import Verify
from towpath.triggers import verifying
from towpath.triggers.contract import SKEW_SECONDS_MAX
from towpath.triggers.payloads import SOURCES

SECOND = 1_000_000
NOW = 1_700_000_000
SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
    b"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
    b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121."
    b"803a0bc887a14d10d2c447fce8b6703c"
)
VECTORS: list[tuple[str, dict[str, str], bytes, str, int]] = [
    # published by GitHub in “Validating webhook deliveries”
    (
        "github",
        {"x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
        b"Hello, World!",
        "It's a Secret to Everybody",
        NOW,
    ),
    # published by Slack in “Verifying requests from Slack”
    (
        "slack",
        {
            "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
            "x-slack-request-timestamp": "1531420618",
        },
        SLACK_BODY,
        "8f742231b10e8888abcd99yyyzzz85a5",
        1531420618,
    ),
    # published with the specification of Standard Webhooks, and with its forerunner
    (
        "cloudevent",
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,bm9ldHUjKzFob2VudXRob2VodWUzMjRvdWVvdW9ldQo= v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v2,x",
        },
        b'{"test": 2432232314}',
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        1614265330,
    ),
    (
        "gitlab",
        {
            "svix-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "svix-timestamp": "1614265330",
            "svix-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        b'{"test": 2432232314}',
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        1614265330,
    ),
]


def made(body: bytes, secret: str, text: bytes | None = None) -> str:
    """A signature as a sender makes it."""
    return hmac.new(secret.encode(), body if text is None else text, hashlib.sha256).hexdigest()


BODY = b'{"a": 1}'
MADE: list[tuple[str, dict[str, str], bytes, str, int]] = [
    ("gitlab", {"x-gitlab-token": "word"}, BODY, "word", NOW),
    ("gitea", {"x-gitea-signature": made(BODY, "k")}, BODY, "k", NOW),
    ("gitea", {"x-hub-signature-256": f"sha256={made(BODY, 'k')}"}, BODY, "k", NOW),
    ("bitbucket", {"x-hub-signature": f"sha256={made(BODY, 'k')}"}, BODY, "k", NOW),
    ("jira", {"x-hub-signature": f"sha256={made(BODY, 'k')}"}, BODY, "k", NOW),
    ("jira", {"authorization": "Bearer k"}, BODY, "k", NOW),
    ("pagerduty", {"x-pagerduty-signature": f"v1={'0' * 64},v1={made(BODY, 'k')}"}, BODY, "k", NOW),
    ("grafana", {"x-grafana-alerting-signature": made(BODY, "k")}, BODY, "k", NOW),
    (
        "grafana",
        {
            "x-grafana-alerting-signature": made(BODY, "k", f"{NOW}:".encode() + BODY),
            "x-grafana-alerting-timestamp": str(NOW),
        },
        BODY,
        "k",
        NOW,
    ),
    ("alertmanager", {"authorization": "Bearer word"}, BODY, "word", NOW),
    ("alertmanager", {"authorization": f"Basic {base64.b64encode(b'prom:word').decode()}"}, BODY, "word", NOW),
    ("datadog", {"authorization": "bearer word"}, BODY, "word", NOW),
    ("servicenow", {"authorization": "Bearer word"}, BODY, "word", NOW),
    ("jenkins", {"authorization": "Bearer word"}, BODY, "word", NOW),
]  # fmt: skip
ALL = [*VECTORS, *MADE]
TIMED = [one for one in ALL if any("timestamp" in name for name in one[1])]
SIGNED = [one for one in ALL if any("signature" in name for name in one[1])]


def ask(source: str, headers: dict[str, str], body: bytes, secret: str, now: float) -> str:
    """Why a delivery does not fit."""
    signed = verifying.Signed(headers=headers, body=body, now=round(now * SECOND))
    return verifying.SENDERS[source](signed, secret)


@pytest.mark.parametrize(("source", "headers", "body", "secret", "now"), ALL)
def test_what_the_sender_signed_fits(
    source: str, headers: dict[str, str], body: bytes, secret: str, now: int
) -> None:
    """A delivery with its own secret is let in; the published vectors of the senders are among them."""
    assert ask(source, headers, body, secret, now) == ""


@pytest.mark.parametrize(("source", "headers", "body", "secret", "now"), ALL)
def test_another_secret_does_not_fit(
    source: str, headers: dict[str, str], body: bytes, secret: str, now: int
) -> None:
    """No other secret fits, and an empty one never does."""
    for other in (f"{secret}x", secret[:-1], secret.swapcase(), "", "whsec_" + "AAAA" * 8):
        assert ask(source, headers, body, other, now) != ""


@pytest.mark.parametrize(("source", "headers", "body", "secret", "now"), SIGNED)
def test_a_changed_body_does_not_fit(
    source: str, headers: dict[str, str], body: bytes, secret: str, now: int
) -> None:
    """One byte more, less or different, and the signature is wrong: it is over the bytes, not over their meaning."""
    for changed in (body + b" ", body[:-1], b" " + body, body.swapcase(), b""):
        assert ask(source, headers, changed, secret, now) == "the signature does not fit"


@pytest.mark.parametrize(("source", "headers", "body", "secret", "now"), ALL)
def test_a_header_that_is_missing_or_nonsense_does_not_fit(
    source: str, headers: dict[str, str], body: bytes, secret: str, now: int
) -> None:
    """Without its headers, or with anything else in them, nothing is let in and nothing breaks."""
    assert ask(source, {}, body, secret, now) != ""
    for name in headers:
        for value in ("", "x", "sha256=", "v0=", "v1,", "Bearer", "Basic %%%", "\udcff", "ÿ", "9" * 40):
            assert ask(source, {**headers, name: value}, body, secret, now) != ""
        assert ask(source, {one: headers[one] for one in headers if one != name}, body, secret, now) != ""


@pytest.mark.parametrize(("source", "headers", "body", "secret", "now"), TIMED)
@pytest.mark.parametrize(
    ("off", "is_let_in"),
    [
        (SKEW_SECONDS_MAX, True),
        (-SKEW_SECONDS_MAX, True),
        (SKEW_SECONDS_MAX + 1, False),
        (-SKEW_SECONDS_MAX - 1, False),
    ],
)
def test_an_old_signature_does_not_fit(
    source: str, headers: dict[str, str], body: bytes, secret: str, now: int, off: int, is_let_in: bool
) -> None:
    """A captured delivery is no good five minutes later, and one from the future neither."""
    assert is_let_in is (ask(source, headers, body, secret, now + off) == "")


WAYS: list[tuple[dict[str, Any], dict[str, str], str]] = [
    ({"hmac": {"secret": "s"}}, {"x-signature-256": f"sha256={made(BODY, 'k')}"}, ""),
    ({"hmac": {"secret": "s"}}, {"x-signature-256": made(BODY, "k")}, "X-Signature-256 does not begin with sha256="),
    ({"hmac": {"secret": "s"}}, {}, "it has no X-Signature-256"),
    (
        {"hmac": {"secret": "s", "header": "X-Sum", "prefix": "", "algorithm": "sha512", "encoding": "base64"}},
        {"x-sum": base64.b64encode(hmac.new(b"k", BODY, hashlib.sha512).digest()).decode()},
        "",
    ),
    (
        {"hmac": {"secret": "s", "prefix": "", "timestamp_header": "X-Time"}},
        {"x-signature-256": made(BODY, "k", f"{NOW}.".encode() + BODY), "x-time": str(NOW)},
        "",
    ),
    (
        {"hmac": {"secret": "s", "prefix": "", "timestamp_header": "X-Time"}},
        {"x-signature-256": made(BODY, "k", f"{NOW}000.".encode() + BODY), "x-time": f"{NOW}000"},
        "",
    ),
    (
        {"hmac": {"secret": "s", "prefix": "", "timestamp_header": "X-Time"}},
        {"x-signature-256": made(BODY, "k")},
        "it has no time in X-Time",
    ),
    ({"token": {"secret": "s"}}, {"authorization": "Bearer k"}, ""),
    ({"token": {"secret": "s", "header": "X-Word", "prefix": ""}}, {"x-word": "k"}, ""),
    ({"token": {"secret": "s"}}, {"authorization": "k"}, "the secret word does not fit"),
    ({"standard_webhooks": {"secret": "s"}}, {}, "it has no webhook-id, webhook-timestamp and webhook-signature"),
]  # fmt: skip


@pytest.mark.parametrize(("verify", "headers", "because"), WAYS)
def test_a_webhook_is_verified_as_its_trigger_says(
    verify: dict[str, Any], headers: dict[str, str], because: str
) -> None:
    """Header, prefix, hash, encoding and time are those of `verify`."""
    check = verifying.check_of(Verify.model_validate(verify))

    assert because == check(verifying.Signed(headers=headers, body=BODY, now=NOW * SECOND), "k")


def test_every_sender_has_its_way() -> None:
    """No source whose events come from elsewhere is without verification."""
    remote = {source.name for source in SOURCES.values() if source.is_remote} - {"webhook"}

    assert remote == set(verifying.SENDERS)
