"""Deliveries over HTTP: verified, durable before they are answered, each once, and never more at once than fit."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from server_support import PROJECT, TestServer, server_in, write_project

from towpath.server.api import hooks
from towpath.server.guarding import BODY_BYTES_MAX
from towpath.server.running.beating import beating
from towpath.store.contract import EventFilter, RunFilter

SECRET = "hush"
WORKFLOWS = {
    "release": """
        name: release
        on:
          - github.push: {branches: main}
        steps: [{id: make, run: "true"}]
        """,
    "deploy": """
        name: deploy
        on:
          - webhook: {path: /deploy, verify: {token: {secret: deploy}}, delivery_id: X-Delivery}
        steps: [{id: make, run: "true"}]
        """,
    "anybody": """
        name: anybody
        on:
          - webhook: {path: /open, unsafe_unverified: true}
        steps: [{id: make, run: "true"}]
        """,
    "asked": """
        name: asked
        on:
          - slack.command: {command: /asked, secret: slack}
        steps: [{id: make, run: "true"}]
        """,
}


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TestServer]:
    """A server whose workflows listen."""
    for name in ("github_webhook", "deploy", "slack"):
        monkeypatch.setenv(f"TOW_SECRET_{name.upper()}", SECRET)
    project = f"{PROJECT}\nsecrets: {{providers: [{{env: {{}}}}]}}\n"
    write_project(tmp_path, {name: cleaned(text) for name, text in WORKFLOWS.items()}, project=project)
    async with server_in(tmp_path) as made:
        yield made


def cleaned(text: str) -> str:
    """A text without what sets it in."""
    import textwrap

    return textwrap.dedent(text)


def push(delivery: str, *, branch: str = "main", secret: str = SECRET) -> dict[str, Any]:
    """A push as GitHub tells it."""
    body = json.dumps(
        {
            "ref": f"refs/heads/{branch}",
            "before": "0" * 40,
            "after": "1" * 40,
            "repository": {"full_name": "acme/shop", "default_branch": "main"},
            "commits": [],
        }
    ).encode()
    return {
        "content": body,
        "headers": {
            "Content-Type": "application/json",
            "X-GitHub-Event": "push",
            "X-GitHub-Delivery": delivery,
            "X-Hub-Signature-256": f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}",
        },
    }


async def settled(server: TestServer, *events: int) -> None:
    """Waits until what an event starts is decided."""
    async with asyncio.timeout(60):
        while any(server.app.store.events.event(one).settled_at is None for one in events):  # type: ignore[arg-type] # an EventId
            await asyncio.sleep(0.02)


async def test_a_delivery_is_kept_and_a_repeat_tells_its_run(server: TestServer) -> None:
    """The first answer is 202 with the event's number; the same delivery again is 200 with the same event and the run that it started."""
    async with beating(server.parts):
        first = await server.client.post("/hooks/github", **push("d-1"))
        await settled(server, first.json()["event"])
        again = await server.client.post("/hooks/github", **push("d-1"))
    runs = server.app.reader.runs(RunFilter(workflow="release"))

    assert (first.status_code, first.json()) == (202, {"event": 1, "existing": False, "runs": []})
    assert (again.status_code, again.json()) == (200, {"event": 1, "existing": True, "runs": [1]})
    assert [row.number for row in runs] == [1]


