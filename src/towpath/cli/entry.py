"""The way in: `tow` without more than a question for help answers from the table; everything else goes through click."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from towpath.cli import commands

_HELP = ("--help", "-h", "help")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if _asks_for_overview(words):
        sys.stdout.write(commands.overview() + "\n")
        raise SystemExit(0)
    from towpath.cli.group import run

    raise SystemExit(run(words))


def _asks_for_overview(words: Sequence[str]) -> bool:
    completes = "_TOW_COMPLETE" in os.environ
    return not completes and (not words or (len(words) == 1 and words[0] in _HELP))
