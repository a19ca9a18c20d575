"""Which versions of workflows there were, and which one runs take; and the commits of a project that is followed in Git.

Of every workflow at most two versions stand: the *current* one, which runs take, and one that is not (or not yet) taken: it is tried
(*canary*), was sent back (*aborted*) or does not load (*broken*). What was seen is noted as a whole in one transaction, and seeing the
same again changes nothing; so several processes may look at the same project.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NewType, Protocol, TypeAlias

import msgspec

from towpath.definition.problems import Problem, Severity
from towpath.errors import NotFound, Refused
from towpath.store.connections import transaction
from towpath.store.contract import IdentityAct, RunNumber
from towpath.store.identities import note_act
from towpath.store.queries import queries

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from towpath.store.contract import Microseconds
    from towpath.store.rows import Row

VERSIONS_KEPT_MAX = 500
"""Versions of one workflow; the oldest ones that are over are forgotten."""
COMMITS_KEPT_MAX = 2_000
"""Commits of the project; as above."""
PROBLEMS_KEPT_MAX = 100
"""Problems that are kept of one version or commit."""
DIGEST_CHARS_MIN = 6
"""How much of a digest names a version."""
MESSAGE_CHARS_MAX = 500

VersionId = NewType("VersionId", int)
CommitId = NewType("CommitId", int)
VersionState: TypeAlias = Literal["current", "canary", "aborted", "broken", "former"]
CommitState: TypeAlias = Literal["current", "broken", "former"]

_SQL = queries("versions")
_LAST = 2**63 - 1
_PAGE_ROWS = 1_000
FAILURES = frozenset({"failed", "rolled_back", "rollback_failed"})
"""Ends by which a run speaks against its version."""
NO_WORD = frozenset({"cancelled", "rejected", "skipped"})
"""Ends that say nothing about it: people decided so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A version of a workflow, as a look at the project found it."""

    workflow: str
    digest: str
    text: str
    path: str
    commit: str = ""
    author: str = ""
    authored_at: Microseconds | None = None
    message: str = ""
    trial_runs: int | None = None
    """How many runs are to try it first."""
    problems: tuple[Problem, ...] = ()
    """Why it does not load."""

    @property
    def loads(self) -> bool:
        """Whether runs may take it."""
        return not self.problems


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """A version of a workflow, and what became of it."""

    id: VersionId
    workflow: str
    digest: str
    path: str
    commit: str
    author: str
    authored_at: Microseconds | None
    message: str
    state: VersionState
    since: Microseconds
    until: Microseconds | None
    trial_after: RunNumber | None
    trial_runs: int | None
    decided_by: str
    because: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The versions of a workflow that nothing has taken the place of."""

    current: VersionRow | None = None
    """The one that runs take."""
    next: VersionRow | None = None
    """A newer one that they do not take, or not all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How the runs that try a version do."""

    started: int = 0
    open: int = 0
    judged: int = 0
    """Ended, and not because people stopped them."""
    failed: int = 0

    @property
    def failure_rate(self) -> float:
        """The share of those that ended which failed; 0 before the first one has ended."""
        return self.failed / self.judged if self.judged else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCommit:
    """A commit of the project, as a look at the repository found it."""

    url: str
    """Without a password."""
    ref: str
    commit: str
    author: str
    authored_at: Microseconds
    message: str
    problems: tuple[Problem, ...] = ()
    """Why it is not taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRow:
    """A commit of the project, and what became of it."""

    id: CommitId
    url: str
    ref: str
    commit: str
    author: str
    authored_at: Microseconds
    message: str
    state: CommitState
    since: Microseconds
    until: Microseconds | None
    problems: tuple[Problem, ...]
    told: str
    """What its host was told: `success`, `failure`, why it was not; empty where it is still to be told."""
    told_tries: int
    told_next: Microseconds
    told_error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitsStanding:
    """The commit that runs take, and a newer one that does not load."""

    current: CommitRow | None = None
    broken: CommitRow | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCounts:
    """How many runs a version had."""

    runs: int = 0
    failed: int = 0
    by_status: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


class Connections(Protocol):
    """Somebody who has a connection: the desk, which may write, or a reader."""

    def connection(self) -> AbstractContextManager[sqlite3.Connection]:
        """Have a connection for a moment."""


class SqliteVersions:
    """What `tow versions` tells, kept."""

    def __init__(self, desk: Connections) -> None:
        self._desk = desk

    # What was seen.

    def see(self, seen: Iterable[Seen], *, at: Microseconds, is_all: bool = False) -> tuple[str, ...]:
        """Note what a look at a plain folder found; returns the workflows of which something changed.

        Args:
            seen: the versions that were found.
            at: when.
            is_all: whether these are all workflows of the project: others are gone.

        """
        with self._desk.connection() as connection, transaction(connection):
            return _see(connection, tuple(seen), at=at, is_all=is_all)

    def follow(self, commit: NewCommit, seen: Iterable[Seen], *, at: Microseconds) -> tuple[str, ...]:
        """Note a commit with all its workflows; without problems it is the one that runs take from now on."""
        with self._desk.connection() as connection, transaction(connection):
            changed = _see(connection, tuple(seen), at=at, is_all=not commit.problems)
            _follow(connection, commit, at)
            return changed

    def decide(
        self,
        version: VersionId,
        state: Literal["current", "aborted"],
        *,
        by: str,
        because: str,
        at: Microseconds,
    ) -> bool:
        """Have a version that is tried, or was sent back, taken by all runs or by none; False where it is neither any more.

        The act stands in the linked record of acts.
        """
        with self._desk.connection() as connection, transaction(connection):
            row = _only(connection, version)
            if row.until is not None or row.state not in ("canary", "aborted") or row.state == state:
                return False
            if state == "current":
                for other in _standing(connection, row.workflow):
                    if other.state == "current":
                        connection.execute(_SQL["close"], ("former", at, "", other.id))
            connection.execute(_SQL["settle"], (state, at, by, because, version))
            did = "promoted a version" if state == "current" else "sent a version back"
            act = IdentityAct(
                at=at, by=by, did=did, about=f"workflow {row.workflow}@{row.digest[:12]}", text=because
            )
            note_act(connection, act)
            return True

    # What is known.

    def standing(self, workflow: str) -> Standing:
        """The versions of a workflow that count now."""
        with self._desk.connection() as connection:
            return _as_standing(_standing(connection, workflow))

    def all_standing(self) -> Mapping[str, Standing]:
        """The versions of all workflows that count now."""
        found: dict[str, list[VersionRow]] = {}
        with self._desk.connection() as connection:
            for row in map(_version, connection.execute(_SQL["standing"])):
                found.setdefault(row.workflow, []).append(row)
        return {name: _as_standing(rows) for name, rows in found.items()}

    def versions(
        self, workflow: str, *, before: VersionId | None = None, rows_max: int = 100
    ) -> tuple[VersionRow, ...]:
        """The versions of a workflow, the newest first, one page."""
        with self._desk.connection() as connection:
            found = connection.execute(_SQL["versions"], (workflow, before or _LAST, rows_max)).fetchall()
        return tuple(map(_version, found))

    def find(self, workflow: str, digest: str) -> VersionRow:
        """The newest version with a digest, or with one that begins so; raises NotFound and Refused."""
        if len(digest) < DIGEST_CHARS_MIN:
            raise Refused(
                f"{digest!r} is too short to name a version", help=f"write {DIGEST_CHARS_MIN} digits or more"
            )
        with self._desk.connection() as connection:
            newest, different = connection.execute(_SQL["by_digest"], (workflow, digest)).fetchone()
            if newest is None:
                raise NotFound(
                    f"{workflow} had no version {digest}", help=f"`tow versions {workflow}` lists them"
                )
            if different > 1:
                raise Refused(
                    f"{different} versions of {workflow} begin with {digest}", help="write more of it"
                )
            return _only(connection, VersionId(newest))

    def tally(self, version: VersionRow) -> Tally:
        """How the runs do that try a version."""
        values = (version.workflow, version.digest, version.trial_after or 0)
        with self._desk.connection() as connection:
            rows = connection.execute(_SQL["tally"], values).fetchall()
        ended = [(status, count) for status, has_ended, count in rows if has_ended]
        return Tally(
            started=sum(count for *_, count in rows),
            open=sum(count for _, has_ended, count in rows if not has_ended),
            judged=sum(count for status, count in ended if status not in NO_WORD),
            failed=sum(count for status, count in ended if status in FAILURES),
        )

    def run_counts(self, workflow: str) -> Mapping[str, RunCounts]:
        """How many runs each version of a workflow had, by digest."""
        found: dict[str, dict[str, int]] = {}
        with self._desk.connection() as connection:
            for digest, status, count in connection.execute(_SQL["runs_by_digest"], (workflow,)):
                found.setdefault(digest, {})[status] = count
        return {
            digest: RunCounts(
                runs=sum(counts.values()),
                failed=sum(count for status, count in counts.items() if status in FAILURES),
                by_status=MappingProxyType(counts),
            )
            for digest, counts in found.items()
        }

    # The commits of the project.

    def commits(self, *, before: CommitId | None = None, rows_max: int = 100) -> tuple[CommitRow, ...]:
        """The commits of the project, the newest first, one page."""
        with self._desk.connection() as connection:
            found = connection.execute(_SQL["commits"], (before or _LAST, rows_max)).fetchall()
        return tuple(map(_commit, found))

    def commits_standing(self) -> CommitsStanding:
        """The commit that runs take, and a newer one that does not load; neither where the project is not followed."""
        with self._desk.connection() as connection:
            rows = [_commit(row) for row in connection.execute(_SQL["commits_standing"])]
        return CommitsStanding(
            current=next((row for row in rows if row.state == "current"), None),
            broken=next((row for row in rows if row.state == "broken"), None),
        )

    def untold(self, at: Microseconds, *, rows_max: int) -> tuple[CommitRow, ...]:
        """The commits of which their host is to be told now, the oldest first."""
        with self._desk.connection() as connection:
            return tuple(map(_commit, connection.execute(_SQL["untold"], (at, rows_max)).fetchall()))

    def tell(self, commit: CommitId, *, told: str, error: str = "", again_at: Microseconds = 0) -> None:
        """Note what the host of a commit was told; empty: it is told again, at *again_at*."""
        with self._desk.connection() as connection, transaction(connection):
            connection.execute(_SQL["tell"], (told, again_at, error[:MESSAGE_CHARS_MAX], commit))

    def pass_over(self, before: CommitId) -> None:
        """Have nobody told of the commits before this one."""
        with self._desk.connection() as connection, transaction(connection):
            connection.execute(_SQL["pass_over"], (before,))

    def first_records(self) -> Iterator[bytes]:
        """The first record of every open run: it says to which commit the run belongs."""
        after = 0
        while True:
            with self._desk.connection() as connection:
                page = connection.execute(_SQL["accepted"], (after, _PAGE_ROWS)).fetchall()
            yield from (record for _, record in page)
            if len(page) < _PAGE_ROWS:
                return
            after = page[-1][0]


def _see(
    connection: sqlite3.Connection, seen: tuple[Seen, ...], *, at: Microseconds, is_all: bool
) -> tuple[str, ...]:
    known: dict[str, list[VersionRow]] = {}
    for row in map(_version, connection.execute(_SQL["standing"])):
        known.setdefault(row.workflow, []).append(row)
    changed = [one.workflow for one in seen if _see_one(connection, one, known.get(one.workflow, []), at)]
    gone = sorted(known.keys() - {one.workflow for one in seen}) if is_all else []
    for name in gone:
        for row in known[name]:
            _close(connection, row, at, "the workflow was removed")
    for name in changed:
        connection.execute(_SQL["prune"], (name, VERSIONS_KEPT_MAX))
    return (*changed, *gone)


def _see_one(connection: sqlite3.Connection, seen: Seen, rows: list[VersionRow], at: Microseconds) -> bool:
    standing = _as_standing(rows)
    current, following = standing.current, standing.next
    if seen.loads and current is not None and current.digest == seen.digest:
        _touch(connection, current, seen)
        if following is not None:
            _close(connection, following, at, "the file is again as it was before")
        return following is not None
    if (
        following is not None
        and following.digest == seen.digest
        and (following.state == "broken") != seen.loads
    ):
        _touch(connection, following, seen)
        return False
    if following is not None:
        _close(connection, following, at, "a newer version came")
    if not seen.loads:
        _add(connection, seen, "broken", at)
    elif current is not None and seen.trial_runs:
        _add(connection, seen, "canary", at)
    else:
        if current is not None:
            _close(connection, current, at, "")
        _add(connection, seen, "current", at)
    return True


def _add(connection: sqlite3.Connection, seen: Seen, state: VersionState, at: Microseconds) -> None:
    trial_after = None
    if state == "canary":
        (trial_after,) = connection.execute(_SQL["last_number"]).fetchone() or (0,)
    connection.execute(_SQL["keep_text"], (seen.digest, seen.text, seen.path, seen.commit or None, at))
    values = (
        seen.workflow,
        seen.digest,
        seen.path,
        seen.commit,
        seen.author,
        seen.authored_at,
        seen.message[:MESSAGE_CHARS_MAX],
        state,
        at,
        trial_after,
        seen.trial_runs if state == "canary" else None,
        "",
        "",
        _problems_text(seen.problems),
    )
    connection.execute(_SQL["add"], values)


def _touch(connection: sqlite3.Connection, row: VersionRow, seen: Seen) -> None:
    if (row.commit, row.path) != (seen.commit, seen.path):
        connection.execute(_SQL["touch"], (seen.commit, seen.path, row.id))


def _close(connection: sqlite3.Connection, row: VersionRow, at: Microseconds, because: str) -> None:
    state = row.state if row.state in ("aborted", "broken") else "former"
    connection.execute(_SQL["close"], (state, at, "" if row.because else because, row.id))


def _follow(connection: sqlite3.Connection, commit: NewCommit, at: Microseconds) -> None:
    connection.execute(_SQL["close_commits"], (at, not commit.problems))
    values = (
        commit.url,
        commit.ref,
        commit.commit,
        commit.author,
        commit.authored_at,
        commit.message[:MESSAGE_CHARS_MAX],
        "broken" if commit.problems else "current",
        at,
        _problems_text(commit.problems),
    )
    connection.execute(_SQL["add_commit"], values)
    connection.execute(_SQL["prune_commits"], (COMMITS_KEPT_MAX,))


def _standing(connection: sqlite3.Connection, workflow: str) -> list[VersionRow]:
    return [_version(row) for row in connection.execute(_SQL["standing_of"], (workflow,))]


def _as_standing(rows: Iterable[VersionRow]) -> Standing:
    known = tuple(rows)
    return Standing(
        current=next((row for row in known if row.state == "current"), None),
        next=next((row for row in known if row.state != "current"), None),
    )


def _only(connection: sqlite3.Connection, version: VersionId) -> VersionRow:
    found = connection.execute(_SQL["version"], (version,)).fetchone()
    if found is None:
        raise NotFound(f"there is no version {version}")
    return _version(found)


def _problems_text(problems: tuple[Problem, ...]) -> str:
    return json.dumps([problem.as_json() for problem in problems[:PROBLEMS_KEPT_MAX]])


def _problems_of(text: str) -> tuple[Problem, ...]:
    """The problems of a column; most rows have none."""
    if text == "[]":
        return ()
    found = msgspec.json.decode(text)
    return tuple(Problem(**{**one, "severity": Severity(one["severity"])}) for one in found)


def _version(row: Row) -> VersionRow:
    return VersionRow(
        id=VersionId(row[0]),
        workflow=row[1],
        digest=row[2],
        path=row[3],
        commit=row[4],
        author=row[5],
        authored_at=row[6],
        message=row[7],
        state=row[8],
        since=row[9],
        until=row[10],
        trial_after=None if row[11] is None else RunNumber(row[11]),
        trial_runs=row[12],
        decided_by=row[13],
        because=row[14],
        problems=_problems_of(row[15]),
    )


def _commit(row: Row) -> CommitRow:
    return CommitRow(
        id=CommitId(row[0]),
        url=row[1],
        ref=row[2],
        commit=row[3],
        author=row[4],
        authored_at=row[5],
        message=row[6],
        state=row[7],
        since=row[8],
        until=row[9],
        problems=_problems_of(row[10]),
        told=row[11],
        told_tries=row[12],
        told_next=row[13],
        told_error=row[14],
    )
