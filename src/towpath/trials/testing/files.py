"""What a test file says, as frozen values: the words of `tests/*.yaml`.

Every key is a field here and nowhere else: the JSON Schema, the reference page and "did you mean" are made from these classes. A file
begins with what its tests have in common; a test says only what is different, and what has to come of it.
"""

from __future__ import annotations

import datetime
import re
import zoneinfo
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema, model_validator

from towpath.core.run import ErrorKind, Micros, NodeStatus, RunStatus
from towpath.definition.model import BareCondition, Duration, Flag, Part, Principal, Value, Whole
from towpath.definition.problems import closest, listed
from towpath.definition.project import is_time_zone

TESTS_MAX = 1_000
"""Tests in one file."""
NAME_CHARS_MAX = 200
START = "2027-01-12T09:00 UTC"
"""When a test begins that does not say it: a Tuesday morning."""

FailureKind: TypeAlias = Literal["exit", "timeout", "unreachable", "denied", "conflict", "invalid", "policy"]
EndedAs: TypeAlias = Literal[
    "succeeded",
    "partially_succeeded",
    "failed",
    "rolled_back",
    "rollback_failed",
    "rejected",
    "cancelled",
    "skipped",
]
Status: TypeAlias = Literal[RunStatus, "refused"]
StepStatus: TypeAlias = Literal["pending", NodeStatus]
STEP_STATUSES: tuple[str, ...] = get_args(StepStatus)
TellingReason: TypeAlias = Literal["asked", "reminder", "rung", "voided", "decided", "withdrawn"]
Deed: TypeAlias = Literal[
    "crash", "cancel", "rollback", "signal", "event", "retry", "skip", "clock_jump", "change_file"
]

# --- words of time ------------------------------------------------------------------------------------------

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)
_SECOND = 1_000_000


def parse_instant(text: object, *, zone: str = "UTC") -> tuple[Micros, str]:
    """The instant that a text names, and the time zone that it is read in; raises ValueError.

    `2026-11-20T16:00 Europe/Berlin`, `2026-11-20T16:00+01:00`, or `2026-11-20T16:00` in *zone*.
    """
    advice = "is not a point in time: write 2026-11-20T16:00 Europe/Berlin"
    if not isinstance(text, str):
        raise ValueError(advice)  # noqa: TRY004 - pydantic's
    moment, _, name = text.strip().partition(" ")
    if name and not is_time_zone(name):
        raise ValueError(
            f"names no time zone that is known: {name}; write a name of the IANA database, such as Europe/Berlin"
        )
    try:
        found = datetime.datetime.fromisoformat(moment)
    except ValueError:
        raise ValueError(advice) from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=zoneinfo.ZoneInfo(name or zone))
    elif name:
        raise ValueError("says its time zone twice: leave one of them out")
    return (found - _EPOCH) // _MICROSECOND, name or zone


def _instant(text: object) -> object:
    parse_instant(text)
    return text


_JUMP = re.compile(r"([+-]?)(\S+)")


def parse_jump(text: object) -> float:
    """Seconds by which a clock is set forward, or back where a minus stands before them; raises ValueError."""
    from towpath.definition.model import parse_duration

    match = _JUMP.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("is not a span of time: write 2h, or -2h for back")
    seconds = parse_duration(match[2])
    return -seconds if match[1] == "-" else seconds


Instant: TypeAlias = Annotated[
    str,
    BeforeValidator(_instant),
    WithJsonSchema({"type": "string", "examples": ["2026-11-20T16:00 Europe/Berlin"]}),
]
Jump: TypeAlias = Annotated[
    float,
    BeforeValidator(parse_jump),
    WithJsonSchema({"type": "string", "examples": ["2h", "-30m"]}),
]
Address: TypeAlias = str
"""A step by its id (`smoke`), or one of its instances by its path (`fleet[web1]/smoke`, `fleet[*]/smoke`)."""


# --- what happens -------------------------------------------------------------------------------------------


def _word(value: object, words: Mapping[str, Mapping[str, object]], what: str) -> object:
    """One word that stands for a mapping."""
    if not isinstance(value, str):
        return value
    if value in words:
        return dict(words[value])
    near = closest(value, words)
    advice = f"did you mean `{near}`?" if near else f"write one of {listed(words)}, or a mapping"
    raise ValueError(f"is not {what}: {advice}")


