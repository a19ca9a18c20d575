"""The page on which one signs in: it does nothing by itself, says nothing of who there is, and leads nowhere but here."""

from __future__ import annotations

import html
from pathlib import Path

import pytest
from server_support import server_in, write_project

PAGE = {"accept": "text/html"}
PROVIDER = """
  oidc: {issuer: "https://id.example.org", client_id: towpath}
"""


async def test_looking_at_a_link_uses_nothing_up(tmp_path: Path) -> None:
    """The page of a one-time link has a button, and no cookie: a mail scanner that opens it takes nothing away."""
    write_project(tmp_path)
    async with server_in(tmp_path) as server:
        answer = await server.client.get("/login?link=towl_abc&next=/runs/7", headers=PAGE)

    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert 'name="link" value="towl_abc"' in answer.text
    assert 'name="next" value="/runs/7"' in answer.text


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/login",
        "\n//evil.example",
        "http:/evil.example",
    ],
)
async def test_the_way_after_it_stays_here(tmp_path: Path, elsewhere: str) -> None:
    """Wherever an address says to go after signing in, it is a path of ours."""
    write_project(tmp_path)
    async with server_in(tmp_path) as server:
        answer = await server.client.get("/login", params={"next": elsewhere}, headers=PAGE)

    assert 'name="next" value="/"' in answer.text


async def test_whoever_is_not_known_is_asked_to_sign_in_and_comes_back(tmp_path: Path) -> None:
    """A page that one may only see when signed in leads to the sign-in, which knows where one wanted to go."""
    write_project(tmp_path)
    async with server_in(tmp_path) as server:
        answer = await server.client.get("/inbox?everybody=true", headers=PAGE)

    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/login?next=%2Finbox%3Feverybody%3Dtrue",
    )


async def test_what_is_in_a_link_is_text(tmp_path: Path) -> None:
    """Markup in the address is shown as what it is."""
    write_project(tmp_path)
    async with server_in(tmp_path) as server:
        answer = await server.client.get(
            "/login", params={"link": '"><script>alert(1)</script>'}, headers=PAGE
        )

    assert "<script>alert" not in answer.text
    assert '"><script>alert(1)</script>' in html.unescape(answer.text)


async def test_the_identity_provider_is_offered_where_there_is_one(tmp_path: Path) -> None:
    """A project with an identity provider shows the way to it, as a link: no form leads away from here."""
    from server_support import PROJECT

    write_project(tmp_path)
    async with server_in(tmp_path) as server:
        without = await server.client.get("/login", headers=PAGE)
    other = tmp_path / "other"
    write_project(other, project=PROJECT.rstrip() + PROVIDER)
    async with server_in(other) as server:
        with_one = await server.client.get("/login?next=/runs", headers=PAGE)

    assert "/login/oidc" not in without.text
    assert 'href="/login/oidc?next=%2Fruns"' in with_one.text


async def test_deliveries_and_signing_in_do_not_get_into_each_others_way(tmp_path: Path) -> None:
    """Whoever wants to sign in is answered the same before and after something was delivered."""
    write_project(tmp_path)
    async with server_in(tmp_path) as server:
        before = await server.client.post("/login", data={"link": "towl_made_up"})
        await server.client.post("/hooks/nowhere", json={})
        after = await server.client.post("/login", data={"link": "towl_made_up"})

    assert (before.status_code, after.status_code) == (401, 401)
