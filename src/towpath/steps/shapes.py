"""The shape of a Python type as JSON: its schema, the way in, and the way out.

An action declares its inputs and outputs with ordinary annotations. This module turns an annotation into
three things: a JSON Schema (`schema_of`), a typed value made from JSON (`read`, which reports every problem
with its path and never guesses: the text `"5"` is no number), and JSON made from a typed value (`write`).

Understood are the JSON types, `Literal`, enums, unions, lists, tuples, sets, string-keyed mappings,
dataclasses, `TypedDict`, `Path`, dates and times, `timedelta` (`30s`, `1h30m` or seconds), `Decimal`,
`UUID`, and any class with `model_validate`, which covers pydantic models. A plain text inside `Annotated`
is the description, a `Range` its limits. Standard library only: the same code runs inside the worker of a
local action, where each imported module is paid for by every call.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import pathlib
import re
import types
import typing
import uuid
from collections import abc
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

__all__ = [
    "DEPTH_MAX",
    "Field",
    "Problem",
    "Range",
    "ShapeError",
    "description_of",
    "fields_of",
    "is_record",
    "read",
    "read_fields",
    "schema_of",
    "write",
]

Annotation: TypeAlias = Any
"""Whatever may stand in an annotation: a class, a generic alias, a union, …"""
Json: TypeAlias = Any
"""A value read from JSON or about to be written."""

DEPTH_MAX = 64
"""How deep a value may be nested on its way in or out."""
PROBLEMS_MAX = 20
"""How many problems one reading reports."""

_JSON_NAMES = {
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a map",
    type(None): "null",
}


@dataclass(frozen=True, slots=True)
class Range:
    """Limits inside `Annotated`: of a number or a length; and the pattern of a text."""

    minimum: float | None = None
    maximum: float | None = None
    pattern: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a value, and where."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ShapeError(ValueError):
    """A value does not fit its type; carries every problem."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A named value of a record or a parameter of a function."""

    name: str
    annotation: Annotation
    required: bool
    default: object = None


def is_record(annotation: Annotation) -> bool:
    """Whether it is a class with named fields: a dataclass, a TypedDict or a pydantic-like model."""
    kind = _plain(annotation)
    return isinstance(kind, type) and (
        dataclasses.is_dataclass(kind) or _is_typed_dict(kind) or hasattr(kind, "model_fields")
    )


def fields_of(record: type) -> tuple[Field, ...]:
    """The fields of a record in their order."""
    if _is_typed_dict(record):
        hints = typing.get_type_hints(record, include_extras=True)
        required = record.__required_keys__  # type: ignore[attr-defined] # a TypedDict has it
        return tuple(
            # A class whose annotations are text does not know its NotRequired ones.
            Field(
                name=name,
                annotation=hint,
                required=name in required and _origin(hint) is not typing.NotRequired,
            )
            for name, hint in hints.items()
        )
    if hasattr(record, "model_fields"):
        return tuple(
            Field(
                name=name,
                annotation=field.rebuild_annotation(),
                required=field.is_required(),
                default=None if field.is_required() else field.get_default(call_default_factory=False),
            )
            for name, field in record.model_fields.items()
        )
    hints = typing.get_type_hints(record, include_extras=True)
    return tuple(
        Field(
            name=field.name,
            annotation=hints[field.name],
            required=field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
            default=None if field.default is dataclasses.MISSING else field.default,
        )
        for field in dataclasses.fields(record)
        if field.init
    )


def description_of(annotation: Annotation) -> str:
    """The text inside `Annotated`, or nothing."""
    if _origin(annotation) is typing.Annotated:
        for note in annotation.__metadata__:
            if isinstance(note, str):
                return note
            if isinstance(described := getattr(note, "description", None), str):
                return described
    return ""


# --- JSON Schema --------------------------------------------------------------------------------------


def schema_of(annotation: Annotation) -> dict[str, Any]:
    """The JSON Schema of what `read` takes for this annotation."""
    return _schema(annotation, ())


