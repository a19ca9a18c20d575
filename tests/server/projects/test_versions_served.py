"""Versions over the API and on pages: which one runs take, why a newer one does not load, and who decides about one that is tried."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from repositories import BROKEN, greet
from server_support import PROJECT, TestServer, server_in, write_project

from towpath.server.projects import begin
from towpath.server.web import pages

TRIED = greet("two").replace("steps:", "release: {canary: {next: 5}, abort_when: failure_rate > 0.2}\nsteps:")
HOSTILE = "<script>alert(1)</script>"


@contextlib.asynccontextmanager
async def served(tmp_path: Path, *texts: str) -> AsyncIterator[TestServer]:
    """A server over a plain folder in which one workflow had these texts, one after the other."""
    write_project(tmp_path, {"greet": texts[0]}, project=PROJECT)
    async with server_in(tmp_path) as server:
        keeper = begin(server.app)
        for text in texts[1:]:
            (tmp_path / "workflows" / "greet.yaml").write_text(text)
            keeper.look()
        yield server


async def test_a_broken_file_is_told_while_the_version_before_goes_on(tmp_path: Path) -> None:
    """API, pages and health of the project show the error with its caret; a start works and takes the old text."""
    async with served(tmp_path, greet("one"), BROKEN) as server:
        ada = server.as_("ada")
        workflow = (await server.client.get("/api/v1/workflows/greet", headers=ada)).json()
        versions = (await server.client.get("/api/v1/workflows/greet/versions", headers=ada)).json()["items"]
        project = (await server.client.get("/api/v1/project", headers=ada)).json()
        page = await server.client.get("/workflows/greet", headers={**ada, "accept": "text/html"})
        listed = await server.client.get("/workflows/greet/versions", headers={**ada, "accept": "text/html"})
        started = await server.client.post("/api/v1/runs", json={"workflow": "greet"}, headers=ada)
        number = started.json()["run"]["number"]
        run = await server.engine.until_ended(number)

    assert (workflow["is_broken"], workflow["source"], workflow["newer"]["state"]) == (
        False,
        greet("one"),
        "broken",
    )
    assert "^^^^^^^" in workflow["newer"]["problems"][0]["shown"]
    assert [one["state"] for one in versions] == ["broken", "current"]
    assert not project["is_good"]
    assert "^^^^^^^" in project["problems"][0]["shown"]
    assert "^^^^^^^" in page.text
    assert "^^^^^^^" in listed.text
    assert (started.status_code, run.nodes["say"].outputs["stdout"]) == (201, "one")


async def test_what_a_version_changed_is_shown(tmp_path: Path) -> None:
    """The difference of two texts, against the one before or any other; what stands in them is text."""
    async with served(tmp_path, greet("one"), greet("two"), greet(HOSTILE)) as server:
        ada = {**server.as_("ada"), "accept": "text/html"}
        items = (await server.client.get("/api/v1/workflows/greet/versions", headers=ada)).json()["items"]
        digests = [one["digest"] for one in items]
        path = f"/api/v1/workflows/greet/versions/{digests[1][:12]}/diff"
        before = (await server.client.get(path, headers=ada)).json()["diff"].splitlines()
        other = await server.client.get(path, params={"against": digests[0]}, headers=ada)
        page = await server.client.get(f"/workflows/greet/versions/{digests[0]}", headers=ada)
        first = await server.client.get(f"/workflows/greet/versions/{digests[2]}", headers=ada)

    assert [line for line in before if line[:1] in "+-" and line[1:2] != line[:1]] == [
        "-  - {id: say, run: echo one, outputs: []}",
        "+  - {id: say, run: echo two, outputs: []}",
    ]
    assert other.json()["old"] == digests[0]
    assert page.status_code == 200
    assert HOSTILE not in page.text
    assert "&lt;script&gt;" in page.text
    assert "first version that is known" in first.text


@pytest.mark.parametrize(
    ("who", "does", "status"),
    [
        ("ada", "promote", 200),
        ("ada", "abort", 200),
        ("ben", "promote", 403),
        ("vic", "abort", 403),
        ("stranger", "promote", 403),
        ("", "promote", 401),
    ],
)
async def test_whoever_may_decides_about_a_version_that_is_tried(
    tmp_path: Path, who: str, does: str, status: int
) -> None:
    """An admin promotes a version or sends it back; an operator and a viewer look on."""
    async with served(tmp_path, greet("one"), TRIED) as server:
        ada = server.as_("ada")
        tried = (await server.client.get("/api/v1/versions", headers=ada)).json()["items"][0]
        path = f"/api/v1/workflows/greet/versions/{tried['digest']}/{does}"
        answer = await server.client.post(
            path, json={"comment": "seen"}, headers=server.as_(who) if who else {}
        )
        after = (await server.client.get("/api/v1/versions", headers=ada)).json()["items"]
        started = await server.client.post("/api/v1/runs", json={"workflow": "greet"}, headers=ada)
        run = await server.engine.until_ended(started.json()["run"]["number"])

    assert answer.status_code == status
    if status != 200:
        assert [one["state"] for one in after] == ["canary", "current"]
        return
    states = {"promote": ["current"], "abort": ["aborted", "current"]}[does]
    assert [one["state"] for one in after] == states
    assert (after[0]["decided_by"], after[0]["because"]) == ("user:ada", "seen")
    assert run.nodes["say"].outputs["stdout"] == ("two" if does == "promote" else "one")


async def test_the_page_decides_by_a_form_once(tmp_path: Path) -> None:
    """The form sends one to the list; sent again it says what has become of the version; looking decides nothing."""
    async with served(tmp_path, greet("one"), TRIED) as server:
        ada = {**server.as_("ada"), "accept": "text/html"}
        digest = server.app.store.versions.standing("greet").next
        assert digest is not None
        path = f"/workflows/greet/versions/{digest.digest}"
        looked = await server.client.get(path, headers=ada)
        state = server.app.store.versions.find("greet", digest.digest).state
        first = await server.client.post(f"{path}/promote", data={"comment": "fine"}, headers=ada)
        again = await server.client.post(f"{path}/promote", data={"comment": "fine"}, headers=ada)

    assert "Promote" in looked.text
    assert state == "canary"
    assert (first.status_code, first.headers["location"]) == (pages.SEE_OTHER, "/workflows/greet/versions")
    assert again.status_code == 409
    assert "is current" in again.text


async def test_a_workflow_that_was_never_there_has_no_versions(tmp_path: Path) -> None:
    """An unknown name, an unknown digest and a short one are told apart from nothing; a removed workflow keeps its history."""
    async with served(tmp_path, greet("one")) as server:
        ada = server.as_("ada")
        paths = (
            "/api/v1/workflows/nobody/versions",
            f"/api/v1/workflows/greet/versions/{'0' * 12}/diff",
            "/api/v1/workflows/greet/versions/xyz/diff",
        )
        found = [(await server.client.get(path, headers=ada)).status_code for path in paths]
        (tmp_path / "workflows" / "greet.yaml").unlink()
        assert server.app.keeper is not None
        server.app.keeper.look()
        kept = (await server.client.get("/api/v1/workflows/greet/versions", headers=ada)).json()["items"]

    assert found == [404, 404, 422]
    assert [(one["state"], one["because"]) for one in kept] == [("former", "the workflow was removed")]
