"""Events over HTTP: listed, shown, handed in, decided about once more, and tried out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from asked_support import ended, until
from server_support import PROJECT, TestServer, server_in, write_project

from towpath.store.contract import RunNumber

WORKFLOWS = {
    "deploy": """
name: deploy
on:
  - webhook: {path: /deploy, unsafe_unverified: true}
    inputs: {ref: "${{ event.ref }}"}
inputs: {ref: {type: string, pattern: "v.*"}}
steps: [{id: go, run: echo}]
""",
    "other": """
name: other
on:
  - webhook: {path: /deploy, unsafe_unverified: true}
    if: event.ref == 'never'
steps: [{id: go, run: echo}]
""",
}
LIMITED = """
    - {role: operator, to: ["user:dan"], workflows: [other]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with workflows that listen."""
    project = PROJECT.replace("    vic:", "    dan: {}\n    vic:").replace(
        "  grants:\n", "  grants:" + LIMITED
    )
    write_project(tmp_path, WORKFLOWS, project=project)
    return tmp_path


async def post(server: TestServer, path: str, who: str, body: Any = None) -> tuple[int, Any]:
    """What somebody posts, and the answer."""
    given = {} if body is None else {"json": body}
    answer = await server.client.post(f"/api/v1{path}", headers=server.as_(who), **given)
    return answer.status_code, answer.json()


async def get(server: TestServer, path: str, who: str) -> tuple[int, Any]:
    """What somebody is answered."""
    answer = await server.client.get(f"/api/v1{path}", headers=server.as_(who))
    return answer.status_code, answer.json()


async def test_an_event_is_handed_in_decided_about_and_told(folder: Path) -> None:
    """What a person hands in starts what it would have started; the event says who did, what each entry made of it and why not."""
    async with server_in(folder) as server:
        kept = await post(server, "/events", "ben", {"source": "webhook/deploy", "payload": {"ref": "v1"}})
        await server.app.decider(server.engine).work()
        await until(lambda: server.app.store.events.event("last").state == "matched")
        _, shown = await get(server, "/events/1", "vic")
        _, last = await get(server, "/events/last", "vic")
        _, page = await get(server, "/events?kind=webhook&limit=1", "vic")
        _, none = await get(server, "/events?state=failed", "vic")
        _, counts = await get(server, "/events/counts", "vic")
        status = await ended(server, RunNumber(1))

    assert (kept[0], kept[1]["event"], kept[1]["existing"]) == (202, 1, False)
    assert shown == last
    assert (shown["payload"], shown["state"], shown["headers"]["handed-in-by"]) == (
        {"ref": "v1"},
        "matched",
        "user:ben",
    )
    reactions = {one["workflow"]: one for one in shown["reactions"]}
    assert (reactions["deploy"]["run"], reactions["other"]["run"]) == (1, None)
    assert "if" in reactions["other"]["because"] or reactions["other"]["because"]
    assert ([one["event"] for one in page["items"]], page["next"], none["items"]) == ([1], None, [])
    assert (counts, status) == ({"matched": 1}, "succeeded")


async def test_an_event_is_decided_about_once_more_and_starts_nothing_twice(folder: Path) -> None:
    """A replay decides again with the workflows as they are; what was started before is found, not started."""
    async with server_in(folder) as server:
        await post(server, "/events", "ben", {"source": "webhook/deploy", "payload": {"ref": "v1"}})
        waiting = await post(server, "/events/1/replay", "ben")
        await server.app.decider(server.engine).work()
        again = await post(server, "/events/1/replay", "ben")
        await server.app.decider(server.engine).work()
        _, shown = await get(server, "/events/1", "ben")
        missing = await post(server, "/events/77/replay", "ben")
        await ended(server, RunNumber(1))

    assert (waiting[0], waiting[1]["is_again"]) == (202, False)
    assert (again[0], again[1]["is_again"]) == (202, True)
    assert [(one["run"], one["existing"]) for one in shown["reactions"] if one["workflow"] == "deploy"] == [
        (1, True)
    ]
    assert missing[0] == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"source": "webhook/deploy"}, 422),
        ({"source": "webhook/deploy", "payload": 1, "body": "1"}, 422),
        ({"source": "webhook", "payload": {}}, 409),
        ({"source": "moon", "payload": {}}, 404),
        ({"source": "github.push", "payload": {}}, 404),
        ({"source": "webhook/deploy", "payload": {}, "extra": 1}, 422),
    ],
)
async def test_what_cannot_be_read_is_refused_and_not_kept(folder: Path, body: Any, status: int) -> None:
    """A payload without a sender, of an unknown one, or none at all is refused, and nothing was kept."""
    async with server_in(folder) as server:
        answer = await post(server, "/events", "ben", body)
        _, page = await get(server, "/events", "ben")

    assert (answer[0], page["items"]) == (status, []), answer


async def test_whoever_sees_one_workflow_sees_its_part_of_an_event(folder: Path) -> None:
    """With a grant for one workflow, an event that concerns it shows what this one made of it; others do not show, nor do their payloads."""
    async with server_in(folder) as server:
        await post(server, "/events", "ben", {"source": "webhook/deploy", "payload": {"ref": "v1"}})
        undecided = await get(server, "/events/1", "dan")
        await server.app.decider(server.engine).work()
        not_his = await get(server, "/events/1", "dan")
        await post(server, "/events", "ben", {"source": "webhook/deploy", "payload": {"ref": "never"}})
        await server.app.decider(server.engine).work()
        _, shown = await get(server, "/events/2", "dan")
        _, last = await get(server, "/events/last", "dan")
        _, page = await get(server, "/events", "dan")
        refused = [
            (await post(server, "/events", "dan", {"source": "webhook/deploy", "payload": {}}))[0],
            (await post(server, "/events/2/replay", "dan"))[0],
            (await get(server, "/events/counts", "dan"))[0],
        ]
        await ended(server, RunNumber(2))

    assert (undecided[0], not_his[0], "v1" in str(not_his)) == (403, 403, False)
    assert [(one["workflow"], one["run"]) for one in shown["reactions"]] == [("other", 2)]
    assert shown == last
    assert ([one["event"] for one in page["items"]], "deploy:" in str(page)) == ([2], False)
    assert refused == [403, 403, 403]


@pytest.mark.parametrize(
    ("payload", "starts", "because"),
    [({"ref": "v2"}, True, ""), ({"ref": "main"}, False, "do not fit"), ({}, False, "ref")],
)
async def test_a_trial_says_what_would_start_and_keeps_nothing(
    folder: Path, payload: Any, starts: bool, because: str
) -> None:
    """A trial tells for each entry whether it would start, with which inputs, or why not; nothing is started and nothing is kept."""
    async with server_in(folder) as server:
        status, tried = await post(
            server, "/workflows/deploy/trigger_test", "vic", {"payload": payload, "source": "webhook"}
        )
        _, page = await get(server, "/events", "vic")
        runs = server.app.reader.runs()

    (entry,) = tried["entries"]
    assert (status, entry["starts"], because in entry["because"]) == (200, starts, True), tried
    assert entry["inputs"] == (payload if starts else None)
    assert (page["items"], runs) == ([], ())
