"""Values in, YAML for people out: comments kept, scripts as blocks, short things on one line.

The idea. A general dumper knows values but no readers. Here a mapping is a `Section` that remembers comments
and gaps beside its keys; everything else is a plain value. Whether a text needs quotes is decided by the rules
of the language's own reader, so what is written here is read back as it was given.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from towpath.definition.source import resolve_plain

LINE_CHARS_MAX: Final = 110
"""Lists and mappings on one line get no longer than this."""
INDENT: Final = 2

_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
_INDICATORS = frozenset("-?:,[]{}#&*!|>'\"%@`")
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.@/-]*")

Value: TypeAlias = (
    Any  # JSON, or a `Section` where a mapping may stand; there is no type for "JSON with sections"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    key: str
    value: Value
    before: tuple[str, ...]
    beside: str
    has_gap: bool


@dataclass(slots=True)
class Section:
    """A mapping that is written as a block, with the comments that belong to its keys."""

    entries: list[_Entry] = field(default_factory=list)
    tail: list[str] = field(default_factory=list)
    """Comments after the last key."""
    head: list[str] = field(default_factory=list)
    """Comments above the first key; for an item of a list, above its dash."""
    is_dense: bool = False
    """Whether it follows the item before it in a list without an empty line."""
    has_tail_gap: bool = False
    """Whether an empty line stands above the comments at the end."""

    def add(
        self, key: str, value: Value, *, before: Sequence[str] = (), beside: str = "", has_gap: bool = False
    ) -> Section:
        """Adds a key.

        Args:
            key: its name.
            value: what stands under it.
            before: comments on lines of their own, above it.
            beside: a comment behind it.
            has_gap: whether an empty line stands above it.

        """
        self.entries.append(
            _Entry(key=key, value=value, before=tuple(before), beside=beside, has_gap=has_gap)
        )
        return self

    def add_some(self, key: str, value: Value) -> Section:
        """Adds a key unless there is nothing to say under it."""
        return self.add(key, value) if value not in (None, "", [], {}, ()) else self

    def replace(self, key: str, value: Value) -> None:
        """Says something else under *key*."""
        self.entries = [
            dataclasses.replace(entry, value=value) if entry.key == key else entry for entry in self.entries
        ]

    def get(self, key: str) -> Value:
        """What stands under *key*, or None."""
        return next((entry.value for entry in self.entries if entry.key == key), None)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys, in their order."""
        return tuple(entry.key for entry in self.entries)


def document(section: Section) -> str:
    """The text of a whole file."""
    return "".join(f"{line}\n" for line in _section_lines(section, 0, has_head=True))


def fragment(section: Section, indent: int = 0) -> list[str]:
    """The lines of a mapping whose keys stand in the column *indent*."""
    return list(_section_lines(section, indent, has_head=True))


def comment_lines(text: str) -> list[str]:
    """A text as the lines of a comment; a character that no file may hold becomes `?`."""
    return [_FORBIDDEN.sub("?", line).rstrip() for line in text.split("\n")]


