"""The inputs of a run and the fields of a form: made complete, turned into their types, and judged all at once."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from towpath.definition import model
from towpath.errors import AuthorError

Json: TypeAlias = Any  # JSON; Python has no recursive alias that every checker follows
INPUT_BYTES_MAX = 4 * 1024 * 1024
"""All inputs of a run together, as JSON."""
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list, tuple),
    "map": (dict,),
}


class InputsInvalid(AuthorError):
    """Inputs do not fit their declaration; *problems* has one sentence for each."""

    def __init__(self, problems: list[str], *, help: str = "") -> None:  # noqa: A002 - the field's word
        super().__init__("; ".join(problems), help=help)
        self.problems = tuple(problems)


def complete_inputs(
    declared: Mapping[str, model.Input], given: Mapping[str, Json], *, is_text: bool = False
) -> dict[str, Json]:
    """*given* with the defaults of what it leaves out; raises InputsInvalid with every problem.

    Args:
        declared: the inputs of the workflow, or the fields of a form.
        given: what was said.
        is_text: whether texts may stand for other types, as on a command line: `3`, `true`, `a,b`, or JSON.

    """
    problems = [f"`{name}` is not an input{_known(declared)}" for name in given if name not in declared]
    found: dict[str, Json] = {}
    for name, declaration in declared.items():
        if name in given:
            value = from_text(given[name], declaration) if is_text else given[name]
            problems.extend(problems_of(name, value, declaration))
            found[name] = value
        elif declaration.has_default:
            found[name] = declaration.default
        elif declaration.required is not False:
            problems.append(f"`{name}` is required{_meaning(declaration)}")
    if len(json.dumps(found, default=str)) > INPUT_BYTES_MAX:
        problems.append(f"the inputs are larger than INPUT_BYTES_MAX ({INPUT_BYTES_MAX // 1024} KiB)")
    if problems:
        raise InputsInvalid(problems, help=f"inputs: {', '.join(declared) or 'none'}")
    return found


def from_text(value: Json, declaration: model.Input) -> Json:  # noqa: PLR0911 - one for each type
    """What a text on a command line stands for, by the declared type; as it is where it does not fit."""
    if not isinstance(value, str) or declaration.type == "string":
        return value
    try:
        match declaration.type:
            case "integer":
                return int(value)
            case "number":
                return float(value) if not re.fullmatch(r"[+-]?\d+", value) else int(value)
            case "boolean":
                return {"true": True, "false": False}.get(value.lower(), value)
            case "list" if not value.lstrip().startswith("["):
                parts = [part.strip() for part in value.split(",")] if value else []
                return [from_text(part, declaration.items) if declaration.items else part for part in parts]
            case _:
                return json.loads(value)
    except ValueError:
        return value


def problems_of(name: str, value: Json, declaration: model.Input) -> list[str]:
    """What is wrong with one value, as sentences."""
    expected = _TYPES[declaration.type]
    if not isinstance(value, expected) or (isinstance(value, bool) and declaration.type != "boolean"):
        return [f"`{name}` has to be {_article(declaration.type)}, not {_shown(value)}"]
    problems = []
    if declaration.enum is not None and value not in declaration.enum:
        problems.append(
            f"`{name}` has to be one of {', '.join(map(str, declaration.enum))}, not {_shown(value)}"
        )
    if isinstance(value, int | float) and not isinstance(value, bool):
        if declaration.minimum is not None and value < declaration.minimum:
            problems.append(f"`{name}` has to be at least {declaration.minimum:g}")
        if declaration.maximum is not None and value > declaration.maximum:
            problems.append(f"`{name}` has to be at most {declaration.maximum:g}")
    if isinstance(value, str | list | tuple | dict):
        problems.extend(_length_problems(name, len(value), declaration))
    if (
        isinstance(value, str)
        and declaration.pattern is not None
        and not _pattern(declaration.pattern).fullmatch(value)
    ):
        problems.append(f"`{name}` does not match {declaration.pattern}: {_shown(value)}")
    if declaration.items is not None:
        inner = (
            value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
        )
        for position, item in enumerate(inner, start=1):
            problems.extend(problems_of(f"{name}[{position}]", item, declaration.items))
    return problems


def _length_problems(name: str, length: int, declaration: model.Input) -> list[str]:
    problems = []
    if declaration.min_length is not None and length < declaration.min_length:
        problems.append(f"`{name}` is shorter than {declaration.min_length}")
    if declaration.max_length is not None and length > declaration.max_length:
        problems.append(f"`{name}` is longer than {declaration.max_length}")
    return problems


@functools.lru_cache(maxsize=512)
def _pattern(source: str) -> re.Pattern[str]:
    return re.compile(source)


def _known(declared: Mapping[str, model.Input]) -> str:
    return f" (there are: {', '.join(declared)})" if declared else " (the workflow has none)"


def _meaning(declaration: model.Input) -> str:
    return f" ({declaration.title})" if declaration.title else ""


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _shown(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"  # noqa: PLR2004 - as much as fits in a line
