"""CEL's own environments: one that runs every program, and one for each set of names that a check knows."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from towpath.definition.expressions import functions as own
from towpath.definition.expressions import limits
from towpath.definition.expressions.names import parse_type

if TYPE_CHECKING:
    from cel_expr_python import cel  # type: ignore[import-untyped]  # it ships stubs without py.typed


@functools.cache
def runtime() -> cel.Env:
    """Return the environment that programs are parsed and run in; nothing has a type there but values."""
    from cel_expr_python import cel

    return cel.NewEnv()


@functools.lru_cache(maxsize=limits.CACHED_ENVIRONMENTS_MAX)
def checking(declared: tuple[tuple[str, str], ...], called: frozenset[str]) -> cel.Env:
    """Return an environment that knows the types of the *declared* paths and of the functions *called*."""
    from cel_expr_python import cel

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
        )
        for form in function.forms
    ]
    return module.FunctionDecl(function.name, overloads)


def _cel_type(module: Any, words: tuple[str, ...]) -> cel.Type:  # noqa: ANN401
    match words:
        case ("list", *inner):
            return module.Type.List(_cel_type(module, tuple(inner)))
        case ("map", *inner):
            return module.Type.Map(module.Type.STRING, _cel_type(module, tuple(inner)))
        case _:
            return getattr(module.Type, words[0].upper())
