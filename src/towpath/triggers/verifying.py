"""Who sent this? Signatures and secret words, checked over the bytes as they came and in constant time.

Every way of signing is one function: it is given the request, the secret and the time, and says why the request does not fit, or nothing.
A signature that tells when it was made is only good for `SKEW_SECONDS_MAX`, so that a captured request cannot be sent again later; that the
same delivery counts once is the inbox' part.

No reason ever tells anything about the secret, or how much of a signature was right.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from towpath.core.run import Micros
from towpath.definition.triggers import HmacVerifier, StandardWebhooksVerifier, TokenVerifier, Verify
from towpath.triggers.contract import SKEW_SECONDS_MAX

MILLISECONDS_FROM = 100_000_000_000
"""A time that is larger than this counts milliseconds: as seconds it would be the year 5138."""
_MICROS = 1_000_000
_MISMATCH = "the signature does not fit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A request that is to be verified."""

    headers: Mapping[str, str]
    """With small letters."""
    body: bytes
    now: Micros


Check = Callable[[Signed, str], str]
"""Why a request does not fit a secret; empty where it does."""


def hmac_check(verifier: HmacVerifier) -> Check:
    """A signature over the body, or over `time.body` where a header tells the time."""

    def check(signed: Signed, secret: str) -> str:
        given = signed.headers.get(verifier.header.lower(), "")
        if not given:
            return f"it has no {verifier.header}"
        if not given.startswith(verifier.prefix):
            return f"{verifier.header} does not begin with {verifier.prefix}"
        text = signed.body
        if verifier.timestamp_header is not None:
            time = signed.headers.get(verifier.timestamp_header.lower(), "")
            late = _late(time, signed.now, verifier.timestamp_header)
            if late:
                return late
            text = time.encode() + b"." + signed.body
        signature = given.removeprefix(verifier.prefix)
        return _compared(
            _sum(secret.encode(), text, verifier.algorithm), signature, encoding=verifier.encoding
        )

    return check


def token_check(verifier: TokenVerifier) -> Check:
    """A secret word in a header."""

    def check(signed: Signed, secret: str) -> str:
        given = signed.headers.get(verifier.header.lower(), "")
        if not given:
            return f"it has no {verifier.header}"
        return _equal(given, verifier.prefix + secret)

    return check


def standard_webhooks(signed: Signed, secret: str) -> str:
    """The signature of standardwebhooks.com, which tells its id and its time too; several keys may have signed."""
    found = [standard_header(signed.headers, name) for name in ("id", "timestamp", "signature")]
    message, time, signatures = found
    if not all(found):
        return "it has no webhook-id, webhook-timestamp and webhook-signature"
    late = _late(time, signed.now, "webhook-timestamp")
    if late:
        return late
    key = _standard_key(secret)
    if key is None:
        return "the secret is no key in base64, such as whsec_…"
    told = f"{message}.{time}.".encode("utf-8", "surrogatepass")
    right = _sum(key, told + signed.body, "sha256")
    given = [one.removeprefix("v1,") for one in signatures.split(" ") if one.startswith("v1,")]
    fits = [not _compared(right, one, encoding="base64") for one in given]
    return "" if any(fits) else _MISMATCH


def standard_header(headers: Mapping[str, str], name: str) -> str:
    """A header of Standard Webhooks, also under the name that it had before there was a standard."""
    return headers.get(f"webhook-{name}") or headers.get(f"svix-{name}", "")


def check_of(verify: Verify) -> Check:
    """The check that a webhook's `verify` says."""
    match verify:
        case Verify(hmac=HmacVerifier() as verifier):
            return hmac_check(verifier)
        case Verify(token=TokenVerifier() as verifier):
            return token_check(verifier)
        case _:
            assert isinstance(verify.standard_webhooks, StandardWebhooksVerifier)  # the loader saw to it
            return standard_webhooks


# --- what each sender does -----------------------------------------------------------------------------------


def _github(signed: Signed, secret: str) -> str:
    return _signed(signed, secret, "X-Hub-Signature-256")


def _signed(signed: Signed, secret: str, header: str, *, prefix: str = "sha256=") -> str:
    """A signature over the body, in hexadecimal digits."""
    given = signed.headers.get(header.lower(), "")
    if not given:
        return f"it has no {header}"
    if not given.startswith(prefix):
        return f"{header} does not begin with {prefix}"
    return _compared(_sum(secret.encode(), signed.body, "sha256"), given.removeprefix(prefix), encoding="hex")


def _hub_signature(signed: Signed, secret: str) -> str:
    """Bitbucket and Jira: GitHub's old header, with a hash that is good enough."""
    return _signed(signed, secret, "X-Hub-Signature")


def _gitlab(signed: Signed, secret: str) -> str:
    if "x-gitlab-token" in signed.headers:
        return _equal(signed.headers["x-gitlab-token"], secret)
    if standard_header(signed.headers, "signature"):
        return standard_webhooks(signed, secret)
    return "it has no X-Gitlab-Token"


