"""A journal of many runs, made quickly: one real run is played, and its facts are written again and again under other names.

They go through the store's own writer, a thousand runs to a transaction, so that the file is what as many real runs would have left.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import rig

from towpath.core.events import RunAccepted
from towpath.core.run import RunId
from towpath.store import encoding
from towpath.store.contract import Definition, NewRun, Record, RunRow

RUNS_AT_ONCE = 1_000
WORKFLOWS = ("release", "restore_backup", "rotate_certificates", "patch_web_servers", "incident")
ENVIRONMENTS = ("production", "staging", None)
OPEN_EVERY = 500
"""One run in so many has not ended."""
PEOPLE = 40


def fill(project: Path, runs: int, *, steps: int = 3) -> None:
    """Leaves a journal of *runs* runs in the project's data folder."""
    row, records, definition = asyncio.run(_played(project, steps))
    built = rig.plugged_together(project)
    journal = built.store.open_journal(lambda call, *values: call(*values))
    try:
        for first in range(0, runs, RUNS_AT_ONCE):
            _written(journal.start, _copies(row, records, definition, first, min(first + RUNS_AT_ONCE, runs)))
    finally:
        journal.close()
        built.close()


async def _played(project: Path, steps: int) -> tuple[RunRow, tuple[Record, ...], Definition]:
    async with rig.engine(project) as (built, made):
        started = await made.start(rig.request(built, rig.steps(steps)))
        await made.until_ended(started.number)
        row = built.store.reader.run(started.number)
        return (
            row,
            tuple(built.store.reader.events(row.number)),
            built.store.reader.definition(row.definition),
        )


def _copies(
    row: RunRow, records: tuple[Record, ...], definition: Definition, first: int, last: int
) -> Iterator[NewRun]:
    accepted = encoding.decode(records[0][2])
    assert isinstance(accepted, RunAccepted)
    for number in range(first, last):
        name = RunId(f"{number:08x}-{row.id[9:]}")
        at = row.accepted_at - (last - number) * 1_000_000
        by = f"user:person{number % PEOPLE:02}"
        is_open = number % OPEN_EVERY == 0
        begun = msgspec.structs.replace(accepted, run=name, started_by=by)
        summary = (
            replace(row.summary, status="running", ended_at=None, outcome=None)
            if is_open
            else replace(row.summary, message=f"everything on host{number:06} is up to date")
        )
        yield NewRun(
            id=name,
            workflow=WORKFLOWS[number % len(WORKFLOWS)],
            definition=definition,
            owner=None,
            started_by=by,
            accepted_at=at,
            summary=summary,
            records=((1, records[0][1], encoding.encode(begun)), *records[1 : -1 if is_open else None]),
            kind="deployment" if number % 2 else "task",
            environment=ENVIRONMENTS[number % len(ENVIRONMENTS)],
            labels={"ticket": f"OPS-{number}"},
        )


def _written(start: object, copies: Iterator[NewRun]) -> None:
    """Has runs written and waits until all of them are durable."""
    wanted = list(copies)
    answers: list[object] = []
    all_there = threading.Event()

    def told(answer: object) -> None:
        answers.append(answer)
        if len(answers) == len(wanted):
            all_there.set()

    for new in wanted:
        start(new, told)  # type: ignore[operator] # the journal's own
    all_there.wait()
    wrong = [answer for answer in answers if isinstance(answer, Exception)]
    if wrong:
        raise wrong[0]
