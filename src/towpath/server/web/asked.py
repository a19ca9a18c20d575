"""One question as one person sees it on its page: what is asked, what they may say to it, and why not the rest.

What stands in the way of an answer is told before it is given, by the rules by which the owner of the run judges it. The owner's
judgement counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from towpath.core.run import Path, Question
from towpath.people.choices import COMMENTED
from towpath.people.decided import History
from towpath.people.inbox import Item
from towpath.server import asking
from towpath.server.api import questions
from towpath.server.call import Call
from towpath.server.ladders import Happening
from towpath.server.shapes.questions import Seen
from towpath.server.web import evidence, fields
from towpath.server.web.evidence import Evidence, Instruction
from towpath.server.web.fields import Field
from towpath.store.contract import RunRow, SendingRow

Look: TypeAlias = Literal["primary", "danger", "plain"]
COMING_MAX: Final = 8
"""Rungs and reminders to come that a page shows."""
_LOOKS: Final[Mapping[str, Look]] = {
    "approve": "primary",
    "done": "primary",
    "retry": "primary",
    "reject": "danger",
    "stop": "danger",
    "give_up": "danger",
    "failed": "danger",
    "rollback": "danger",
}
_VERBS: Final[Mapping[str, str]] = {
    "approve": "Approve",
    "reject": "Reject",
    "send_back": "Send back",
    "done": "Done",
    "failed": "Could not do it",
    "retry": "Try again",
    "skip": "Pass over",
    "rollback": "Roll back",
    "stop": "Stop the run",
    "give_up": "Give up",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of the answers that a question takes."""

    value: str
    verb: str
    """What its button says."""
    look: Look
    refusal: str
    """Why this person may not say it; empty where they may."""
    takes_form: bool
    """Whether the fields of the form go along with it."""
    wants_comment: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Something that happened to the question, with those who were told of it."""

    happening: Happening
    sendings: tuple[SendingRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What somebody has typed and sent, and what was wrong with it."""

    form: Mapping[str, str] | None = None
    comment: str = ""
    problems: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By the names of fields; `comment` is one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A question on its page."""

    seen: Seen
    question: Question
    choices: tuple[Choice, ...]
    says: frozenset[str]
    """What else the person may say: claim, comment, …"""
    refusal: str
    """Why the person may not answer at all; empty where they may."""
    fields: tuple[Field, ...]
    comment: str
    comment_problem: str
    evidence: tuple[Evidence, ...]
    instructions: tuple[Instruction, ...]
    past: tuple[Told, ...]
    coming: tuple[Happening, ...]
    more_coming: int
    principals: tuple[str, ...]
    """Whom it could be handed over to."""

    @property
    def row(self) -> RunRow:
        """The run that asks."""
        return self.seen.row

    @property
    def path(self) -> Path:
        """The step that asks."""
        return self.seen.history.path

    @property
    def history(self) -> History:
        """What happened to it."""
        return self.seen.history

    @property
    def item(self) -> Item | None:
        """How the person stands to it; None when it is over."""
        return self.seen.item

    @property
    def is_open(self) -> bool:
        """Whether it can still be answered."""
        return self.seen.node is not None


def show(call: Call, name: str, path: Path, typed: Typed | None = None) -> Shown:
    """The question at a step, open or over; raises NotFound where none was ever asked there."""
    seen = questions.see(call, name, path)
    question = (
        seen.history.question if seen.node is None or seen.node.question is None else seen.node.question
    )
    typed = typed or Typed()
    choices = tuple(_choice(seen, value) for value in question.choices) if seen.node is not None else ()
    return Shown(
        seen=seen,
        question=question,
        choices=choices,
        says=frozenset(says for says, refusal in seen.refusals.items() if not refusal),
        refusal=_common([one.refusal for one in choices]),
        fields=fields.fields_of(asking.declared_fields(question), typed=typed.form, problems=typed.problems),
        comment=typed.comment,
        comment_problem="; ".join(typed.problems.get("comment", ())),
        evidence=evidence.evidence_of(question.evidence),
        instructions=evidence.instructions_of(question.instructions or ""),
        past=tuple(
            Told(happening=one, sendings=tuple(seen.told.get(one.key, ())) if one.key is not None else ())
            for one in seen.past
        ),
        coming=tuple(seen.coming[:COMING_MAX]),
        more_coming=max(0, len(seen.coming) - COMING_MAX),
        principals=_principals(call),
    )


def _choice(seen: Seen, value: str) -> Choice:
    return Choice(
        value=value,
        verb=_VERBS.get(value, value.replace("_", " ").capitalize()),
        look=_LOOKS.get(value, "plain"),
        refusal=seen.refusals.get(value, ""),
        takes_form=value in asking.WITH_FORM,
        wants_comment=value in COMMENTED,
    )


def _common(refusals: Sequence[str]) -> str:
    """What stands against every answer alike."""
    return refusals[0] if refusals and len(set(refusals)) == 1 else ""


def _principals(call: Call) -> tuple[str, ...]:
    people = call.app.project_file().people
    return (
        *(f"user:{name}" for name in people.users),
        *(f"group:{name}" for name in people.groups),
        *(f"oncall:{name}" for name in people.on_call),
    )
