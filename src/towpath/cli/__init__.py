"""THE HAND: one file for each command."""

from towpath.cli.entry import main

__all__ = ["main"]
