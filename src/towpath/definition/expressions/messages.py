"""CEL's words turned into ours: what is wrong, where, and what to try."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from towpath.definition.expressions import limits, scanning
from towpath.definition.expressions.faults import Code, CompileError

if TYPE_CHECKING:
    from collections.abc import Iterable

_PROBLEM: Final = re.compile(
    r"ERROR: <input>:(-?\d+):(-?\d+): (.*?)(?=\n ?\||\nERROR: <input>|\s*\[[A-Z_]+\]$)", re.DOTALL
)
_STATUS: Final = re.compile(r"^[A-Z_]+: |\s*\[[A-Z_]+\]$")
_OVERLOAD: Final = re.compile(r"found no matching overload for '([^']+)' applied to '\(?(.*?)\)?'$")
_RUNTIME_OVERLOAD: Final = re.compile(r"No matching overloads found : ([^(]+?)(?:\((.*)\))?$")
_OPERATOR: Final = re.compile(r"[@_!]*([^@_\w]+|in|_\[_\])[_:]*")
_TYPES: Final = (
    ("int64", "int"),
    ("uint64", "uint"),
    ("null_type", "null"),
    ("google.protobuf.Timestamp", "timestamp"),
    ("google.protobuf.Duration", "duration"),
    ("map(string, dyn)", "map"),
    ("list(dyn)", "list"),
)
_SELECTED: Final = re.compile(r"expression of type '(.*)' cannot be the operand of a select operation")
_EQUALITY: Final = frozenset({"_==_", "_!=_", "@in"})


def compile_problems(text: str, source: str) -> tuple[CompileError, ...]:
    """Return the problems that CEL reports in *text* about *source*."""
    found = [
        _compile_problem(int(line), int(column), message, source)
        for line, column, message in _PROBLEM.findall(text)
    ]
    if "ecursion" in text and ("depth" in text or "limit" in text):
        return (too_deep(0),)
    if not found:
        message = _STATUS.sub("", text).strip() or "CEL cannot read it"
        return (CompileError(message, code=Code.SYNTAX),)
    # A text that does not parse is reported again at every place where the parser tries to go on.
    syntax = [problem for problem in found if problem.code is Code.SYNTAX]
    return tuple(syntax[:1] or {(problem.offset, problem.message): problem for problem in found}.values())


def type_problems(text: str, source: str, *, known: Iterable[CompileError]) -> tuple[CompileError, ...]:
    """Return what CEL's type check reports in *text* beyond the problems that are *known* already."""
    places = {problem.offset for problem in known}
    return tuple(
        problem
        for problem in compile_problems(text, source)
        if problem.offset not in places
        and not (places and problem.message.startswith("undeclared reference"))
    )


def too_deep(offset: int) -> CompileError:
    """Return the problem of an expression whose parts are nested too deeply."""
    return CompileError(
        f"the expression is nested more than {limits.NESTING_DEPTH_MAX} levels deep",
        code=Code.LIMIT,
        offset=offset,
        help="split it into several steps or outputs; each `+` and `? :` of a long row counts as a level",
    )


def _compile_problem(line: int, column: int, message: str, source: str) -> CompileError:
    offset = _offset(source, line, column)
    if message.startswith("Syntax error: "):
        return _syntax_problem(message.removeprefix("Syntax error: "), source, offset)
    overload = _OVERLOAD.search(message)
    if overload:
        function, given = overload.groups()
        offset = scanning.at_name(source, offset, function)
        return CompileError(
            cannot_take(function, _split_types(given)),
            code=Code.TYPE,
            offset=offset,
            help=conversion(function, _split_types(given)),
        )
    selected = _SELECTED.match(message)
    if selected:
        return CompileError(
            f"this is {selected.group(1)}, and nothing can be read from inside it",
            code=Code.TYPE,
            offset=offset,
        )
    if message.startswith("undeclared reference"):
        return CompileError(message.replace("'", "`"), code=Code.TYPE, offset=offset)
    return CompileError(message.replace("'", "`"), code=Code.SYNTAX, offset=offset)


def _offset(source: str, line: int, column: int) -> int:
    if line < 1:
        return 0
    lines = source.split("\n")[: line - 1]
    before = sum(len(text) + 1 for text in lines)
    return min(before + column - 1, len(source))


