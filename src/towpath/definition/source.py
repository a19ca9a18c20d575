"""Text in, a tree in which every key and value knows its place out.

The idea. YAML is read as a flat stream of events, never by a function that calls itself, and the tree is
built from the events with a stack of our own. Depth, number and length are counted as the events go by, so a
hostile file is refused after its first few hundred bytes, whatever its size: nothing recursive ever sees it.
What the language leaves out (tags, anchors, aliases, merge keys, a second document) is told and passed over,
so that the rest of the file is still checked.

Scalars are read by the YAML 1.2 core schema: `on`, `no`, `22:30` and `2026-01-01` are text. Positions are
offsets into the text; lines and columns are computed only for what is shown.

Where the parser itself gives up for one of a few common slips (an expression without quotes, a tab, a second
`: `), the slip is told, painted over with harmless characters of the same width, and the text is read again:
one slip does not hide the other problems.
"""

from __future__ import annotations

import bisect
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from towpath.definition.problems import Problem, make_problem

FILE_BYTES_MAX = 1 << 20
DEPTH_MAX = 64
"""Mappings and lists inside each other."""
VALUES_MAX = 50_000
"""Keys and values in one file."""
KEY_CHARS_MAX = 256
SCALAR_CHARS_MAX = 256 * 1024
INTEGER_BITS_MAX = 64
REPAIRS_MAX = 20
"""Slips that are painted over before the rest of a file is given up."""
CHARACTER_PROBLEMS_MAX = 10
"""Forbidden characters that are told one by one."""

PathKey: TypeAlias = str | int
DataPath: TypeAlias = tuple[PathKey, ...]
"""The way to a value: keys of mappings and positions in lists."""


@dataclass(frozen=True, slots=True)  # positional: these are made by the thousand
class Scalar:
    """One value without parts."""

    start: int
    end: int
    text: str
    value: str | int | float | bool | None
    style: str
    """`plain`, `'`, `"`, `|` or `>`."""
    broken: bool = False
    """Whether the value stands for something that has already been told as a problem."""


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    start: int
    end: int
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A key with its value."""

    key: Scalar
    value: Node


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping; keys are unique text."""

    start: int
    end: int
    entries: tuple[Entry, ...]

    def get(self, key: str) -> Entry | None:
        """The entry called *key*."""
        return next((entry for entry in self.entries if entry.key.text == key), None)


Node: TypeAlias = Scalar | Items | Table


