"""Runs, their steps and their facts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from towpath.core import events
from towpath.core.run import Run, is_within
from towpath.server.shapes.moments import stamp, stamp_or_none
from towpath.server.shapes.waits import Wait
from towpath.store.contract import RunNumber, RunRow

Object = dict[str, Any]  # JSON


def fact_object(fact: events.AnyEvent, *, number: RunNumber, sequence: int) -> Object:
    """A fact as the journal has it, with its run, its number and its time in words."""
    told: Object = msgspec.to_builtins(fact)
    return {"run_number": number, "sequence": sequence, "time": stamp(fact.at), **told}


def run_object(row: RunRow, *, life: str | None = None) -> Object:
    """A run as a list shows it."""
    summary = row.summary
    return {
        "number": row.number,
        "id": row.id,
        "workflow": row.workflow,
        "kind": row.kind,
        "environment": row.environment,
        "status": summary.status,
        "outcome": summary.outcome,
        "message": summary.message,
        "waiting_for": summary.waiting_for,
        "waiting_since": stamp_or_none(summary.waiting_since),
        "started_by": row.started_by,
        "accepted_at": stamp(row.accepted_at),
        "ended_at": stamp_or_none(summary.ended_at),
        "origin": row.origin,
        "origin_reason": row.origin_reason,
        "owner": row.owner,
        "owner_life": life,
        "labels": dict(row.labels),
    }


def state_object(run: Run, *, paths: Sequence[str] | None = None) -> Object:
    """A run's inputs, results and steps, all or those of *paths*."""
    return {
        "status": run.status,
        "inputs": msgspec.to_builtins(run.inputs),
        "outputs": msgspec.to_builtins(run.outputs),
        "error": None if run.error is None else msgspec.to_builtins(run.error),
        "steps": [node_object(run, path) for path in (step_paths(run) if paths is None else paths)],
    }


def step_paths(run: Run, *, status: Sequence[str] = (), below: str = "") -> list[str]:
    """The steps of a run in the order in which they began; of some states, and inside of one of them."""
    found = [
        (node.started_sequence, path)
        for path, node in run.nodes.items()
        if path and (not status or node.status in status) and is_within(path, below)
    ]
    return [path for _, path in sorted(found)]


def node_object(run: Run, path: str) -> Object:
    """A step, or a frame of steps; what does not apply is left out."""
    node = run.nodes[path]
    told: Object = {
        "path": path,
        "status": node.status,
        "attempts": node.attempt,
        "started_at": stamp_or_none(node.started_at or None),
        "ended_at": stamp_or_none(node.ended_at or None),
        "reason": node.reason,
        "frame": node.frame,
        "undone": node.undone,
        "outputs": msgspec.to_builtins(node.outputs),
        "error": None if node.error is None else msgspec.to_builtins(node.error),
        "question": None if node.question is None else msgspec.to_builtins(node.question),
        "due": stamp_or_none(node.due),
    }
    return {key: value for key, value in told.items() if value not in (None, "", False)}


def wait_object(wait: Wait) -> Object:
    """One reason why a run does not go on by itself."""
    return {
        "step": wait.path,
        "reason": wait.reason,
        "since": stamp_or_none(wait.since),
        "until": stamp_or_none(wait.until),
        "then": wait.then,
        "asks": wait.asks,
    }
