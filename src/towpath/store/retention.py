"""What is forgotten, and when: `tow gc`.

Rules say how long and how many ended runs are kept, for a workflow or an end state. A run that is open is
never touched, and neither is one that an open run continues or belongs to. First a plan is made, which lists
everything and changes nothing; carrying it out takes the runs one transaction after the other, so that nobody
waits long, and looks again whether each has really ended.

With a run go its journal, its messages, what people were told of it, its log and the notes of its artifacts. Definitions and stored files
go when no run refers to them any more. Start keys stay: a key starts one run, for ever.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.errors import AuthorError
from towpath.store.artifacts import Artifact, Artifacts
from towpath.store.connections import transaction
from towpath.store.contract import Life
from towpath.store.queries import queries

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from towpath.store.contract import Microseconds, Owners, RunNumber
    from towpath.store.desk import Desk
    from towpath.store.folder import DataFolder
    from towpath.store.rows import Row

DAY: int = 24 * 3600 * 1_000_000
"""In microseconds."""
ANSWERS_KEPT = DAY
"""How long a reply waits for its sender; microseconds."""
OWNERS_KEPT = 30 * DAY
"""How long a process that has ended is remembered; microseconds."""

_SQL = queries("retention")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRule:
    """How long and how many ended runs are kept; the first rule that fits a run decides about it."""

    workflow: str | None = None
    """The runs of this workflow; None fits every one."""
    status: tuple[str, ...] = ()
    """The runs that ended so; empty fits every end."""
    age_max: Microseconds | None = None
    """Since the end of the run; None keeps them for ever."""
    runs_max: int | None = None
    """The newest of each workflow; None keeps any number."""

    def __post_init__(self) -> None:
        if min(self.age_max or 0, self.runs_max or 0) < 0:
            raise AuthorError(
                "a retention rule cannot be negative", help="Use 0 to keep nothing that has ended."
            )

    def fits(self, workflow: str, status: str) -> bool:
        """Tell whether the rule decides about a run."""
        return self.workflow in (None, workflow) and (not self.status or status in self.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgottenRun:
    """A run that goes."""

    number: RunNumber
    id: str
    workflow: str
    status: str
    ended_at: Microseconds
    journal_bytes: int
    log_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPlan:
    """What would go, or has gone."""

    runs: tuple[ForgottenRun, ...]
    artifacts: tuple[Artifact, ...]
    """Stored files to which nobody refers then."""
    definitions: tuple[Artifact, ...]
    """Texts with which no run started then."""

    @property
    def bytes(self) -> int:
        """How much that is; what is in the database is used again, the file itself does not shrink."""
        of_runs = sum(run.journal_bytes + run.log_bytes for run in self.runs)
        return of_runs + sum(some.size for some in (*self.artifacts, *self.definitions))


class Retention:
    """Plans what goes, and lets it go."""

    def __init__(self, desk: Desk, folder: DataFolder, owners: Owners) -> None:
        self._desk = desk
        self._folder = folder
        self._owners = owners
        self._artifacts = Artifacts(folder.artifacts)

    def plan(self, rules: Iterable[RetentionRule], *, now: Microseconds | None = None) -> RetentionPlan:
        """List what the rules let go; nothing is changed."""
        with self._desk.connection() as connection:
            ended = connection.execute(_SQL["ended_runs"]).fetchall()
            rows = chosen(ended, tuple(rules), _now() if now is None else now)
            runs = tuple(self._forgotten(connection, row) for row in rows)
            numbers = frozenset(run.number for run in runs)
            return RetentionPlan(
                runs=runs,
                artifacts=tuple(self._unreferenced(connection, numbers)),
                definitions=tuple(_unused_definitions(connection, numbers)),
            )

    def carry_out(self, plan: RetentionPlan, *, now: Microseconds | None = None) -> RetentionPlan:
        """Let go what a plan lists, and what was left over by itself; returns what really went."""
        gone = RetentionPlan(
            runs=tuple(run for run in plan.runs if self._forget(run)),
            artifacts=tuple(some for some in plan.artifacts if self._artifacts.remove(some.digest)),
            definitions=tuple(some for some in plan.definitions if self._forget_definition(some.digest)),
        )
        self._sweep(_now() if now is None else now)
        return gone

    def _forgotten(self, connection: sqlite3.Connection, row: Row) -> ForgottenRun:
        number, run_id, workflow, status, ended_at, _ = row
        (journal_bytes,) = connection.execute(_SQL["journal_bytes"], (number,)).fetchone()
        return ForgottenRun(
            number=number,
            id=run_id,
            workflow=workflow,
            status=status,
            ended_at=ended_at,
            journal_bytes=journal_bytes,
            log_bytes=folder_bytes(self._folder.logs / str(number)),
        )

    def _unreferenced(
        self, connection: sqlite3.Connection, going: frozenset[RunNumber]
    ) -> Iterator[Artifact]:
        """Find the stored files to which only those runs refer that go, or none."""
        kept_by_others = {
            digest for digest, run in connection.execute(_SQL["references"]) if run not in going
        }
        return (some for some in self._artifacts.stored() if some.digest not in kept_by_others)

    def _forget(self, run: ForgottenRun) -> bool:
        """Delete the rows of a run, then its log; a crash between leaves a log that the next time removes."""
        with self._desk.connection() as connection, transaction(connection):
            if not connection.execute(_SQL["has_ended"], (run.number,)).fetchone():
                return False
            for name in _FORGETTING:
                connection.execute(_SQL[name], (run.number,))
        shutil.rmtree(self._folder.logs / str(run.number), ignore_errors=True)
        return True

    def _forget_definition(self, digest: str) -> bool:
        with self._desk.connection() as connection:
            return connection.execute(_SQL["forget_definition"], (digest,)).rowcount == 1

    def _sweep(self, now: Microseconds) -> None:
        """Remove what nobody will ask for any more."""
        self._artifacts.remove_unfinished()
        with self._desk.connection() as connection:
            connection.execute(_SQL["forget_answered"], (now - ANSWERS_KEPT,))
            connection.execute(_SQL["forget_owners"], (now - OWNERS_KEPT,))
            for (owner,) in connection.execute(_SQL["silent_owners"]).fetchall():
                if self._owners.life(owner) is not Life.ALIVE:
                    connection.execute(_SQL["forget_owner"], (owner,))
            numbers = {str(number) for (number,) in connection.execute(_SQL["numbers"])}
        for folder in self._folder.logs.iterdir():
            if folder.name.isdecimal() and folder.name not in numbers and _is_old(folder):
                shutil.rmtree(folder, ignore_errors=True)


_FORGETTING = (
    "begin_forgetting",
    "remember_key",
    "remember_link",
    "forget_journal",
    "forget_messages",
    "forget_artifacts",
    "forget_sendings",
    "forget_notices",
    "forget_run",
    "end_forgetting",
)


def chosen(ended: Iterable[Row], rules: tuple[RetentionRule, ...], now: Microseconds) -> Iterator[Row]:
    """Choose from the ended runs, newest first, those that the rules let go."""
    seen: Counter[tuple[int, str]] = Counter()
    for row in ended:
        _, _, workflow, status, ended_at, belongs_to_open = row
        position = next((n for n, rule in enumerate(rules) if rule.fits(workflow, status)), None)
        if position is None:
            continue
        rule = rules[position]
        seen[position, workflow] += 1
        is_too_old = rule.age_max is not None and now - ended_at > rule.age_max
        is_one_too_many = rule.runs_max is not None and seen[position, workflow] > rule.runs_max
        if (is_too_old or is_one_too_many) and not belongs_to_open:
            yield row


def _unused_definitions(connection: sqlite3.Connection, going: frozenset[RunNumber]) -> Iterator[Artifact]:
    """Find the definitions to which only those runs refer that go, or none."""
    used = {digest for digest, run in connection.execute(_SQL["definitions_of_runs"]) if run not in going}
    for digest, size in connection.execute(_SQL["definitions"]).fetchall():
        if digest not in used:
            yield Artifact(digest=digest, size=size)


def folder_bytes(folder: Path) -> int:
    """Return how much the files in a folder hold, 0 when there is no folder."""
    total = 0
    with suppress(FileNotFoundError):
        for path in folder.iterdir():
            with suppress(FileNotFoundError):
                total += path.stat().st_size
    return total


def _is_old(folder: Path) -> bool:
    """Tell whether a log that belongs to no run was written long ago, and is not that of a run to come."""
    with suppress(FileNotFoundError):
        return _now() - folder.stat().st_mtime_ns // 1_000 > DAY
    return False


def _now() -> Microseconds:
    return time.time_ns() // 1_000
