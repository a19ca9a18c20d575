"""What a parsed expression reads and calls, and what is wrong with that before any type is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from towpath.definition.expressions import functions, names, scanning, tree
from towpath.definition.expressions.faults import Code, CompileError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from towpath.definition.expressions.names import Names


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One path that an expression reads, as far as it is written out: `steps.build.outputs.image`."""

    path: tuple[str, ...]
    offset: int
    # 0-based column of its first word in the source.
    tested: bool = False
    # Inside `has(…)`: the last word may be absent.
    guarded: bool = False
    # Inside the first argument of `default(…)`: any of it may be absent.

    def __str__(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    variables: frozenset[str] = frozenset()
    guarded: bool = False


DEFAULT: Final = "@default"
"""The name that holds the first argument of a rewritten `default`."""

_OUTERMOST: Final = _Scope()


def references(root: tree.Node) -> tuple[Reference, ...]:
    """Return every path that *root* reads, in the order of the text, each place once."""
    return tuple(dict.fromkeys(_references(root, _OUTERMOST)))


def _references(node: tree.Node, scope: _Scope) -> Iterator[Reference]:
    found = tree.static_path(node)
    if found is not None:
        name, path, tested = found
        if name.name not in scope.variables and not _is_type(path):
            yield Reference(path=path, offset=name.offset, tested=tested, guarded=scope.guarded)
        return
    for child, inner in _inside(node, scope):
        yield from _references(child, inner)


def _inside(node: tree.Node, scope: _Scope) -> Iterator[tuple[tree.Node, _Scope]]:
    """Yield the children of *node*, each with the scope that it is read in."""
    match node:
        case tree.Call(function="default", target=None, arguments=(first, *others)):
            yield first, _Scope(variables=scope.variables, guarded=True)
            for other in others:
                yield other, scope
        case tree.Loop(accumulator=accumulator) if accumulator == DEFAULT:
            yield node.initial, _Scope(variables=scope.variables, guarded=True)
            yield node.result, _Scope(variables=scope.variables | {DEFAULT}, guarded=scope.guarded)
        case tree.Loop():
            inside = _Scope(
                variables=scope.variables | {node.variable, node.accumulator}, guarded=scope.guarded
            )
            yield node.over, scope
            yield node.initial, scope
            for part in (node.condition, node.step, node.result):
                yield part, inside
        case _:
            for child in tree.children(node):
                yield child, scope


def _is_type(path: tuple[str, ...]) -> bool:
    return len(path) == 1 and path[0] in names.TYPE_NAMES


def own_functions(root: tree.Node) -> frozenset[str]:
    """Return the functions beyond CEL's own that *root* calls."""
    inside = frozenset[str]().union(*(own_functions(child) for child in tree.children(root)))
    return inside | {root.function} if isinstance(root, tree.Call) and root.function in _OWN else inside


def problems(root: tree.Node, known: Names, source: str) -> tuple[CompileError, ...]:
    """Return what is wrong with the names, functions and literals of *root*, which *source* says."""
    found = [
        *(_reference_problem(reference, known) for reference in references(root)),
        *_problems_inside(root, known, source),
    ]
    return tuple(problem for problem in found if problem is not None)


def _reference_problem(reference: Reference, known: Names) -> CompileError | None:
    root = reference.path[0]
    if root.startswith("."):
        return CompileError(
            f"`{root}` begins with a dot",
            code=Code.SYNTAX,
            offset=reference.offset,
            help=f"write `{root[1:]}`",
        )
    if root != "secrets":
        return known.problem(reference.path, reference.offset)
    return CompileError(
        "a secret is only ever passed on, never worked with",
        code=Code.SECRET,
        offset=reference.offset,
        help="write `${{ secrets.NAME }}` as an expression of its own, in `with`, `env` or `stdin`",
    )


def _problems_inside(node: tree.Node, known: Names, source: str) -> Iterator[CompileError]:
    match node:
        case tree.Call():
            yield from _call_problems(node, scanning.at_name(source, node.offset, node.function))
        case tree.Constant(value=bytes()):
            yield CompileError(
                "a value of a run is never bytes", code=Code.TYPE, offset=node.offset, help='write "text"'
            )
        case tree.MapOf(message=message) if message:
            yield CompileError(
                f"`{message}{{…}}` builds a message, and a value of a run never is one",
                code=Code.TYPE,
                offset=node.offset,
                help="write a map: {'key': value}",
            )
        case tree.Loop() if not known.any_name and node.variable in known.roots:
            yield CompileError(
                f"the loop calls its item `{node.variable}`, which is the name of something else here",
                code=Code.UNKNOWN_NAME,
                offset=node.offset,
                help="choose another name for the item",
            )
    for child in tree.children(node):
        yield from _problems_inside(child, known, source)


_OWN: Final = {function.name: function for function in functions.DECLARED}
_CALLABLE: Final = frozenset(_OWN) | functions.CEL_FUNCTIONS


def _call_problems(call: tree.Call, offset: int) -> Iterator[CompileError]:
    name = call.function
    if not name[0].isalpha() or name in functions.CEL_FUNCTIONS:
        return
    if name in functions.MACROS:
        yield CompileError(
            f"`{name}` is not written like this",
            code=Code.UNKNOWN_FUNCTION,
            offset=offset,
            help=f"write {functions.MACROS[name]}",
        )
    elif name not in _OWN:
        yield CompileError(
            f"unknown function `{name}`",
            code=Code.UNKNOWN_FUNCTION,
            offset=offset,
            help=_other_than(name),
        )
    elif not _fits(call, _OWN[name]):
        yield CompileError(
            f"`{name}` is not called like this",
            code=Code.UNKNOWN_FUNCTION,
            offset=offset,
            help=_OWN[name].summary,
        )


def _other_than(name: str) -> str:
    if name == "now":
        return "expressions have no clock; use run.started_at or a time from an event"
    if name in names.TYPE_NAMES:
        return "a value of a run is never of this type"
    known = (*_CALLABLE, *functions.MACROS)
    return names.suggestion(name, known) or "functions: " + ", ".join(sorted(_OWN))


def _fits(call: tree.Call, function: functions.Function) -> bool:
    given = len(call.arguments) + (call.target is not None)
    return any(
        len(form.parameters) == given and form.member == (call.target is not None) for form in function.forms
    )
