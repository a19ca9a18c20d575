"""Runs started and acted upon through the API."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest
from server_support import TestServer as Server
from server_support import server_in, write_project

from towpath.store.contract import RunFilter

WORKFLOWS = {
    "hello": """
name: hello
inputs:
  times: {type: integer, default: 1, minimum: 1}
  to: {type: string, required: false}
steps:
  - {id: greet, run: echo hello}
""",
    "failing": """
name: failing
steps:
  - id: good
    run: echo good
    rollback: {run: echo undone}
  - id: bad
    run: exit 3
    on_failure: ask
""",
    "broken": """
name: broken
steps:
  - id: good
    run: echo good
    rollback: {run: echo undone}
  - id: bad
    run: exit 3
""",
    "waiting": """
name: waiting
steps:
  - id: hold
    wait: {signal: go}
""",
    "to_shop": """
name: to_shop
inputs:
  where: {type: string, default: staging}
environment: ${{ inputs.where }}
steps:
  - {id: greet, run: echo hello}
""",
}
LIMITED = """
people:
  users:
    ada: {email: ada@example.org}
    ben: {email: ben@example.org}
    cy: {email: cy@example.org}
    vic: {email: vic@example.org}
environments:
  staging: {}
  production: {}
access:
  grants:
    - {role: admin, to: ["user:ada"]}
    - {role: operator, to: ["user:ben"], environments: [staging]}
    - {role: operator, to: ["user:cy"], workflows: [hello]}
    - {role: viewer, to: ["user:vic"]}
"""


async def post(
    server: Server, path: str, body: Any = None, *, by: str = "ada", key: str = ""
) -> httpx2.Response:
    """What somebody is answered."""
    headers = server.as_(by) | ({"Idempotency-Key": key} if key else {})
    return await server.client.post(f"/api/v1/runs{path}", json=body, headers=headers)


async def started(server: Server, workflow: str, **inputs: Any) -> int:
    """A run that has come to where it only waits, or has ended."""
    answer = await post(server, "", {"workflow": workflow, "inputs": inputs})
    assert answer.status_code == 201, answer.text
    await asyncio.wait_for(server.engine.until_idle(), 60)
    return int(answer.json()["run"]["number"])


async def status(server: Server, number: int) -> str:
    """The run's status, once it rests."""
    await asyncio.wait_for(server.engine.until_idle(), 60)
    return server.app.reader.run(str(number)).summary.status


async def test_a_start_is_durable_and_says_where_the_run_is(tmp_path: Path) -> None:
    """Whoever starts a run gets it with its address, and is named in it."""
    write_project(tmp_path, WORKFLOWS)
    async with server_in(tmp_path) as server:
        answer = await post(server, "", {"workflow": "hello", "inputs": {"times": 2}}, by="ben")
        row = server.app.reader.run("last")

    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/v1/runs/{row.number}"
    assert (answer.json()["is_new"], answer.json()["run"]["started_by"]) == (True, "user:ben")
    assert (row.workflow, row.started_by) == ("hello", "user:ben")


IMPOSSIBLE: tuple[tuple[Any, int, str], ...] = (
    ({"workflow": "nothing"}, 404, "there is no workflow"),
    ({"workflow": "workflows/hello.yaml"}, 404, "there is no workflow"),
    ({"workflow": "/etc/passwd"}, 404, "there is no workflow"),
    ({"workflow": "hello", "inputs": {"times": "many"}}, 422, "`times` has to be an integer"),
    ({"workflow": "hello", "inputs": {"other": 1}}, 422, "`other` is not an input"),
    ({"workflow": "hello", "input": {}}, 422, "Extra inputs are not permitted"),
    ({}, 422, "Field required"),
    ([], 422, "valid dictionary"),
)


async def test_a_start_that_cannot_be(tmp_path: Path) -> None:
    """What cannot be started is refused with the reason, and nothing is started."""
    write_project(tmp_path, WORKFLOWS)
    async with server_in(tmp_path) as server:
        answers = [await post(server, "", body) for body, _, _ in IMPOSSIBLE]
        runs = server.app.reader.runs()

    assert [answer.status_code for answer in answers] == [code for _, code, _ in IMPOSSIBLE]
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}
    assert [
        told for answer, (_, _, told) in zip(answers, IMPOSSIBLE, strict=True) if told not in answer.text
    ] == []
    assert runs == ()


async def test_every_wrong_input_is_named(tmp_path: Path) -> None:
    """Problems of inputs come with the input that each of them is about."""
    write_project(tmp_path, WORKFLOWS)
    async with server_in(tmp_path) as server:
        answer = await post(server, "", {"workflow": "hello", "inputs": {"times": 0, "to": 3, "x": 1}})

    assert {one["where"] for one in answer.json()["problems"]} == {"times", "to", "x"}


ACTS: tuple[tuple[str, str, Any, str], ...] = (
    # workflow, act, body, the run's status afterwards
    ("waiting", "cancel", {"reason": "enough"}, "cancelled"),
    ("waiting", "signal", {"name": "go", "payload": {"a": 1}}, "succeeded"),
    ("waiting", "rollback", {}, "rolled_back"),
    ("failing", "skip", {"step": "bad"}, "partially_succeeded"),
    ("failing", "retry", {}, "waiting"),
    ("failing", "rollback", {"reason": "back"}, "rolled_back"),
    ("waiting", "resume", None, "waiting"),
)


