"""Asking twice does nothing twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest
from server_support import TestServer as Server
from server_support import server_in, write_project

from towpath.observe import audit
from towpath.store.contract import OwnerId
from towpath.store.requests import ANSWER_BYTES_MAX, KeptAnswer

WAITING = """
name: waiting
steps:
  - id: hold
    repeat:
      - wait: {signal: go}
    until: "false"
    times: 5
  - id: bad
    run: exit 1
"""
HELLO = """
name: hello
steps:
  - {id: greet, run: echo hello}
"""
START = {"workflow": "hello"}


def project(tmp_path: Path) -> None:
    """The project of these tests."""
    write_project(tmp_path, {"waiting": WAITING, "hello": HELLO})


async def post(
    server: Server, path: str, body: Any = None, *, by: str = "ada", key: str = "k1"
) -> httpx2.Response:
    """What somebody is answered."""
    headers = server.as_(by) | {"Idempotency-Key": key}
    return await server.client.post(f"/api/v1{path}", json=body, headers=headers)


async def hold(server: Server) -> int:
    """A run that waits for a signal."""
    request = server.app.request(server.app.find("waiting"), {})
    number = (await server.engine.start(request)).number
    await asyncio.wait_for(server.engine.until_idle(), 60)
    return int(number)


def acts_of(server: Server, number: int) -> list[str]:
    """What was done to a run."""
    row = server.app.reader.run(str(number))
    return [act.did for act in audit.acts(server.app.reader.events(row.number))]


async def test_the_same_request_gets_the_same_answer(tmp_path: Path) -> None:
    """A start that is sent again with its key starts nothing, and is answered as it was."""
    project(tmp_path)
    async with server_in(tmp_path) as server:
        first = await post(server, "/runs", START)
        second = await post(server, "/runs", START)
        runs = server.app.reader.runs()

    assert len(runs) == 1
    assert (first.status_code, first.headers.get("idempotency-replayed")) == (201, None)
    assert (second.status_code, second.headers["idempotency-replayed"]) == (201, "true")
    assert (second.json(), second.headers["location"]) == (first.json(), first.headers["location"])


async def test_it_is_remembered_by_the_next_process(tmp_path: Path) -> None:
    """The key counts after a restart as before."""
    project(tmp_path)
    async with server_in(tmp_path) as server:
        first = await post(server, "/runs", START)
    async with server_in(tmp_path) as server:
        second = await post(server, "/runs", START)
        runs = server.app.reader.runs()

    assert (len(runs), second.json()) == (1, first.json())


@pytest.mark.parametrize(
    ("by", "key", "body", "code", "runs"),
    [
        ("ada", "k1", {"workflow": "waiting"}, 422, 1),
        ("ada", "k2", START, 201, 2),
        ("ben", "k1", START, 201, 2),
        ("ada", "", START, 422, 1),
        ("ada", "x" * 201, START, 422, 1),
        ("ada", "two words", START, 422, 1),
    ],
)
async def test_whose_key_it_is_and_for_what(
    tmp_path: Path, by: str, key: str, body: Any, code: int, runs: int
) -> None:
    """A key stands for one request of one person: another request with it is refused, another person's key is another key."""
    project(tmp_path)
    async with server_in(tmp_path) as server:
        await post(server, "/runs", START)
        answer = await post(server, "/runs", body, by=by, key=key)
        found = server.app.reader.runs()

    assert (answer.status_code, len(found)) == (code, runs), answer.text


async def test_a_refused_request_leaves_its_key_free(tmp_path: Path) -> None:
    """What was refused did nothing, so the same key may be tried again once the reason is gone."""
    project(tmp_path)
    async with server_in(tmp_path) as server:
        refused = await post(server, "/runs/1/signal", {"name": "go"})
        number = await hold(server)
        again = await post(server, "/runs/1/signal", {"name": "go"})

    assert (number, refused.status_code, again.status_code) == (1, 404, 200)


