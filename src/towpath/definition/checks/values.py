"""Values against what was declared of them: defaults, choices, limits, `with` keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from towpath.definition import model
from towpath.definition.checks.context import Context
from towpath.definition.problems import listed
from towpath.definition.shape import describe
from towpath.definition.source import DataPath

OPEN = "${{"
_WANTED = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "list": "a list",
    "map": "a mapping",
}


def mismatch(declared: model.Input, value: object) -> tuple[str, str] | None:
    """Why *value* is no value of *declared*, and what to do; None when it is one, or cannot be known yet."""
    return next(_mismatches(declared, value), None)


def _mismatches(declared: model.Input, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, str) and OPEN in value:
        return
    if not _is_of(declared.type, value):
        yield f"has to be {_WANTED[declared.type]}, not {describe(value)}", _quote(declared.type, value)
        return
    if declared.enum is not None and value not in declared.enum:
        choices = listed(str(choice) for choice in declared.enum)
        yield f"has to be one of {choices}, not {describe(value)}", ""
    yield from _limits(declared, value)
    if declared.items is not None:
        inner = (
            value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
        )
        for item in inner:
            for message, advice in _mismatches(declared.items, item):
                yield f"has an item that {message}", advice


def _quote(wanted: str, value: object) -> str:
    return "put it in quotes" if wanted == "string" and isinstance(value, int | float) else ""


def _is_of(wanted: str, value: object) -> bool:
    match wanted:
        case "string":
            return isinstance(value, str)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "list":
            return isinstance(value, list | tuple)
        case _:
            return isinstance(value, Mapping)


def _limits(declared: model.Input, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if declared.minimum is not None and value < declared.minimum:
            yield f"has to be at least {declared.minimum:g}", ""
        if declared.maximum is not None and value > declared.maximum:
            yield f"may be at most {declared.maximum:g}", ""
    if isinstance(value, str | list | tuple | Mapping):
        what = "characters" if isinstance(value, str) else "items"
        if declared.min_length is not None and len(value) < declared.min_length:
            yield f"needs at least {declared.min_length} {what}", ""
        if declared.max_length is not None and len(value) > declared.max_length:
            yield f"may have at most {declared.max_length} {what}", ""
    if isinstance(value, str) and declared.pattern is not None and not _matches(declared.pattern, value):
        yield f"has to match {declared.pattern}, and {describe(value)} does not", ""


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.fullmatch(pattern, value) is not None
    except (re.error, RecursionError):
        return True  # told where it is declared


# --- declarations -------------------------------------------------------------------------------------------

PATTERN_CHARS_MAX = 1_000
_NUMBERS = frozenset({"integer", "number"})
_SIZED = frozenset({"string", "list", "map"})


def check_inputs(context: Context) -> None:
    """Tell declarations of inputs and forms that contradict themselves."""
    for name, declared in context.workflow.inputs.items():
        _check_input(context, ("inputs", name), declared)
        if declared.required is not None and not context.is_cut(("inputs", name)):
            context.tell(
                "ignored-key",
                "an input without a default is required; `required` is for forms",
                ("inputs", name, "required"),
                of_key=True,
                help="remove it",
            )
    for place in context.places:
        if isinstance(place.step, model.Question) and not place.stand_in:
            for name, declared in place.step.form.items():
                _check_input(context, (*place.path, "form", name), declared)


def _check_input(context: Context, path: DataPath, declared: model.Input) -> None:
    _check_keys(context, path, declared)
    if declared.pattern is not None and not _check_pattern(context, (*path, "pattern"), declared.pattern):
        return
    if declared.default is not None:
        wrong = mismatch(declared, declared.default)
        if wrong is not None:
            context.tell("bad-default", f"the default {wrong[0]}", (*path, "default"), help=wrong[1])
    for position, choice in enumerate(declared.enum or ()):
        wrong = mismatch(declared.model_copy(update={"enum": None}), choice)
        if wrong is not None:
            context.tell("bad-default", f"this choice {wrong[0]}", (*path, "enum", position), help=wrong[1])
    if declared.items is not None:
        _check_input(context, (*path, "items"), declared.items)


def _check_keys(context: Context, path: DataPath, declared: model.Input) -> None:
    for key, types in (
        ("minimum", _NUMBERS),
        ("maximum", _NUMBERS),
        ("min_length", _SIZED),
        ("max_length", _SIZED),
        ("pattern", frozenset({"string"})),
        ("items", frozenset({"list", "map"})),
    ):
        if getattr(declared, key) is not None and declared.type not in types:
            context.tell(
                "keys-go-together",
                f"`{key}` is for {' and '.join(sorted(types))}; this is a {declared.type}",
                (*path, key),
                of_key=True,
                help=f"write type: {min(types)}, or remove it",
            )
    for low, high in (("minimum", "maximum"), ("min_length", "max_length")):
        smallest, largest = getattr(declared, low), getattr(declared, high)
        if smallest is not None and largest is not None and smallest > largest:
            context.tell(
                "out-of-range", f"`{low}` is larger than `{high}`", (*path, low), help="no value fits"
            )
    if declared.enum == ():
        context.tell("out-of-range", "`enum` must not be empty: no value fits", (*path, "enum"), of_key=True)


def _check_pattern(context: Context, path: DataPath, pattern: str) -> bool:
    if len(pattern) > PATTERN_CHARS_MAX:
        context.tell("out-of-range", f"a pattern has at most {PATTERN_CHARS_MAX:,} characters", path)
        return False
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        context.tell(
            "bad-format", f"the pattern is no regular expression: {error}", path, help="it is read by RE2"
        )
        return False
    for construct, name in (
        ("(?=", "lookahead"),
        ("(?!", "lookahead"),
        ("(?<=", "lookbehind"),
        ("(?<!", "lookbehind"),
    ):
        if construct in pattern:
            context.tell(
                "bad-format",
                f"the pattern uses a {name}, which RE2 does not have",
                path,
                help="write the pattern without it",
            )
            return False
    return True
