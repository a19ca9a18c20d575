"""The server is asked whatever its own description allows, and much that it does not: by somebody who may do everything, and by nobody."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from server_support import PROJECT, server_in, write_project
from server_support import TestServer as Server

from towpath.server.making import all_routes
from towpath.server.openapi import TAGS, operations

HELLO = """
name: hello
on:
  - webhook: {path: /deploy, unsafe_unverified: true}
inputs: {times: {type: integer, default: 1}}
steps:
  - {id: greet, run: "true"}
"""
RELEASE = """
name: release
steps:
  - id: build
    run: |
      echo "building"
      echo report >report.txt
    artifacts: [report.txt]
  - id: go_live
    approve: Release?
    who: [group:operators]
"""
DESCRIBED = [
    one
    for routes in all_routes()
    for one in routes.declared
    if not one.is_page and one.options.get("include_in_schema", True)
]
ROTA = """
  on_call:
    ops: {rotations: [{people: ["user:ben", "user:cy"]}]}
  groups:
"""
ASKED = (
    PROJECT.replace("\n  groups:\n", ROTA)
    + """
environments:
  staging: {}
"""
)
"""Something of everything that can be asked about."""
DESCRIBED = [
    one
    for routes in all_routes()
    for one in routes.declared
    if not one.is_page and one.options.get("include_in_schema", True)
]
MORE = """
  rotas:
    ops: {members: ["user:ben", "user:cy"], handover: "monday 09:00", since: 2026-01-05}
environments:
  staging: {}
"""
OPERATIONS = sorted(one.name for one in DESCRIBED if "/stream" not in one.path)
"""All but those that never end: streams have tests of their own."""
EXAMPLES = 6
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
KNOWN: dict[str, list[str]] = {
    "run": ["1", "2", "last"],
    "path": ["go_live", "build"],
    "name": ["report.txt", "ada", "hello"],
    "workflow": ["release", "hello"],
    "environment": ["staging"],
    "rota": ["ops"],
    "event": ["1"],
    "decision": ["approve", "reject"],
}
"""What exists: it is put in the place of what was made up, three times of four."""


class Hosted:
    """A server whose loop turns in a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._folder = folder
        self._over = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))
        self.server: Server
        self.described: dict[str, Any] = {}
        self.schema: Any = None
        self.known: dict[str, list[str]] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(60)
        self._loop.close()

    async def _serve(self) -> None:
        write_project(self._folder, {"hello": HELLO, "release": RELEASE}, project=ASKED)
        async with server_in(self._folder) as self.server:
            for name in ("release", "hello"):
                await self.server.client.post(
                    "/api/v1/runs", json={"workflow": name}, headers=self.server.as_("ada")
                )
            await self.server.engine.until_idle()
            digest = self.server.app.reader.run("1").definition
            self.known = {**KNOWN, "digest": [digest]}
            await self.server.client.post(
                "/api/v1/events",
                json={"source": "webhook/deploy", "payload": {"ref": "v1"}},
                headers=self.server.as_("ada"),
            )
            self.described = (await self.server.client.get("/api/openapi.json")).json()
            self.schema = schemathesis.openapi.from_dict(self.described)
            self._ready.set()
            await self._over.wait()

    def ask(self, method: str, url: str, **sent: Any) -> httpx2.Response:
        """One request."""
        asked = self.server.client.request(method, url, **sent)
        return asyncio.run_coroutine_threadsafe(asked, self._loop).result(120)


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    """A server with two runs."""
    with Hosted(tmp_path_factory.mktemp("asked")) as found:
        yield found


def strategy(hosted: Hosted, name: str) -> st.SearchStrategy[schemathesis.Case]:
    """Requests of one operation: such as its description allows, and such as it does not."""
    method, _, path = name.partition(" ")
    operation = hosted.schema[path.replace(":path}", "}")][method]
    modes = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
    made = []
    for mode in modes:
        with contextlib.suppress(Exception):
            made.append(operation.as_strategy(generation_mode=mode))
    return st.one_of(*made)


