"""The syntax tree of an expression, read from and written to CEL's own wire format.

CEL hands out a parsed expression only as a serialized `cel.expr.ParsedExpr` (a protocol buffer), and takes
one back. That is all this module knows: seven kinds of node, a reader and a writer, with no need of a
protobuf library. The tree answers what an expression reads, and lets a few functions of the language be
rewritten into plain CEL (see `rewriting`).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias, assert_never

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ConstantValue: TypeAlias = bool | int | float | str | bytes | None

_PARSED_TYPE_URL: Final = b"type.googleapis.com/cel.expr.ParsedExpr"


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """A literal: null, true, 1, 1u, 1.5, "text" or b"bytes"."""

    value: ConstantValue
    unsigned: bool = False
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """An identifier."""

    name: str
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Select:
    """`operand.field`, or `has(operand.field)` when *tested*."""

    operand: Node
    field: str
    tested: bool = False
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """`function(…)`, `target.function(…)`, or an operator under CEL's name for it (`_+_`, `_[_]`, …)."""

    function: str
    arguments: tuple[Node, ...]
    target: Node | None = None
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOf:
    """`[a, b, …]`."""

    items: tuple[Node, ...]
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MapOf:
    """`{key: value, …}`; *message* is set for `Type{field: value}`, which the language refuses."""

    entries: tuple[tuple[Node, Node], ...]
    message: str = ""
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """What `all`, `exists`, `exists_one`, `map` and `filter` become: a fold over a list or a map's keys."""

    variable: str
    over: Node
    accumulator: str
    initial: Node
    condition: Node
    step: Node
    result: Node
    offset: int = 0


