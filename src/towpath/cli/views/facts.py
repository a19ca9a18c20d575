"""JSON as it is written to a terminal or a pipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


def json_line(value: Mapping[str, Any]) -> str:
    """One JSON object on one line."""
    return msgspec.json.encode(value).decode()


def json_text(value: object) -> str:
    """JSON over several lines, for people and pipes."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def compact(value: object) -> str:
    """JSON on one line, as short as it can be."""
    return msgspec.json.encode(value).decode()