RESULT_WORDS: Mapping[str, Mapping[str, object]] = {
    "ok": {},
    "fail": {"fail": "exit"},
    **{kind: {"fail": kind} for kind in get_args(FailureKind) if kind != "exit"},
    "lost": {"lost": True},
    "hangs": {"hangs": True},
    "failed": {"status": "failed"},
    "rolled_back": {"status": "rolled_back"},
    "rejected": {"status": "rejected"},
    "cancelled": {"status": "cancelled"},
}


class Result(Part):
    """How one attempt of a step goes; a single word says it too: `ok`, `fail`, `timeout`, `lost`, `hangs`."""

    fail: FailureKind | None = None
    """The attempt fails, with an error of this kind."""
    message: str | None = None
    """The message of the error."""
    exit_code: Whole | None = None
    """The exit code of the script; anything but 0 is a failure."""
    outputs: Mapping[str, Value] = Field(default_factory=dict)
    """What it hands on; declared outputs that are not named here get a plausible value."""
    takes: Duration = 1.0
    """How long it takes; longer than the step's timeout is a timeout."""
    lost: Flag = False
    """Its performer is lost, and what it did is unknown."""
    hangs: Flag = False
    """It ends only when it is stopped, or when its time is up."""
    when_stopped: Literal["stops", "ends", "lost"] = "stops"
    """What becomes of it when it is stopped: it stops, it ends well all the same, or it is lost."""
    status: EndedAs | None = None
    """Steps with `workflow` only: how the other run ends; it is not played then."""

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: object) -> object:
        return _word(value, RESULT_WORDS, "a result")


CHECK_WORDS: Mapping[str, Mapping[str, object]] = {
    "done": {"done": True},
    "not_done": {},
    "fail": {"fail": "exit"},
    "lost": {"lost": True},
}


class CheckResult(Part):
    """What the `check` of a step answers; a single word says it too: `done`, `not_done`, `fail`, `lost`."""

    done: Flag = False
    """Whether it is done already."""
    outputs: Mapping[str, Value] = Field(default_factory=dict)
    """What `done_when` reads."""
    fail: FailureKind | None = None
    """The check itself fails."""
    message: str | None = None
    """The message of the error."""
    takes: Duration = 1.0
    """How long it takes."""
    lost: Flag = False
    """Its performer is lost."""

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: object) -> object:
        return _word(value, CHECK_WORDS, "an answer of a check")


Decision: TypeAlias = Literal[
    "approve", "reject", "send_back", "done", "failed", "retry", "skip", "rollback", "stop", "give_up"
]
Saying: TypeAlias = Literal["claim", "release", "hand_over", "comment", "withdraw"]
Silence: TypeAlias = Literal["silence"]
DECISIONS: tuple[str, ...] = get_args(Decision)
SAYINGS: tuple[str, ...] = get_args(Saying)
(SILENCE,) = get_args(Silence)
ANSWER_WORDS: Mapping[str, Mapping[str, object]] = {
    word: {"decision": word} for word in (*DECISIONS, *SAYINGS, SILENCE)
}


class Answer(Part):
    """What one person says to a question; a single word says it too: `approve`, `done`, `silence`."""

    decision: Literal[Decision, Saying, Silence]
    """One of the question's choices; `claim`, `release`, `hand_over`, `comment` or `withdraw`; or `silence`: nobody says anything more."""
    by: Principal | None = None
    """Who says it; somebody who may where it is not said."""
    after: Duration | None = None
    """How long after the question; one minute after what came before where it is not said."""
    comment: str = ""
    """What the person writes."""
    form: Mapping[str, Value] | None = None
    """The form as it was filled in; plausible values where it is not said."""
    to: Principal | None = None
    """`hand_over` only: who may answer as well."""
    force: Flag = False
    """`claim` only: in place of who has claimed it."""
    refused: str | None = None
    """A part of the reason for which it must be refused; without it, it must not be."""

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: object) -> object:
        return _word(value, ANSWER_WORDS, "an answer")


