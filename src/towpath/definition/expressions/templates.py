"""Text with expressions inside: `Release ${{ inputs.version }} to ${{ inputs.environment }}`.

A text that is one whole expression keeps the expression's type. Inside other text a value is written the
way a person would write it: text as it is, true and false, numbers plainly (1.0 is 1), lists and maps as
JSON without blanks; null is an error. `$${{` writes `${{` and starts nothing. What an expression gives is
never looked at for expressions again.

A secret is named, never read: an expression that is `secrets.NAME` and nothing else becomes a reference,
which whoever uses the text resolves at the moment of use.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from towpath.definition.expressions import compiler, failures, limits, scanning
from towpath.definition.expressions.analysis import Reference
from towpath.definition.expressions.evaluation import Expression
from towpath.definition.expressions.faults import Code, CompileError, EvaluationError, raise_all
from towpath.definition.expressions.names import DYNAMIC
from towpath.definition.expressions.values import Value, as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from towpath.definition.expressions.names import Names


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretReference:
    """The name of a secret, in place of its value."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateWithSecrets:
    """A text whose other expressions are worked out and whose secrets are still only named."""

    parts: tuple[str | SecretReference, ...]

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of the secrets, each once, in the order of the text."""
        return tuple(dict.fromkeys(part.name for part in self.parts if isinstance(part, SecretReference)))

    def reveal(self, lookup: Callable[[str], str]) -> str:
        """Return the text with what *lookup* says for each secret; called at the moment of use only."""
        return "".join(part if isinstance(part, str) else lookup(part.name) for part in self.parts)

    def __str__(self) -> str:
        """Return the text with the secrets' names in place of their values."""
        return "".join(
            part if isinstance(part, str) else f"${{{{ secrets.{part.name} }}}}" for part in self.parts
        )


Part: TypeAlias = str | Expression | SecretReference


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A checked text, ready to be worked out as often as one likes."""

    source: str
    parts: tuple[Part, ...]
    references: tuple[Reference, ...]
    # Every path that the text reads; their offsets count in the whole text. Secrets are not among them.

    @property
    def is_whole(self) -> bool:
        """Whether the text is one whole expression, or one whole secret, and nothing else."""
        return len(self.parts) == 1 and not isinstance(self.parts[0], str)

    @property
    def is_static(self) -> bool:
        """Whether the text holds no expression and no secret."""
        return all(isinstance(part, str) for part in self.parts)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of the secrets, each once, in the order of the text."""
        return tuple(dict.fromkeys(part.name for part in self.parts if isinstance(part, SecretReference)))

    @property
    def result(self) -> str:
        """The type of the whole: that of a whole expression, or `string`."""
        match self.parts:
            case (Expression() as expression,):
                return expression.result
            case _:
                return "string"

    def evaluate(self, names: Mapping[str, object]) -> Value | TemplateWithSecrets:
        """Return the value of a whole expression, or the text; raises EvaluationError when there is none."""
        match self.parts:
            case (Expression() as expression,):
                return expression.evaluate(names)
            case _:
                return self._filled(names)

    def _filled(self, names: Mapping[str, object]) -> str | TemplateWithSecrets:
        filled: list[str | SecretReference] = []
        chars = 0
        for part in self.parts:
            piece = _inside_text(part, names) if isinstance(part, Expression) else part
            chars += len(piece) if isinstance(piece, str) else 0
            if chars > limits.RESULT_CHARS_MAX:
                raise EvaluationError(
                    f"the text grows beyond {limits.RESULT_CHARS_MAX} characters",
                    source=self.source,
                    code=Code.LIMIT,
                )
            filled.append(piece)
        texts = [piece for piece in filled if isinstance(piece, str)]
        return "".join(texts) if len(texts) == len(filled) else TemplateWithSecrets(parts=_joined(filled))


def _joined(parts: list[str | SecretReference]) -> tuple[str | SecretReference, ...]:
    joined: list[str | SecretReference] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, str) and isinstance(last, str):
            joined[-1] = last + part
        elif part != "":
            joined.append(part)
    return tuple(joined)


