"""Trying a new version: the next few runs take it, and how they end decides whether all do.

While its runs go on, everybody else takes the version before. The moment `abort_when` holds the version is sent back: no run takes it
any more until the file changes, or somebody says otherwise. When all its runs have ended without that, all take it. Runs that people
stopped (cancelled, rejected) say nothing about a version; runs that go on from others do not count.

All of this follows from the journal and from the rows of the versions; whichever process looks first writes down what it means.
"""

from __future__ import annotations

import functools
from typing import Final

from towpath.definition import expressions, model
from towpath.errors import ExpressionError
from towpath.store.contract import Microseconds
from towpath.store.versions import SqliteVersions, Standing, Tally, VersionRow

TOWPATH: Final = "towpath"
"""Who decides, where nobody says anything."""
_NAMES: Final = expressions.Names.of({"failure_rate": "double", "runs": "int"})


def judge(
    versions: SqliteVersions, row: VersionRow, release: model.Release | None, *, at: Microseconds
) -> bool:
    """Write down what the runs that try a version mean for it, if anything yet; tells whether something was decided."""
    if row.state != "canary":
        return False
    tally = versions.tally(row)
    against = reason_against(release, tally)
    if against:
        return versions.decide(row.id, "aborted", by=TOWPATH, because=against, at=at)
    if tally.started >= (row.trial_runs or 0) and tally.open == 0:
        because = f"{_runs(tally.started)} tried it: {told(tally)}"
        return versions.decide(row.id, "current", by=TOWPATH, because=because, at=at)
    return False


def reason_against(release: model.Release | None, tally: Tally) -> str:
    """Why a version is to be sent back; empty where nothing speaks against it."""
    if release is None or not tally.judged:
        return ""
    try:
        condition = _condition(release.abort_when)
        holds = expressions.evaluate_condition(
            condition, {"failure_rate": tally.failure_rate, "runs": tally.judged}
        )
    except ExpressionError as error:
        return f"abort_when cannot be asked: {error.message}"
    return f"{release.abort_when}: {told(tally)}" if holds else ""


def told(tally: Tally) -> str:
    """How they do, in words: `1 of 3 failed`."""
    if not tally.judged:
        return "none has ended"
    return f"{tally.failed} of {tally.judged} failed" if tally.failed else "none failed"


def trial_of(standing: Standing, digest: str) -> VersionRow | None:
    """The version with this digest, where it is being tried."""
    following = standing.next
    is_tried = following is not None and following.state == "canary" and following.digest == digest
    return following if is_tried else None


def is_sent_back(standing: Standing, digest: str) -> bool:
    """Whether no run takes the version with this digest, because of how it did."""
    following = standing.next
    return following is not None and following.state == "aborted" and following.digest == digest


@functools.lru_cache(maxsize=256)
def _condition(text: str) -> expressions.Expression:
    return expressions.compile_condition(text, names=_NAMES)


def _runs(number: int) -> str:
    return "1 run" if number == 1 else f"{number} runs"
