"""Secrets that open doors: made here, shown once, kept as a digest.

A code has three parts, `tow_k3v9x2m4q7_…`: what it is for, the name by which it is found, and 256 random bits. What somebody shows is found
by its name, and compared by the digest of its secret in the same time whatever is wrong with it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

SECRET_BYTES: Final = 32
ID_CHARS: Final = 10
CODE_CHARS_MAX: Final = 200
"""A longer text is no code of ours, and is not looked at."""
_LETTERS: Final = "abcdefghijkmnpqrstuvwxyz23456789"


class Kind(Enum):
    """What a code is for; one that is for something else opens nothing."""

    TOKEN = "tow"  # noqa: S105 - what tokens begin with
    SESSION = "ses"
    LINK = "in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A new code; the text is shown once and never kept."""

    id: str
    text: str = field(repr=False)
    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A code that somebody shows."""

    id: str
    digest: bytes = field(repr=False)

    def fits(self, digest: bytes) -> bool:
        """Whether it is the one of which this digest was kept."""
        return hmac.compare_digest(self.digest, digest)


def make(kind: Kind) -> Made:
    """A new code that nobody can guess."""
    name = "".join(secrets.choice(_LETTERS) for _ in range(ID_CHARS))
    secret = secrets.token_urlsafe(SECRET_BYTES)
    return Made(id=name, text=f"{kind.value}_{name}_{secret}", digest=_digest(secret))


def read(kind: Kind, text: str) -> Shown | None:
    """What somebody shows, where it looks like a code of this kind."""
    if len(text) > CODE_CHARS_MAX or not text.isascii():
        return None
    prefix, _, rest = text.strip().partition("_")
    name, _, secret = rest.partition("_")
    is_ours = prefix == kind.value and len(name) == ID_CHARS and set(name) <= set(_LETTERS) and secret
    return Shown(id=name, digest=_digest(secret)) if is_ours else None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("ascii")).digest()
