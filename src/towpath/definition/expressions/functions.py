"""The functions that the language has beyond CEL's own, and the work that one evaluation may do.

Each function is pure: no clock, no environment, no files. Those that build something pay for it from a
budget that starts afresh with each evaluation, because a loop could otherwise build one large text ten
thousand times. `default` and `glob` are not here: they are rewritten into plain CEL (see `rewriting`).
"""

from __future__ import annotations

import datetime
import json
import math
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from towpath.definition.expressions import limits
from towpath.definition.expressions.values import Value, format_duration, format_timestamp, plain_number

if TYPE_CHECKING:
    from collections.abc import Callable


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
    implementation: Callable[..., object]
    summary: str


class FunctionError(ValueError):
    """A function cannot answer for these arguments; CEL turns it into the result of the evaluation."""


class Budget(threading.local):
    """What the evaluation that runs in this thread may still do; *broken* says which limit it ran into."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Start a new evaluation."""
        self.chars_left = limits.BUILT_CHARS_MAX
        self.searches_left = limits.SEARCHED_MAX
        self.broken = ""
        self.gathered: dict[int, list[object]] = {}
        self.ticket = 0

    def spend(self, chars: int) -> None:
        """Take *chars* from the budget; raises FunctionError when it is used up."""
        self.chars_left -= chars
        if self.chars_left < 0:
            self.refuse(f"it builds more than {limits.BUILT_CHARS_MAX} characters in all")

    def spend_search(self, size: int) -> None:
        """Take a search through *size* characters or items from the budget; raises FunctionError."""
        self.searches_left -= size
        if self.searches_left < 0:
            self.refuse(f"its loops search through more than {limits.SEARCHED_MAX} characters")

    def refuse(self, message: str) -> NoReturn:
        """Raise FunctionError and remember it, so that nothing can swallow it."""
        self.broken = self.broken or message
        raise FunctionError(message)


BUDGET: Final = Budget()


def _build_text(text: str) -> str:
    BUDGET.spend(len(text))
    if len(text) > limits.RESULT_CHARS_MAX:
        BUDGET.refuse(f"it builds a text of more than {limits.RESULT_CHARS_MAX} characters")
    return text


def _build_list(items: list[str]) -> list[str]:
    BUDGET.spend(limits.ITEM_CHARS * len(items))
    if len(items) > limits.RESULT_ITEMS_MAX:
        BUDGET.refuse(f"it builds a list of more than {limits.RESULT_ITEMS_MAX} items")
    return items


# JSON

_JSON_NESTING: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')


def read_json(text: str) -> Value:
    """Return the value that the JSON *text* says."""
    BUDGET.spend(len(text))
    if len(text) > limits.RESULT_CHARS_MAX:
        BUDGET.refuse(f"json() is given more than {limits.RESULT_CHARS_MAX} characters")
    if _json_depth(text) > limits.RESULT_DEPTH_MAX:
        BUDGET.refuse(f"json() is given more than {limits.RESULT_DEPTH_MAX} lists or maps inside each other")
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


def write_json(value: object) -> str:
    """Return *value* as JSON without blanks, keys in order."""
    try:
        text = json.dumps(
            value,
            allow_nan=False,
            ensure_ascii=False,
            separators=(",", ":"),
            sort_keys=True,
            default=_write_other,
        )
    except (TypeError, ValueError) as problem:
        raise FunctionError(f"toJson() is given what JSON cannot say: {problem}") from None
    return _build_text(text)


def _write_other(value: object) -> str:
    match value:
        case datetime.datetime():
            return format_timestamp(value)
        case datetime.timedelta():
            return format_duration(value)
        case _:
            raise TypeError(f"{type(value).__name__} has no JSON form")


# Text


def join(items: list[object], separator: str = "") -> str:
    """Return the *items* as one text with *separator* between them."""
    BUDGET.spend(limits.ITEM_CHARS * len(items))
    return _build_text(separator.join(_joined(index, item) for index, item in enumerate(items)))


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


def split(text: str, separator: str) -> list[str]:
    """Return the parts of *text* between the *separator*s; an empty separator splits into characters."""
    BUDGET.spend(len(text))
    return _build_list(text.split(separator) if separator else list(text))


def trim(text: str) -> str:
    """Return *text* without blanks and line ends around it."""
    BUDGET.spend(len(text))
    return text.strip()


def lower(text: str) -> str:
    """Return *text* in small letters."""
    return _build_text(text.lower())


def upper(text: str) -> str:
    """Return *text* in capital letters."""
    return _build_text(text.upper())


def replace(text: str, old: str, new: str) -> str:
    """Return *text* with every *old* replaced by *new*."""
    if not old:
        raise FunctionError("replace() is told to look for an empty text")
    length = len(text) + text.count(old) * (len(new) - len(old))
    if length > limits.RESULT_CHARS_MAX:
        BUDGET.refuse(f"it builds a text of more than {limits.RESULT_CHARS_MAX} characters")
    return _build_text(text.replace(old, new))


