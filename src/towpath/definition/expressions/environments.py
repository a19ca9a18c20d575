"""CEL's own environments: one that runs every program, and one for each set of names that a check knows."""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import TYPE_CHECKING, Any

from towpath.definition.expressions import functions as own
from towpath.definition.expressions import limits
from towpath.definition.expressions.names import parse_type
from towpath.definition.expressions.values import Value, plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from cel_expr_python import cel  # type: ignore[import-untyped]  # it ships stubs without py.typed


@functools.cache
def runtime() -> cel.Env:
    """Return the environment that programs are parsed and run in; nothing has a type there but values."""
    from cel_expr_python import cel  # noqa: PLC0415 - 20 ms that nobody pays who evaluates nothing

    _keep_none_alive()
    functions = [_declaration(cel, each) for each in (*own.FUNCTIONS, *own.INTERNAL)]
    return cel.NewEnv(extensions=[cel.CelExtension("towpath", functions)])


def _keep_none_alive() -> None:
    """Give None more references than a process can lose.

    CEL's binding hands null out without counting the reference. Where None is counted, before Python 3.12, a
    few thousand of them would end the process.
    """
    if sys.version_info < (3, 12):
        ctypes.c_ssize_t.from_address(id(None)).value += 2**40


@functools.lru_cache(maxsize=limits.CACHED_ENVIRONMENTS_MAX)
def checking(declared: tuple[tuple[str, str], ...], called: frozenset[str]) -> cel.Env:
    """Return an environment that knows the types of the *declared* paths and of the functions *called*."""
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
