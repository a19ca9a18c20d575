"""A run shows the plan of its next steps, has exactly that approved, and does it only if it is still the same."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from towpath import app, settings
from towpath.core import stimuli
from towpath.core.run import Node, Run
from towpath.engines.embedded import EmbeddedEngine
from towpath.engines.rehearsing import text_of
from towpath.store.contract import RunNumber
from towpath.trials.rehearsing import rehearse

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
WAIT_SECONDS = 60


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the examples in which nothing has run yet."""
    folder = tmp_path / "examples"
    shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("var", ".towpath", "__pycache__"))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def opened(project: Path) -> Iterator[app.App]:
    """The project with its data folder."""
    made = app.build(settings.load(project))
    yield made
    made.close()


@asynccontextmanager
async def started(
    opened: app.App, name: str, **inputs: object
) -> AsyncIterator[tuple[EmbeddedEngine, RunNumber]]:
    """A run of a workflow in an engine of its own, started by Ada."""
    async with opened.engine("test") as engine:
        request = opened.request(opened.find(name), inputs, started_by="user:ada")
        yield engine, (await engine.start(request)).number


async def asked(engine: EmbeddedEngine, number: RunNumber) -> tuple[Run, Node]:
    """The run when somebody is asked, and the node that asks."""
    async with asyncio.timeout(WAIT_SECONDS):
        async for step in engine.watch(number):
            for node in step.run.nodes.values():
                if node.status == "asking":
                    return step.run, node
    raise AssertionError("the run ended and asked nobody")


async def decided(engine: EmbeddedEngine, number: RunNumber, node: Node, decision: str) -> None:
    """Grace answers what she saw."""
    assert node.question is not None
    await engine.tell(
        number,
        stimuli.Answered(
            at=engine.clock.now(),
            path=node.path,
            by="user:grace",
            decision=decision,
            digest=node.question.digest,
        ),
    )


async def ended(engine: EmbeddedEngine, number: RunNumber) -> Run:
    """The run when it has ended."""
    async with asyncio.timeout(WAIT_SECONDS):
        return await engine.until_ended(number)


async def test_what_was_planned_is_approved_and_done(opened: app.App, project: Path) -> None:
    """The approval shows the plan and its digest; nothing has happened by then, and afterwards exactly that has."""
    async with started(opened, "change_settings", port=9090) as (engine, number):
        run, node = await asked(engine, number)
        assert node.question is not None
        plan = run.nodes["plan"].outputs
        nothing_yet = not (project / "var").exists()
        await decided(engine, number, node, "approve")
        run = await ended(engine, number)

    assert plan is not None
    assert nothing_yet
    assert node.question.evidence == {"plan": plan["plan"], "digest": plan["digest"]}
    assert "+port = 9090" in plan["plan"]
    assert "+allow tcp 9090" in plan["plan"]
    assert (plan["changes"], plan["unforeseen"], plan["failing"], plan["changes_nothing"]) == (2, 0, 0, False)
    assert run.status == "succeeded"
    assert run.outputs == {"digest": plan["digest"]}
    assert "port = 9090" in (project / "var/settings/shop.conf").read_text()


async def test_a_world_that_changes_after_the_approval_stops_the_run(opened: app.App, project: Path) -> None:
    """When something else would happen than what was approved, nothing happens: the guard fails with `conflict`."""
    async with started(opened, "change_settings") as (engine, number):
        _, node = await asked(engine, number)
        (project / "var/settings").mkdir(parents=True)
        (project / "var/settings/shop.conf").write_text("somebody = here\n")
        await decided(engine, number, node, "approve")
        run = await ended(engine, number)

    assert run.status == "failed"
    assert run.error is not None
    assert (run.error.step, run.error.kind) == ("unchanged", "conflict")
    assert (project / "var/settings/shop.conf").read_text() == "somebody = here\n"
    assert "change/config" not in run.nodes


async def test_where_nothing_would_change_nobody_is_asked(opened: app.App) -> None:
    """A second run finds everything as it shall be: the condition on the plan skips the approval."""
    for _ in range(2):
        async with started(opened, "change_settings") as (engine, number):
            if number == 1:
                _, node = await asked(engine, number)
                await decided(engine, number, node, "approve")
            run = await ended(engine, number)

    assert run.status == "succeeded"
    assert run.nodes["approval"].status == "skipped"
    assert run.nodes["plan"].outputs is not None
    assert run.nodes["plan"].outputs["changes_nothing"] is True


