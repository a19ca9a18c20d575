"""What `tow versions` tells: the versions of a workflow with how their runs did, and what lies between two of them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from towpath.errors import NotFound, Refused
from towpath.store.contract import Microseconds
from towpath.store.versions import RunCounts, SqliteVersions, Tally, VersionId, VersionRow

CONTEXT_LINES: Final = 3
PAGE_MAX: Final = 200
NO_RUNS: Final = RunCounts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version, and how its runs did."""

    row: VersionRow
    counts: RunCounts
    tally: Tally | None = None
    """Where it is tried, or was sent back: how those runs did that tried it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What lies between two versions."""

    old: VersionRow
    new: VersionRow
    text: str
    """A unified diff; empty where they are the same."""


def versions_of(
    versions: SqliteVersions, workflow: str, *, before: VersionId | None = None, limit: int = 50
) -> tuple[Version, ...]:
    """The versions of a workflow, the newest first, one page; raises NotFound where it never had one."""
    rows = versions.versions(workflow, before=before, rows_max=limit)
    if not rows and before is None:
        raise NotFound(
            f"no version of {workflow!r} is known",
            help="a version is noted when a server looks at the project, and when a run of it starts",
        )
    counts = versions.run_counts(workflow)
    return tuple(_version(versions, row, counts) for row in rows)


def all_standing(versions: SqliteVersions) -> Iterator[Version]:
    """The versions of all workflows that count now: the one that runs take, and before it a newer one that they do not, or not all."""
    for workflow, standing in versions.all_standing().items():
        counts = versions.run_counts(workflow)
        for row in (standing.next, standing.current):
            if row is not None:
                yield _version(versions, row, counts)


def with_runs(versions: SqliteVersions, row: VersionRow) -> Version:
    """A version with how its runs did."""
    return _version(versions, row, versions.run_counts(row.workflow))


def difference(
    versions: SqliteVersions, text_of: Callable[[str], str], workflow: str, digest: str, *, against: str = ""
) -> Difference:
    """What a version changed, against the one before it where no other is named; raises NotFound and Refused."""
    new = versions.find(workflow, digest)
    old = versions.find(workflow, against) if against else _before(versions, new)
    lines = difflib.unified_diff(
        text_of(old.digest).splitlines(),
        text_of(new.digest).splitlines(),
        fromfile=_called(old),
        tofile=_called(new),
        n=CONTEXT_LINES,
        lineterm="",
    )
    return Difference(old=old, new=new, text="\n".join(lines))


def settle(
    versions: SqliteVersions,
    workflow: str,
    digest: str,
    *,
    promote: bool,
    by: str,
    comment: str,
    at: Microseconds,
) -> VersionRow:
    """Has a version that is tried, or was sent back, taken by all runs or by none; raises NotFound and Refused."""
    following = versions.standing(workflow).next
    if digest:
        row = versions.find(workflow, digest)
    elif following is None:
        raise NotFound(
            f"no version of {workflow} is being tried", help=f"`tow versions {workflow}` lists them"
        )
    else:
        row = following
    because = comment or ("somebody promoted it" if promote else "somebody sent it back")
    if following is None or following.id != row.id or following.state not in ("canary", "aborted"):
        raise Refused(
            f"version {row.digest[:12]} of {workflow} is {row.state}",
            help="only a version that is being tried, or was sent back, can be promoted or sent back",
        )
    if not versions.decide(row.id, "current" if promote else "aborted", by=by, because=because, at=at):
        now = versions.find(workflow, row.digest)
        raise Refused(f"version {row.digest[:12]} of {workflow} is {now.state} already")
    return versions.find(workflow, row.digest)


def _version(versions: SqliteVersions, row: VersionRow, counts: Mapping[str, RunCounts]) -> Version:
    tally = versions.tally(row) if row.trial_runs and row.until is None else None
    return Version(row=row, counts=counts.get(row.digest, NO_RUNS), tally=tally)


def _before(versions: SqliteVersions, row: VersionRow) -> VersionRow:
    """The version that runs took when this one came: of the older ones the newest with another text that was taken."""
    for older in versions.versions(row.workflow, before=row.id, rows_max=PAGE_MAX):
        if older.digest != row.digest and older.state != "broken":
            return older
    raise NotFound(
        f"version {row.digest[:12]} is the first of {row.workflow}",
        help="name another one to compare it with",
    )


def _called(row: VersionRow) -> str:
    return f"{row.path}\t{row.digest[:12]}"
