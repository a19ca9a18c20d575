"""`strategy` of a job: a matrix, and how much of it runs at the same time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from towpath.definition.importing import naming
from towpath.definition.importing.github import texts, tree
from towpath.definition.importing.github.cel import CannotTranslate, Kind
from towpath.definition.importing.github.contexts import Scope
from towpath.definition.source import Items, Node, Scalar, Table

COMBINATIONS_MAX: Final = 256
"""As many as GitHub allows."""
Json = Any  # JSON has no type of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """How a job is repeated."""

    each: Json = None
    """What stands under `each`; None where the job runs once."""
    kinds: Mapping[str, Kind] | None = None
    """The names of the matrix by GitHub's names, with what is known of their values."""
    keys: Mapping[str, Json] = field(default_factory=dict)
    """Keys beside `each`."""


def read(node: Node | None, file: tree.File, scope: Scope) -> Strategy:
    """The strategy of a job; raises CannotTranslate and NotAnExpression."""
    matrix = tree.value(node, "matrix")
    for entry in tree.entries(node):
        if entry.key.text not in ("matrix", "fail-fast", "max-parallel"):
            scope.shared.notes.cannot(
                file.line(entry.key), f"`{entry.key.text}` of a strategy has no like here"
            )
    if matrix is None:
        return Strategy()
    scope.line = file.line(matrix)
    if not isinstance(matrix, Table):
        raise CannotTranslate("a matrix that is one expression: its names are not known")
    axes, include, exclude = _axes(matrix, file, scope)
    each, kinds = _items(axes, include, exclude)
    if isinstance(each, list) and len(each) > COMBINATIONS_MAX:
        raise CannotTranslate(f"the matrix has more than {COMBINATIONS_MAX} combinations")
    return Strategy(each=each, kinds=kinds, keys=_keys(node, each, file, scope))


def _keys(node: Node | None, each: Json, file: tree.File, scope: Scope) -> dict[str, Json]:
    keys: dict[str, Json] = {}
    places = tree.value(node, "max-parallel")
    count = tree.data(places)
    if isinstance(count, int) and count > 0:
        keys["max_parallel"] = count
    elif places is not None:
        scope.shared.notes.cannot(file.line(places), "`max-parallel` is a number that is written out")
    fails_fast = tree.value(node, "fail-fast")
    says = tree.data(fails_fast)
    if fails_fast is not None and not isinstance(says, bool):
        scope.shared.notes.cannot(file.line(fails_fast), "`fail-fast` is true or false; it is true")
    if says is not False:
        if keys.get("max_parallel") != 1:
            keys["fail_fast"] = True
    elif "max_parallel" in keys and fails_fast is not None:
        scope.shared.notes.changed(
            file.line(fails_fast),
            "after a failure what runs goes on, and no further item starts: see `max_failures`",
        )
    elif _count(each) > 1:
        keys["max_parallel"] = _count(each)
    return keys


def _count(each: Json) -> int:
    """How many items there are, where that is known."""
    if isinstance(each, list):
        return len(each)
    if not isinstance(each, dict):
        return 0
    count = 1
    for values in each["matrix"].values():
        count *= len(values) if isinstance(values, list) else 0
    return count


def _axes(
    matrix: Table, file: tree.File, scope: Scope
) -> tuple[dict[str, Json], Json, list[dict[str, Json]]]:
    axes: dict[str, Json] = {}
    include: Json = []
    exclude: list[dict[str, Json]] = []
    for entry in matrix.entries:
        key, line = entry.key.text, file.line(entry.key)
        scope.line = line
        if key in ("include", "exclude"):
            listed = _value(entry.value, file, scope)
            if isinstance(listed, str) and key == "exclude":
                raise CannotTranslate("`exclude` by an expression")
            if key == "include":
                include = listed
            else:
                exclude = listed
        else:
            axes[key] = _value(entry.value, file, scope)
    if isinstance(include, str) and axes:
        raise CannotTranslate("`include` by an expression, besides other names")
    return axes, include, exclude


def _value(node: Node, file: tree.File, scope: Scope) -> Json:
    """A value of the matrix; a number with a point is a version, and stays the text that was written."""
    match node:
        case Items():
            return [_value(item, file, scope) for item in node.items]
        case Table():
            return {entry.key.text: _value(entry.value, file, scope) for entry in node.entries}
        case Scalar(value=float()):
            if node.text != str(node.value):
                scope.shared.notes.changed(
                    file.line(node), f"GitHub reads {node.text} as {node.value}; it is text here"
                )
            return node.text
        case Scalar(value=str()):
            return texts.text(node.text, scope)
        case _:
            return tree.data(node)


def _items(
    axes: dict[str, Json], include: Json, exclude: list[dict[str, Json]]
) -> tuple[Json, dict[str, Kind]]:
    """What stands under `each`, and the names."""
    if isinstance(include, str):
        return include, {"*": "any"}
    if not include and not exclude:
        kinds = {name: _kind_of(values) for name, values in axes.items()}
        return {
            "matrix": {naming.slug(name, otherwise="value"): values for name, values in axes.items()}
        }, kinds
    if any(isinstance(values, str) for values in axes.values()):
        raise CannotTranslate("`include` and `exclude` besides names whose values are not written out")
    found = _combinations(axes, include, exclude)
    everywhere = [name for name in found[0] if all(name in each for each in found)] if found else []
    kinds = {name: _kind_of([each[name] for each in found]) for name in everywhere}
    if any(set(each) - set(everywhere) for each in found):
        kinds["*"] = "any"
    return [
        {naming.slug(name, otherwise="value"): value for name, value in each.items()} for each in found
    ], kinds


def _combinations(
    axes: Mapping[str, Sequence[Json]], include: list[dict[str, Json]], exclude: list[dict[str, Json]]
) -> list[dict[str, Json]]:
    """All combinations, as GitHub makes them."""
    base = (
        [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())] if axes else []
    )
    base = [one for one in base if not any(_fits(one, out) for out in exclude)]
    found = [dict(one) for one in base]
    alone: list[dict[str, Json]] = []
    for extra in include:
        own = {name: value for name, value in extra.items() if name in axes}
        fitting = [place for place, one in enumerate(base) if _fits(one, own)]
        if fitting:
            for place in fitting:
                found[place].update(extra)
        else:
            alone.append(dict(extra))
    return [*found, *alone]


def _fits(one: Mapping[str, Json], part: Mapping[str, Json]) -> bool:
    return all(one.get(name) == value for name, value in part.items())


def _kind_of(values: Json) -> Kind:
    if not isinstance(values, list):
        return "any"
    kinds = {type(value) for value in values}
    if kinds == {str}:
        return "any" if any(texts.OPEN in value for value in values) else "text"
    if kinds == {bool}:
        return "bool"
    return "number" if kinds == {int} else "any"
