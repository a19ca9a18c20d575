"""Streams of server-sent events, followed over a socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from following_support import Follower, Served, served, signals
from server_support import HELLO, PROJECT, KnownByName, write_project
from starlette.requests import HTTPConnection

from towpath.core.events import AnyEvent
from towpath.server.api import streams
from towpath.server.call import Visitor
from towpath.store.contract import RunNumber

WAITS = """
name: waits
steps:
  - {id: greet, run: "echo one; echo two"}
  - {id: go, wait: {signal: go}}
"""
OTHER = HELLO.replace("name: hello", "name: other")
LIMITED = PROJECT.replace(
    '- {role: viewer, to: ["user:vic"]}', '- {role: viewer, to: ["user:vic"], workflows: [other]}'
)


def journal_of(here: Served, run: RunNumber) -> list[tuple[int, AnyEvent]]:
    """The facts of a run as the journal has them."""
    return list(here.server.app.events(here.server.app.reader.run(run)))


def facts_of(told: list[Any]) -> list[tuple[int, AnyEvent]]:
    """The facts that a stream has told, as values."""
    return [
        (one.data["sequence"], msgspec.convert(one.data, AnyEvent)) for one in told if one.event == "fact"
    ]


async def test_a_run_is_followed_to_its_end(tmp_path: Path) -> None:
    """Every fact comes, in order and as the journal has it, then the end with the status, and the stream is over."""
    write_project(tmp_path)
    async with served(tmp_path) as here:
        run = await here.run()
        follower = await here.follow(f"/api/v1/runs/{run}/stream")
        told = await follower.until("end")
        after = await follower.next()
        expected = journal_of(here, run)

    assert facts_of(told) == expected
    assert told[-1].data == {"status": "succeeded", "outcome": None}
    assert after is None
    assert follower.headers["content-type"].startswith("text/event-stream")
    assert follower.headers["x-accel-buffering"] == "no"
    assert "content-length" not in follower.headers


@pytest.mark.parametrize("way", ["header", "query"])
async def test_who_comes_back_goes_on_where_they_were(tmp_path: Path, way: str) -> None:
    """After each fact in turn the connection is lost: all of them together tell everything once."""
    write_project(tmp_path)
    async with served(tmp_path) as here:
        run = await here.run()
        await here.server.engine.until_ended(run)
        expected = journal_of(here, run)
        found, place = [], "0"
        for _ in expected:
            path = f"/api/v1/runs/{run}/stream"
            follower = (
                await here.follow(path, last=place)
                if way == "header"
                else await here.follow(f"{path}?after={place}")
            )
            told = await follower.next()
            assert told is not None
            found.append(told)
            place = told.place
            await follower.close()
        over = await here.follow(f"/api/v1/runs/{run}/stream", last=place)

    assert facts_of(found) == expected
    assert over.status == 204


async def test_what_another_process_writes_is_told(tmp_path: Path) -> None:
    """A follower who waits is told what somebody else has written to the journal."""
    write_project(tmp_path, {"waits": WAITS})
    async with served(tmp_path) as here:
        run = await here.run("waits")
        await here.server.engine.until_idle()
        begun = len(journal_of(here, run))
        follower = await here.follow(f"/api/v1/runs/{run}/stream?after={begun}")
        here.write(run, signals(3), after=begun)
        names = [(await _next(follower)).data["name"] for _ in range(3)]

    assert names == ["s0", "s1", "s2"]


async def test_a_log_is_followed_to_its_end(tmp_path: Path) -> None:
    """The lines of a step come as they are printed, from any place on, and the end of the run ends them."""
    write_project(tmp_path, {"hello": HELLO.replace("echo hello", "echo one; sleep 0.6; echo two")})
    async with served(tmp_path) as here:
        run = await here.run()
        follower = await here.follow(f"/api/v1/runs/{run}/logs/stream")
        told = await follower.until("end")
        lines = [one for one in told if one.event == "lines"]
        again = await here.follow(f"/api/v1/runs/{run}/logs/stream?step=greet", last=lines[0].place)
        rest = await again.until("end") if again.status == 200 else []
        over = await here.follow(f"/api/v1/runs/{run}/logs/stream", last=lines[-1].place)
        wrong = await here.follow(f"/api/v1/runs/{run}/logs/stream", last="../../etc/passwd=1")

    texts = [line["text"] for one in lines for line in one.data]
    seen_first = len(lines[0].data)
    assert texts == ["one", "two"]
    assert [line["text"] for one in rest if one.event == "lines" for line in one.data] == texts[seen_first:]
    assert (over.status, wrong.status) == (204, 409)


async def test_lists_are_told_what_changed(tmp_path: Path) -> None:
    """Whoever follows the lists is told of each run that begins and ends, and comes back where they were."""
    write_project(tmp_path)
    async with served(tmp_path) as here:
        follower = await here.follow("/api/v1/stream")
        hello = await _next(follower)
        run = await here.run()
        await here.server.engine.until_ended(run)
        told = await _until_status(follower, "succeeded")
        again = await here.follow("/api/v1/stream", last=hello.place)
        rest = await _until_status(again, "succeeded")

    assert hello.event == "hello"
    assert {one.data["number"] for one in told} == {run}
    assert [one.place for one in rest[-1:]] == [one.place for one in told[-1:]]


async def test_lists_tell_nobody_of_what_they_may_not_see(tmp_path: Path) -> None:
    """What is granted for one workflow only is told of that workflow only."""
    write_project(tmp_path, {"hello": HELLO, "other": OTHER}, project=LIMITED)
    async with served(tmp_path) as here:
        follower = await here.follow("/api/v1/stream", "vic")
        await _next(follower)
        hidden, seen = await here.run("hello"), await here.run("other")
        for run in (hidden, seen):
            await here.server.engine.until_ended(run)
        told = await _until_status(follower, "succeeded")
        refused = await here.follow(f"/api/v1/runs/{hidden}/stream", "vic")

    assert {one.data["workflow"] for one in told} == {"other"}
    assert refused.status == 403


@pytest.mark.parametrize("missed", ["too much", "the future"])
async def test_who_cannot_be_told_everything_is_told_to_read_anew(
    tmp_path: Path, missed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gap that is too large, or a place that this data folder never had, is no silence."""
    monkeypatch.setattr("towpath.server.feeds.NEWS_AT_ONCE_MAX", 1)
    monkeypatch.setattr("towpath.server.feeds.NEWS_BEHIND_MAX", 2)
    write_project(tmp_path)
    async with served(tmp_path) as here:
        for _ in range(3):
            await here.server.engine.until_ended(await here.run())
        follower = await here.follow("/api/v1/stream", last="0" if missed == "too much" else "4000")
        told = [await _next(follower) for _ in range(2)]
        newest = here.server.app.reader.last_news()

    assert [one.event for one in told] == ["hello", "reload"]
    assert told[1].place == str(newest)


