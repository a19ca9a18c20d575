"""Numbers that lose a digit where text is meant: `python: 3.10` is the number 3.1."""

from __future__ import annotations

import re

from towpath.definition.checks.context import Context
from towpath.definition.source import DataPath, Items, Node, Scalar, Table

TEXT_KEYS = frozenset({"env", "matrix", "labels"})
"""Keys below which values are mostly text."""
MAYBE_KEYS = frozenset({"with", "vars", "default", "enum", "each"})
"""Keys below which a number with a nought too many is mostly text."""
_LOSES = re.compile(r"[-+]?[0-9]*\.[0-9]*0")
_LOSES_MUCH = re.compile(r"[-+]?[0-9]*\.[0-9]+0")


def check_numbers(context: Context) -> None:
    """Tell every number without quotes that would be written otherwise than it stands."""
    if context.source.root is not None:
        _check(context, context.source.root, (), loses=None)


def _check(context: Context, node: Node, path: DataPath, *, loses: re.Pattern[str] | None) -> None:
    match node:
        case Scalar():
            if loses is not None and isinstance(node.value, float) and loses.fullmatch(node.text):
                context.tell(
                    "shortened-number",
                    f"{node.text} is the number {node.value:g}",
                    path,
                    help=f'write "{node.text}" where text is meant',
                )
        case Items():
            for position, item in enumerate(node.items):
                _check(context, item, (*path, position), loses=loses)
        case Table():
            for entry in node.entries:
                key = entry.key.text
                inner = _LOSES if key in TEXT_KEYS else _LOSES_MUCH if key in MAYBE_KEYS else loses
                _check(context, entry.value, (*path, key), loses=inner)
