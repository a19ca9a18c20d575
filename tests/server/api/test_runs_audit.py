"""Who did what, through the API."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from server_support import TestServer as Server
from server_support import server_in, write_project

from towpath.observe import audit
from towpath.store.contract import IdentityAct, UserRow

RELEASE = """
name: release
steps:
  - id: go_live
    approve: Release?
    who: [group:operators]
    four_eyes: false
  - id: hold
    wait: {signal: go}
"""
HELLO = """
name: hello
steps:
  - {id: greet, run: echo hello}
"""
LIMITED = """
people:
  users:
    ada: {email: ada@example.org}
    ben: {email: ben@example.org}
  groups:
    operators: ["user:ada", "user:ben"]
access:
  grants:
    - {role: admin, to: ["user:ada"]}
    - {role: operator, to: ["user:ben"], workflows: [hello]}
"""


async def get(server: Server, path: str, by: str = "ada") -> Any:
    """What somebody gets."""
    answer = await server.client.get(f"/api/v1{path}", headers=server.as_(by))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def post(server: Server, path: str, body: Any = None, by: str = "ada") -> Any:
    """What somebody is answered."""
    answer = await server.client.post(f"/api/v1{path}", json=body, headers=server.as_(by))
    assert answer.is_success, answer.text
    await asyncio.wait_for(server.engine.until_idle(), 60)
    return answer.json()


async def busy(server: Server) -> None:
    """Ada starts three runs, Ben says something to one of them, and Ada stops it."""
    await post(server, "/runs", {"workflow": "release"})
    await post(server, "/runs", {"workflow": "hello"})
    shown = await get(server, "/runs/1/steps")
    digest = shown["items"][0]["question"]["digest"]
    answer = {"decision": "approve", "comment": "fine", "digest": digest}
    await post(server, "/runs/1/questions/go_live/answer", answer, "ada")
    await post(server, "/runs/1/signal", {"name": "other"})
    await post(server, "/runs/1/cancel", {})
    await post(server, "/runs", {"workflow": "hello"})


EXPECTED = [
    ("started", 3),
    ("cancelled", 1),
    ("sent the signal", 1),
    ("approved", 1),
    ("started", 2),
    ("started", 1),
]
"""The newest first."""


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_the_acts_of_all_runs_page_by_page(tmp_path: Path, limit: int) -> None:
    """Every act stands in the list once, the newest first, however long the pages are; it is the same as run by run."""
    write_project(tmp_path, {"release": RELEASE, "hello": HELLO}, project=LIMITED)
    async with server_in(tmp_path) as server:
        await busy(server)
        found, before = [], None
        while True:
            page = await get(server, f"/audit?limit={limit}" + (f"&before={before}" if before else ""))
            found += page["items"]
            before = page["next"]
            if before is None:
                break
        by_run = [act for run in (1, 2, 3) for act in (await get(server, f"/runs/{run}/audit"))["items"]]

    assert [(act["did"], act["run"]) for act in found] == EXPECTED
    assert sorted(found, key=lambda act: (act["run"], act["record"])) == by_run


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("did=started", [3, 2, 1]),
        ("did=approved&by=ada", [1]),
        ("by=ben", []),
        ("by=user:ada&workflow=hello", [3, 2]),
        ("since=1h&limit=1", [3]),
        ("since=2999-01-01T00:00:00Z", []),
    ],
)
async def test_the_acts_that_are_wanted(tmp_path: Path, query: str, expected: list[int]) -> None:
    """The list holds the acts that fit, and no others."""
    write_project(tmp_path, {"release": RELEASE, "hello": HELLO}, project=LIMITED)
    async with server_in(tmp_path) as server:
        await busy(server)
        found = await get(server, f"/audit?{query}")

    assert [act["run"] for act in found["items"]] == expected


async def test_acts_on_what_one_may_not_see_are_not_listed(tmp_path: Path) -> None:
    """Whoever may see the acts of one workflow sees no others, and does not verify the whole."""
    write_project(tmp_path, {"release": RELEASE, "hello": HELLO}, project=LIMITED)
    async with server_in(tmp_path) as server:
        await busy(server)
        found = await get(server, "/audit", "ben")
        refused = [
            (await server.client.get(f"/api/v1{path}", headers=server.as_("ben"))).status_code
            for path in ("/runs/1/audit", "/audit/verify")
        ]

    assert [act["run"] for act in found["items"]] == [3, 2]
    assert refused == [403, 403]


async def test_no_run_is_read_but_for_its_acts(tmp_path: Path) -> None:
    """What lists the acts of all runs reads the records of acts, and no others."""
    write_project(tmp_path, {"hello": HELLO}, project=LIMITED)
    async with server_in(tmp_path) as server:
        for _ in range(3):
            await post(server, "/runs", {"workflow": "hello"})
        records = server.app.reader.act_records(before=audit.END_OF_TIME)

    assert [(run, sequence) for run, (sequence, _, _) in records] == [(3, 1), (2, 1), (1, 1)]


async def test_the_record_is_verified(tmp_path: Path) -> None:
    """The record of an untouched journal holds; one that was changed does not, and the place is named."""
    write_project(tmp_path, {"hello": HELLO}, project=LIMITED)
    async with server_in(tmp_path) as server:
        await post(server, "/runs", {"workflow": "hello"})
        before = await get(server, "/audit/verify")
        anchored = await get(server, f"/audit/verify?anchor={before['anchor']}")
        with server.app.store.requests._desk.connection() as connection:
            connection.execute("DROP TRIGGER journal_never_changes")
            connection.execute("UPDATE journal SET at = at + 1 WHERE run = 1 AND sequence = 2")
        after = await get(server, "/audit/verify")

    assert (before["holds"], anchored["holds"], after["holds"]) == (True, True, False)
    assert (after["breaks"][0]["run"], after["breaks"][0]["record"]) == (1, 2)


@pytest.mark.parametrize(
    ("sql", "kind", "act"),
    [
        ("UPDATE identity_acts SET by = 'user:eve' WHERE id = 1", "changed", 1),
        ("DELETE FROM identity_acts WHERE id = 1", "missing", 1),
        ("DELETE FROM identity_acts WHERE id = 2", "cut", 2),
    ],
)
async def test_the_record_of_people_is_verified(tmp_path: Path, sql: str, kind: str, act: int) -> None:
    """An act about access that was changed, removed or cut off is named beside the journal, which holds."""
    write_project(tmp_path, {"hello": HELLO}, project=LIMITED)
    async with server_in(tmp_path) as server:
        for name in ("eve", "fay"):
            done = IdentityAct(at=1, by="user:ada", did="added a user", about=f"user:{name}")
            server.app.store.identities.write_user(UserRow(name=name), done)
        before = await get(server, "/audit/verify")
        with server.app.store.requests._desk.connection() as connection:
            connection.execute("DROP TRIGGER identity_acts_stay")
            connection.execute("DROP TRIGGER identity_acts_hold")
            connection.execute(sql)
        after = await get(server, "/audit/verify")
        page = (await server.client.get("/audit/verify", headers=server.as_("ada"))).text

    assert (before["holds"], before["access"]) == (
        True,
        {"holds": True, "acts": 2, "breaks": [], "breaks_more": 0},
    )
    assert (after["holds"], after["breaks"], after["access"]["holds"]) == (False, [], False)
    assert [(one["kind"], one["act"]) for one in after["access"]["breaks"]] == [(kind, act)]
    assert "The record was changed" in page
    assert f"<li>act {act}: " in page


async def test_a_rehearsal_starts_nothing(tmp_path: Path) -> None:
    """A rehearsal tells what a run would do, by step, and no run comes of it."""
    write_project(tmp_path, {"release": RELEASE, "hello": HELLO}, project=LIMITED)
    async with server_in(tmp_path) as server:
        told = await post(server, "/runs/rehearse", {"workflow": "release"})
        runs = server.app.reader.runs()

    assert runs == ()
    assert (told["dry_run"], told["asking"]) == (True, 1)
    assert [step["path"] for step in told["steps"]] == ["go_live", "hold"]
