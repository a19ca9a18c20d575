"""Expressions of GitHub Actions as CEL.

The idea. GitHub's language is loose: every name that is missing is empty, `&&` and `||` give one of their sides,
text and numbers are compared by guessing. CEL is strict. So every piece carries what is known of its type, and where
the loose meaning cannot be said strictly, the piece is refused with the reason instead of being guessed at.
Where GitHub would read "nothing", `default(…)` says what nothing is.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, Literal, Protocol, TypeAlias

from towpath.definition.importing.github import syntax
from towpath.definition.importing.github.syntax import Binary, Call, Index, Node, Not, Path

Kind: TypeAlias = Literal["text", "bool", "number", "list", "any", "status", "secret", "null"]
Constant: TypeAlias = str | int | float | bool | None


ATOM, SUM, COMPARISON, AND, OR, CHOICE = range(6)
"""Signs of CEL by how loosely they bind."""


class CannotTranslate(Exception):
    """An expression has no translation; the message says why."""


class Status(Enum):
    """When a step or a job runs."""

    SUCCESS = "success"
    """Only while all went well: what is meant where nothing is said."""
    ALWAYS = "always"
    FAILURE = "failure"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A piece of CEL, and what is known of it."""

    cel: str
    kind: Kind
    known: tuple[Constant] | None = None
    """Its value, where that is known now."""
    may_lack: bool = False
    """Whether reading it fails where it is not there."""
    binds: int = ATOM
    """How loosely its outermost sign binds."""

    @property
    def is_constant(self) -> bool:
        """Whether its value is known now."""
        return self.known is not None

    @property
    def constant(self) -> Constant:
        """The value that is known now; None where nothing is known."""
        return self.known[0] if self.known is not None else None

    def beside(self, sign: int) -> str:
        """The piece beside a sign of this kind, in brackets where they are needed."""
        return (
            self.cel if self.binds < sign or (self.binds == sign and sign in (AND, OR)) else f"({self.cel})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What stands under `if`."""

    status: Status
    cel: str | None
    """None where it always holds."""


class Names(Protocol):
    """What the contexts of GitHub are here."""

    def read(self, words: tuple[str, ...]) -> Term:
        """The value at a path, such as ("github", "ref"); raises CannotTranslate."""

    def results_of(self, words: tuple[str, ...]) -> tuple[Term, ...] | None:
        """The states that `needs.*.result` stands for, or None for another path."""

    def changed(self, message: str) -> None:
        """Notes that something means something slightly different now."""


RESULTS: Final[Mapping[str, str]] = {
    "success": "succeeded",
    "failure": "failed",
    "cancelled": "cancelled",
    "skipped": "skipped",
}
_ZERO: Final[Mapping[Kind, str]] = {"text": '""', "bool": "false", "number": "0", "list": "[]", "null": '""'}
_OPERATORS: Final[Mapping[str, Callable[[object, object], object]]] = {
    "==": operator.eq,
    "!=": operator.ne,
}
_STATUS_CALLS: Final = ("success", "always", "failure", "cancelled")


def constant(value: Constant) -> Term:
    """A value that is known now."""
    match value:
        case bool():
            return Term(cel="true" if value else "false", kind="bool", known=(value,))
        case int() | float():
            return Term(cel=json.dumps(value), kind="number", known=(value,))
        case None:
            return Term(cel='""', kind="null", known=(None,))
        case _:
            return Term(cel=quoted(value), kind="text", known=(value,))


def quoted(text: str) -> str:
    """A text as CEL writes it."""
    return json.dumps(text, ensure_ascii=False)


def condition(source: str, names: Names) -> Condition:
    """What an `if` says; raises CannotTranslate and NotAnExpression."""
    text = source.strip()
    found = list(syntax.expressions(text))
    for each in reversed(found):
        text = f"{text[: each.start]}({each.source}){text[each.end :]}"
    if not text.strip("() "):
        raise CannotTranslate("the condition is empty")
    status, terms = _status_of(syntax.parse(text))
    translator = Translator(names)
    parts = [translator.truth(term) for term in terms]
    if any(part.is_constant and not part.constant for part in parts):
        return Condition(status=status, cel="false")
    kept = [part for part in parts if not part.is_constant]
    if len(kept) == 1:
        return Condition(status=status, cel=kept[0].cel)
    return Condition(status=status, cel=" && ".join(part.beside(AND) for part in kept) or None)


def _status_of(node: Node) -> tuple[Status, list[Node]]:
    """When it runs, and what has to hold besides."""
    status, terms = Status.SUCCESS, list[Node]()
    for term in _and_terms(node):
        own = _own_status(term)
        if own is None:
            terms.append(term)
        elif own is not Status.SUCCESS:
            status = own
    for term in terms:
        if _mentions_status(term):
            raise CannotTranslate("always(), failure() and cancelled() can only be joined by `&&`")
    return status, terms


def _and_terms(node: Node) -> list[Node]:
    if isinstance(node, Binary) and node.sign == "&&":
        return [*_and_terms(node.left), *_and_terms(node.right)]
    return [node]


def _own_status(node: Node) -> Status | None:  # noqa: PLR0911 - a table
    """The status that a term asks for, and None where it is about something else."""
    match node:
        case Call(name=name) if name in _STATUS_CALLS:
            return Status(name)
        case Not(of=Call(name="cancelled")):
            return Status.ALWAYS
        case Not(of=Call(name="failure")):
            return Status.SUCCESS
        case Not(of=Call(name="success")):
            return Status.FAILURE
        case Binary(sign="||", left=left, right=right):
            either = {_own_status(left), _own_status(right)}
            if Status.ALWAYS in either or either == {Status.SUCCESS, Status.FAILURE}:
                return Status.ALWAYS
            if either == {Status.FAILURE, Status.CANCELLED}:
                return Status.FAILURE
            return None
        case _:
            return None


def _mentions_status(node: Node) -> bool:
    match node:
        case Call(name=name, arguments=arguments):
            return name in _STATUS_CALLS or any(_mentions_status(each) for each in arguments)
        case Not(of=of):
            return _mentions_status(of)
        case Binary(left=left, right=right) | Index(of=left, key=right):
            return _mentions_status(left) or _mentions_status(right)
        case _:
            return False


class Translator:
    """Trees of GitHub's expressions as terms of CEL."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def value(self, node: Node) -> Term:  # noqa: PLR0911 - a table
        """What the expression gives; raises CannotTranslate."""
        match node:
            case syntax.Literal(value=value):
                return constant(value)
            case Path(words=words):
                return self._names.read(words)
            case Not() | Binary(sign="==" | "!=" | "<" | "<=" | ">" | ">="):
                return self.truth(node)
            case Binary(sign="||"):
                return self._either(node)
            case Binary(sign="&&"):
                return self._both(node.left, node.right, constant(""))
            case Call():
                return self._call(node)
            case Index():
                return self._index(node)
            case _:
                raise CannotTranslate("it cannot be read")

    def truth(self, node: Node) -> Term:
        """Whether what the expression gives counts as true."""
        match node:
            case Not(of=of):
                inner = self.truth(of)
                if inner.is_constant:
                    return constant(not inner.constant)
                return Term(cel=f"!{inner.beside(SUM)}", kind="bool")
            case Binary(sign="&&" | "||" as sign, left=left, right=right):
                return self._logic(sign, self.truth(left), self.truth(right))
            case Binary(sign=sign, left=left, right=right):
                return self._compare(sign, self.value(left), self.value(right))
            case _:
                return self._is_true(self.value(node))

    def _is_true(self, term: Term) -> Term:
        if term.is_constant:
            return constant(bool(term.constant))
        match term.kind:
            case "bool":
                return _there(term, "false")
            case "text" | "status":
                return Term(cel=f'{_there(term).beside(COMPARISON)} != ""', kind="bool", binds=COMPARISON)
            case "number":
                return Term(cel=f"{_there(term, '0').beside(COMPARISON)} != 0", kind="bool", binds=COMPARISON)
            case "list":
                return Term(cel=f"size({_there(term, '[]').cel}) > 0", kind="bool", binds=COMPARISON)
            case "secret":
                raise CannotTranslate("a secret cannot be asked about")
            case _:
                return Term(cel=f'!({_there(term).cel} in [false, 0, ""])', kind="bool")

    def _logic(self, sign: str, left: Term, right: Term) -> Term:
        for one, other in ((left, right), (right, left)):
            if one.is_constant:
                decides = bool(one.constant) is (sign == "||")
                return one if decides else other
        binds = AND if sign == "&&" else OR
        return Term(cel=f"{left.beside(binds)} {sign} {right.beside(binds)}", kind="bool", binds=binds)

    def _both(self, left: Node, right: Node, otherwise: Term) -> Term:
        """`left && right || otherwise`, as people write a choice between two values."""
        holds, chosen = self.truth(left), self.value(right)
        if holds.kind == chosen.kind == "bool" and otherwise.is_constant and not otherwise.constant:
            return self._logic("&&", holds, chosen)
        if not chosen.is_constant:
            holds = self._logic("&&", holds, self._is_true(chosen))
        elif not chosen.constant:
            return otherwise
        if holds.is_constant:
            return chosen if holds.constant else otherwise
        return _choice(holds, chosen, otherwise)

    def _either(self, node: Binary) -> Term:
        if isinstance(node.left, Binary) and node.left.sign == "&&":
            left = self.value(node.left)
            if left.kind == "bool":
                return self._logic("||", left, self.truth(node.right))
            return self._both(node.left.left, node.left.right, self.value(node.right))
        left, right = self.value(node.left), self.value(node.right)
        if left.is_constant:
            return left if left.constant else right
        if left.kind == right.kind == "bool":
            return self._logic("||", self._is_true(left), self._is_true(right))
        if "secret" in (left.kind, right.kind):
            raise CannotTranslate("a secret has to stand alone")
        return _choice(self._is_true(left), replace(left, cel=_there(left).cel, may_lack=False), right)

    # --- comparisons ---

    def _compare(self, sign: str, left: Term, right: Term) -> Term:
        if "secret" in (left.kind, right.kind):
            raise CannotTranslate("a secret cannot be compared")
        if left.is_constant and right.is_constant and sign in _OPERATORS:
            return constant(bool(_OPERATORS[sign](_folded(left.constant), _folded(right.constant))))
        if left.is_constant:
            left = self._matched(left, right)
            right = self._matched(right, left)
        else:
            right = self._matched(right, left)
            left = self._matched(left, right)
        if sign in _OPERATORS and (both := _against_bool(sign, left, right)) is not None:
            return both
        cel = f"{_side(left, right)} {sign} {_side(right, left)}"
        return Term(cel=cel, kind="bool", binds=COMPARISON)

    def _matched(self, term: Term, other: Term) -> Term:  # noqa: C901, PLR0911 - a table
        """A side, brought to the type of the other one."""
        match term.kind, other.kind:
            case "text", "status":
                word = RESULTS.get(str(term.constant)) if term.is_constant else None
                if word is None:
                    raise CannotTranslate(
                        "a result is only compared with success, failure, cancelled or skipped"
                    )
                return constant(word)
            case "text", "bool" if term.is_constant:
                self._names.changed("true and false are compared, not the words")
                return constant(str(term.constant).lower() == "true")
            case "bool", "text" if term.is_constant:
                self._names.changed('an output is text: it is compared with "true" or "false"')
                return constant("true" if term.constant else "false")
            case "number", "text" if term.is_constant:
                return constant(json.dumps(term.constant))
            case "text", "number" if term.is_constant:
                try:
                    return constant(float(str(term.constant)))
                except ValueError:
                    raise CannotTranslate("a number is compared with a word") from None
            case "text", "number":
                return Term(cel=f"int({_there(term, quoted('0')).cel})", kind="number")
            case "bool", "text":
                return Term(cel=f"string({term.cel})", kind="text")
            case "number", "bool":
                return Term(cel=f"{_there(term, '0').beside(COMPARISON)} != 0", kind="bool", binds=COMPARISON)
            case _:
                return term

    # --- functions ---

    def _call(self, node: Call) -> Term:
        own = getattr(self, f"_call_{node.name}", None)
        if own is None:
            raise CannotTranslate(f"there is no function like {node.name}()")
        result: Term = own(node.arguments)
        return result

    def _call_contains(self, arguments: tuple[Node, ...]) -> Term:
        where, what = _two(arguments, "contains")
        if isinstance(where, Path) and (results := self._names.results_of(where.words)) is not None:
            word = self._matched(self.value(what), results[0]) if results else constant("")
            listed = ", ".join(term.cel for term in results)
            return Term(cel=f"{word.cel} in [{listed}]", kind="bool", binds=COMPARISON)
        if isinstance(where, Path) and "*" in where.words:
            return self._contains_each(where, self.value(what))
        whole, part = self.value(where), self.value(what)
        if whole.is_constant and part.is_constant:
            return constant(str(part.constant).lower() in str(whole.constant).lower())
        if whole.kind == "list":
            return Term(
                cel=f"{_there(part).cel} in {whole.beside(COMPARISON)}", kind="bool", binds=COMPARISON
            )
        _no_secrets(whole, part)
        return Term(cel=f"{_as_text(whole)}.contains({_as_text(part)})", kind="bool")

    def _contains_each(self, where: Path, part: Term) -> Term:
        """`contains(github.event.issue.labels.*.name, 'bug')`."""
        star = where.words.index("*")
        items, rest = self._names.read(where.words[:star]), ".".join(where.words[star + 1 :])
        if "*" in rest:
            raise CannotTranslate("two `*` in one path")
        inner = f"one.{rest}" if rest else "one"
        cel = f"{_there(items, '[]').cel}.exists(one, {inner} == {_there(part).cel})"
        return Term(cel=cel, kind="bool")

    def _call_startswith(self, arguments: tuple[Node, ...]) -> Term:
        return self._method("startsWith", arguments)

    def _call_endswith(self, arguments: tuple[Node, ...]) -> Term:
        return self._method("endsWith", arguments)

    def _method(self, name: str, arguments: tuple[Node, ...]) -> Term:
        whole, part = (self.value(each) for each in _two(arguments, name))
        _no_secrets(whole, part)
        if whole.is_constant and part.is_constant:
            texts = str(whole.constant or ""), str(part.constant or "")
            return constant(
                texts[0].startswith(texts[1]) if name == "startsWith" else texts[0].endswith(texts[1])
            )
        return Term(cel=f"{_as_text(whole)}.{name}({_as_text(part)})", kind="bool")

    def _call_format(self, arguments: tuple[Node, ...]) -> Term:
        if not arguments or not isinstance(arguments[0], syntax.Literal):
            raise CannotTranslate("format() takes its pattern written out")
        terms = [self.value(each) for each in arguments[1:]]
        _no_secrets(*terms)
        parts: list[Term] = []
        pattern, position = str(arguments[0].value), 0
        while position < len(pattern):
            if pattern[position : position + 2] in ("{{", "}}"):
                parts.append(constant(pattern[position]))
                position += 2
            elif pattern[position] == "{" and "}" in pattern[position:]:
                end = pattern.index("}", position)
                number = pattern[position + 1 : end]
                if not number.isdigit() or int(number) >= len(terms):
                    raise CannotTranslate("format() names a value that is not there")
                parts.append(terms[int(number)])
                position = end + 1
            else:
                parts.append(constant(pattern[position]))
                position += 1
        return joined(parts)

    def _call_join(self, arguments: tuple[Node, ...]) -> Term:
        separator = self.value(arguments[1]).cel if len(arguments) > 1 else '","'
        if not arguments:
            raise CannotTranslate("join() takes a list")
        if isinstance(arguments[0], Path) and "*" in arguments[0].words:
            star = arguments[0].words.index("*")
            items = self._names.read(arguments[0].words[:star])
            rest = ".".join(arguments[0].words[star + 1 :])
            cel = f"{_there(items, '[]').cel}.map(one, one{'.' if rest else ''}{rest})"
            return Term(cel=f"join({cel}, {separator})", kind="text")
        items = self.value(arguments[0])
        if items.kind == "text":
            return items
        return Term(cel=f"join({_there(items, '[]').cel}, {separator})", kind="text")

    def _call_tojson(self, arguments: tuple[Node, ...]) -> Term:
        term = self.value(_one(arguments, "toJSON"))
        _no_secrets(term)
        return Term(cel=f"toJson({_there(term).cel})", kind="text")

    def _call_fromjson(self, arguments: tuple[Node, ...]) -> Term:
        term = self.value(_one(arguments, "fromJSON"))
        _no_secrets(term)
        if term.is_constant:
            return from_json(str(term.constant))
        return Term(cel=f"json({_as_text(term)})", kind="any")

    def _call_hashfiles(self, arguments: tuple[Node, ...]) -> Term:  # noqa: ARG002 - one shape for all functions
        raise CannotTranslate("hashFiles() reads files; a step can: sha256sum")

    def _call_success(self, arguments: tuple[Node, ...]) -> Term:  # noqa: ARG002 - as above
        raise CannotTranslate("success() belongs into `if`")

    _call_failure = _call_always = _call_cancelled = _call_success

    def _index(self, node: Index) -> Term:
        of, key = self.value(node.of), self.value(node.key)
        if "secret" in (of.kind, key.kind):
            raise CannotTranslate("a secret has to be named")
        return Term(cel=f"{_there(of).beside(SUM)}[{_there(key).cel}]", kind="any", may_lack=True)


def from_json(text: str) -> Term:
    """A JSON text that is written out, as the value that it says."""
    try:
        value = json.loads(text)
    except ValueError:
        raise CannotTranslate("fromJSON() of what is no JSON") from None
    if isinstance(value, list | dict):
        return Term(
            cel=json.dumps(value, ensure_ascii=False), kind="list" if isinstance(value, list) else "any"
        )
    return constant(value)


def joined(parts: list[Term]) -> Term:
    """Terms as one text."""
    merged: list[Term] = []
    for part in parts:
        last = merged[-1] if merged else None
        if part.is_constant and last is not None and last.is_constant:
            merged[-1] = constant(as_written(last.constant) + as_written(part.constant))
        else:
            merged.append(constant(as_written(part.constant)) if part.is_constant else part)
    if not merged:
        return constant("")
    if len(merged) == 1 and merged[0].is_constant:
        return merged[0]
    _no_secrets(*merged)
    return Term(
        cel=" + ".join(_as_text(part) for part in merged), kind="text", binds=SUM if len(merged) > 1 else ATOM
    )


def as_written(value: Constant) -> str:
    """A constant inside text, as GitHub writes it."""
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return ""
        case _:
            return str(value)


def there(term: Term) -> str:
    """A term that is empty where it is not there."""
    return _there(term).cel


def _there(term: Term, otherwise: str | None = None) -> Term:
    if not term.may_lack:
        return term
    zero = otherwise if otherwise is not None else _ZERO.get(term.kind, '""')
    return replace(term, cel=f"default({term.cel}, {zero})", may_lack=False, binds=ATOM)


def _as_text(term: Term) -> str:
    """A term where text is needed."""
    if term.is_constant:
        return quoted(as_written(term.constant))
    there_term = _there(term, '""')
    if there_term.kind in ("number", "bool"):
        return f"string({there_term.cel})"
    if term.kind == "any":
        return f"string({there_term.cel})"
    return there_term.beside(SUM)


def _side(term: Term, other: Term) -> str:
    """One side of a comparison: what is not there is the other side's nothing, as GitHub has it."""
    kind = other.kind if term.kind == "any" else term.kind
    if other.kind == "null":
        return _there(term, '""').beside(COMPARISON)
    return _there(term, _ZERO.get(kind, '""')).beside(COMPARISON)


def _against_bool(sign: str, left: Term, right: Term) -> Term | None:
    """`flag == true` as `flag`."""
    for one, other in ((left, right), (right, left)):
        if other.is_constant and isinstance(other.constant, bool) and one.kind == "bool":
            wanted = other.constant is (sign == "==")
            term = _there(one, "false")
            return term if wanted else Term(cel=f"!{term.beside(SUM)}", kind="bool")
    return None


def _choice(holds: Term, one: Term, other: Term) -> Term:
    _no_secrets(one, other)
    asked = holds.beside(CHOICE)
    if one.kind != other.kind and "any" not in (one.kind, other.kind):
        return Term(cel=f"{asked} ? {_as_text(one)} : {_as_text(other)}", kind="text", binds=CHOICE)
    kind = one.kind if one.kind == other.kind else "any"
    cel = f"{asked} ? {_there(one).beside(CHOICE)} : {_there(other).beside(CHOICE)}"
    return Term(cel=cel, kind=kind, binds=CHOICE)


def _no_secrets(*terms: Term) -> None:
    if any(term.kind == "secret" for term in terms):
        raise CannotTranslate("a secret has to stand alone")


def _folded(value: object) -> object:
    """A constant as GitHub compares it: letters are alike, nothing is empty."""
    if value is None:
        return ""
    return value.lower() if isinstance(value, str) else value


def _two(arguments: tuple[Node, ...], name: str) -> tuple[Node, Node]:
    if len(arguments) != 2:  # noqa: PLR2004 - two
        raise CannotTranslate(f"{name}() takes two values")
    return arguments[0], arguments[1]


def _one(arguments: tuple[Node, ...], name: str) -> Node:
    if len(arguments) != 1:
        raise CannotTranslate(f"{name}() takes one value")
    return arguments[0]
