"""The error tree, split by who can put it right.

TowpathError
├── AuthorError        the author of a workflow, a project file or an action: mend the text
│   ├── DefinitionError    a file did not load; carries every problem found
│   └── ExpressionError    an expression is wrong where it stands
├── OperatorError      the person at the keyboard: say something else, free something, start something
│   ├── NotFound           no such run, step, file or secret
│   ├── Refused            not allowed, not now, or not in this state
│   ├── LimitExceeded      an input went past a named limit
│   └── StoreUnavailable   the data folder cannot be written or read any more
├── RemoteError        another system did not do what was asked of it
│   ├── Unreachable
│   └── StepError          an action's own failure, with its kind
└── BugError           us: something that must not happen did
    └── IllegalStimulus    the core was told something that cannot be true; nothing has changed
"""

from __future__ import annotations

__all__ = [
    "AuthorError",
    "BugError",
    "DefinitionError",
    "ExpressionError",
    "IllegalStimulus",
    "LimitExceeded",
    "NotFound",
    "OperatorError",
    "Refused",
    "RemoteError",
    "StepError",
    "StoreUnavailable",
    "TowpathError",
    "Unreachable",
]


class TowpathError(Exception):
    """Every error that Towpath raises on purpose; *help* says what to try."""

    def __init__(self, message: str, *, help: str = "") -> None:  # noqa: A002 - the field's word
        super().__init__(message)
        self.message = message
        self.help = help


class AuthorError(TowpathError):
    """The text of a workflow, a project file or an action has to be mended."""


class DefinitionError(AuthorError):
    """A definition did not load; the subclass in `definition` carries the problems."""


class ExpressionError(AuthorError):
    """An expression is wrong; *offset* is the 0-based column inside its source."""

    def __init__(self, message: str, *, offset: int = 0, help: str = "") -> None:  # noqa: A002
        super().__init__(message, help=help)
        self.offset = offset


class OperatorError(TowpathError):
    """The person who asked can put it right."""


class NotFound(OperatorError):
    """What was named does not exist."""


class Refused(OperatorError):
    """What was asked is not allowed, not now, or not in this state."""


class LimitExceeded(OperatorError):
    """An input went past a limit; *limit* is the limit's name."""

    def __init__(self, message: str, *, limit: str, help: str = "") -> None:  # noqa: A002
        super().__init__(message, help=help)
        self.limit = limit


class StoreUnavailable(OperatorError):
    """The data folder cannot be written or read; nothing was acknowledged."""


class RemoteError(TowpathError):
    """Another system did not do what was asked of it."""


class Unreachable(RemoteError):
    """The other system could not be reached."""


class StepError(RemoteError):
    """A step failed; *kind* is one of the kinds of the language (`exit`, `timeout`, …)."""

    def __init__(self, message: str, *, kind: str, help: str = "") -> None:  # noqa: A002
        super().__init__(message, help=help)
        self.kind = kind


class BugError(TowpathError):
    """Something that must not happen did; please report it."""


class IllegalStimulus(BugError):
    """The core was told something that cannot be true of this run; nothing has changed."""
