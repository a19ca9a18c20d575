"""A rehearsed run as people read it, and its digest.

The rows are made once; the command line paints them, and the text that an approval shows is the same rows, plainly. The digest is that of
what would happen: which steps, with which values, changing what. Words, times and what a read has found are not in it, so that two
rehearsals of an unchanged world agree.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from towpath.core.run import Json
from towpath.engines.rehearsing.forecast import Effect, Forecast, RehearsedRun
from towpath.steps.contract import Change

SCRIPT_LINES_MAX: Final = 12
DETAIL_LINES_MAX: Final = 400
VALUE_CHARS_MAX: Final = 200
TEXT_CHARS_MAX: Final = 256 * 1024
"""How long the text of a plan may become; outputs stay with the run for ever."""

Role: TypeAlias = Literal[
    "step", "frame", "says", "warn", "bad", "good", "create", "remove", "change", "script", "value", "title"
]

_MARKS: Final[Mapping[Effect, str]] = {
    "changes": "~",
    "nothing": "=",
    "done": "✓",
    "unknown": "!",
    "fails": "✗",
    "people": "?",
    "waits": "◷",
    "ends": "■",
    "inside": "·",
}
MEANINGS: Final[Mapping[str, str]] = {
    "~": "would change something",
    "=": "changes nothing",
    "✓": "is done already",
    "!": "its changes cannot be foreseen",
    "✗": "would fail now",
    "?": "asks people",
    "–": "is skipped",
}
"""The marks that need words."""
_SIGNS: Final = {"create": "+", "change": "~", "replace": "±", "remove": "-", "send": ">", "run": "!"}
_ROLES: Final[Mapping[str, Role]] = {"create": "create", "remove": "remove"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line: how deep it stands, its mark, its text, and what is said behind it."""

    depth: int
    text: str
    mark: str = ""
    kind: str = ""
    says: str = ""
    role: Role = "step"
    key: str = ""
    """Of a value: its name."""


def rows_of(rehearsed: RehearsedRun) -> tuple[Row, ...]:
    """Every line of the plan, without its head and its sum."""
    scripts: set[str] = set()
    return tuple(row for one in rehearsed.steps for row in _rows(one, 0, scripts))


def text_of(rehearsed: RehearsedRun) -> str:
    """The plan as plain text, for an approval, a chat or a file."""
    lines = [_plain(row) for row in rows_of(rehearsed)]
    text = "\n".join([*lines, "", sum_of(rehearsed)])
    if len(text) > TEXT_CHARS_MAX:
        text = f"{text[:TEXT_CHARS_MAX]}\n… cut at {TEXT_CHARS_MAX} characters\n{sum_of(rehearsed)}"
    return text


def sum_of(rehearsed: RehearsedRun) -> str:
    """The plan in a sentence: `3 changes; 1 step that nobody can foresee; asks people once`."""
    changes, unforeseen = rehearsed.changes, rehearsed.unforeseen
    parts = [
        ("nothing changes" if not changes else _counted(changes, "change"))
        if changes or not unforeseen
        else ""
    ]
    if unforeseen:
        parts.append(f"{_counted(unforeseen, 'step')} whose changes cannot be foreseen")
    if rehearsed.failing:
        parts.append(f"{rehearsed.failing} would fail as things are now")
    if rehearsed.asking:
        parts.append("asks people once" if rehearsed.asking == 1 else f"asks people {rehearsed.asking} times")
    return "; ".join(part for part in parts if part)


def digest_of(rehearsed: RehearsedRun) -> str:
    """The digest of what would happen."""
    told = [rehearsed.definition, dict(rehearsed.inputs), [_essence(one) for one in rehearsed.steps]]
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


def _essence(one: Forecast) -> list[Any]:  # Any: nested JSON
    changes = [[change.verb, change.target, change.detail] for change in one.changes]
    detail = one.detail if one.effect == "changes" else ""
    inside = [_essence(inner) for inner in one.inside]
    return [
        one.path,
        one.kind,
        one.happens,
        one.effect,
        dict(one.values),
        one.script,
        changes,
        detail,
        inside,
    ]


