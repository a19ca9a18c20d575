"""Who may sign in, and with what: users, tokens, sessions and one-time login links.

Nothing that opens a door is kept: of every secret only its sha256. A secret has 256 random bits, so its digest tells nothing about it.

Whatever changes here is an act, noted in the same transaction. Acts are only added; each carries a digest of itself and of the one
before, so that one who changes, removes or inserts an act has to make all later digests anew.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from towpath.errors import LimitExceeded
from towpath.store.acts import NO_LINK, linked, verify_acts
from towpath.store.connections import transaction
from towpath.store.contract import (
    IDENTITY_ACTS_MAX,
    SESSIONS_MAX,
    TOKENS_MAX,
    IdentityAct,
    LinkId,
    LinkRow,
    SessionId,
    SessionRow,
    TokenId,
    TokenRow,
    UserRow,
)
from towpath.store.queries import queries

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from towpath.store.contract import Microseconds
    from towpath.store.desk import Desk
    from towpath.store.rows import Row

_SQL = queries("identities")
_LAST = 2**63 - 1


class SqliteIdentities:
    """Keeps `contract.Identities`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    # Users.

    def users(self) -> tuple[UserRow, ...]:
        """List those of whom something is kept, by name."""
        return tuple(map(_user, self._rows("users")))

    def user(self, name: str) -> UserRow | None:
        """What is kept of somebody."""
        return next(map(_user, self._rows("user", name)), None)

    def user_by_subject(self, subject: str) -> UserRow | None:
        """Whom the identity provider means."""
        return next(map(_user, self._rows("user_by_subject", subject)), None) if subject else None

    def write_user(self, row: UserRow, act: IdentityAct) -> None:
        """Keep what is known of somebody, anew; whoever is disabled has no session and no login link from then on."""
        values = (row.name, row.title, row.email, row.subject, row.made_at, row.disabled_at)
        with self._desk.connection() as connection, transaction(connection):
            connection.execute(_SQL["write_user"], values)
            if row.disabled_at is not None:
                connection.execute(_SQL["end_sessions_of"], (act.at, f"user:{row.name}"))
                connection.execute(_SQL["withdraw_links"], (act.at, f"user:{row.name}"))
            note_act(connection, act)

    # Tokens.

    def token(self, token: TokenId) -> TokenRow | None:
        """Return one token, valid or not."""
        return next(map(_token, self._rows("token", token)), None)

    def tokens(self, owner: str | None = None) -> tuple[TokenRow, ...]:
        """List the tokens that act for somebody, or all of them, the newest first."""
        found = self._rows("tokens") if owner is None else self._rows("tokens_of", owner)
        return tuple(map(_token, found))

    def add_token(self, row: TokenRow, act: IdentityAct) -> None:
        """Keep a new token; raises LimitExceeded."""
        values = (
            row.id,
            row.digest,
            row.owner,
            row.name,
            json.dumps(row.scope),
            row.made_at,
            row.made_by,
            row.expires_at,
        )
        with self._desk.connection() as connection, transaction(connection):
            (valid,) = connection.execute(_SQL["count_tokens"], (row.owner, act.at)).fetchone()
            if valid >= TOKENS_MAX:
                raise LimitExceeded(
                    f"{row.owner} has {valid} tokens already",
                    limit="TOKENS_MAX",
                    help="revoke those that nobody uses: `tow tokens list`, `tow tokens revoke ID`",
                )
            connection.execute(_SQL["add_token"], values)
            note_act(connection, act)

    def revoke_token(self, token: TokenId, act: IdentityAct) -> bool:
        """Make a token void, with the sessions that began with it; False where it was already."""
        with self._desk.connection() as connection, transaction(connection):
            if connection.execute(_SQL["revoke_token"], (act.at, token)).rowcount != 1:
                return False
            connection.execute(_SQL["end_sessions_of_token"], (act.at, token))
            note_act(connection, act)
            return True

    def touch_token(self, token: TokenId, at: Microseconds) -> None:
        """Note when a token was used."""
        with self._desk.connection() as connection:
            connection.execute(_SQL["touch_token"], (at, token))

    def token_makers(self, owner: str) -> frozenset[str]:
        """Who ever made a token that acts for somebody."""
        return frozenset(made_by for (made_by,) in self._rows("token_makers", owner))

    # Sessions.

    def session(self, session: SessionId) -> SessionRow | None:
        """Return one session, live or not."""
        return next(map(_session, self._rows("session", session)), None)

    def sessions(self, at: Microseconds, owner: str | None = None) -> tuple[SessionRow, ...]:
        """List the sessions that go on at a moment, of one person or of all, the newest first."""
        found = self._rows("sessions", at) if owner is None else self._rows("sessions_of", owner, at)
        return tuple(map(_session, found))

    def add_session(self, row: SessionRow, act: IdentityAct, *, link: LinkId | None = None) -> bool:
        """Begin a session, and use up the login link; False where somebody else has used it up."""
        values = (
            row.id,
            row.digest,
            row.owner,
            row.way,
            row.token or "",
            json.dumps(row.groups),
            row.agent,
            row.made_at,
            row.seen_at,
            row.ends_at,
        )
        with self._desk.connection() as connection, transaction(connection):
            if link is not None and connection.execute(_SQL["use_link"], (act.at, link)).rowcount != 1:
                return False
            going_on = connection.execute(_SQL["sessions_of"], (row.owner, act.at)).fetchall()
            for old in map(_session, going_on[SESSIONS_MAX - 1 :]):
                connection.execute(_SQL["end_session"], (act.at, old.id))
            connection.execute(_SQL["add_session"], values)
            note_act(connection, act)
            return True

    def end_session(self, session: SessionId, act: IdentityAct) -> bool:
        """End a session; False where it was over already."""
        with self._desk.connection() as connection, transaction(connection):
            if connection.execute(_SQL["end_session"], (act.at, session)).rowcount != 1:
                return False
            note_act(connection, act)
            return True

    def touch_session(self, session: SessionId, at: Microseconds) -> None:
        """Note when a session was used."""
        with self._desk.connection() as connection:
            connection.execute(_SQL["touch_session"], (at, session))

    # Login links.

    def link(self, link: LinkId) -> LinkRow | None:
        """Return one login link, open or not."""
        return next(map(_link, self._rows("link", link)), None)

    def add_link(self, row: LinkRow, act: IdentityAct) -> None:
        """Keep a new login link; what the person had before is void from then on."""
        values = (row.id, row.digest, row.owner, row.made_at, row.made_by, row.ends_at)
        with self._desk.connection() as connection, transaction(connection):
            connection.execute(_SQL["withdraw_links"], (act.at, row.owner))
            connection.execute(_SQL["add_link"], values)
            note_act(connection, act)

    # What was done.

    def acts(self, *, before: int | None = None, rows_max: int = 100) -> tuple[IdentityAct, ...]:
        """List what was done, the newest first, one page."""
        if not 1 <= rows_max <= IDENTITY_ACTS_MAX:
            raise LimitExceeded(
                f"a page holds 1 to {IDENTITY_ACTS_MAX:,} acts, not {rows_max}", limit="IDENTITY_ACTS_MAX"
            )
        return tuple(map(_act, self._rows("acts", _LAST if before is None else before, rows_max)))

    def broken_act(self) -> int | None:
        """The number of the first act that is not what was written, or that follows on one that is gone; None where all hold."""
        with self._desk.connection() as connection:
            return verify_acts(connection).noticed_at

    def has_done(self, did: str) -> bool:
        """Whether anybody has ever done this."""
        return bool(self._rows("has_done", did)[0][0])

    def forget(self, before: Microseconds, *, dry_run: bool = False) -> int:
        """Forget the sessions and login links that were over before a moment; returns how many."""
        with self._desk.connection() as connection, transaction(connection):
            if dry_run:
                found = (connection.execute(_SQL[name], (before,)) for name in ("old_sessions", "old_links"))
                return sum(int(one.fetchone()[0]) for one in found)
            return sum(
                connection.execute(_SQL[name], (before,)).rowcount
                for name in ("forget_sessions", "forget_links")
            )

    def _rows(self, name: str, *values: object) -> list[Row]:
        with self._desk.connection() as connection:
            return connection.execute(_SQL[name], values).fetchall()