@dataclass(slots=True, kw_only=True)
class Source:
    """A file as it was read: its text, its tree, and what was wrong with the text."""

    path: str
    text: str
    digest: str
    """SHA-256 of the bytes, as hexadecimal digits."""
    root: Table | None = None
    """None when the text could not be read as a mapping."""
    problems: list[Problem] = field(default_factory=list)
    line_starts: list[int] = field(default_factory=list)
    is_empty: bool = False
    """Whether there is nothing but blanks and comments."""

    def problem(self, name: str, message: str, start: int, end: int, *, help: str = "") -> Problem:  # noqa: A002
        """A problem of the kind *name* with the characters from *start* to *end*."""
        line, column = self.line_and_column(start)
        excerpt = self.line_text(line)
        stop = min(end - start + column, len(excerpt) + 1)
        return make_problem(
            name,
            message,
            path=self.path,
            line=line,
            column=column,
            end_column=stop,
            excerpt=excerpt,
            help=help,
        )

    def tell(self, name: str, message: str, start: int, end: int, *, help: str = "") -> None:  # noqa: A002
        """Remember a problem with the text itself."""
        self.problems.append(self.problem(name, message, start, end, help=help))

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """Where an offset is, both counted from 1."""
        line = bisect.bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line_text(self, line: int) -> str:
        """The text of a line, counted from 1."""
        start = self.line_starts[line - 1]
        end = self.line_starts[line] - 1 if line < len(self.line_starts) else len(self.text)
        return self.text[start:end]

    def find(self, path: DataPath) -> tuple[Node | None, Scalar | None]:
        """The deepest value on *path* that exists, and the key that it stands under.

        A position that points into something that is no list is passed over: a single step may be written
        where a list is taken.
        """
        node: Node | None = self.root
        key: Scalar | None = None
        for part in path:
            if isinstance(node, Items) and isinstance(part, int) and 0 <= part < len(node.items):
                node = node.items[part]
                key = None
            elif isinstance(node, Table) and isinstance(part, str) and (entry := node.get(part)) is not None:
                node, key = entry.value, entry.key
            elif not isinstance(part, int) or isinstance(node, Items):
                break
        return node, key

    def key_span(self, path: DataPath) -> tuple[int, int]:
        """Where the key at the end of *path* stands, or the first key of the mapping there, or the value."""
        node, key = self.find(path)
        if key is not None:
            return key.start, key.end
        if isinstance(node, Table) and node.entries:
            return node.entries[0].key.start, node.entries[0].key.end
        return self._visible_span(node)

    def value_span(self, path: DataPath) -> tuple[int, int]:
        """Where the value at the end of *path* stands; a mapping or a block is shown by its key."""
        node, key = self.find(path)
        if key is not None and (not isinstance(node, Scalar) or node.style in "|>" or node.end == node.start):
            return key.start, key.end
        if isinstance(node, Table) and node.entries:
            return node.entries[0].key.start, node.entries[0].key.end
        return self._visible_span(node)

    def _visible_span(self, node: Node | None) -> tuple[int, int]:
        if node is None:
            return 0, 1
        if isinstance(node, Scalar):
            return node.start, max(node.end, node.start + 1)
        return node.start, node.start + 1

    def span_inside(self, path: DataPath, offset: int, length: int) -> tuple[int, int]:
        """Where *length* characters of the text at *path*, from *offset* on, stand in the file."""
        node, _ = self.find(path)
        if not isinstance(node, Scalar):
            return self.value_span(path)
        places = _alignment(self.text, node)
        start = places[min(offset, len(places) - 1)]
        end = places[min(offset + length, len(places) - 1)]
        return start, max(end, start + 1)


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, never more than one past the limit; raises OSError."""
    with path.open("rb") as file:
        return file.read(FILE_BYTES_MAX + 1)


def read_source(content: bytes | str, *, path: str) -> Source:
    """Read a file's content; what is wrong with it is in the answer's `problems`."""
    raw = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    source = Source(path=path, text="", digest=hashlib.sha256(raw).hexdigest(), line_starts=[0])
    if len(raw) > FILE_BYTES_MAX:
        source.problems.append(
            make_problem(
                "too-large",
                f"the file has more than {FILE_BYTES_MAX >> 20} MiB",
                path=path,
                help="keep scripts and data in files of their own, beside the workflow",
            )
        )
        return source
    if not _decode(source, raw) or not _check_characters(source):
        return source
    source.root = _read_tree(source)
    return source


def to_data(node: Node) -> Any:  # noqa: ANN401 - JSON values have no type of their own
    """The plain values of a tree; its depth was checked when it was built."""
    match node:
        case Scalar():
            return node.value
        case Items():
            return [to_data(item) for item in node.items]
        case Table():
            return {entry.key.text: to_data(entry.value) for entry in node.entries}


def broken_paths(node: Node, path: DataPath = ()) -> Iterator[DataPath]:
    """The paths of values that stand for something already told as a problem."""
    match node:
        case Scalar():
            if node.broken:
                yield path
        case Items():
            for position, item in enumerate(node.items):
                yield from broken_paths(item, (*path, position))
        case Table():
            for entry in node.entries:
                yield from broken_paths(entry.value, (*path, entry.key.text))


# --- bytes and characters -----------------------------------------------------------------------------------

_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
    "|\r(?!\n)"
)


def _decode(source: Source, raw: bytes) -> bool:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        source.problems.append(
            make_problem("not-utf8", "the file is UTF-16", path=source.path, help="save it as UTF-8")
        )
        return False
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        _set_text(source, raw.decode("utf-8", "replace"))
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        source.problems.append(
            make_problem(
                "not-utf8",
                f"byte 0x{raw[error.start]:02x} is not UTF-8",
                path=source.path,
                line=line,
                column=column,
                excerpt=source.line_text(line),
                help="save the file as UTF-8",
            )
        )
        return False
    _set_text(source, text.replace("\r\n", "\n"))
    return True


def _set_text(source: Source, text: str) -> None:
    source.text = text
    starts = [0]
    starts.extend(match.end() for match in re.finditer("\n", text))
    source.line_starts = starts


def _check_characters(source: Source) -> bool:
    if source.text.startswith("\ufeff"):
        source.tell(
            "byte-order-mark",
            "the file starts with a byte order mark",
            0,
            1,
            help="save it as UTF-8 without BOM",
        )
        return False
    found = 0
    for match in _FORBIDDEN.finditer(source.text):
        found += 1
        if found > CHARACTER_PROBLEMS_MAX:
            break
        name = f"U+{ord(match[0][0]):04X}"
        source.tell(
            "control-character",
            f"the character {name} does not belong into a file",
            match.start(),
            match.start() + 1,
            help=f'remove it; where the text needs it, write "\\u{ord(match[0][0]):04x}" in double quotes',
        )
    return not found


# --- events to a tree ---------------------------------------------------------------------------------------


class _Unreadable(Exception):
    """The rest of the file cannot be read; the problem has been told."""


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet."""

    start: int
    keyed: bool
    nodes: list[Node] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)
    key: Scalar | None = None
    key_is_due: bool = True
    passed_over: bool = False
    """Whether it stands where no mapping or list may be (as a key): it is read and thrown away."""


