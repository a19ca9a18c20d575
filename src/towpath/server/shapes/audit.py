"""Who did what, and whether the record of it holds."""

from __future__ import annotations

from typing import Any

from towpath.observe.audit import Act
from towpath.server.shapes.moments import stamp
from towpath.store.chain import Verdict
from towpath.store.contract import RunRow

Object = dict[str, Any]  # JSON


def act_object(row: RunRow, act: Act) -> Object:
    """One act, with the run that it was done to."""
    return {
        "at": stamp(act.at),
        "by": act.by,
        "did": act.did,
        "run": row.number,
        "workflow": row.workflow,
        "step": act.path,
        "text": act.text,
        "via": act.via,
        "record": act.sequence,
    }


def verdict_object(verdict: Verdict) -> Object:
    """What a verification of the record found."""
    return {
        "holds": verdict.holds,
        "runs": verdict.runs,
        "records": verdict.records,
        "unlinked": verdict.unlinked,
        "forgotten": verdict.forgotten,
        "anchor": None if verdict.anchor is None else str(verdict.anchor),
        "breaks": [
            {
                "kind": found.kind,
                "run": found.run,
                "record": found.sequence or None,
                "at": stamp(found.at) if found.at else None,
                "text": found.text,
            }
            for found in verdict.breaks
        ],
        "breaks_more": verdict.breaks_more,
    }