def _inside_text(expression: Expression, names: Mapping[str, object]) -> str:
    value = expression.evaluate(names)
    try:
        return as_text(value)
    except ValueError as problem:
        raise EvaluationError(
            f"`{failures.shortened(expression.source)}` cannot stand inside text: {problem}",
            source=expression.source,
            help='choose a text with default(value, "none")' if value is None else "",
        ) from None


# Parsing

_OPEN: Final = "${{"
_ESCAPED: Final = "$${{"


def parse_template(text: str, *, names: Names) -> Template:
    """Return the template that *text* is; raises CompileError, with every problem of all its expressions."""
    if len(text) > limits.TEMPLATE_CHARS_MAX:
        raise CompileError(
            f"the text has {len(text)} characters, and {limits.TEMPLATE_CHARS_MAX} are the limit",
            code=Code.LIMIT,
        )
    if names is DYNAMIC and len(text) <= limits.CACHED_TEMPLATE_CHARS_MAX:
        return _dynamic_template(text)
    return _Parser(text, names).template()


@functools.lru_cache(maxsize=limits.CACHED_EXPRESSIONS_MAX)
def _dynamic_template(text: str) -> Template:
    return _Parser(text, DYNAMIC).template()


class _Parser:
    """Reads one text from left to right, and goes on after a problem to find the next one."""

    def __init__(self, text: str, names: Names) -> None:
        self._text = text
        self._names = names
        self._parts: list[Part] = []
        self._literal = ""
        self._references: list[Reference] = []
        self._problems: list[CompileError] = []
        self._count = 0

    def template(self) -> Template:
        position = 0
        while (opened := self._text.find(_OPEN, position)) >= 0:
            if opened > position and self._text.startswith(_ESCAPED, opened - 1):
                self._literal += self._text[position : opened - 1] + _OPEN
                position = opened + len(_OPEN)
                continue
            self._literal += self._text[position:opened]
            position = self._expression(opened)
        self._literal += self._text[position:]
        self._end_literal()
        raise_all(self._problems)
        return Template(
            source=self._text, parts=tuple(self._parts) or ("",), references=tuple(self._references)
        )

    def _expression(self, opened: int) -> int:
        """Take in the expression that begins at *opened*, and return where the text goes on."""
        start = opened + len(_OPEN)
        end = scanning.end_of_expression(self._text, start)
        if end is None:
            self._problems.append(
                CompileError(
                    "`${{` is never closed by `}}`",
                    code=Code.SYNTAX,
                    offset=opened,
                    help="close it, or write `$${{` for the characters themselves",
                )
            )
            return len(self._text)
        self._count += 1
        if self._count > limits.TEMPLATE_EXPRESSIONS_MAX:
            self._problems.append(
                CompileError(
                    f"the text holds more than {limits.TEMPLATE_EXPRESSIONS_MAX} expressions",
                    code=Code.LIMIT,
                    offset=opened,
                )
            )
            return len(self._text)
        self._take(self._text[start:end], start)
        return end + 2

    def _take(self, inside: str, start: int) -> None:
        source = inside.strip()
        start += len(inside) - len(inside.lstrip())
        self._end_literal()
        secret = compiler.secret_name(source)
        if secret is not None:
            self._take_secret(secret, start)
            return
        try:
            expression = compiler.compile_expression(source, names=self._names)
        except CompileError as problem:
            self._problems.extend(found.moved(start) for found in problem.problems)
            return
        self._parts.append(expression)
        self._references.extend(
            replace(reference, offset=reference.offset + start) for reference in expression.references
        )

    def _take_secret(self, name: str, start: int) -> None:
        problem = self._names.problem(("secrets", name), start)
        if problem is not None:
            self._problems.append(problem)
        self._parts.append(SecretReference(name=name))

    def _end_literal(self) -> None:
        if self._literal:
            self._parts.append(self._literal)
        self._literal = ""