async def test_a_stream_ends_with_the_right_to_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose session has ended is told so, and nothing more but what was on its way already."""
    monkeypatch.setattr(streams, "ACCESS_SECONDS", 0.0)
    known = KnownByName.visitor_of
    ended: list[str] = []

    def visitor_of(self: KnownByName, connection: HTTPConnection) -> Visitor | None:
        found = known(self, connection)
        return None if found is not None and found.key in ended else found

    monkeypatch.setattr(KnownByName, "visitor_of", visitor_of)
    write_project(tmp_path, {"waits": WAITS})
    async with served(tmp_path) as here:
        run = await here.run("waits")
        await here.server.engine.until_idle()
        begun = len(journal_of(here, run))
        follower = await here.follow(f"/api/v1/runs/{run}/stream?after={begun}", "vic")
        here.write(run, signals(1), after=begun)
        before = await _next(follower)
        ended.append("vic")
        here.write(run, signals(1), after=begun + 1)
        told = await follower.until("never")

    assert before.event == "fact"
    assert [one.event for one in told[-1:]] == ["goodbye"]
    assert len(told) <= 1 + 1


async def test_streams_end_with_the_server(tmp_path: Path) -> None:
    """A server that stops says goodbye, so that nobody has to find out."""
    write_project(tmp_path, {"waits": WAITS})
    async with served(tmp_path) as here:
        run = await here.run("waits")
        followers = [
            await here.follow(path)
            for path in ("/api/v1/stream", f"/api/v1/runs/{run}/stream", f"/api/v1/runs/{run}/logs/stream")
        ]
        here.server.parts.live.end()
        last = [(await one.until("goodbye"))[-1].event for one in followers]
        over = [await one.next() for one in followers]

    assert last == ["goodbye"] * 3
    assert over == [None] * 3


async def test_there_are_not_more_streams_than_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One stream too many is refused for now; the others go on, and one that ends makes room."""
    monkeypatch.setattr(streams, "STREAMS_MAX", 1)
    write_project(tmp_path)
    async with served(tmp_path) as here:
        first = await here.follow("/api/v1/stream")
        await _next(first)
        second = await here.follow("/api/v1/stream")

    assert (first.status, second.status) == (200, 429)


async def _next(follower: Follower) -> Any:
    told = await follower.next()
    assert told is not None, "the stream is over"
    return told


async def _until_status(follower: Follower, status: str) -> list[Any]:
    found = []
    while not found or found[-1].data["status"] != status:
        told = await _next(follower)
        if told.event == "run":
            found.append(told)
    return found
