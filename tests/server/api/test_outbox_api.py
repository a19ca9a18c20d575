"""The outbox over HTTP: who was told what, and what failed is tried once more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from asked_support import asking, until
from server_support import PROJECT, TestServer, server_in, write_project

GATE = """
name: gate
steps: [{id: go, approve: Go?, who: ["user:ben"], four_eyes: false}]
"""
LIMITED = """
    - {role: operator, to: ["user:dan"], workflows: [other]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project without a channel: nobody can be told."""
    project = PROJECT.replace("    vic:", "    dan: {}\n    vic:").replace(
        "  grants:\n", "  grants:" + LIMITED
    )
    write_project(tmp_path, {"gate": GATE}, project=project)
    return tmp_path


async def call(server: TestServer, method: str, path: str, who: str) -> tuple[int, Any]:
    """What somebody is answered."""
    answer = await server.client.request(method, f"/api/v1{path}", headers=server.as_(who))
    return answer.status_code, answer.json()


async def told(server: TestServer) -> None:
    """Waits until it is on record that somebody was told, or could not be."""
    await until(lambda: bool(server.app.store.outbox.sendings()))


async def test_what_was_not_told_is_listed_and_a_way_is_looked_for(folder: Path) -> None:
    """A person whom no channel reaches stands in the outbox with the reason; once there is a channel, a retry finds the way."""
    async with server_in(folder) as server:
        await asking(server, "gate")
        await told(server)
        _, page = await call(server, "GET", "/outbox?failed=true&run=1", "ben")
        _, none = await call(server, "GET", "/outbox?to=cy", "ben")
        _, counts = await call(server, "GET", "/outbox/counts", "ben")
        text = (folder / "towpath.yaml").read_text()
        (folder / "towpath.yaml").write_text(
            f"{text}\nchannels: {{ops: {{kind: ntfy, url: 'https://ntfy.example.org', to: shop, default: true}}}}\n"
        )
        _, again = await call(server, "POST", "/outbox/1/retry", "ben")
        missing = await call(server, "POST", "/outbox/77/retry", "ben")

    (one,) = page["items"]
    assert (one["id"], one["state"], one["recipient"], one["path"]) == (1, "unreachable", "user:ben", "go")
    assert one["error"]
    assert (none["items"], counts) == ([], {"unreachable": 1})
    assert again["how"] == "anew"
    assert [each["channel"] for each in again["items"]] == ["ops"]
    assert missing[0] == 404


async def test_whoever_may_not_see_a_run_sees_nothing_that_was_told_of_it(folder: Path) -> None:
    """The outbox leaves out what is about runs that somebody may not see; a viewer has no outbox, and nobody retries for others."""
    async with server_in(folder) as server:
        await asking(server, "gate")
        await told(server)
        listed = await call(server, "GET", "/outbox", "dan")
        refused = [
            (await call(server, method, path, who))[0]
            for method, path, who in (
                ("GET", "/outbox", "vic"),
                ("GET", "/outbox/counts", "dan"),
                ("GET", "/outbox?run=1", "dan"),
                ("POST", "/outbox/1/retry", "dan"),
                ("POST", "/outbox/1/retry", "vic"),
            )
        ]

    assert (listed[0], listed[1]["items"]) == (200, [])
    assert refused == [403, 403, 403, 403, 403]