class Happening(Part):
    """Something that happens to the run: a fault, a person, an event."""

    do: Deed
    """What happens."""
    when: Address | None = None
    """As soon as this step begins (`switch`), looks (`switch:check`) or asks (`go_live?`)."""
    time: Whole = Field(default=1, ge=1)
    """Which time it begins, where it begins more than once."""
    after: Duration | None = None
    """How long after that, or after the start."""
    at: Instant | None = None
    """At this point in time."""
    by: Principal | None = None
    """Who does it."""
    down: Duration = 60.0
    """`crash` only: how long it takes until the run is resumed."""
    jump: Jump | None = None
    """`clock_jump` only: how far the clock is set forward, or back."""
    name: str | None = None
    """`signal` and `event` only: which one."""
    payload: Value = None
    """`signal` and `event` only: what comes with it."""
    step: Address | None = None
    """`retry` and `skip` only: the step that is meant, by its path."""
    undo: Flag = True
    """`cancel` only: whether what was done is undone."""
    reason: str = ""
    """Why somebody does it."""
    file: str | None = None
    """`change_file` only: the file that changes."""
    text: str | None = None
    """`change_file` only: what is in it from then on."""
    refused: str | None = None
    """A part of the reason for which it must be refused; without it, it must not be."""


# --- what has to come of it ---------------------------------------------------------------------------------

ERROR_KINDS: tuple[str, ...] = get_args(ErrorKind)


class ExpectedError(Part):
    """An error; a single word, its kind, says it too."""

    kind: ErrorKind | None = None
    """Its kind."""
    message: str | None = None
    """A part of its message."""
    step: Address | None = None
    """The step that it comes from."""
    exit_code: Whole | None = None
    """The exit code of the script."""

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: object) -> object:
        return _word(value, {kind: {"kind": kind} for kind in ERROR_KINDS}, "a kind of error")


class ExpectedStep(Part):
    """What became of a step; a single word, its status, says it too."""

    status: StepStatus | None = None
    """Its status; `pending` where it never began."""
    attempts: Whole | None = None
    """How many attempts it took."""
    outputs: Mapping[str, Value] | None = None
    """Some of its outputs."""
    error: ExpectedError | None = None
    """Why it failed."""
    reason: str | None = None
    """Why it was skipped, or how else it came to its status: `condition`, `already_done`, `unanswered`."""
    undone: Flag | None = None
    """Whether it was rolled back."""

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: object) -> object:
        return _word(value, {word: {"status": word} for word in STEP_STATUSES}, "a step's status")


class ExpectedCommand(Part):
    """What an attempt of a step was told to do; every key that is written has to be exactly so."""

    env: Mapping[str, Value] | None = None
    """The environment variables that the file gives it."""
    with_: Mapping[str, Value] | None = Field(default=None, alias="with")
    """The inputs of the action, or of the other workflow."""
    stdin: str | None = None
    """Its standard input."""
    cwd: str | None = None
    """The folder in which it starts."""
    container: str | None = None
    """The image in which it runs."""
    environment: str | None = None
    """The environment whose secrets it gets."""
    artifacts: tuple[str, ...] | None = None
    """The files that are kept."""


class ExpectedTelling(Part):
    """Once that people are told of a question; keys that are left out may be anything."""

    why: TellingReason | None = None
    """Why they are told."""
    step: Address | None = None
    """Which question it is about."""
    number: Whole | None = None
    """Which reminder or which rung, from 1."""
    to: tuple[Principal, ...] | None = None
    """To whom the question goes, as the workflow writes it."""
    people: tuple[str, ...] | None = None
    """The names of those who are told, at that moment."""
    at: Instant | None = None
    """When they are told."""
    after: Duration | None = None
    """How long after the start they are told."""


Words: TypeAlias = str | tuple[str, ...]
"""Steps in order, as a list or as one text with spaces."""