# --- rows -------------------------------------------------------------------------------------------------------


def _rows(one: Forecast, depth: int, scripts: set[str]) -> Iterator[Row]:
    yield _head(one, depth)
    if one.happens != "no":
        yield from _below(one, depth + 1, scripts)
        for inner in one.inside:
            yield from _rows(inner, depth + 1, scripts)


def _head(one: Forecast, depth: int) -> Row:
    mark = "–" if one.happens == "no" else _MARKS[one.effect]
    is_frame = one.kind in ("branch", "item", "handler", "more")
    says = [one.title, *one.says]
    if one.undone_by:
        says.append(f"undone by {', '.join(one.undone_by)}")
    role: Role = "frame" if is_frame else "step"
    shown = "" if is_frame or one.name.endswith(f" {one.does or one.kind}") else one.does or one.kind
    return Row(
        depth=depth,
        mark="" if is_frame and one.happens != "no" else mark,
        text=one.name,
        kind=shown,
        says=" · ".join(part.strip().replace("\n", " ") for part in says if part.strip()),
        role=role,
    )


def _below(one: Forecast, depth: int, scripts: set[str]) -> Iterator[Row]:
    key = f"{one.name} {one.script}"
    if key not in scripts:  # the items of a loop have the same script; it is shown once
        scripts.add(key)
        yield from _script_rows(one, depth)
    for name, given in one.values.items():
        yield from _value_rows(name, given, depth)
    for change in one.changes:
        yield from _change_rows(change, depth)
    yield from _detail_rows(one.detail, depth)


def _script_rows(one: Forecast, depth: int) -> Iterator[Row]:
    rows = [row.rstrip() for row in one.script.splitlines() if row.strip()]
    for row in rows[:SCRIPT_LINES_MAX]:
        yield Row(depth=depth, mark="┃", text=row, role="script")
    if len(rows) > SCRIPT_LINES_MAX:
        yield Row(depth=depth, mark="┃", text=f"… {len(rows) - SCRIPT_LINES_MAX} more lines", role="script")


def _value_rows(name: str, given: Json, depth: int) -> Iterator[Row]:
    if isinstance(given, Mapping):
        for key, value in given.items():
            yield Row(depth=depth, key=str(key), text=_value_text(value), role="value")
    else:
        yield Row(depth=depth, key=name, text=_value_text(given), role="value")


def _value_text(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = text.replace("\r", "\\r").replace("\n", "\\n")
    return text if len(text) <= VALUE_CHARS_MAX else f"{text[: VALUE_CHARS_MAX - 1]}…"


def _change_rows(change: Change, depth: int) -> Iterator[Row]:
    role = _ROLES.get(change.verb, "change")
    yield Row(depth=depth, mark=_SIGNS[change.verb], text=change.target, kind=change.verb, role=role)
    yield from _detail_rows(change.detail, depth + 1)


def _detail_rows(detail: str, depth: int) -> Iterator[Row]:
    rows = detail.splitlines()
    for row in rows[:DETAIL_LINES_MAX]:
        role: Role = "create" if row.startswith("+") else "remove" if row.startswith("-") else "says"
        yield Row(depth=depth, text=row, role=role)
    if len(rows) > DETAIL_LINES_MAX:
        yield Row(depth=depth, text=f"… {len(rows) - DETAIL_LINES_MAX} more lines", role="says")


def _plain(row: Row) -> str:
    indent = "  " * row.depth
    if row.key:
        return f"{indent}{row.key}={row.text}"
    mark = f"{row.mark} " if row.mark else ""
    says = f"  {row.says}" if row.says else ""
    kind = f" ({row.kind})" if row.kind and row.role == "step" else ""
    return f"{indent}{mark}{row.text}{kind}{says}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
