"""Facts in the past tense: what the journal keeps, for ever.

A field may be added with a default; a meaning never changes. What replay needs is in the event: `evolve` never decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from towpath.core.run import (
    Answer,
    Awaited,
    Carried,
    Error,
    Json,
    Micros,
    NodeStatus,
    Outcome,
    Path,
    Phase,
    Protection,
    Question,
    RunId,
    RunStatus,
    Stage,
    Work,
)


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", omit_defaults=True, gc=False):
    """Something that became true of a run."""

    at: Micros


class RunAccepted(Event, frozen=True, tag="run_accepted"):
    """The run exists and will reach an end. It begins at once unless it is queued."""

    run: RunId
    workflow: str
    digest: str
    inputs: Mapping[str, Json]
    started_by: str
    edited_by: str = ""
    protections: Mapping[str, Protection] = {}
    break_glass: str = ""
    """The reason of an emergency start."""
    commit: str = ""
    """The Git commit of the project that the run belongs to; empty where the project is a plain folder."""
    vars: Mapping[str, Json] = {}
    environment: str = ""
    url: str = ""
    trigger: Json = None
    """The event that started it."""
    queued: bool = False
    group: str | None = None
    mode: Literal["forward", "rollback"] = "forward"
    continues: RunId | None = None
    carried: tuple[Carried, ...] = ()
    parent: tuple[RunId, Path] | None = None
    timeout_at: Micros | None = None


class RunAdmitted(Event, frozen=True, tag="run_admitted"):
    """A queued run got its place and begins."""

    timeout_at: Micros | None = None


class StepStarted(Event, frozen=True, tag="step_started"):
    """A step's attempt, or a frame of steps, began."""

    path: Path
    plan: int
    frame: str = ""
    attempt: int = 1
    stage: Stage = "main"
    work: Work | None = None
    """What the performer is to do, or the inputs of a child run; absent for blocks and for what waits."""
    items: tuple[tuple[str, Json], ...] | None = None
    timeout_at: Micros | None = None
    child: RunId | None = None
    undoable: bool = False
    fresh: bool = True
    """A new start, not the retry of a failed attempt: the retry rule counts from here."""


class StepHeld(Event, frozen=True, tag="step_held"):
    """A step would begin in a protected environment whose gate is not open yet."""

    path: Path
    plan: int
    environment: str


class EnvironmentEntered(Event, frozen=True, tag="environment_entered"):
    """The gate of a protected environment is open for the rest of the run: approved, in its window, or by breaking the glass."""

    environment: str
    how: Literal["approved", "unanswered", "window", "place", "break_glass"]


class StepRetrying(Event, frozen=True, tag="step_retrying"):
    """An attempt failed and the next one is due."""

    path: Path
    attempt: int
    error: Error
    due: Micros


class WaitStarted(Event, frozen=True, tag="wait_started"):
    """A step waits for time, a window, an event or a signal, or a `repeat` for its next round."""

    path: Path
    awaited: Awaited


class PeopleAsked(Event, frozen=True, tag="people_asked"):
    """People were asked; the step waits for them."""

    path: Path
    question: Question
    error: Error | None = None
    attempt: int = 0


class AnswerGiven(Event, frozen=True, tag="answer_given"):
    """A person answered; the question may still need more answers."""

    path: Path
    answer: Answer


class AnswerWithdrawn(Event, frozen=True, tag="answer_withdrawn"):
    """A person took their answer back before the question was decided."""

    path: Path
    by: str


class AnswersVoided(Event, frozen=True, tag="answers_voided"):
    """What was asked about has changed: the answers so far are void, and the question is asked again."""

    path: Path
    reason: str
    question: Question


class EvidenceShown(Event, frozen=True, tag="evidence_shown"):
    """The files that a question shows were read; from now on it can be answered."""

    path: Path
    question: Question


class QuestionClaimed(Event, frozen=True, tag="question_claimed"):
    """A person takes care of a question."""

    path: Path
    by: str


class ClaimReleased(Event, frozen=True, tag="claim_released"):
    """Whoever took care of a question has given it back to the others."""

    path: Path
    by: str


class QuestionHandedOver(Event, frozen=True, tag="question_handed_over"):
    """Somebody else may answer a question now."""

    path: Path
    by: str
    to: str
    comment: str = ""
    number: int = 0
    """Which hand-over of this question, from 1; 0 in older journals, where nobody was told."""


