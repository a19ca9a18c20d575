"""What a run's page is made from: a story that goes on where it was, the bars of its timeline, and pictures with links."""

from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from page_support import started
from server_support import TestServer, server_in, write_project

from towpath.core.plan import Plan
from towpath.errors import NotFound
from towpath.policy.access import Actor
from towpath.server.call import Call, Parts, Visitor
from towpath.server.live import Live
from towpath.server.web import bars, drawings, story
from towpath.server.web.story import Story

WAIT_SECONDS = 60
WORKFLOW = """
name: tries
steps:
  - id: flaky
    run: "[ -e done ] || { touch done; exit 1; }"
    idempotent: true
    retry: {attempts: 3, delay: 10ms}
  - id: fleet
    each: [a, b]
    steps: [{id: one, run: 'true'}]
  - {id: go, wait: {signal: go}}
  - {id: last, run: exit 4}
"""


def call_of(server: TestServer) -> Call:
    """Somebody who may do everything."""
    actor = Actor(name="user:ada", principals=frozenset({"user:ada"}), is_owner=True)
    parts = Parts(app=server.app, engine=server.engine, identity=None, live=Live())  # type: ignore[arg-type] # nobody is asked
    return Call(parts=parts, visitor=Visitor(actor=actor, way="token"))


async def waiting(server: TestServer, number: int) -> None:
    """Waits until a run waits for its signal."""
    async with asyncio.timeout(WAIT_SECONDS):
        async for step in server.engine.watch(number):  # type: ignore[arg-type] # a number
            if "go" in step.run.leaves:
                break


def told(one: Story) -> dict[str, list[tuple[str, str, int]]]:
    """What each step did, one thing after the other."""
    return {
        path: [(span.doing, span.outcome, span.attempt) for span in spans]
        for path, spans in one.spans.items()
        if path
    }


async def test_a_story_goes_on_where_it_was(tmp_path: Path) -> None:
    """Looked at again and again while the run goes on, a story is the same as one that is folded afresh."""
    write_project(tmp_path, {"tries": WORKFLOW})
    async with server_in(tmp_path) as server:
        call = call_of(server)
        number = await started(server, "tries")
        row = server.app.reader.run(str(number))
        early = story.story_of(call, row)
        await waiting(server, number)
        half = story.story_of(call, server.app.reader.run("1"))
        await server.client.post("/runs/1/do/signal", data={"name": "go"}, headers=server.as_("ada"))
        async with asyncio.timeout(WAIT_SECONDS):
            await server.engine.until_ended(row.number)
        row = server.app.reader.run("1")
        whole = story.story_of(call, row)
        fresh = story.story_of(call, row, row.last_sequence)
        with pytest.raises(NotFound, match="facts, and not"):
            story.story_of(call, row, row.last_sequence + 1)

    assert early.run.sequence <= half.run.sequence < whole.run.sequence == row.last_sequence
    assert told(whole) == told(fresh)
    assert told(whole)["flaky"] == [
        ("performing", "failed", 1), ("retrying", "", 2), ("performing", "succeeded", 2)
    ]  # fmt: skip
    assert told(whole)["go"] == [("waiting", "succeeded", 0)]
    assert told(whole)["last"] == [("performing", "failed", 1)]
    assert half.run.status == "waiting"


async def test_bars_stay_within_their_picture(tmp_path: Path) -> None:
    """Each step has its bars in order, inside the picture, never too thin to be seen, and the same in words."""
    write_project(tmp_path, {"tries": WORKFLOW})
    async with server_in(tmp_path) as server:
        call = call_of(server)
        await waiting(server, await started(server, "tries"))
        one = story.story_of(call, server.app.reader.run("1"))
        chart = bars.chart(one, until=server.app.now())
        later = bars.chart(one, until=server.app.now(), after=2)

    lines = {line.path: line for line in chart.lines}
    assert list(lines) == ["flaky", "fleet", "fleet[a]/one", "fleet[b]/one", "go"] or set(lines) == {
        "flaky", "fleet", "fleet[a]/one", "fleet[b]/one", "go"
    }  # fmt: skip
    assert all(
        bar.width >= bars.BAR_WIDTH_MIN and bar.x >= 0 and bar.x + bar.width <= bars.WIDTH + 0.2
        for line in chart.lines
        for bar in line.bars
    )
    assert [bar.tone for bar in lines["flaky"].bars] == ["bad", "warn", "good"]
    assert "attempt 2 worked" in lines["flaky"].bars[2].words
    assert "waited" in lines["go"].bars[0].words
    assert [line.path for line in later.lines] == [line.path for line in chart.lines][2:]


async def test_the_steps_of_a_picture_are_links(tmp_path: Path) -> None:
    """A picture in a page leads to each step, has no style of its own, and escapes addresses."""
    write_project(tmp_path, {"tries": WORKFLOW})
    async with server_in(tmp_path) as server:
        loaded = server.app.find("tries")
    picture = drawings.workflow_picture(
        Plan(loaded.workflow, loaded.digest), href=lambda path: f'/x?"&step={path}'
    )

    root = ET.fromstring(str(picture))  # noqa: S314 - our own drawing
    space = "{http://www.w3.org/2000/svg}"
    assert {one.get("href") for one in root.iter(f"{space}a")} >= {
        '/x?"&step=flaky',
        '/x?"&step=fleet',
        '/x?"&step=last',
    }
    assert list(root.iter(f"{space}style")) == []
    assert root.get("role") == "group"
