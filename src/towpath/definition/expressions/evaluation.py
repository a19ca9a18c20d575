"""Working an expression out from the values of a run.

An evaluation gives CEL only the paths that the expression reads, so its cost does not depend on how large a
run is. A bare path needs no CEL at all.

Nothing here trusts the size of what it reads: loops count their rounds, what they build and what they go
through again and again, and an evaluation that runs out of any of these ends with the name of the limit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, assert_never, cast

from towpath.definition.expressions import failures, functions, limits, messages, planning
from towpath.definition.expressions.faults import Code, EvaluationError
from towpath.definition.expressions.planning import Application, Kind, Plan, Program, Repetition, Slot
from towpath.definition.expressions.values import Value, format_duration, format_timestamp, plain, weight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from towpath.definition.expressions.analysis import Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """A checked expression, ready to be evaluated as often as one likes."""

    source: str
    references: tuple[Reference, ...]
    result: str
    # CEL's name for the type that the check found: `bool`, `string`, `list(int)`, …, or `dyn`.
    plan: Plan = field(repr=False, compare=False)

    def evaluate(self, names: Mapping[str, object]) -> Value:
        """Return the value for these root *names*; raises EvaluationError when there is none."""
        path = self.plan.program.path
        if path and not self.plan.slots:
            found = _walk(path, names)
            if found is not _ABSENT:
                return _read(found, self.source)
        return _Evaluation(self.source).result(self.plan, names)


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


# Reading

_ABSENT: Final = object()
_READ_AS_IS: Final = frozenset({str, int, type(None), list, dict})


def _walk(path: tuple[str, ...], names: Mapping[str, object]) -> object:
    value: Any = names
    for word in path:
        if (type(value) is not dict and not isinstance(value, Mapping)) or word not in value:
            return _ABSENT
        value = value[word]
    return value


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


def _finite(number: float, source: str) -> float:
    if not math.isfinite(number):
        raise EvaluationError(
            f"`{failures.shortened(source)}` is no finite number ({number})",
            source=source,
            help="look for a division by zero",
        )
    return number


def _picked(reads: planning.Branch, names: Mapping[str, object], source: str) -> dict[str, object]:
    """Return only what *reads* names of *names*, so that CEL never sees, or converts, the rest of a run."""
    picked: dict[str, object] = {}
    for word, inner in reads.items():
        if word not in names:
            continue
        value = names[word]
        if inner is not None and isinstance(value, Mapping):
            picked[word] = _picked(inner, value, source)
        else:
            picked[word] = _given(value, source)
    return picked


def _given(value: object, source: str) -> Value:
    try:
        return plain(value)
    except ValueError as problem:
        raise EvaluationError(
            f"`{failures.shortened(source)}` reads what it cannot: {problem}", source=source
        ) from None


# Working out


class _Evaluation:
    """One evaluation of one expression: what it may still do, and why its slots failed."""

    __slots__ = ("_chars_left", "_errors", "_labels", "_loops", "_rounds_left", "_source", "_work_left")

    def __init__(self, source: str) -> None:
        self._source = source
        self._errors: dict[str, EvaluationError] = {}
        self._labels: dict[str, str] = {}
        # How people know the slots, which have no names of their own.
        self._loops = 0
        # The loops that the evaluation is inside of.
        self._chars_left = limits.BUILT_CHARS_MAX
        self._rounds_left = limits.ITERATIONS_MAX
        self._work_left = limits.LOOP_CHARS_MAX

    def result(self, plan: Plan, names: Mapping[str, object]) -> Value:
        """Return the value of the whole expression."""
        reader = _Reader(self._source)
        if not plan.slots:
            return self._computed(plan.program, names, reader)
        scope = {name: names[name] for name in plan.roots if name in names}
        self._fill(plan.slots, scope)
        found = _walk(plan.program.path, scope) if plan.program.path else _ABSENT
        if found is not _ABSENT:
            return reader.checked(_given(found, self._source))
        return self._computed(plan.program, scope, reader)

    def _computed(self, program: Program, scope: Mapping[str, object], reader: _Reader) -> Value:
        """Return what CEL works *program* out to."""
        data = _picked(program.reads, scope, self._source)
        if self._loops:
            self._work(weight(data))
        try:
            outcome = program.cel.eval(data=data)
            kind = outcome.type().name()
            if kind != "ERROR":
                return reader.value(outcome, kind, 0)
            message = str(outcome.value())
        except (RuntimeError, UnicodeError) as problem:
            message = str(problem)
        raise self._failure(message, program, scope)

    def _failure(self, message: str, program: Program, scope: Mapping[str, object]) -> EvaluationError:
        absent = failures.absent_name(message)
        if absent in self._errors:
            return self._errors[absent]
        if absent == planning.LIMIT:
            return self._stopped(
                f"it builds a text of more than {limits.RESULT_CHARS_MAX} characters, or such a list"
            )
        return failures.failure(message, self._source, program.references, scope, self._labels)

    def _value(self, program: Program, scope: Mapping[str, object]) -> Value:
        """Return a value on the way to the result; what had to be built for it is paid for."""
        if program.path:
            found = _walk(program.path, scope)
            if found is not _ABSENT:
                return _given(found, self._source)
        return self._computed(program, scope, _Reader(self._source, build=self._build))

    # Slots

    def _fill(self, slots: Iterable[Slot], scope: dict[str, object]) -> None:
        """Put the value of each slot into *scope*; one that fails is left out, with its error kept."""
        for slot in slots:
            scope.pop(slot.name, None)
            self._errors.pop(slot.name, None)
            self._labels[slot.name] = slot.label
            try:
                scope[slot.name] = self._worked_out(slot.work, scope)
            except EvaluationError as problem:
                if problem.code is Code.LIMIT and (slot.guarded or self._is_spent):
                    raise
                self._errors[slot.name] = problem

    def _worked_out(self, work: Application | Repetition, scope: dict[str, object]) -> Value:
        match work:
            case Application():
                return self._applied(work, scope)
            case Repetition():
                return self._repeated(work, scope)
            case _:
                assert_never(work)

    def _applied(self, application: Application, scope: dict[str, object]) -> Value:
        given = [self._value(argument, scope) for argument in application.arguments]
        if self._loops:
            self._work(weight(given))
        try:
            value = functions.apply(application.function, given)
        except functions.TooMuch as problem:
            raise self._stopped(str(problem)) from None
        except functions.FunctionError as problem:
            raise failures.failed(str(problem), self._source, help=problem.help) from None
        self._build(weight(value))
        return value

    # Loops

    def _repeated(self, loop: Repetition, scope: dict[str, object]) -> Value:
        items = self._items(self._value(loop.over, scope), loop.kind)
        inside = dict(scope)
        self._loops += 1
        try:
            match loop.kind:
                case Kind.GATHER:
                    return self._gathered(loop, items, inside)
                case Kind.ALL:
                    return self._decided(loop, items, inside, deciding=False)
                case Kind.EXISTS:
                    return self._decided(loop, items, inside, deciding=True)
                case Kind.EXISTS_ONE:
                    return self._counted(loop, items, inside) == 1
                case _:
                    assert_never(loop.kind)
        finally:
            self._loops -= 1

    def _items(self, value: Value, kind: Kind) -> list[Value]:
        match value:
            case list():
                return value
            case dict():
                return list[Value](sorted(value))
            case _:
                found = messages.with_article(messages.type_of(value))
                raise failures.failed(
                    f"`{kind}` goes through a list or a map, and this is {found}", self._source
                )

    def _gathered(self, loop: Repetition, items: list[Value], scope: dict[str, object]) -> list[Value]:
        gathered: list[Value] = []
        for piece in self._pieces(loop, items, scope):
            native = self._natively(loop, piece, scope)
            if isinstance(native, list):
                gathered += native
                continue
            for _ in self._each(loop, piece, scope):
                if loop.condition is None or self._asked(loop.condition, scope, loop.kind):
                    gathered.append(self._value(loop.body, scope))
        return gathered

    def _decided(
        self, loop: Repetition, items: list[Value], scope: dict[str, object], *, deciding: bool
    ) -> bool:
        """Return *deciding* as soon as an item says so; an error counts only when none does."""
        error: EvaluationError | None = None
        for piece in self._pieces(loop, items, scope):
            native = self._natively(loop, piece, scope)
            if native is deciding:
                return deciding
            if isinstance(native, bool):
                continue
            for _ in self._each(loop, piece, scope):
                try:
                    if self._asked(loop.body, scope, loop.kind) is deciding:
                        return deciding
                except EvaluationError as problem:
                    if self._is_spent:
                        raise
                    error = error or problem
        if error is not None:
            raise error
        return not deciding

    def _counted(self, loop: Repetition, items: list[Value], scope: dict[str, object]) -> int:
        count = 0
        for piece in self._pieces(loop, items, scope):
            native = self._natively(loop, piece, scope)
            if isinstance(native, int):
                count += native
                continue
            count += sum(self._asked(loop.body, scope, loop.kind) for _ in self._each(loop, piece, scope))
        return count

    def _pieces(
        self, loop: Repetition, items: list[Value], scope: dict[str, object]
    ) -> Iterator[list[Value]]:
        """Yield *items* in pieces that CEL can go through at once without holding too much."""
        if not items:
            return
        size = len(items)
        if loop.native is not None:
            repeated = weight(_picked(loop.native.reads, scope, self._source))
            self._work(repeated * len(items) // _NATIVE_ADVANTAGE)
            size = limits.PIECE_ITEMS
            if planning.LIMIT in loop.native.reads:  # it adds texts or lists, which CEL holds until the end
                each = repeated + weight(items) // len(items) + 1
                size = max(1, min(size, limits.RESULT_CHARS_MAX // each))
        for start in range(0, len(items), size):
            piece = items[start : start + size]
            self._rounds_left -= len(piece) if loop.native is not None else 0
            self._check_rounds()
            yield piece

    def _natively(self, loop: Repetition, piece: list[Value], scope: dict[str, object]) -> Value:
        """Return what CEL makes of a whole *piece*, or None when its items are to be taken one by one."""
        if loop.native is None:
            return None
        scope[planning.ITEMS] = piece
        try:
            return self._value(loop.native, scope)
        except EvaluationError:
            if self._is_spent:
                raise
            return None  # one by one, it can be said which item it was and what is wrong with it

    def _each(self, loop: Repetition, piece: list[Value], scope: dict[str, object]) -> Iterator[Value]:
        """Yield each item after it was put into *scope*, with its slots."""
        for item in piece:
            if loop.native is None:
                self._rounds_left -= 1
                self._check_rounds()
            scope[loop.variable] = item
            self._fill(loop.slots, scope)
            yield item

    def _asked(self, program: Program, scope: dict[str, object], kind: Kind) -> bool:
        value = self._value(program, scope)
        if not isinstance(value, bool):
            found = messages.with_article(messages.type_of(value))
            raise failures.failed(
                f"the condition in `{kind}` is {found}, and must be true or false", self._source
            )
        return value

    # What it may still do

    @property
    def _is_spent(self) -> bool:
        return self._chars_left < 0 or self._rounds_left < 0 or self._work_left < 0

    def _build(self, chars: int) -> None:
        self._chars_left -= chars
        if self._chars_left < 0:
            raise self._stopped(f"it builds more than {limits.BUILT_CHARS_MAX} characters in all")

    def _work(self, chars: int) -> None:
        self._work_left -= chars
        if self._work_left < 0:
            raise self._stopped(f"its loops go through more than {limits.LOOP_CHARS_MAX} characters")

    def _check_rounds(self) -> None:
        if self._rounds_left < 0:
            raise self._stopped(f"its loops take more than {limits.ITERATIONS_MAX} rounds")

    def _stopped(self, message: str) -> EvaluationError:
        return failures.limit(message, self._source)


_NATIVE_ADVANTAGE: Final = 4
"""How much faster CEL goes through what it holds than it takes the same in."""


class _Reader:
    """Turns what CEL computed into what JSON can say, and stops at the limits on the way.

    The type of a value is asked before the value: CEL's binding hands null out without counting the
    reference, which ends the process sooner or later where None is counted (before Python 3.12).
    """

    __slots__ = ("_build", "_chars", "_items", "_source")

    def __init__(self, source: str, *, build: Callable[[int], None] | None = None) -> None:
        self._source = source
        self._build = build
        # Pays for what is read on the way to a result; the result itself has limits of its own.
        self._chars = 0
        self._items = 0

    def checked(self, value: Value, depth: int = 0) -> Value:
        """Return *value*, which is plain already, when it is no larger than a result may be."""
        match value:
            case str():
                self._text(value)
            case float():
                _finite(value, self._source)
            case list():
                self._grow(len(value), depth)
                for item in value:
                    self.checked(item, depth + 1)
            case dict():
                self._grow(len(value), depth)
                for key, item in value.items():
                    self._text(key)
                    self.checked(item, depth + 1)
        return value

    def value(self, outcome: Any, kind: str, depth: int) -> Value:  # noqa: ANN401, PLR0911 - one each
        """Return the value of *outcome*, which is of CEL's *kind*."""
        match kind:
            case "BOOL" | "INT" | "UINT":
                return cast("Value", outcome.value())
            case "STRING":
                return self._text(outcome.value())
            case "DOUBLE":
                return _finite(outcome.value(), self._source)
            case "NULL":
                return None
            case "TIMESTAMP":
                return format_timestamp(outcome.value())
            case "DURATION":
                return format_duration(outcome.value())
            case _ if kind.startswith("LIST"):
                items = outcome.value()
                self._grow(len(items), depth)
                return [self.value(item, item.type().name(), depth + 1) for item in items]
            case _ if kind.startswith("MAP"):
                entries = outcome.value()
                self._grow(len(entries), depth)
                texts = sorted(self._key(key) for key in entries)
                return {key: self.value(entries[key], entries[key].type().name(), depth + 1) for key in texts}
            case _:
                raise self._is_none(kind)

    def _text(self, text: str) -> str:
        if self._build is not None:
            self._build(len(text))
            return text
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
        if self._build is not None:
            self._build(limits.ITEM_CHARS * items)
        self._items += items
        if self._items > limits.RESULT_ITEMS_MAX:
            raise failures.limit(f"it gives more than {limits.RESULT_ITEMS_MAX} items", self._source)
        if depth >= limits.RESULT_DEPTH_MAX:
            raise failures.limit(
                f"it gives more than {limits.RESULT_DEPTH_MAX} lists or maps inside each other", self._source
            )

    def _is_none(self, kind: str) -> EvaluationError:
        found = messages.with_article(messages.type_text(kind))
        return EvaluationError(
            f"`{failures.shortened(self._source)}` gives {found}, which is no value of a run",
            source=self._source,
            help="give a text, a number, true or false, null, a list or a map",
        )