async def test_many_at_once_do_it_once(tmp_path: Path) -> None:
    """Of the same request sent many times at once one is done; the others get its answer, or are told to ask again."""
    project(tmp_path)
    async with server_in(tmp_path) as server:
        number = await hold(server)
        signal = {"name": "go"}
        answers = await asyncio.gather(*(post(server, f"/runs/{number}/signal", signal) for _ in range(8)))
        last = await post(server, f"/runs/{number}/signal", signal)

        assert acts_of(server, number).count("sent the signal") == 1
    assert {one.status_code for one in answers} <= {200, 409}
    assert (last.status_code, last.headers["idempotency-replayed"]) == (200, "true")


def cut_off(server: Server) -> None:
    """The last request was begun by a process that died before it could answer."""
    desk = server.app.store.requests._desk
    with desk.connection() as connection:
        connection.execute("UPDATE requests SET status = NULL, body = NULL, owner = 'gone'")


@pytest.mark.parametrize(
    ("act", "body", "did"),
    [
        ("signal", {"name": "go"}, "sent the signal"),
        ("cancel", {}, "cancelled"),
        ("rollback", {}, "rolled back"),
    ],
)
async def test_what_was_cut_off_is_not_done_twice(tmp_path: Path, act: str, body: Any, did: str) -> None:
    """Where the server died between the act and its answer, asking again finds the act in the journal."""
    project(tmp_path)
    async with server_in(tmp_path) as server:
        number = await hold(server)
        await post(server, f"/runs/{number}/{act}", body)
        await asyncio.wait_for(server.engine.until_idle(), 60)
        cut_off(server)
        again = await post(server, f"/runs/{number}/{act}", body)

        assert acts_of(server, number).count(did) == 1
    assert (again.status_code, again.headers.get("idempotency-replayed")) == (200, None), again.text


async def test_a_start_that_was_cut_off_finds_its_run(tmp_path: Path) -> None:
    """Where the server died between the start and its answer, asking again gives the run that it had started."""
    project(tmp_path)
    async with server_in(tmp_path) as server:
        first = await post(server, "/runs", START)
        cut_off(server)
        again = await post(server, "/runs", START)
        runs = server.app.reader.runs()

    assert (len(runs), again.status_code) == (1, 201)
    assert again.json()["run"]["id"] == first.json()["run"]["id"]


async def test_what_was_cut_off_before_it_was_done_is_done(tmp_path: Path) -> None:
    """Where the server died before the act, asking again does it."""
    project(tmp_path)
    async with server_in(tmp_path) as server:
        number = await hold(server)
        await post(server, f"/runs/{number}/signal", {"name": "other"})
        cut_off(server)
        with server.app.store.requests._desk.connection() as connection:
            connection.execute("UPDATE requests SET began_at = ?", (server.app.now(),))
        await post(server, f"/runs/{number}/signal", {"name": "other"})

        assert acts_of(server, number).count("sent the signal") == 2


async def test_secrets_are_not_kept(tmp_path: Path) -> None:
    """An answer that shows a secret once is not kept: asking again tells that it was done."""
    project(tmp_path)
    async with server_in(tmp_path) as server:
        requests = server.app.store.requests
        owner = OwnerId(server.engine.owner)
        requests.begin("user:ada", "k9", b"f", owner=owner, at=server.app.now())
        long = b"x" * (ANSWER_BYTES_MAX + 1)
        requests.answer("user:ada", "k9", KeptAnswer(status=200, headers={}, body=long))
        kept = requests.begin("user:ada", "k9", b"f", owner=owner, at=server.app.now())

        made = await post(server, "/tokens", {"name": "laptop", "scope": ["run.view"]}, key="k3")
        again = await post(server, "/tokens", {"name": "laptop", "scope": ["run.view"]}, key="k3")
        with requests._desk.connection() as connection:
            bodies = connection.execute("SELECT body FROM requests WHERE key = 'k3'").fetchall()

    assert kept == KeptAnswer(status=200, headers={}, body=None)
    assert made.status_code in (200, 201), made.text
    assert (again.status_code, bodies) == (409, [(None,)])
