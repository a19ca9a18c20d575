"""What a check can find: every kind has a number, a name and a sentence, and each finding has a place and the story that proves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

Name: TypeAlias = Literal[
    "left-standing",
    "unapproved-entry",
    "silent-approval",
    "gate-unanswerable",
    "endless-wait",
    "endless-repeat",
    "rollback-blind",
    "never-taken",
    "never-succeeds",
    "no-success",
    "retry-never",
    "outlives-timeout",
    "reads-nothing",
    "expression-fails",
    "catch-never-recovers",
    "never-broken",
    "always-broken",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of finding."""

    number: str
    """Such as `CHK01`; numbers are never used again for something else."""
    name: Name
    meaning: str
    help: str
    """What to do, where the finding itself does not say it better."""
    wants_all: bool = False
    """Whether it can be told only when every state was seen."""


def _kind(number: int, name: Name, meaning: str, help: str, *, wants_all: bool = False) -> Kind:  # noqa: A002 - the field's word
    return Kind(number=f"CHK{number:02}", name=name, meaning=meaning, help=help, wants_all=wants_all)


_TABLE = (
    _kind(
        1,
        "left-standing",
        "A run ends undone, and a step that left something behind was not undone with the others.",
        "give the step a `rollback`, or write `idempotent: true` where there is nothing to undo",
    ),
    _kind(
        2,
        "unapproved-entry",
        "A step in an environment can run without the approval that it has on other paths.",
        "let the environment ask for its approval in towpath.yaml, or close this path",
    ),
    _kind(
        3,
        "silent-approval",
        "A step in an environment can run because nobody answered in time.",
        "write if_unanswered: reject",
    ),
    _kind(
        4,
        "gate-unanswerable",
        "A question that nobody, or too few, of those who are asked can answer.",
        "add people to those who are asked, or ask for fewer answers",
    ),
    _kind(
        5,
        "endless-wait",
        "A wait that may never end: no time limit stands on it or around it.",
        "write a `timeout` on it, on a block around it, or on the workflow",
    ),
    _kind(
        6,
        "endless-repeat",
        "A `repeat` that may go round for ever: it has no `times`, and no time limit stands around it.",
        "write `times`, or a `timeout`",
    ),
    _kind(
        7,
        "rollback-blind",
        "A rollback reads what is not there when it is needed.",
        "a step that failed or was lost is undone too, and has no outputs: read inputs, or use default(…)",
    ),
    _kind(
        8,
        "never-taken",
        "A step or a branch that no run ever takes.",
        "mend its condition, or remove it",
        wants_all=True,
    ),
    _kind(
        9,
        "never-succeeds",
        "A step that is started and can never succeed.",
        "mend what decides its success",
        wants_all=True,
    ),
    _kind(10, "no-success", "No run can succeed.", "see how it can end", wants_all=True),
    _kind(
        11,
        "retry-never",
        "A `retry` whose condition no failure of the step can meet.",
        "mend `when`, or remove the retry",
        wants_all=True,
    ),
    _kind(
        12,
        "outlives-timeout",
        "What a step waits for lasts longer than a time limit around it.",
        "raise the `timeout` around it, or shorten it",
    ),
    _kind(
        13,
        "reads-nothing",
        "An expression reads an output of a step that was skipped, or did not succeed.",
        "guard it with `if`, or give another value with default(…)",
    ),
    _kind(
        14,
        "expression-fails",
        "An expression cannot be worked out for values that may occur.",
        "guard it with a condition, or give another value with default(…)",
    ),
    _kind(
        15,
        "catch-never-recovers",
        "A `catch` that never recovers: the failure goes on in any case.",
        "write the steps under `on_failure`, or let the catch succeed",
        wants_all=True,
    ),
    _kind(16, "never-broken", "A state that the workflow's own `never` rules out can be reached.", ""),
    _kind(17, "always-broken", "A run can end without what the workflow's own `always` promises.", ""),
)
KINDS: Mapping[Name, Kind] = MappingProxyType({kind.name: kind for kind in _TABLE})
"""Every kind of finding by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a check found."""

    kind: Kind
    message: str
    path: str
    """The file."""
    line: int
    column: int
    excerpt: str
    """The line itself."""
    story: tuple[str, ...]
    """What happens, beat by beat, until it shows."""
    help: str = ""

    @property
    def place(self) -> str:
        """`file:line:column`; only the file where the finding is not about one of its lines."""
        return f"{self.path}:{self.line}:{self.column}" if self.line else self.path

    def as_json(self) -> dict[str, object]:
        """The finding as plain values."""
        return {
            "code": self.kind.number,
            "name": self.kind.name,
            "message": self.message,
            "path": self.path,
            "line": self.line,
            "column": self.column,
            "excerpt": self.excerpt,
            "story": list(self.story),
            "help": self.help,
        }