class CommentAdded(Event, frozen=True, tag="comment_added"):
    """A person said something about a question without deciding it."""

    path: Path
    by: str
    text: str


class PeopleTold(Event, frozen=True, tag="people_told"):
    """A question's ladder was climbed: people are reminded, or more people are told and may answer."""

    path: Path
    kind: Literal["reminder", "rung"]
    number: int
    to: tuple[str, ...]


class BodyEnded(Event, frozen=True, tag="body_ended"):
    """A step's body is over and its handlers begin."""

    path: Path
    outcome: Outcome
    outputs: Mapping[str, Json] | None = None
    error: Error | None = None


class PhaseStarted(Event, frozen=True, tag="phase_started"):
    """A step's handlers entered a phase; *undo* lists what a rollback will undo, in order."""

    path: Path
    phase: Phase
    undo: tuple[Path, ...] = ()


class FailureSettled(Event, frozen=True, tag="failure_settled"):
    """A failure does not go up: it was caught, passed over as written, or skipped by a person."""

    path: Path
    how: Literal["caught", "continued", "skipped"]
    by: str = ""


class StepUndone(Event, frozen=True, tag="step_undone"):
    """A step's rollback is over: done by its steps, by hand, or given up."""

    path: Path
    scope: Path
    """The scope that is rolling back."""
    how: Literal["rolled_back", "by_hand", "given_up"]
    by: str = ""


class StepEnded(Event, frozen=True, tag="step_ended"):
    """A step or a frame ended; its status never changes, unless it is sent back or run again by a person."""

    path: Path
    status: NodeStatus
    plan: int = -1
    """Given where the step ends without having started."""
    frame: str = ""
    outputs: Mapping[str, Json] | None = None
    error: Error | None = None
    reason: str = ""


class StepsReset(Event, frozen=True, tag="steps_reset"):
    """Steps will run again, as a person wished: those at and below *paths*, all children of *frame*."""

    paths: tuple[Path, ...]
    frame: Path
    by: str
    comment: str = ""
    cursor: int | None = None
    """Where the frame goes on; None leaves it where it is."""


class StopRequested(Event, frozen=True, tag="stop_requested"):
    """A subtree is being stopped: by a person, a timeout, a failed sibling or an end step."""

    path: Path
    reason: str
    leaves: tuple[Path, ...] = ()
    """The attempts and child runs that have to stop; each answers by its end."""
    by: str = ""
    rollback: bool | None = None
    """Whether scopes roll back from now on; None leaves it as it is."""
    ending: tuple[str, str | None, str | None] | None = None


class StepStopRequested(Event, frozen=True, tag="step_stop_requested"):
    """Somebody stops what one step is doing; its attempt answers by its end, and has failed as `cancelled`."""

    path: Path
    by: str
    reason: str = ""


class SignalReceived(Event, frozen=True, tag="signal_received"):
    """A signal or an event reached the run; kept until a step waits for it."""

    kind: Literal["signal", "event", "window", "place"]
    name: str
    payload: Json = None
    by: str = ""


class SignalTaken(Event, frozen=True, tag="signal_taken"):
    """A step took a kept signal; *position* is its place among the kept ones."""

    position: int


class RunEnded(Event, frozen=True, tag="run_ended"):
    """The run reached an end state."""

    status: RunStatus
    outcome: str | None = None
    message: str | None = None
    outputs: Mapping[str, Json] | None = None
    error: Error | None = None


AnyEvent: TypeAlias = (
    RunAccepted
    | RunAdmitted
    | StepStarted
    | StepHeld
    | EnvironmentEntered
    | StepRetrying
    | WaitStarted
    | PeopleAsked
    | AnswerGiven
    | AnswerWithdrawn
    | AnswersVoided
    | EvidenceShown
    | QuestionClaimed
    | ClaimReleased
    | QuestionHandedOver
    | CommentAdded
    | PeopleTold
    | BodyEnded
    | PhaseStarted
    | FailureSettled
    | StepUndone
    | StepEnded
    | StepsReset
    | StopRequested
    | StepStopRequested
    | SignalReceived
    | SignalTaken
    | RunEnded
)
