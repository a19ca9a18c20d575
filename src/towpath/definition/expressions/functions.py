"""The functions that the language has beyond CEL's own.

Each function is pure: no clock, no environment, no files; and bounded in what it takes and builds. `default`
and `glob` are only declared here: they are rewritten into plain CEL (see `planning`).
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from towpath.definition.expressions import limits, messages
from towpath.definition.expressions.values import Value, plain_number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One way to call a function: the types of its arguments, the target first, and of its result."""

    parameters: tuple[str, ...]
    result: str
    member: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function of the language: how it is called, what it does, and a line for people."""

    name: str
    forms: tuple[Form, ...]
    implementation: Callable[..., Value]
    summary: str


class FunctionError(ValueError):
    """A function cannot answer for these arguments; *help* says what to try."""

    def __init__(self, message: str, *, help: str = "") -> None:  # noqa: A002 - the error tree's word
        super().__init__(message)
        self.help = help


class TooMuch(FunctionError):
    """A function is given, or would build, more than it may."""


def apply(function: Function, arguments: Sequence[Value]) -> Value:
    """Return what *function* answers; raises FunctionError when it cannot take the *arguments*."""
    if not any(_takes(form, arguments) for form in function.forms):
        given = [messages.type_of(argument) for argument in arguments]
        raise FunctionError(
            messages.cannot_take(function.name, given), help=messages.conversion(function.name, given)
        )
    return function.implementation(*arguments)


def _takes(form: Form, arguments: Sequence[Value]) -> bool:
    return len(form.parameters) == len(arguments) and all(
        parameter in {"dyn", messages.type_of(argument)}
        for parameter, argument in zip(form.parameters, arguments, strict=True)
    )


def _bounded(text: str) -> str:
    if len(text) > limits.RESULT_CHARS_MAX:
        raise TooMuch(f"it builds a text of more than {limits.RESULT_CHARS_MAX} characters")
    return text


# JSON

_JSON_NESTING: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')


def read_json(text: str) -> Value:
    """Return the value that the JSON *text* says."""
    if len(text) > limits.RESULT_CHARS_MAX:
        raise TooMuch(f"json() is given more than {limits.RESULT_CHARS_MAX} characters")
    if _json_depth(text) > limits.RESULT_DEPTH_MAX:
        raise TooMuch(f"json() is given more than {limits.RESULT_DEPTH_MAX} lists or maps inside each other")
    try:
        value: Value = json.loads(text, parse_constant=_no_constant, parse_int=_whole, parse_float=_fraction)
    except json.JSONDecodeError as problem:
        raise FunctionError(
            f"json() is given text that is not JSON: {problem.msg} at line {problem.lineno},"
            f" column {problem.colno}"
        ) from None
    return value


def _json_depth(text: str) -> int:
    depth = deepest = 0
    for token in _JSON_NESTING.finditer(text):
        char = token.group()
        if char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest


def _no_constant(word: str) -> NoReturn:
    raise FunctionError(f"json() is given {word}, which is not JSON")


def _whole(digits: str) -> int:
    # Python itself refuses to read thousands of digits, with an error of its own.
    number = int(digits) if len(digits) < 25 else None  # noqa: PLR2004 - more digits than any 64-bit number
    if number is None or not limits.INTEGER_MIN <= number <= limits.INTEGER_MAX:
        raise FunctionError(f"json() is given the number {digits[:40]}, which does not fit into 64 bits")
    return number


def _fraction(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise FunctionError(f"json() is given the number {digits[:40]}, which is too large")
    return number


def write_json(value: Value) -> str:
    """Return *value* as JSON without blanks, keys in order."""
    try:
        text = json.dumps(
            value,
            allow_nan=False,
            ensure_ascii=False,
            separators=(",", ":"),
            sort_keys=True,
        )
    except (TypeError, ValueError) as problem:
        raise FunctionError(f"toJson() is given what JSON cannot say: {problem}") from None
    return _bounded(text)


# Text


def join(items: list[Value], separator: str = "") -> str:
    """Return the *items* as one text with *separator* between them."""
    return _bounded(separator.join(_joined(index, item) for index, item in enumerate(items)))


def _joined(index: int, item: object) -> str:
    match item:
        case str():
            return item
        case bool():
            return "true" if item else "false"
        case int() | float():
            return plain_number(item)
        case _:
            raise FunctionError(f"join() needs texts or numbers, and item {index} is neither")


def split(text: str, separator: str) -> Value:
    """Return the parts of *text* between the *separator*s; an empty separator splits into characters."""
    parts = text.split(separator) if separator else list(text)
    if len(parts) > limits.RESULT_ITEMS_MAX:
        raise TooMuch(f"it builds a list of more than {limits.RESULT_ITEMS_MAX} items")
    return list[Value](parts)


def trim(text: str) -> str:
    """Return *text* without blanks and line ends around it."""
    return text.strip()


def lower(text: str) -> str:
    """Return *text* in small letters."""
    return _bounded(text.lower())


def upper(text: str) -> str:
    """Return *text* in capital letters."""
    return _bounded(text.upper())


def replace(text: str, old: str, new: str) -> str:
    """Return *text* with every *old* replaced by *new*."""
    if not old:
        raise FunctionError("replace() is told to look for an empty text")
    length = len(text) + text.count(old) * (len(new) - len(old))
    if length > limits.RESULT_CHARS_MAX:
        raise TooMuch(f"it builds a text of more than {limits.RESULT_CHARS_MAX} characters")
    return _bounded(text.replace(old, new))


def glob_expression(pattern: str) -> str:
    """Return the regular expression (RE2) that matches what the glob *pattern* matches.

    `*` stands for any run of characters but `/`, `**` for any run, `?` for one character but `/`, `[abc]`,
    `[a-z]` and `[!a]` for one of a set; everything else stands for itself.
    """
    if len(pattern) > limits.GLOB_CHARS_MAX:
        raise TooMuch(f"a glob pattern has more than {limits.GLOB_CHARS_MAX} characters")
    return r"(?s)\A" + "".join(_glob_part(part) for part in _GLOB_PART.findall(pattern)) + r"\z"


_GLOB_PART: Final = re.compile(r"\*\*/|\*\*|\[!?\]?[^\]]*\]|.", re.DOTALL)


def _glob_part(part: str) -> str:
    match part:
        case "**/":
            return "(?:.*/)?"
        case "**":
            return ".*"
        case "*":
            return "[^/]*"
        case "?":
            return "[^/]"
        case _ if part.startswith("[") and len(part) > 1:
            return _glob_set(part)
        case _:
            return _quoted(part)


def _glob_set(part: str) -> str:
    negated = part.startswith("[!")
    inside = part[2 if negated else 1 : -1]
    quoted = "".join(char if char == "-" or char.isalnum() else _quoted(char) for char in inside)
    return f"[^/{quoted}]" if negated else f"[{quoted}]"


def _quoted(char: str) -> str:
    return char if char.isalnum() or char == "_" or not char.isascii() else f"\\x{{{ord(char):x}}}"


# Numbers and versions


def percentile(values: list[Value], percent: float) -> float:
    """Return the value that *percent* of the *values* lie below, interpolated between neighbours."""
    if not 0 <= percent <= 100:  # noqa: PLR2004 - it is per cent
        raise FunctionError(f"percentile() takes a share from 0 to 100, not {plain_number(percent)}")
    numbers = sorted(_number(index, value) for index, value in enumerate(values))
    if not numbers:
        raise FunctionError("percentile() is given an empty list")
    rank = (len(numbers) - 1) * percent / 100
    below = math.floor(rank)
    above = min(below + 1, len(numbers) - 1)
    return numbers[below] + (numbers[above] - numbers[below]) * (rank - below)


def _number(index: int, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise FunctionError(f"percentile() needs numbers, and item {index} is none")
    return float(value)


_SEMVER: Final = re.compile(
    r"v?(?P<major>0|[1-9]\d{0,17})\.(?P<minor>0|[1-9]\d{0,17})\.(?P<patch>0|[1-9]\d{0,17})"
    r"(?:-(?P<prerelease>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
    r"(?:\+(?P<build>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?",
    re.ASCII,
)
_SEMVER_CHARS_MAX: Final = 256
_SEMVER_DIGITS: Final = 18


def semver(text: str) -> Value:
    """Return `major`, `minor`, `patch`, `prerelease`, `build` and `key` of a semantic version.

    Keys compare as text in the order of the versions: `semver(a).key < semver(b).key` asks whether *a* comes
    before *b*. A leading `v` is allowed, as in tags.
    """
    found = _SEMVER.fullmatch(text) if len(text) <= _SEMVER_CHARS_MAX else None
    if found is None:
        raise FunctionError(f"semver() is given `{text[:40]}`, which is no version like 1.2.3 or 1.2.3-rc.1")
    numbers = [int(found[name]) for name in ("major", "minor", "patch")]
    prerelease = found["prerelease"] or ""
    ordered = ".".join(f"{number:0{_SEMVER_DIGITS}d}" for number in numbers)
    return {
        "major": numbers[0],
        "minor": numbers[1],
        "patch": numbers[2],
        "prerelease": prerelease,
        "build": found["build"] or "",
        "key": ordered + _prerelease_key(prerelease),
    }


def _prerelease_key(prerelease: str) -> str:
    """A release sorts after its pre-releases, numbers before words, and the shorter list of parts first.

    `~` is above every character of a version, `-` below the letters and digits, and `,` below them all.
    """
    if not prerelease:
        return "~"
    return "-" + ",".join(
        f"0{part.zfill(_SEMVER_CHARS_MAX)}" if part.isdecimal() else f"1{part}"
        for part in prerelease.split(".")
    )


def _both(parameters: tuple[str, ...], result: str) -> tuple[Form, ...]:
    return (
        Form(parameters=parameters, result=result),
        Form(parameters=parameters, result=result, member=True),
    )


FUNCTIONS: Final[tuple[Function, ...]] = (
    Function(
        name="json",
        forms=(Form(parameters=("string",), result="dyn"),),
        implementation=read_json,
        summary="`json(text)`: the value that a JSON text says",
    ),
    Function(
        name="toJson",
        forms=(Form(parameters=("dyn",), result="string"),),
        implementation=write_json,
        summary="`toJson(value)`: the value as JSON, without blanks and with its keys in order",
    ),
    Function(
        name="join",
        forms=(*_both(("list",), "string"), *_both(("list", "string"), "string")),
        implementation=join,
        summary='`join(list, ", ")`: texts and numbers as one text',
    ),
    Function(
        name="split",
        forms=_both(("string", "string"), "list(string)"),
        implementation=split,
        summary='`split(text, ",")`: the parts between the separators',
    ),
    Function(
        name="trim",
        forms=_both(("string",), "string"),
        implementation=trim,
        summary="`trim(text)`: without blanks and line ends around it",
    ),
    Function(
        name="lower",
        forms=_both(("string",), "string"),
        implementation=lower,
        summary="`lower(text)`: in small letters",
    ),
    Function(
        name="upper",
        forms=_both(("string",), "string"),
        implementation=upper,
        summary="`upper(text)`: in capital letters",
    ),
    Function(
        name="replace",
        forms=_both(("string", "string", "string"), "string"),
        implementation=replace,
        summary="`replace(text, old, new)`: every old text replaced",
    ),
    Function(
        name="percentile",
        forms=(*_both(("list", "int"), "double"), *_both(("list", "double"), "double")),
        implementation=percentile,
        summary="`percentile(list, 95)`: the value that 95 of 100 lie below",
    ),
    Function(
        name="semver",
        forms=(Form(parameters=("string",), result="map"),),
        implementation=semver,
        summary="`semver(text)`: `major`, `minor`, `patch`, `prerelease`, `build`, and `key`, which sorts",
    ),
)
"""The functions that Python answers."""

REWRITTEN: Final[tuple[Function, ...]] = (
    Function(
        name="default",
        forms=(Form(parameters=("dyn", "dyn"), result="dyn"),),
        implementation=lambda first, _second: first,
        summary="`default(a, b)`: b when a is null, missing or cannot be read",
    ),
    Function(
        name="glob",
        forms=_both(("string", "string"), "bool"),
        implementation=lambda _text, _pattern: False,
        summary="`glob(text, pattern)`: whether the whole text fits `*`, `**`, `?` and `[…]`",
    ),
)
"""The functions that are rewritten into plain CEL; declared for the type check only."""


DECLARED: Final = (*FUNCTIONS, *REWRITTEN)
"""The functions that an author can call beyond CEL's own."""


GLOB_EXPRESSION: Final = Function(
    name="glob",
    forms=(Form(parameters=("string",), result="string"),),
    implementation=glob_expression,
    summary="",
)
"""The regular expression for a pattern that only a run knows; `planning` puts it in."""

CEL_FUNCTIONS: Final = frozenset(
    [
        "bool",
        "contains",
        "double",
        "duration",
        "dyn",
        "endsWith",
        "getDate",
        "getDayOfMonth",
        "getDayOfWeek",
        "getDayOfYear",
        "getFullYear",
        "getHours",
        "getMilliseconds",
        "getMinutes",
        "getMonth",
        "getSeconds",
        "int",
        "matches",
        "size",
        "startsWith",
        "string",
        "timestamp",
        "type",
        "uint",
    ]
)
"""CEL's own functions, without operators; `bytes` is left out, since no value of a run is of that type."""

MACROS: Final = {
    "has": "has(steps.build.outputs.image) asks whether a key is there",
    "all": "list.all(name, condition)",
    "exists": "list.exists(name, condition)",
    "exists_one": "list.exists_one(name, condition)",
    "map": "list.map(name, expression)",
    "filter": "list.filter(name, condition)",
}
"""CEL's macros, with how each one is written."""
