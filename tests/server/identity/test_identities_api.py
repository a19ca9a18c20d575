"""Users, tokens and sessions over the API: who may do what with them, and that nobody gets more than they have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from identity_support import DAY, WITH_SERVICES, identity_server_in

from towpath.server.identity import links, tokens

MANAGING = (
    WITH_SERVICES.replace(
        "access:\n", "access:\n  roles: {clerk: [token.manage, user.manage, people.view]}\n"
    )
    + "\n"
).replace('    - {role: viewer, to: ["user:vic"]}\n', '    - {role: clerk, to: ["user:vic"]}\n')
"""Vic manages users and tokens, and may do nothing else."""


MAKING: list[tuple[str, tuple[str, ...], dict[str, Any], int]] = [
    ("ben", ("*",), {}, 201),
    ("ben", ("*",), {"owner": "user:ben"}, 201),
    ("ben", ("*",), {"owner": "service:deployer"}, 201),
    ("ben", ("*",), {"owner": "service:sweeper"}, 403),
    ("ben", ("*",), {"owner": "user:ada"}, 403),
    ("ada", ("*",), {"owner": "user:ben"}, 403),
    ("ada", ("*",), {"owner": "service:deployer"}, 201),
    ("vic", ("*",), {"owner": "service:deployer"}, 201),
    ("vic", ("token.*",), {"owner": "service:deployer", "scope": ["run.start"]}, 403),
    ("vic", ("token.*",), {"owner": "service:deployer", "scope": ["token.manage"]}, 201),
    ("ben", ("run.*",), {}, 403),
    ("ben", ("run.*",), {"scope": ["run.view"]}, 403),
    ("service:deployer", ("*",), {}, 201),
    ("service:deployer", ("*",), {"owner": "user:ben"}, 403),
    ("service:deployer", ("*",), {"owner": "service:sweeper"}, 403),
    ("ada", ("*",), {"owner": "service:nobody"}, 404),
    ("ada", ("*",), {"scope": ["run.fly"]}, 422),
    ("ada", ("*",), {"scope": []}, 422),
    ("ada", ("*",), {"scope": ["[!a]*"]}, 422),
    ("ada", ("*",), {"days": 400}, 422),
    ("ada", ("*",), {"days": 0}, 422),
    ("ada", ("*",), {"name": ""}, 422),
    ("ada", ("*",), {"name": "x\u202ey"}, 422),
    ("ada", ("*",), {"admin": True}, 422),
]


async def test_who_may_make_which_token(tmp_path: Path) -> None:
    """Tokens are made for oneself, for accounts one answers for, with `token.manage` for other programs, and never for other people."""
    found = []
    async with identity_server_in(tmp_path, project=MANAGING) as server:
        for who, scope, body, _ in MAKING:
            headers = server.bearer(who, *scope)
            answer = await server.client.post("/api/v1/tokens", json={"name": "t", **body}, headers=headers)
            found.append((who, scope, body, answer.status_code))

    assert found == MAKING


async def test_a_token_is_told_once(tmp_path: Path) -> None:
    """What is made works, and is in no later answer."""
    async with identity_server_in(tmp_path) as server:
        answer = await server.client.post("/api/v1/tokens", json={"name": "t"}, headers=server.bearer("ben"))
        made = answer.json()
        headers = {"Authorization": f"Bearer {made['token']}"}
        who = await server.me(headers)
        listed = await server.client.get("/api/v1/tokens", headers=headers)

    assert who == "user:ben"
    assert made["id"] in listed.text
    assert made["token"].split("_", 2)[2] not in listed.text


async def test_what_a_token_makes_does_not_outlive_it(tmp_path: Path) -> None:
    """A token that was got hold of cannot be made into one that lasts longer."""
    async with identity_server_in(tmp_path) as server:
        short = tokens.make(server.app, owner="user:ben", name="t", seconds=3_600, by="user:ben")
        headers = {"Authorization": f"Bearer {short.text}"}
        made = await server.client.post("/api/v1/tokens", json={"name": "t", "days": 300}, headers=headers)
        session = await server.signed_in(token=short.text)
        by_session = await server.client.post("/api/v1/tokens", json={"name": "t"}, headers=session)
        ends = {server.app.store.identities.token(one.json()["id"]).expires_at for one in (made, by_session)}

    assert all(end <= short.row.expires_at + 1_000_000 for end in ends)


REVOKING: list[tuple[str, tuple[str, ...], str, int]] = [
    ("ben", ("*",), "user:ben", 200),
    ("ben", ("*",), "service:deployer", 200),
    ("ben", ("*",), "user:cy", 403),
    ("ben", ("run.*",), "user:ben", 403),
    ("ada", ("*",), "user:ben", 200),
    ("ada", ("run.*",), "user:ben", 403),
    ("vic", ("token.manage",), "user:ben", 200),
    ("service:deployer", ("*",), "user:ben", 403),
]


async def test_who_may_revoke_which_token(tmp_path: Path) -> None:
    """One's own tokens, those of accounts that one answers for, and with `token.manage` those of others; it holds at once."""
    found = []
    async with identity_server_in(tmp_path, project=MANAGING) as server:
        for who, scope, whose, _ in REVOKING:
            made = tokens.make(server.app, owner=whose, name="t", by=whose)
            path = f"/api/v1/tokens/{made.row.id}"
            answer = await server.client.delete(path, headers=server.bearer(who, *scope))
            after = await server.me({"Authorization": f"Bearer {made.text}"})
            found.append((who, scope, whose, answer.status_code))

            assert after == (401 if answer.status_code == 200 else whose)

    assert found == REVOKING


