"""Runs read through the API: lists, one run now and then, its facts, steps, log, files and picture."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from server_support import TestServer as Server
from server_support import server_in, write_project

from towpath.cli.group import run as command_line
from towpath.core.decide import new_run
from towpath.core.events import AnyEvent
from towpath.core.evolve import evolve
from towpath.server.api import finding
from towpath.server.api.artifacts import disposition

RELEASE = """
name: release
kind: deployment
labels: {team: shop}
inputs:
  version: {type: string}
  where: {type: string, default: staging}
environment: ${{ inputs.where }}
steps:
  - id: build
    run: |
      echo "building $VERSION"
      echo "a second line"
      mkdir -p out
      echo report >out/report.html
      echo "image=shop:$VERSION" >>"$TOW_OUTPUT"
    env: {VERSION: "${{ inputs.version }}"}
    outputs: [image]
    artifacts: [out/report.html]
  - id: go_live
    approve: Release ${{ inputs.version }}?
    who: [group:operators]
    show: {image: "${{ steps.build.outputs.image }}"}
"""
HELLO = """
name: hello
steps:
  - {id: greet, run: echo hello}
"""
WORKFLOWS = {"release": RELEASE, "hello": HELLO}
PROJECT = """
people:
  users:
    ada: {email: ada@example.org}
    ben: {email: ben@example.org}
    cy: {email: cy@example.org}
    vic: {email: vic@example.org}
  groups:
    operators: ["user:ben", "user:cy"]
environments:
  staging: {}
  production: {}
access:
  grants:
    - {role: admin, to: ["user:ada"]}
    - {role: viewer, to: ["user:vic"]}
    - {role: operator, to: ["user:ben"], environments: [production]}
    - {role: operator, to: ["user:cy"], workflows: [hello]}
"""


async def start(server: Server, workflow: str, **inputs: Any) -> int:
    """A run that has come to where it only waits, or has ended."""
    request = server.app.request(server.app.find(workflow), inputs)
    number = (await server.engine.start(request)).number
    await asyncio.wait_for(server.engine.until_idle(), 60)
    return int(number)


async def get(server: Server, path: str, by: str = "ada") -> Any:
    """What somebody gets."""
    answer = await server.client.get(f"/api/v1{path}", headers=server.as_(by))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def code(server: Server, path: str, by: str = "ada") -> int:
    """With which status somebody is answered."""
    answer = await server.client.get(f"/api/v1{path}", headers=server.as_(by))
    return answer.status_code


async def some_runs(server: Server) -> None:
    """1: a release to staging that waits, 2: one to production that waits, 3 and 4: two that greeted."""
    await start(server, "release", version="1.2")
    await start(server, "release", version="1.3", where="production")
    await start(server, "hello")
    await start(server, "hello")


WANTED = {
    "": [4, 3, 2, 1],
    "status=waiting": [2, 1],
    "status=waiting&status=succeeded": [4, 3, 2, 1],
    "workflow=hello": [4, 3],
    "environment=production": [2],
    "kind=deployment": [2, 1],
    "label=team=shop": [2, 1],
    "label=team=shop&label=x=y": [],
    "is_open=true": [2, 1],
    "is_open=false": [4, 3],
    "is_waiting=true": [2, 1],
    "since=1h": [4, 3, 2, 1],
    "since=2999-01-01": [],
    "origin=1": [],
    "q=hello": [4, 3],
    "q=shop": [2, 1],
    "q=2": [2, 1],
    "q=%25": [],
    "before=3": [2, 1],
    "limit=3": [4, 3, 2],
    "status=succeeded&workflow=hello&limit=1": [4],
}


async def test_the_runs_that_are_wanted(tmp_path: Path) -> None:
    """A list holds the runs that fit, the newest first, and no others."""
    write_project(tmp_path, WORKFLOWS, project=PROJECT)
    async with server_in(tmp_path) as server:
        await some_runs(server)
        found = {query: await get(server, f"/runs?{query}") for query in WANTED}

    assert {query: [run["number"] for run in page["items"]] for query, page in found.items()} == WANTED


WRONG = {
    "status=flying": "query.status.0",
    "limit=0": "query.limit",
    "limit=501": "query.limit",
    "since=yesterday": "query.since",
    "label=team": "query.label",
    "before=x": "query.before",
    "unknown=1": "query.unknown",
}


async def test_a_question_that_makes_no_sense(tmp_path: Path) -> None:
    """A parameter that is wrong, or that there is none of, is named."""
    write_project(tmp_path, WORKFLOWS, project=PROJECT)
    async with server_in(tmp_path) as server:
        found = {
            query: await server.client.get(f"/api/v1/runs?{query}", headers=server.as_("ada"))
            for query in WRONG
        }

    assert {answer.status_code for answer in found.values()} == {422}
    assert {query: answer.json()["problems"][0]["where"] for query, answer in found.items()} == WRONG


@pytest.mark.parametrize(
    ("by", "visible"), [("ada", [4, 3, 2, 1]), ("vic", [4, 3, 2, 1]), ("ben", [2]), ("cy", [4, 3])]
)
async def test_what_one_may_not_see_is_nowhere(tmp_path: Path, by: str, visible: list[int]) -> None:
    """A run that somebody may not see is not listed, not searched, not counted, not `last`, and refused by its name."""
    write_project(tmp_path, WORKFLOWS, project=PROJECT)
    async with server_in(tmp_path) as server:
        await some_runs(server)
        listed = [run["number"] for run in (await get(server, "/runs", by))["items"]]
        searched = [run["number"] for run in (await get(server, "/runs?q=ada", by))["items"]]
        counted = await get(server, "/runs/counts", by)
        last = (await get(server, "/runs/last", by))["number"]
        nouns = ("", "/events", "/steps", "/children", "/graph", "/logs", "/artifacts", "/evidence")
        codes = {
            number: {await code(server, f"/runs/{number}{noun}", by) for noun in nouns}
            for number in (1, 2, 3, 4)
        }

    assert (listed, searched, counted["total"], last) == (visible, visible, len(visible), visible[0])
    assert codes == {number: {200} if number in visible else {403} for number in (1, 2, 3, 4)}


async def pages(server: Server, by: str, limit: int) -> list[list[int]]:
    """All pages of somebody's list."""
    found: list[list[int]] = []
    before = ""
    while True:
        page = await get(server, f"/runs?limit={limit}{before}", by)
        found.append([run["number"] for run in page["items"]])
        if page["next"] is None:
            return found
        before = f"&before={page['next']}"


