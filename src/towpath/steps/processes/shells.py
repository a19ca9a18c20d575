"""Which program runs the text of a `run` step, and how the text gets to it.

The text is never a word of a command line: nothing has to be quoted, nothing shows in `ps`, and an error
message names the line of the script. The shells that can read a descriptor find it in memory, as
`/dev/fd/33`; for the others, and inside containers, it is written to a file that only its owner can read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from towpath.errors import LimitExceeded, Refused

SCRIPT_BYTES_MAX: Final = 1024 * 1024
SCRIPT_FD: Final = 33
"""Where a script in memory stands: no number that scripts use for their own files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """A program that runs scripts."""

    argv: tuple[str, ...]
    """What stands before the path of the script."""
    suffix: str = ""
    """What the name of the script must end with."""
    preamble: str = ""
    """What the script must begin with, on its first line, so that line numbers stay right."""
    reads_descriptors: bool = False
    """It takes `/dev/fd/33` for a script as well as any other path."""


SHELLS: Final = {
    "bash": Shell(
        argv=("bash", "--noprofile", "--norc", "-euo", "pipefail"), suffix=".sh", reads_descriptors=True
    ),
    "sh": Shell(argv=("sh", "-eu"), suffix=".sh", reads_descriptors=True),
    "python": Shell(argv=("python3", "-u"), suffix=".py", reads_descriptors=True),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptCommand:
    """A script that is ready to be run: what goes into a `ProcessSpec`."""

    argv: tuple[str, ...]
    files: Mapping[int, bytes]
    path: Path | None


def script_command(shell: Shell, text: str, path: Path | None) -> ScriptCommand:
    """Hand the script *text* to *shell*: as a file at *path* with the shell's suffix, or in memory."""
    data = (shell.preamble + text).encode("utf-8", "surrogateescape")
    if len(data) > SCRIPT_BYTES_MAX:
        raise LimitExceeded(
            f"The script is larger than {SCRIPT_BYTES_MAX // 1024} KiB.",
            limit="script_bytes_max",
            help="Keep it as a file in the project and run that.",
        )
    if path is None:
        return ScriptCommand(argv=(*shell.argv, f"/dev/fd/{SCRIPT_FD}"), files={SCRIPT_FD: data}, path=None)
    written = path.with_name(path.name + shell.suffix)
    _write(written, data)
    return ScriptCommand(argv=(*shell.argv, str(written)), files={}, path=written)


def _write(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(fd, left) :]
    finally:
        os.close(fd)
