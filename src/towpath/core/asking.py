"""What may happen to an open question before it is decided: claims, comments, second thoughts, ladders and new evidence.

Whether a person may speak at all is asked before, where the directory is known; here only what the question itself knows
counts. A question is named by the moment it was asked: what was meant for an earlier one says nothing about a later one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from towpath.core import events, flow, stimuli
from towpath.core.blocks import people
from towpath.core.run import Json, Node, Question
from towpath.core.turn import Turn
from towpath.errors import IllegalStimulus, Refused

COMMENTS_MAX = 1_000
COMMENT_CHARS_MAX = 10_000
HANDED_TO_MAX = 100
_replace = msgspec.structs.replace


def claimed(turn: Turn, node: Node, s: stimuli.Claimed) -> None:
    """A person takes care of the question."""
    if node.claimed_by and node.claimed_by != s.by and not s.force:
        raise Refused(f"{node.claimed_by} has claimed {node.path} already", help="take it over with --force")
    if node.claimed_by != s.by:
        turn.emit(events.QuestionClaimed(at=s.at, path=s.path, by=s.by))


def released(turn: Turn, node: Node, s: stimuli.Released) -> None:
    """Whoever has claimed the question gives it back."""
    if node.claimed_by != s.by:
        raise Refused(f"{s.by} has not claimed {node.path}, so there is nothing to give back")
    turn.emit(events.ClaimReleased(at=s.at, path=s.path, by=s.by))


def handed_over(turn: Turn, node: Node, s: stimuli.HandedOver) -> None:
    """Somebody else may answer as well."""
    if len(node.handed_to) >= HANDED_TO_MAX:
        raise Refused(f"{node.path} was handed over {HANDED_TO_MAX} times already (HANDED_TO_MAX)")
    number = len(node.handed_to) + 1
    turn.emit(
        events.QuestionHandedOver(at=s.at, path=s.path, by=s.by, to=s.to, comment=s.comment, number=number)
    )


def commented(turn: Turn, node: Node, s: stimuli.Commented) -> None:
    """A person says something without deciding."""
    if len(s.text) > COMMENT_CHARS_MAX or len(node.comments) >= COMMENTS_MAX:
        raise Refused(
            f"comments have at most {COMMENT_CHARS_MAX:,} characters (COMMENT_CHARS_MAX),"
            f" and a question at most {COMMENTS_MAX:,} of them (COMMENTS_MAX)"
        )
    turn.emit(events.CommentAdded(at=s.at, path=s.path, by=s.by, text=s.text))


def withdrawn(turn: Turn, node: Node, s: stimuli.Withdrawn) -> None:
    """A person takes their answer back."""
    if not any(answer.by == s.by for answer in node.answers):
        raise Refused(f"{s.by} has not answered {node.path}")
    turn.emit(events.AnswerWithdrawn(at=s.at, path=s.path, by=s.by))


def climbed(turn: Turn, node: Node, s: stimuli.Climbed) -> None:
    """The ladder says what is due; a rung happens once and in order, a reminder once."""
    question = _meant(node, s.asked_at)
    if s.kind == "expiry":
        if question.answer_within is None:
            raise IllegalStimulus(f"{node.path} has no time limit")
        people.unanswered(turn, node)
    elif s.kind == "reminder":
        if s.number <= node.told_reminders:
            raise IllegalStimulus(f"reminder {s.number} of {node.path} was sent already")
        climbed = (p for _, rung in question.escalate[: node.told_rungs] for p in rung)
        to = tuple(dict.fromkeys((*question.who, *climbed, *node.handed_to)))
        turn.emit(events.PeopleTold(at=s.at, path=s.path, kind="reminder", number=s.number, to=to))
    else:
        if s.number != node.told_rungs + 1:
            raise IllegalStimulus(
                f"rung {s.number} of {node.path} is not the next: {node.told_rungs} were told"
            )
        if s.number > len(question.escalate):
            raise IllegalStimulus(f"{node.path} has no rung {s.number}")
        to = question.escalate[s.number - 1][1]
        turn.emit(events.PeopleTold(at=s.at, path=s.path, kind="rung", number=s.number, to=to))


def evidence_read(turn: Turn, node: Node, s: stimuli.EvidenceRead) -> None:
    """The files that the question shows: for the first time, or again; when they have changed, answers are void."""
    question = _meant(node, s.asked_at)
    shown = {**question.evidence, **s.evidence}
    if all(name in question.evidence for name in question.files):
        changed = sorted(
            name for name in question.files if _digest_of(question.evidence[name]) != _digest_of(shown[name])
        )
        if not changed:
            return
        again = _with_evidence(turn, question, shown)
        moved = _replace(again, asked_at=s.at, due=_moved(question, s.at))
        reason = f"{', '.join(changed)} changed after the question was asked"
        turn.emit(events.AnswersVoided(at=s.at, path=s.path, reason=reason, question=moved))
        return
    turn.emit(events.EvidenceShown(at=s.at, path=s.path, question=_with_evidence(turn, question, shown)))


def _digest_of(evidence: Json) -> Json:
    return evidence.get("digest") if isinstance(evidence, Mapping) else evidence


def _with_evidence(turn: Turn, question: Question, evidence: Mapping[str, Json]) -> Question:
    bound = [question.digest, {name: _digest_of(evidence.get(name)) for name in question.files}]
    digest = flow.digest_of(bound)
    return _replace(question, evidence=evidence, digest=digest)


def _moved(question: Question, at: int) -> int | None:
    return None if question.due is None else question.due - question.asked_at + at


def _meant(node: Node, asked_at: int) -> Question:
    question = node.question
    if question is None or question.asked_at != asked_at:
        raise IllegalStimulus(f"{node.path} was asked again since")
    return question


RULES: Mapping[type, Callable[[Turn, Node, Any], None]] = {
    stimuli.Claimed: claimed,
    stimuli.Released: released,
    stimuli.HandedOver: handed_over,
    stimuli.Commented: commented,
    stimuli.Withdrawn: withdrawn,
    stimuli.Climbed: climbed,
    stimuli.EvidenceRead: evidence_read,
}