def _schema(annotation: Annotation, inside: tuple[type, ...]) -> dict[str, Any]:  # noqa: C901, PLR0911, PLR0912 - one case for each kind of type
    annotation = _unwrapped(annotation)
    origin, arguments = _origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _annotated_schema(annotation, inside)
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin in (typing.Union, types.UnionType):
        return _union_schema(arguments, inside)
    kind = origin or annotation
    if kind in (Any, object) or isinstance(annotation, typing.TypeVar):
        return {}
    if kind is None or kind is type(None):
        return {"type": "null"}
    if not isinstance(kind, type):
        return {}
    if not arguments and (simple := _SIMPLE_SCHEMAS.get(kind)):
        return dict(simple)
    if issubclass(kind, enum.Enum):
        return {"enum": [member.value for member in kind]}
    if hasattr(kind, "model_json_schema"):
        return typing.cast("dict[str, Any]", kind.model_json_schema())
    if is_record(kind):
        return {} if kind in inside else _record_schema(kind, (*inside, kind))
    if issubclass(kind, abc.Mapping):
        values = arguments[1] if len(arguments) == 2 else Any  # noqa: PLR2004 - key and value
        return {
            "type": "object",
            **({"additionalProperties": inner} if (inner := _schema(values, inside)) else {}),
        }
    if issubclass(kind, tuple) and arguments and arguments[-1] is not ...:
        members = [_schema(argument, inside) for argument in arguments]
        return {"type": "array", "prefixItems": members, "minItems": len(members), "maxItems": len(members)}
    if issubclass(kind, abc.Iterable):
        items = _schema(arguments[0], inside) if arguments else {}
        unique = {"uniqueItems": True} if issubclass(kind, abc.Set) else {}
        return {"type": "array", **({"items": items} if items else {}), **unique}
    return {}


def _annotated_schema(annotation: Annotation, inside: tuple[type, ...]) -> dict[str, Any]:
    schema = _schema(annotation.__origin__, inside)
    for note in annotation.__metadata__:
        if isinstance(note, Range):
            schema.update(_range_schema(note, schema.get("type")))
    if description := description_of(annotation):
        schema["description"] = description
    return schema


def _range_schema(limits: Range, kind: object) -> dict[str, Any]:
    low, high = {"string": ("minLength", "maxLength"), "array": ("minItems", "maxItems")}.get(
        str(kind), ("minimum", "maximum")
    )
    found = {low: limits.minimum, high: limits.maximum, "pattern": limits.pattern}
    return {name: value for name, value in found.items() if value is not None}


def _union_schema(arguments: tuple[Annotation, ...], inside: tuple[type, ...]) -> dict[str, Any]:
    members = [_schema(argument, inside) for argument in arguments]
    if {} in members:
        return {}
    names = [
        member["type"] for member in members if set(member) == {"type"} and isinstance(member["type"], str)
    ]
    if len(names) == len(members):
        return {"type": names}
    return {"anyOf": members}