async def test_pages_lead_through_the_whole_list(tmp_path: Path) -> None:
    """Page after page gives every run once; a page is full although others stand between, and the last says that it is the last."""
    write_project(tmp_path, WORKFLOWS, project=PROJECT)
    async with server_in(tmp_path) as server:
        await some_runs(server)
        found = {
            (by, limit): await pages(server, by, limit)
            for by in ("ada", "ben", "cy")
            for limit in (1, 2, 3, 4)
        }

    assert found == {
        ("ada", 1): [[4], [3], [2], [1]],
        ("ada", 2): [[4, 3], [2, 1]],
        ("ada", 3): [[4, 3, 2], [1]],
        ("ada", 4): [[4, 3, 2, 1]],
        ("ben", 1): [[2]],
        ("ben", 2): [[2]],
        ("ben", 3): [[2]],
        ("ben", 4): [[2]],
        ("cy", 1): [[4], [3]],
        ("cy", 2): [[4, 3]],
        ("cy", 3): [[4, 3]],
        ("cy", 4): [[4, 3]],
    }


async def test_one_request_looks_at_a_bounded_number_of_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where little is visible a page ends at the limit and says where to go on: nothing is lost, nothing is looked at without end."""
    monkeypatch.setattr(finding, "ROWS_LOOKED_AT_MAX", 2)
    write_project(tmp_path, WORKFLOWS, project=PROJECT)
    async with server_in(tmp_path) as server:
        await some_runs(server)
        first = await get(server, "/runs", "ben")
        second = await get(server, f"/runs?before={first['next']}", "ben")

    assert (first["items"], first["next"]) == ([], 3)
    assert [run["number"] for run in second["items"]] == [2]


async def test_a_run_has_several_names(tmp_path: Path) -> None:
    """A run is found by its number, its id, a beginning of the id that no other has, or as the last; another name is answered with 404."""
    write_project(tmp_path, WORKFLOWS, project=PROJECT)
    async with server_in(tmp_path) as server:
        none_yet = await code(server, "/runs/last")
        await start(server, "hello")
        run_id = server.app.reader.run("1").id
        known = [await get(server, f"/runs/{name}") for name in ("1", "%231", run_id, run_id[:10], "last")]
        unknown = {await code(server, f"/runs/{name}") for name in ("99", "nothing", "%2e%2e", "0")}

    assert {(run["number"], run["id"]) for run in known} == {(1, run_id)}
    assert (none_yet, unknown) == (404, {404})


async def test_the_facts_are_exact(tmp_path: Path) -> None:
    """The facts as the API tells them are those of the journal, value for value: whoever folds them gets the same state."""
    write_project(tmp_path, WORKFLOWS, project=PROJECT)
    async with server_in(tmp_path) as server:
        await start(server, "release", version="1.2")
        row, state = server.app.run("1")
        told, after = [], 0
        while True:
            page = await get(server, f"/runs/1/events?after={after}&limit=2")
            told += page["items"]
            if page["next"] is None:
                break
            after = page["next"]
        kept = [fact for _, fact in server.app.events(row)]
        read = [msgspec.convert(one, AnyEvent) for one in told]
        folded = new_run(state.plan, row.id)
        for fact in read:
            folded = evolve(folded, fact)

    assert read == kept
    assert folded == state
    assert [one["sequence"] for one in told] == list(range(1, len(kept) + 1))


async def test_a_run_as_it_was(tmp_path: Path) -> None:
    """The state at every fact is the fold of the facts up to it, from its acceptance to now; beyond the last there is none."""
    write_project(tmp_path, WORKFLOWS, project=PROJECT)
    async with server_in(tmp_path) as server:
        await start(server, "release", version="1.2")
        last = (await get(server, "/runs/1"))["last_sequence"]
        then = [await get(server, f"/runs/1?at={at}") for at in range(1, last + 1)]
        now = await get(server, "/runs/1")
        steps = [len((await get(server, f"/runs/1/steps?at={at}"))["items"]) for at in range(1, last + 1)]
        pictures = {
            (await server.client.get(f"/api/v1/runs/1/graph?at={at}", headers=server.as_("ada"))).text
            for at in range(1, last + 1)
        }
        beyond = await code(server, f"/runs/1?at={last + 1}")

    assert [run["sequence"] for run in then] == list(range(1, last + 1))
    assert [run["status"] for run in then] == ["running"] * (last - 1) + ["waiting"]
    assert then[-1] == now
    assert (steps, beyond) == ([0, 1, 1, 2, 2], 404)
    assert len(pictures) >= 4


async def test_a_run_says_why_it_waits(tmp_path: Path) -> None:
    """Whoever looks at a run sees what it waits for and since when, who drives it, and where more is told."""
    write_project(tmp_path, WORKFLOWS, project=PROJECT)
    async with server_in(tmp_path) as server:
        await start(server, "release", version="1.2")
        run = await get(server, "/runs/1")
        linked = {
            noun: await code(server, url[len("/api/v1") :]) for noun, url in run["links"].items() if url
        }

    assert [(wait["step"], wait["reason"], wait["asks"]) for wait in run["waits"]] == [
        ("go_live", "asks group:operators: Release 1.2?", True)
    ]
    assert (run["owner_process"]["command"], run["owner_process"]["life"]) == ("tow up", "alive")
    assert set(linked.values()) == {200}


async def test_evidence_is_told_with_what_was_decided(tmp_path: Path) -> None:
    """What people were shown beside a question is told with the question, and with the digest that binds an answer to it."""
    write_project(tmp_path, WORKFLOWS, project=PROJECT)
    async with server_in(tmp_path) as server:
        await start(server, "release", version="1.2")
        (found,) = (await get(server, "/runs/1/evidence"))["items"]

    assert (found["step"], found["evidence"], found["answers"]) == ("go_live", {"image": "shop:1.2"}, [])
    assert len(found["digest"]) == 64


LINES = {
    "": ["building 1.2", "a second line"],
    "limit=1": ["building 1.2"],
    "after=1": ["a second line"],
    "tail=1": ["a second line"],
    "q=SECOND": ["a second line"],
    "q=nothing": [],
    "step=build": ["building 1.2", "a second line"],
    "step=build&attempt=2": [],
}


async def test_the_lines_that_are_wanted(tmp_path: Path) -> None:
    """A log is read page by page, from its end, searched, and by step and attempt."""
    write_project(tmp_path, WORKFLOWS, project=PROJECT)
    async with server_in(tmp_path) as server:
        await start(server, "release", version="1.2")
        found = {query: await get(server, f"/runs/1/logs?{query}") for query in LINES}
        nowhere = await code(server, "/runs/1/logs?step=nothing")

    assert {query: [line["text"] for line in page["items"]] for query, page in found.items()} == LINES
    assert {query: page["next"] for query, page in found.items() if page["next"]} == {"limit=1": 1}
    assert nowhere == 404


async def test_a_log_as_text(tmp_path: Path) -> None:
    """The whole log is one text where that is wanted."""
    write_project(tmp_path, WORKFLOWS, project=PROJECT)
    async with server_in(tmp_path) as server:
        await start(server, "release", version="1.2")
        answer = await server.client.get("/api/v1/runs/1/logs?format=text", headers=server.as_("ada"))

    assert answer.text == "building 1.2\na second line\n"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


async def test_a_file_is_handed_out_and_never_shown(tmp_path: Path) -> None:
    """A kept file is an attachment of unknown kind that no browser shows or runs, found by name, the end of it, or digest."""
    write_project(tmp_path, WORKFLOWS, project=PROJECT)
    async with server_in(tmp_path) as server:
        await start(server, "release", version="1.2")
        (kept,) = (await get(server, "/runs/1/artifacts"))["items"]
        names = ("out/report.html", "report.html", kept["sha256"])
        answers = [
            await server.client.get(f"/api/v1/runs/1/artifacts/{name}", headers=server.as_("ada"))
            for name in names
        ]
        missing = [await code(server, f"/runs/1/artifacts/{name}") for name in ("x", "%2e%2e/report.html")]

    assert {answer.content for answer in answers} == {b"report\n"}
    headers = answers[0].headers
    assert headers["content-type"] == "application/octet-stream"
    assert (
        headers["content-disposition"] == "attachment; filename=\"report.html\"; filename*=UTF-8''report.html"
    )
    assert (headers["x-content-type-options"], headers["content-security-policy"]) == (
        "nosniff",
        "default-src 'none'; sandbox",
    )
    assert missing == [404, 404]


async def test_a_damaged_file_is_not_whole(tmp_path: Path) -> None:
    """A file that is not what was kept does not arrive as if it were."""
    write_project(tmp_path, WORKFLOWS, project=PROJECT)
    async with server_in(tmp_path) as server:
        await start(server, "release", version="1.2")
        (kept,) = server.app.reader.artifacts(server.app.reader.run("1").number)
        server.app.artifacts.path(kept.digest).write_bytes(b"forged\n")
        try:
            answer = await server.client.get(
                "/api/v1/runs/1/artifacts/report.html", headers=server.as_("ada")
            )
            content = answer.content
        except Exception:  # noqa: BLE001 - the connection breaks off
            content = b""

    assert content == b""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a b.txt", "attachment; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt"),
        ("x/ü.txt", "attachment; filename=\"_.txt\"; filename*=UTF-8''%C3%BC.txt"),
        (
            'a"\r\nSet-Cookie: x',
            "attachment; filename=\"a___Set-Cookie_ x\"; filename*=UTF-8''a%22%0D%0ASet-Cookie%3A%20x",
        ),
    ],
)
def test_the_name_of_a_file_cannot_break_out(name: str, expected: str) -> None:
    """Whatever a step calls its file, it stays one name in one header."""
    assert expected == disposition(name)


async def test_a_definition_is_kept_for_its_runs(tmp_path: Path) -> None:
    """The text that a run started with is there, whatever has become of the file, for those who may see the workflow."""
    write_project(tmp_path, WORKFLOWS, project=PROJECT)
    async with server_in(tmp_path) as server:
        await start(server, "release", version="1.2")
        digest = server.app.reader.run("1").definition
        (tmp_path / "workflows" / "release.yaml").unlink()
        found = await get(server, f"/definitions/{digest}")
        codes = [
            await code(server, f"/definitions/{name}", by)
            for name, by in ((digest, "cy"), ("0" * 64, "ada"), ("x", "ada"))
        ]

    assert (found["text"], found["workflow"]) == (RELEASE, "release")
    assert codes == [403, 404, 422]


async def test_the_command_line_prints_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `tow … --json` prints stands in the answers of the API, field for field."""
    write_project(tmp_path, WORKFLOWS, project=PROJECT)
    monkeypatch.chdir(tmp_path)
    async with server_in(tmp_path) as server:
        await start(server, "release", version="1.2")

        async def printed(*words: str) -> Any:
            await asyncio.to_thread(command_line, ["--data", str(tmp_path / ".towpath"), *words, "--json"])
            return json.loads(capsys.readouterr().out.partition("\n")[0])

        pairs = [
            (await printed("ps"), (await get(server, "/runs"))["items"][0]),
            (await printed("logs", "1"), (await get(server, "/runs/1/logs"))["items"][0]),
            (await printed("artifacts", "1"), (await get(server, "/runs/1/artifacts"))["items"][0]),
            (await printed("audit", "log"), (await get(server, "/audit"))["items"][0]),
        ]

    for said, told in pairs:
        assert said == {key: told[key] for key in said}