async def test_a_plan_that_is_sent_back_is_made_again(opened: app.App, project: Path) -> None:
    """After a change outside, an approver sends the work back, and is shown the plan as it is then."""
    async with started(opened, "change_settings") as (engine, number):
        _, first = await asked(engine, number)
        (project / "var/settings").mkdir(parents=True)
        (project / "var/settings/shop.conf").write_text("port = 1\n")
        await decided(engine, number, first, "send_back")
        _, second = await asked(engine, number)
        await decided(engine, number, second, "approve")
        run = await ended(engine, number)

    assert first.question is not None
    assert second.question is not None
    assert first.question.digest != second.question.digest
    assert "-port = 1" in second.question.evidence["plan"]
    assert run.status == "succeeded"


KNOWN = """
name: known
inputs: {names: {type: list, items: {type: string}, default: [a, b]}}
vars: {id: "${{ run.id }}"}
steps:
  - {id: made, run: 'echo "id=i-1" >>"$TOW_OUTPUT"', outputs: [id]}
  - id: each_one
    each: ${{ inputs.names }}
    as: name
    steps:
      - {id: show, uses: towpath.rehearse}
      - {id: put, uses: file.write, with: {path: "${{ name }}-${{ steps.made.outputs.id }}.txt", content: "${{ vars.id }} ${{ index }}"}}
  - {id: nothing_there, uses: towpath.rehearse, with: {steps: ["${{ inputs.names[0] }}"]}, on_failure: continue}
  - {id: last, run: echo "$ID", env: {ID: "${{ steps.made.outputs.id }} ${{ run.id }}"}}
"""


async def test_a_plan_knows_what_the_run_knows(opened: app.App, project: Path) -> None:
    """In the middle of a run outputs, items, variables and the run's own id are known; without names all that follows is rehearsed."""
    (project / "workflows/known.yaml").write_text(KNOWN)
    async with started(opened, "known") as (engine, number):
        run = await ended(engine, number)
    told = run.nodes["each_one[b]/show"].outputs

    assert told is not None
    rows = [row.strip() for row in told["plan"].splitlines()]
    assert rows[0] == f"~ put (file.write)  creates {project}/b-i-1.txt"
    assert f"content={run.id} 1" in rows
    assert f"ID=i-1 {run.id}" in rows
    assert (told["changes"], told["unforeseen"], told["changes_nothing"]) == (1, 1, False)
    assert not any("a-i-1" in row for row in rows)
    error = run.nodes["nothing_there"].error
    assert error is not None
    assert "no step `a`" in error.message


HANGING = """
name: hanging
steps:
  - {id: plan, uses: towpath.rehearse, with: {steps: [change]}}
  - {id: change, run: make, rehearse: 'echo $$ >pid; sleep 600'}
"""


async def test_a_plan_that_is_stopped_leaves_nothing_behind(opened: app.App, project: Path) -> None:
    """Cancelling the step ends the scripts of its rehearsal too."""
    (project / "workflows/hanging.yaml").write_text(HANGING)
    pid = project / "pid"
    async with started(opened, "hanging") as (engine, number):
        async with asyncio.timeout(WAIT_SECONDS):
            while not (pid.exists() and pid.read_text()):
                await asyncio.sleep(0.01)  # until the script is there; how long that takes does not matter
        await engine.tell(number, stimuli.Cancel(at=engine.clock.now(), by="user:ada"))
        run = await ended(engine, number)

    assert run.status == "cancelled"
    assert not Path("/proc", pid.read_text().strip()).exists()


GATED = """
name: gated
environment: live
steps:
  - {id: plan, uses: towpath.rehearse, with: {steps: [change]}}
  - id: change
    run: make
    rehearse: echo "+ with $PASSWORD"
    env: {PASSWORD: "${{ secrets.password }}"}
"""


async def test_behind_an_open_gate_secrets_are_used_and_hidden(
    opened: app.App, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the gate a rehearsal gets no secret of the environment; behind it one is used, and is in no plan."""
    monkeypatch.setenv("TOW_SECRET_PASSWORD", "hunter2-of-the-gate")
    file = project / "towpath.yaml"
    live = 'environments:\n  live: {approval: {who: ["group:operators"]}}\n'
    file.write_text(file.read_text().replace("environments:\n", live))
    (project / "workflows/gated.yaml").write_text(GATED)
    request = opened.request(opened.find("gated"), {}, started_by="user:ada")
    before = text_of(await rehearse(opened, request))
    async with started(opened, "gated") as (engine, number):
        _, gate = await asked(engine, number)
        await decided(engine, number, gate, "approve")
        run = await ended(engine, number)
    told = run.nodes["plan"].outputs

    assert "it needs a secret, and live gives none before its gate opens" in before
    assert told is not None
    assert "+ with ***" in told["plan"]
    assert "hunter2" not in str(run.nodes)