def glob_expression(pattern: str) -> str:
    """Return the regular expression (RE2) that matches what the glob *pattern* matches.

    `*` stands for any run of characters but `/`, `**` for any run, `?` for one character but `/`, `[abc]`,
    `[a-z]` and `[!a]` for one of a set; everything else stands for itself.
    """
    if len(pattern) > limits.GLOB_CHARS_MAX:
        BUDGET.refuse(f"a glob pattern has more than {limits.GLOB_CHARS_MAX} characters")
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


def percentile(values: list[object], percent: float) -> float:
    """Return the value that *percent* of the *values* lie below, interpolated between neighbours."""
    if not 0 <= percent <= 100:  # noqa: PLR2004 - it is per cent
        raise FunctionError(f"percentile() takes a share from 0 to 100, not {plain_number(percent)}")
    BUDGET.spend(limits.ITEM_CHARS * len(values))
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


def semver(text: str) -> dict[str, Value]:
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


# What loops and `+` build; put around them by `rewriting`, under names that no author can write.


def spend_size(size: int) -> bool:
    """Pay for a text or a list of *size* before it is built; false when it must not be."""
    if size > limits.RESULT_CHARS_MAX:
        BUDGET.broken = BUDGET.broken or (
            f"it builds a text of more than {limits.RESULT_CHARS_MAX} characters, or such a list"
        )
    return _paid(BUDGET.spend, size)


def spend_search(size: int) -> bool:
    """Pay for a search that a loop repeats; false when it must not be made."""
    return _paid(BUDGET.spend_search, size)


def spend_lookups(size: int) -> bool:
    """Pay for looking through a list of *size* that a loop repeats; false when it must not be done."""
    return _paid(BUDGET.spend_search, limits.ITEM_CHARS * size)


def spend_value(value: object) -> bool:
    """Pay for a whole value before something keeps it; false when it must not."""
    return _paid(BUDGET.spend, weight(value))


def _paid(spend: Callable[[int], None], price: int) -> bool:
    if BUDGET.broken:
        return False
    try:
        spend(price)
    except FunctionError:
        return False
    return True


def weight(value: object) -> int:
    """Return what *value* weighs, in characters, everything inside it counted."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(limits.ITEM_CHARS + weight(item) for item in value)
    if isinstance(value, dict):
        return sum(limits.ITEM_CHARS + weight(key) + weight(item) for key, item in value.items())
    return limits.ITEM_CHARS


def can_spend() -> bool:
    """Whether a loop may go on."""
    return not BUDGET.broken


def refused() -> NoReturn:
    """Stand in for what was too large to be built."""
    raise FunctionError(BUDGET.broken)


def gather() -> int:
    """Open a list for what a loop gathers, and return its ticket."""
    BUDGET.ticket += 1
    BUDGET.gathered[BUDGET.ticket] = []
    return BUDGET.ticket


def keep(ticket: int, item: object) -> int:
    """Add *item* to the list of *ticket*; a time becomes its text, as it does in every result."""
    if BUDGET.broken:
        refused()
    BUDGET.spend(limits.ITEM_CHARS + weight(item))
    BUDGET.gathered[ticket].append(_storable(item))
    return ticket


def _storable(item: object) -> object:
    match item:
        case datetime.datetime():
            return format_timestamp(item)
        case datetime.timedelta():
            return format_duration(item)
        case list():
            return [_storable(part) for part in item]
        case dict():
            return {key: _storable(part) for key, part in item.items()}
        case _:
            return item


def keys(value: dict[object, object]) -> list[object]:
    """Return the keys of *value* in order; paid for as a search, since the whole map is handed over."""
    BUDGET.spend_search(_CONVERSION_PRICE * weight(value))
    return sorted(value, key=lambda key: (type(key).__name__, key))


_CONVERSION_PRICE: Final = 16
"""What it costs to hand a character over, next to searching it."""


def gathered(ticket: int) -> list[object]:
    """Close the list of *ticket* and return it."""
    return BUDGET.gathered.pop(ticket)


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


def _internal(
    name: str, parameters: tuple[str, ...], result: str, implementation: Callable[..., object]
) -> Function:
    form = Form(parameters=parameters, result=result)
    return Function(name=name, forms=(form,), implementation=implementation, summary="")


INTERNAL: Final[tuple[Function, ...]] = (
    _internal("@spend_size", ("int",), "bool", spend_size),
    _internal("@spend_search", ("int",), "bool", spend_search),
    _internal("@spend_lookups", ("int",), "bool", spend_lookups),
    _internal("@spend_value", ("dyn",), "bool", spend_value),
    _internal("@can_spend", (), "bool", can_spend),
    _internal("@refused", (), "dyn", refused),
    _internal("@gather", (), "int", gather),
    _internal("@keep", ("int", "dyn"), "int", keep),
    _internal("@keys", ("map",), "list", keys),
    _internal("@gathered", ("int",), "list", gathered),
    _internal("@glob_expression", ("string",), "string", glob_expression),
)
"""What `rewriting` calls; no author can write these names."""

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
