"""Conditions and templates of the definition, compiled once, with the list of what they read.

A template is any JSON value with `${{ … }}` inside its strings. Rendering gives a plain value and, apart from it, the
places where secrets go: a value from outside can never be taken for a secret.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Literal, TypeAlias

from towpath.core.run import Json, SecretUse
from towpath.definition import expressions

Reference: TypeAlias = tuple[str, ...]
Names: TypeAlias = Mapping[str, Json]
At: TypeAlias = tuple[str | int, ...]


class Condition:
    """A bare expression that has to be true or false."""

    __slots__ = ("_expression", "references", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self._expression = expressions.compile_condition(source, names=expressions.DYNAMIC)
        self.references: tuple[Reference, ...] = tuple(r.path for r in self._expression.references)

    def holds(self, names: Names) -> bool:
        """Whether it is true; raises ExpressionError where it is neither true nor false."""
        return expressions.evaluate_condition(self._expression, names)


class Template:
    """A JSON value with expressions inside its strings."""

    __slots__ = ("_holes", "_value", "references")

    def __init__(self, value: Json) -> None:
        self._value = value
        self._holes: tuple[tuple[At, expressions.Template], ...] = tuple(_holes(value, ()))
        self.references: tuple[Reference, ...] = tuple(
            {r.path: None for _, template in self._holes for r in template.references}
        )

    @property
    def is_constant(self) -> bool:
        """Whether there is nothing to evaluate."""
        return not self._holes

    @property
    def constant(self) -> Json:
        """The value of a template without expressions."""
        return self._value

    def render(self, names: Names) -> tuple[Json, tuple[SecretUse, ...]]:
        """The value with its expressions evaluated, and where secrets have to be put; raises ExpressionError."""
        if not self._holes:
            return self._value, ()
        secrets: list[SecretUse] = []
        filled: dict[At, Json] = {}
        for at, template in self._holes:
            result = template.evaluate(names)
            if isinstance(result, expressions.TemplateWithSecrets):
                secrets.append(SecretUse(at=at, parts=tuple(_part(part) for part in result.parts)))
                filled[at] = None
            else:
                filled[at] = result
        return _fill(self._value, (), filled), tuple(secrets)


def _part(part: str | expressions.SecretReference) -> tuple[Literal["text", "secret"], str]:
    return ("text", part) if isinstance(part, str) else ("secret", part.name)


def _holes(value: Json, at: At) -> list[tuple[At, expressions.Template]]:
    if isinstance(value, str):
        if "${{" not in value:
            return []
        return [(at, expressions.parse_template(value, names=expressions.DYNAMIC))]
    if isinstance(value, Mapping):
        return [hole for key, inner in value.items() for hole in _holes(inner, (*at, key))]
    if isinstance(value, list | tuple):
        return [hole for position, inner in enumerate(value) for hole in _holes(inner, (*at, position))]
    return []


def _fill(value: Json, at: At, filled: Mapping[At, Json]) -> Json:
    if at in filled:
        return filled[at]
    if isinstance(value, Mapping):
        return {key: _fill(inner, (*at, key), filled) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_fill(inner, (*at, position), filled) for position, inner in enumerate(value)]
    return value


@functools.lru_cache(maxsize=4096)
def compile_condition(source: str) -> Condition:
    """The condition in *source*; raises ExpressionError."""
    return Condition(source)


def compile_template(value: Json) -> Template:
    """The template in *value*; raises ExpressionError."""
    return Template(value)
