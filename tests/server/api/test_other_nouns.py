"""Workflows, schedules, environments, people, the project, secrets and health over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from asked_support import asking, ended, started
from server_support import PROJECT, TestServer, server_in, write_project

WORKFLOWS = {
    "release": """
name: release
title: Release of the shop
kind: deployment
environment: production
on:
  - manual
  - schedule: {cron: "0 3 * * *", timezone: Europe/Berlin}
    inputs: {version: v1}
inputs:
  version: {type: string, pattern: "v[0-9]+", title: Version}
  hosts: {type: list, items: {type: string}, default: []}
steps:
  - {id: go, run: echo released}
""",
    "hello": "name: hello\nsteps:\n  - {id: greet, run: echo hello}\n",
    "half": "name: half\nsteps:\n  - {id: a, rum: echo}\n",
}
RULES = """
environments:
  production:
    title: The shop
    url: https://shop.example.org
    freeze: year_end
    windows: office
    approval: {who: ["group:operators"]}
    vars: {password: hunter2}
    concurrency: {max: 1}
  staging: {}
calendars:
  office: {time_zone: Europe/Berlin, hours: {mon-sun: "00:00-24:00"}}
  year_end: {freezes: [{from: 2020-01-01, until: 2099-12-31, title: Always winter}]}
channels:
  ops: {kind: slack, url: "https://hooks.slack.com/services/T0/B0/s3cret", to: "#ops"}
