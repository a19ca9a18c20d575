"""Whoever may see one workflow, or one environment, learns nothing of the others: not in lists, searches, pages, nor errors."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from asked_support import asking, ended, started
from server_support import PROJECT, TestServer, server_in, write_project

from towpath.server.making import all_routes
from towpath.server.routing import PUBLIC, Declared
from towpath.store.contract import RunNumber

OTTER = """
name: otter
title: The PLATYPUS release
description: Nobody else may know of the PLATYPUS.
kind: deployment
environment: vault
labels: {animal: PLATYPUS}
inputs: {what: {type: string, default: PLATYPUS}}
on:
  - manual
  - webhook: {path: /otter, unsafe_unverified: true}
  - schedule: {cron: "* * * * *"}
steps:
  - id: build
    run: |
      echo "PLATYPUS in the log"
      echo PLATYPUS >PLATYPUS.txt
    artifacts: [PLATYPUS.txt]
  - id: go
    approve: Release the PLATYPUS?
    who: ["user:ada", "user:dan", "user:eva"]
    four_eyes: false
    show: {plan: all of the PLATYPUS}
"""
OPEN = """
name: open
environment: staging
steps: [{id: greet, run: echo hello}]
"""
HALF = "name: otterhalf\nsteps: [{id: PLATYPUS, rum: echo}]\n"
LIMITED = (
    PROJECT.replace("    vic:", "    dan: {}\n    eva: {}\n    vic:").replace(
        "  grants:\n",
        '  grants:\n    - {role: operator, to: ["user:dan"], workflows: [open]}\n'
        '    - {role: operator, to: ["user:eva"], environments: [staging]}\n',
    )
    + "\nenvironments:\n  vault: {title: The vault, vars: {animal: PLATYPUS}}\n  staging: {}\n"
)
WORD = "platypus"
GETS = [
    one
    for routes in all_routes()
    for one in routes.declared
    if one.method == "GET" and one.permission != PUBLIC and not one.path.endswith("/stream")
]
SEARCHES = (
    "",
    f"?q={WORD}",
    "?everything=true",
    f"?q={WORD}&state=waiting",
    "?all=1&everything=yes",
    "?run=1&number=1&workflow=otter",
)


async def test_nothing_of_another_workflow_or_environment_is_told(tmp_path: Path) -> None:
    """Every route that reads is asked by somebody with a grant for one workflow, and one for one environment: a word that stands all over another one is in no answer."""
    write_project(tmp_path, {"otter": OTTER, "open": OPEN, "half": HALF}, project=LIMITED)
    async with server_in(tmp_path) as server:
        filled = await _live(server)
        told = {
            f"{who}: {path}": answer
            for one in GETS
            for who in ("dan", "eva")
            for path, answer in [await _get(server, who, _path(one, filled) + search) for search in SEARCHES]
        }
        seen_by_ada = [(await _get(server, "ada", _path(one, filled)))[1] for one in GETS]

    leaks = {where: _near(text) for where, (status, text) in told.items() if WORD in text.casefold()}
    broke = {where: status for where, (status, _) in told.items() if status >= 500}
    assert (leaks, broke) == ({}, {})
    # Whoever may see it finds the word nearly everywhere: the test would notice.
    assert sum(WORD in text.casefold() for _, text in seen_by_ada) > 20


@pytest.mark.parametrize("who", ["dan", "eva"])
async def test_what_is_theirs_is_there(tmp_path: Path, who: str) -> None:
    """A grant for one workflow, or one environment, shows that one: its runs, its file, its questions."""
    write_project(tmp_path, {"otter": OTTER, "open": OPEN}, project=LIMITED)
    async with server_in(tmp_path) as server:
        await asking(server, "otter")
        await ended(server, await started(server, "open"))
        runs = await _get(server, who, "/api/v1/runs")
        names = await _get(server, who, "/api/v1/workflows")
        counts = await _get(server, who, "/api/v1/runs/counts")
        environments = await _get(server, who, "/api/v1/environments")

    assert re.findall(r'"workflow":"(\w+)"', runs[1][1]) == ["open"]
    assert re.findall(r'"name":"(\w+)"', names[1][1]) == ["open"]
    assert '"total":1' in counts[1][1]
    # A grant for a workflow holds wherever it runs.
    wanted = {"dan": ["vault", "staging"], "eva": ["staging"]}[who]
    assert re.findall(r'"name":"(\w+)"', environments[1][1]) == wanted


BODIES: dict[str, Any] = {
    "/api/v1/runs": {"workflow": "otter"},
    "/api/v1/runs/rehearse": {"workflow": "otter"},
    "/api/v1/runs/{run}/signal": {"name": "go"},
    "/api/v1/runs/{run}/stop_step": {"step": "build"},
    "/api/v1/runs/{run}/questions/{path:path}/answer": {"decision": "reject", "digest": "0"},
    "/api/v1/runs/{run}/questions/{path:path}/comment": {"text": "so?"},
    "/api/v1/runs/{run}/questions/{path:path}/hand_over": {"to": "ben"},
    "/api/v1/workflows/{workflow}/trigger_test": {"payload": {}, "source": "webhook"},
    "/api/v1/events": {"payload": {}, "source": "webhook/otter"},
}
ACTS = [
    one
    for routes in all_routes()
    for one in routes.declared
    if one.method == "POST" and not one.is_page and (one.path in BODIES or "/runs/{run}/" in one.path)
]


@pytest.mark.parametrize("who", ["dan", "eva"])
async def test_nothing_is_done_to_what_is_not_theirs(tmp_path: Path, who: str) -> None:
    """Every act on a run of another workflow is refused with 403 although their role has the permission, and nothing has happened to it."""
    write_project(tmp_path, {"otter": OTTER, "open": OPEN}, project=LIMITED)
    async with server_in(tmp_path) as server:
        filled = await _live(server)
        before = server.app.reader.last_sequence(RunNumber(1))
        found = {
            one.name: await server.client.post(
                _path(one, filled), headers=server.as_(who), json=BODIES.get(one.path, {})
            )
            for one in ACTS
        }
        after = server.app.reader.last_sequence(RunNumber(1))

    assert {name: answer.status_code for name, answer in found.items() if answer.status_code != 403} == {}
    assert [name for name, answer in found.items() if WORD in answer.text.casefold()] == []
    assert (before, len(found) > 15) == (after, True)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/v1/runs", {"workflow": "ottr"}),
        ("POST", "/api/v1/runs/rehearse", {"workflow": "ottr"}),
        ("POST", "/api/v1/workflows/check", {"source": "name: x\nsteps: [{id: a, workflow: ottr}]"}),
        (
            "POST",
            "/api/v1/workflows/check",
            {"source": "name: x\nenvironment: vaul\nsteps: [{id: a, run: x}]"},
        ),
        ("POST", "/api/v1/workflows/ottr/trigger_test", {"payload": {}}),
        ("GET", "/api/v1/workflows/ottr", None),
        ("GET", "/api/v1/environments/vaul", None),
        ("GET", "/api/v1/runs/last", None),
        ("GET", "/workflows/ottr", None),
        ("GET", "/workflows/ottr/start", None),
    ],
)
async def test_no_error_names_what_is_not_theirs(tmp_path: Path, method: str, path: str, body: Any) -> None:
    """What is said about a slip of the pen names no workflow, run or environment that somebody may not see."""
    write_project(tmp_path, {"otter": OTTER, "open": OPEN}, project=LIMITED)
    async with server_in(tmp_path) as server:
        await asking(server, "otter")
        given = {} if body is None else {"json": body}
        answer = await server.client.request(method, path, headers=server.as_("eva"), **given)

    assert answer.status_code < 500
    assert re.findall(r"\b(?:otter|vault)\b|platypus", answer.text.casefold()) == []


async def _live(server: TestServer) -> dict[str, str]:
    """A run that asks, an event, what people were told: each with what routes call it."""
    number = await asking(server, "otter", by="user:ada")
    said = {"source": "webhook/otter", "payload": {"animal": "PLATYPUS"}}
    kept = await server.client.post("/api/v1/events", headers=server.as_("ada"), json=said)
    await server.client.post(
        f"/api/v1/runs/{number}/questions/go/comment", headers=server.as_("ada"), json={"text": "PLATYPUS!"}
    )
    row = server.app.reader.run(number)
    return {
        "run": str(number),
        "event": str(kept.json()["event"]),
        "digest": row.definition,
        "workflow": "otter",
        "environment": "vault",
        "path:path": "go",
        "name:path": "PLATYPUS.txt",
        "sending": "1",
        "act": "cancel",
        "name": "ada",
        "rota": "nothing",
    }


def _path(one: Declared, filled: dict[str, str]) -> str:
    return re.sub(r"\{([^}]*)\}", lambda found: filled.get(found.group(1), "nothing"), one.path)


async def _get(server: TestServer, who: str, path: str) -> tuple[str, tuple[int, str]]:
    answer = await server.client.get(path, headers=server.as_(who))
    # What was asked for may be told back.
    asked = path.partition("?")[0].rpartition("/")[2]
    text = answer.text.replace(path, "").replace(asked, "") if asked else answer.text
    return path, (
        answer.status_code,
        text.replace(f"q={WORD}", "").replace(f'"{WORD}"', "").replace(f"‘{WORD}’", ""),
    )


def _near(text: str) -> str:
    """The word with a bit of what stands beside it."""
    at = text.casefold().index(WORD)
    return text[max(0, at - 80) : at + 80]