@pytest.mark.parametrize(("workflow", "act", "body", "then"), ACTS)
async def test_what_is_done_to_an_open_run(
    tmp_path: Path, workflow: str, act: str, body: Any, then: str
) -> None:
    """Each act does what its command does, in the name of whoever asks; viewers and strangers are refused, and nothing happens."""
    write_project(tmp_path, WORKFLOWS)
    async with server_in(tmp_path) as server:
        number = await started(server, workflow)
        before = server.app.reader.last_sequence(server.app.reader.run(str(number)).number)
        refused = {
            by: (await post(server, f"/{number}/{act}", body, by=by)).status_code for by in ("vic", "eve")
        }
        untouched = server.app.reader.last_sequence(server.app.reader.run(str(number)).number)
        answer = await post(server, f"/{number}/{act}", body, by="ben")
        after = await status(server, number)

    assert (refused, untouched) == ({"vic": 403, "eve": 403}, before)
    assert (answer.status_code, answer.json().get("is_new")) == (200, False), answer.text
    assert after == then


@pytest.mark.parametrize(
    ("workflow", "act", "reason", "then"),
    [
        ("broken", "retry", "retry", "rolled_back"),
        ("hello", "rerun", "rerun", "succeeded"),
        ("failing", "rerun", "rerun", "waiting"),
    ],
)
async def test_a_new_run_follows_an_ended_one(
    tmp_path: Path, workflow: str, act: str, reason: str, then: str
) -> None:
    """An ended run never opens again: a new one goes on from it or repeats it, and names it."""
    write_project(tmp_path, WORKFLOWS)
    async with server_in(tmp_path) as server:
        number = await started(server, workflow)
        if workflow == "failing":
            await post(server, f"/{number}/cancel", {})
            await status(server, number)
        answer = await post(server, f"/{number}/{act}", {} if act == "retry" else None, by="ben")
        new = answer.json()["run"]["number"]
        after = await status(server, new)
        row = server.app.reader.run(str(new))

    assert (answer.status_code, answer.headers["location"]) == (201, f"/api/v1/runs/{new}")
    assert (row.origin, row.origin_reason, row.started_by, after) == (number, reason, "user:ben", then)


TOO_LATE: tuple[tuple[str, str, Any], ...] = (
    ("hello", "cancel", {}),
    ("hello", "signal", {"name": "go"}),
    ("hello", "retry", {}),
    ("hello", "rollback", {}),
    ("hello", "skip", {}),
    ("hello", "resume", None),
    ("waiting", "rerun", None),
    ("waiting", "retry", {}),
    ("waiting", "skip", {"step": "hold"}),
    ("waiting", "stop_step", {"step": "hold"}),
)


async def test_an_act_that_cannot_be(tmp_path: Path) -> None:
    """What cannot be done to a run in its state is refused with 409, and the reason; the run is as it was."""
    write_project(tmp_path, WORKFLOWS)
    async with server_in(tmp_path) as server:
        numbers = {name: await started(server, name) for name in ("hello", "waiting")}
        before = [server.app.reader.last_sequence(row.number) for row in server.app.reader.runs()]
        answers = [await post(server, f"/{numbers[name]}/{act}", body) for name, act, body in TOO_LATE]
        after = [server.app.reader.last_sequence(row.number) for row in server.app.reader.runs()]

    assert [(answer.status_code, bool(answer.json()["detail"])) for answer in answers] == [(409, True)] * len(
        TOO_LATE
    )
    assert after == before


STARTS: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("ada", {"workflow": "to_shop", "inputs": {"where": "production"}}, 201),
    ("ben", {"workflow": "to_shop", "inputs": {"where": "production"}}, 403),
    ("ben", {"workflow": "to_shop"}, 201),
    ("ben", {"workflow": "hello"}, 403),
    ("cy", {"workflow": "hello"}, 201),
    ("cy", {"workflow": "to_shop"}, 403),
    ("vic", {"workflow": "hello"}, 403),
    ("ben", {"workflow": "to_shop", "break_glass": "fire"}, 403),
    ("ada", {"workflow": "to_shop", "break_glass": "fire"}, 201),
)


async def test_who_may_start_what_where(tmp_path: Path) -> None:
    """A grant for an environment or a workflow is asked about with the environment that the inputs lead to, before anything starts."""
    write_project(tmp_path, WORKFLOWS, project=LIMITED)
    async with server_in(tmp_path) as server:
        codes = [(await post(server, "", body, by=by)).status_code for by, body, _ in STARTS]
        runs = server.app.reader.runs(RunFilter(rows_max=100))

    assert codes == [code for _, _, code in STARTS]
    assert sum(row.origin is None for row in runs) == codes.count(201)


async def test_inputs_of_a_workflow_are_for_those_who_may_see_it(tmp_path: Path) -> None:
    """Somebody who may neither see nor start a workflow does not learn from an error what its inputs are."""
    write_project(tmp_path, WORKFLOWS, project=LIMITED)
    async with server_in(tmp_path) as server:
        answer = await post(server, "", {"workflow": "failing", "inputs": {"x": 1}}, by="cy")

    assert answer.status_code == 403
    assert "input" not in answer.json()["detail"]


async def test_acts_on_what_one_may_not_see(tmp_path: Path) -> None:
    """A run of another environment is not acted upon."""
    write_project(tmp_path, WORKFLOWS, project=LIMITED)
    async with server_in(tmp_path) as server:
        number = await started(server, "waiting")
        answers = [
            (await post(server, f"/{number}/{act}", body, by="cy")).status_code for _, act, body, _ in ACTS
        ]
        after = await status(server, number)

    assert (set(answers), after) == ({403}, "waiting")
