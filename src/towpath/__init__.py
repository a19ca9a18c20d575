"""Workflows for hosting and IT operations: from a trigger to a defined end, by machines or by people."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from towpath.steps.contract import ActionFailed, Change, Rehearsal, action

__version__ = "0.1.0"
__all__ = ["ActionFailed", "Change", "Rehearsal", "__version__", "action"]

_FOR_ACTIONS = ("ActionFailed", "Change", "Rehearsal", "action")
"""What the author of an action needs; loaded when it is asked for, so that `tow` starts quickly."""


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    if name in _FOR_ACTIONS:
        return getattr(importlib.import_module("towpath.steps.contract"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
