"""The record of what was done to users, tokens, sessions, login links and versions: a chain of its own.

    link(act 3) = H(link(act 2), at, by, did, about, text)

Acts are numbered without a gap, because a transaction that fails gives its number back, and the database remembers the last number that it
gave. So an act that was changed is found, one that is gone from the middle, and one that is gone from the end.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from towpath.store import migrations
from towpath.store.queries import queries

if TYPE_CHECKING:
    import sqlite3

_SQL = queries("identities")
NO_LINK = bytes(hashlib.sha256().digest_size)
"""What the first act is linked to."""
KEPT_SINCE_VERSION = 7
"""The version of the database in which the record began."""
BREAKS_LISTED_MAX = 100
"""Places that a verification names; it counts all."""
END_OF_TIME = 253_402_300_800_000_000
"""Microseconds since 1970 at which the year 10000 begins, which no calendar here can tell."""
ActBreakKind = Literal["changed", "missing", "cut"]


def linked(before: bytes, said: tuple[int, str, str, str, str]) -> bytes:
    """The link of an act (when, by whom, what, about whom, more of it) behind *before*."""
    return hashlib.sha256(before + json.dumps(said, ensure_ascii=False).encode()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ActBreak:
    """A place at which the record is not what was written."""

    kind: ActBreakKind
    act: int
    """The act that was changed, or the first one that is gone."""
    noticed_at: int
    """The act at which it shows: the same one, or the next that is there."""
    at: int = 0
    """Microseconds since 1970 in UTC, as the act says; 0 where there is none."""
    text: str = ""
    """What is wrong, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActsVerdict:
    """What a verification of the record found."""

    acts: int
    breaks: tuple[ActBreak, ...]
    """The first BREAKS_LISTED_MAX of them."""
    breaks_more: int

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.breaks

    @property
    def noticed_at(self) -> int | None:
        """The number of the first act that is not what was written, or follows on one that is gone; None where all hold."""
        return self.breaks[0].noticed_at if self.breaks else None


def verify_acts(connection: sqlite3.Connection) -> ActsVerdict:
    """Reads the whole record once and checks every link. The database is only read, and others may write meanwhile."""
    if not connection.execute(_SQL["acts_are_kept"]).fetchone()[0]:
        gone = ActBreak(kind="cut", act=1, noticed_at=1, text="the whole record is gone")
        is_older = migrations.version_of(connection) < KEPT_SINCE_VERSION
        return ActsVerdict(acts=0, breaks=() if is_older else (gone,), breaks_more=0)
    given = (connection.execute(_SQL["acts_given"]).fetchone() or (0,))[0]
    breaks: list[ActBreak] = []
    count = more = last = 0
    link: bytes | None = NO_LINK
    for number, at, *words, written, given_now in connection.execute(_SQL["acts_in_order"]):
        count += 1
        given = given_now or 0
        found = _break(link, last, number, at, words, written)
        if found is not None and len(breaks) < BREAKS_LISTED_MAX:
            breaks.append(found)
        elif found is not None:
            more += 1
        last, link = number, written if isinstance(written, bytes) else None
    if given != last:
        breaks.append(_cut(last, given))
    return ActsVerdict(acts=count, breaks=tuple(breaks), breaks_more=more)


def _break(
    link: bytes | None, last: int, number: int, at: int, words: list[bytes], written: object
) -> ActBreak | None:
    """What is wrong with an act behind the one numbered *last*; None where nothing is."""
    if number != last + 1:
        gone = _acts(last + 1, number - 1)
        return ActBreak(
            kind="missing", act=last + 1, noticed_at=number, at=_moment(at), text=f"{gone} missing"
        )
    if link is None:
        return None  # the link before cannot be known any more: this act is not blamed for it
    try:
        by, did, about, text = (one.decode() for one in words)
        holds = linked(link, (at, by, did, about, text)) == written
    except ValueError:
        holds = False
    if holds:
        return None
    told = "the act was changed" if number == 1 else "the act, or the one before it, was changed"
    return ActBreak(kind="changed", act=number, noticed_at=number, at=_moment(at), text=told)


def _cut(last: int, given: int) -> ActBreak:
    """The end of the record is not where the database has given the last number."""
    text = (
        f"{_acts(last + 1, given)} missing, at the end of the record"
        if given > last
        else "the database's own count of the acts was changed: the end of the record may be missing"
    )
    return ActBreak(kind="cut", act=last + 1, noticed_at=last + 1, text=text)


def _acts(first: int, last: int) -> str:
    return "the act is" if first == last else f"acts {first} to {last} are"


def _moment(at: object) -> int:
    """A moment that can be told; 0 for what somebody has put in its place."""
    return at if isinstance(at, int) and 0 <= at < END_OF_TIME else 0
