"""Queries that hold for long enough become events: once, durable, and nothing is guessed about the time when nobody looked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from inbox_support import FakeProject

from towpath.errors import Unreachable
from towpath.steps.contract import HttpRequest, HttpResponse
from towpath.store.contract import EventFilter
from towpath.store.memory import MemoryStore
from towpath.triggers.watch import Metrics
from towpath.triggers.watch.metrics import read_result

SECOND = 1_000_000
NOW = 1_700_000_000 * SECOND
RULE = "- metric: {server: 'http://prometheus.test/', query: 'up == 0', for: 60s, every: 10s}"


@dataclass
class Prometheus:
    """Answers queries as it is told to."""

    holds: bool = False
    is_away: bool = False
    asked: list[HttpRequest] = field(default_factory=list)

    async def send(self, request: HttpRequest) -> HttpResponse:
        """The answer to one query."""
        self.asked.append(request)
        if self.is_away:
            raise Unreachable("nobody answers")
        result = [{"metric": {"job": "shop"}, "value": [1, "0"]}] if self.holds else []
        body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()
        return HttpResponse(
            status=200, headers={}, body=body, body_bytes=len(body), url=request.url, elapsed_seconds=0
        )


class Bench:
    """A project with one rule, a clock wound by hand, and a Prometheus."""

    def __init__(self) -> None:
        self.now = NOW
        self.store = MemoryStore()
        self.project = FakeProject()
        self.project.add("mend", RULE)
        self.prometheus = Prometheus()
        self.restart()

    def restart(self) -> None:
        """A new process on the same store."""
        self.metrics = Metrics(self.store.events, self.project, self.prometheus, now=lambda: self.now)

    async def after(self, seconds: float, *, holds: bool) -> int:
        """Looks some time later; gives how many events were kept."""
        self.now += round(seconds * SECOND)
        self.prometheus.holds = holds
        return (await self.metrics.look()).kept


@pytest.mark.parametrize(
    ("looks", "kept"),
    [
        pytest.param([(0, True), (30, True), (29, True)], [0, 0, 0], id="not yet"),
        pytest.param([(0, True), (30, True), (30, True)], [0, 0, 1], id="for long enough"),
        pytest.param(
            [(0, True), (30, True), (30, True), (10, True), (600, True)], [0, 0, 1, 0, 0], id="once"
        ),
        pytest.param([(0, True), (30, False), (30, True), (30, True)], [0, 0, 0, 0], id="interrupted"),
        pytest.param(
            [(0, True), (60, True), (10, False), (10, True), (60, True)], [0, 1, 0, 0, 1], id="a second time"
        ),
        pytest.param(
            [(0, True), (61, True), (30, True), (30, True)], [0, 0, 0, 1], id="nobody looked meanwhile"
        ),
        pytest.param(
            [(0, True), (30, True), (-3600, True), (30, True), (30, True)], [0, 0, 0, 0, 1], id="clock back"
        ),
    ],
)
async def test_a_query_that_holds_for_long_enough_is_told_once(
    looks: list[tuple[float, bool]], kept: list[int]
) -> None:
    """It counts from the first look at which it holds, without a gap, and is told again only after it has stopped holding."""
    bench = Bench()

    assert [await bench.after(seconds, holds=holds) for seconds, holds in looks] == kept


async def test_what_is_known_survives_a_restart() -> None:
    """A restart neither begins to count anew nor tells a second time."""
    bench = Bench()
    kept = []
    for seconds in (0, 30, 30, 30, 30):
        kept.append(await bench.after(seconds, holds=True))
        bench.restart()

    assert kept == [0, 0, 1, 0, 0]


async def test_the_event_says_what_was_found() -> None:
    """The event has the query, since when it holds, and the series with their values."""
    bench = Bench()
    await bench.after(0, holds=True)
    await bench.after(60, holds=True)
    (row,) = bench.store.events.events(EventFilter())
    payload = json.loads(bench.store.events.payload(row.id))

    assert (row.kind, row.title, row.way) == ("metric", "up == 0", "local")
    assert payload == {
        "server": "http://prometheus.test/",
        "query": "up == 0",
        "for_seconds": 60.0,
        "since": 1_700_000_000,
        "holds_seconds": 60,
        "series": [{"labels": {"job": "shop"}, "value": "0"}],
        "series_count": 1,
    }


async def test_a_server_that_is_away_changes_nothing() -> None:
    """A look that fails is told; what was known stays."""
    bench = Bench()
    await bench.after(0, holds=True)
    bench.prometheus.is_away = True
    bench.now += 30 * SECOND
    failed = await bench.metrics.look()
    bench.prometheus.is_away = False

    assert failed.errors == (("up == 0", "nobody answers"),)
    assert await bench.after(30, holds=True) == 1


async def test_it_is_asked_as_often_as_the_rule_says_and_not_oftener() -> None:
    """A look asks only what is due, and says when the next is."""
    bench = Bench()
    await bench.metrics.look()
    bench.now += 9 * SECOND
    looked = await bench.metrics.look()

    assert (len(bench.prometheus.asked), looked.next_at) == (1, NOW + 10 * SECOND)
    assert bench.prometheus.asked[0].url == "http://prometheus.test/api/v1/query"
    assert bench.prometheus.asked[0].body == b"query=up+%3D%3D+0"


async def test_the_token_goes_to_the_server_of_the_rule() -> None:
    """A rule that names a secret is asked with it; no redirect carries it elsewhere."""
    bench = Bench()
    bench.project.found.clear()
    bench.project.add("mend", RULE.replace("for: 60s", "secret: deploy"))
    await bench.metrics.look()
    (asked,) = bench.prometheus.asked

    assert (asked.headers["Authorization"], asked.follow_redirects) == ("Bearer opensesame", False)


VECTOR = {"status": "success", "data": {"resultType": "vector", "result": []}}


@pytest.mark.parametrize(
    ("status", "answer", "series"),
    [
        (200, VECTOR, 0),
        (200, {"status": "success", "data": {"resultType": "scalar", "result": [1, "0"]}}, 0),
        (200, {"status": "success", "data": {"resultType": "scalar", "result": [1, "NaN"]}}, 0),
        (200, {"status": "success", "data": {"resultType": "scalar", "result": [1, "2.5"]}}, 1),
        (200, {"status": "success", "data": {"resultType": "matrix", "result": []}}, None),
        (400, {"status": "error", "error": "parse error"}, None),
        (500, VECTOR, None),
        (200, {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}}]}}, None),
        (200, [], None),
        (200, "hello", None),
    ],
)
def test_an_answer_is_read_or_refused(status: int, answer: Any, series: int | None) -> None:
    """A vector holds when it has a series, a scalar when it is a number but 0; anything else is no answer."""
    body = json.dumps(answer).encode()
    if series is None:
        with pytest.raises(Unreachable):
            read_result(status, body)
    else:
        assert len(read_result(status, body)) == series
