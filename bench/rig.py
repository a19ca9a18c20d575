"""What the cases share: a project with an engine, the raw peers, and figures with their limits."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from towpath import app, settings
from towpath.definition import loader
from towpath.engines.contract import StartRequest
from towpath.engines.embedded import EmbeddedEngine
from towpath.steps.contract import FunctionAction, action

RECORD = b"x" * 120
"""About as long as an encoded event of a step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table."""

    what: str
    value: float
    unit: str
    limit: float
    at_least: bool
    """Whether the value has to reach the limit, rather than stay under it."""
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether the value keeps to its limit."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def table(figures: list[Figure]) -> str:
    """The figures as a Markdown table."""
    rows = ["| what | measured | limit | holds | from |", "|---|--:|--:|---|---|"]
    for f in figures:
        sign = "≥" if f.at_least else "≤"
        holds = "yes" if f.holds else "**no**"
        rows.append(
            f"| {f.what} | {_shown(f.value)} {f.unit} | {sign} {_shown(f.limit)} | {holds} | {f.note} |"
        )
    return "\n".join(rows)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits are enough


@action("bench.nothing", idempotent=True, effects="none", instant=True)
def nothing() -> None:
    """Does nothing, so that what is measured is the engine."""


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A new folder on the disk that the project lies on: a memory disk would measure nothing."""
    made = Path(tempfile.mkdtemp(prefix=".bench-", dir=Path(__file__).parent.parent))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.asynccontextmanager
async def engine(project: Path) -> AsyncIterator[tuple[app.App, EmbeddedEngine]]:
    """An engine over an empty project whose actions do nothing."""
    built = app.build(settings.load(project, project=project))
    built.catalogue._found["bench.nothing"] = _nothing  # noqa: SLF001 - an action of the benchmark's own
    async with built.engine("bench") as made:
        yield built, made
    built.close()


_nothing: FunctionAction = nothing


def plugged_together(project: Path) -> app.App:
    """The application over a project."""
    return app.build(settings.load(project, project=project))


def request(built: app.App, text: str, inputs: dict[str, object] | None = None) -> StartRequest:
    """A start of the workflow in *text*."""
    loaded = loader.load_workflow(text, path="bench.yaml")
    return built.request(loaded, inputs or {})


def steps(count: int, body: str = "uses: bench.nothing") -> str:
    """A workflow of so many steps, one after the other."""
    return "name: sequence\nsteps:\n" + f"  - {{{body}}}\n" * count


async def run_to_end(made: EmbeddedEngine, wanted: StartRequest) -> float:
    """Seconds from the start of a run to its end."""
    began = time.perf_counter()
    started = await made.start(wanted)
    run = await made.until_ended(started.number)
    seconds = time.perf_counter() - began
    assert run.status == "succeeded", run.error
    return seconds


def raw_commits(project: Path, count: int, *, rows: int = 2) -> float:
    """Seconds for so many transactions of *rows* rows each, with `synchronous=FULL`."""
    connection = _raw(project / "raw.db")
    began = time.perf_counter()
    for number in range(count):
        connection.execute("begin immediate")
        connection.executemany(
            "insert into journal values (1, ?, 0, ?)", [(number * rows + row, RECORD) for row in range(rows)]
        )
        connection.execute("commit")
    seconds = time.perf_counter() - began
    connection.close()
    return seconds


def raw_bulk(project: Path, count: int, *, group: int = 1_000) -> float:
    """Seconds for so many rows in transactions of *group* rows."""
    connection = _raw(project / "bulk.db")
    began = time.perf_counter()
    for first in range(0, count, group):
        connection.execute("begin immediate")
        connection.executemany(
            "insert into journal values (1, ?, 0, ?)",
            [(number, RECORD) for number in range(first, min(first + group, count))],
        )
        connection.execute("commit")
    seconds = time.perf_counter() - began
    connection.close()
    return seconds


def _raw(path: Path) -> sqlite3.Connection:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("pragma journal_mode=wal")
    connection.execute("pragma synchronous=full")
    connection.execute(
        "create table journal (run integer, sequence integer, at integer, record blob, primary key (run, sequence))"
        " without rowid"
    )
    return connection


def median(values: list[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def pairs(rounds: int, ours: Callable[[], float], theirs: Callable[[], float]) -> list[tuple[float, float]]:
    """Both measured in turn, so many times, after one round that does not count."""
    ours()
    theirs()
    return [(ours(), theirs()) for _ in range(rounds)]


def resident_bytes() -> int:
    """The memory of this process."""
    with Path("/proc/self/statm").open(encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def processor() -> str:
    """The processor's name."""
    with contextlib.suppress(OSError), Path("/proc/cpuinfo").open(encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return "unknown processor"


def sqlite_version() -> str:
    """The version of SQLite."""
    return sqlite3.sqlite_version
