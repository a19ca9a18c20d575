"""What the tests of the store share: runs, changes, and waiting for answers."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath.core.run import RunId
from towpath.store.contract import (
    Change,
    Definition,
    Journal,
    NewRun,
    Record,
    RunNumber,
    Started,
    Summary,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NOW = 1_700_000_000_000_000
RUNNING = Summary(status="running", started_at=NOW)
DONE = Summary(status="succeeded", started_at=NOW, ended_at=NOW + 9)
PROGRAMS = Path(__file__).parent / "programs"


def call_now(callback: Callable[..., object], *values: object) -> None:
    """Deliver in whatever thread this is."""
    callback(*values)


def records(first: int, last: int, *, size: int = 8) -> tuple[Record, ...]:
    """Make records with the sequences from *first* to *last*."""
    return tuple((n, NOW + n, f"event {n}".encode().ljust(size, b".")) for n in range(first, last + 1))


def new_run(name: str = "r1", **different: Any) -> NewRun:
    """Make a run to be accepted."""
    values: dict[str, Any] = {
        "id": RunId(name),
        "workflow": "shop",
        "definition": Definition(digest="d1", text="name: shop"),
        "owner": None,
        "started_by": "user:ada",
        "accepted_at": NOW,
        "summary": RUNNING,
        "records": records(1, 2),
    }
    return NewRun(**(values | different))


def answer_of(ask: Callable[[Callable[[Any], None]], None]) -> Any:
    """Wait for what the journal answers."""
    future: Future[Any] = Future()
    ask(future.set_result)
    return future.result(timeout=60)


def start(journal: Journal, new: NewRun) -> RunNumber:
    """Start a run that must be accepted."""
    answer = answer_of(lambda told: journal.start(new, told))
    assert isinstance(answer, Started), answer
    return answer.number


def commit(journal: Journal, change: Change) -> Exception | None:
    """Commit a change and return the answer."""
    answer: Exception | None = answer_of(lambda told: journal.commit(change, told))
    return answer


def say(*words: object) -> None:
    """Print a line at once, for the test that reads it."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def program(name: str, *arguments: object, through: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Start one of the programs beside the tests as a process of its own."""
    return subprocess.Popen(
        [*through, sys.executable, str(PROGRAMS / f"{name}.py"), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
