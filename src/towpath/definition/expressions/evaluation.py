"""Working an expression out from the values of a run.

An evaluation gives CEL only the paths that the expression reads, so its cost does not depend on how large a
run is. A bare path needs no CEL at all.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from towpath.definition.expressions import failures, limits, messages
from towpath.definition.expressions.faults import EvaluationError
from towpath.definition.expressions.functions import BUDGET
from towpath.definition.expressions.values import Value, format_duration, format_timestamp, plain

if TYPE_CHECKING:
    from towpath.definition.expressions.analysis import Reference

Branch = dict[str, "Branch | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """A checked expression, ready to be evaluated as often as one likes."""

    source: str
    references: tuple[Reference, ...]
    result: str
    # CEL's name for the type that the check found: `bool`, `string`, `list(int)`, …, or `dyn`.
    program: Any = field(repr=False, compare=False)  # CEL's own object, which has no type outside CEL
    reads: Branch = field(repr=False, compare=False)
    # The paths of *references* as a tree, with None where everything below is read.
    path: tuple[str, ...] = field(repr=False, compare=False)
    # The path that is all there is to the expression, or nothing.

    def evaluate(self, names: Mapping[str, object]) -> Value:
        """Return the value for these root *names*; raises EvaluationError when there is none."""
        if self.path:
            found = _walk(self.path, names)
            if found is not _ABSENT:
                return _read(found, self.source)
        return _evaluate(self, names)


def evaluate_condition(condition: Expression, names: Mapping[str, object]) -> bool:
    """Return whether *condition* holds; raises EvaluationError when it is neither true nor false."""
    value = condition.evaluate(names)
    if not isinstance(value, bool):
        found = messages.with_article(messages.type_of(value))
        raise EvaluationError(
            f"`{failures.shortened(condition.source)}` is {found}, and must be true or false",
            source=condition.source,
            help="compare it with `==`, `!=`, `<`, `in`, …",
        )
    return value


_ABSENT: Final = object()


def _walk(path: tuple[str, ...], names: Mapping[str, object]) -> object:
    value: Any = names
    for word in path:
        if (type(value) is not dict and not isinstance(value, Mapping)) or word not in value:
            return _ABSENT
        value = value[word]
    return value


def _evaluate(expression: Expression, names: Mapping[str, object]) -> Value:
    data = _picked(expression, expression.reads, names)
    BUDGET.renew()
    try:
        outcome = expression.program.eval(data=data)
        content = outcome.value()
    except (RuntimeError, UnicodeError) as problem:
        raise failures.failure(str(problem), expression.source, expression.references, names) from None
    if BUDGET.broken:
        raise failures.limit(BUDGET.broken, expression.source)
    if isinstance(content, bool):
        return content
    # CEL gives an error back as a value whose content is the message.
    if isinstance(content, str) and outcome.type().name() == "ERROR":
        raise failures.failure(content, expression.source, expression.references, names)
    return _Result(expression.source).value(outcome, 0)


def _picked(expression: Expression, reads: Branch, names: Mapping[str, object]) -> dict[str, object]:
    """Return only what *reads* names of *names*, so that CEL never sees, or converts, the rest of a run."""
    picked: dict[str, object] = {}
    for word, inner in reads.items():
        if word not in names:
            continue
        value = names[word]
        if inner is not None and isinstance(value, Mapping):
            picked[word] = _picked(expression, inner, value)
        else:
            picked[word] = _given(value, expression.source)
    return picked


def _given(value: object, source: str) -> Value:
    try:
        return plain(value)
    except ValueError as problem:
        raise EvaluationError(
            f"`{failures.shortened(source)}` reads what it cannot: {problem}", source=source
        ) from None


class _Result:
    """Turns what CEL computed into what JSON can say, and stops at the limits on the way."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._chars = 0
        self._items = 0

    def value(self, outcome: Any, depth: int) -> Value:  # noqa: ANN401, PLR0911 - one for each kind
        content = outcome.value()
        match content:
            case str():
                return self._text(content)
            case bool() | None | int():
                return content
            case float():
                return _finite(content, self._source)
            case list():
                self._grow(len(content), depth)
                return [self.value(item, depth + 1) for item in content]
            case dict():
                self._grow(len(content), depth)
                keys = sorted(self._key(key) for key in content)
                return {key: self.value(content[key], depth + 1) for key in keys}
            case datetime.datetime():
                return format_timestamp(content)
            case datetime.timedelta():
                return format_duration(content)
            case _:
                found = messages.with_article(messages.type_text(outcome.type().name()))
                raise EvaluationError(
                    f"`{failures.shortened(self._source)}` gives {found}, which is no value of a run",
                    source=self._source,
                    help="give a text, a number, true or false, null, a list or a map",
                )

    def _text(self, text: str) -> str:
        self._chars += len(text)
        if self._chars > limits.RESULT_CHARS_MAX:
            raise failures.limit(f"it gives more than {limits.RESULT_CHARS_MAX} characters", self._source)
        return text

    def _key(self, key: object) -> str:
        if not isinstance(key, str):
            raise EvaluationError(
                f"`{failures.shortened(self._source)}` gives a map with the key {key!r}, and keys are texts",
                source=self._source,
                help="write string(…) around the key",
            )
        return self._text(key)

    def _grow(self, items: int, depth: int) -> None:
        self._items += items
        if self._items > limits.RESULT_ITEMS_MAX:
            raise failures.limit(f"it gives more than {limits.RESULT_ITEMS_MAX} items", self._source)
        if depth >= limits.RESULT_DEPTH_MAX:
            raise failures.limit(
                f"it gives more than {limits.RESULT_DEPTH_MAX} lists or maps inside each other", self._source
            )


def _finite(number: float, source: str) -> float:
    if not math.isfinite(number):
        raise EvaluationError(
            f"`{failures.shortened(source)}` is no finite number ({number})",
            source=source,
            help="look for a division by zero",
        )
    return number


_READ_AS_IS: Final = frozenset({str, int, type(None), list, dict})


def _read(value: object, source: str) -> Value:
    """Return *value*, which was read and not computed; a single number still has to be one."""
    match value:
        case bool():
            return value
        case int() if not limits.INTEGER_MIN <= value <= limits.INTEGER_MAX:
            raise EvaluationError(failures.too_large(value), source=source, help="keep such a number as text")
        case float():
            return _finite(value, source)
        case _:
            return cast("Value", value) if type(value) in _READ_AS_IS else _given(value, source)