def _read_tree(source: Source) -> Table | None:
    """Read the text, painting over the slips that can be."""
    text = source.text
    painted: list[tuple[int, int]] = []
    for _ in range(REPAIRS_MAX):
        told = len(source.problems)
        try:
            root = _Builder(source, painted).build(text)
        except yaml.MarkedYAMLError as error:
            repair = _repair(source, text, error)
            if repair is None:
                if any(problem.name == "tab-indentation" for problem in source.problems):
                    source.problems.pop()  # without its tabs the text has another shape
                return None
            # What the reading before the slip told is told again by the next one.
            slip = source.problems.pop()
            del source.problems[told:]
            source.problems.append(slip)
            text = repair.text
            painted.append((repair.start, repair.end))
        except _Unreadable:
            return None
        else:
            return _root_table(source, root)
    return None


def _root_table(source: Source, root: Node | None) -> Table | None:
    if isinstance(root, Table):
        return root
    if root is None or (isinstance(root, Scalar) and root.value is None and not root.broken):
        source.is_empty = True
        source.problems.append(
            make_problem(
                "not-a-mapping",
                "the file is empty",
                path=source.path,
                help="start with `name:` and `steps:`",
            )
        )
    else:
        what = "a list" if isinstance(root, Items) else "a single value"
        source.tell(
            "not-a-mapping",
            f"the file is {what}; it has to be a mapping of keys to values",
            root.start,
            root.start + 1,
            help="start with `name:` and `steps:`",
        )
    return None


