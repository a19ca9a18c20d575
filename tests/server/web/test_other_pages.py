"""Pages of events, of the schedule, of environments, of settings and of the audit record: what they show, what their forms do, for whom."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest
from server_support import PROJECT, TestServer, server_in, write_project

from towpath.server.web import evidence
from towpath.triggers import by_hand

RICH = (
    PROJECT
    + """
environments:
  production:
    title: The real one
    approval: {who: ["group:operators"], quorum: 2}
    windows: office
    freeze: office
    concurrency: {max: 3}
  hidden: {title: Elsewhere}
calendars:
  office:
    time_zone: Europe/Berlin
    hours: {mon-fri: "08:00-18:00"}
    freezes: [{from: 2020-01-01, until: 2099-01-01, title: The long freeze}]
channels:
  chat: {kind: webhook, url: "https://hooks.example.org/T0KEN-IN-THE-PATH", default: true}
secrets: {providers: [sealed]}
"""
).replace('{role: viewer, to: ["user:vic"]}', '{role: viewer, to: ["user:vic"], environments: [production]}')
NIGHTLY = """
name: nightly
on:
  - schedule: {cron: "30 1 * * *", timezone: Europe/Berlin}
  - schedule: {every: 10m}
  - github.push: {branches: [main]}
steps: [{id: one, run: "true"}]
"""
PUSH = {
    "ref": "refs/heads/other",
    "after": "1" * 40,
    "repository": {"full_name": "acme/shop"},
    "commits": [],
    "note": "<b>bold</b>",
}
PAGE = {"accept": "text/html"}


async def look(server: TestServer, path: str, who: str = "ada", *, status: int = 200) -> str:
    """The text of a page."""
    answer = await server.client.get(path, headers={**server.as_(who), **PAGE})
    assert answer.status_code == status, answer.text
    return html.unescape(re.sub(r"\s+", " ", answer.text))


async def send(server: TestServer, path: str, who: str = "ada", **sent: str) -> tuple[int, str]:
    """What a form gives."""
    answer = await server.client.post(path, data=sent, headers={**server.as_(who), **PAGE})
    return answer.status_code, html.unescape(answer.text)


def hand_in(server: TestServer) -> int:
    """An event that starts nothing: of another branch."""
    received = by_hand.handed_in(
        json.dumps(PUSH).encode(),
        source="github",
        headers={"x-github-event": "push", "x-github-delivery": "d-1"},
        at=server.app.now(),
    )
    return server.app.inbox.keep(received).event


async def test_an_event_tells_which_runs_and_if_none_why_not(tmp_path: Path) -> None:
    """The list and the page of an event say what every entry made of it; its payload is text; it is decided about once more by a button."""
    write_project(tmp_path, {"nightly": NIGHTLY}, project=RICH)
    async with server_in(tmp_path) as server:
        number = hand_in(server)
        fresh = await look(server, f"/events/{number}")
        await server.app.decider(server.engine).work()
        listed = await look(server, "/events?state=ignored&kind=github")
        none = await look(server, "/events?kind=jira")
        page = await look(server, f"/events/{number}")
        replayed = await send(server, f"/events/{number}/replay")
        refused = await send(server, f"/events/{number}/replay", "vic")
        after = server.app.store.events.event(server.app.store.events.event("last").id)

    assert "Nobody has looked at it yet" in fresh
    assert f'href="/events/{number}"' in listed
    assert "No event fits" in none
    assert "nightly" in page
    assert "branch" in page
    assert '"note": "<b>bold</b>"' in page
    assert (replayed[0], refused[0]) == (303, 403)
    assert after.state == "received"


async def test_the_schedule_shows_what_comes_with_freezes_and_time_zones(tmp_path: Path) -> None:
    """Each start stands at its day, in the time zone that the page names; what comes often is told together; freezes stand over their days."""
    write_project(tmp_path, {"nightly": NIGHTLY}, project=RICH)
    async with server_in(tmp_path) as server:
        week = await look(server, "/schedule?zone=America/New_York")
        month = await look(server, "/schedule?view=month&zone=Europe/Berlin")
        odd = [
            await look(server, path)
            for path in (
                "/schedule?zone=Nowhere/Else",
                "/schedule?day=9999-99-99",
                "/schedule?day=0001-01-01",
            )
        ]

    assert "in the time zone America/New_York" in week
    assert re.search(r'<span class="mono">(19|20):30</span>', week)
    assert "01:30 Europe/Berlin" in week
    assert re.search(r"\d+×</span> <span class=\"text\">nightly", week)
    assert week.count("The long freeze: production") == 7
    assert '<span class="mono">01:30</span>' in month
    assert [one.count('<li class="day') for one in odd] == [7, 7, 7]


async def test_environments_show_their_rules_to_those_who_may_see_them(tmp_path: Path) -> None:
    """A card tells approvals, windows, freezes and places; who may see one environment sees that one."""
    write_project(tmp_path, project=RICH)
    async with server_in(tmp_path) as server:
        all_of_them = await look(server, "/environments")
        some = await look(server, "/environments", "vic")

    assert "The real one" in all_of_them
    assert "Elsewhere" in all_of_them
    assert "2 of group:operators, four eyes" in all_of_them
    assert "the freeze 'The long freeze'" in all_of_them
    assert "0 of 3 taken" in all_of_them
    assert "The real one" in some
    assert "Elsewhere" not in some


async def test_a_token_is_shown_once(tmp_path: Path) -> None:
    """The answer to the form has the token's text, no address and no later page has; a press revokes it."""
    write_project(tmp_path, project=RICH)
    async with server_in(tmp_path) as server:
        status, made = await send(server, "/settings/tokens", name="ci", scope="run.view", days="30")
        text = re.search(r"tow_[\w.-]+", made)
        later = await look(server, "/settings/me")
        (row,) = server.app.store.identities.tokens("user:ada")
        revoked = await send(server, f"/settings/tokens/{row.id}/revoke")
        wrong = [
            await send(server, "/settings/tokens", name="", days="30"),
            await send(server, "/settings/tokens", name="x", days="100000"),
            await send(server, "/settings/tokens", name="x", scope="run.fly"),
        ]
        stolen = await send(server, "/settings/tokens", "vic", name="x", owner="user:ada")

    assert status == 200
    assert text is not None
    assert text[0] not in later
    assert row.scope == ("run.view",)
    assert revoked[0] == 303
    assert [one[0] for one in wrong] == [409, 409, 409]
    assert stolen[0] in (403, 409)
    assert "tow_" not in stolen[1].replace("<code>tow_</code>", "")


