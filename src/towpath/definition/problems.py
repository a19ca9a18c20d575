"""What is wrong with a file, said so that its author can mend it.

A problem has a stable code, a place, the line itself and a way out. The loader gathers every problem of a
file before it gives up, so the same values serve a terminal, an editor (JSON), a code scanner (SARIF) and the
annotations of a pull request.
"""

from __future__ import annotations

import difflib
import json
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeAlias

from towpath import errors

EXCERPT_CHARS_MAX = 120
"""Characters of a long line that are shown around the caret."""
PROBLEMS_MAX = 200
"""Problems that are told of one file; what is beyond them is counted."""
SUGGESTION_CUTOFF = 0.6
"""How alike two words have to be before one is suggested for the other."""
DOCS_URL = "https://towpath.readthedocs.io/reference/problems/"


class Severity(StrEnum):
    """Whether a file with this problem can be used."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One kind of problem: its number, its name and what it means."""

    number: str
    name: str
    explanation: str
    severity: Severity = Severity.ERROR


def _code(number: int, name: str, explanation: str, severity: Severity = Severity.ERROR) -> Code:
    return Code(number=f"TOW{number:03}", name=name, explanation=explanation, severity=severity)


_WARNING = Severity.WARNING
_TABLE = (
    # 0xx: the text itself
    _code(1, "unreadable", "The file or folder cannot be read."),
    _code(2, "too-large", "A file has at most 1 MiB."),
    _code(3, "not-utf8", "A file is UTF-8 text."),
    _code(
        4, "control-character", "Control, direction and line-separator characters do not belong into a file."
    ),
    _code(5, "byte-order-mark", "A file starts with text, not with a byte order mark."),
    _code(6, "tab-indentation", "YAML indents with spaces."),
    _code(7, "too-deep", "Mappings and lists stand at most 64 levels deep."),
    _code(8, "too-long", "Keys and values have a greatest length."),
    _code(9, "too-many-values", "A file has at most 50,000 keys and values."),
    _code(10, "syntax", "The text is not YAML."),
    _code(11, "unquoted-expression", "An expression inside `{…}`, `[…]` or with `: ` in it needs quotes."),
    _code(12, "duplicate-key", "A key stands once in a mapping."),
    _code(13, "tag", "YAML tags (`!…`) are not part of the language."),
    _code(14, "anchor", "YAML anchors, aliases and merge keys are not part of the language."),
    _code(15, "several-documents", "A file holds one YAML document, without directives."),
    _code(16, "not-a-mapping", "A file is a mapping of keys to values."),
    _code(17, "bad-key", "A key is text on one line."),
    _code(
        18,
        "ambiguous-number",
        "A number that would change when it is read, such as 0755 or one beyond 64 bits.",
    ),
    _code(19, "shortened-number", "A number such as 3.10 that loses a digit where text is meant.", _WARNING),
    _code(20, "leads-outside", "A link of the project leads out of its folder."),
    # 1xx: the shape
    _code(101, "unknown-key", "The language does not have this key here."),
    _code(102, "missing-key", "A key that has to be there is not."),
    _code(103, "wrong-type", "A value of another type belongs here."),
    _code(104, "not-one-of", "The value is none of those that the key takes."),
    _code(
        105,
        "bad-format",
        "A name, a principal, a duration, a pattern or a date is not written as it has to be.",
    ),
    _code(106, "out-of-range", "A number, a length or a list goes past its limit."),
    _code(107, "step-without-kind", "A step has none of the keys that say what it does."),
    _code(108, "step-with-two-kinds", "A step has more than one of the keys that say what it does."),
    _code(109, "expression-not-allowed", "The value is fixed when the file loads and takes no expression."),
    _code(110, "keys-go-together", "Keys that only mean something together, or exclude each other."),
    _code(111, "key-without-effect", "A key that this kind of step cannot follow."),
    _code(112, "too-many-steps", "A file defines at most 2,000 steps."),
    _code(113, "nested-too-deep", "Blocks stand at most 16 levels deep."),
    _code(114, "bad-default", "A default does not fit its own type, values or limits."),
    _code(115, "ignored-key", "A key that changes nothing where it stands.", _WARNING),
    _code(116, "outside-workspace", "A path of a step stays inside the workspace."),
    # 2xx: names and expressions
    _code(201, "duplicate-id", "A step's id is unique in the file."),
    _code(202, "unknown-name", "An expression uses a name that does not exist here."),
    _code(203, "unknown-step", "An expression or a key names a step that does not exist."),
    _code(204, "step-comes-later", "A step that has not run yet cannot be read."),
    _code(
        205,
        "step-elsewhere",
        "A step in another branch, or a parallel sibling without `needs`, cannot be read.",
    ),
    _code(206, "step-inside-loop", "From outside, the steps of a loop are read through `items`."),
    _code(207, "undeclared-output", "An output that nobody declares."),
    _code(208, "expression-syntax", "An expression is not CEL."),
    _code(209, "expression-type", "The types in an expression do not fit."),
    _code(210, "not-a-condition", "A condition has to be true or false."),
    _code(
        211, "expression-in-script", "Values reach a script through its environment or standard input only."
    ),
    _code(212, "secret-outside", "Secrets stand in `with`, `env` and `stdin` only, and alone."),
    _code(213, "unknown-input", "The workflow does not declare this input."),
    _code(214, "unknown-var", "The workflow does not declare this variable."),
    _code(215, "ambiguous-name", "A name that hides another one."),
    _code(216, "too-many-expressions", "A file holds at most 10,000 expressions."),
    # 3xx: order
    _code(301, "needs-cycle", "Parallel steps wait for each other."),
    _code(302, "unknown-need", "`needs` names a step that is no sibling."),
    _code(303, "needs-outside-parallel", "`needs` has a meaning inside `parallel` only."),
    _code(304, "workflow-cycle", "Workflows call each other in a circle."),
    _code(305, "unreachable", "A step that can never run."),
    _code(306, "misplaced-end", "`end` cannot stand here."),
    _code(307, "misplaced-rollback", "A rollback cannot stand here."),
    _code(308, "bad-send-back", "`send_back_to` names a step that runs before this one."),
    _code(309, "branch-order", "`else` is the last branch, and only there."),
    _code(310, "always", "A condition that is always true or always false.", _WARNING),
    # 4xx: actions and other workflows
    _code(401, "unknown-action", "There is no action of this name."),
    _code(402, "missing-with", "A required input is not given."),
    _code(403, "unknown-with", "What is called does not take this input."),
    _code(404, "wrong-with", "An input of the wrong type or value."),
    _code(405, "unknown-workflow", "The project has no workflow of this name."),
    _code(406, "too-many-items", "A loop has at most 100,000 items."),
    _code(407, "bad-action", "The project's own actions cannot be read."),
    # 5xx: triggers
    _code(501, "unknown-trigger", "There is no trigger of this name."),
    _code(502, "bad-cron", "A cron expression cannot be read."),
    _code(503, "unknown-time-zone", "A time zone is not in the IANA database."),
    _code(504, "input-left-empty", "A trigger starts the workflow without a value for a required input."),
    _code(505, "unverified-webhook", "A webhook without a verifier has to say `unsafe_unverified: true`."),
    _code(506, "duplicate-trigger", "Two triggers that cannot be told apart."),
    # 6xx: people and the project
    _code(601, "unknown-principal", "The project does not know this person, group or rota."),
    _code(602, "unknown-calendar", "The project does not have this calendar."),
    _code(603, "unknown-environment", "The project does not have this environment."),
    _code(604, "four-eyes-alone", "Only one person may approve, and may be the one who asked.", _WARNING),
    _code(606, "unknown-policy", "The project does not have this policy."),
    _code(607, "duplicate-workflow", "Two workflows of a project have the same name."),
    _code(608, "bad-project", "Parts of the project's file do not fit together."),
    _code(609, "too-few-approvers", "A quorum is larger than the number of people who may approve."),
    _code(610, "too-often", "Reminders and turns shorter than a minute are taken as a minute.", _WARNING),
    _code(611, "never-reminded", "The first reminder is due when the time to answer is over.", _WARNING),
    # 7xx: tests of workflows
    _code(701, "impossible-expectation", "A test expects what its workflow cannot do."),
    _code(702, "duplicate-test", "Tests of one file have different names."),
    _code(703, "not-scriptable", "A test says of a step what a step of this kind does not do."),
    # 9xx
    _code(901, "more-problems", "There are more problems than are told."),
)
CODES: Mapping[str, Code] = MappingProxyType({code.number: code for code in _TABLE})
"""Every kind of problem by its number; numbers are never used again for something else."""
CODES_BY_NAME: Mapping[str, Code] = MappingProxyType({code.name: code for code in _TABLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong, where, and what to do about it."""

    code: str
    """Such as `TOW101`."""
    name: str
    """The code's name, such as `unknown-key`."""
    severity: Severity
    message: str
    path: str
    """The file, as the user named it."""
    line: int
    """The first line is 1; 0 when the whole file is meant."""
    column: int
    """The first character is 1."""
    end_column: int
    """The column after the last character, on the same line."""
    excerpt: str
    """The whole line."""
    help: str = ""
    """What to do."""

    @property
    def place(self) -> str:
        """`file:line:column`, as editors and terminals understand it."""
        return f"{self.path}:{self.line}:{self.column}" if self.line else self.path

    def as_json(self) -> dict[str, object]:
        """The problem as plain values."""
        return {
            "code": self.code,
            "name": self.name,
            "severity": self.severity.value,
            "message": self.message,
            "path": self.path,
            "line": self.line,
            "column": self.column,
            "end_column": self.end_column,
            "excerpt": self.excerpt,
            "help": self.help,
        }


def make_problem(
    name: str,
    message: str,
    *,
    path: str,
    line: int = 0,
    column: int = 1,
    end_column: int = 0,
    excerpt: str = "",
    help: str = "",  # noqa: A002 - the field's word
) -> Problem:
    """A problem of the kind called *name*."""
    code = CODES_BY_NAME[name]
    return Problem(
        code=code.number,
        name=code.name,
        severity=code.severity,
        message=message,
        path=path,
        line=line,
        column=column,
        end_column=max(end_column, column + 1),
        excerpt=excerpt,
        help=help,
    )


class DefinitionProblems(errors.DefinitionError):
    """A file, or a project, did not load: carries every problem, the warnings too."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = in_order(problems)
        super().__init__(summary(self.problems), help="tow lint shows every problem with its line")

    def __str__(self) -> str:
        return render_text(self.problems)


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Problems as a reader meets them, each once."""
    unique = dict.fromkeys(problems)
    return tuple(sorted(unique, key=lambda p: (p.path, p.line, p.column, p.code, p.message)))


def errors_of(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Those that keep a file from being used."""
    return tuple(p for p in problems if p.severity is Severity.ERROR)


def summary(problems: Sequence[Problem]) -> str:
    """How many errors and warnings in how many files, in one line."""
    wrong = len(errors_of(problems))
    parts = [_count(wrong, "error")] if wrong or not problems else []
    if len(problems) > wrong:
        parts.append(_count(len(problems) - wrong, "warning"))
    return f"{' and '.join(parts)} in {_count(len({p.path for p in problems}), 'file')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


# --- did you mean -------------------------------------------------------------------------------------------


def closest(word: str, known: Iterable[str]) -> str | None:
    """The one of *known* that *word* was probably meant to be."""
    candidates = sorted(set(known))
    if not word or not candidates:
        return None
    folded = {_fold(candidate): candidate for candidate in reversed(candidates)}
    if (same := folded.get(_fold(word))) is not None:
        return same
    matches = difflib.get_close_matches(_fold(word), folded, n=1, cutoff=SUGGESTION_CUTOFF)
    return folded[matches[0]] if matches else None


def _fold(word: str) -> str:
    return word.casefold().replace("-", "_").strip()


def did_you_mean(word: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """The help for an unknown *word*: the nearest known one, or *otherwise*, or a list of what is known."""
    names = sorted(set(known))
    nearest = closest(word, names)
    if nearest is not None:
        return f"did you mean `{nearest}`?"
    if otherwise:
        return otherwise
    return f"known here: {listed(names)}" if names else ""


def article(word: str) -> str:
    """`a` or `an`, as the word wants it."""
    return "an" if word[:1] in "aeiou" else "a"


LISTED_MAX = 12


def listed(names: Iterable[str]) -> str:
    """Names for a sentence; a long list is cut."""
    quoted = [f"`{name}`" for name in names]
    if len(quoted) > LISTED_MAX:
        quoted[LISTED_MAX:] = [f"and {len(quoted) - LISTED_MAX} more"]
    return ", ".join(quoted)


# --- text for a terminal ------------------------------------------------------------------------------------

Paint: TypeAlias = Callable[[str, str], str]
"""Dresses a text for a role: `error`, `warning`, `place`, `code`, `frame`, `help`."""


def plain(text: str, _role: str) -> str:
    """Text as it is."""
    return text


def render_text(problems: Iterable[Problem], *, paint: Paint = plain) -> str:
    """Every problem with its line, a caret and help; a blank line between them."""
    return "\n\n".join(render_problem(problem, paint=paint) for problem in problems)


def render_problem(problem: Problem, *, paint: Paint = plain) -> str:
    """One problem: place, code, message, the line, the caret, the help."""
    head = (
        f"{paint(problem.place, 'place')}: {paint(problem.severity.value, problem.severity.value)} "
        f"{paint(f'{problem.code} {problem.name}', 'code')}: {problem.message}"
    )
    gutter = " " * (len(str(problem.line)) + 2)
    rows = [head]
    if problem.line and problem.excerpt:
        line, marker = _window(problem)
        rows.append(f"{paint(f' {problem.line} |', 'frame')} {line}")
        rows.append(f"{paint(f'{gutter}|', 'frame')} {paint(marker, problem.severity.value)}")
    rows.extend(
        f"{paint(f'{gutter}{sign}', 'frame')} {paint(line, 'help')}"
        for sign, line in zip(_help_signs(problem.help), problem.help.splitlines(), strict=True)
    )
    return "\n".join(rows)


def _help_signs(text: str) -> list[str]:
    return ["= help:" if index == 0 else "       " for index in range(len(text.splitlines()))]


def _window(problem: Problem) -> tuple[str, str]:
    """The part of the line around the problem, and the carets below it, in columns of the screen."""
    line = visible(problem.excerpt)
    start = min(problem.column - 1, len(line))
    end = max(start + 1, min(problem.end_column - 1, len(line)))
    cut = 0
    if len(line) > EXCERPT_CHARS_MAX:
        cut = max(0, min(start - EXCERPT_CHARS_MAX // 3, len(line) - EXCERPT_CHARS_MAX))
        end = max(start + 1, min(end, cut + EXCERPT_CHARS_MAX))
    shown = line[cut : cut + EXCERPT_CHARS_MAX]
    left = "…" if cut else ""
    right = "…" if cut + EXCERPT_CHARS_MAX < len(line) else ""
    marker = " " * (_width(left) + _width(line[cut:start])) + "^" * max(1, _width(line[start:end]))
    return f"{left}{shown}{right}".rstrip(), marker


def visible(text: str) -> str:
    """Text whose control characters can do nothing to a terminal, one column for each character."""
    return "".join(" " if c == "\t" else c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _width(text: str) -> int:
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


# --- for machines -------------------------------------------------------------------------------------------


def render_json(problems: Sequence[Problem]) -> str:
    """One JSON object: the problems and how many there are."""
    wrong = len(errors_of(problems))
    report = {
        "errors": wrong,
        "warnings": len(problems) - wrong,
        "problems": [problem.as_json() for problem in problems],
    }
    return json.dumps(report, indent=2, ensure_ascii=False)


def render_github(problems: Iterable[Problem]) -> str:
    """Workflow commands that GitHub turns into annotations of a pull request."""
    return "\n".join(_github_line(problem) for problem in problems)


def _github_line(problem: Problem) -> str:
    text = f"{problem.message}\n{problem.help}" if problem.help else problem.message
    fields = {
        "file": problem.path,
        "line": str(max(1, problem.line)),
        "col": str(problem.column),
        "endColumn": str(problem.end_column),
        "title": f"{problem.code} {problem.name}",
    }
    written = ",".join(f"{key}={_github_property(value)}" for key, value in fields.items())
    return f"::{problem.severity.value} {written}::{_github_data(text)}"


def _github_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _github_property(text: str) -> str:
    return _github_data(text).replace(":", "%3A").replace(",", "%2C")


def render_sarif(problems: Sequence[Problem], *, version: str) -> str:
    """A SARIF 2.1.0 log, as code scanners read it."""
    numbers = sorted({problem.code for problem in problems})
    log = {
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "towpath",
                        "version": version,
                        "informationUri": DOCS_URL,
                        "rules": [_sarif_rule(CODES[number]) for number in numbers],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_sarif_result(problem, numbers.index(problem.code)) for problem in problems],
            }
        ],
    }
    return json.dumps(log, indent=2, ensure_ascii=False)


def _sarif_rule(code: Code) -> dict[str, Any]:  # Any: nested JSON
    return {
        "id": code.number,
        "name": code.name,
        "shortDescription": {"text": code.explanation},
        "helpUri": f"{DOCS_URL}#{code.number.lower()}",
        "defaultConfiguration": {"level": code.severity.value},
    }


def _sarif_result(problem: Problem, rule_index: int) -> dict[str, Any]:  # Any: nested JSON
    location: dict[str, Any] = {"artifactLocation": {"uri": _uri(problem.path)}}
    if problem.line:
        location["region"] = {
            "startLine": problem.line,
            "startColumn": problem.column,
            "endColumn": problem.end_column,
            "snippet": {"text": problem.excerpt},
        }
    text = f"{problem.message} ({problem.help})" if problem.help else problem.message
    return {
        "ruleId": problem.code,
        "ruleIndex": rule_index,
        "level": problem.severity.value,
        "message": {"text": text},
        "locations": [{"physicalLocation": location}],
    }


def _uri(path: str) -> str:
    from urllib.parse import quote

    return quote(path)
