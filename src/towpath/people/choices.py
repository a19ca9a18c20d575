"""The choices that people have, in words: what to type for each, what it is called afterwards, and what silence means.

Messages, the inbox, `tow show` and the record of a decision all say it in these words.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Final

from towpath.core.run import Path

COMMENTED: Final = frozenset({"reject", "send_back", "failed"})
"""Choices for which others want to know why."""
DECISIONS: Final[Mapping[str, str]] = {
    "approve": "approved",
    "reject": "rejected",
    "send_back": "sent back",
    "done": "done",
    "failed": "could not be done",
    "retry": "to be tried again",
    "skip": "passed over",
    "rollback": "to be rolled back",
    "stop": "stopped",
    "give_up": "given up",
}
"""Choices, as the decisions that they are."""
_COMMANDS: Final[Mapping[str, str]] = {
    "approve": "tow approve",
    "reject": "tow reject",
    "send_back": "tow send-back",
    "done": "tow done",
}
"""Choices that have a command of their own; any other is a word for `tow answer`."""
_VERBS: Final[Mapping[str, str]] = {"approval": "tow approve", "task": "tow done"}
"""Kinds of questions with a verb of their own; in the others no choice comes before another."""
_SILENCE: Final[Mapping[str, str]] = {
    "approve": "it counts as approved",
    "reject": "it counts as rejected",
    "fail": "the step fails",
    "continue": "the run goes on without an answer",
}
_WITH_FORM: Final = frozenset({"approve", "done"})


def decision_of(choice: str) -> str:
    """A choice as the decision that it is: `approved`, `sent back`."""
    return DECISIONS.get(choice, choice.replace("_", " "))


def silence(if_unanswered: str | None) -> str:
    """What happens when nobody answers in time: `it counts as rejected`; where nothing is written, the step fails."""
    return _SILENCE.get(if_unanswered or "fail", "")


def command_of(number: int, path: Path, choice: str, fields: Sequence[str] = ()) -> str:
    """What to type for a choice: `tow approve 12 go_live`; *fields* are those of the form that have to be filled in."""
    own = _COMMANDS.get(choice)
    step = shlex.quote(path)
    line = f"{own} {number} {step}" if own else f"tow answer {number} {step} {shlex.quote(choice)}"
    if choice in _WITH_FORM:
        line += "".join(f" --form {name}=…" for name in fields)
    return line + (' --comment "…"' if choice in COMMENTED else "")


def first_command(run: str, path: Path, kind: str, *, is_only: bool = False) -> str:
    """What to type to get on with a question: its own verb, or else `tow answer`, which explains the choices.

    Args:
        run: the run as people type it.
        path: the step that asks.
        kind: what is asked: approval, task, failure, unknown, rollback.
        is_only: the run asks nothing else, so the step may be left out.

    """
    verb = _VERBS.get(kind, "tow answer")
    return f"{verb} {run}" if is_only else f"{verb} {run} {shlex.quote(path)}"
