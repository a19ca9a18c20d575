"""`key=value` pairs and files of values, as people give them on a command line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import click

from towpath.core import run as core
from towpath.definition import source
from towpath.errors import Refused


def pairs(words: Iterable[str], *, option: str) -> dict[str, str]:
    """The values of repeated `key=value` options; `key=@file` reads a file."""
    found: dict[str, str] = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign or not key:
            raise click.UsageError(f"{option} takes key=value, not {word!r}")
        if key in found:
            raise click.UsageError(f"{option} {key} is given twice")
        found[key] = _file_text(Path(value[1:])) if value.startswith("@") and len(value) > 1 else value
    return found


def read_file(path: Path) -> dict[str, core.Json]:
    """The mapping in a YAML or JSON file."""
    text = _file_text(path)
    if path.suffix == ".json":
        try:
            values = json.loads(text)
        except ValueError as error:
            raise Refused(f"{path} is not JSON: {error}") from None
    else:
        values = _yaml(text, path)
    if not isinstance(values, dict):
        raise Refused(f"{path} has to hold a mapping of names to values")
    return values


def _yaml(text: str, path: Path) -> core.Json:
    from towpath.definition.problems import DefinitionProblems, errors_of

    read = source.read_source(text, path=str(path))
    if errors_of(read.problems):
        raise DefinitionProblems(read.problems)
    return source.to_data(read.root) if read.root is not None else {}


def _file_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise Refused(f"{path} cannot be read: {why}") from None
