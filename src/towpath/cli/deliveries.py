"""A delivery as people give it on a command line: a file in place of a body, and `NAME=VALUE` in place of headers."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from towpath.errors import Refused

STDIN = "-"


def body_of(file: str) -> bytes:
    """The bytes in a file, or on standard input."""
    if file == STDIN:
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}") from None


def headers_of(words: tuple[str, ...]) -> dict[str, str]:
    """The headers of repeated `--header NAME=VALUE` options, with small letters; `NAME: VALUE` is the same."""
    found: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition("=") if "=" in word.partition(":")[0] else word.partition(":")
        if not sign or not name.strip():
            raise click.UsageError(f"--header takes NAME=VALUE, not {word!r}")
        found[name.strip().lower()] = value.strip()
    return found