def scalar(value: object, *, in_flow: bool = False) -> str:
    """One value on one line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return json.dumps(value)
    return _text(str(value), in_flow=in_flow)


def _text(text: str, *, in_flow: bool) -> str:
    if _is_plain(text, in_flow=in_flow):
        return text
    if "\n" in text or "\t" in text or _FORBIDDEN.search(text):
        return double_quoted(text)
    if '"' in text and "'" not in text:
        return f"'{text}'"
    return double_quoted(text)


def double_quoted(text: str) -> str:
    """A text in double quotes, with escapes for what cannot stand in a file."""
    quoted = json.dumps(text, ensure_ascii=False)
    return _FORBIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)


def _is_plain(text: str, *, in_flow: bool) -> bool:
    """Whether a text is read back as it is without quotes."""
    if not text or text != text.strip() or text[0] in _INDICATORS:
        return False
    if "\n" in text or "\t" in text or ": " in text or " #" in text or text.endswith(":"):
        return False
    if _FORBIDDEN.search(text) or text in ("---", "..."):
        return False
    if in_flow and (re.search(r"[,\[\]{}]|:(?![A-Za-z0-9_/])", text)):
        return False
    return resolve_plain(text) == text


def _section_lines(section: Section, indent: int, *, has_head: bool = False) -> Iterator[str]:
    pad = " " * indent
    if has_head:
        yield from _comments(section.head, pad)
    for entry in section.entries:
        if entry.has_gap:
            yield ""
        yield from _comments(entry.before, pad)
        lines = _entry_lines(entry.key, entry.value, indent)
        yield next(lines) + (f"  # {entry.beside}" if entry.beside else "")
        yield from lines
    if section.has_tail_gap and section.tail:
        yield ""
    yield from _comments(section.tail, pad)


def _comments(lines: Sequence[str], pad: str) -> Iterator[str]:
    for text in lines:
        for line in comment_lines(text):
            yield f"{pad}# {line}" if line else f"{pad}#"


def _entry_lines(key: str, value: Value, indent: int) -> Iterator[str]:
    """The lines of a key with its value."""
    start = f"{' ' * indent}{_key(key)}:"
    match value:
        case Section():
            yield start
            yield from _section_lines(value, indent + INDENT, has_head=True)
        case str() if _is_block(value):
            yield from _block_lines(start, value, indent)
        case Mapping() if value:
            yield from _collection_lines(start, value, indent, Section())
        case list() | tuple() if value:
            yield from _collection_lines(start, value, indent, None)
        case Mapping():
            yield f"{start} {{}}"
        case list() | tuple():
            yield f"{start} []"
        case _:
            yield f"{start} {scalar(value)}"


def _key(key: str) -> str:
    return key if _PLAIN_KEY.fullmatch(key) and resolve_plain(key) == key else double_quoted(key)


def _collection_lines(start: str, value: Value, indent: int, into: Section | None) -> Iterator[str]:
    flow = _flow(value) if into is not None or not _has_sections(value) else None
    if flow is not None and len(start) + 1 + len(flow) <= LINE_CHARS_MAX:
        yield f"{start} {flow}"
        return
    yield start
    if into is None:
        yield from _list_lines(value, indent + INDENT)
        return
    for key, inner in value.items():
        into.add(str(key), inner)
    yield from _section_lines(into, indent + INDENT)


def _flow(value: Value) -> str | None:
    """A value on one line, or None where it has to be a block."""
    return None if _needs_lines(value) else _on_one_line(value)


def _needs_lines(value: Value) -> bool:
    match value:
        case Section():
            return True
        case Mapping():
            return any(_needs_lines(inner) for inner in value.values())
        case list() | tuple():
            return any(_needs_lines(item) for item in value)
        case _:
            return isinstance(value, str) and _is_block(value)


def _on_one_line(value: Value) -> str:
    match value:
        case Mapping():
            parts = [f"{_key(str(key))}: {_on_one_line(inner)}" for key, inner in value.items()]
            return "{" + ", ".join(parts) + "}"
        case list() | tuple():
            return "[" + ", ".join(_on_one_line(item) for item in value) + "]"
        case _:
            return scalar(value, in_flow=True)


def _has_sections(value: Value) -> bool:
    return any(isinstance(item, Mapping | Section) for item in value)


def _list_lines(items: Sequence[Value], indent: int) -> Iterator[str]:
    pad = " " * indent
    for position, item in enumerate(items):
        if isinstance(item, Section):
            if position and len(item.entries) > 1 and not item.is_dense:
                yield ""
            yield from _comments(item.head, pad)
            lines = _section_lines(item, indent + INDENT)
            first = next(lines)
            yield f"{pad}- {first[indent + INDENT :]}"
            yield from lines
            continue
        flow = _flow(item)
        fits = flow is not None and len(pad) + len(flow) + INDENT <= LINE_CHARS_MAX
        is_flat = not isinstance(item, Mapping) or not any(isinstance(one, Mapping) for one in item.values())
        if (
            flow is not None
            and not isinstance(item, str)
            and is_flat
            and (fits or not isinstance(item, Mapping))
        ):
            yield f"{pad}- {flow}"
        elif isinstance(item, str) and _is_block(item):
            yield from _block_lines(f"{pad}-", item, indent)
        elif isinstance(item, Mapping):
            dense = Section(is_dense=True)
            for key, inner in item.items():
                dense.add(str(key), inner)
            yield from _list_lines([dense], indent)
        elif isinstance(item, str):
            yield f"{pad}- {scalar(item)}"
        else:
            yield f"{pad}- {_on_one_line(item)}"


def _is_block(text: str) -> bool:
    """Whether a text is written as a literal block: several lines, and nothing that a block cannot hold."""
    return "\n" in text and bool(text.strip("\n ")) and not _FORBIDDEN.search(text)


def _block_lines(start: str, text: str, indent: int) -> Iterator[str]:
    body = text.rstrip("\n")
    ends = len(text) - len(body)
    chomp = "" if ends == 1 else "-" if ends == 0 else "+"
    first = next(line for line in body.split("\n") if line.strip(" "))
    needs_width = (
        first.startswith((" ", "\t")) or body.startswith("\n") or body.split("\n")[0].strip(" ") == ""
    )
    yield f"{start} |{INDENT if needs_width else ''}{chomp}"
    pad = " " * (indent + INDENT)
    for line in body.split("\n"):
        yield f"{pad}{line}" if line else ""
    for _ in range(ends - 1):
        yield ""
