"""Who did what, and whether the record of it holds."""

from __future__ import annotations

from typing import Any

from towpath.observe.audit import Act
from towpath.server.shapes.moments import stamp
from towpath.store.acts import ActsVerdict
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


def verdict_object(verdict: Verdict, acts: ActsVerdict) -> Object:
    """What a verification found: of the journal of runs, and of the record of users, tokens, sessions, links and versions."""
    return {
        "holds": verdict.holds and acts.holds,
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
        "access_break": acts.noticed_at,
        "access": {
            "holds": acts.holds,
            "acts": acts.acts,
            "breaks": [
                {
                    "kind": found.kind,
                    "act": found.act,
                    "at": stamp(found.at) if found.at else None,
                    "text": found.text,
                }
                for found in acts.breaks
            ],
            "breaks_more": acts.breaks_more,
        },
    }
