"""From the text of an expression to something that can be evaluated, and the evaluation.

An expression goes through CEL up to three times, all in microseconds: it is parsed; its names, functions
and types are checked against what may be named where it stands; and its rewritten form (see `rewriting`) is
kept as the program. The program is the same whatever names it was checked against, and at run time nothing
has a type but the values, so the check can be as narrow as the loader knows and still never changes what a
run computes.

An evaluation gives CEL only the paths that the expression reads, so its cost does not depend on how large a
run is. A bare path needs no CEL at all.
"""

from __future__ import annotations

import datetime
import functools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, cast

from towpath.definition.expressions import analysis, limits, messages, rewriting, scanning, tree
from towpath.definition.expressions import functions as own
from towpath.definition.expressions.faults import Code, CompileError, EvaluationError, raise_all
from towpath.definition.expressions.names import DYNAMIC, Names, parse_type
from towpath.definition.expressions.values import Value, format_duration, format_timestamp, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cel_expr_python import cel  # type: ignore[import-untyped]  # it ships stubs without py.typed

Branch = dict[str, "Branch | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """A checked expression, ready to be evaluated as often as one likes."""

    source: str
    references: tuple[analysis.Reference, ...]
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


# Compiling


def compile_expression(source: str, *, names: Names) -> Expression:
    """Return the expression that *source* says; raises CompileError, with every problem that was found."""
    if len(source) > limits.EXPRESSION_CHARS_MAX:
        raise CompileError(
            f"the expression has {len(source)} characters, and {limits.EXPRESSION_CHARS_MAX} are the limit",
            code=Code.LIMIT,
            help="split it into several steps or outputs",
        )
    parsed = _parse(source)
    if not names.any_name:
        return _checked_against(parsed, names)
    raise_all(parsed.problems)
    return parsed.expression


def compile_condition(source: str, *, names: Names) -> Expression:
    """Return the expression that *source* says; raises CompileError when it cannot be true or false."""
    expression = compile_expression(source, names=names)
    if expression.result not in {"bool", "dyn"}:
        raise CompileError(
            f"the condition is {_article(expression.result)}, and must be true or false",
            code=Code.NOT_BOOLEAN,
            help="compare it with `==`, `!=`, `<`, `in`, …",
        )
    return expression


def secret_name(source: str) -> str | None:
    """Return NAME when *source* is exactly `secrets.NAME` or `secrets["NAME"]`, and None otherwise."""
    found = _SECRET.fullmatch(source.strip())
    return next((name for name in found.groups() if name is not None), None) if found else None


_SECRET: Final = re.compile(
    r"""secrets\s*(?:\.\s*([A-Za-z_][A-Za-z_0-9]*)|\[\s*(?:"([^"\\\n]+)"|'([^'\\\n]+)')\s*\])"""
)


def evaluate_condition(condition: Expression, names: Mapping[str, object]) -> bool:
    """Return whether *condition* holds; raises EvaluationError when it is neither true nor false."""
    value = condition.evaluate(names)
    if not isinstance(value, bool):
        raise EvaluationError(
            f"`{condition.source}` is {_article(_type_of(value))}, and must be true or false",
            source=condition.source,
            help="compare it with `==`, `!=`, `<`, `in`, …",
        )
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parsed:
    root: tree.Node
    expression: Expression
    problems: tuple[CompileError, ...]
    # What is wrong whatever may be named; the expression has no program then.


@functools.lru_cache(maxsize=limits.CACHED_EXPRESSIONS_MAX)
def _parse(source: str) -> _Parsed:
    _check_text(source)
    environment = _runtime_environment()
    try:
        compiled = environment.compile(source, disable_check=True)
    except RuntimeError as problem:
        raise_all(messages.compile_problems(str(problem), source))
        raise
    root = tree.read(compiled.serialize())
    problems = analysis.problems(root, DYNAMIC, source)
    references = analysis.references(root)
    expression = Expression(
        source=source,
        references=references,
        result="dyn",
        program=None if problems else _program(environment, compiled, root),
        reads=_reads(reference.path for reference in references),
        path=_whole_path(root),
    )
    return _Parsed(root=root, expression=expression, problems=problems)


def _program(environment: cel.Env, compiled: cel.Expression, root: tree.Node) -> cel.Expression:
    rewritten = rewriting.rewrite(root)
    return compiled if rewritten is root else environment.deserialize(tree.write(rewritten))


def _check_text(source: str) -> None:
    if not source.strip():
        raise CompileError("the expression is empty", code=Code.SYNTAX)
    opened = source.find("${{")
    if opened >= 0:
        raise CompileError(
            "this is an expression already",
            code=Code.SYNTAX,
            offset=opened,
            help="write it without `${{ }}`",
        )
    deep = scanning.too_deep(source, depth_max=limits.NESTING_DEPTH_MAX)
    if deep is not None:
        raise messages.too_deep(deep)
    try:
        source.encode()
    except UnicodeEncodeError as problem:
        raise CompileError(
            "the expression holds half a character", code=Code.SYNTAX, offset=problem.start
        ) from None


def _whole_path(root: tree.Node) -> tuple[str, ...]:
    found = tree.static_path(root)
    return () if found is None or found[2] else found[1]


def _reads(paths: Iterable[tuple[str, ...]]) -> Branch:
    """Return *paths* as a tree; None stands where everything below is read."""
    root: Branch = {}
    for path in paths:
        branch: Branch | None = root
        for word in path[:-1]:
            if branch is None:
                break
            branch = branch.setdefault(word, {})
        if branch is not None and path:
            branch[path[-1]] = None
    return root


def _checked_against(parsed: _Parsed, names: Names) -> Expression:
    expression, source = parsed.expression, parsed.expression.source
    problems = list(analysis.problems(parsed.root, names, source))
    result = "dyn"
    try:
        declared = _declarations(expression.references, names)
        environment = _checking_environment(declared, analysis.own_functions(parsed.root))
        result = environment.compile(scanning.without_tests(source)).return_type().name()
    except RuntimeError as problem:
        problems += messages.type_problems(str(problem), source, known=problems)
    raise_all(problems)
    return replace(expression, result=_type_text(result))


def _declarations(references: Iterable[analysis.Reference], names: Names) -> tuple[tuple[str, str], ...]:
    """Return the declarations that matter to *references*; a root that is not declared whole is any map."""
    declared: dict[str, str] = {}
    for reference in references:
        relevant = names.relevant(reference.path)
        if reference.path[0] not in relevant:
            declared[reference.path[0]] = "dyn"
        declared |= relevant
    return tuple(sorted(declared.items()))


_TYPE_WORDS: Final = {
    "null_type": "null",
    "google.protobuf.timestamp": "timestamp",
    "google.protobuf.duration": "duration",
}


def _type_text(name: str) -> str:
    text = name.lower().replace("<", "(").replace(">", ")")
    return _TYPE_WORDS.get(text, text)


def _article(type_text: str) -> str:
    word = type_text.partition("(")[0]
    match word:
        case "string":
            return "a text"
        case "int" | "uint" | "double":
            return "a number"
        case "null":
            return "null"
        case _:
            return f"a {word}"


# CEL's environments


@functools.cache
def _runtime_environment() -> cel.Env:
    from cel_expr_python import cel  # noqa: PLC0415 - 20 ms that nobody pays who evaluates nothing

    functions = [_declaration(cel, each) for each in (*own.FUNCTIONS, *own.INTERNAL)]
    return cel.NewEnv(extensions=[cel.CelExtension("towpath", functions)])


@functools.lru_cache(maxsize=limits.CACHED_ENVIRONMENTS_MAX)
def _checking_environment(declared: tuple[tuple[str, str], ...], called: frozenset[str]) -> cel.Env:
    from cel_expr_python import cel  # noqa: PLC0415 - as above

    variables = {path: _cel_type(cel, parse_type(text)) for path, text in declared}
    return cel.NewEnv(
        variables=variables,
        functions=[_declaration(cel, each) for each in own.DECLARED if each.name in called],
    )


def _declaration(module: Any, function: own.Function) -> cel.FunctionDecl:  # noqa: ANN401
    overloads = [
        module.Overload(
            f"{function.name}_{'member' if form.member else 'free'}_{'_'.join(form.parameters)}",
            return_type=_cel_type(module, parse_type(form.result)),
            parameters=[_cel_type(module, parse_type(parameter)) for parameter in form.parameters],
            is_member=form.member,
            impl=_returning_plain(function.implementation),
        )
        for form in function.forms
    ]
    return module.FunctionDecl(function.name, overloads)


def _returning_plain(implementation: Callable[..., object]) -> Callable[..., Value]:
    """Lead what *implementation* returns through the same door as what a run holds."""
    return lambda *arguments: plain(implementation(*arguments))


def _cel_type(module: Any, words: tuple[str, ...]) -> cel.Type:  # noqa: ANN401
    match words:
        case ("list", *inner):
            return module.Type.List(_cel_type(module, tuple(inner)))
        case ("map", *inner):
            return module.Type.Map(module.Type.STRING, _cel_type(module, tuple(inner)))
        case _:
            return getattr(module.Type, words[0].upper())


# Evaluating

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
    own.BUDGET.renew()
    try:
        outcome = expression.program.eval(data=data)
        content = outcome.value()
    except (RuntimeError, UnicodeError) as problem:
        raise _failure(str(problem), expression, names) from None
    if own.BUDGET.broken:
        raise _limit(own.BUDGET.broken, expression.source)
    if isinstance(content, bool):
        return content
    # CEL gives an error back as a value whose content is the message.
    if isinstance(content, str) and outcome.type().name() == "ERROR":
        raise _failure(content, expression, names)
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
            f"`{_shortened(source)}` reads what it cannot: {problem}", source=source
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
                raise EvaluationError(
                    f"`{self._source}` gives {_article(_type_text(outcome.type().name()))},"
                    " which is no value of a run",
                    source=self._source,
                    help="give a text, a number, true or false, null, a list or a map",
                )

    def _text(self, text: str) -> str:
        self._chars += len(text)
        if self._chars > limits.RESULT_CHARS_MAX:
            raise _limit(f"it gives more than {limits.RESULT_CHARS_MAX} characters", self._source)
        return text

    def _key(self, key: object) -> str:
        if not isinstance(key, str):
            raise EvaluationError(
                f"`{self._source}` gives a map with the key {key!r}, and keys are texts",
                source=self._source,
                help="write string(…) around the key",
            )
        return self._text(key)

    def _grow(self, items: int, depth: int) -> None:
        self._items += items
        if self._items > limits.RESULT_ITEMS_MAX:
            raise _limit(f"it gives more than {limits.RESULT_ITEMS_MAX} items", self._source)
        if depth >= limits.RESULT_DEPTH_MAX:
            raise _limit(
                f"it gives more than {limits.RESULT_DEPTH_MAX} lists or maps inside each other", self._source
            )


def _finite(number: float, source: str) -> float:
    if not math.isfinite(number):
        raise EvaluationError(
            f"`{source}` is no finite number ({number})", source=source, help="look for a division by zero"
        )
    return number


_READ_AS_IS: Final = frozenset({str, int, type(None), list, dict})


def _read(value: object, source: str) -> Value:
    """Return *value*, which was read and not computed; a single number still has to be one."""
    match value:
        case bool():
            return value
        case int() if not limits.INTEGER_MIN <= value <= limits.INTEGER_MAX:
            raise EvaluationError(_too_large(value), source=source, help="keep such a number as text")
        case float():
            return _finite(value, source)
        case _:
            return cast("Value", value) if type(value) in _READ_AS_IS else _given(value, source)


def _too_large(number: object) -> str:
    return f"the number {str(number)[:40]} does not fit into 64 bits"


def _type_of(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case int() | float():
            return "double"
        case str():
            return "string"
        case list() | tuple():
            return "list"
        case _:
            return "map"


# Why an evaluation failed


def _limit(message: str, source: str) -> EvaluationError:
    return EvaluationError(
        f"`{_shortened(source)}` is stopped: {message}",
        source=source,
        help="work with less at a time",
        code=Code.LIMIT,
    )


def _shortened(source: str) -> str:
    text = " ".join(source.split())
    return text if len(text) <= 80 else text[:79] + "…"  # noqa: PLR2004 - one line of a terminal


def _failure(message: str, expression: Expression, names: Mapping[str, object]) -> EvaluationError:
    if "Iteration budget exceeded" in message:
        return _limit(f"its loops take more than {limits.ITERATIONS_MAX} rounds", expression.source)
    missing = _first_missing(expression, names) if _is_absence(message) else None
    if missing is not None:
        return missing
    overload = messages.runtime_overload(message)
    text, help_text = overload or _explained(messages.without_status(message))
    return EvaluationError(
        f"`{_shortened(expression.source)}` fails: {text}", source=expression.source, help=help_text
    )


def _is_absence(message: str) -> bool:
    return message.startswith(("NOT_FOUND", "UNKNOWN: No value with name")) or "Applying SELECT" in message


def _first_missing(expression: Expression, names: Mapping[str, object]) -> EvaluationError | None:
    for reference in expression.references:
        path = reference.path[:-1] if reference.tested else reference.path
        value: Any = names
        for depth, word in enumerate(path):
            if not isinstance(value, Mapping) or word not in value:
                if reference.guarded:
                    break
                return _missing(expression.source, path, depth, value)
            value = value[word]
    return None


def _missing(source: str, path: tuple[str, ...], depth: int, value: object) -> EvaluationError:
    word, above = path[depth], ".".join(path[:depth])
    if depth == 0:
        message, help_text = f"there is no `{word}` here", ""
    elif isinstance(value, Mapping):
        message = f"{above} has no `{word}`"
        keys = ", ".join(sorted(str(key) for key in value)[:12])
        help_text = f"it has {keys}" if keys else "it is empty"
        help_text += "; default(a, b) chooses b where a is missing"
    else:
        message = f"{above} is {_article(_type_of(value))}, and has no `{word}`"
        help_text = "json(…) reads a text that is JSON" if isinstance(value, str) else ""
    return EvaluationError(message, source=source, help=help_text)


_EXPLANATIONS: Final[tuple[tuple[str, Callable[[str], str], str], ...]] = (
    (
        "Key not found in map",
        lambda text: f"no such key: {text.partition(': ')[2]}",
        "default(a, b) chooses b where a is missing",
    ),
    (
        "Index error: index=",
        lambda text: (
            "the list has no item " + text.partition("index=")[2].replace(" size=", "; its size is ")
        ),
        "items are counted from 0",
    ),
    ("Index error", lambda _: "a list is indexed with a whole number", ""),
    (
        "out of range for",
        lambda text: _too_large(text.partition("'")[2].partition("'")[0]),
        "keep such a number as text",
    ),
    ("integer overflow", lambda _: "the number does not fit into 64 bits", ""),
    ("divide by zero", lambda _: "division by zero", ""),
    ("modulus by zero", lambda _: "division by zero", ""),
    ("cannot convert", lambda text: text, "look at the text that is converted"),
    ("String to Timestamp", lambda _: "the text is no timestamp", "write it like 2026-01-31T09:00:00Z"),
    ("String to Duration", lambda _: "the text is no duration", "write it like 90s, 10m or 1h30m"),
    ("invalid regular expression", lambda text: text, "patterns are written in RE2"),
    ("construction from null", lambda _: "it reads text that holds half a character", ""),
    ("Applying SELECT", lambda _: "a field is read of something that is no map", ""),
)


def _explained(message: str) -> tuple[str, str]:
    for sign, explain, help_text in _EXPLANATIONS:
        if sign in message:
            return explain(message), help_text
    return message, ""