class _Builder:
    """Builds the tree from events, with a stack instead of recursion."""

    def __init__(self, source: Source, painted: Sequence[tuple[int, int]] = ()) -> None:
        self._source = source
        self._painted = painted
        self._stack: list[_Open] = []
        self._root: Node | None = None
        self._documents = 0
        self._values = 0

    def build(self, text: str) -> Node | None:
        """The tree of *text*; raises yaml.MarkedYAMLError or _Unreadable."""
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        for event in yaml.parse(text, Loader=loader):
            match event:
                case yaml.ScalarEvent():
                    self._scalar(event)
                case yaml.MappingStartEvent():
                    self._open(event, keyed=True)
                case yaml.SequenceStartEvent():
                    self._open(event, keyed=False)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    self._close(_end(event))
                case yaml.AliasEvent():
                    self._alias(event)
                case yaml.DocumentStartEvent():
                    self._document(event)
        return self._root

    def _document(self, event: yaml.DocumentStartEvent) -> None:
        self._documents += 1
        start = _start(event)
        if self._documents > 1:
            self._source.tell(
                "several-documents",
                "a second YAML document starts here",
                start,
                start + 3,
                help="one file is one workflow: put the second one into a file of its own",
            )
            raise _Unreadable
        if event.version or event.tags:
            self._source.tell(
                "several-documents",
                "YAML directives are not part of the language",
                start,
                start + 1,
                help="remove the lines that start with `%`; files are YAML 1.2 anyway",
            )

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        self._count(event)
        start, end = _start(event), _end(event)
        broken = self._refuse_tag_and_anchor(event)
        text: str = event.value
        style = event.style or "plain"
        limit = KEY_CHARS_MAX if self._is_key() else SCALAR_CHARS_MAX
        if len(text) > limit:
            self._source.tell(
                "too-long",
                f"the text has {len(text):,} characters; {limit:,} are allowed here",
                start,
                start + 1,
                help="keep long scripts and data in a file beside the workflow",
            )
            raise _Unreadable
        is_plain = style == "plain" and event.tag is None
        value = text if not is_plain or self._is_key() else self._resolve(text, start, end)
        if isinstance(value, _Broken):
            broken, value = True, None
        broken = broken or any(first < end and start < last for first, last in self._painted)
        self._add(Scalar(start, end, text, value, style, broken))

    def _resolve(self, text: str, start: int, end: int) -> str | int | float | bool | _Broken | None:
        value = resolve_plain(text)
        if isinstance(value, Ambiguous):
            self._source.tell("ambiguous-number", value.why, start, end, help=value.help)
            return _Broken()
        return value

    def _alias(self, event: yaml.AliasEvent) -> None:
        self._count(event)
        start, end = _start(event), _end(event)
        self._source.tell(
            "anchor",
            f"`*{event.anchor}` is a YAML alias; the language has none",
            start,
            end,
            help="write the value again, or give it a name under `vars:` and use `${{ vars.name }}`",
        )
        self._add(Scalar(start, end, "", None, "plain", broken=True))

    def _refuse_tag_and_anchor(self, event: yaml.NodeEvent) -> bool:
        start = _start(event)
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._source.tell(
                "tag",
                "YAML tags are not part of the language",
                start,
                start + 1,
                help="remove the word that starts with `!`; quote the value where it is text",
            )
            return True
        if event.anchor is not None:
            self._source.tell(
                "anchor",
                f"`&{event.anchor}` is a YAML anchor; the language has none",
                start,
                start + 1 + len(event.anchor),
                help="write the value where it is needed, or give it a name under `vars:`",
            )
        return False

    def _open(self, event: yaml.CollectionStartEvent, *, keyed: bool) -> None:
        self._count(event)
        self._refuse_tag_and_anchor(event)
        start = _start(event)
        if len(self._stack) >= DEPTH_MAX:
            self._source.tell(
                "too-deep",
                f"mappings and lists stand more than {DEPTH_MAX} levels deep",
                start,
                start + 1,
                help="split the workflow: a `workflow:` step calls another file",
            )
            raise _Unreadable
        opened = _Open(start=start, keyed=keyed)
        if self._is_key():
            opened.passed_over = True
            self._source.tell(
                "bad-key",
                "a mapping or a list cannot be a key",
                start,
                start + 1,
                help="quote the text; an expression as a key or without quotes is not possible",
            )
        self._stack.append(opened)

    def _close(self, end: int) -> None:
        done = self._stack.pop()
        if done.passed_over:
            self._add(Scalar(done.start, end, "", None, "plain", broken=True))
        elif done.keyed:
            self._add(Table(done.start, end, tuple(done.entries.values())))
        else:
            self._add(Items(done.start, end, tuple(done.nodes)))

    def _is_key(self) -> bool:
        return bool(self._stack) and self._stack[-1].keyed and self._stack[-1].key_is_due

    def _add(self, node: Node) -> None:
        if not self._stack:
            self._root = node
            return
        parent = self._stack[-1]
        if not parent.keyed:
            parent.nodes.append(node)
        elif parent.key_is_due:
            parent.key = self._as_key(node, parent)
            parent.key_is_due = False
        else:
            if parent.key is not None:
                parent.entries[parent.key.text] = Entry(parent.key, node)
            parent.key_is_due = True

    def _as_key(self, node: Node, parent: _Open) -> Scalar | None:
        """The key, or None when its value is to be passed over."""
        if not isinstance(node, Scalar) or node.broken:
            return None
        if node.text == "<<" and node.style == "plain":
            self._source.tell(
                "anchor",
                "`<<` is a YAML merge key; the language has none",
                node.start,
                node.end,
                help="write the keys where they are needed",
            )
            return None
        if not node.text:
            self._source.tell(
                "bad-key",
                "a key is missing before `:`",
                node.start,
                node.start + 1,
                help="write the key's name",
            )
            return None
        if (first := parent.entries.get(node.text)) is not None:
            line, _ = self._source.line_and_column(first.key.start)
            self._source.tell(
                "duplicate-key",
                f"`{node.text}` stands twice in this mapping; the first is in line {line}",
                node.start,
                node.end,
                help="remove one of them, or put both values under one key",
            )
            return None
        return node

    def _count(self, event: yaml.Event) -> None:
        self._values += 1
        if self._values > VALUES_MAX:
            start = _start(event)
            self._source.tell(
                "too-many-values",
                f"the file has more than {VALUES_MAX:,} keys and values",
                start,
                start + 1,
                help="keep data in a file of its own and read it in a step",
            )
            raise _Unreadable


