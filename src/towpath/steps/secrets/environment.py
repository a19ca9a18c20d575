"""Secrets in the environment of `tow` itself, where CI systems, containers and service managers put them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from towpath.steps.secrets.contract import SecretMissing, check_secret_name

PREFIX: Final = "TOW_SECRET_"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class EnvironmentSecrets:
    """Finds `db_password` in `TOW_SECRET_DB_PASSWORD`; steps do not inherit it."""

    environ: Mapping[str, str]
    prefix: str = PREFIX
    name: str = "env"

    def get(self, name: str) -> str:
        """The value of the variable that belongs to *name*; an empty one counts as missing."""
        check_secret_name(name)
        variable = self.prefix + name.upper()
        value = self.environ.get(variable, "")
        if not value:
            raise SecretMissing(f"{variable} is not set.", help=f"set {variable} in the environment of tow")
        return value
