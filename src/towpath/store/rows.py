"""Between the values of the contract and the rows of the tables."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from towpath.store.contract import ArtifactRow, AskingRun, Message, OpenQuestion, RunRow, Summary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from towpath.store.contract import NewRun

Row: TypeAlias = tuple[Any, ...]
"""Any: what SQLite gives and takes; the readers below know the columns."""


class _Asked(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The column `questions`."""

    listed: tuple[OpenQuestion, ...]
    more: int = 0


def summary_values(summary: Summary) -> Row:
    """Return a summary as the columns of `runs` from `status` to `questions`."""
    return (
        summary.status,
        summary.waiting_for,
        summary.waiting_since,
        summary.started_at,
        summary.ended_at,
        summary.outcome,
        summary.message,
        questions_text(summary),
    )


def new_run_values(new: NewRun) -> Row:
    """Return a new run as the columns of `runs` from `id` to `questions`."""
    return (
        new.id,
        new.workflow,
        new.kind,
        new.environment,
        new.definition.digest,
        new.started_by,
        new.origin,
        new.origin_reason,
        new.start_key,
        new.slot.group if new.slot else None,
        1 if new.slot and new.slot.enter == "hold" else 0,
        new.owner,
        labels_text(new.labels),
        new.accepted_at,
        *summary_values(new.summary),
    )


def run_values(row: RunRow) -> Row:
    """Return a run as all the columns of `runs`."""
    return (
        row.number,
        row.id,
        row.workflow,
        row.kind,
        row.environment,
        row.definition,
        row.started_by,
        row.origin,
        row.origin_reason,
        row.start_key,
        row.slot_group,
        int(row.holds_slot),
        row.owner,
        labels_text(row.labels),
        row.accepted_at,
        *summary_values(row.summary),
    )


def run_row(row: Row) -> RunRow:
    """Read a row of the query that lists runs: every column of `runs`, then the last sequence."""
    asked = questions_of(row[22])
    return RunRow(
        number=row[0],
        id=row[1],
        workflow=row[2],
        kind=row[3],
        environment=row[4],
        definition=row[5],
        started_by=row[6],
        origin=row[7],
        origin_reason=row[8],
        start_key=row[9],
        slot_group=row[10],
        holds_slot=bool(row[11]) and row[19] is None,
        owner=row[12],
        labels=labels_of(row[13]),
        accepted_at=row[14],
        summary=Summary(
            status=row[15],
            waiting_for=row[16],
            waiting_since=row[17],
            started_at=row[18],
            ended_at=row[19],
            outcome=row[20],
            message=row[21],
            questions=asked.listed,
            questions_more=asked.more,
        ),
        last_sequence=row[23] or 0,
    )


def asking_run(row: Row) -> AskingRun:
    """Read a row of the query that lists open questions."""
    number, run_id, workflow, kind, environment, started_by, owner, accepted_at, questions = row
    asked = questions_of(questions)
    return AskingRun(
        number=number,
        id=run_id,
        workflow=workflow,
        kind=kind,
        environment=environment,
        started_by=started_by,
        owner=owner,
        accepted_at=accepted_at,
        questions=asked.listed,
        questions_more=asked.more,
    )


def questions_text(summary: Summary) -> str | None:
    """Write the open questions as JSON; None where nothing is asked, which keeps the run out of their index."""
    if not summary.questions:
        return None
    return _ENCODER.encode(_Asked(summary.questions, summary.questions_more)).decode()


def questions_of(text: str | None) -> _Asked:
    """Read open questions from JSON."""
    return _NOT_ASKED if text is None else _DECODER.decode(text)


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(_Asked)
_NOT_ASKED = _Asked(())


def message(row: Row) -> Message:
    """Read a row of `mailbox`."""
    return Message(id=row[0], run=row[1], posted_at=row[2], stimulus=row[3], taken_at=row[4], reply=row[5])


def labels_text(labels: Mapping[str, str]) -> str:
    """Write labels as JSON with sorted keys."""
    return json.dumps(dict(labels), sort_keys=True, ensure_ascii=False) if labels else "{}"


def labels_of(text: str) -> Mapping[str, str]:
    """Read labels from JSON."""
    return MappingProxyType(json.loads(text)) if text != "{}" else _NO_LABELS


_NO_LABELS: Mapping[str, str] = MappingProxyType({})


def artifact_row(row: Row) -> ArtifactRow:
    """Read a row of `artifacts`."""
    run, path, attempt, name, digest, size, kept_at = row
    return ArtifactRow(
        run=run, path=path, attempt=attempt, name=name, digest=digest, size=size, kept_at=kept_at
    )