def _start(event: yaml.Event) -> int:
    mark = event.start_mark
    assert mark is not None, "events of a text have marks"
    return mark.index


def _end(event: yaml.Event) -> int:
    mark = event.end_mark
    assert mark is not None, "events of a text have marks"
    return mark.index


class _Broken:
    """Stands for a value that has been told as a problem."""


# --- the YAML 1.2 core schema -------------------------------------------------------------------------------

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_A_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """A number that would not survive being read."""

    why: str
    help: str


def resolve_plain(text: str) -> str | int | float | bool | Ambiguous | None:  # noqa: PLR0911 - a table of forms
    """The value of a scalar without quotes, by the YAML 1.2 core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _OCTAL.fullmatch(text):
        return _bounded(text, int(text, 8))
    if _HEXADECIMAL.fullmatch(text):
        return _bounded(text, int(text, 16))
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if abs(number) != float("inf") else _too_big(text)
    if _NOT_A_NUMBER.fullmatch(text):
        return Ambiguous(f"`{text}` is not a number that JSON knows", f'write "{text}" when text is meant')
    return text


def _integer(text: str) -> int | Ambiguous:
    digits = text.lstrip("+-")
    if len(digits) > 1 and digits[0] == "0":
        return Ambiguous(
            f"`{_short(text)}` would be read as the number {_short(_without_noughts(text))}",
            f'write "{_short(text)}" for text, or 0o… for an octal number',
        )
    if len(digits) > INTEGER_BITS_MAX // 3:
        return _too_big(text)
    return _bounded(text, int(text))


def _without_noughts(text: str) -> str:
    sign = "-" if text.startswith("-") else ""
    return sign + (text.lstrip("+-0") or "0")


def _bounded(text: str, number: int) -> int | Ambiguous:
    half = 1 << (INTEGER_BITS_MAX - 1)
    return number if -half <= number < half else _too_big(text)


def _too_big(text: str) -> Ambiguous:
    return Ambiguous(
        f"`{_short(text)}` does not fit into 64 bits", "put it in quotes: as text it stays as it is"
    )


_SHOWN_CHARS = 40


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


# --- slips --------------------------------------------------------------------------------------------------

_EXPRESSION = re.compile(r"\$\{\{.*?\}\}")
_PAINT = str.maketrans(dict.fromkeys("{}[],:#&*!|>'\"%@`?", "_"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Repair:
    """The text with one slip painted over, and where."""

    text: str
    start: int
    end: int


def _repair(source: Source, text: str, error: yaml.MarkedYAMLError) -> _Repair | None:
    """Tell the parser's error; the text with the slip painted over, or None when that is not possible."""
    place = _place_of(error, text)
    line, _ = source.line_and_column(place)
    line_start = source.line_starts[line - 1]
    for match in _EXPRESSION.finditer(source.line_text(line)):
        start, end = line_start + match.start(), line_start + match.end()
        if start < place <= end and text[start:end] == match[0]:
            return _repair_expression(source, text, start, end)
    if text[place : place + 1] == "\t":
        return _repair_tab(source, text, place)
    problem = error.problem or ""
    if "mapping values are not allowed" in problem and text[place : place + 1] == ":":
        return _repair_colon(source, text, place)
    message, advice = _explain(text[place : place + 1], problem, error.context or "")
    source.tell("syntax", f"{message}{_since(source, error, place)}", place, place + 1, help=advice)
    return None


def _place_of(error: yaml.MarkedYAMLError, text: str) -> int:
    """Where the slip is: where something was opened says more than where the parser noticed."""
    mark, opened = error.problem_mark or error.context_mark, error.context_mark
    problem = error.problem or ""
    is_opened = any(
        words in problem for words in ("unexpected end of stream", "expected ',' or", "expected ':'")
    )
    if is_opened and mark is not None and opened is not None and opened.line != mark.line:
        mark = opened
    return min(mark.index, len(text)) if mark is not None else 0


def _since(source: Source, error: yaml.MarkedYAMLError, place: int) -> str:
    if error.context_mark is None or error.context_mark.index >= place:
        return ""
    line, _ = source.line_and_column(place)
    other, _ = source.line_and_column(error.context_mark.index)
    return f" (it belongs to what starts in line {other})" if other != line else ""