def _record_schema(record: type, inside: tuple[type, ...]) -> dict[str, Any]:
    properties, required = {}, []
    for field in fields_of(record):
        properties[field.name] = field_schema(field, inside)
        if field.required:
            required.append(field.name)
    return {
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def field_schema(field: Field, inside: tuple[type, ...] = ()) -> dict[str, Any]:
    """The schema of one field, with its default where that is plain JSON.

    Where null only says that the field is left out, the schema does not offer it.
    """
    may_be_left_out = not field.required and field.default is None
    schema = _schema(_without_none(field.annotation) if may_be_left_out else field.annotation, inside)
    if not field.required and isinstance(field.default, (str, int, float)):
        schema["default"] = field.default.value if isinstance(field.default, enum.Enum) else field.default
    return schema


def _without_none(annotation: Annotation) -> Annotation:
    annotation = _unwrapped(annotation)
    if _origin(annotation) is typing.Annotated:
        return Annotated[(_without_none(annotation.__origin__), *annotation.__metadata__)]
    if _origin(annotation) in (typing.Union, types.UnionType):
        return typing.Union[tuple(one for one in typing.get_args(annotation) if one is not type(None))]  # noqa: UP007 - made at run time
    return annotation


_SIMPLE_SCHEMAS: dict[type, dict[str, Any]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    decimal.Decimal: {"type": ["number", "string"]},
    str: {"type": "string"},
    list: {"type": "array"},
    tuple: {"type": "array"},
    dict: {"type": "object"},
    pathlib.Path: {"type": "string", "format": "path"},
    pathlib.PurePath: {"type": "string", "format": "path"},
    pathlib.PosixPath: {"type": "string", "format": "path"},
    datetime.datetime: {"type": "string", "format": "date-time"},
    datetime.date: {"type": "string", "format": "date"},
    datetime.time: {"type": "string", "format": "time"},
    datetime.timedelta: {
        "anyOf": [{"type": "string", "format": "duration", "examples": ["30s", "1h30m"]}, {"type": "number"}]
    },
    uuid.UUID: {"type": "string", "format": "uuid"},
    bytes: {"not": {}},
}


# --- the way in ---------------------------------------------------------------------------------------


def read(value: object, annotation: Annotation, *, path: str = "") -> Json:
    """The typed value that *value* (plain JSON) stands for; raises ShapeError with every problem."""
    problems: list[Problem] = []
    result = _read(value, annotation, path, problems)
    if problems:
        raise ShapeError(tuple(problems[:PROBLEMS_MAX]))
    return result


def read_fields(
    values: abc.Mapping[str, object], fields: tuple[Field, ...], *, path: str = "", is_open: bool = False
) -> dict[str, Any]:
    """The typed values by name, without those left out; raises ShapeError with every problem."""
    problems: list[Problem] = []
    found = _read_fields(values, fields, path, problems, is_open=is_open)
    if problems:
        raise ShapeError(tuple(problems[:PROBLEMS_MAX]))
    return found


def _read_fields(
    values: abc.Mapping[str, object],
    fields: tuple[Field, ...],
    path: str,
    problems: list[Problem],
    *,
    is_open: bool = False,
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in fields:
        if field.name in values:
            found[field.name] = _read(values[field.name], field.annotation, _join(path, field.name), problems)
        elif field.required:
            problems.append(Problem(path=_join(path, field.name), message="is required"))
    known = {field.name for field in fields}
    for name, value in values.items():
        if name not in known:
            if is_open:
                found[name] = value
            else:
                problems.append(_unknown(name, known, path))
    return found


def _unknown(name: str, known: set[str], path: str) -> Problem:
    import difflib

    near = difflib.get_close_matches(str(name), sorted(known), n=1)
    hint = f"; did you mean `{near[0]}`?" if near else f"; there is {', '.join(sorted(known)) or 'no input'}"
    return Problem(path=_join(path, str(name)), message=f"is not known{hint}")


def _read(value: object, annotation: Annotation, path: str, problems: list[Problem]) -> Json:
    if len(problems) >= PROBLEMS_MAX:
        return None
    try:
        return _reader(annotation)(value, path, problems)
    except RecursionError:
        problems.append(Problem(path=path[:100], message=f"is nested deeper than {DEPTH_MAX}"))
        return None


def _reader(annotation: Annotation) -> abc.Callable[[object, str, list[Problem]], Json]:
    """The function that reads this annotation; kept, for an action reads the same type again and again."""
    try:
        if (known := _READERS.get(annotation)) is not None:
            return known
        made = _READERS[annotation] = _make_reader(annotation)
    except TypeError:  # an annotation that cannot be hashed, such as Annotated[str, []]
        return _make_reader(annotation)
    return made


_READERS: dict[Any, abc.Callable[[object, str, list[Problem]], Json]] = {}


def _make_reader(annotation: Annotation) -> abc.Callable[[object, str, list[Problem]], Json]:  # noqa: C901, PLR0911 - one case for each kind
    annotation = _unwrapped(annotation)
    origin, arguments = _origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _ranged_reader(annotation)
    if origin is typing.Literal:
        return _choice_reader({_choice_key(choice): choice for choice in arguments})
    if origin in (typing.Union, types.UnionType):
        return _union_reader(arguments)
    kind = origin or annotation
    if kind is None:
        kind = type(None)
    if not isinstance(kind, type) or kind in (Any, object):
        return lambda value, _path, _problems: value
    if kind in _SIMPLE_READERS:
        return _simple_reader(kind)
    if issubclass(kind, enum.Enum):
        return _choice_reader({_choice_key(member.value): member for member in kind})
    if hasattr(kind, "model_validate"):
        return _model_reader(kind)
    if is_record(kind):
        return _record_reader(kind)
    if issubclass(kind, abc.Mapping):
        return _mapping_reader(arguments[1] if len(arguments) == 2 else Any)  # noqa: PLR2004 - key and value
    if issubclass(kind, abc.Iterable) and kind is not bytes:
        return _list_reader(kind, arguments)
    return lambda value, path, problems: _wrong(value, kind.__name__, path, problems)


def _wrong(value: object, wanted: str, path: str, problems: list[Problem]) -> None:
    problems.append(Problem(path=path, message=f"must be {wanted}, not {_name_of(value)}"))


def _name_of(value: object) -> str:
    """The kind of a value for a message; never the value itself, which may be a secret."""
    return _JSON_NAMES.get(type(value), type(value).__name__)


def _choice_key(choice: object) -> tuple[type, object]:
    return (type(choice), choice)


def _choice_reader(
    choices: dict[tuple[type, object], Json],
) -> abc.Callable[[object, str, list[Problem]], Json]:
    names = ", ".join(str(key[1]) for key in choices)

    def read_choice(value: object, path: str, problems: list[Problem]) -> Json:
        key = _choice_key(value)
        if isinstance(value, (str, int, float, bool, type(None))) and key in choices:
            return choices[key]
        problems.append(Problem(path=path, message=f"must be one of {names}"))
        return None

    return read_choice


def _union_reader(arguments: tuple[Annotation, ...]) -> abc.Callable[[object, str, list[Problem]], Json]:
    meant = [argument for argument in arguments if argument is not type(None)]

    def read_union(value: object, path: str, problems: list[Problem]) -> Json:
        if len(meant) == 1 and value is not None:
            return _read(value, meant[0], path, problems)
        best: list[Problem] | None = None
        for argument in arguments:
            attempt: list[Problem] = []
            result = _read(value, argument, path, attempt)
            if not attempt:
                return result
            # The member that came deepest into the value is the one that was meant.
            if best is None or max(len(p.path) for p in attempt) > max(len(p.path) for p in best):
                best = attempt
        if best and max(len(problem.path) for problem in best) > len(path):
            problems.extend(best)
        else:
            wanted = " or ".join(dict.fromkeys(_wanted(argument) for argument in arguments))
            problems.append(Problem(path=path, message=f"must be {wanted}, not {_name_of(value)}"))
        return None

    return read_union


def _wanted(annotation: Annotation) -> str:
    kind = _plain(annotation)
    if _origin(annotation) is typing.Literal:
        return "one of " + ", ".join(map(str, typing.get_args(annotation)))
    if kind is None:
        return "null"
    if isinstance(kind, type):
        if kind in _SIMPLE_READERS:
            return _SIMPLE_READERS[kind][0]
        if is_record(kind) or issubclass(kind, abc.Mapping):
            return "a map"
        if issubclass(kind, abc.Iterable):
            return "a list"
    return str(annotation)


def _ranged_reader(annotation: Annotation) -> abc.Callable[[object, str, list[Problem]], Json]:
    inner = _reader(annotation.__origin__)
    limits = [note for note in annotation.__metadata__ if isinstance(note, Range)]
    if not limits:
        return inner

    def read_ranged(value: object, path: str, problems: list[Problem]) -> Json:
        before = len(problems)
        result = inner(value, path, problems)
        if len(problems) == before and result is not None:
            problems.extend(
                Problem(path=path, message=said) for limit in limits if (said := _out_of(limit, result))
            )
        return result

    return read_ranged


def _out_of(limits: Range, value: Json) -> str:
    measured = value.total_seconds() if isinstance(value, datetime.timedelta) else value
    is_sized = isinstance(value, abc.Sized)
    size: float = len(value) if is_sized else measured
    what = "must have a length of" if is_sized else "must be"
    if limits.minimum is not None and size < limits.minimum:
        return f"{what} at least {limits.minimum:g}"
    if limits.maximum is not None and size > limits.maximum:
        return f"{what} at most {limits.maximum:g}"
    if limits.pattern is not None and isinstance(value, str) and not re.search(limits.pattern, value):
        return f"must look like {limits.pattern}"
    return ""


def _model_reader(model: Any) -> abc.Callable[[object, str, list[Problem]], Json]:  # noqa: ANN401 - a pydantic-like class
    def read_model(value: object, path: str, problems: list[Problem]) -> Json:
        try:
            return model.model_validate(value)
        except ValueError as error:
            plain: Json = [{"loc": (), "msg": str(error)}]
            found = error.errors() if hasattr(error, "errors") else plain
            for one in found:
                where = path
                for part in one["loc"]:
                    where = f"{where}[{part}]" if isinstance(part, int) else _join(where, str(part))
                problems.append(Problem(path=where, message=one["msg"]))
        return None

    return read_model


def _record_reader(record: Annotation) -> abc.Callable[[object, str, list[Problem]], Json]:
    fields: list[tuple[Field, ...]] = []  # read on first use: a record may hold itself

    def read_record(value: object, path: str, problems: list[Problem]) -> Json:
        if not isinstance(value, abc.Mapping):
            return _wrong(value, "a map", path, problems)
        if not fields:
            fields.append(fields_of(record))
        before = len(problems)
        found = _read_fields(value, fields[0], path, problems)
        if len(problems) > before:
            return None
        try:
            return record(**found)
        except ValueError as error:  # from __post_init__
            problems.append(Problem(path=path, message=str(error)))
            return None

    return read_record


def _mapping_reader(inner: Annotation) -> abc.Callable[[object, str, list[Problem]], Json]:
    read_value = _reader(inner)

    def read_mapping(value: object, path: str, problems: list[Problem]) -> Json:
        if not isinstance(value, abc.Mapping):
            return _wrong(value, "a map", path, problems)
        return {key: read_value(inside, _join(path, str(key)), problems) for key, inside in value.items()}

    return read_mapping


def _list_reader(
    kind: type, arguments: tuple[Annotation, ...]
) -> abc.Callable[[object, str, list[Problem]], Json]:
    make: Any = kind if kind in (tuple, set, frozenset) else list
    fixed = (
        tuple(map(_reader, arguments)) if kind is tuple and arguments and arguments[-1] is not ... else None
    )
    read_item = _reader(arguments[0]) if arguments else _reader(Any)

    def read_list(value: object, path: str, problems: list[Problem]) -> Json:
        if not isinstance(value, (list, tuple)):
            return _wrong(value, "a list", path, problems)
        if fixed is not None:
            if len(fixed) != len(value):
                problems.append(Problem(path=path, message=f"must have {len(fixed)} items, not {len(value)}"))
                return None
            return tuple(
                reader(item, f"{path}[{i}]", problems)
                for i, (reader, item) in enumerate(zip(fixed, value, strict=True))
            )
        items = [read_item(item, f"{path}[{i}]", problems) for i, item in enumerate(value)]
        return None if problems else make(items)

    return read_list


def _simple_reader(kind: type) -> abc.Callable[[object, str, list[Problem]], Json]:
    wanted, convert = _SIMPLE_READERS[kind]

    def read_simple(value: object, path: str, problems: list[Problem]) -> Json:
        try:
            return convert(value)
        except TypeError:
            hint = "; put it in quotes" if kind is str and isinstance(value, (int, float)) else ""
            problems.append(Problem(path=path, message=f"must be {wanted}, not {_name_of(value)}{hint}"))
        except (ValueError, ArithmeticError) as error:
            said = str(error) if kind is datetime.timedelta else f"must be {wanted}"
            problems.append(Problem(path=path, message=said))
        return None

    return read_simple


def _boolean(value: object) -> bool:
    if value is True or value is False:
        return value
    raise TypeError


def _integer(value: object) -> int:
    if type(value) is int:
        return value
    # JSON has one kind of number: 8080.0 is the integer that it looks like.
    if type(value) is float and value.is_integer():
        return int(value)
    raise TypeError


def _number(value: object) -> float:
    if type(value) is float or type(value) is int:
        return float(value)
    raise TypeError


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise TypeError


def _null(value: object) -> None:
    if value is not None:
        raise TypeError


def _decimal(value: object) -> decimal.Decimal:
    if type(value) in (int, float, str):
        return decimal.Decimal(str(value))
    raise TypeError


def _path(value: object) -> pathlib.Path:
    text = _text(value)
    if "\0" in text:
        raise ValueError("NUL")
    return pathlib.Path(text)


def _duration(value: object) -> datetime.timedelta:
    if type(value) in (int, float):
        return datetime.timedelta(seconds=float(typing.cast("float", value)))
    from towpath.definition.model import parse_duration

    return datetime.timedelta(seconds=parse_duration(_text(value)))


def _exact_list(value: object) -> list[object]:
    if isinstance(value, (list, tuple)):
        return list(value)
    raise TypeError


def _exact_map(value: object) -> dict[str, object]:
    if isinstance(value, abc.Mapping):
        return dict(value)
    raise TypeError


_SIMPLE_READERS: dict[type, tuple[str, abc.Callable[[Any], Json]]] = {
    bool: ("a boolean", _boolean),
    int: ("an integer", _integer),
    float: ("a number", _number),
    str: ("text", _text),
    type(None): ("null", _null),
    decimal.Decimal: ("a number", _decimal),
    pathlib.Path: ("a path", _path),
    pathlib.PurePath: ("a path", _path),
    datetime.datetime: (
        "a time such as 2026-11-22T15:00:00Z",
        lambda v: datetime.datetime.fromisoformat(_text(v)),
    ),
    datetime.date: ("a date such as 2026-11-22", lambda v: datetime.date.fromisoformat(_text(v))),
    datetime.time: ("a time such as 15:00", lambda v: datetime.time.fromisoformat(_text(v))),
    datetime.timedelta: ("a duration such as 30s", _duration),
    uuid.UUID: ("a UUID", lambda v: uuid.UUID(_text(v))),
}


# --- the way out --------------------------------------------------------------------------------------


def write(value: object, *, depth: int = 0) -> Json:
    """The plain JSON of a typed value; raises TypeError, naming the type, when there is none."""
    kind = type(value)
    if kind in _AS_IT_IS:
        return value
    if depth > DEPTH_MAX:
        raise TypeError(f"the value is nested deeper than {DEPTH_MAX}")
    if kind is float:
        if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - the test for NaN
            raise TypeError("a number that is not finite has no JSON form")
        return value
    if isinstance(value, enum.Enum):
        return write(value.value, depth=depth + 1)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: write(getattr(value, f.name), depth=depth + 1) for f in dataclasses.fields(value)}
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return _write_other(value, depth)


def _write_other(value: object, depth: int) -> Json:  # noqa: PLR0911 - one case for each kind
    if isinstance(value, abc.Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"a map has the key {key!r}; keys are text")
        return {key: write(inside, depth=depth + 1) for key, inside in value.items()}
    if isinstance(value, (list, tuple)):
        return [write(item, depth=depth + 1) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((write(item, depth=depth + 1) for item in value), key=repr)
    if isinstance(value, (str, bool, int, float)):  # a subclass
        return next(base(value) for base in (str, int, float) if isinstance(value, base))
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, (pathlib.PurePath, uuid.UUID, decimal.Decimal)):
        return str(value)
    raise TypeError(f"a value of type {type(value).__name__} has no JSON form")


_AS_IT_IS = frozenset((str, int, bool, type(None)))


# --- small parts --------------------------------------------------------------------------------------


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _unwrapped(annotation: Annotation) -> Json:
    """The annotation without what says nothing about its values."""
    while True:
        if isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif _origin(annotation) in (
            typing.Required,
            typing.NotRequired,
            typing.Final,
            typing.ClassVar,
        ):
            annotation = typing.get_args(annotation)[0]
        else:
            return annotation


def _plain(annotation: Annotation) -> Json:
    annotation = _unwrapped(annotation)
    if _origin(annotation) is typing.Annotated:
        annotation = annotation.__origin__
    return _origin(annotation) or annotation


def _origin(annotation: Annotation) -> Annotation:
    return typing.get_origin(annotation)


def _is_typed_dict(kind: type) -> bool:
    return issubclass(kind, dict) and hasattr(kind, "__required_keys__")
