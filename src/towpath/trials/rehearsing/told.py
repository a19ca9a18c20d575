"""A rehearsal as JSON, for programs."""

from __future__ import annotations

from typing import Any, TypeAlias

from towpath.engines.rehearsing import Forecast, RehearsedRun, digest_of

Object: TypeAlias = dict[str, Any]  # JSON


def as_json(rehearsed: RehearsedRun) -> Object:
    """Everything that was found out."""
    return {
        "dry_run": True,
        "workflow": rehearsed.workflow,
        "definition": rehearsed.definition,
        "inputs": dict(rehearsed.inputs),
        "digest": digest_of(rehearsed),
        "changes": rehearsed.changes,
        "unforeseen": rehearsed.unforeseen,
        "failing": rehearsed.failing,
        "asking": rehearsed.asking,
        "changes_nothing": rehearsed.changes_nothing,
        "looked": not rehearsed.is_static,
        "steps": [_forecast(one) for one in rehearsed.steps],
    }


def _forecast(one: Forecast) -> Object:
    told: Object = {
        "path": one.path,
        "name": one.name,
        "kind": one.kind,
        "does": one.does,
        "title": one.title,
        "happens": one.happens,
        "effect": one.effect,
        "says": list(one.says),
        "changes": [{"verb": c.verb, "target": c.target, "detail": c.detail} for c in one.changes],
        "detail": one.detail,
        "script": one.script,
        "given": dict(one.values),
        "later": list(one.later),
        "undone_by": list(one.undone_by),
        "steps": [_forecast(inner) for inner in one.inside],
    }
    return {key: value for key, value in told.items() if value not in ("", [], {})}
