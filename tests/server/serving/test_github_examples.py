"""GitHub's own examples through the door: every one is accepted, classified and answered."""

from __future__ import annotations

import json
import lzma
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from server_support import PROJECT, server_in, write_project
from serving_support import SECRET, github

from towpath.store.contract import EventFilter
from towpath.triggers.payloads import source_named

EXAMPLES: list[dict[str, Any]] = json.loads(
    lzma.decompress((Path(__file__).parents[2] / "triggers" / "payloads" / "github.json.xz").read_bytes())
)
LISTENING = """
name: look
on: [github.push, github.pull_request, github.issues, github.release]
steps: [{id: look, run: "true"}]
"""
WANTED = {"github.push", "github.pull_request", "github.issues", "github.release"}


async def test_every_example_of_github_is_taken_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the 329 is 202 with a number of its own, and then has a verdict: the run that it started, or why it started none."""
    monkeypatch.setenv("TOW_SECRET_GITHUB_WEBHOOK", SECRET)
    write_project(
        tmp_path, {"look": LISTENING}, project=f"{PROJECT}\nsecrets: {{providers: [{{env: {{}}}}]}}\n"
    )
    sent = [
        (str(one["name"]), github(payload, event=str(one["name"]), delivery=f"{one['name']}-{number}"))
        for one in EXAMPLES
        for number, payload in enumerate(one["examples"])
    ]
    async with server_in(tmp_path) as server:
        answers = [await server.client.post("/hooks/github", **one) for _, one in sent]
        repeats = [await server.client.post("/hooks/github", **one) for _, one in sent[::40]]
        decider = server.app.decider(server.engine)
        done = await decider.work()
        await server.engine.until_idle()
        rows = {row.delivery: row for row in server.app.store.events.events(EventFilter(rows_max=1_000))}

    read = source_named("github").read
    kinds = {
        one["headers"]["X-GitHub-Delivery"]: read({"x-github-event": name}, json.loads(one["content"])).kinds
        for name, one in sent
    }
    assert len(sent) == len(rows) == len(done) == 329
    assert Counter(answer.status_code for answer in answers) == {202: 329}
    assert len({answer.json()["event"] for answer in answers}) == 329
    assert {answer.status_code for answer in repeats} == {200}
    for delivery, row in rows.items():
        started = [one.run for one in row.reactions if one.run is not None]
        is_heard = bool(WANTED & set(kinds[delivery]))
        assert (delivery, is_heard or not started) == (delivery, True)
        assert (delivery, bool(started or row.because or row.reactions)) == (delivery, True)
        assert row.state in ("matched", "ignored", "failed")
