"""Whether an ID token is the word of the identity provider, given to us, now, for this sign-in.

The key is chosen before the signature is looked at: one of the provider's public keys, by its id, of the kind that the algorithm needs.
So a token cannot choose how it is checked: `none`, an HMAC with a public key as its secret, and keys that the token brings along find no
key here.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

from towpath.definition.project import SUBJECT_CHARS_MAX
from towpath.errors import RemoteError

Key = RSAKey | ECKey | OKPKey
Json = dict[str, Any]  # what a provider says: JSON

ALGORITHMS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    "EdDSA": "OKP",
    "Ed25519": "OKP",
}
"""What a provider may sign with, and the kind of key that it takes; nothing symmetric, and never nothing."""
TOKEN_CHARS_MAX: Final = 64 * 1024
KEYS_MAX: Final = 100
RSA_BITS_MIN: Final = 2_048
LEEWAY_SECONDS: Final = 60
"""How far the clocks may be apart."""
AGE_SECONDS_MAX: Final = 600
"""A token was issued just now, or it is not the one that we asked for."""
_PARTS: Final = 3
_BITS_OF_A_LETTER: Final = 6
"""Of base64."""


class NotVouched(RemoteError):
    """What came from the identity provider does not say that somebody may sign in here."""


class UnknownKey(NotVouched):
    """The token was signed with a key that the provider has not shown: it may have changed its keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a token has to say."""

    issuer: str
    client_id: str
    nonce: str = field(repr=False)
    algorithms: frozenset[str]
    """What the provider says that it signs with."""
    now_seconds: int


def verify(token: str, keys: Sequence[Json], expected: Expected) -> Json:
    """The claims of an ID token; raises NotVouched."""
    if len(token) > TOKEN_CHARS_MAX or token.count(".") != _PARTS - 1:
        raise NotVouched("the ID token is no signed token")
    header = _json(token.partition(".")[0])
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS or algorithm not in expected.algorithms:
        raise NotVouched(
            f"the ID token is signed with {algorithm!r}, and the provider's document does not allow that"
        )
    key = _key_for(header, keys, algorithm)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", SecurityWarning
            )  # RFC 9864 calls EdDSA Ed25519, and providers do not yet
            found = jws.deserialize_compact(token, key, algorithms=[algorithm])
        claims = json.loads(found.payload)
    except (JoseError, ValueError) as error:
        raise NotVouched(f"the signature of the ID token does not hold ({type(error).__name__})") from None
    if not isinstance(claims, dict):
        raise NotVouched("the ID token says nothing")
    _check(claims, expected)
    return claims


def _key_for(header: Json, keys: Sequence[Json], algorithm: str) -> Key:
    """The one key of the provider that this token may be checked with."""
    kid = header.get("kid")
    fitting = [
        key
        for key in keys[:KEYS_MAX]
        if key.get("kty") == ALGORITHMS[algorithm]
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and (kid is None or key.get("kid") == kid)
    ]
    if not fitting:
        raise UnknownKey(f"the provider has no key {kid!r} for {algorithm}")
    if len(fitting) > 1:
        raise NotVouched(
            f"the provider has {len(fitting)} keys {kid!r} for {algorithm}, and the token does not say which"
        )
    return _import(fitting[0], algorithm)


def _import(key: Json, algorithm: str) -> Key:
    public = {name: value for name, value in key.items() if name in ("kty", "n", "e", "crv", "x", "y")}
    kind = ALGORITHMS[algorithm]
    if kind == "RSA" and len(str(public.get("n", ""))) * _BITS_OF_A_LETTER < RSA_BITS_MIN:
        raise NotVouched(f"the provider's key is shorter than {RSA_BITS_MIN} bits")
    try:
        match kind:
            case "RSA":
                return RSAKey.import_key(public)
            case "EC":
                return ECKey.import_key(public)
            case _:
                return OKPKey.import_key(public)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise NotVouched(f"a key of the provider cannot be read ({type(error).__name__})") from None


def _check(claims: Json, expected: Expected) -> None:
    now = expected.now_seconds
    audiences = claims.get("aud")
    listed = [audiences] if isinstance(audiences, str) else audiences
    if claims.get("iss") != expected.issuer:
        raise NotVouched(f"the ID token is of {claims.get('iss')!r}, and not of {expected.issuer!r}")
    if not isinstance(listed, list) or expected.client_id not in listed:
        raise NotVouched("the ID token is for somebody else (`aud`)")
    if claims.get("azp", expected.client_id if len(listed) == 1 else None) != expected.client_id:
        raise NotVouched("the ID token was given to somebody else (`azp`)")
    if _number(claims, "exp") <= now - LEEWAY_SECONDS:
        raise NotVouched("the ID token has expired")
    issued = _number(claims, "iat")
    if not now - AGE_SECONDS_MAX <= issued <= now + LEEWAY_SECONDS:
        raise NotVouched("the ID token was not issued just now: are the clocks right?")
    if "nbf" in claims and _number(claims, "nbf") > now + LEEWAY_SECONDS:
        raise NotVouched("the ID token is not valid yet: are the clocks right?")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise NotVouched("the ID token is of another sign-in (`nonce`)")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_CHARS_MAX:
        raise NotVouched("the ID token does not say who it is about (`sub`)")


def _number(claims: Json, name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NotVouched(f"the ID token has no `{name}`")
    return value


def _json(part: str) -> Json:
    try:
        found = json.loads(base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        found = None
    if not isinstance(found, dict):
        raise NotVouched("the ID token is no signed token")
    return found
