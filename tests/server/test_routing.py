"""What every route passes before its handler is called."""

from __future__ import annotations

from pathlib import Path

import pytest
from server_support import server_in, write_project

from towpath.errors import BugError
from towpath.server import routing
from towpath.server.making import all_routes
from towpath.server.routing import PUBLIC, PUBLIC_ROUTES, Routes

DECLARED = [one for routes in all_routes() for one in routes.declared]


@pytest.mark.parametrize(
    ("permission", "reason"),
    [
        ("", "no such permission"),
        ("run.fly", "no such permission"),
        (PUBLIC, "PUBLIC_ROUTES does not say why"),
    ],
)
def test_a_route_without_a_permission_stops_the_start(permission: str, reason: str) -> None:
    """A route that does not say who may use it is never served."""
    from fastapi import FastAPI

    routes = Routes(prefix="/api/v1/nowhere")
    routes.get("", permission=permission)(lambda: None)

    with pytest.raises(BugError, match=reason):
        routing.include(FastAPI(), routes)


def test_a_route_beside_the_table_stops_the_start() -> None:
    """What FastAPI, a mount or a slip of the pen would serve is noticed at the start."""
    from fastapi import FastAPI

    server = FastAPI()

    with pytest.raises(BugError, match="nobody has said who may use it"):
        routing.check_served(server, {})


def test_public_routes_are_those_of_the_list() -> None:
    """Every route that anybody may use stands in the published list."""
    assert {one.name for one in DECLARED if one.permission == PUBLIC} - PUBLIC_ROUTES.keys() == set()


async def test_nobody_and_the_wrong_role_are_refused(tmp_path: Path) -> None:
    """Whoever is not known gets 401, whoever may not gets 403, both as problem+json; whoever may gets an answer."""
    write_project(tmp_path)
    async with server_in(tmp_path) as server:
        answers = {
            name: await server.client.get("/api/v1/runs", headers=server.as_(name) if name else {})
            for name in ("", "stranger", "vic", "ada")
        }

    assert {name: one.status_code for name, one in answers.items()} == {
        "": 401,
        "stranger": 403,
        "vic": 200,
        "ada": 200,
    }
    assert answers["stranger"].headers["content-type"] == "application/problem+json"
    assert "run.view" in answers["stranger"].json()["detail"]


async def test_a_mistake_of_ours_is_logged_and_tells_no_inside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What must not happen is answered with a 500 that says nothing of the inside, and the log says what it was."""
    write_project(tmp_path)
    async with server_in(tmp_path) as server:

        def broken(*_: object) -> None:
            raise BugError("the inside")

        monkeypatch.setattr(type(server.app.reader), "runs", broken)
        answer = await server.client.get("/api/v1/runs", headers=server.as_("ada"))

    assert (answer.status_code, "inside" in answer.text) == (500, False)
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["the inside"]
