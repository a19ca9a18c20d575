"""Shapes: the JSON side of Python types."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.steps.shapes import Range, ShapeError, read, schema_of, write


class Colour(enum.Enum):
    """A closed choice."""

    RED = "red"
    BLUE = "blue"


class Options(TypedDict):
    """Options by name."""

    a: int
    b: NotRequired[str]


@dataclass(frozen=True)
class Host:
    """A record."""

    name: Annotated[str, "Its name"]
    port: Annotated[int, Range(1, 65535)] = 80
    tags: list[str] = field(default_factory=list)
    key: Annotated[Annotated[str, Range(1)] | None, "Its key"] = None


@dataclass(frozen=True)
class Tree:
    """A record that holds itself."""

    children: list[Tree] = field(default_factory=list)


class Model(pydantic.BaseModel):
    """A model of another library."""

    number: int
    inner: list[dict[str, int]] = []


GOOD = [
    (5, int, 5),
    (5.0, int, 5),
    (5, float, 5.0),
    (True, bool, True),
    ("a", str, "a"),
    (None, None, None),
    (None, str | None, None),
    ("a", str | int, "a"),
    (5, str | int, 5),
    ([1], list[int], [1]),
    ([1], tuple[int, ...], (1,)),
    ([1, "a"], tuple[int, str], (1, "a")),
    (["a", "a"], set[str], {"a"}),
    ({"a": 1}, dict[str, int], {"a": 1}),
    ({"a": 1}, Any, {"a": 1}),
    ({"a": 1}, dict, {"a": 1}),
    ("red", Colour, Colour.RED),
    ("a", Literal["a", 1], "a"),
    ({"name": "x"}, Host, Host("x")),
    ({"name": "x", "port": 8080}, Host, Host("x", 8080)),
    ({"children": [{}, {"children": [{}]}]}, Tree, Tree([Tree(), Tree([Tree()])])),
    ({"a": 1}, Options, {"a": 1}),
    ("a/b", Path, Path("a/b")),
    ("30s", datetime.timedelta, datetime.timedelta(seconds=30)),
    (1.5, datetime.timedelta, datetime.timedelta(seconds=1.5)),
    ("2026-11-22", datetime.date, datetime.date(2026, 11, 22)),
    (
        "2026-11-22T15:00:00+00:00",
        datetime.datetime,
        datetime.datetime(2026, 11, 22, 15, tzinfo=datetime.UTC),
    ),
    ("0.1", decimal.Decimal, decimal.Decimal("0.1")),
    ("6b1c1c9e-3a0e-4c0e-9d0e-0d0e0d0e0d0e", uuid.UUID, uuid.UUID("6b1c1c9e-3a0e-4c0e-9d0e-0d0e0d0e0d0e")),
    ({"number": 1, "inner": [{"a": 2}]}, Model, Model(number=1, inner=[{"a": 2}])),
]


@pytest.mark.parametrize(("value", "annotation", "expected"), GOOD)
def test_json_becomes_the_typed_value(value: Any, annotation: Any, expected: Any) -> None:
    """A value that fits its type is read as that type, exactly."""
    found = read(value, annotation)

    assert expected == found
    assert type(expected) is type(found)


BAD = [
    ("5", int, ": must be an integer, not text"),
    (True, int, ": must be an integer, not a boolean"),
    (1, bool, ": must be a boolean, not an integer"),
    (1.5, str, ": must be text, not a number; put it in quotes"),
    (None, str, ": must be text, not null"),
    ([1, "a", []], list[int], "[1]: must be an integer, not text"),
    ([1, "a", []], list[int], "[2]: must be an integer, not a list"),
    ({"a": {"b": "c"}}, dict[str, dict[str, int]], "a.b: must be an integer"),
    ({}, Host, "name: is required"),
    ({"name": "x", "prt": 1}, Host, "prt: is not known; did you mean `port`?"),
    ({"name": "x", "port": 0}, Host, "port: must be at least 1"),
    ({"name": "x", "port": 70000}, Host, "port: must be at most 65535"),
    ({"name": "x", "tags": "y"}, Host, "tags: must be a list, not text"),
    ({"name": 1, "port": "x"}, Host, "port: must be an integer"),
    ("green", Colour, "must be one of red, blue"),
    (True, Literal[1], "must be one of 1"),
    ([], str | int | None, "must be text or an integer or null, not a list"),
    ({"name": 5}, Host | str, "name: must be text"),
    ([1], tuple[int, str], "must have 2 items, not 1"),
    ("soon", datetime.timedelta, "is not a duration"),
    ("yesterday", datetime.date, "must be a date"),
    ("a\0b", Path, "must be a path"),
    ("x", uuid.UUID, "must be a UUID"),
    ("", Annotated[str, Range(1)], "must have a length of at least 1"),
    ("b", Annotated[str, Range(pattern="^a")], "must look like ^a"),
    ({"number": "x"}, Model, "number: "),
    ({"number": 1, "inner": [{"a": "x"}]}, Model, "inner[0].a: "),
    (b"x", bytes, "must be bytes"),
]


@pytest.mark.parametrize(("value", "annotation", "told"), BAD)
def test_a_wrong_value_is_told_with_its_path(value: Any, annotation: Any, told: str) -> None:
    """Nothing is guessed or converted; the message says where, what it must be, and what it is."""
    with pytest.raises(ShapeError) as caught:
        read(value, annotation)

    assert told in "; ".join(f"{problem.path}: {problem.message}" for problem in caught.value.problems)


def test_every_problem_is_told() -> None:
    """One reading tells all that is wrong."""
    with pytest.raises(ShapeError) as caught:
        read({"port": "x", "tags": [1, 2], "odd": 1}, Host)

    assert [problem.path for problem in caught.value.problems] == [
        "name",
        "port",
        "tags[0]",
        "tags[1]",
        "odd",
    ]


SCHEMAS = [
    (str, {"type": "string"}),
    (Any, {}),
    (None, {"type": "null"}),
    (str | None, {"type": ["string", "null"]}),
    (list[int], {"type": "array", "items": {"type": "integer"}}),
    (dict[str, bool], {"type": "object", "additionalProperties": {"type": "boolean"}}),
    (Literal["a", "b"], {"enum": ["a", "b"]}),
    (Colour, {"enum": ["red", "blue"]}),
    (str | Any, {}),
    (set[str], {"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
    (
        Host,
        {
            "type": "object",
            "properties": {
                "name": {"type": "string", "description": "Its name"},
                "port": {"type": "integer", "minimum": 1, "maximum": 65535, "default": 80},
                "tags": {"type": "array", "items": {"type": "string"}},
                "key": {"type": "string", "minLength": 1, "description": "Its key"},
            },
            "required": ["name"],
            "additionalProperties": False,
        },
    ),
    (Tree, {"type": "object", "properties": {"children": {"type": "array"}}, "additionalProperties": False}),
    (
        Options,
        {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
            "required": ["a"],
            "additionalProperties": False,
        },
    ),
]


@pytest.mark.parametrize(("annotation", "schema"), SCHEMAS)
def test_a_type_has_a_json_schema(annotation: Any, schema: dict[str, Any]) -> None:
    """The schema tells what `read` takes."""
    assert schema == schema_of(annotation)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_plain_json_goes_through_unchanged(value: Any) -> None:
    """What is JSON already is neither changed on the way in nor on the way out."""
    assert value == write(read(value, Any))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Host("x"), {"name": "x", "port": 80, "tags": [], "key": None}),
        (Colour.RED, "red"),
        ({1, 3, 2}, [1, 2, 3]),
        ((1, 2), [1, 2]),
        (Path("a"), "a"),
        (datetime.timedelta(minutes=1), 60.0),
        (datetime.date(2026, 11, 22), "2026-11-22"),
        (Model(number=1), {"number": 1, "inner": []}),
        (decimal.Decimal("0.1"), "0.1"),
    ],
)
def test_typed_values_become_json(value: Any, expected: Any) -> None:
    """Whatever an action may answer with has one plain form."""
    assert expected == write(value)


def test_endless_nesting_has_a_name() -> None:
    """A value that holds itself is refused instead of exhausting the stack."""
    inside: list[Any] = []
    inside.append(inside)

    with pytest.raises(TypeError, match="deeper than 64"):
        write(inside)
