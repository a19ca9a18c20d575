"""Runs read through the API."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from server_support import TestServer as Server
from server_support import server_in, write_project

RELEASE = """
name: release
kind: deployment
inputs:
  version: {type: string, required: true}
steps:
  - id: build
    run: |
      echo "building $VERSION"
      echo "a second line"
      echo report >report.txt
      echo "image=shop:$VERSION" >>"$TOW_OUTPUT"
    env: {VERSION: "${{ inputs.version }}"}
    outputs: [image]
    artifacts: [report.txt]
  - id: go_live
    approve: Release ${{ inputs.version }}?
    who: [group:operators]
"""
HELLO = """
name: hello
steps:
  - {id: greet, run: echo hello}
"""


async def start(server: Server, workflow: str, **inputs: Any) -> int:
    """A run of the project, that has come to where it only waits."""
    request = server.app.request(server.app.find(workflow), inputs)
    number = (await server.engine.start(request)).number
    await asyncio.wait_for(server.engine.until_idle(), 60)
    return number


async def get(server: Server, path: str, name: str = "ada") -> Any:
    """What somebody gets."""
    answer = await server.client.get(f"/api/v1{path}", headers=server.as_(name))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_run_is_listed_and_shown(tmp_path: Path) -> None:
    """A run stands in the list, and its own answer says what it waits for."""
    write_project(tmp_path, {"release": RELEASE, "hello": HELLO})
    async with server_in(tmp_path) as server:
        number = await start(server, "release", version="1.2")
        await start(server, "hello")
        listed = await get(server, "/runs?is_open=true")
        shown = await get(server, f"/runs/{number}")

    assert [run["number"] for run in listed["items"]] == [number]
    assert [(wait["step"], wait["reason"]) for wait in shown["waits"]] == [
        ("go_live", "asks group:operators: Release 1.2?")
    ]
