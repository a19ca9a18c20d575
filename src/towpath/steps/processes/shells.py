"""Which program runs the text of a `run` step, and how the text gets to it.

The text is written to a file that only its owner can read, and the program is given the path. So nothing is
quoted, nothing shows in `ps`, and an error message names the line of the script.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from towpath.errors import LimitExceeded, Refused

SCRIPT_BYTES_MAX: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """A program that runs scripts."""

    argv: tuple[str, ...]
    """What stands before the path of the script."""
    suffix: str = ""
    """What the name of the script must end with."""
    preamble: str = ""
    """What the script must begin with, on its first line, so that line numbers stay right."""


SHELLS: Final = {
    "bash": Shell(argv=("bash", "--noprofile", "--norc", "-euo", "pipefail"), suffix=".sh"),
    "sh": Shell(argv=("sh", "-eu"), suffix=".sh"),
    "python": Shell(argv=("python3", "-u"), suffix=".py"),
    "pwsh": Shell(
        argv=("pwsh", "-NoLogo", "-NoProfile", "-NonInteractive", "-File"),
        suffix=".ps1",
        preamble="$ErrorActionPreference = 'Stop'; $PSNativeCommandUseErrorActionPreference = $true; ",
    ),
}
DEFAULT_SHELL: Final = "bash"


def shell_named(shell: str | tuple[str, ...] = DEFAULT_SHELL) -> Shell:
    """The shell of a step: a name of the table, or the words that stand before the path of the script."""
    if isinstance(shell, str) and shell in SHELLS:
        return SHELLS[shell]
    words = tuple(shell.split()) if isinstance(shell, str) else shell
    if not words or not all(words) or any("\0" in word for word in words):
        raise Refused(
            "`shell` names no program.", help=f"Use {', '.join(SHELLS)}, or a list such as [perl, -w]."
        )
    return Shell(argv=words)


def write_script(folder: Path, shell: Shell, text: str) -> Path:
    """Write the script into *folder*, readable by its owner only, and return where it is."""
    data = (shell.preamble + text).encode("utf-8", "surrogateescape")
    if len(data) > SCRIPT_BYTES_MAX:
        raise LimitExceeded(
            f"The script is larger than {SCRIPT_BYTES_MAX // 1024} KiB.",
            limit="script_bytes_max",
            help="Keep it as a file in the project and run that.",
        )
    path = folder / f"script{shell.suffix}"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        while data:
            data = data[os.write(fd, data) :]
    finally:
        os.close(fd)
    return path
