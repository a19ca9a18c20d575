"""Where the value of a secret comes from, at the moment of use and no earlier.

A workflow holds references (`${{ secrets.db_password }}`); the journal, the pages and the API hold
references too. The value is asked of a provider when a step is about to start, handed to that step and to
the masker of its output, and kept nowhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Protocol

from towpath.errors import NotFound, Refused
from towpath.steps.secrets.masking import check_maskable

NAME_CHARS_MAX: Final = 128
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class SecretMissing(NotFound):
    """No provider has a secret of this name."""


class SecretUnreadable(Refused):
    """The secret is there, but it must not or cannot be read as things stand."""


class SecretProvider(Protocol):
    """A place where secrets are kept; `get` may block for a file access and is called from any thread."""

    @property
    def name(self) -> str:
        """What `towpath.yaml` and messages call it."""

    def get(self, name: str) -> str:
        """The value of the secret *name*; raises SecretMissing, saying what to do, when it is not here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretChain:
    """Asks one provider after the other, in the order of `towpath.yaml`, until one has the secret.

    Only *missing* goes on to the next. A secret that is there but cannot be read is an error at once:
    falling through to another place would hand out another value than the one that was meant.
    """

    providers: tuple[SecretProvider, ...]
    name: str = "secrets"

    def get(self, name: str) -> str:
        """The value of the secret *name*, checked to be one that can be masked."""
        helps: list[str] = []
        for provider in self.providers:
            try:
                value = provider.get(name)
            except SecretMissing as missing:
                helps.append(missing.help)
                continue
            check_maskable(value, name=name)
            return value
        asked = ", ".join(provider.name for provider in self.providers) or "no provider is configured"
        raise SecretMissing(f"There is no secret `{name}` ({asked}).", help=" Or: ".join(filter(None, helps)))


def check_secret_name(name: str) -> None:
    """Refuse what could be a path, an option or anything but a name; a provider may have another rule."""
    if len(name) > NAME_CHARS_MAX or not _NAME.fullmatch(name):
        raise Refused(
            f"{name[:NAME_CHARS_MAX]!r} cannot be the name of a secret.",
            help=f"Use letters, digits and underscores, no digit first, at most {NAME_CHARS_MAX} characters.",
        )
