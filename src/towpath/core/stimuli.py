"""What comes from outside and is told to the core.

Every stimulus says when it came (`at`, microseconds since the epoch); where chance is wanted, its seed comes along.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from towpath.core.run import Carried, Error, Json, Micros, Path, Protection, RunId, RunStatus, Stage


class Stimulus(msgspec.Struct, frozen=True, kw_only=True, tag_field="stimulus", omit_defaults=True, gc=False):
    """Something that happened outside of the core."""

    at: Micros


class Start(Stimulus, frozen=True, tag="start"):
    """Somebody or something starts the run; inputs are complete and valid."""

    run: RunId
    digest: str
    inputs: Mapping[str, Json]
    started_by: str
    edited_by: str = ""
    protections: Mapping[str, Protection] = {}
    """The protected environments of the project."""
    break_glass: str = ""
    """The reason of an emergency start, which no gate holds up."""
    commit: str = ""
    """The Git commit of the project that the run belongs to; empty where the project is a plain folder."""
    url: str = ""
    event: Json = None
    queue: bool = False
    """The concurrency group is full: wait for `Admit`."""
    skip: bool = False
    """The concurrency group is full and the run ends as skipped."""
    mode: Literal["forward", "rollback"] = "forward"
    continues: RunId | None = None
    carried: tuple[Carried, ...] = ()
    parent: tuple[RunId, Path] | None = None


class Admit(Stimulus, frozen=True, tag="admit"):
    """A place in the concurrency group is free for the run."""


class StepEnded(Stimulus, frozen=True, tag="step_ended"):
    """An attempt ended. An *error* of kind `cancelled` answers a stop."""

    path: Path
    attempt: int
    stage: Stage = "main"
    outputs: Mapping[str, Json] = {}
    error: Error | None = None
    done: bool | None = None
    """Stage `check` only: whether the step is done already."""
    is_complete: bool = False
    """The performer got a whole answer although there is an *error*: `success_when` may call it a success."""
    seed: int = 0


class Interrupted(Stimulus, frozen=True, tag="interrupted"):
    """The performer of an attempt was lost; what the attempt did is unknown."""

    path: Path
    attempt: int
    stage: Stage = "main"
    seed: int = 0


class TimerFired(Stimulus, frozen=True, tag="timer_fired"):
    """A timer that a command had set is due."""

    path: Path
    purpose: Literal["due", "timeout"]
    due: Micros
    seed: int = 0


class Answered(Stimulus, frozen=True, tag="answered"):
    """A person answered; whether they may is decided before, in the same breath."""

    path: Path
    by: str
    decision: str
    comment: str = ""
    form: Mapping[str, Json] = {}
    digest: str | None = None
    """What the person saw; an answer to something else is void."""
    via: str = ""
    editor: str | None = None
    """Who last edited the definition, for four eyes."""
    seed: int = 0


class Claimed(Stimulus, frozen=True, tag="claimed"):
    """A person says that they take care of a question; with *force*, in place of who had claimed it."""

    path: Path
    by: str
    force: bool = False


class Released(Stimulus, frozen=True, tag="released"):
    """Whoever has claimed a question gives it back to the others."""

    path: Path
    by: str


class HandedOver(Stimulus, frozen=True, tag="handed_over"):
    """A person who may answer a question lets somebody else answer it."""

    path: Path
    by: str
    to: str
    comment: str = ""


class Commented(Stimulus, frozen=True, tag="commented"):
    """A person says something about a question without deciding it."""

    path: Path
    by: str
    text: str


class Withdrawn(Stimulus, frozen=True, tag="withdrawn"):
    """A person takes their answer back before the question is decided."""

    path: Path
    by: str


class Climbed(Stimulus, frozen=True, tag="climbed"):
    """A question's ladder says that something is due: a reminder, a rung, or the end of the time to answer."""

    path: Path
    kind: Literal["reminder", "rung", "expiry"]
    asked_at: Micros
    """Which question is meant: a later one has a ladder of its own."""
    number: int = 0
    """Which reminder or rung, from 1."""


class EvidenceRead(Stimulus, frozen=True, tag="evidence_read"):
    """The files that a question shows, as they are now: name to digest and text."""

    path: Path
    asked_at: Micros
    evidence: Mapping[str, Json]


class Signalled(Stimulus, frozen=True, tag="signalled"):
    """A signal, an event from outside, or the opening of a calendar's window reached the run."""

    kind: Literal["signal", "event", "window", "place"]
    name: str
    payload: Json = None
    by: str = ""


class ChildEnded(Stimulus, frozen=True, tag="child_ended"):
    """A run that a `workflow` step had started is over."""

    path: Path
    child: RunId
    status: RunStatus
    outputs: Mapping[str, Json] = {}
    error: Error | None = None
    seed: int = 0


class Cancel(Stimulus, frozen=True, tag="cancel"):
    """Somebody stops the run."""

    by: str
    rollback: bool = True
    reason: str = ""


class StopStep(Stimulus, frozen=True, tag="stop_step"):
    """Somebody stops what one step is doing, and nothing else: also where the run is ending already."""

    path: Path
    by: str
    reason: str = ""


class Retry(Stimulus, frozen=True, tag="retry"):
    """Somebody has a failed or unknown step that is asking run again."""

    path: Path
    by: str


class Skip(Stimulus, frozen=True, tag="skip"):
    """Somebody passes over a step that is asking, or waiting for its retry."""

    path: Path
    by: str
    reason: str = ""


class Rollback(Stimulus, frozen=True, tag="rollback"):
    """Somebody has an open run stop and undo what it did."""

    by: str
    reason: str = ""


AnyStimulus: TypeAlias = (
    Start
    | Admit
    | StepEnded
    | Interrupted
    | TimerFired
    | Answered
    | Claimed
    | Released
    | HandedOver
    | Commented
    | Withdrawn
    | Climbed
    | EvidenceRead
    | Signalled
    | ChildEnded
    | Cancel
    | StopStep
    | Retry
    | Skip
    | Rollback
)
