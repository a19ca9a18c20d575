"""Versions of workflows and commits of the project, as programs read them."""

from __future__ import annotations

from typing import Any

from towpath.definition.problems import Problem, render_problem
from towpath.server.shapes.moments import stamp, stamp_or_none
from towpath.store.versions import CommitRow, RunCounts, Tally, VersionRow

Object = dict[str, Any]  # JSON


def version_object(row: VersionRow, counts: RunCounts, tally: Tally | None = None) -> Object:
    """A version of a workflow, and what became of it."""
    return {
        "workflow": row.workflow,
        "digest": row.digest,
        "state": row.state,
        "since": stamp(row.since),
        "until": stamp_or_none(row.until),
        "path": row.path,
        "commit": row.commit or None,
        "author": row.author,
        "authored_at": stamp_or_none(row.authored_at),
        "message": row.message,
        "runs": counts.runs,
        "failed": counts.failed,
        "trial": None if tally is None else trial_object(row, tally),
        "decided_by": row.decided_by or None,
        "because": row.because,
        "problems": [problem_object(problem) for problem in row.problems],
    }


def trial_object(row: VersionRow, tally: Tally) -> Object:
    """How the runs do that try a version."""
    return {
        "runs_wanted": row.trial_runs or 0,
        "runs_started": tally.started,
        "runs_open": tally.open,
        "runs_judged": tally.judged,
        "runs_failed": tally.failed,
        "failure_rate": round(tally.failure_rate, 4),
    }


def commit_object(row: CommitRow) -> Object:
    """A commit of the project, and what became of it."""
    return {
        "commit": row.commit,
        "state": row.state,
        "url": row.url,
        "ref": row.ref,
        "author": row.author,
        "authored_at": stamp(row.authored_at),
        "message": row.message,
        "since": stamp(row.since),
        "until": stamp_or_none(row.until),
        "told": row.told or None,
        "told_error": row.told_error,
        "problems": [problem_object(problem) for problem in row.problems],
    }


def problem_object(problem: Problem) -> Object:
    """A problem with its place, and as a text with a caret."""
    told = problem.as_json()
    return {
        name: told[name]
        for name in ("code", "name", "severity", "message", "path", "line", "column", "end_column", "help")
    } | {"shown": render_problem(problem)}
