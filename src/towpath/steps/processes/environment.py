"""The environment of a step is made, not inherited.

What stands in the environment of `tow` (its own tokens, the operator's habits) is none of a step's
business. A step gets a small base that every program expects, what the operator lets through by name, what
the workflow says in `env`, and what Towpath says about the run (`TOW_…`). The same step sees the same names
on every machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from towpath.errors import LimitExceeded, Refused

SEARCH_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULTS: Final = {"PATH": SEARCH_PATH, "HOME": "/", "LANG": "C.UTF-8", "TMPDIR": "/tmp"}  # noqa: S108 - as POSIX has it
BASE_NAMES: Final = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR")
"""Taken from the host when it has them: where programs and files are, the language and the time."""
RESERVED_PREFIX: Final = "TOW_"
ENVIRONMENT_BYTES_MAX: Final = 1024 * 1024
"""All names and values together; Linux gives 2 MiB to arguments and environment."""
VARIABLE_BYTES_MAX: Final = 127 * 1024
"""One name and value; Linux refuses to start a program with a longer one."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentBase:
    """What every step of this host has in its environment before anybody says anything."""

    variables: Mapping[str, str]

    @classmethod
    def of_host(cls, environ: Mapping[str, str], *, let_through: tuple[str, ...] = ()) -> EnvironmentBase:
        """The base of a host with the environment *environ*, and what the operator lets through by name."""
        taken = {name: environ[name] for name in (*BASE_NAMES, *let_through) if name in environ}
        return cls(variables={**DEFAULTS, **taken})


def make_environment(
    base: EnvironmentBase, said: Mapping[str, str], facts: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The environment of one step, checked: the base, what the workflow *said*, the *facts* of the run."""
    for name in said:
        if name.startswith(RESERVED_PREFIX):
            raise Refused(
                f"`env` sets {name}, but names that begin with {RESERVED_PREFIX} are Towpath's own.",
                help="Choose another name.",
            )
    made = {**base.variables, **said, **(facts or {})}
    for name, value in made.items():
        _check_variable(name, value)
    check_size(made)
    return made


def check_size(variables: Mapping[str, str]) -> None:
    """Refuse an environment that the system would refuse with less clear words."""
    total = 0
    for name, value in variables.items():
        size = len(name) + len(value.encode("utf-8", "surrogateescape")) + 2
        total += size
        if size > VARIABLE_BYTES_MAX:
            raise LimitExceeded(
                f"The environment variable {name} is larger than {VARIABLE_BYTES_MAX // 1024} KiB.",
                limit="variable_bytes_max",
                help="Pass large values through `stdin` or a file.",
            )
    if total > ENVIRONMENT_BYTES_MAX:
        raise LimitExceeded(
            f"The environment of the step is larger than {ENVIRONMENT_BYTES_MAX // 1024} KiB.",
            limit="environment_bytes_max",
            help="Pass large values through `stdin` or a file.",
        )


def _check_variable(name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        raise Refused(
            f"`{name}` cannot be the name of an environment variable.",
            help="Use letters, digits and underscores, and no digit first.",
        )
    if "\0" in value:
        raise Refused(f"The value of {name} holds a NUL character, which no environment can carry.")
