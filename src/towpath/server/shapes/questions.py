"""What people are asked, as one person sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from towpath.core.run import Node
from towpath.people.authority import SAYINGS
from towpath.people.decided import History
from towpath.people.inbox import Item
from towpath.server.ladders import Happening, Key
from towpath.server.shapes.moments import stamp, stamp_or_none
from towpath.store.contract import Life, RunRow, SendingRow

Object = dict[str, Any]  # JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A question with everything that there is to see of it for one person."""

    row: RunRow
    history: History
    node: Node | None
    """None when the question is over."""
    item: Item | None
    """How the person stands to it; None when it is over."""
    life: Life | None = None
    refusals: Mapping[str, str] = field(default_factory=dict)
    """Why the person may not say each of the things that may be said; empty where they may."""
    past: Sequence[Happening] = ()
    told: Mapping[Key, Sequence[SendingRow]] = field(default_factory=dict)
    coming: Sequence[Happening] = ()


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


def question_object(seen: Seen) -> Object:
    """One question in full, open or over, as one person sees it."""
    history, node = seen.history, seen.node
    question = history.question if node is None or node.question is None else node.question
    return {
        "run_number": seen.row.number,
        "run": seen.row.id,
        "workflow": seen.row.workflow,
        "environment": seen.row.environment,
        "started_by": seen.row.started_by,
        "path": history.path,
        "kind": question.kind,
        "text": question.text,
        "instructions": question.instructions,
        "who": list(question.who),
        "quorum": question.quorum,
        "four_eyes": question.four_eyes,
        "if_unanswered": question.if_unanswered,
        "send_back_to": question.send_back_to,
        "evidence": msgspec.to_builtins(question.evidence),
        "digest": question.digest,
        "form": msgspec.to_builtins(question.form),
        "choices": [
            {"choice": choice, "refusal": seen.refusals.get(choice, "")} for choice in question.choices
        ],
        "says": sorted(says for says, refusal in seen.refusals.items() if says in SAYINGS and not refusal),
        "asked_at": stamp(history.asked_at),
        "is_open": node is not None,
        "ended_at": stamp_or_none(history.ended_at),
        "ending": None if node is not None else history.sentence(),
        "answers": [
            {
                "by": one.by,
                "decision": one.decision,
                "at": stamp(one.at),
                "comment": one.comment,
                "via": one.via,
            }
            for one in history.answers
        ],
        "comments": [{"by": by, "at": stamp(at), "text": text} for by, at, text in history.comments],
        "happened": [_happening_object(one, seen.told) for one in seen.past],
        "coming": [_coming_object(one) for one in seen.coming],
        "standing": None if seen.item is None else item_object(seen.item, life=seen.life),
    }


def _happening_object(one: Happening, told: Mapping[Key, Sequence[SendingRow]]) -> Object:
    sent = [] if one.key is None else told.get(one.key, ())
    return {
        "at": stamp(one.at),
        "text": one.text,
        "told": [
            {"recipient": row.recipient, "channel": row.channel, "state": row.state, "error": row.error}
            for row in sent
        ],
    }


def _coming_object(one: Happening) -> Object:
    kind, number = one.key or ("", 0)
    return {"at": stamp(one.at), "kind": kind, "number": number, "text": one.text}