@pytest.mark.parametrize(
    ("path", "sent", "status"),
    [
        ("github", push("d", secret="wrong"), 401),
        ("github", {"content": b"{}", "headers": {"X-GitHub-Event": "push"}}, 401),
        ("github", {**push("d"), "content": b'{"ref": "refs/heads/other"}'}, 401),
        ("nobody", {"content": b"{}"}, 404),
        ("github/../deploy", {"content": b"{}"}, 401),
        ("", {"content": b"{}"}, 404),
        ("deploy", {"content": b"{}", "headers": {"Authorization": "Bearer wrong"}}, 401),
        (
            "deploy",
            {
                "content": b"{not json",
                "headers": {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"},
            },
            400,
        ),
        (
            "deploy",
            {
                "content": b"[" * 100 + b"]" * 100,
                "headers": {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"},
            },
            413,
        ),
        ("deploy", {"content": b"x" * (BODY_BYTES_MAX + 1)}, 413),
    ],
)
async def test_what_is_refused_is_not_kept(
    server: TestServer, path: str, sent: dict[str, Any], status: int
) -> None:
    """A wrong or missing signature is 401, an unknown path 404, what cannot be read 400, what is too long 413; nothing is kept."""
    answer = await server.client.post(f"/hooks/{path}", **sent)

    assert (status, "application/problem+json") == (answer.status_code, answer.headers["content-type"])
    assert server.app.store.events.events(EventFilter()) == ()
    assert SECRET not in answer.text


async def test_an_endless_body_is_cut_off(server: TestServer) -> None:
    """A body that does not say its length is read no further than the limit."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 4 * BODY_BYTES_MAX:
            sent += 65_536
            yield b"x" * 65_536

    answer = await server.client.post("/hooks/deploy", content=endless())

    assert (
        answer.status_code,
        answer.headers["content-type"].startswith("application/problem"),
    ) == (413, True)
    assert server.app.store.events.events(EventFilter()) == ()


async def test_a_sender_that_could_be_anybody_is_told_no_runs(server: TestServer) -> None:
    """A repeat at an unverified path gets its event's number, and no more."""
    sent = {"content": b'{"a": 1}', "headers": {"webhook-id": "one"}}
    async with beating(server.parts):
        first = await server.client.post("/hooks/open", **sent)
        await settled(server, first.json()["event"])
        again = await server.client.post("/hooks/open", **sent)

    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json() == {"event": 1, "existing": True, "runs": []}


async def test_slack_is_answered_as_it_wants(server: TestServer) -> None:
    """Slack takes only 200, and shows the text to whoever typed the command; its check of the address is answered too."""
    now = str(server.app.now() // 1_000_000)
    told = []
    for body in (b"command=%2Fasked&text=x&trigger_id=t1&channel_id=C1", b"ssl_check=1"):
        signature = hmac.new(SECRET.encode(), f"v0:{now}:".encode() + body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Slack-Request-Timestamp": now,
            "X-Slack-Signature": f"v0={signature}",
        }
        told.append(await server.client.post("/hooks/slack", content=body, headers=headers))

    assert [answer.status_code for answer in told] == [200, 200]
    assert told[0].json() == {
        "response_type": "ephemeral",
        "text": "Towpath takes care of it. (event 1)",
    }


@pytest.mark.parametrize(
    ("limit", "least"), [("HOOKS_AT_ONCE_MAX", 1), ("HOOK_BYTES_AT_ONCE_MAX", BODY_BYTES_MAX)]
)
async def test_too_many_at_once_are_asked_to_come_again(
    server: TestServer, monkeypatch: pytest.MonkeyPatch, limit: str, least: int
) -> None:
    """While as many deliveries, or bytes of them, are on their way as may be, one more gets 429 before its body is read."""
    monkeypatch.setattr(hooks, limit, least)
    goes_on = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        await goes_on.wait()
        yield push("slow")["content"]

    first = asyncio.create_task(
        server.client.post("/hooks/github", content=slow(), headers=push("slow")["headers"])
    )
    async with asyncio.timeout(60):
        while not getattr(server.application.state, "door", None) or not server.application.state.door.inside:
            await asyncio.sleep(0.01)
    second = await server.client.post("/hooks/github", **push("second"))
    goes_on.set()

    assert (second.status_code, second.headers["retry-after"]) == (429, "5")
    assert (await first).status_code == 202
    assert [row.delivery for row in server.app.store.events.events(EventFilter())] == ["slow"]


async def test_a_body_that_does_not_come_is_given_up(
    server: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sends nothing for too long does not keep others out."""
    monkeypatch.setattr(hooks, "BODY_SECONDS_MAX", 0.05)

    async def never() -> AsyncIterator[bytes]:
        await asyncio.sleep(3_600)
        yield b""

    answer = await server.client.post("/hooks/github", content=never())

    door = hooks.door_of(server.application)
    assert (answer.status_code, door.inside, door.bytes) == (400, 0, 0)


async def test_a_page_cannot_be_made_to_deliver(server: TestServer) -> None:
    """A GET delivers nothing."""
    answer = await server.client.get("/hooks/github")

    assert answer.status_code == 405
