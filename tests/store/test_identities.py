"""What the store keeps of those who may sign in: each change noted in its transaction, links and tokens used up once, nothing that opens a door."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from towpath.errors import LimitExceeded
from towpath.store import acts
from towpath.store import identities as room
from towpath.store.acts import verify_acts
from towpath.store.contract import (
    IdentityAct,
    LinkId,
    LinkRow,
    SessionId,
    SessionRow,
    TokenId,
    TokenRow,
    UserRow,
)
from towpath.store.sqlite import SqliteStore, open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = 1_700_000_000_000_000
LATER = NOW + 1_000_000


def act(did: str = "did something", at: int = NOW) -> IdentityAct:
    """Make an act."""
    return IdentityAct(at=at, by="user:ada", did=did, about="user:ben")


def token(name: str = "t1", **different: Any) -> TokenRow:
    """Make a token."""
    values: dict[str, Any] = {
        "id": TokenId(name),
        "digest": b"digest of " + name.encode(),
        "owner": "user:ben",
        "name": "laptop",
        "scope": ("run.*",),
        "made_at": NOW,
        "made_by": "user:ben",
        "expires_at": LATER,
    }
    return TokenRow(**(values | different))


def session(name: str = "s1", **different: Any) -> SessionRow:
    """Make a session."""
    values: dict[str, Any] = {
        "id": SessionId(name),
        "digest": b"digest of " + name.encode(),
        "owner": "user:ben",
        "way": "link",
        "groups": ("ops",),
        "agent": "Firefox on Linux",
        "made_at": NOW,
        "seen_at": NOW,
        "ends_at": LATER,
    }
    return SessionRow(**(values | different))


def link(name: str = "l1", **different: Any) -> LinkRow:
    """Make a login link."""
    values: dict[str, Any] = {
        "id": LinkId(name),
        "digest": b"digest of " + name.encode(),
        "owner": "user:ben",
        "made_at": NOW,
        "made_by": "user:ada",
        "ends_at": LATER,
    }
    return LinkRow(**(values | different))


def dids(store: SqliteStore) -> list[str]:
    """What was done, the oldest first."""
    return [one.did for one in reversed(store.identities.acts())]


def test_what_is_kept_comes_back(store: SqliteStore) -> None:
    """Users, tokens, sessions and links are as they were written, also for another process."""
    user = UserRow(name="ben", title="Ben", email="ben@example.org", subject="idp 1", made_at=NOW)
    store.identities.write_user(user, act())
    store.identities.add_token(token(), act())
    store.identities.add_session(session(token=TokenId("t1")), act())
    store.identities.add_link(link(), act())

    other = open_store(store.folder.root)
    known = other.identities
    assert (known.users(), known.user("ben"), known.user("nobody")) == ((user,), user, None)
    assert (known.user_by_subject("idp 1"), known.user_by_subject("")) == (user, None)
    assert (known.token(TokenId("t1")), known.tokens(), known.tokens("user:ada")) == (token(), (token(),), ())
    assert known.session(SessionId("s1")) == session(token=TokenId("t1"))
    assert known.sessions(NOW, "user:ben") == (session(token=TokenId("t1")),)
    assert known.link(LinkId("l1")) == link()
    other.close()


def test_a_link_is_used_up_by_one_of_many(store: SqliteStore) -> None:
    """Of sixteen who press the button at once, one is signed in, and the record tells of one."""
    store.identities.add_link(link(), act())
    let_in: list[bool] = []

    def press(number: int) -> None:
        row = session(f"s{number}")
        let_in.append(store.identities.add_session(row, act("signed in"), link=LinkId("l1")))

    threads = [threading.Thread(target=press, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(let_in) == [False] * 15 + [True]
    assert len(store.identities.sessions(NOW)) == 1
    assert dids(store) == ["did something", "signed in"]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda known: known.add_session(session("s0"), act(), link=LinkId("l1")), "used"),
        (lambda known: known.add_link(link("l2"), act()), "a newer link"),
        (
            lambda known: known.write_user(UserRow(name="ben", disabled_at=NOW), act()),
            "the person is disabled",
        ),
    ],
)
def test_a_link_that_is_void_lets_nobody_in(
    store: SqliteStore, spoil: Callable[[Any], object], reason: str
) -> None:
    """A link that was used, replaced or belongs to somebody who is disabled begins no session."""
    store.identities.add_link(link(), act())
    spoil(store.identities)

    assert store.identities.add_session(session("s9"), act(), link=LinkId("l1")) is False, reason
    assert store.identities.session(SessionId("s9")) is None


def test_a_link_ends_in_time(store: SqliteStore) -> None:
    """A link works before its end and not at it."""
    store.identities.add_link(link(), act())

    late = store.identities.add_session(session(), act(at=LATER), link=LinkId("l1"))
    in_time = store.identities.add_session(session(), act(at=LATER - 1), link=LinkId("l1"))
    assert (late, in_time) == (False, True)


def test_revoking_a_token_ends_what_began_with_it(store: SqliteStore) -> None:
    """A token is revoked once, and its sessions are over with it; others go on."""
    store.identities.add_token(token(), act())
    store.identities.add_session(session("s1", token=TokenId("t1")), act())
    store.identities.add_session(session("s2"), act())

    assert store.identities.revoke_token(TokenId("t1"), act("revoked")) is True
    assert store.identities.revoke_token(TokenId("t1"), act("revoked")) is False
    assert [one.id for one in store.identities.sessions(NOW)] == ["s2"]
    assert dids(store).count("revoked") == 1
    found = store.identities.token(TokenId("t1"))
    assert found is not None
    assert not found.is_valid(NOW)


def test_disabling_somebody_ends_their_sessions(store: SqliteStore) -> None:
    """Who is disabled is out at once, everywhere; nobody else is."""
    store.identities.add_session(session("s1"), act())
    store.identities.add_session(session("s2", owner="user:ada"), act())

    store.identities.write_user(UserRow(name="ben", disabled_at=NOW), act())

    assert [one.id for one in store.identities.sessions(NOW)] == ["s2"]


def test_tokens_and_sessions_are_bounded(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """One token too many is refused, revoked ones do not count; one session too many ends the oldest."""
    monkeypatch.setattr(room, "TOKENS_MAX", 2)
    monkeypatch.setattr(room, "SESSIONS_MAX", 2)
    for name in ("t1", "t2"):
        store.identities.add_token(token(name), act())
    with pytest.raises(LimitExceeded) as refused:
        store.identities.add_token(token("t3"), act())
    store.identities.revoke_token(TokenId("t1"), act())
    store.identities.add_token(token("t3"), act())
    for number in range(3):
        row = session(f"s{number}", made_at=NOW + number)
        store.identities.add_session(row, act(at=NOW + number))

    assert refused.value.limit == "TOKENS_MAX"
    assert [one.id for one in store.identities.sessions(NOW)] == ["s2", "s1"]


def test_what_is_over_is_forgotten(store: SqliteStore) -> None:
    """Sessions and links that are over go when they are old enough, those that go on stay, and so does the record."""
    store.identities.add_session(session("over", ends_at=NOW + 1), act())
    store.identities.add_session(session("ended"), act())
    store.identities.end_session(SessionId("ended"), act(at=NOW + 1))
    store.identities.add_session(session("goes on", ends_at=LATER * 2), act())
    store.identities.add_link(link(ends_at=NOW + 1), act())
    count = len(dids(store))

    told = store.identities.forget(NOW + 2, dry_run=True)

    assert (told, store.identities.forget(NOW + 2), store.identities.forget(NOW + 2)) == (3, 3, 0)
    assert [one.id for one in store.identities.sessions(NOW)] == ["goes on"]
    assert store.identities.link(LinkId("l1")) is None
    assert len(dids(store)) == count


def test_when_something_was_used_is_noted(store: SqliteStore) -> None:
    """The last use of a token and of a session can be told."""
    store.identities.add_token(token(), act())
    store.identities.add_session(session(), act())
    store.identities.touch_token(TokenId("t1"), LATER)
    store.identities.touch_session(SessionId("s1"), LATER)

    assert store.identities.token(TokenId("t1")) == replace(token(), last_used_at=LATER)
    assert store.identities.session(SessionId("s1")) == replace(session(), seen_at=LATER)


@pytest.mark.parametrize(
    "sql", ["UPDATE identity_acts SET by = 'user:ben'", "DELETE FROM identity_acts WHERE id = 2"]
)
def test_the_record_is_only_added_to(store: SqliteStore, sql: str) -> None:
    """The database itself refuses to change or remove an act."""
    for number in range(3):
        store.identities.write_user(UserRow(name=f"u{number}"), act())

    with (
        pytest.raises(sqlite3.IntegrityError, match="only added to"),
        sqlite3.connect(store.folder.database) as connection,
    ):
        connection.execute(sql)
    connection.close()


@pytest.mark.parametrize(
    ("sql", "broken"),
    [
        ("SELECT 1", None),
        ("UPDATE identity_acts SET by = 'user:ben' WHERE id = 2", 2),
        ("UPDATE identity_acts SET at = at + 1 WHERE id = 1", 1),
        ("DELETE FROM identity_acts WHERE id = 2", 3),
        ("DELETE FROM identity_acts WHERE id = 3", 3),
        ("DELETE FROM identity_acts", 1),
        ("INSERT INTO identity_acts VALUES (4, 1, 'a', 'b', 'c', 'd', x'00')", 4),
    ],
)
def test_one_who_changes_the_record_is_found(store: SqliteStore, sql: str, broken: int | None) -> None:
    """Whoever gets past the triggers and changes, removes or adds an act breaks the links, at that act."""
    for number in range(3):
        store.identities.write_user(UserRow(name=f"u{number}"), act(f"act {number}"))
    connection = sqlite3.connect(store.folder.database, isolation_level=None)
    connection.execute("DROP TRIGGER identity_acts_stay")
    connection.execute("DROP TRIGGER identity_acts_hold")
    connection.execute(sql)
    connection.close()

    assert store.identities.broken_act() == broken


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT 1", []),
        ("UPDATE identity_acts SET by = 'user:ben' WHERE id = 2", [("changed", 2, 2)]),
        ("UPDATE identity_acts SET text = x'ff' WHERE id = 2", [("changed", 2, 2)]),
        ("UPDATE identity_acts SET at = 1 << 62 WHERE id = 3", [("changed", 3, 3)]),
        (
            "UPDATE identity_acts SET at = 1, by = 'x' WHERE id IN (1, 4)",
            [("changed", 1, 1), ("changed", 4, 4)],
        ),
        ("UPDATE identity_acts SET link = 'x' WHERE id = 2", [("changed", 2, 2)]),
        ("DELETE FROM identity_acts WHERE id = 1", [("missing", 1, 2)]),
        ("DELETE FROM identity_acts WHERE id IN (2, 3)", [("missing", 2, 4)]),
        ("DELETE FROM identity_acts WHERE id = 4", [("cut", 4, 4)]),
        ("DELETE FROM identity_acts WHERE id > 2", [("cut", 3, 3)]),
        ("DELETE FROM identity_acts", [("cut", 1, 1)]),
        ("DELETE FROM sqlite_sequence WHERE name = 'identity_acts'", [("cut", 5, 5)]),
        ("UPDATE sqlite_sequence SET seq = 2 WHERE name = 'identity_acts'", [("cut", 5, 5)]),
        ("DROP TABLE identity_acts", [("cut", 1, 1)]),
    ],
)
def test_every_harm_to_the_record_is_located(
    store: SqliteStore, sql: str, found: list[tuple[str, int, int]]
) -> None:
    """Each act that was changed, and each that is gone from the beginning, the middle or the end, is named; the others are not blamed."""
    for number in range(4):
        store.identities.write_user(UserRow(name=f"u{number}"), act(f"act {number}"))
    with contextlib.closing(sqlite3.connect(store.folder.database, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER identity_acts_stay")
        connection.execute("DROP TRIGGER identity_acts_hold")
        connection.execute(sql)
        verdict = verify_acts(connection)

    assert [(one.kind, one.act, one.noticed_at) for one in verdict.breaks] == found
    assert all(one.text for one in verdict.breaks)
    assert verdict.holds is (not found)


def test_more_harm_than_is_listed_is_counted(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verification names the first places, and counts the others."""
    monkeypatch.setattr(acts, "BREAKS_LISTED_MAX", 2)
    for number in range(6):
        store.identities.write_user(UserRow(name=f"u{number}"), act(f"act {number}"))
    with contextlib.closing(sqlite3.connect(store.folder.database, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER identity_acts_hold")
        connection.execute("UPDATE identity_acts SET by = 'user:ben' WHERE id > 1")
        verdict = verify_acts(connection)

    assert ([one.act for one in verdict.breaks], verdict.breaks_more, verdict.acts) == ([2, 3], 3, 6)


def test_a_database_from_before_the_record_has_no_acts() -> None:
    """In a database that is older than the record, none is missed."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"PRAGMA user_version = {acts.KEPT_SINCE_VERSION - 1}")
        verdict = verify_acts(connection)

    assert (verdict.acts, verdict.holds) == (0, True)


def test_acts_come_in_pages(store: SqliteStore) -> None:
    """The newest act comes first, and a page goes on where the last one ended."""
    for number in range(5):
        store.identities.write_user(UserRow(name="u"), act(f"act {number}"))

    first = store.identities.acts(rows_max=2)
    second = store.identities.acts(before=first[-1].number, rows_max=2)
    assert [one.did for one in (*first, *second)] == ["act 4", "act 3", "act 2", "act 1"]
    assert store.identities.has_done("act 0")
    assert not store.identities.has_done("act 9")


def test_looking_for_somebody_uses_an_index(store: SqliteStore) -> None:
    """What every request looks up does not read a whole table."""
    known = room._SQL
    asked: dict[str, tuple[object, ...]] = {
        "token": ("t",),
        "tokens_of": ("o",),
        "session": ("s",),
        "sessions_of": ("o", 1),
        "link": ("l",),
        "user": ("u",),
        "user_by_subject": ("x",),
    }
    with store._desk.connection() as connection:
        for name, values in asked.items():
            plan = connection.execute(f"EXPLAIN QUERY PLAN {known[name]}", values).fetchall()

            assert all("SEARCH" in row[3] or "TEMP B-TREE" in row[3] for row in plan), (name, plan)


def test_nothing_that_opens_a_door_is_kept(store: SqliteStore, data: Path) -> None:
    """No secret of a token, a session or a link is in any byte of the data folder."""
    from towpath.server.identity import codes

    made = [codes.make(kind) for kind in codes.Kind]
    store.identities.add_token(token(made[0].id, digest=made[0].digest), act())
    store.identities.add_session(session(made[1].id, digest=made[1].digest), act())
    store.identities.add_link(link(made[2].id, digest=made[2].digest), act())
    store.close()

    kept = b"".join(path.read_bytes() for path in sorted(data.rglob("*")) if path.is_file())
    assert all(one.id.encode() in kept for one in made)
    assert not any(one.text.split("_", 2)[2].encode() in kept for one in made)