"""
ROTA = """
  on_call:
    shop: {title: The shop, rotations: [{people: ["user:ben", "user:cy"]}]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with a bit of everything."""
    write_project(
        tmp_path, WORKFLOWS, project=PROJECT.replace("access:", f"{ROTA.strip(chr(10))}\naccess:") + RULES
    )
    return tmp_path


async def get(server: TestServer, path: str, who: str = "vic") -> Any:
    """What somebody is answered."""
    answer = await server.client.get(f"/api/v1{path}", headers=server.as_(who))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_catalogue_tells_what_each_workflow_is_and_how_it_fares(folder: Path) -> None:
    """Every workflow is listed with what starts it, its next start and its latest runs; a file that does not load is listed as broken."""
    async with server_in(folder) as server:
        await ended(server, await started(server, "hello"))
        page = await get(server, "/workflows")
        first = await get(server, "/workflows?limit=1&q=e")
        second = await get(server, f"/workflows?limit=1&q=e&after={first['next']}")
        only = await get(server, "/workflows?kind=deployment")

    assert [one["name"] for one in page["items"]] == ["half", "hello", "release"]
    half, hello, release = page["items"]
    assert (half["is_broken"], hello["is_broken"], bool(half["why"])) == (True, False, True)
    assert str(folder) not in half["why"]
    assert [one["status"] for one in hello["recent"]] == ["succeeded"]
    assert (release["triggers"], release["next_start"] is not None) == (["manual", "schedule"], True)
    assert [first["items"][0]["name"], second["items"][0]["name"], second["next"]] == [
        "hello",
        "release",
        None,
    ]
    assert [one["name"] for one in only["items"]] == ["release"]


async def test_a_workflow_shows_its_text_its_inputs_and_its_problems(folder: Path) -> None:
    """One workflow has its text, its inputs as JSON Schema and its triggers; one that does not load has every problem with its caret."""
    async with server_in(folder) as server:
        release = await get(server, "/workflows/release")
        half = await get(server, "/workflows/half")
        graph = await server.client.get("/api/v1/workflows/release/graph", headers=server.as_("vic"))
        missing = [
            (await server.client.get(f"/api/v1/workflows/{name}", headers=server.as_("vic"))).status_code
            for name in ("nothing", "..%2F..%2Fetc%2Fpasswd", "workflows%2Fhello.yaml")
        ]

    assert release["path"] == "workflows/release.yaml"
    assert release["source"].startswith("\nname: release")
    assert release["inputs_schema"]["required"] == ["version"]
    assert release["inputs_schema"]["properties"]["version"]["pattern"] == "^(?:v[0-9]+)$"
    assert release["inputs_schema"]["properties"]["hosts"]["type"] == "array"
    assert [one["kind"] for one in release["on"]] == ["manual", "schedule"]
    assert release["problems"] == []
    assert any("^^^" in one["shown"] and "rum: echo" in one["shown"] for one in half["problems"])
    assert {one["path"] for one in half["problems"]} == {"workflows/half.yaml"}
    assert str(folder) not in str(half)
    assert (graph.status_code, graph.headers["content-type"], "<svg" in graph.text) == (
        200,
        "image/svg+xml",
        True,
    )
    assert missing == [404, 404, 404]


@pytest.mark.parametrize(
    ("source", "is_good"),
    [
        ("name: x\nsteps: [{id: a, run: echo}]", True),
        ("name: x\nsteps: [{id: a, run: echo, environment: moon}]", False),
        ("", False),
        ("{{{", False),
        ("name: x\nsteps: [{id: a, workflow: nothing}]", False),
    ],
)
async def test_a_text_is_checked_as_a_workflow_of_the_project(
    folder: Path, source: str, is_good: bool
) -> None:
    """A text is judged with the project's people, environments and workflows; nothing of it is kept."""
    async with server_in(folder) as server:
        answer = await server.client.post(
            "/api/v1/workflows/check", headers=server.as_("vic"), json={"source": source}
        )
        names = [one["name"] for one in (await get(server, "/workflows"))["items"]]

    assert (answer.status_code, answer.json()["is_good"]) == (200, is_good)
    assert bool(answer.json()["problems"]) is not is_good
    assert names == ["half", "hello", "release"]


async def test_the_schedule_tells_what_comes_with_its_freezes(folder: Path) -> None:
    """Between two moments every start stands with its zone, beside what calendars say; too long a time is refused."""
    async with server_in(folder) as server:
        agenda = await get(server, "/schedule?since=2026-03-27T00:00:00Z&until=2026-03-31T00:00:00Z")
        none = await get(server, "/schedule?workflow=hello")
        wrong = [
            (await server.client.get(f"/api/v1/schedule?{query}", headers=server.as_("vic"))).status_code
            for query in (
                "since=2026-01-01&until=2028-01-01",
                "since=2026-01-02&until=2026-01-01",
                "since=never",
            )
        ]

    # At three in the morning in Berlin; on 29 March the clocks go forward, from 02:00 to 03:00.
    assert [one["scheduled_at"] for one in agenda["starts"]] == [
        "2026-03-27T02:00:00.000Z",
        "2026-03-28T02:00:00.000Z",
        "2026-03-29T01:00:00.000Z",
        "2026-03-30T01:00:00.000Z",
    ]
    assert agenda["is_complete"] is True
    assert {one["kind"] for one in agenda["stretches"] if one["calendar"] == "year_end"} == {"freeze"}
    assert [one["environments"] for one in agenda["calendars"]] == [["production"], ["production"]]
    assert none["starts"] == []
    assert wrong == [422, 422, 422]


async def test_environments_tell_their_rules_and_who_is_in_them(folder: Path) -> None:
    """An environment shows its rules, what freezes it now, and the runs that are in it or wait for it; no value of a variable."""
    async with server_in(folder) as server:
        every = await get(server, "/environments")
        one = await get(server, "/environments/production")
        free = await get(server, "/environments/staging")
        missing = await server.client.get("/api/v1/environments/moon", headers=server.as_("vic"))

    assert [each["name"] for each in every["items"]] == ["production", "staging"]
    assert (one["is_open"], one["frozen_by"]["title"]) == (False, "Always winter")
    assert one["approval"]["who"] == ["group:operators"]
    assert (one["variables"], "hunter2" in str(one)) == (["password"], False)
    assert (free["is_open"], free["frozen_by"], free["runs_inside"]) == (True, None, [])
    assert missing.status_code == 404


async def test_a_run_that_waits_for_an_approval_of_an_environment_waits_there(tmp_path: Path) -> None:
    """A run at the gate of an environment is listed with those who wait for it, and not with those inside."""
    gate = "\nenvironments: {production: {approval: {who: ['group:operators']}, concurrency: {max: 1}}}\n"
    text = "name: release\nkind: deployment\nenvironment: production\nsteps: [{id: go, run: echo}]"
    write_project(tmp_path, {"release": text}, project=PROJECT + gate)
    async with server_in(tmp_path) as server:
        number = await asking(server, "release")
        waiting = await get(server, "/environments/production")
        (question,) = (await get(server, f"/runs/{number}/questions", "ben"))["items"]
        said = {"decision": "approve", "digest": question["digest"]}
        path = f"/api/v1/runs/{number}/questions/{question['path']}/answer"
        answer = await server.client.post(path, headers=server.as_("ben"), json=said)
        await ended(server, number)
        after = await get(server, "/environments/production")

    assert ([one["number"] for one in waiting["runs_waiting"]], waiting["runs_inside"]) == ([number], [])
    assert answer.status_code == 200
    assert [one["number"] for one in after["deployments"]] == [number]
    assert (after["runs_waiting"], after["inside"]) == ([], 0)


async def test_people_are_told_with_their_groups_roles_and_shifts(folder: Path) -> None:
    """Users come with groups and roles, groups with who stands behind them, rotas with who is on call and who is next."""
    async with server_in(folder) as server:
        people = await get(server, "/people")
        shifts = await get(server, "/on_call/shop?days=21")
        missing = await server.client.get("/api/v1/on_call/moon", headers=server.as_("vic"))

    users = {one["name"]: one for one in people["users"]}
    assert (users["ben"]["groups"], users["ben"]["roles"], users["ada"]["roles"]) == (
        ["operators"],
        ["operator"],
        ["admin"],
    )
    assert [one["people"] for one in people["groups"]] == [["ben", "cy"]]
    (rota,) = people["rotas"]
    assert {*rota["now"]["people"], *rota["next"]["people"]} == {"ben", "cy"}
    assert len(shifts["shifts"]) in (3, 4)
    assert missing.status_code == 404


async def test_the_project_is_told_without_anything_that_could_be_a_secret(folder: Path) -> None:
    """towpath.yaml is told without addresses that hold tokens and without values of variables; a mistake in it is told with its caret."""
    async with server_in(folder) as server:
        project = await get(server, "/project")
        (folder / "towpath.yaml").write_text(PROJECT + "\nenvironmentz: {}\n")
        broken = await get(server, "/project")

    assert project["file"]["channels"]["ops"]["url"] == "https://hooks.slack.com/…"
    assert ("s3cret" in str(project), "hunter2" in str(project)) == (False, False)
    assert (project["workflows"], project["is_good"], project["problems"]) == (3, True, [])
    assert (broken["is_good"], "^" in broken["problems"][0]["shown"]) == (False, True)


async def test_secrets_are_set_and_forgotten_and_never_told(folder: Path) -> None:
    """A secret is kept under its name and can be used by steps; no answer, not even an error, has its value."""
    async with server_in(folder) as server:
        ada = server.as_("ada")
        answers = [
            await server.client.put(
                "/api/v1/secrets/TOKEN", headers=ada, json={"value": "correct horse battery"}
            ),
            await server.client.get("/api/v1/secrets", headers=ada),
            await server.client.put("/api/v1/secrets/TOKEN", headers=ada, json={"value": ["correct horse"]}),
            await server.client.put(
                "/api/v1/secrets/no-such%2Fname", headers=ada, json={"value": "correct horse battery"}
            ),
            await server.client.put(
                "/api/v1/secrets/TOKEN", headers=server.as_("ben"), json={"value": "correct horse battery"}
            ),
        ]
        kept = server.app.sealed_secrets.get("TOKEN")
        gone = await server.client.delete("/api/v1/secrets/TOKEN", headers=ada)
        again = await server.client.delete("/api/v1/secrets/TOKEN", headers=ada)

    assert [one.status_code for one in answers] == [204, 200, 422, 404, 403]
    assert kept == "correct horse battery"
    assert [one["name"] for one in answers[1].json()["items"]] == ["TOKEN"]
    assert not any("correct horse" in one.text for one in answers)
    assert (gone.status_code, again.status_code) == (204, 404)


async def test_health_tells_what_is_wrong(folder: Path) -> None:
    """Health counts what there is, and names what needs looking at: here a workflow file that does not load."""
    async with server_in(folder) as server:
        await ended(server, await started(server, "hello"))
        health = await get(server, "/health", "ada")
        viewer = await server.client.get("/api/v1/health", headers=server.as_("vic"))
        (folder / "workflows" / "half.yaml").unlink()
        mended = await get(server, "/health", "ada")

    assert (health["status"], health["troubles"]) == ("degraded", ["the workflow file half does not load"])
    assert (health["runs"], health["is_writable"], health["broken_workflows"]) == (
        {"succeeded": 1},
        True,
        ["half"],
    )
    assert [one["life"] for one in health["processes"]] == ["alive"]
    assert viewer.status_code == 403
    assert (mended["status"], mended["troubles"]) == ("good", [])
