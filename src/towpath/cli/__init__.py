"""THE HAND: one file for each command."""


def main() -> None:
    """Run the command line."""
    raise SystemExit("not there yet")