def note_act(connection: sqlite3.Connection, act: IdentityAct) -> None:
    """Add an act, linked to the one before."""
    last = connection.execute(_SQL["last_link"]).fetchone()
    before = NO_LINK if last is None else last[0]
    link = linked(before, (act.at, act.by, act.did, act.about, act.text))
    connection.execute(_SQL["add_act"], (act.at, act.by, act.did, act.about, act.text, link))


def _user(row: Row) -> UserRow:
    name, title, email, subject, made_at, disabled_at = row
    return UserRow(
        name=name, title=title, email=email, subject=subject, made_at=made_at, disabled_at=disabled_at
    )


def _token(row: Row) -> TokenRow:
    token, digest, owner, name, scope, made_at, made_by, expires_at, last_used_at, revoked_at = row
    return TokenRow(
        id=TokenId(token),
        digest=digest,
        owner=owner,
        name=name,
        scope=_texts(scope),
        made_at=made_at,
        made_by=made_by,
        expires_at=expires_at,
        last_used_at=last_used_at,
        revoked_at=revoked_at,
    )


def _session(row: Row) -> SessionRow:
    session, digest, owner, way, token, groups, agent, made_at, seen_at, ends_at, ended_at = row
    return SessionRow(
        id=SessionId(session),
        digest=digest,
        owner=owner,
        way=way,
        token=TokenId(token) if token else None,
        groups=_texts(groups),
        agent=agent,
        made_at=made_at,
        seen_at=seen_at,
        ends_at=ends_at,
        ended_at=ended_at,
    )


def _link(row: Row) -> LinkRow:
    link, digest, owner, made_at, made_by, ends_at, used_at = row
    return LinkRow(
        id=LinkId(link),
        digest=digest,
        owner=owner,
        made_at=made_at,
        made_by=made_by,
        ends_at=ends_at,
        used_at=used_at,
    )


def _act(row: Row) -> IdentityAct:
    number, at, by, did, about, text = row
    return IdentityAct(number=number, at=at, by=by, did=did, about=about, text=text)


def _texts(written: str) -> tuple[str, ...]:
    found: Iterable[Any] = json.loads(written)  # Any: JSON that was written here
    return tuple(map(str, found))