_WORDS: Final = (
    (re.compile(r"(?<![=!<>])=(?!=)"), "compare with `==`"),
    (re.compile(r"\band\b"), "write `&&` for and"),
    (re.compile(r"\bor\b"), "write `||` for or"),
    (re.compile(r"\bnot\b"), "write `!` for not"),
    (re.compile(r"\bif\b|\bthen\b|\belse\b"), "write `condition ? this : that`"),
    (re.compile(r"\|\s*\w"), "there are no pipes; write function(value)"),
)
_QUOTED: Final = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")


def _syntax_problem(message: str, source: str, offset: int) -> CompileError:
    if "<EOF>" in message.partition("expecting")[0] or offset >= len(source):
        what = "the expression ends too early"
    elif message.startswith("token recognition error"):
        token = message.partition("at: '")[2].removesuffix("'")
        what = (
            f"`{token.strip()[:20]}` is not understood here"
            if not token.startswith(("'", '"'))
            else ("the quotes are not closed, or hold a backslash that means nothing")
        )
    else:
        word = re.search(r"(?:input|at input) '(.*?)'(?: expecting|$)", message)
        what = f"`{word.group(1)[:20]}` is not expected here" if word else message
    bare = _QUOTED.sub("", source)
    help_text = next((advice for pattern, advice in _WORDS if pattern.search(bare)), "")
    return CompileError(what, code=Code.SYNTAX, offset=offset, help=help_text)


def cannot_take(function: str, types: list[str]) -> str:
    """Return that *function*, or the operator that CEL calls so, cannot take values of these *types*."""
    operator = _OPERATOR.fullmatch(function)
    match function, types:
        case "_?_:_", ["bool" | "dyn", then, otherwise]:
            return f"the two sides of `:` are {then} and {otherwise}, and must be alike"
        case "_?_:_" | "<jump_condition>", _:
            return "the condition before `?` must be true or false"
        case "_[_]", _:
            return " cannot be indexed with ".join(types)
        case _, [left, right] if operator:
            return f"`{operator.group(1)}` does not go between {left} and {right}"
        case _ if operator:
            what = " and ".join(types) or "what is neither true nor false"
            return f"`{operator.group(1)}` cannot be applied to {what}"
        case _:
            return f"`{function}` cannot take {', '.join(types) or 'nothing'}"


def conversion(function: str, given: list[str]) -> str:
    """Return what to try when *function* is given values of these types."""
    types = set(given)
    if function in {"_[_]", "_?_:_"}:
        return ""
    if types == {"int", "double"}:
        return "convert one side with double(…) or int(…), or write 1.0 for 1"
    if "string" in types and types & {"int", "double"}:
        return "convert with string(…), int(…) or double(…)"
    if "null" in types and function not in _EQUALITY:
        return "choose a value for null with default(value, other)"
    if function in {"_&&_", "_||_", "!_"}:
        return "compare with `==` to get true or false"
    return ""


def _split_types(given: str) -> list[str]:
    """Return the types in *given*, in our words, split at the commas that stand outside brackets."""
    for theirs, ours in _TYPES:
        given = given.replace(theirs, ours)
    parts: list[str] = []
    depth = 0
    for piece in given.split(", ") if given else []:
        if depth:
            parts[-1] += ", " + piece
        else:
            parts.append(piece)
        depth += piece.count("(") - piece.count(")")
    return parts


def runtime_overload(message: str) -> tuple[str, str] | None:
    """Return message and help for an operator or function that met values it cannot take, or None."""
    found = _RUNTIME_OVERLOAD.search(message)
    if found is None:
        return None
    function, given = found.group(1).strip(), found.group(2) or ""
    return cannot_take(function, _split_types(given)), conversion(function, _split_types(given))


def without_status(message: str) -> str:
    """Return CEL's *message* without the name of its status."""
    return _STATUS.sub("", _STATUS.sub("", message)).strip()


_TYPE_WORDS: Final = {
    "null_type": "null",
    "google.protobuf.timestamp": "timestamp",
    "google.protobuf.duration": "duration",
}


def type_text(name: str) -> str:
    """Return CEL's *name* of a type in our words."""
    text = name.lower().replace("<", "(").replace(">", ")")
    return _TYPE_WORDS.get(text, text)


def with_article(type_name: str) -> str:
    """Return *type_name* as it stands in a sentence."""
    word = type_name.partition("(")[0]
    match word:
        case "string":
            return "a text"
        case "int" | "uint" | "double":
            return "a number"
        case "null":
            return "null"
        case _:
            return f"a {word}"


def type_of(value: object) -> str:  # noqa: PLR0911 - one for each type
    """Return the type that CEL would give to *value*."""
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "double"
        case str():
            return "string"
        case list() | tuple():
            return "list"
        case _:
            return "map"
