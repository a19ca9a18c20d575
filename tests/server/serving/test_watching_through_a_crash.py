"""A run that is watched over HTTP while its server dies and comes back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from serving_support import PATIENCE_SECONDS, served, wait_for

from towpath.store.contract import RunNumber

ONE = RunNumber(1)
WAITS = """
name: waits
steps:
  - {id: first, run: echo one}
  - {id: go, wait: {signal: go}}
  - {id: last, run: echo two}
"""


def test_who_watches_is_told_of_a_crash_and_watches_on(tmp_path: Path) -> None:
    """`kill -9` of the server: `tow run --server` says so, waits, takes the run up where it was, and tells every fact once."""
    with served(tmp_path / "there") as there:
        there.add("waits", WAITS)
        there.start()
        listen = there.address.rpartition("//")[2]
        token = there.token()["Authorization"].removeprefix("Bearer ")
        said = tmp_path / "said.txt"
        with said.open("wb") as out:
            watching = subprocess.Popen(
                [sys.executable, "-m", "towpath", "--server", there.address, "run", "waits", "--plain"],
                cwd=tmp_path,
                env={**os.environ, "TOW_TOKEN": token, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_for(lambda: "waits for" in said.read_text(), what="a run that waits")
            there.kill()
            wait_for(lambda: "does not answer" in said.read_text(), what="whoever watches to notice")
            there.options = (*there.options, "--listen", listen)
            there.start()
            wait_for(lambda: "answers again" in said.read_text(), what="whoever watches to come back")
            headers = {"Authorization": f"Bearer {token}"}
            answer = there.post(f"/api/v1/runs/{ONE}/signal", headers=headers, json={"name": "go"})
            code = watching.wait(PATIENCE_SECONDS)
        finally:
            watching.kill()
        text = said.read_text()
        statuses = there.statuses()

    assert answer.is_success, answer.text
    assert (code, statuses) == (0, [("waits", "succeeded")]), text
    assert [
        text.count(f"{step}  started") + text.count(f"{step}   started") for step in ("first", "last")
    ] == [1, 1], text
