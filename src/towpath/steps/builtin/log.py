"""`log`: a line in the run's log."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

from towpath.steps.contract import LogLevel, Rehearsal, StepContext, action

__all__ = ["log"]

MESSAGE_CHARS_MAX = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOutputs:
    """What was written."""

    message: Annotated[str, "The text as it was logged"]


@action("log", idempotent=True, effects="none", instant=True)
def log(
    message: Annotated[Any, "What to say; a list or a map is written as JSON"],  # noqa: ANN401 - anything can be said
    level: Annotated[LogLevel, "How much it matters"] = "info",
    *,
    context: StepContext,
) -> LogOutputs:
    """Writes a message into the log of the run."""
    text = _text_of(message)
    context.log(text, level=level)
    return LogOutputs(message=text)


@log.rehearsal
def rehearse_log(message: Any, level: LogLevel = "info", *, context: StepContext) -> Rehearsal:  # noqa: ANN401, ARG001 - the inputs of `log`
    """Tells what would be said."""
    text = _text_of(message)
    return Rehearsal(summary=f"logs: {text}", outputs={"message": text})


def _text_of(message: object) -> str:
    text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
    return text[:MESSAGE_CHARS_MAX]
