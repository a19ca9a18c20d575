"""What is wrong with an expression: a `CompileError` as it is written, an `EvaluationError` as it runs."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from towpath import errors

if TYPE_CHECKING:
    from collections.abc import Iterable


class Code(StrEnum):
    """The stable code of each kind of mistake in an expression."""

    SYNTAX = "expression-syntax"
    UNKNOWN_NAME = "expression-unknown-name"
    UNKNOWN_FUNCTION = "expression-unknown-function"
    TYPE = "expression-type"
    NOT_BOOLEAN = "expression-not-boolean"
    SECRET = "expression-secret"  # noqa: S105 - the name of a mistake
    LIMIT = "expression-limit"
    EVALUATION = "expression-evaluation"


class CompileError(errors.ExpressionError):
    """An expression is wrong as it is written; *others* holds what else is wrong with the same text."""

    def __init__(
        self,
        message: str,
        *,
        code: Code,
        offset: int = 0,
        help: str = "",  # noqa: A002 - the error tree's word
        others: tuple[CompileError, ...] = (),
    ) -> None:
        super().__init__(message, offset=offset, help=help)
        self.code = code
        self.others = others

    @property
    def hint(self) -> str:
        """What to try; the same as *help*."""
        return self.help

    @property
    def problems(self) -> tuple[CompileError, ...]:
        """The problem itself and the others, in the order of the text."""
        return (self, *self.others)

    def moved(self, distance: int) -> CompileError:
        """Return the same problem *distance* characters further on, without the others."""
        return CompileError(self.message, code=self.code, offset=self.offset + distance, help=self.help)


class EvaluationError(errors.ExpressionError):
    """An expression could not be worked out from the values it was given.

    *source* is the expression, *reason* the message without it.
    """

    def __init__(
        self,
        message: str,
        *,
        source: str = "",
        help: str = "",  # noqa: A002 - the error tree's word
        code: Code = Code.EVALUATION,
        reason: str = "",
    ) -> None:
        super().__init__(message, help=help)
        self.reason = reason or message
        self.source = source
        self.code = code

    @property
    def hint(self) -> str:
        """What to try; the same as *help*."""
        return self.help


def raise_all(problems: Iterable[CompileError]) -> None:
    """Raise the first problem with the others attached, or do nothing when there is none."""
    found = sorted(problems, key=lambda problem: problem.offset)
    if not found:
        return
    first, *rest = found
    raise CompileError(
        first.message, code=first.code, offset=first.offset, help=first.help, others=tuple(rest)
    )
