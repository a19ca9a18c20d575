"""The fields of a form on a page: declared inputs become real inputs, and what was typed becomes their values again.

A form shows what was typed, whatever is wrong with it, with the problem at its field. Browsers send texts only, and leave out what is
not ticked: both are settled here, by the declared type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from towpath.definition.inputs import from_text, problems_of
from towpath.definition.model import Input

Kind: TypeAlias = Literal["text", "long", "number", "switch", "yes_no", "choice", "lines", "json"]
Typed: TypeAlias = Mapping[str, str]
"""What a browser sends: names of fields without the form's prefix, and texts."""
LONG_CHARS: Final = 120
"""A text that may be longer than this gets room for several lines."""
ROWS_MAX: Final = 12
_YES: Final = "true"
_NO: Final = "false"
_KINDS: Final[Mapping[str, Kind]] = {
    "string": "text",
    "integer": "number",
    "number": "number",
    "list": "lines",
    "map": "json",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One of the values that a choice offers."""

    value: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field, as a page draws it."""

    name: str
    """As the browser sends it: with the form's prefix."""
    title: str
    help: str
    kind: Kind
    value: str
    """What stands in it: what was typed, or the default."""
    is_required: bool
    options: tuple[Option, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    """What the browser itself checks: `min`, `max`, `maxlength`, …"""
    rows: int = 1
    problems: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The element's id."""
        return f"field-{self.name.replace('.', '-')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """What somebody typed into a form, read."""

    values: Mapping[str, Any]  # Any: JSON
    problems: Mapping[str, tuple[str, ...]]
    """Sentences by the names of fields."""


def fields_of(
    declared: Mapping[str, Input],
    *,
    typed: Typed | None = None,
    problems: Mapping[str, Sequence[str]] | None = None,
    prefix: str = "form.",
) -> tuple[Field, ...]:
    """The fields of a form in their order; with what was typed and what is wrong with it, where it was sent already."""
    return tuple(
        _field(name, declaration, typed, tuple((problems or {}).get(name, ())), prefix)
        for name, declaration in declared.items()
    )


def typed_in(sent: Mapping[str, Any], *, prefix: str = "form.") -> dict[str, str]:
    """The texts of the form's own fields among all that a browser sent."""
    return {
        name.removeprefix(prefix): value
        for name, value in sent.items()
        if name.startswith(prefix) and isinstance(value, str)
    }


def read(declared: Mapping[str, Input], typed: Typed) -> Filled:
    """The values of what was typed, each judged by itself; an empty field that need not be filled in is left out."""
    values: dict[str, Any] = {}
    problems: dict[str, tuple[str, ...]] = {}
    for name, declaration in declared.items():
        text = typed.get(name, _NO if _kind(declaration) == "switch" else "").replace("\r\n", "\n")
        if not text.strip():
            if is_required(declaration):
                problems[name] = ("has to be filled in",)
            elif declaration.has_default and declaration.type == "string" and name in typed:
                values[name] = ""
            continue
        value = _value(text, declaration)
        found = problems_of(name, value, declaration)
        if found:
            problems[name] = tuple(_without_name(one, name) for one in found)
        else:
            values[name] = value
    return Filled(values=values, problems=problems)


def is_required(declaration: Input) -> bool:
    """Whether the field has to be filled in."""
    return not declaration.has_default and declaration.required is not False


def _field(
    name: str, declaration: Input, typed: Typed | None, problems: tuple[str, ...], prefix: str
) -> Field:
    kind = _kind(declaration)
    value = _shown(declaration.default, declaration) if declaration.has_default else ""
    if typed is not None:
        value = typed.get(name, _NO if kind == "switch" else "")
    lines = value.count("\n") + 2
    return Field(
        name=prefix + name,
        title=declaration.title or name.replace("_", " "),
        help=_help(declaration),
        kind=kind,
        value=value,
        is_required=is_required(declaration),
        options=_options(declaration),
        attributes=_attributes(declaration, kind),
        rows=min(ROWS_MAX, max(3, lines)),
        problems=problems,
    )


def _kind(declaration: Input) -> Kind:
    if declaration.enum is not None and declaration.type not in ("list", "map"):
        return "choice"
    if declaration.type == "boolean":
        return "yes_no" if is_required(declaration) else "switch"
    if declaration.type == "list" and not _is_flat(declaration):
        return "json"
    default = declaration.default if isinstance(declaration.default, str) else ""
    is_long = (declaration.max_length or 0) > LONG_CHARS or "\n" in default or len(default) > LONG_CHARS
    kind = _KINDS[declaration.type]
    return "long" if kind == "text" and is_long else kind


def _is_flat(declaration: Input) -> bool:
    """Whether each item of a list fits on a line."""
    return declaration.items is None or declaration.items.type not in ("list", "map")


def _value(text: str, declaration: Input) -> Any:  # noqa: ANN401 - JSON
    if declaration.type == "list" and not text.lstrip().startswith("["):
        parts = [line.strip() for line in text.splitlines() if line.strip()]
        return [from_text(part, declaration.items) if declaration.items else part for part in parts]
    if declaration.enum is not None:
        return next((one for one in declaration.enum if _shown(one, declaration) == text), text)
    kept = text if declaration.type == "string" else text.strip()
    return from_text(kept, declaration)


def _shown(value: Any, declaration: Input) -> str:  # noqa: ANN401 - JSON
    """A value as it stands in its field."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return _YES if value else _NO
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and _is_flat(declaration) and all(_fits_a_line(one) for one in value):
        return "\n".join(one if isinstance(one, str) else json.dumps(one) for one in value)
    return json.dumps(value, ensure_ascii=False, indent=2, default=list)


def _fits_a_line(value: Any) -> bool:  # noqa: ANN401 - JSON
    return not isinstance(value, list | tuple | dict) and not (isinstance(value, str) and "\n" in value)


def _options(declaration: Input) -> tuple[Option, ...]:
    if _kind(declaration) == "yes_no":
        return (Option(value=_YES, label="yes"), Option(value=_NO, label="no"))
    if _kind(declaration) != "choice":
        return ()
    shown = [_shown(one, declaration) for one in declaration.enum or ()]
    return tuple(Option(value=one, label=one or "(empty)") for one in shown)


def _attributes(declaration: Input, kind: Kind) -> Mapping[str, str]:
    found: dict[str, str] = {}
    if kind == "number":
        found["step"] = "1" if declaration.type == "integer" else "any"
        found |= {"min": f"{declaration.minimum:g}"} if declaration.minimum is not None else {}
        found |= {"max": f"{declaration.maximum:g}"} if declaration.maximum is not None else {}
    if kind in ("text", "long"):
        found |= {"minlength": str(declaration.min_length)} if declaration.min_length else {}
        found |= {"maxlength": str(declaration.max_length)} if declaration.max_length is not None else {}
    return found


def _help(declaration: Input) -> str:
    said = [declaration.description or ""]
    if declaration.type == "list" and _is_flat(declaration):
        said.append("One on each line.")
    if declaration.type == "map" or (declaration.type == "list" and not _is_flat(declaration)):
        said.append("As JSON.")
    if declaration.pattern is not None:
        said.append(f"Has to match {declaration.pattern}.")
    return " ".join(one for one in said if one)


def _without_name(problem: str, name: str) -> str:
    """A sentence that stands at its field needs no name."""
    return problem.removeprefix(f"`{name}` ")