def send(hosted: Hosted, case: schemathesis.Case, *, by: str, known: int | None) -> httpx2.Response:
    """Sends a request, with names of what exists where a number says which."""
    if known is not None:
        for place in (case.path_parameters, case.body):
            for key in (place.keys() & hosted.known.keys()) if isinstance(place, dict) else ():
                place[key] = hosted.known[key][known % len(hosted.known[key])]
    sent = case.as_transport_kwargs(base_url="http://towpath.test")
    headers = {
        key: value for key, value in sent["headers"].items() if key.lower() not in ("authorization", "cookie")
    }
    if by:
        headers |= hosted.server.as_(by)
    content = {key: sent[key] for key in ("json", "data", "params") if sent.get(key) is not None}
    if isinstance(content.get("data"), bytes | str):
        content["content"] = content.pop("data")
    return hosted.ask(sent["method"], sent["url"], headers=headers, **content)


@pytest.mark.parametrize("by", ["ada", ""], ids=["admin", "nobody"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_nothing_breaks_and_every_answer_is_described(hosted: Hosted, name: str, by: str) -> None:
    """No request brings the server down, and each gets an answer that the description has, with a body that fits it."""
    requests = strategy(hosted, name)

    @settings(
        max_examples=EXAMPLES if by else 2,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def asked(data: st.DataObject) -> None:
        case = data.draw(requests)
        answer = send(hosted, case, by=by, known=data.draw(st.sampled_from([0, 1, 2, None])))
        case.validate_response(answer, checks=CHECKS)

    asked()


READ = [  # versions are noted by a server that keeps its project, and have tests of their own
    one.name
    for one in DESCRIBED
    if one.method == "GET"
    and "/stream" not in one.path
    and set(re.findall(r"{(\w+)", one.path)) <= {*KNOWN, "digest"}
    and "/versions" not in one.path
]


@pytest.mark.parametrize("name", READ)
def test_what_exists_is_told_as_described(hosted: Hosted, name: str) -> None:
    """Every route that reads gives what exists, in the form that its description says."""
    method, _, path = name.partition(" ")
    operation = hosted.schema[path.replace(":path}", "}")][method]
    values = {key: hosted.known[key][0] for key in re.findall(r"{(\w+)", path)}
    if path.endswith("/users/{name}"):
        values["name"] = "ada"
    case = operation.Case(path_parameters=values)
    answer = send(hosted, case, by="ada", known=None)

    assert answer.status_code == 200, answer.text
    case.validate_response(answer, checks=CHECKS)


def test_every_value_and_every_tag_has_a_name_that_stays(hosted: Hosted) -> None:
    """No two values have the same name, and every tag is told of: generated clients keep their names when something is added."""
    values = hosted.described["components"]["schemas"]
    used = {
        tag for _, _, operation in operations(hosted.described) for tag in operation.get("tags", ["none"])
    }

    assert [name for name in values if "__" in name] == []
    assert used - TAGS.keys() == set()


def test_every_field_is_described(hosted: Hosted) -> None:
    """Whatever an answer or a request holds is said in words, and nothing is an object of which nothing is known."""
    silent = [
        f"{name}.{field}"
        for name, value in hosted.described["components"]["schemas"].items()
        for field, schema in value.get("properties", {}).items()
        if not schema.get("description")
    ]

    assert silent == []


def test_every_route_is_described_under_a_name_of_its_own(hosted: Hosted) -> None:
    """Every route of the API stands in its description, and no two have the same name."""
    names = [operation["operationId"] for _, _, operation in operations(hosted.described)]
    described = {f"{method} {path}" for method, path, _ in operations(hosted.described)}
    served = {one.name.replace(":path}", "}") for one in DESCRIBED}

    assert sorted(names) == sorted(set(names))
    assert described == served
