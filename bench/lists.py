"""What a server takes to answer about a journal of a hundred thousand runs: lists, filters, searches, and one run."""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path
from typing import Any

import history
import httpx2
import rig
from rig import Figure
from starlette.requests import HTTPConnection

from towpath.policy.access import Actor
from towpath.server.call import Parts, Visitor
from towpath.server.live import Live
from towpath.server.making import make_server

RUNS = 100_000
ROUNDS = 5
LIMIT_MILLISECONDS = 100
ASKED = (
    ("a list: the newest runs", "/api/v1/runs"),
    ("a list: of one workflow, open or not", "/api/v1/runs?workflow=incident"),
    ("a list: in an environment that has none", "/api/v1/runs?environment=nowhere"),
    ("a list: by a label, which one run has", "/api/v1/runs?label=ticket=OPS-5"),
    ("a list: the last page", "/api/v1/runs?before=51"),
    ("a search that finds one run", "/api/v1/runs?q=host000007"),
    ("a search that finds nothing", "/api/v1/runs?q=nothing+like+it"),
    ("how many runs there are in each status", "/api/v1/runs/counts"),
    ("a run with its steps", "/api/v1/runs/50000"),
    ("the page of runs", "/runs"),
    ("the page of a run", "/runs/50000"),
)


class _Owner:
    def visitor_of(self, _: HTTPConnection) -> Visitor:
        actor = Actor(name="user:ada", principals=frozenset({"user:ada"}), is_owner=True)
        return Visitor(actor=actor, way="token", key="bench")


def lists() -> list[Figure]:
    """Processor time of one request, without a socket."""
    with rig.folder() as project:
        history.fill(project, RUNS)
        measured = asyncio.run(_measured(project))
    return [
        Figure(
            what=f"{what}, of {RUNS:,}",
            value=milliseconds,
            unit="ms",
            limit=LIMIT_MILLISECONDS,
            at_least=False,
            note=f"processor time of `GET {path}`",
        )
        for what, path, milliseconds in measured
    ]


async def _measured(project: Path) -> list[tuple[str, str, float]]:
    built = rig.plugged_together(project)
    engine: Any = None  # nothing is driven
    try:
        application = make_server(Parts(app=built, engine=engine, identity=_Owner(), live=Live()))
        transport = httpx2.ASGITransport(app=application)
        headers = {"Accept": "text/html, application/json", "Authorization": "Bearer bench"}
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://bench", headers=headers
        ) as client:
            return [(what, path, await _median(client, path)) for what, path in ASKED]
    finally:
        built.close()


async def _median(client: httpx2.AsyncClient, path: str) -> float:
    taken = []
    for _ in range(ROUNDS):
        began = time.process_time()
        answer = await client.get(path)
        taken.append((time.process_time() - began) * 1_000)
        assert answer.is_success, (path, answer.status_code, answer.text[:500])
    return statistics.median(taken)