Node: TypeAlias = Constant | Name | Select | Call | ListOf | MapOf | Loop


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes directly inside *node*, in the order of the text."""
    match node:
        case Constant() | Name():
            return ()
        case Select():
            return (node.operand,)
        case Call():
            return node.arguments if node.target is None else (node.target, *node.arguments)
        case ListOf():
            return node.items
        case MapOf():
            return tuple(part for entry in node.entries for part in entry)
        case Loop():
            return (node.over, node.initial, node.condition, node.step, node.result)
        case _:
            assert_never(node)


def static_path(node: Node) -> tuple[Name, tuple[str, ...], bool] | None:
    """Return root, path and whether its end is only tested, when *node* is a chain of constant selects."""
    fields: list[str] = []
    tested = False
    while True:
        match node:
            case Name():
                return node, (node.name, *reversed(fields)), tested
            case Select(tested=True) if fields:
                return None
            case Select():
                tested = tested or node.tested
                fields.append(node.field)
                node = node.operand
            case Call(function="_[_]", arguments=(operand, Constant(value=str(field)))):
                fields.append(field)
                node = operand
            case _:
                return None


# Reading


def read(serialized: bytes) -> Node:
    """Return the tree of an expression that CEL parsed and serialized."""
    parsed = _only(_fields(serialized), 2)
    expression = info = b""
    for number, value in _fields(parsed):
        if number == 2:  # noqa: PLR2004 - field numbers of cel.expr are what this reader is about
            expression = _bytes(value)
        elif number == 3:  # noqa: PLR2004
            info = _bytes(value)
    return _read_node(expression, _read_offsets(info))


def _read_offsets(info: bytes) -> dict[int, int]:
    offsets: dict[int, int] = {}
    for number, value in _fields(info):
        if number == 4:  # noqa: PLR2004
            entry = dict(_fields(_bytes(value)))
            offsets[_int(entry.get(1, 0))] = _int(entry.get(2, 0))
    return offsets


def _read_node(data: bytes, offsets: Mapping[int, int]) -> Node:  # noqa: PLR0911 - one for each kind
    offset = 0
    kind, body = 0, b""
    for number, value in _fields(data):
        if number == 2:  # noqa: PLR2004
            offset = offsets.get(_int(value), 0)
        else:
            kind, body = number, _bytes(value)
    match kind:
        case 3:
            return _read_constant(body, offset)
        case 4:
            return Name(name=_text(body, 1), offset=offset)
        case 5:
            return _read_select(body, offsets, offset)
        case 6:
            return _read_call(body, offsets, offset)
        case 7:
            items = tuple(_read_node(item, offsets) for item in _repeated(body, 1))
            return ListOf(items=items, offset=offset)
        case 8:
            return _read_map(body, offsets, offset)
        case 9:
            return _read_loop(body, offsets, offset)
        case _:
            raise AssertionError(f"CEL wrote an expression of an unknown kind: {kind}")


def _read_constant(body: bytes, offset: int) -> Constant:  # noqa: PLR0911 - one for each kind
    ((number, value),) = _fields(body)
    match number:
        case 1:
            return Constant(value=None, offset=offset)
        case 2:
            return Constant(value=bool(value), offset=offset)
        case 3:
            signed = _int(value)
            return Constant(value=signed - 2**64 if signed >= 2**63 else signed, offset=offset)
        case 4:
            return Constant(value=_int(value), unsigned=True, offset=offset)
        case 5:
            return Constant(value=float(struct.unpack("<d", _bytes(value))[0]), offset=offset)
        case 6:
            return Constant(value=_bytes(value).decode(), offset=offset)
        case _:
            return Constant(value=_bytes(value), offset=offset)


def _read_select(body: bytes, offsets: Mapping[int, int], offset: int) -> Select:
    fields = dict(_fields(body))
    return Select(
        operand=_read_node(_bytes(fields[1]), offsets),
        field=_bytes(fields.get(2, b"")).decode(),
        tested=bool(fields.get(3, 0)),
        offset=offset,
    )


def _read_call(body: bytes, offsets: Mapping[int, int], offset: int) -> Call:
    targets = _repeated(body, 1)
    return Call(
        function=_text(body, 2),
        arguments=tuple(_read_node(argument, offsets) for argument in _repeated(body, 3)),
        target=_read_node(targets[0], offsets) if targets else None,
        offset=offset,
    )


def _read_map(body: bytes, offsets: Mapping[int, int], offset: int) -> MapOf:
    entries = []
    for entry in _repeated(body, 2):
        fields = dict(_fields(entry))
        key: Node = (
            _read_node(_bytes(fields[3]), offsets)
            if 3 in fields  # noqa: PLR2004
            else Constant(value=_bytes(fields[2]).decode())
        )
        entries.append((key, _read_node(_bytes(fields[4]), offsets)))
    return MapOf(entries=tuple(entries), message=_text(body, 1), offset=offset)


def _read_loop(body: bytes, offsets: Mapping[int, int], offset: int) -> Loop:
    fields = dict(_fields(body))
    node = {number: _read_node(_bytes(fields[number]), offsets) for number in (2, 4, 5, 6, 7)}
    return Loop(
        variable=_bytes(fields[1]).decode(),
        over=node[2],
        accumulator=_bytes(fields[3]).decode(),
        initial=node[4],
        condition=node[5],
        step=node[6],
        result=node[7],
        offset=offset,
    )


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the (number, value) pairs of one protobuf message; fixed-width values come as bytes."""
    position = 0
    while position < len(data):
        tag, position = _read_varint(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, position = _read_varint(data, position)
            yield number, value
            continue
        if wire == 2:  # noqa: PLR2004
            length, position = _read_varint(data, position)
        else:
            length = 8 if wire == 1 else 4
        yield number, data[position : position + length]
        position += length


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004
            return result, position
        shift += 7


def _repeated(data: bytes, wanted: int) -> list[bytes]:
    return [_bytes(value) for number, value in _fields(data) if number == wanted]


def _only(fields: Iterator[tuple[int, int | bytes]], wanted: int) -> bytes:
    return next(_bytes(value) for number, value in fields if number == wanted)


def _text(data: bytes, wanted: int) -> str:
    return b"".join(_repeated(data, wanted)).decode()


def _bytes(value: int | bytes) -> bytes:
    assert isinstance(value, bytes)
    return value


def _int(value: int | bytes) -> int:
    assert isinstance(value, int)
    return value


# Writing


def write(root: Node) -> bytes:
    """Return *root* in the form that CEL reads back."""
    parsed = _message(2, _Writer().node(root)) + _message(3, _message(1, b"<input>"))
    return _message(1, _PARSED_TYPE_URL) + _message(2, parsed)


class _Writer:
    """Numbers the nodes as it writes them: CEL wants every node of an expression to have its own id."""

    def __init__(self) -> None:
        self._last_id = 0

    def node(self, node: Node) -> bytes:
        self._last_id += 1
        return _number(2, self._last_id) + self._body(node)

    def _body(self, node: Node) -> bytes:  # noqa: PLR0911 - one for each kind
        match node:
            case Constant():
                return _message(3, _constant(node))
            case Name():
                return _message(4, _message(1, node.name.encode()))
            case Select():
                tested = _number(3, 1) if node.tested else b""
                body = _message(1, self.node(node.operand)) + _message(2, node.field.encode()) + tested
                return _message(5, body)
            case Call():
                target = _message(1, self.node(node.target)) if node.target is not None else b""
                arguments = b"".join(_message(3, self.node(argument)) for argument in node.arguments)
                return _message(6, target + _message(2, node.function.encode()) + arguments)
            case ListOf():
                return _message(7, b"".join(_message(1, self.node(item)) for item in node.items))
            case MapOf():
                return _message(8, b"".join(_message(2, self._entry(*entry)) for entry in node.entries))
            case Loop():
                return _message(9, self._loop(node))
            case _:
                assert_never(node)

    def _entry(self, key: Node, value: Node) -> bytes:
        self._last_id += 1
        return _number(1, self._last_id) + _message(3, self.node(key)) + _message(4, self.node(value))

    def _loop(self, loop: Loop) -> bytes:
        return (
            _message(1, loop.variable.encode())
            + _message(2, self.node(loop.over))
            + _message(3, loop.accumulator.encode())
            + _message(4, self.node(loop.initial))
            + _message(5, self.node(loop.condition))
            + _message(6, self.node(loop.step))
            + _message(7, self.node(loop.result))
        )


def _constant(constant: Constant) -> bytes:
    match constant.value:
        case None:
            return _number(1, 0)
        case bool(value):
            return _number(2, int(value))
        case int(value):
            return _number(4 if constant.unsigned else 3, value % 2**64)
        case float(value):
            return _varint(5 << 3 | 1) + struct.pack("<d", value)
        case str(value):
            return _message(6, value.encode())
        case bytes(value):
            return _message(7, value)
        case _:
            assert_never(constant.value)


def _message(number: int, body: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(body)) + body


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:  # noqa: PLR2004
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
