"""What is said to runs of a server, each thing by the route of the API that it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from towpath.cli.remote.wire import API, segment
from towpath.core import stimuli
from towpath.core.run import Json
from towpath.errors import BugError

if TYPE_CHECKING:
    from towpath.store.contract import RunNumber

Order: TypeAlias = tuple[str, dict[str, Json]]
"""The path of a route, and the body."""


def order_of(run: RunNumber, stimulus: stimuli.AnyStimulus) -> Order:
    """How a stimulus is said to a server, which adds itself who says it and when."""
    body: dict[str, Json]
    match stimulus:
        case stimuli.Cancel():
            verb, body = "cancel", {"rollback": stimulus.rollback, "reason": stimulus.reason}
        case stimuli.StopStep():
            verb, body = "stop_step", {"step": stimulus.path, "reason": stimulus.reason}
        case stimuli.Signalled():
            verb, body = "signal", {"name": stimulus.name, "payload": stimulus.payload}
        case stimuli.Retry():
            verb, body = "retry", {"step": stimulus.path}
        case stimuli.Skip():
            verb, body = "skip", {"step": stimulus.path, "reason": stimulus.reason}
        case stimuli.Rollback():
            verb, body = "rollback", {"reason": stimulus.reason}
        case _:
            said, body = _to_question(stimulus)
            verb = f"questions/{segment(getattr(stimulus, 'path', ''))}/{said}"
    return f"{API}/runs/{run}/{verb}", body


def _to_question(stimulus: stimuli.AnyStimulus) -> Order:
    body: dict[str, Json] = {}
    match stimulus:
        case stimuli.Answered():
            said = "answer"
            body = {
                "decision": stimulus.decision,
                "comment": stimulus.comment,
                "form": dict(stimulus.form or {}),
                "digest": stimulus.digest or "",
            }
        case stimuli.Claimed():
            said, body = "claim", {"force": stimulus.force}
        case stimuli.Released():
            said = "release"
        case stimuli.HandedOver():
            said, body = "hand_over", {"to": stimulus.to, "comment": stimulus.comment}
        case stimuli.Commented():
            said, body = "comment", {"text": stimulus.text}
        case stimuli.Withdrawn():
            said = "withdraw"
        case stimuli.Climbed():
            said = "remind"
        case _:
            raise BugError(f"{type(stimulus).__name__} is not said by people")
    return said, body
