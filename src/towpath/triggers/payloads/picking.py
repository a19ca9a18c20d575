"""Picking values out of JSON that came from anywhere: what is missing, or of another type, is simply not there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping

from towpath.core.run import Json

TEXT_CHARS_MAX = 1_000
"""Of a text that filters look at."""
PATHS_MAX = 10_000
"""Changed files that one event may name."""


def pick(value: Json, *path: str) -> Json:
    """What lies at a path of keys; None where there is nothing."""
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def text(value: Json, *path: str) -> str:
    """The text, or the number as a text, at a path of keys; empty where there is none."""
    found = pick(value, *path)
    if isinstance(found, bool) or not isinstance(found, str | int):
        return ""
    return str(found)[:TEXT_CHARS_MAX]


def items(value: Json, *path: str) -> list[Json]:
    """The list at a path of keys; empty where there is none."""
    found = pick(value, *path)
    return found if isinstance(found, list) else []


def texts(value: Json, *path: str) -> tuple[str, ...]:
    """The texts in the list at a path of keys."""
    return tuple(item[:TEXT_CHARS_MAX] for item in items(value, *path) if isinstance(item, str))


def labels(value: Json, *path: str) -> dict[str, str]:
    """The map of texts at a path of keys; values that are no texts are left out."""
    found = pick(value, *path)
    if not isinstance(found, Mapping):
        return {}
    return {str(name): text(found, name) for name in found if text(found, name)}


def changed_paths(commits: list[Json]) -> tuple[str, ...] | None:
    """The files that some commits added, changed or removed; None where there are too many to tell."""
    found = dict.fromkeys(_paths(commits))
    return tuple(found) if len(found) <= PATHS_MAX else None


def _paths(commits: list[Json]) -> Iterator[str]:
    for commit in commits:
        for key in ("added", "modified", "removed"):
            yield from texts(commit, key)


def ref(name: str) -> tuple[str, str]:
    """The branch and the tag that a full name of a ref means; one of the two is empty."""
    branch, tag = name.removeprefix("refs/heads/"), name.removeprefix("refs/tags/")
    return (branch if branch != name else "", tag if tag != name else "")


def fingerprint(*parts: Json) -> str:
    """A digest of what an event tells: the same news have the same one."""
    told = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(told.encode()).hexdigest()[:32]