def _gitea(signed: Signed, secret: str) -> str:
    for name in ("X-Gitea-Signature", "X-Forgejo-Signature", "X-Gogs-Signature"):
        if name.lower() in signed.headers:
            return _signed(signed, secret, name, prefix="")
    return _github(signed, secret)


def _slack(signed: Signed, secret: str) -> str:
    time = signed.headers.get("x-slack-request-timestamp", "")
    given = signed.headers.get("x-slack-signature", "")
    if not given:
        return "it has no X-Slack-Signature"
    late = _late(time, signed.now, "X-Slack-Request-Timestamp")
    if late:
        return late
    right = _sum(secret.encode(), f"v0:{time}:".encode() + signed.body, "sha256")
    return _compared(right, given.removeprefix("v0="), encoding="hex")


def _pagerduty(signed: Signed, secret: str) -> str:
    given = signed.headers.get("x-pagerduty-signature", "")
    if not given:
        return "it has no X-PagerDuty-Signature"
    right = _sum(secret.encode(), signed.body, "sha256")
    signatures = [
        one.strip().removeprefix("v1=") for one in given.split(",") if one.strip().startswith("v1=")
    ]
    fits = [not _compared(right, one, encoding="hex") for one in signatures]
    return "" if any(fits) else _MISMATCH


def _grafana(signed: Signed, secret: str) -> str:
    given = signed.headers.get("x-grafana-alerting-signature", "")
    if not given:
        return _authorization(signed, secret)
    time = signed.headers.get("x-grafana-alerting-timestamp", "")
    text = signed.body
    if time:
        late = _late(time, signed.now, "X-Grafana-Alerting-Timestamp")
        if late:
            return late
        text = time.encode() + b":" + signed.body
    return _compared(_sum(secret.encode(), text, "sha256"), given, encoding="hex")


def _jira(signed: Signed, secret: str) -> str:
    if "x-hub-signature" in signed.headers:
        return _hub_signature(signed, secret)
    return _authorization(signed, secret)


def _signed_or_authorized(signed: Signed, secret: str) -> str:
    if standard_header(signed.headers, "signature"):
        return standard_webhooks(signed, secret)
    return _authorization(signed, secret)


def _authorization(signed: Signed, secret: str) -> str:
    """The secret as a bearer token, or as the password of anybody: what senders can do that cannot sign."""
    scheme, _, given = signed.headers.get("authorization", "").partition(" ")
    match scheme.lower():
        case "bearer":
            return _equal(given.strip(), secret)
        case "basic":
            return _equal(_password(given.strip()), secret)
        case _:
            return "it has no Authorization: neither a bearer token nor a password"


SENDERS: Mapping[str, Check] = {
    "github": _github,
    "gitlab": _gitlab,
    "gitea": _gitea,
    "bitbucket": _hub_signature,
    "alertmanager": _authorization,
    "grafana": _grafana,
    "datadog": _authorization,
    "pagerduty": _pagerduty,
    "jira": _jira,
    "servicenow": _authorization,
    "jenkins": _authorization,
    "slack": _slack,
    "cloudevent": _signed_or_authorized,
}
"""How the deliveries of each sender are verified."""

_WORDS = ("alertmanager", "datadog", "servicenow", "jenkins")


def way_of(source: str, headers: Mapping[str, str]) -> Literal["signature", "token"]:
    """Whether a delivery that fits was signed, or only knew a secret word."""
    knows_a_word = source in _WORDS or "x-gitlab-token" in headers
    is_signed = any("signature" in name for name in headers)
    return "token" if knows_a_word or not is_signed else "signature"


# --- sums and words ------------------------------------------------------------------------------------------


def _sum(key: bytes, text: bytes, algorithm: Literal["sha256", "sha512"]) -> bytes:
    return hmac.new(key, text, getattr(hashlib, algorithm)).digest()


def _compared(right: bytes, given: str, *, encoding: Literal["hex", "base64"]) -> str:
    """Why a signature does not fit; compared as text, so that nothing depends on how far it is right."""
    written = right.hex() if encoding == "hex" else base64.b64encode(right).decode()
    return _equal(given.lower() if encoding == "hex" else given, written, _MISMATCH)


def _equal(given: str, right: str, otherwise: str = "the secret word does not fit") -> str:
    is_equal = hmac.compare_digest(given.encode("utf-8", "surrogatepass"), right.encode())
    return "" if is_equal and right else otherwise


def _password(basic: str) -> str:
    try:
        return base64.b64decode(basic, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _standard_key(secret: str) -> bytes | None:
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True) or None
    except binascii.Error:
        return None


def _late(time: str, now: Micros, header: str) -> str:
    """Why a time of signing is no good: missing, or too far from ours."""
    if not (time.isascii() and time.isdecimal()) or len(time) > 16:  # noqa: PLR2004 - microseconds have sixteen digits
        return f"it has no time in {header}"
    seconds = int(time) / 1_000 if int(time) > MILLISECONDS_FROM else int(time)
    off = abs(now / _MICROS - seconds)
    return f"{header} is {off:,.0f} s from our time" if off > SKEW_SECONDS_MAX else ""
