"""Values for the unknown: the fewest that every condition of the workflow can tell apart.

For each literal that a value is compared with there is that literal, and something else; for an order one value on each side; both
booleans; a list with items and one without. The first sample is the plainest.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, TypeAlias

from towpath.core.run import Json
from towpath.definition import inputs, model
from towpath.trials.checking.limits import SAMPLES_MAX
from towpath.trials.checking.shapes import Shape

Type: TypeAlias = Literal["boolean", "integer", "number", "string", "list", "map", ""]
"""What a value is declared to be; empty where nothing says it."""
TEXT = "text"
"""A text that stands for any text."""
ITEMS = 2
"""Items of a list that nobody knows."""
ITEMS_MAX = 8
"""Items of a list that a size is compared with."""
TEXT_CHARS_MAX = 1_000
_PATTERN_TRIES = (
    "1.0.0",
    "v1",
    "v1.0.0",
    "a",
    "A-1",
    "ABC-1",
    "1",
    "a1",
    "2026-01-01",
    "a@b.org",
    "https://a.org",
    "10.0.0.1",
    "main",
    "abc",
)
"""Texts that are tried where an input has a pattern and no default."""


class Absent:
    """The sample that is no value at all."""


ABSENT = Absent()


def samples(shape: Shape, kind: Type = "", items: Type = "") -> tuple[Json, ...]:
    """Values for what *shape* asks, the plainest first; only one where nothing depends on it."""
    found = _distinct(_samples(shape, kind or _kind_of(shape), items))
    return found[:SAMPLES_MAX] if shape.decides or _decides_inside(shape) else found[:1]


def _decides_inside(shape: Shape) -> bool:
    inner = [*shape.fields.values(), *(part for part in (shape.item, shape.json) if part is not None)]
    return any(part.decides or _decides_inside(part) for part in inner)


def _kind_of(shape: Shape) -> Type:  # noqa: PLR0911 - one answer for each kind
    if shape.fields:
        return "map"
    if shape.item is not None or shape.is_map_of or (shape.holds and not shape.is_text):
        return "list"
    if shape.is_bool or any(isinstance(value, bool) for value in shape.equals.values()):
        return "boolean"
    if shape.numeric_text or shape.is_text or shape.json is not None:
        return "string"
    if shape.is_number or shape.orders or any(_is_number(value) for value in shape.equals.values()):
        return "integer"
    if shape.sizes and not any(isinstance(value, str) for value in shape.equals.values()):
        return "list"
    if any(isinstance(value, dict) for value in shape.equals.values()):
        return "map"
    if any(isinstance(value, list) for value in shape.equals.values()):
        return "list"
    return "string"


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _samples(shape: Shape, kind: Type, items: Type) -> Iterator[Json]:
    match kind:
        case "boolean":
            yield True
            yield False
        case "integer" | "number":
            yield from _numbers(shape)
        case "list":
            yield from _lists(shape, items)
        case "map":
            yield from _maps(shape)
        case _:
            yield from _texts(shape)
    if None in shape.equals.values():
        yield None


def _numbers(shape: Shape) -> Iterator[Json]:
    known = {_whole(value) for value in shape.equals.values() if _is_number(value)}
    found = sorted(known | {_whole(number) for number in shape.orders})
    yield from found
    other = _whole(found[-1] + 1) if found else 1
    if known or not found:
        yield other
    if shape.is_divisor:
        yield 0
    if shape.varies:
        yield other + 1


def _whole(number: float) -> Json:
    return int(number) if float(number).is_integer() else number


def _texts(shape: Shape) -> Iterator[Json]:
    if shape.json is not None:
        yield from (json.dumps(value) for value in samples(shape.json))
        return
    if shape.numeric_text:
        yield from (f"{value:g}" for value in _numbers(shape))
        return
    known = [value for value in (*shape.equals.values(), *shape.holds.values()) if isinstance(value, str)]
    yield from known
    other = shape.words or (TEXT if TEXT not in known else f"another {TEXT}")
    yield other
    if shape.varies:
        yield f"other {other}"
    yield from ("x" * count for count in sorted(shape.sizes) if 0 <= count <= TEXT_CHARS_MAX)


def _lists(shape: Shape, items: Type) -> Iterator[Json]:
    inner = shape.item or Shape()
    values = samples(inner, items or "") if shape.item is not None else ()
    plain = [*_plain_items(values[0] if values else f"{TEXT} 1", ITEMS)]
    yield plain
    for value in values[1:]:
        yield [value]
        yield [values[0], value]
    for value in shape.holds.values():
        yield [value]
    for value in shape.equals.values():
        if isinstance(value, list):
            yield value
    for count in sorted(count for count in shape.sizes if 0 <= count <= ITEMS_MAX):
        yield list(_plain_items(values[0] if values else f"{TEXT} 1", count))
    yield []


def _plain_items(value: Json, count: int) -> Iterator[Json]:
    """Items that differ where they are texts, so that each has a name of its own."""
    for position in range(1, count + 1):
        yield f"item{position}" if isinstance(value, str) else value


def _maps(shape: Shape) -> Iterator[Json]:
    names = list(shape.fields)
    choices = [_field_choices(shape.fields[name]) for name in names]
    for values in combinations(choices, SAMPLES_MAX)[0]:
        yield {name: value for name, value in zip(names, values, strict=True) if value is not ABSENT}
    for value in shape.equals.values():
        if isinstance(value, dict):
            yield value
    if shape.varies:
        yield {"other": 1}


def _field_choices(shape: Shape) -> tuple[Json, ...]:
    found = samples(shape)
    return (*found, ABSENT) if shape.is_optional else found


def combinations(
    choices: Sequence[Sequence[Json]], count_max: int
) -> tuple[tuple[tuple[Json, ...], ...], bool]:
    """Every combination of *choices*; past *count_max* the plainest one and each change of it. Whether all are there."""
    count = 1
    for one in choices:
        count *= len(one)
    if count <= count_max:
        return tuple(itertools.product(*choices)), True
    plain = tuple(one[0] for one in choices)
    found = [plain]
    for position, one in enumerate(choices):
        found += [(*plain[:position], value, *plain[position + 1 :]) for value in one[1:]]
    return tuple(found[:count_max]), False


def _distinct(values: Iterable[Json]) -> tuple[Json, ...]:
    return tuple({repr(value): value for value in values}.values())


def declared_samples(name: str, declared: model.Input, shape: Shape | None) -> tuple[Json, ...]:
    """Values of an input, or of a field of a form: its default, and what conditions tell apart; none where none is known."""
    wanted = shape or Shape()
    found: list[Json] = []
    if declared.has_default and declared.default is not None:
        found.append(declared.default)
    if declared.enum is not None:
        found.extend(declared.enum)
    else:
        items: Type = declared.items.type if declared.items is not None else ""
        found.extend(
            value for value in samples(wanted, declared.type, items) if not _is_like(value, found, wanted)
        )
        found.extend(_limits_of(declared))
    valid = _valid(name, declared, found)
    if not valid or (wanted.varies and len(valid) < ITEMS):
        valid = [*valid, *_valid(name, declared, _PATTERN_TRIES)][:ITEMS]
    if not declared.has_default and declared.required is False:
        valid.append(ABSENT)
    elif declared.has_default and declared.default is None:
        valid.append(None)
    return tuple(valid[:SAMPLES_MAX]) if wanted.decides or _decides_inside(wanted) else tuple(valid[:1])


def _is_like(value: Json, found: Sequence[Json], shape: Shape) -> bool:
    """Whether the default already stands for a made-up value that nothing tells from it."""
    if not found or shape.varies:
        return False
    if isinstance(value, str) and isinstance(found[0], str):
        return not (shape.equals or shape.holds or shape.sizes)
    if isinstance(value, list) and isinstance(found[0], list):
        return bool(value) and bool(found[0]) and is_plain_list(shape)
    return False


def is_plain_list(shape: Shape) -> bool:
    """Whether nothing tells the items of a list apart, and nothing asks for one of them or how many they are."""
    is_plain = shape.item is None or not (shape.item.decides or _decides_inside(shape.item))
    return is_plain and not (shape.equals or shape.holds or shape.sizes or shape.varies)


def _valid(name: str, declared: model.Input, values: Iterable[Json]) -> list[Json]:
    return [value for value in _distinct(values) if not inputs.problems_of(name, value, declared)]


def _limits_of(declared: model.Input) -> Iterator[Json]:
    if declared.type in ("integer", "number"):
        yield from (_whole(limit) for limit in (declared.minimum, declared.maximum) if limit is not None)
    if declared.type == "string" and declared.min_length:
        yield "x" * declared.min_length
    if declared.type == "list" and declared.min_length:
        yield [f"item{position + 1}" for position in range(declared.min_length)]


def schema_type(schema: Mapping[str, object]) -> Type:
    """The type of the values that a JSON Schema describes."""
    found: dict[str, Type] = {
        "string": "string", "integer": "integer", "number": "number", "boolean": "boolean", "array": "list", "object": "map",
    }  # fmt: skip
    return found.get(str(schema.get("type")), "")