class Expect(Part):
    """What has to come of it. What is not written is not looked at, but for the status."""

    status: Status | None = None
    """How the run ends, or `waiting` where it does not; `refused` where it cannot even start. A run has to succeed where neither this
    nor `error`, `outcome` or `waits_for` is written."""
    outcome: str | None = None
    """The word that an `end` step gave."""
    message: str | None = None
    """A part of the run's message, or of the reason why it could not start."""
    error: ExpectedError | None = None
    """Why the run failed."""
    path: Words | None = None
    """Everything that was ordered, in order: steps, `step:check`, and `step?` where people were asked."""
    passes: Words | None = None
    """Some of it, in this order, with anything in between."""
    never: Words | None = None
    """What must not be ordered at all."""
    steps: Mapping[Address, ExpectedStep] = Field(default_factory=dict)
    """What became of single steps."""
    commands: Mapping[Address, ExpectedCommand | tuple[ExpectedCommand, ...]] = Field(default_factory=dict)
    """What the last attempt of a step was told to do, or each attempt where there is a list."""
    outputs: Mapping[str, Value] | None = None
    """The outputs of the run, all of them."""
    told: tuple[ExpectedTelling, ...] | None = None
    """Who is told what and when, all of it and in order."""
    waits_for: tuple[Address, ...] | None = None
    """The steps that the run waits for at the end."""
    takes: Duration | None = None
    """How long it takes, in the time of the test."""
    ends_at: Instant | None = None
    """When the run ends, in the time of the test."""
    holds: tuple[BareCondition, ...] = ()
    """Conditions that hold at the end, over `inputs`, `steps`, `run` and `outputs`."""


# --- a file -------------------------------------------------------------------------------------------------


class Doings(Part):
    """What steps, checks and people do."""

    started_by: Principal | None = None
    """Who starts the run."""
    steps: Mapping[Address, Result | tuple[Result, ...]] = Field(default_factory=dict)
    """Results by step; a list has one for each attempt or round, and its last one counts from then on."""
    checks: Mapping[Address, CheckResult | tuple[CheckResult, ...]] = Field(default_factory=dict)
    """What the checks of steps answer; `not_done` where it is not said."""
    answers: Mapping[Address, Answer | tuple[Answer, ...]] = Field(default_factory=dict)
    """What people say to the question of a step, in order; `gate:production` is the gate of an environment."""
    people: Literal["answer", "silent"] | None = None
    """Whether people say yes to approvals and tasks for which no answer is written; they do where it is not said."""
    stop_after: Duration | None = None
    """How long it is played at most, in its own time; until nothing more can happen where it is not said."""


class Sequel(Doings):
    """What somebody does after the run has ended, and what has to come of that."""

    do: Literal["retry", "rollback", "rerun"]
    """Go on from where it failed, undo what it did, or run it once more from the beginning."""
    after: Duration = 3_600.0
    """How long after the end of the run."""
    happens: tuple[Happening, ...] = ()
    """Faults, people and events that come to the new run."""
    expect: Expect = Field(default_factory=Expect)
    """What has to come of the new run."""


class Script(Doings):
    """What the world does; what a file says above its tests holds for all of them."""

    workflow: str | None = None
    """The workflow that is tested, by name."""
    inputs: Mapping[str, Value] = Field(default_factory=dict)
    """The inputs of the run."""
    at: Instant | None = None
    """When the run starts, with its time zone: `2026-11-20T16:00 Europe/Berlin`."""
    edited_by: str | None = None
    """Who last edited the workflow, by name or address."""
    break_glass: str | None = None
    """The reason of an emergency start, which no gate of an environment holds up."""
    event: Value = None
    """What started the run, for expressions that read `event`."""
    files: Mapping[str, str] = Field(default_factory=dict)
    """Files that an approval shows: path to text."""
    snapshot: Flag | None = None
    """Whether everything that happens is compared with what was written down by `tow test --update`."""


class Case(Script):
    """One test: what is different from the file's own script, and what has to come of it."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=NAME_CHARS_MAX)]
    """What the test shows, as a sentence."""
    happens: tuple[Happening, ...] = ()
    """Faults, people and events that come to the run."""
    expect: Expect = Field(default_factory=Expect)
    """What has to come of it."""
    then: tuple[Sequel, ...] = ()
    """What is done after the end: the run is retried, rolled back or run again, one after the other."""


class TestFile(Script):
    """A file of tests for the workflows of a project."""

    __test__ = False  # pytest collects what is called Test…

    tests: Annotated[tuple[Case, ...], Field(min_length=1, max_length=TESTS_MAX)]
    """The tests."""


def many(value: Any) -> tuple[Any, ...]:  # noqa: ANN401 - one of a thing, or a tuple of them
    """One thing, or a tuple of them, as a tuple."""
    return value if isinstance(value, tuple) else (value,)


def words_of(value: Words) -> tuple[str, ...]:
    """Steps as a tuple."""
    return tuple(value.split()) if isinstance(value, str) else value
