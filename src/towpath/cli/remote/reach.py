"""What a command is about: the runs and people of a server, files that lie here, or the data folder on the server's own machine."""

from __future__ import annotations

from typing import Final

from towpath.errors import Refused

ABOUT_FILES: Final = frozenset(
    {
        "actions",
        "automate",
        "check",
        "completion",
        "import",
        "init",
        "lint",
        "login",
        "logout",
        "schema",
        "test",
        "version",
    }
)
"""Commands that work here, whatever server is named."""
ABOUT_THE_DATA_FOLDER: Final = frozenset({"backup", "doctor", "gc", "restore", "up"})
"""Commands that are used on the machine of the server."""


def is_remote(command: str | None) -> bool:
    """Whether a command talks to the server that was named; raises Refused where it cannot."""
    if command in ABOUT_THE_DATA_FOLDER:
        raise Refused(
            f"`tow {command}` is about the data folder itself, and cannot be used over HTTP",
            help="use it on the server's own machine, without --server and TOW_SERVER",
        )
    return command not in ABOUT_FILES
