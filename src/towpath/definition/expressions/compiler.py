"""From the text of an expression to something that can be evaluated.

An expression goes through CEL up to three times, all in microseconds: it is parsed; its names, functions
and types are checked against what may be named where it stands; and its rewritten form (see `rewriting`) is
kept as the program. The program is the same whatever names it was checked against, and at run time nothing
has a type but the values, so the check can be as narrow as the loader knows and still never changes what a
run computes.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from towpath.definition.expressions import (
    analysis,
    environments,
    limits,
    messages,
    planning,
    scanning,
    tree,
)
from towpath.definition.expressions.evaluation import Expression
from towpath.definition.expressions.faults import Code, CompileError, EvaluationError, raise_all
from towpath.definition.expressions.names import DYNAMIC, Names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


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
            f"the condition is {messages.with_article(expression.result)}, and must be true or false",
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


def syntax_of(source: str) -> tree.Node:
    """Return the syntax tree of an expression; raises CompileError when it is none."""
    return _parse(source).root


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parsed:
    root: tree.Node
    expression: Expression
    problems: tuple[CompileError, ...]
    # What is wrong whatever may be named; the expression has no program then.


@functools.lru_cache(maxsize=limits.CACHED_EXPRESSIONS_MAX)
def _parse(source: str) -> _Parsed:
    _check_text(source)
    environment = environments.runtime()
    try:
        compiled = environment.compile(source, disable_check=True)
    except RuntimeError as problem:
        raise_all(messages.compile_problems(str(problem), source))
        raise
    root = tree.read(compiled.serialize())
    problems = (*analysis.problems(root, DYNAMIC, source), *_constant_problems(root, source))
    expression = Expression(
        source=source,
        references=analysis.references(root),
        result="dyn",
        plan=_NO_PLAN if problems else planning.plan(root, environment),
    )
    return _Parsed(root=root, expression=expression, problems=problems)


_NO_PLAN: Final = planning.Plan(
    slots=(),
    program=planning.Program(cel=None, references=(), reads={}, path=()),
    roots=frozenset(),
)
"""What an expression with problems has, which is never handed out."""


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


def _constant_problems(root: tree.Node, source: str) -> Iterator[CompileError]:
    """Yield what is wrong with patterns, times and versions that are written out in *root*."""
    for call in _calls(root):
        trial = _trial(call)
        if trial is None:
            continue
        plan = planning.plan(trial, environments.runtime())
        try:
            Expression(source=source, references=(), result="dyn", plan=plan).evaluate({})
        except EvaluationError as problem:
            offset = scanning.at_name(source, call.offset, call.function)
            yield CompileError(problem.reason, code=Code.TYPE, offset=offset, help=problem.help)


def _calls(node: tree.Node) -> Iterator[tree.Call]:
    if isinstance(node, tree.Call):
        yield node
    for child in tree.children(node):
        yield from _calls(child)


_PATTERNS: Final = frozenset({"matches", "glob"})
_LITERALS: Final = frozenset({"timestamp", "duration", "semver", "int", "double"})


def _trial(call: tree.Call) -> tree.Call | None:
    """Return what can be worked out of *call* before any run, when that says whether it is well written."""
    given = call.arguments if call.target is None else (call.target, *call.arguments)
    match call.function, given:
        case name, (_, tree.Constant(value=str()) as pattern) if name in _PATTERNS:
            return tree.Call(function=name, arguments=(tree.Constant(value=""), pattern))
        case name, (tree.Constant(value=str()),) if name in _LITERALS:
            return call
        case _:
            return None


def _checked_against(parsed: _Parsed, names: Names) -> Expression:
    expression, source = parsed.expression, parsed.expression.source
    problems = [*analysis.problems(parsed.root, names, source), *_constant_problems(parsed.root, source)]
    result = "dyn"
    try:
        declared = _declarations(expression.references, names)
        environment = environments.checking(declared, analysis.own_functions(parsed.root))
        result = environment.compile(scanning.without_tests(source)).return_type().name()
    except RuntimeError as problem:
        problems += messages.type_problems(str(problem), source, known=problems)
    raise_all(problems)
    return replace(expression, result=messages.type_text(result))


def _declarations(references: Iterable[analysis.Reference], names: Names) -> tuple[tuple[str, str], ...]:
    """Return the declarations that matter to *references*; a root that is not declared whole is any map."""
    declared: dict[str, str] = {}
    for reference in references:
        relevant = names.relevant(reference.path)
        if reference.path[0] not in relevant:
            declared[reference.path[0]] = "dyn"
        declared |= relevant
    return tuple(sorted(declared.items()))
