"""What a browser carries to the identity provider and back, so that the server has to remember nothing.

Three random values tie the way back to the way there: `state` says that it is this browser that comes back, the nonce that the provider's
word was given for this very sign-in, the verifier (PKCE) that whoever redeems the code is who asked for it. They lie in a cookie for a few
minutes, sealed with a key that only this process has; after a restart one begins anew.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import asdict, dataclass, field
from typing import Final

CARRIED_SECONDS: Final = 600.0
"""How long somebody may take to sign in at the provider."""
COOKIE: Final = "towpath_oidc"
COOKIE_PATH: Final = "/login/oidc"
CARRIED_CHARS_MAX: Final = 4_000
_RANDOM_BYTES: Final = 32
_MICROS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """One sign-in that has begun."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    next: str
    """Where somebody goes afterwards."""
    ends_at: int

    @property
    def challenge(self) -> str:
        """What the provider is told of the verifier (S256)."""
        return _text(hashlib.sha256(self.verifier.encode()).digest())


def begin(next_path: str, *, at: int) -> Carried:
    """A sign-in that begins now."""
    return Carried(
        state=secrets.token_urlsafe(_RANDOM_BYTES),
        nonce=secrets.token_urlsafe(_RANDOM_BYTES),
        verifier=secrets.token_urlsafe(_RANDOM_BYTES),
        next=next_path,
        ends_at=at + round(CARRIED_SECONDS * _MICROS),
    )


class Seal:
    """Writes the cookie, and reads it back if nobody has changed it."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(_RANDOM_BYTES)

    def write(self, carried: Carried) -> str:
        """What the browser carries."""
        said = _text(json.dumps(asdict(carried)).encode())
        return f"{said}.{self._sum(said)}"

    def read(self, cookie: str, *, state: str, at: int) -> Carried | None:
        """What was carried; None where it is not ours, too old, or of another way there than *state*."""
        said, _, seal = cookie.partition(".")
        if len(cookie) > CARRIED_CHARS_MAX or not hmac.compare_digest(
            seal.encode(), self._sum(said).encode()
        ):
            return None
        carried = Carried(**json.loads(base64.urlsafe_b64decode(said + "=" * (-len(said) % 4))))
        is_this = hmac.compare_digest(carried.state.encode(), state.encode())
        return carried if is_this and at < carried.ends_at else None

    def _sum(self, said: str) -> str:
        return _text(hmac.digest(self._key, said.encode("utf-8", "replace"), "sha256"))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
