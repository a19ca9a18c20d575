"""The door: who is let in, with what, for how long, and what everybody else is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from identity_support import (
    DAY,
    ORIGIN,
    SECOND,
    WITH_SERVICES,
    IdentityServer,
    cookie_of,
    identity_server_in,
)

from towpath.server.guarding import SESSION_COOKIE
from towpath.server.identity import accounts, attempts, links, signing_in, tokens
from towpath.store.contract import TokenId


def code_of(path: str) -> str:
    """The code of a link."""
    return path.partition("link=")[2]


async def test_a_link_lets_one_person_in_once(tmp_path: Path) -> None:
    """Looking at a link does nothing; its button signs in, goes on to where one wanted to go, and works once."""
    async with identity_server_in(tmp_path) as server:
        path = links.make(server.app, "ben", by="user:ada").path
        looks = [
            (await server.client.get(path, headers={"Accept": "text/html"})).status_code for _ in range(3)
        ]
        first = await server.post("/login", link=code_of(path), next="/runs?status=failed")
        server.client.cookies.clear()
        second = await server.post("/login", link=code_of(path))
        who = await server.me({"Cookie": f"{SESSION_COOKIE}={cookie_of(first)}"})

    assert looks == [200, 200, 200]
    assert (first.status_code, first.headers["location"], who) == (303, "/runs?status=failed", "user:ben")
    assert (second.status_code, SESSION_COOKIE in second.cookies) == (401, False)


@pytest.mark.parametrize(
    ("base_url", "is_secure"),
    [("", False), ("https://tow.example.org", True), ("http://127.0.0.1:8420", False)],
)
async def test_the_cookie_is_kept_from_everybody_else(tmp_path: Path, base_url: str, is_secure: bool) -> None:
    """No script reads the cookie, no other site sends it, and where pages are encrypted it never goes in the clear."""
    async with identity_server_in(tmp_path, base_url=base_url) as server:
        answer = await server.post("/login", link=code_of(links.make(server.app, "ben", by="user:ada").path))

    flags = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/"} <= flags
    assert ("secure" in flags) is is_secure
    assert not any(flag.startswith("domain") for flag in flags)


SPOILED: list[tuple[str, Callable[[IdentityServer, str, str], tuple[str, str]]]] = [
    ("no code at all", lambda _, __, ___: ("", "")),
    ("words", lambda _, __, ___: ("hello", "")),
    ("another secret", lambda _, link, __: (link[:-4] + "aaaa", "")),
    ("another name", lambda _, link, __: (link.replace(link[3:13], "aaaaaaaaaa"), "")),
    ("a token as a link", lambda _, __, token: (token, "")),
    ("a link as a token", lambda _, link, __: ("", link)),
    ("another secret of a token", lambda _, __, token: ("", token[:-4] + "aaaa")),
]


async def test_what_does_not_fit_opens_nothing(tmp_path: Path) -> None:
    """Whatever is wrong with what somebody shows, the answer is the same, and what was good stays good."""
    found = {}
    async with identity_server_in(tmp_path) as server:
        link = code_of(links.make(server.app, "ben", by="user:ada").path)
        token = tokens.make(server.app, owner="user:ben", name="t", by="user:ben").text
        for what, spoil in SPOILED:
            shown_link, shown_token = spoil(server, link, token)
            answer = await server.post("/login", link=shown_link, token=shown_token)
            found[what] = (answer.status_code, answer.json()["detail"], SESSION_COOKIE in answer.cookies)
        good = await server.post("/login", link=link)

    assert found == {what: (401, str(signing_in.refused()), False) for what, _ in SPOILED}
    assert good.status_code == 303


async def test_a_link_ends(tmp_path: Path) -> None:
    """A link that was never used is void after its time, and when a newer one was made."""
    async with identity_server_in(tmp_path) as server:
        old = code_of(links.make(server.app, "ben", by="user:ada").path)
        new = code_of(links.make(server.app, "ben", by="user:ada").path)
        replaced = await server.post("/login", link=old)
        server.clock.wind(round(links.LINK_SECONDS) * SECOND)
        late = await server.post("/login", link=new)

    assert (replaced.status_code, late.status_code) == (401, 401)


async def test_sixteen_buttons_at_once_let_one_in(tmp_path: Path) -> None:
    """However often a link is used at the same moment, it begins one session."""
    async with identity_server_in(tmp_path) as server:
        link = code_of(links.make(server.app, "ben", by="user:ada").path)
        form = {"link": link}
        answers = await asyncio.gather(
            *(
                server.client.post("/login", data=form, headers={"Cookie": "", "Origin": ORIGIN})
                for _ in range(attempts.LOGINS_MAX)
            )
        )
        sessions = server.app.store.identities.sessions(server.clock.now())

    assert sorted(one.status_code for one in answers) == [303] + [401] * (attempts.LOGINS_MAX - 1)
    assert len(sessions) == 1


async def test_who_fails_too_often_has_to_wait(tmp_path: Path) -> None:
    """After LOGINS_MAX wrong attempts an address is answered with 429, even if it is right then; time heals it."""
    async with identity_server_in(tmp_path) as server:
        link = code_of(links.make(server.app, "ben", by="user:ada").path)
        wrong = [(await server.post("/login", link="in_x")).status_code for _ in range(attempts.LOGINS_MAX)]
        right = await server.post("/login", link=link)
        server.clock.wind(round(attempts.LOGIN_WINDOW_SECONDS) * SECOND)
        later = await server.post("/login", link=link)

    assert wrong == [401] * attempts.LOGINS_MAX
    assert (right.status_code, "Retry-After" in right.headers) == (429, True)
    assert later.status_code == 303


def test_attempts_are_counted_by_whoever_may_be_one_person() -> None:
    """Hosts are told apart, an IPv6 network is one, and memory is bounded."""
    counter = attempts.Attempts(lambda: 0)
    for number in range(attempts.LOGINS_MAX):
        counter.failed(f"2001:db8::{number:x}")
        counter.failed("192.0.2.1")

    refused = []
    for address in (
        "2001:db8::ffff",
        "2001:db8:0:1::1",
        "192.0.2.1",
        "::ffff:192.0.2.1",
        "192.0.2.2",
        "unix",
    ):
        try:
            counter.check(address)
        except attempts.LimitExceeded:
            refused.append(address)
    assert refused == ["2001:db8::ffff", "192.0.2.1", "::ffff:192.0.2.1"]
    for number in range(attempts.ADDRESSES_MAX):
        counter.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(counter._failed) == attempts.ADDRESSES_MAX


ELSEWHERE = [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]


async def test_nobody_is_signed_in_from_another_site(tmp_path: Path) -> None:
    """A form of another site signs nobody in under a name that is not theirs, and uses no link up."""
    async with identity_server_in(tmp_path) as server:
        link = code_of(links.make(server.app, "ben", by="user:ada").path)
        answers = [
            await server.client.post("/login", data={"link": link}, headers=headers) for headers in ELSEWHERE
        ]
        good = await server.post("/login", link=link)

    assert [(one.status_code, SESSION_COOKIE in one.cookies) for one in answers] == [(403, False)] * 3
    assert good.status_code == 303


@pytest.mark.parametrize(
    ("path", "goes"),
    [
        ("/runs/12?at=3#end", "/runs/12?at=3#end"),
        ("", "/"),
        ("runs", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/\t/evil.example", "/"),
        ("/a\r\nSet-Cookie: x=y", "/"),
        ("//[", "/"),
        ("/login?next=/login", "/"),
        ("/logout", "/"),
        ("/loginsight", "/loginsight"),
        ("/" + "a" * signing_in.NEXT_CHARS_MAX, "/"),
    ],
)
def test_one_goes_on_to_our_own_pages_only(path: str, goes: str) -> None:
    """After signing in nobody is sent to another site, whatever the address said."""
    assert signing_in.safe_next(path) == goes


async def test_signing_out_ends_the_session(tmp_path: Path) -> None:
    """Whoever signs out is unknown from then on, also with a copy of the cookie; another site cannot do it for them."""
    async with identity_server_in(tmp_path) as server:
        headers = await server.signed_in(link=code_of(links.make(server.app, "ben", by="user:ada").path))
        foreign = await server.client.post("/logout", headers={**headers, "Origin": "https://evil.example"})
        before = await server.me(headers)
        answer = await server.client.post("/logout", headers=headers)
        after = await server.me(headers)

    assert (foreign.status_code, before) == (403, "user:ben")
    assert (answer.status_code, answer.headers["location"], after) == (303, "/login", 401)
    assert 'towpath_session=""' in answer.headers["set-cookie"]


LIVES: list[tuple[str, int, int]] = [
    ("used each day", 29, 1),
    ("used each day, until its end", 31, 1),
    ("not used for a week", 8, 8),
    ("used after six days", 6, 6),
]


@pytest.mark.parametrize(("what", "days", "every"), LIVES, ids=[what for what, *_ in LIVES])
async def test_a_session_does_not_last_for_ever(tmp_path: Path, what: str, days: int, every: int) -> None:
    """A session lasts as long as it is used, and never longer than SESSION_SECONDS."""
    async with identity_server_in(tmp_path) as server:
        headers = await server.signed_in(link=code_of(links.make(server.app, "ben", by="user:ada").path))
        found: int | str = ""
        for _ in range(days // every):
            server.clock.wind(every * DAY)
            found = await server.me(headers)

    assert found == ("user:ben" if days in (29, 6) else 401), what


async def test_a_session_of_a_token_is_no_more_than_the_token(tmp_path: Path) -> None:
    """Who signs in with a token may do what it may, until it is revoked or ends."""
    async with identity_server_in(tmp_path) as server:
        made = tokens.make(
            server.app, owner="user:ada", name="t", scope=("people.view",), seconds=3600, by="user:ada"
        )
        headers = await server.signed_in(token=made.text)
        allowed = await server.client.get("/api/v1/users", headers=headers)
        denied = await server.client.get("/api/v1/runs", headers=headers)
        tokens.revoke(server.app, made.row.id, by="user:ada")
        gone = await server.me(headers)
        short = tokens.make(server.app, owner="user:ada", name="t", seconds=3600, by="user:ada")
        headers = await server.signed_in(token=short.text)
        server.clock.wind(3600 * SECOND)
        ended = await server.me(headers)

    assert (allowed.status_code, denied.status_code, gone, ended) == (200, 403, 401, 401)


def _disable(server: IdentityServer) -> None:
    accounts.disable(server.app, "ben", by="user:ada")


def _remove(server: IdentityServer) -> None:
    file = server.app.settings.project / "towpath.yaml"
    text = file.read_text().replace("    ben: {email: ben@example.org}\n", "")
    file.write_text(text.replace('"user:ben", ', "").replace('owner: "user:ben"', 'owner: "user:cy"'))


def _wind(server: IdentityServer) -> None:
    server.clock.wind(400 * DAY)


@pytest.mark.parametrize(
    "spoil", [_disable, _remove, _wind], ids=["disabled", "gone from the file", "too old"]
)
async def test_who_is_not_welcome_any_more_is_nobody_at_once(
    tmp_path: Path, spoil: Callable[[IdentityServer], None]
) -> None:
    """Tokens, sessions and links of somebody who is disabled, has gone from towpath.yaml, or whose time is up open nothing."""
    async with identity_server_in(tmp_path) as server:
        link = code_of(links.make(server.app, "ben", by="user:ada").path)
        session = await server.signed_in(link=link)
        token = server.bearer("ben")
        unused = code_of(links.make(server.app, "ben", by="user:ada").path)
        before = [await server.me(session), await server.me(token)]
        spoil(server)
        after = [await server.me(session), await server.me(token)]
        late = await server.post("/login", link=unused)

    assert (before, after, late.status_code) == (["user:ben", "user:ben"], [401, 401], 401)


async def test_who_is_enabled_again_has_to_sign_in_again(tmp_path: Path) -> None:
    """A token counts again, a session that was ended does not."""
    async with identity_server_in(tmp_path) as server:
        session = await server.signed_in(link=code_of(links.make(server.app, "ben", by="user:ada").path))
        token = server.bearer("ben")
        accounts.disable(server.app, "ben", by="user:ada")
        accounts.enable(server.app, "ben", by="user:ada")

        assert [await server.me(session), await server.me(token)] == [401, "user:ben"]


HEADERS = [
    "",
    "Bearer",
    "Bearer ",
    "Basic {token}",
    "bearer  {token}x",
    "Bearer {token} {token}",
    "Bearer tow_a_b",
]


async def test_a_header_that_is_wrong_is_not_made_up_for(tmp_path: Path) -> None:
    """Where a token is shown, it alone counts: a good session beside a wrong token lets nobody in."""
    async with identity_server_in(tmp_path) as server:
        session = await server.signed_in(link=code_of(links.make(server.app, "ben", by="user:ada").path))
        token = server.bearer("ben")["Authorization"].partition(" ")[2]
        found = {
            header: await server.me({**session, "Authorization": header.format(token=token)})
            for header in HEADERS
        }

    assert found == dict.fromkeys(HEADERS, 401)


async def test_the_first_link_is_there_until_somebody_came(tmp_path: Path) -> None:
    """Each start has a link of its own until one was used, and none afterwards; the last one alone works."""
    async with identity_server_in(tmp_path) as server:
        paths = [links.first_link(server.app) or "" for _ in range(2)]
        answers = [(await server.post("/login", link=code_of(path))).status_code for path in paths]

        assert answers == [401, 303]
        assert links.first_link(server.app) is None


PEOPLE = """
people:
  users: {ada: {}, ben: {}}
