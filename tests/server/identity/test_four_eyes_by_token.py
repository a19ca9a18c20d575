"""Four eyes by principal, tokens included; and groups of the identity provider, when a question is decided."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from identity_support import WITH_SERVICES, WoundClock, identity_app_in
from server_support import write_project

from towpath.app import App
from towpath.core import stimuli
from towpath.engines.embedded import EmbeddedEngine
from towpath.errors import Refused
from towpath.server.identity import accounts, signing_in, tokens
from towpath.store.contract import RunRow

GATE = """
name: release
steps:
  - {id: go_live, approve: Release?, who: [APPROVERS]}
"""
EVERYBODY = "user:ada, user:ben, user:cy"
OPEN = """
people: {provider: oidc}
access: {service_accounts: {deployer: {owner: "user:ben"}}}
"""
NO_PEOPLE = 'access: {service_accounts: {deployer: {owner: "user:ben"}}}\n'
PATIENCE_SECONDS = 60.0


async def asked(app: App, engine: EmbeddedEngine, started_by: str) -> RunRow:
    """A run that asks for its approval; nobody but who started it is known to have touched it."""
    request = app.request(app.find("release"), {}, started_by=started_by)
    started = await engine.start(replace(request, edited_by=""))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not app.reader.run(started.number).summary.questions:
            await asyncio.sleep(0.02)
    return app.reader.run(started.number)


async def says(app: App, engine: EmbeddedEngine, row: RunRow, by: str, decision: str = "approve") -> str:
    """What somebody is told who answers; empty where it was taken."""
    answer = stimuli.Answered(at=app.now(), path="go_live", by=by, decision=decision, via="api")
    try:
        await app.tell_with(engine, row, answer)
    except Refused as refused:
        return refused.message
    return ""


def _nothing(_: App) -> None:
    """Nobody makes a token."""


def _cy_makes_one(app: App) -> None:
    tokens.make(app, owner="service:deployer", name="ci", by="user:cy")


def _cy_made_one(app: App) -> None:
    made = tokens.make(app, owner="service:deployer", name="ci", by="user:cy")
    tokens.revoke(app, made.row.id, by="user:ada")


def _sweeper_makes_one(app: App) -> None:
    """A service account that manages tokens, and for which Cy answers."""
    tokens.make(app, owner="service:deployer", name="ci", by="service:sweeper")


CASES: list[tuple[str, str, Callable[[App], None], dict[str, bool]]] = [
    ("a person", "user:ben", _nothing, {"user:ben": False, "user:cy": True}),
    ("a service account", "service:deployer", _nothing, {"user:ben": False, "user:cy": True}),
    ("whoever made a token of it", "service:deployer", _cy_makes_one, {"user:ben": False, "user:cy": False}),
    ("also when that was revoked", "service:deployer", _cy_made_one, {"user:cy": False, "user:ada": True}),
    (
        "a token made by a token",
        "service:deployer",
        _sweeper_makes_one,
        {"user:cy": False, "user:ben": False, "user:ada": True},
    ),
    ("the service account itself", "service:deployer", _nothing, {"service:deployer": False}),
]


@pytest.mark.parametrize(
    ("project", "names_people"), [(WITH_SERVICES, True), (NO_PEOPLE, False)], ids=["people", "no people"]
)
async def test_who_may_have_started_it_does_not_approve_it(
    tmp_path: Path, project: str, names_people: bool
) -> None:
    """Whoever owns the token that started a run may not approve the run, under whatever name; others may."""
    found = {}
    wanted = {}
    for number, (what, started_by, prepare, expected) in enumerate(CASES):
        if not names_people and "token made by" in what:
            continue  # that service account is one of the other project
        folder = tmp_path / str(number)
        folder.mkdir()
        write_project(folder, {"release": GATE.replace("APPROVERS", EVERYBODY)}, project=project)
        with identity_app_in(folder, WoundClock()) as app:
            prepare(app)
            async with app.engine("tow up") as engine:
                row = await asked(app, engine, started_by)
                found[what] = {by: not await says(app, engine, row, by) for by in expected}
                wanted[what] = expected

    assert found == wanted


async def test_the_reason_names_the_service_account(tmp_path: Path) -> None:
    """Who is refused is told for which account they answer, and may reject all the same."""
    write_project(tmp_path, {"release": GATE.replace("APPROVERS", EVERYBODY)}, project=WITH_SERVICES)
    with identity_app_in(tmp_path, WoundClock()) as app:
        async with app.engine("tow up") as engine:
            row = await asked(app, engine, "service:deployer")
            why = await says(app, engine, row, "user:ben")
            rejected = await says(app, engine, row, "user:ben", "reject")

    assert (
        why == "ben answers for service:deployer, which started the run, and may not approve it (four_eyes)"
    )
    assert rejected == ""


async def test_groups_of_the_provider_count_while_the_sign_in_lasts(tmp_path: Path) -> None:
    """A question to a group that only the provider knows is answered by whom it vouches for now, and by nobody else."""
    write_project(tmp_path, {"release": GATE.replace("APPROVERS", "group:ops")}, project=OPEN)
    clock = WoundClock()
    with identity_app_in(tmp_path, clock) as app:
        for name in ("dora", "eve"):
            accounts.add(app, name, by="user:ada")
        signing_in.vouched_for(app, "user:dora", groups=("ops",), seconds=3_600)
        signing_in.vouched_for(app, "user:eve", groups=("sales",), seconds=3_600)
        async with app.engine("tow up") as engine:
            row = await asked(app, engine, "user:ada")
            stranger = await says(app, engine, row, "user:eve")
            clock.wind(3_600 * 1_000_000)
            late = await says(app, engine, row, "user:dora")
            signing_in.vouched_for(app, "user:dora", groups=("ops",), seconds=3_600)
            again = await says(app, engine, row, "user:dora")

    assert stranger.startswith("eve is not asked")
    assert late.startswith("dora is not asked")
    assert again == ""
