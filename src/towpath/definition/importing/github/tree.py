"""A workflow of GitHub's as it stands in its file: keys, texts and lines."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from towpath.definition import source
from towpath.definition.source import Entry, Items, Node, Scalar, Source, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file that is being translated."""

    read: Source
    root: Table

    def line(self, node: Node) -> int:
        """The line of a value, from 1."""
        return self.read.line_and_column(node.start)[0]

    def first_text_line(self, node: Node) -> int:
        """The line of the first character of a text: below the `|` of a block."""
        is_block = isinstance(node, Scalar) and node.style in "|>"
        return self.line(node) + (1 if is_block else 0)

    def original(self, node: Node) -> list[str]:
        """The lines of a value as they were written, without their indentation and what follows them."""
        _, column = self.read.line_and_column(node.start)
        text = " " * (column - 1) + self.read.text[node.start : node.end].rstrip()
        lines = textwrap.dedent(text).split("\n")
        while len(lines) > 1 and lines[-1].lstrip().startswith("#"):
            lines.pop()
        return lines


def entries(node: Node | None) -> Iterator[Entry]:
    """The keys of a mapping; none of anything else."""
    if isinstance(node, Table):
        yield from node.entries


def entries_are_there(node: Node) -> bool:
    """Whether a value is a mapping at all."""
    return isinstance(node, Table)


def value(node: Node | None, key: str) -> Node | None:
    """What stands under a key of a mapping, unless it is empty."""
    entry = node.get(key) if isinstance(node, Table) else None
    if entry is None or (isinstance(entry.value, Scalar) and entry.value.value is None):
        return None
    return entry.value


def text(node: Node | None) -> str | None:
    """A scalar as the text that was written."""
    return node.text if isinstance(node, Scalar) and node.value is not None else None


def text_at(node: Node | None, key: str) -> str | None:
    """The text under a key."""
    return text(value(node, key))


def texts(node: Node | None) -> list[str]:
    """A text, or a list of texts."""
    if isinstance(node, Items):
        return [found for item in node.items if (found := text(item)) is not None]
    single = text(node)
    return [] if single is None else [single]


def data(node: Node | None) -> object:
    """The plain value."""
    return None if node is None else source.to_data(node)
