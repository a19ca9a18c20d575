"""A disk that takes no more writes: new work is refused with the reason, nothing that was said is lost, and it goes on by itself."""

from __future__ import annotations

import resource
from pathlib import Path

from serving_support import Served, push, served, wait_for

from towpath.store.contract import EventFilter

RELEASE = """
name: release
on: [{github.push: {branches: main}}]
steps: [{id: make, uses: log, with: {message: pushed}}]
"""
FULL_BYTES = 8_192
"""A file may not grow beyond this: the database cannot be written, the server's log still can."""


def let_write(one: Served, bytes_max: int) -> None:
    """Has every write of the server beyond so many bytes of a file fail from now on, as on a full disk."""
    assert one.process is not None
    resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE, (bytes_max, resource.RLIM_INFINITY))


def test_a_full_disk_refuses_and_heals(tmp_path: Path) -> None:
    """While nothing can be written every start and delivery is 503 and `/readyz` says no; with room again it takes work, at the same address."""
    with served(tmp_path, TOW_SECRET_GITHUB_WEBHOOK="hush") as one:
        one.add("release", RELEASE)
        one.start()
        headers, address = one.token(), one.address
        before = one.post("/hooks/github", **push("before"))
        wait_for(lambda: one.statuses() == [("release", "succeeded")], what="the first run")
        let_write(one, FULL_BYTES)
        refused = [
            one.post("/hooks/github", **push("refused")),
            one.post("/api/v1/runs", headers=headers, json={"workflow": "release"}),
        ]
        wait_for(lambda: one.get("/readyz").status_code == 503, what="a server that is not ready")
        seen = [one.get("/healthz").status_code, one.get("/api/v1/runs", headers=headers).status_code]
        let_write(one, resource.RLIM_INFINITY)
        wait_for(lambda: ready(one), what="a server that is ready again")
        after = one.post("/hooks/github", **push("refused"))
        wait_for(lambda: [one for _, one in one.statuses()] == ["succeeded"] * 2, what="the second run")
        code = one.stop()
        with one.app() as app:
            kept = [row.delivery for row in app.store.events.events(EventFilter())]

    assert (before.status_code, after.status_code, code) == (202, 202, 0)
    assert [answer.status_code for answer in refused] == [503, 503]
    assert "disk" in refused[0].json()["detail"]
    assert seen == [200, 200]
    assert sorted(kept) == ["before", "refused"]
    assert one.address == address
    assert "server.begins_anew" in one.err


def ready(one: Served) -> bool:
    """Whether it takes work; while it begins anew nobody answers."""
    import httpx2

    try:
        return one.get("/readyz").status_code == 200
    except httpx2.HTTPError:
        return False
