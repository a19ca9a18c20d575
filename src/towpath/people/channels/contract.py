"""What a channel is: one way to tell somebody something.

The outbox looks after order, patience, restarts and records. A channel does one thing: it hands one text to one address, once, and
says how that went. It may be asked for the same sending again after a crash, because nobody can know whether a message that was on its way
arrived. So every sending has a *key* that never changes, which a channel passes on (as a Message-ID, as an idempotency key), and
whoever receives it twice can tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, Protocol, TypeAlias, runtime_checkable

from towpath.errors import RemoteError

Why: TypeAlias = Literal[
    "asked", "reminder", "rung", "handed_over", "decided", "withdrawn", "voided", "review"
]
"""Why people are told: they are asked; they are reminded; it was escalated to them; it was handed over to them; it is over, by a
decision or by its time; nobody needs to decide any more, because the run was stopped; the answers are void and it is asked again; an
emergency change is to be looked at afterwards."""

Micros: TypeAlias = int
"""Microseconds since 1970 in UTC."""

SENDS_MAX: Final = 4
"""Sendings that one channel works on at the same time."""
SEND_SECONDS_MAX: Final = 30.0
"""How long one attempt may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that people are told, about one question of one run."""

    id: str
    """Follows from what happened: run, path, attempt, when it was asked, why, number."""
    run: int
    """The number that people type."""
    run_id: str
    workflow: str
    path: str
    why: Why
    number: int = 0
    """Which reminder, which rung."""
    at: Micros
    kind: str = "approval"
    """What is asked: approval, task, failure, unknown, rollback."""
    question: str = ""
    instructions: str = ""
    choices: tuple[str, ...] = ()
    quorum: int = 1
    answered_by: tuple[str, ...] = ()
    """Who has answered so far."""
    evidence: tuple[tuple[str, str], ...] = ()
    """What is shown, in short: name and text."""
    to: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Who is told: the user's name, and the principal behind which they stand (`group:ops`; empty: themselves)."""
    asked: tuple[str, ...] = ()
    """The principals that are asked, as the file names them."""
    until: Micros | None = None
    """When silence counts."""
    if_unanswered: str | None = None
    """What silence means: reject, approve, fail or continue."""
    decision: str = ""
    by: str = ""
    comment: str = ""
    started_by: str = ""
    url: str = ""
    """The run's page, where there is a server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A notice in words. Whatever came from outside is text in it, never markup."""

    subject: str
    """One line."""
    plain: str
    markdown: str
    """For services that show Markdown whether one wants it or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One notice for one recipient, as a channel gets it."""

    key: str
    """The same for every attempt of this sending, and for no other: letters, digits, `_` and `-`."""
    notice: Notice
    recipient: str
    """`user:NAME`, or `to:ADDRESS` where a channel goes to a place rather than to a person."""
    address: str
    """Empty: where the channel goes by itself."""
    attempt: int
    at: Micros
    """When this attempt was begun."""
    text: Text


class SendFailed(RemoteError):
    """A channel could not pass something on; *is_final*: it never will, as things stand."""

    def __init__(
        self,
        message: str,
        *,
        is_final: bool = False,
        retry_after_seconds: float | None = None,
        help: str = "",  # noqa: A002 - the field's word
    ) -> None:
        super().__init__(message, help=help)
        self.is_final = is_final
        self.retry_after_seconds = retry_after_seconds


@runtime_checkable
class Channel(Protocol):
    """One way to tell somebody something.

    `send` is called in the loop, for several sendings at once, and must not block it. It is cancelled after SEND_SECONDS_MAX.
    """

    async def send(self, sending: Sending) -> None:
        """Passes one sending on; raises SendFailed. What it raises is recorded, so it holds no secret."""
        ...
