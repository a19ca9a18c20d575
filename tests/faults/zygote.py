"""Plays cases in processes of their own: forked from a process that has everything loaded already, so that a case is quick.

Reads one case a line, as JSON, and writes how its process ended:

    {"project": folder, "kill_at": N or 0, "when": "before" | "after"}  →  {"status": -9, "writes": 17, "note": ""}

A process starts the workflow `fleet` where there is no run yet, else takes over what is open, answers what is asked by a rule, and
goes on until every run has ended. With *kill_at* it kills itself with -9 just before, or just after, its Nth write to the journal
is durable: after means before anything that the write allows has begun.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from towpath import app as towpath_app
from towpath.core import stimuli
from towpath.core.plan import Plan
from towpath.core.run import Node
from towpath.definition import loader  # noqa: F401 - loaded before the fork
from towpath.engines.embedded import EmbeddedEngine
from towpath.engines.performing import actions, scripts  # noqa: F401 - as above
from towpath.errors import Refused
from towpath.settings import Settings
from towpath.steps import catalogue  # noqa: F401 - as above
from towpath.store import journal
from towpath.store.contract import RunFilter

SECONDS_MAX = 240
"""How long one life may take; a busy machine is slow, and only one that hangs takes so long."""
WORKFLOW = "fleet"
write_group = journal.write_group


class Killer:
    """Counts writes to the journal, and ends the process at one of them."""

    def __init__(self, kill_at: int, when: str, told: Path) -> None:
        self._kill_at = kill_at
        self._when = when
        self._told = told
        self.writes = 0

    def write(self, connection: Any, group: Any, chain: Any) -> Any:
        """Writes a group as the journal would, or dies."""
        self.writes += 1
        if self.writes == self._kill_at and self._when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        outcome = write_group(connection, group, chain)
        if self.writes == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self._told.write_text(str(self.writes))
        return outcome


async def play(project: Path) -> None:
    """Starts or resumes, and answers, until everything has ended."""
    settings = Settings(project=project, data=project / ".towpath", user="ann")
    app = towpath_app.build(settings)
    async with app.engine("zygote") as engine:
        if app.store.reader.runs():
            await engine.resume_all()
        else:
            await engine.start(app.request(app.find(WORKFLOW), {}))
        while rows := app.store.reader.runs(RunFilter(is_open=True)):
            for row in rows:
                run = app.run(str(row.number))[1]
                for node in run.open_leaves():
                    if node.question is not None:
                        await answer(engine, row.number, node, project / "ledger")
            await asyncio.sleep(0.005)
    app.close()


async def answer(engine: EmbeddedEngine, run: Any, node: Node, ledger: Path) -> None:
    """What a careful person says: an unknown step is done where the ledger has it, else it is to run again."""
    assert node.question is not None
    decision = "approve"
    if node.question.kind == "unknown":
        begun = [line.split()[0] for line in ledger.read_text().splitlines()] if ledger.exists() else []
        decision = "done" if node.path in begun else "retry"
    said = stimuli.Answered(at=engine.clock.now(), path=node.path, by="user:bob", decision=decision)
    try:
        await engine.tell(run, said)
    except Refused:
        return  # it has been answered since we looked


def become(case: dict[str, Any]) -> None:
    """The life of one process."""
    project = Path(case["project"])
    killer = Killer(case.get("kill_at", 0), case.get("when", "after"), project / "writes")
    journal.write_group = killer.write
    if case.get("repeats_everything"):
        Plan.is_idempotent = lambda *_: True  # type: ignore[method-assign] # a mistake that has to be noticed
    signal.alarm(SECONDS_MAX)
    try:
        asyncio.run(play(project))
    except BaseException:  # noqa: BLE001 - the process ends here
        (project / "note").write_text(traceback.format_exc())
        os._exit(1)
    os._exit(0)


def serve(take: Callable[[], str]) -> None:
    """Plays case after case."""
    while line := take():
        case = json.loads(line)
        project = Path(case["project"])
        for name in ("writes", "note"):
            (project / name).unlink(missing_ok=True)
        pid = os.fork()
        if pid == 0:
            become(case)
        _, status = os.waitpid(pid, 0)
        told, note = project / "writes", project / "note"
        result = {
            "status": os.waitstatus_to_exitcode(status),
            "writes": int(told.read_text() or 0) if told.exists() else 0,
            "note": note.read_text() if note.exists() else "",
        }
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve(sys.stdin.readline)