"""
GRANTS = """
access:
  grants:
    - {role: viewer, to: ["user:ada"]}
    - {role: admin, to: ["user:ben"]}
"""


@pytest.mark.parametrize(
    ("project", "user", "signs_in", "may_all"),
    [
        ("", "root", "user:root", True),
        (PEOPLE, "root", "user:root", True),
        (PEOPLE + GRANTS, "ada", "user:ada", False),
        (PEOPLE + GRANTS, "root", "user:ben", True),
    ],
    ids=["an empty project", "people and no grants", "somebody with a role", "somebody without a role"],
)
async def test_the_first_link_is_for_whoever_can_use_it(
    tmp_path: Path, project: str, user: str, signs_in: str, may_all: bool
) -> None:
    """The first link is for whoever started the server, where they may do anything; else for who may manage users."""
    async with identity_server_in(tmp_path, project=project, user=user) as server:
        headers = await server.signed_in(link=code_of(links.first_link(server.app) or ""))
        me = (await server.client.get("/api/v1/me", headers=headers)).json()

    assert (me["name"], "user.manage" in me["permissions"]) == (signs_in, may_all)


async def test_without_grants_nobody_but_the_owner_may_do_anything(tmp_path: Path) -> None:
    """Whoever started the server of a project without grants may do everything; whoever else signs in may do nothing."""
    async with identity_server_in(tmp_path, project=PEOPLE, user="root") as server:
        answers = {
            name: (await server.client.get("/api/v1/users", headers=server.bearer(name))).status_code
            for name in ("root", "ada")
        }

    assert answers == {"root": 200, "ada": 403}


async def test_when_a_token_was_used_is_written_once_a_minute(tmp_path: Path) -> None:
    """Using a token is noted, and a thousand requests a second do not become a thousand writes."""
    async with identity_server_in(tmp_path) as server:
        made = tokens.make(server.app, owner="user:ben", name="t", by="user:ben")
        headers = {"Authorization": f"Bearer {made.text}"}
        used: list[int | None] = []
        for seconds in (0, 30, 31):
            server.clock.wind(seconds * SECOND)
            await server.me(headers)
            row = server.app.store.identities.token(TokenId(made.row.id))
            used.append(None if row is None else row.last_used_at)

    assert used[0] is not None
    assert used[1] == used[0]
    assert used[2] is not None
    assert used[2] > used[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox on Linux"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605 Version/17 Safari/604",
            "Safari on iPhone",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit Chrome/120 Safari/537 Edg/120", "Edge on Windows"),
        ("curl/8.5.0", "curl"),
        ("evil\n\x1b[31m" + "x" * 200, "evil[31m" + "x" * 72),
        ("", ""),
    ],
)
def test_a_browser_is_told_in_short(text: str, told: str) -> None:
    """A list of sessions is read by people; what is not known is cut off and holds no control characters."""
    assert signing_in.agent_in_short(text) == told


async def test_the_record_tells_who_came_and_who_let_them(tmp_path: Path) -> None:
    """Each act stands in the record once, with who did it, and no secret; whoever may audit reads it, and its links hold."""
    async with identity_server_in(tmp_path) as server:
        link = code_of(links.make(server.app, "ben", by="user:ada").path)
        session = await server.signed_in(link=link)
        await server.client.post("/logout", headers=session)
        made = tokens.make(server.app, owner="user:ada", name="t", by="user:ada")
        headers = {"Authorization": f"Bearer {made.text}"}
        accounts.disable(server.app, "ben", by="user:ada")
        await server.client.delete(f"/api/v1/tokens/{made.row.id}", headers=headers)
        answer = await server.client.get("/api/v1/users/acts", headers=server.bearer("ada"))
        denied: httpx2.Response = await server.client.get("/api/v1/users/acts", headers=server.bearer("vic"))
        broken = server.app.store.identities.broken_act()

    acts = [(one["by"], one["did"]) for one in reversed(answer.json()["items"])]
    assert acts[:6] == [
        ("user:ada", "made a login link"),
        ("user:ben", "signed in"),
        ("user:ben", "signed out"),
        ("user:ada", "made a token"),
        ("user:ada", "disabled a user"),
        ("user:ada", "revoked a token"),
    ]
    assert link.split("_", 2)[2] not in answer.text
    assert made.text.split("_", 2)[2] not in answer.text
    assert (denied.status_code, broken) == (403, None)


async def test_who_is_sent_here_from_elsewhere_is_asked_for_the_cookie_first(tmp_path: Path) -> None:
    """A link on another site does not sign anybody out: a page of ours goes on by itself, once, and only when a page is opened."""
    sent = {"Accept": "text/html", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    async with identity_server_in(tmp_path) as server:
        client = server.client
        opened = await client.get("/runs?q=%22%3E%3Cscript%3E", headers=sent)
        again = await client.get("/runs", headers={**sent, "Sec-Fetch-Site": "same-origin"})
        program = await client.get("/api/v1/runs", headers={**sent, "Accept": "*/*"})
        fetched = await client.get("/runs", headers={**sent, "Sec-Fetch-Mode": "no-cors"})

    assert opened.status_code == 200
    assert 'content="0;url=/runs?q=%22%3E%3Cscript%3E"' in opened.text
    assert [one.status_code for one in (again, program, fetched)] == [303, 401, 303]


async def test_the_button_names_the_provider(tmp_path: Path) -> None:
    """The sign-in page calls the identity provider what the project calls it, as text."""
    oidc = '  oidc: {issuer: "https://id.example.org", client_id: towpath, title: "<b>Example</b>"}\n'
    async with identity_server_in(tmp_path, project=WITH_SERVICES + oidc) as server:
        page = (await server.client.get("/login", headers={"Accept": "text/html"})).text

    assert "Sign in with &lt;b&gt;Example&lt;/b&gt;" in page