def _repair_expression(source: Source, text: str, start: int, end: int) -> _Repair:
    expression = text[start:end]
    quote = "'" if '"' in expression else '"'
    source.tell(
        "unquoted-expression",
        "an expression that YAML misreads without quotes",
        start,
        end,
        help=f"put the whole value in quotes: {quote}{expression}{quote}",
    )
    return _Repair(text=text[:start] + expression.translate(_PAINT) + text[end:], start=start, end=end)


def _repair_tab(source: Source, text: str, place: int) -> _Repair:
    end = place
    while text[end : end + 1] in ("\t", " ") and end < len(text):
        end += 1
    source.tell(
        "tab-indentation", "a tab stands where YAML indents with spaces", place, end, help="use spaces"
    )
    return _Repair(text=text[:place] + " " * (end - place) + text[end:], start=place, end=place)


def _repair_colon(source: Source, text: str, place: int) -> _Repair:
    line, column = source.line_and_column(place)
    line_start = source.line_starts[line - 1]
    shown = source.line_text(line)
    first = shown[: column - 1].find(": ")
    value = shown[first + 2 :] if first >= 0 else shown
    source.tell(
        "syntax",
        "a second `:` in a value without quotes",
        place,
        place + 1,
        help=f"put the value in quotes: {_quoted(value)}",
    )
    rest = shown[column - 1 :].replace(": ", "; ")
    rest = f";{rest[1:]}"
    end = line_start + len(shown)
    return _Repair(text=text[:place] + rest + text[end:], start=place, end=end)


def _quoted(value: str) -> str:
    value = value.strip()
    return "'" + value.replace("'", "''") + "'" if len(value) <= _SHOWN_CHARS * 2 else "'…'"


def _explain(character: str, problem: str, context: str) -> tuple[str, str]:  # noqa: PLR0911 - a table
    """The parser's words in ours, and what to do."""
    if "unexpected end of stream" in problem and "quoted" in context:
        return "a quoted text does not end", "close the quotes"
    if "cannot start any token" in problem:
        return f"a value without quotes cannot start with `{character}`", "put the value in quotes"
    if "unknown escape" in problem:
        return "an unknown escape in double quotes", "write \\\\ for a backslash, or use single quotes"
    if "expected ',' or" in problem:
        kind = "[…]" if "sequence" in context else "{…}"
        return (
            f"a `,` or the end of `{kind}` is missing",
            "close it, or put the value before this place in quotes",
        )
    if "expected key" in problem or "expected '-' indicator" in problem:
        return (
            "this line does not fit to the lines above it",
            "check the indentation, and quotes that ended early",
        )
    if "could not find expected ':'" in problem:
        return "a `:` is missing after a key", "write `key: value`"
    return f"this is not YAML: {problem or context or 'it cannot be read'}", "check indentation and quotes"


# --- from a text back to its place in the file --------------------------------------------------------------

_ESCAPE_DIGITS = {"x": 2, "u": 4, "U": 8}


def _alignment(text: str, node: Scalar) -> Sequence[int]:
    """For each character of a scalar's value its offset in the file, and one more for its end.

    Block scalars lose their indentation, quoted ones their escapes, folded ones their line ends: walking both
    texts side by side finds every character again.
    """
    position = node.start
    if node.style in ("'", '"'):
        position += 1
    elif node.style in ("|", ">"):
        position = text.find("\n", node.start) + 1
    places: list[int] = []
    for character in node.text:
        position, width = _next_place(text, position, node, character)
        places.append(position)
        position += width
    places.append(min(position, len(text)))
    return places


def _next_place(text: str, position: int, node: Scalar, character: str) -> tuple[int, int]:
    """Where *character* stands at or after *position*, and how many characters it takes there."""
    end = min(max(node.end, node.start), len(text))
    while position < end:
        raw = text[position]
        if node.style == '"' and raw == "\\":
            if text[position + 1 : position + 2] == "\n":
                position += 2
                continue
            return position, 2 + _ESCAPE_DIGITS.get(text[position + 1 : position + 2], 0)
        if node.style == "'" and text.startswith("''", position):
            return position, 2
        if raw == character or (character == " " and raw == "\n"):
            return position, 1
        if raw in " \t\n":
            position += 1
            continue
        return position, 1
    return end, 0
