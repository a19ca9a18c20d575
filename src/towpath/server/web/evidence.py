"""Evidence as a page shows it: every line of it, those of a difference or of a plan marked as what comes and what goes.

Nothing is left out: what is long is folded, so that whoever decides can read all that the digest stands for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from towpath.core.run import Json
from towpath.server.web.pages import as_json

LINES_UNFOLDED_MAX: Final = 40
"""Lines of one piece that are shown before the rest is folded."""
VALUES_UNFOLDED_MAX: Final = 12
"""Entries of a mapping that are shown as a table."""
Mark: TypeAlias = Literal["add", "cut", "at", "same"]
_DIFFERENCE: Final = re.compile(r"^(diff --git |--- |\+\+\+ |@@ )", re.MULTILINE)
_PLAN: Final = re.compile(r"^\s*(Plan: \d+ to add|Terraform will perform|# .* will be )", re.MULTILINE)
_PLAN_MARKS: Final[Mapping[str, Mark]] = {"+ ": "add", "- ": "cut", "~ ": "at", "-/": "cut", "+/": "cut"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a text, and what it is in a difference."""

    text: str
    mark: Mark = "same"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One piece of evidence."""

    name: str
    file: str = ""
    """The file that it was read from; empty for a value."""
    digest: str = ""
    problem: str = ""
    """Why it cannot be shown."""
    values: Mapping[str, Any] | None = None
    """Short values by name (Any: JSON), shown as a table instead of lines."""
    lines: tuple[Line, ...] = ()
    is_marked: bool = False
    """Whether it is a difference or a plan."""

    @property
    def first(self) -> tuple[Line, ...]:
        """What is in view at once."""
        return self.lines[:LINES_UNFOLDED_MAX]

    @property
    def folded(self) -> tuple[Line, ...]:
        """The rest."""
        return self.lines[LINES_UNFOLDED_MAX:]

    @property
    def added(self) -> int:
        """Lines that come."""
        return sum(line.mark == "add" for line in self.lines)

    @property
    def cut(self) -> int:
        """Lines that go."""
        return sum(line.mark == "cut" for line in self.lines)


def evidence_of(evidence: Mapping[str, Json]) -> tuple[Evidence, ...]:
    """The evidence of a question, piece by piece."""
    return tuple(_piece(name, value) for name, value in evidence.items())


def _piece(name: str, value: Json) -> Evidence:
    if isinstance(value, Mapping) and "file" in value and "digest" in value:
        file, digest = str(value["file"]), str(value["digest"])
        if value.get("error"):
            return Evidence(name=name, file=file, digest=digest, problem=str(value["error"]))
        return _text(name, str(value.get("text", "")), file=file, digest=digest)
    if isinstance(value, Mapping) and _is_table(value):
        return Evidence(name=name, values=dict(value))
    return _text(name, value if isinstance(value, str) else as_json(value))


def _is_table(value: Mapping[str, Json]) -> bool:
    return 0 < len(value) <= VALUES_UNFOLDED_MAX and all(_is_short(one) for one in value.values())


def _is_short(value: Json) -> bool:
    return not isinstance(value, Mapping | list | tuple) and "\n" not in str(value)


def _text(name: str, text: str, *, file: str = "", digest: str = "") -> Evidence:
    rows = text.splitlines() or [""]
    if len(_DIFFERENCE.findall(text)) >= 2:  # noqa: PLR2004 - at least a header and a place
        lines = tuple(_difference(rows))
    elif _PLAN.search(text):
        lines = tuple(_plan(rows))
    else:
        return Evidence(name=name, file=file, digest=digest, lines=tuple(Line(text=row) for row in rows))
    return Evidence(name=name, file=file, digest=digest, lines=lines, is_marked=True)


def _difference(rows: list[str]) -> Iterator[Line]:
    for row in rows:
        if row.startswith(("diff ", "index ", "--- ", "+++ ", "@@")):
            yield Line(text=row, mark="at")
        elif row.startswith("+"):
            yield Line(text=row, mark="add")
        elif row.startswith("-"):
            yield Line(text=row, mark="cut")
        else:
            yield Line(text=row)


def _plan(rows: list[str]) -> Iterator[Line]:
    for row in rows:
        yield Line(text=row, mark=_PLAN_MARKS.get(row.lstrip()[:2], "same"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One line of what somebody is told to do."""

    text: str
    is_step: bool
    """Whether it can be ticked off: a point of a list."""


_POINT: Final = re.compile(r"^\s*(?:[-*•]\s+(?:\[[ xX]?\]\s*)?|\d{1,3}[.)]\s+)(?P<text>.+)$")


def instructions_of(text: str) -> tuple[Instruction, ...]:
    """Instructions line by line; the points of lists can be ticked off."""
    found = []
    for row in text.strip().splitlines():
        point = _POINT.match(row)
        if point is not None:
            found.append(Instruction(text=point["text"], is_step=True))
        elif found and row.startswith((" ", "\t")) and found[-1].is_step and row.strip():
            found[-1] = Instruction(text=f"{found[-1].text} {row.strip()}", is_step=True)
        else:
            found.append(Instruction(text=row, is_step=False))
    return tuple(found)
