"""What was asked with a key of its own: remembered with its answer, so that asking again does nothing twice.

A request is noted before anything is done for it, and its answer after that. One that was begun and never answered was cut off:
whoever asks again takes it over, and knows since when it may have been done already.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from towpath.errors import LimitExceeded
from towpath.store.connections import transaction
from towpath.store.contract import Life, OwnerId
from towpath.store.queries import queries

if TYPE_CHECKING:
    from towpath.store.contract import Microseconds, Owners
    from towpath.store.desk import Desk

REQUESTS_KEPT_DAYS: Final = 7
REQUESTS_MAX: Final = 20_000
"""Requests of one person that are remembered at once; more are refused."""
ANSWER_BYTES_MAX: Final = 64 * 1024
"""An answer that is longer is not kept: whoever asks again hears that it was done."""
_KEPT_MICROS: Final = REQUESTS_KEPT_DAYS * 24 * 3600 * 1_000_000
_SQL = queries("requests")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """How a request was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None
    """None where it was not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A request is to be answered now."""

    since: Microseconds
    """When it was asked first."""
    is_again: bool
    """It was begun before, and nobody knows how far it came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """The same request is being answered at this moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Another:
    """The key was used for another request."""


class SqliteRequests:
    """The requests of a data folder. Every method blocks for one short transaction."""

    def __init__(self, desk: Desk, owners: Owners) -> None:
        self._desk = desk
        self._owners = owners
        self._here: set[tuple[str, str]] = set()
        """Those that are being answered in this process."""

    def begin(
        self, actor: str, key: str, fingerprint: bytes, *, owner: OwnerId, at: Microseconds
    ) -> Begun | KeptAnswer | Busy | Another:
        """Note that a request is asked: it is to be answered now, or was answered, or is another one; raises LimitExceeded."""
        with self._desk.connection() as connection, transaction(connection):
            connection.execute(_SQL["forget"], (at - _KEPT_MICROS,))
            found = connection.execute(_SQL["request"], (actor, key)).fetchone()
            if found is None:
                (kept,) = connection.execute(_SQL["count"], (actor,)).fetchone()
                if kept >= REQUESTS_MAX:
                    raise LimitExceeded(
                        f"{actor} has asked {kept:,} things with keys within {REQUESTS_KEPT_DAYS} days",
                        limit="REQUESTS_MAX",
                        help="ask without Idempotency-Key, or ask less",
                    )
                connection.execute(_SQL["begin"], (actor, key, fingerprint, owner, at))
                self._here.add((actor, key))
                return Begun(since=at, is_again=False)
            known, by, since, status, headers, body = found
            if known != fingerprint:
                return Another()
            if status is not None:
                return KeptAnswer(status=status, headers=json.loads(headers), body=body)
            if (actor, key) in self._here or (by != owner and self._owners.life(OwnerId(by)) is Life.ALIVE):
                return Busy()
            connection.execute(_SQL["take_over"], (owner, actor, key, by))
            self._here.add((actor, key))
            return Begun(since=since, is_again=True)

    def answer(self, actor: str, key: str, answer: KeptAnswer) -> None:
        """Keep how a request was answered; a body that is too long is not kept."""
        body = answer.body if answer.body is not None and len(answer.body) <= ANSWER_BYTES_MAX else None
        values = (answer.status, json.dumps(dict(answer.headers)), body, actor, key)
        with self._desk.connection() as connection, transaction(connection):
            connection.execute(_SQL["answer"], values)
        self._here.discard((actor, key))

    def release(self, actor: str, key: str) -> None:
        """Forget a request that was refused: nothing was done, and the key may be used again."""
        with self._desk.connection() as connection, transaction(connection):
            connection.execute(_SQL["release"], (actor, key))
        self._here.discard((actor, key))

    def leave(self, actor: str, key: str) -> None:
        """A request broke off, and nobody knows how far it came: whoever asks again takes it over."""
        self._here.discard((actor, key))
