"""Sendings, as people look at them: what was told to whom, what became of it, and what can be done about what was not.

A sending is one notice for one recipient through one channel. It is *over* when it was sent, when nobody needs to be told any more, or when
it was given up; until then it waits for its next attempt. Where no channel leads to a recipient, a sending says so in the place of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from towpath.people.channels.contract import Notice, SendFailed
from towpath.people.channels.routes import TO_PLACE
from towpath.people.messages import ASKING
from towpath.people.outbox import decode

if TYPE_CHECKING:
    from towpath.store.contract import OwnerId, SendingRow, SendingState

FAILED: Final[frozenset[SendingState]] = frozenset({"given_up", "unreachable"})
"""States in which nobody will be told unless somebody does something."""
How: TypeAlias = Literal["again", "anew", "over", "told", "partly"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trying:
    """What can be done to have something told after all."""

    row: SendingRow
    how: How
    """`again`: it is attempted once more. `anew`: a way is looked for, there may be one now. Otherwise nothing: the question is
    `over`; it is `told`; or others were told, and a way to this one is not looked for afterwards (`partly`)."""


def is_failing(row: SendingRow, alive: frozenset[OwnerId]) -> bool:
    """Whether it was not told so far, although somebody tried, found no way, or went away before."""
    return row.state in FAILED or (row.state == "waiting" and row.attempts > 0) or is_left(row, alive)


def is_left(row: SendingRow, alive: frozenset[OwnerId]) -> bool:
    """Whether the process that was to send it is gone, and no other has taken it over yet."""
    return row.state in ("waiting", "sending") and row.owner not in alive


def notice_of(row: SendingRow) -> Notice | None:
    """What is to be told; None where that cannot be read any more."""
    try:
        return decode(row.body)
    except SendFailed:
        return None


def what(row: SendingRow) -> str:
    """What people are told, in two words: `asked`, `rung 2`, `decided`."""
    notice = notice_of(row)
    number = f" {notice.number}" if notice is not None and notice.why in ("reminder", "rung") else ""
    return f"{row.why.replace('_', ' ')}{number}"


def whom(row: SendingRow) -> str:
    """Whom it is for: a person's name, a place, or the channel that leads to one by itself."""
    if row.recipient.startswith(TO_PLACE):
        return row.recipient.removeprefix(TO_PLACE) or row.channel
    return row.recipient.removeprefix("user:") or "nobody"


def trying(
    rows: Iterable[SendingRow],
    *,
    is_asked: Callable[[SendingRow], bool],
    is_known: Callable[[SendingRow], bool],
) -> tuple[Trying, ...]:
    """What can be done about each of these sendings.

    Args:
        rows: the sendings.
        is_asked: whether the question of one is still open. Nobody is called to one that is over; how it ended is told however late.
        is_known: whether somebody else could be reached with the notice of one.

    """
    return tuple(Trying(row=row, how=_how(row, is_asked, is_known)) for row in rows)


def _how(
    row: SendingRow, is_asked: Callable[[SendingRow], bool], is_known: Callable[[SendingRow], bool]
) -> How:
    if row.state == "sent":
        return "told"
    if row.state == "recalled" or (row.why in ASKING and not is_asked(row)):
        return "over"
    if row.state == "unreachable":
        return "partly" if is_known(row) else "anew"
    return "again"
