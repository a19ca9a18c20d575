"""What people are asked, as one person sees it."""

from __future__ import annotations

from typing import Any

from towpath.people.inbox import Item
from towpath.server.shapes.moments import stamp, stamp_or_none
from towpath.store.contract import Life

Object = dict[str, Any]  # JSON


def item_object(item: Item, *, life: Life | None) -> Object:
    """One open question, as a list of them shows it."""
    question = item.open.question
    return {
        "run_number": item.run.number,
        "run": item.run.id,
        "workflow": item.run.workflow,
        "environment": item.run.environment,
        "started_by": item.run.started_by,
        "path": item.path,
        "kind": question.kind,
        "text": question.text,
        "standing": item.standing,
        "reason": item.reason,
        "because": [
            {"principal": each.principal, "how": each.how, "words": each.words} for each in item.because
        ],
        "who": list(question.who),
        "asked_at": stamp(item.since),
        "until": stamp_or_none(item.until),
        "if_unanswered": question.if_unanswered,
        "next": None
        if item.next_rung is None
        else {
            "kind": item.next_rung.kind,
            "number": item.next_rung.number,
            "at": stamp(item.next_rung.at),
            "to": list(item.next_rung.to),
        },
        "quorum": question.quorum,
        "needed": item.needed,
        "answers": [
            {"by": one.by, "decision": one.decision, "at": stamp(one.at)} for one in item.open.answers
        ],
        "mine": None if item.mine is None else item.mine.decision,
        "others": sorted(item.others),
        "later": [{"at": stamp(one.at), "people": sorted(one.people)} for one in item.later],
        "warning": item.warning,
        "claimed_by": item.claimed_by,
        "handed_to": list(item.open.handed_to),
        "comments": item.open.comments,
        "choices": list(question.choices),
        "fields": list(item.open.fields),
        "commands": {command.choice: command.line for command in item.commands},
        "digest": question.digest,
        "owner_life": None if life is None else life.value,
    }
