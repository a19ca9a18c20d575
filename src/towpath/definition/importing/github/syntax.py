"""The expression language of GitHub Actions: text in, a tree out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

DEPTH_MAX: Final = 40
"""Brackets and operators inside each other."""
EXPRESSION_CHARS_MAX: Final = 4_096
SIGNS_MAX: Final = 200
"""Signs, brackets and dots of one expression."""
_TOKEN = re.compile(
    r"\s*(?:(?P<number>-?(?:0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][-+]?\d+)?))"
    r"|'(?P<text>(?:[^']|'')*)'"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_-]*)"
    r"|(?P<sign>==|!=|<=|>=|&&|\|\||[!<>().,\[\]*]))"
)


class NotAnExpression(ValueError):
    """The text is no expression of GitHub's; the message says why."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that is written out."""

    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Path:
    """A way into a context: `github.event.number`; `*` stands for all."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """Something looked up by a value that is worked out."""

    of: Node
    key: Node


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments; the name is in small letters."""

    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    of: Node


@dataclass(frozen=True, slots=True)
class Binary:
    """Two values and the sign between them."""

    sign: str
    left: Node
    right: Node


Node: TypeAlias = Literal | Path | Index | Call | Not | Binary

_LEVELS: Final = (("||",), ("&&",), ("==", "!="), ("<", "<=", ">", ">="))
_WORDS: Final = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An expression inside a text."""

    start: int
    end: int
    source: str


def expressions(text: str) -> Iterator[Found]:
    """Every `${{ … }}` of a text; one that does not end is the rest of the text."""
    position = 0
    while (start := text.find("${{", position)) >= 0:
        end = start + 3
        quoted = False
        while end < len(text) and (quoted or not text.startswith("}}", end)):
            quoted ^= text[end] == "'"
            end += 1
        yield Found(start=start, end=min(end + 2, len(text)), source=text[start + 3 : end].strip())
        position = min(end + 2, len(text))


def parse(source: str) -> Node:
    """The tree of an expression; raises NotAnExpression."""
    if len(source) > EXPRESSION_CHARS_MAX:
        raise NotAnExpression("it is too long")
    parser = _Parser(source)
    node = parser.binary(0, 0)
    if parser.sign or parser.kind:
        raise NotAnExpression(f"`{parser.text}` is not expected")
    return node


class _Parser:
    """Reads tokens one ahead."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._position = 0
        self._signs = 0
        self.kind = self.text = self.sign = ""
        self._step()

    def _step(self) -> None:
        rest = self._source[self._position :]
        if not rest.strip():
            self.kind = self.text = self.sign = ""
            return
        found = _TOKEN.match(rest)
        if found is None:
            raise NotAnExpression(f"`{rest.strip()[:20]}` cannot be read")
        self._position += found.end()
        self.kind = found.lastgroup or ""
        self.text = found[self.kind]
        self.sign = self.text if self.kind == "sign" else ""
        self._signs += bool(self.sign)
        if self._signs > SIGNS_MAX:
            raise NotAnExpression("it is too long")

    def _take(self, sign: str) -> None:
        if self.sign != sign:
            raise NotAnExpression(f"`{sign}` is missing")
        self._step()

    def binary(self, level: int, depth: int) -> Node:
        """An operation of this level, or of those that bind more tightly."""
        if depth > DEPTH_MAX:
            raise NotAnExpression("it is nested too deeply")
        if level == len(_LEVELS):
            return self._unary(depth)
        left = self.binary(level + 1, depth)
        while self.sign in _LEVELS[level]:
            sign = self.sign
            self._step()
            left = Binary(sign, left, self.binary(level + 1, depth + 1))
        return left

    def _unary(self, depth: int) -> Node:
        if self.sign == "!":
            self._step()
            if depth > DEPTH_MAX:
                raise NotAnExpression("it is nested too deeply")
            return Not(self._unary(depth + 1))
        return self._postfix(self._primary(depth), depth)

    def _primary(self, depth: int) -> Node:
        kind, text = self.kind, self.text
        if self.sign == "(":
            self._step()
            inner = self.binary(0, depth + 1)
            self._take(")")
            return inner
        if kind == "number":
            self._step()
            return Literal(_number(text))
        if kind == "text":
            self._step()
            return Literal(text.replace("''", "'"))
        if kind == "word":
            self._step()
            if self.sign == "(":
                return self._call(text.lower(), depth)
            return Literal(_WORDS[text]) if text in _WORDS else Path((text.lower(),))
        raise NotAnExpression(f"`{text}` is not expected" if text else "it ends too early")

    def _call(self, name: str, depth: int) -> Node:
        self._take("(")
        arguments: list[Node] = []
        while self.sign != ")":
            arguments.append(self.binary(0, depth + 1))
            if self.sign != ")":
                self._take(",")
        self._take(")")
        return Call(name, tuple(arguments))

    def _postfix(self, node: Node, depth: int) -> Node:
        while self.sign in (".", "["):
            if self.sign == ".":
                self._step()
                word = self.text
                if self.kind != "word" and self.sign != "*":
                    raise NotAnExpression("a name is missing after `.`")
                self._step()
                key: Node = Literal(word)
            else:
                self._step()
                if self.sign == "*":
                    self._step()
                    key = Literal("*")
                else:
                    key = self.binary(0, depth + 1)
                self._take("]")
            node = _joined(node, key)
        return node


def _joined(node: Node, key: Node) -> Node:
    if isinstance(node, Path) and isinstance(key, Literal) and isinstance(key.value, str):
        return Path((*node.words, key.value))
    return Index(node, key)


def _number(text: str) -> int | float:
    if "x" in text:
        return int(text, 16)
    number = float(text)
    return int(number) if number.is_integer() and "e" not in text.lower() else number