async def test_a_token_may_always_revoke_itself(tmp_path: Path) -> None:
    """Whoever finds a token of the narrowest scope can make it void with it."""
    async with identity_server_in(tmp_path) as server:
        made = tokens.make(server.app, owner="user:ben", name="t", scope=("run.view",), by="user:ben")
        headers = {"Authorization": f"Bearer {made.text}"}
        answer = await server.client.delete(f"/api/v1/tokens/{made.row.id}", headers=headers)

        assert (answer.status_code, await server.me(headers)) == (200, 401)


async def test_whose_tokens_are_listed(tmp_path: Path) -> None:
    """Everybody sees their own and those of their accounts; all are seen with `token.manage`."""
    async with identity_server_in(tmp_path) as server:
        for owner in ("user:cy", "service:deployer", "service:sweeper"):
            tokens.make(server.app, owner=owner, name="t", by=owner)
        ben = await server.client.get("/api/v1/tokens", headers=server.bearer("ben"))
        ben_all = await server.client.get("/api/v1/tokens?all=true", headers=server.bearer("ben"))
        ada_all = await server.client.get("/api/v1/tokens?all=true", headers=server.bearer("ada"))

    assert {one["owner"] for one in ben.json()["items"]} == {"user:ben", "service:deployer"}
    assert ben_all.status_code == 403
    assert {one["owner"] for one in ada_all.json()["items"]} >= {"user:cy", "user:ben", "service:sweeper"}


async def test_sessions_are_listed_and_ended(tmp_path: Path) -> None:
    """Everybody sees and ends their own sessions; those of others with `user.manage` alone."""
    async with identity_server_in(tmp_path) as server:
        sessions = {}
        for name in ("ben", "cy"):
            link = links.make(server.app, name, by="user:ada").path.partition("link=")[2]
            sessions[name] = await server.signed_in(link=link)
        own = (await server.client.get("/api/v1/sessions", headers=sessions["ben"])).json()["items"]
        (of_cy,) = (await server.client.get("/api/v1/sessions", headers=sessions["cy"])).json()["items"]
        path = f"/api/v1/sessions/{of_cy['id']}"
        refused = await server.client.delete(path, headers=sessions["ben"])
        unknown = await server.client.delete("/api/v1/sessions/nothing", headers=sessions["ben"])
        narrow = await server.client.delete(path, headers=server.bearer("cy", "run.view"))
        ended = await server.client.delete(path, headers=server.bearer("ada"))
        gone = await server.client.delete("/api/v1/sessions/nothing", headers=server.bearer("ada"))
        left = [await server.me(sessions["ben"]), await server.me(sessions["cy"])]

    assert [(one["owner"], one["way"], one["is_current"]) for one in own] == [("user:ben", "link", True)]
    statuses = [one.status_code for one in (refused, unknown, narrow, ended, gone)]
    assert statuses == [403, 403, 403, 200, 404]
    assert left == ["user:ben", 401]


