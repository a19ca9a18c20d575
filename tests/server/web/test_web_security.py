"""Pages under attack, without a browser: paths, headers, cookies, forms that are sent again or come from elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from server_support import TestServer, server_in, write_project

from towpath.server.guarding import SESSION_COOKIE
from towpath.server.identity import links
from towpath.server.identity.signed_in import SignedIn

PAGE = {"accept": "text/html"}
UP = ("../", "..%2f", "%2e%2e/", "..\\", "....//", "%252e%252e%252f", "/", "%00")
PLACES = (
    "/static/{up}towpath.yaml",
    "/static/{up}{up}{up}etc/passwd",
    "/api/v1/runs/1/artifacts/{up}towpath.yaml",
    "/api/v1/runs/1/log?step={up}towpath.yaml",
    "/runs/1?view=logs&step={up}towpath.yaml",
    "/runs/{up}towpath.yaml",
    "/inbox/1/{up}towpath.yaml",
    "/workflows/{up}towpath.yaml",
    "/hooks/{up}towpath.yaml",
    "/events/{up}1",
)


@pytest.mark.parametrize("place", PLACES)
async def test_no_path_leads_out(tmp_path: Path, place: str) -> None:
    """Whatever a path says, it names nothing on the disk: no file of the project or of the machine is served, and nothing breaks."""
    write_project(tmp_path)
    (tmp_path / "towpath.yaml").write_text((tmp_path / "towpath.yaml").read_text() + "# the-secret-line\n")
    async with server_in(tmp_path) as server:
        answers = [
            await server.client.get(place.format(up=up), headers={**server.as_("ada"), **PAGE}) for up in UP
        ]

    assert [one.status_code for one in answers if one.status_code >= 500] == []
    assert [one.text for one in answers if "the-secret-line" in one.text or "root:x:" in one.text] == []


async def test_no_page_can_be_framed_or_sniffed(tmp_path: Path) -> None:
    """Every answer says that nobody may frame it, that no script but ours runs, and that it is not kept."""
    write_project(tmp_path)
    async with server_in(tmp_path) as server:
        answers = [
            await server.client.get(path, headers={**server.as_("ada"), **PAGE})
            for path in ("/inbox", "/login", "/settings/people", "/runs/4711", "/nowhere", "/audit")
        ]

    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


def session_of(server: TestServer) -> str:
    """A one-time link for Ada, made here."""
    return links.make(server.app, "ada", by="user:ada").path


async def test_the_cookie_is_kept_from_scripts_and_other_sites(tmp_path: Path) -> None:
    """The session's cookie is HttpOnly, SameSite=Strict and Secure over https; a link is used up by its button, once."""
    write_project(tmp_path)
    async with server_in(tmp_path) as server:
        link = session_of(server).partition("link=")[2]
        looked = await server.client.get(f"/login?link={link}", headers=PAGE)
        first = await server.client.post("https://towpath.test/login", data={"link": link})
        server.client.cookies.clear()
        again = await server.client.post("https://towpath.test/login", data={"link": link})

    cookie = first.headers["set-cookie"]
    assert "set-cookie" not in looked.headers
    assert cookie.startswith(f"{SESSION_COOKIE}=")
    assert {"HttpOnly", "SameSite=strict", "Secure", "Path=/"} <= set(cookie.split("; "))
    assert (first.status_code, again.status_code) == (303, 401)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://towpath.test"}, 303),
        ({"sec-fetch-site": "same-origin"}, 303),
        ({}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "https://towpath.test"}, 403),
        ({"origin": "http://towpath.test:81"}, 403),
        ({"origin": "http://towpath.test.evil.example"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
    ],
)
async def test_forms_count_only_from_our_own_pages(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    """With the session's cookie, a form that does not say that it comes from here changes nothing."""
    write_project(tmp_path)
    async with server_in(tmp_path) as server:
        object.__setattr__(server.parts, "identity", SignedIn(server.app))
        link = session_of(server).partition("link=")[2]
        signed = await server.client.post("/login", data={"link": link})
        cookie = signed.headers["set-cookie"].partition(";")[0]
        server.client.cookies.clear()
        answer = await server.client.post(
            "/settings/secrets",
            data={"name": "db_password", "value": "hush"},
            headers={"cookie": cookie, **headers},
        )
        kept = [one.name for one in server.app.sealed_secrets.list()]

    assert answer.status_code == status
    assert kept == (["db_password"] if status == 303 else [])