async def test_people_are_shown_with_what_they_may_do(tmp_path: Path) -> None:
    """Users with roles and groups; login links and disabling are for those who manage users."""
    write_project(tmp_path, project=RICH)
    async with server_in(tmp_path) as server:
        page = await look(server, "/settings/people")
        plain = await look(server, "/settings/people", "ben")
        link = await send(server, "/settings/people/ben/link")
        refused = await send(server, "/settings/people/ada/link", "ben")
        disabled = await send(server, "/settings/people/cy/disable")
        after = await look(server, "/settings/people")

    assert "ben@example.org" in page
    assert "group:operators" in page
    assert "/settings/people/ben/link" in page
    assert "/settings/people/ben/link" not in plain
    assert re.search(r"/login\?link=\w+", link[1])
    assert (refused[0], disabled[0]) == (403, 303)
    assert "disabled" in after


async def test_channels_show_no_secret_of_their_address(tmp_path: Path) -> None:
    """An address may hold a secret: the page names the host only."""
    write_project(tmp_path, project=RICH)
    async with server_in(tmp_path) as server:
        page = await look(server, "/settings/channels")

    assert "hooks.example.org" in page
    assert "T0KEN" not in page


async def test_secrets_are_set_and_never_shown(tmp_path: Path) -> None:
    """The store's names are listed; a value goes in and comes out nowhere; only who may set secrets sees the page."""
    write_project(tmp_path, project=RICH)
    async with server_in(tmp_path) as server:
        kept = await send(server, "/settings/secrets", name="db_password", value="hush-hush")
        empty = await send(server, "/settings/secrets", name="db_password", value="")
        page = await look(server, "/settings/secrets")
        others = await look(server, "/settings/secrets", "ben", status=403)
        value = server.app.sealed_secrets.get("db_password")
        removed = await send(server, "/settings/secrets/db_password/remove")
        left = server.app.sealed_secrets.list()

    assert (kept[0], empty[0], removed[0]) == (303, 409, 303)
    assert "db_password" in page
    assert "hush-hush" not in page + others
    assert value == "hush-hush"
    assert left == ()


async def test_health_is_for_those_who_look_after_the_server(tmp_path: Path) -> None:
    """What the server does by itself, how much there is, and which version this is."""
    write_project(tmp_path, project=RICH)
    async with server_in(tmp_path) as server:
        page = await look(server, "/settings/health")
        await look(server, "/settings/health", "vic", status=403)

    assert "What the server does by itself" in page
    assert "Towpath" in page


async def test_the_audit_record_is_listed_and_verified(tmp_path: Path) -> None:
    """Who did what, the newest first, by whom, page by page; and whether the record holds."""
    write_project(tmp_path, project=RICH)
    async with server_in(tmp_path) as server:
        for by in ("user:ada", "user:ben"):
            loaded = server.app.find("hello")
            await server.engine.start(server.app.request(loaded, {}, started_by=by))
        everybody = await look(server, "/audit")
        ben = await look(server, "/audit?by=ben")
        nobody = await look(server, "/audit?by=nobody")
        odd = await look(server, "/audit?before=a-b-c")
        access = await look(server, "/audit?of=access")
        verdict = await look(server, "/audit/verify")
        await look(server, "/audit", "vic", status=403)

    assert everybody.count("started") >= 2
    assert "hello #2" in ben
    assert "hello #1" not in ben
    assert "that fits" in nobody
    assert "hello #1" in odd
    assert "Users, tokens, sessions" in access
    assert "The record holds" in verdict
    assert "0 acts on" in verdict


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n same", ["at", "at", "at", "cut", "add", "same"]),
        ("Terraform will perform\n  + create\n  - destroy\n  ~ change\n", ["same", "add", "cut", "at"]),
        ("- a list\n+ of points", ["same", "same"]),
    ],
)
def test_differences_and_plans_are_marked(text: str, marks: list[str]) -> None:
    """What comes and what goes is marked in a difference and in a plan, and nowhere else."""
    (piece,) = evidence.evidence_of({"it": text})

    assert [line.mark for line in piece.lines] == marks


def test_long_evidence_is_folded_and_complete() -> None:
    """Nothing that the digest stands for is left out."""
    rows = [f"line {number}" for number in range(500)]
    (piece,) = evidence.evidence_of({"it": {"file": "x", "digest": "d", "text": "\n".join(rows)}})

    assert [line.text for line in (*piece.first, *piece.folded)] == rows
    assert len(piece.first) == evidence.LINES_UNFOLDED_MAX