LINKING = [
    ("ada", "ben", 201),
    ("vic", "ben", 403),
    ("vic", "vic", 201),
    ("ben", "vic", 403),
    ("ada", "nobody", 404),
]


async def test_a_link_lets_nobody_do_more_than_they_may(tmp_path: Path) -> None:
    """Whoever manages users makes links for those who may do no more than they: a link could be used by oneself."""
    found = []
    async with identity_server_in(tmp_path, project=MANAGING) as server:
        for who, whom, _ in LINKING:
            answer = await server.client.post(f"/api/v1/users/{whom}/link", headers=server.bearer(who))
            found.append((who, whom, answer.status_code))

    assert found == LINKING


async def test_users_are_managed(tmp_path: Path) -> None:
    """Who manages users disables and enables them; who does not is refused; where the file names people, none are made."""
    async with identity_server_in(tmp_path) as server:
        ada, ben = server.bearer("ada"), server.bearer("ben")
        disabled = await server.client.post("/api/v1/users/cy/disable", headers=ada)
        enabled = await server.client.post("/api/v1/users/cy/enable", headers=ada)
        by_ben = [
            (await server.client.post(f"/api/v1/users/{path}", headers=ben)).status_code
            for path in ("cy/disable", "cy/enable", "cy/link")
        ]
        made = await server.client.post("/api/v1/users", json={"name": "dora"}, headers=ada)
        odd = await server.client.post("/api/v1/users", json={"name": "../x"}, headers=ada)
        seen = (await server.client.get("/api/v1/users/ben", headers=ben)).json()

    assert disabled.json()["disabled_at"] is not None
    assert enabled.json()["disabled_at"] is None
    assert by_ben == [403, 403, 403]
    assert (made.status_code, odd.status_code) == (409, 422)
    assert seen["grants"][0]["through"] == ["group:operators"]


async def test_somebody_learns_who_they_are(tmp_path: Path) -> None:
    """`/me` tells the name, the roles with their reason, the scope, and what is left of the permissions."""
    async with identity_server_in(tmp_path) as server:
        told = (await server.client.get("/api/v1/me", headers=server.bearer("ben", "run.*"))).json()

    assert (told["name"], told["email"], told["way"], told["scope"]) == (
        "user:ben",
        "ben@example.org",
        "token",
        ["run.*"],
    )
    assert told["principals"] == ["group:operators", "user:ben"]
    assert [(one["role"], one["through"]) for one in told["roles"]] == [("operator", ["group:operators"])]
    assert set(told["permissions"]) == {
        "run.cancel",
        "run.retry",
        "run.rollback",
        "run.signal",
        "run.skip",
        "run.start",
        "run.view",
    }


async def test_a_token_that_does_not_count_opens_nothing(tmp_path: Path) -> None:
    """Without a token, and with one that has ended, was revoked or never was, the answer is 401."""
    async with identity_server_in(tmp_path) as server:
        expired, revoked = (
            tokens.make(server.app, owner="user:ada", name="t", by="user:ada") for _ in range(2)
        )
        tokens.revoke(server.app, revoked.row.id, by="user:ada")
        server.clock.wind(90 * DAY)
        shown = {"expired": expired.text, "revoked": revoked.text, "unknown": "tow_aaaaaaaaaa_" + "a" * 43}
        headers = {what: {"Authorization": f"Bearer {text}"} for what, text in shown.items()}
        answers = {
            (path, what): await server.client.get(f"/api/v1/{path}", headers=one)
            for path in ("me", "tokens", "sessions", "users", "runs")
            for what, one in {"nobody": {}, **headers}.items()
        }

    found = {key: (one.status_code, one.headers.get("www-authenticate")) for key, one in answers.items()}
    assert found == dict.fromkeys(answers, (401, "Bearer"))
