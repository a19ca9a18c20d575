"""What a workflow file says, as frozen values.

Every key of the language is a field here and nowhere else: the JSON Schema, the language reference and the
loader's "did you mean" are made from these classes. Text that may hold `${{ … }}` is kept as it was written;
the checks compile it. Durations are seconds, sizes are bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    StringConstraints,
    Tag,
    WithJsonSchema,
)

ID_PATTERN = r"^[a-z][a-z0-9_]*$"
ID_CHARS_MAX = 64
ACTION_PATTERN = r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$"
TITLE_CHARS_MAX = 500
STEPS_MAX = 2_000
"""Steps that one file may define."""
NESTING_MAX = 16
"""Blocks that may stand inside each other."""
DURATION_SECONDS_MAX = 366 * 86_400.0 * 10
ATTEMPTS_MAX = 1_000
QUORUM_MAX = 100

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?")
_DURATION_UNITS = (86_400.0, 3_600.0, 60.0, 1.0, 0.001)
_SIZE = re.compile(r"(\d+)\s*(B|KiB|MiB|GiB|TiB)")
_SIZE_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def parse_duration(text: object) -> float:
    """Seconds in a duration such as `30s`, `10m`, `2h`, `3d`, `1h30m` or `250ms`; raises ValueError."""
    if isinstance(text, str) and text:
        match = _DURATION.fullmatch(text)
        if match and any(match.groups()):
            seconds = sum(
                int(part) * unit
                for part, unit in zip(match.groups(), _DURATION_UNITS, strict=True)
                if part is not None and len(part) <= 12  # noqa: PLR2004 - a longer one is over the limit anyhow
            )
            if seconds <= DURATION_SECONDS_MAX:
                return seconds
            raise ValueError("is longer than ten years")
    raise ValueError("is not a duration: write for example 30s, 10m, 2h, 3d or 1h30m")


def parse_size(text: object) -> int:
    """Bytes in a size such as `64KiB` or `2GiB`; raises ValueError."""
    if isinstance(text, str) and (match := _SIZE.fullmatch(text)):
        return int(match[1]) * _SIZE_UNITS[match[2]]
    raise ValueError("is not a size: write for example 64KiB, 10MiB or 2GiB")


def _static(text: object) -> object:
    if isinstance(text, str) and "${{" in text:
        raise ValueError("is fixed when the file loads and takes no ${{ … }} expression")
    return text


Flag: TypeAlias = Annotated[bool, Strict()]
"""`true` or `false`; the text `yes` is neither."""
Whole: TypeAlias = Annotated[int, Strict()]
Number: TypeAlias = Annotated[float, Strict()]
Share: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^(100|[1-9]?[0-9])%$"), BeforeValidator(_static)
]
"""A part of all items, such as `10%`."""
Duration: TypeAlias = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?$",
            "minLength": 2,
            "examples": ["30s", "1h30m"],
        }
    ),
]
Size: TypeAlias = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema({"type": "string", "pattern": r"^\d+\s*(B|KiB|MiB|GiB|TiB)$", "examples": ["64KiB"]}),
]
Id: TypeAlias = Annotated[
    str, StringConstraints(pattern=ID_PATTERN, max_length=ID_CHARS_MAX), BeforeValidator(_static)
]
Condition: TypeAlias = Annotated[
    str, WithJsonSchema({"type": ["string", "boolean"], "description": "a CEL expression"})
]
"""A bare CEL expression that is true or false."""
Text: TypeAlias = str
"""Text that may hold `${{ … }}`."""
Value: TypeAlias = Any  # JSON, with `${{ … }}` inside its strings; pydantic has no frozen JSON type
Principal: TypeAlias = Annotated[
    str,
    StringConstraints(pattern=r"^(user|group|oncall):[A-Za-z0-9_.@-]+$"),
    BeforeValidator(_static),
]
"""`user:…`, `group:…` or `oncall:…`."""


def _condition_text(value: object) -> object:
    """YAML reads a bare `true` as a boolean; as a condition it is the expression `true`."""
    return str(value).lower() if isinstance(value, bool) else value


BareCondition: TypeAlias = Annotated[Condition, BeforeValidator(_condition_text)]


class Part(BaseModel):
    """What every part of a definition is: frozen, and closed to keys that the language does not have."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        populate_by_name=True,
        defer_build=True,  # a validator is made when it is first used: most commands use few of them
    )


class Input(Part):
    """One declared input of a workflow, or one field of a form."""

    type: Literal["string", "integer", "number", "boolean", "list", "map"] = "string"
    """What values it takes."""
    title: str | None = None
    """What people are shown."""
    description: str | None = None
    """More than the title says."""
    default: Value = None
    """The value when none is given. An input without a default is required."""
    required: Flag | None = None
    """Forms only: whether an answer may leave it out."""
    enum: tuple[Value, ...] | None = None
    """The only values that are accepted."""
    pattern: str | None = None
    """A regular expression (RE2) that the whole text has to match."""
    minimum: Number | None = None
    """The smallest number that is accepted."""
    maximum: Number | None = None
    """The largest number that is accepted."""
    min_length: Whole | None = Field(default=None, ge=0)
    """The least number of characters or items."""
    max_length: Whole | None = Field(default=None, ge=0)
    """The most characters or items."""
    items: Input | None = None
    """What the items of a list, or the values of a map, are."""

    @property
    def has_default(self) -> bool:
        """Whether the file says a default, `null` included."""
        return "default" in self.model_fields_set


class Retry(Part):
    """How often, and how far apart, a failed attempt is repeated."""

    attempts: Whole = Field(default=3, ge=1, le=ATTEMPTS_MAX)
    """Attempts in all, the first one included."""
    delay: Duration = 1.0
    """The wait before the second attempt."""
    factor: Number = Field(default=2.0, ge=1.0, le=100.0)
    """What the wait is multiplied with from one attempt to the next."""
    max_delay: Duration = 300.0
    """The longest wait between two attempts."""
    jitter: Flag = True
    """Whether the wait is drawn from the upper half of its length: many retries do not come at once."""
    when: BareCondition | None = None
    """Repeat only where this holds; reads `error`."""


class Concurrency(Part):
    """How many runs of one group may run at the same time."""

    group: Text
    """Runs with the same group share the places."""
    max: Whole = Field(default=1, ge=1, le=10_000)
    """Places in the group."""
    when_full: Literal["queue", "skip", "replace"] = "queue"
    """What a run does that finds no place: wait, end as skipped, or cancel the oldest and take its place."""


class Rung(Part):
    """One rung of an escalation: after this long, these people are told too."""

    after: Duration
    """Time since the question was asked."""
    to: tuple[Principal, ...] = Field(min_length=1)
    """Who is told and may answer from then on."""


class Check(Part):
    """Answers "is it done already?": a script that exits 0 when it is, or an action with a condition."""

    run: str | None = None
    """A script: exit code 0 means done, 1 means not done, anything else is an error."""
    shell: str | None = None
    """The shell of the script."""
    uses: str | None = None
    """An action."""
    with_: Mapping[str, Value] = Field(default_factory=dict, alias="with")
    """The inputs of the action."""
    env: Mapping[str, Value] = Field(default_factory=dict)
    """The environment of the script."""
    done_when: BareCondition | None = None
    """Decides from `outputs` whether it is done; without it, success is "done"."""


class Rehearse(Part):
    """Tells what the step would change, and changes nothing: a script that prints it, or an action that is rehearsed."""

    run: str | None = None
    """A script: what it prints is what the step would change; nothing printed means that nothing would change."""
    shell: str | None = None
    """The shell of the script."""
    uses: str | None = None
    """An action that can be rehearsed; it is never performed here."""
    with_: Mapping[str, Value] = Field(default_factory=dict, alias="with")
    """The inputs of the action."""
    env: Mapping[str, Value] = Field(default_factory=dict)
    """The environment of the script, beside the step's own."""
    changes_when: BareCondition | None = None
    """Decides from `outputs` whether anything would change; exit codes other than 0 are then no failure."""


def _short(value: object) -> object:
    """A script alone is the short form of a check and of a rehearsal."""
    return {"run": value} if isinstance(value, str) else value


class Step(Part):
    """The keys that every step may have."""

    kind: ClassVar[str]

    id: Id | None = None
    """The step's name, unique in the file; needed where something refers to it."""
    title: Text | None = None
    """What people are shown instead of the id."""
    if_: BareCondition | None = Field(default=None, alias="if")
    """The step is skipped unless this holds."""
    needs: tuple[Id, ...] = ()
    """Inside `parallel` only: siblings that must end first."""
    env: Mapping[str, Value] = Field(default_factory=dict)
    """Environment variables of the scripts in this step."""
    timeout: Duration | None = None
    """The longest that one attempt, or a whole block, may take."""
    retry: Retry | None = None
    """How a failed attempt is repeated."""
    success_when: BareCondition | None = None
    """Decides from `outputs` whether the attempt succeeded."""
    outputs: tuple[Id, ...] | Mapping[Id, Text] = ()
    """What the script writes to `$TOW_OUTPUT`, or names mapped to expressions."""
    on_failure: Literal["stop", "continue", "ask"] | tuple[AnyStep, ...] = "stop"
    """What a failure means: stop the scope, go on, ask a person, or run these steps and then stop."""
    catch: tuple[AnyStep, ...] = ()
    """Steps that recover from a failure; when they succeed, the scope goes on."""
    finally_: tuple[AnyStep, ...] = Field(default=(), alias="finally")
    """Steps that run at the end in any case."""
    rollback: Annotated[
        tuple[AnyStep, ...], BeforeValidator(lambda v: [v] if isinstance(v, dict) else v)
    ] = ()
    """A step, or a list of steps, that undoes this one."""
    idempotent: Flag | None = None
    """Whether running it twice is harmless. An action says so itself; a script is taken as not idempotent."""
    check: Annotated[Check, BeforeValidator(_short)] | None = None
    """Answers "is it done already?" before the step runs and after an unknown outcome."""
    rehearse: Annotated[Rehearse, BeforeValidator(_short)] | None = None
    """Tells what the step would change, for `tow run --dry-run` and `towpath.rehearse`; a run itself never calls it."""
    runs_on: Annotated[tuple[str, ...], BeforeValidator(lambda v: [v] if isinstance(v, str) else v)] = ()
    """Labels that the worker has to have."""
    container: Text | None = None
    """An image in which the script runs."""
    environment: Text | None = None
    """The environment whose protection, secrets and windows apply."""
    cwd: Text | None = None
    """The folder in which the script starts, inside the workspace."""
    artifacts: tuple[Text, ...] = ()
    """Files to keep with the run, as glob patterns."""
    takes: Duration | None = None
    """Typical hands-on time of a person for this step."""

    def children(self) -> Iterator[tuple[str, tuple[AnyStep, ...]]]:
        """The lists of steps in this one: (key as written, steps), the body first."""
        yield from self.body()
        if isinstance(self.on_failure, tuple):
            yield "on_failure", self.on_failure
        yield "catch", self.catch
        yield "finally", self.finally_
        yield "rollback", self.rollback

    def body(self) -> Iterator[tuple[str, tuple[AnyStep, ...]]]:
        """The lists of steps that the step itself consists of; empty for a leaf."""
        return iter(())


class RunStep(Step):
    """A shell script."""

    kind: ClassVar[str] = "run"

    run: str
    """The script. Values reach it through `env` and `stdin`, never through expressions."""
    shell: str | tuple[str, ...] = "bash"
    """`bash` (with -euo pipefail), `sh`, `python`, `pwsh`, or the words of a command that takes the file."""
    stdin: Text | None = None
    """Text for standard input."""
    parse: Literal["json"] | None = None
    """Reads standard output as JSON into `outputs.json`."""


class UsesStep(Step):
    """An action with typed inputs."""

    kind: ClassVar[str] = "uses"

    uses: Annotated[str, StringConstraints(pattern=ACTION_PATTERN), BeforeValidator(_static)]
    """The action's name, such as `http.request`."""
    with_: Mapping[str, Value] = Field(default_factory=dict, alias="with")
    """The action's inputs."""


class Question(Step):
    """What approvals and tasks have in common: people are asked, and somebody has to answer."""

    form: Mapping[Id, Input] = Field(default_factory=dict)
    """What the answer has to fill in."""
    answer_within: Duration | None = None
    """How long people have; goes together with `if_unanswered`."""
    if_unanswered: Literal["reject", "approve", "fail", "continue"] | None = None
    """What silence means; goes together with `answer_within`."""
    escalate: tuple[Rung, ...] = ()
    """Who is told when nobody answers."""
    remind: Duration | None = None
    """How often the people who were asked are reminded."""
    hours: str | None = None
    """A calendar: reminders, rungs and time limits count only in its hours."""


class ApproveStep(Question):
    """People decide."""

    kind: ClassVar[str] = "approve"

    approve: Text
    """The question."""
    who: tuple[Principal, ...] = Field(min_length=1)
    """Who may decide."""
    quorum: Whole = Field(default=1, ge=1, le=QUORUM_MAX)
    """Approvals that are needed. One rejection decides."""
    four_eyes: Flag = True
    """Neither who started the run nor who last edited the file may approve."""
    show: Mapping[str, Value] = Field(default_factory=dict)
    """The evidence; the approval is bound to it."""
    send_back_to: Id | None = None
    """An earlier step that an approver may send the work back to."""


class TaskStep(Question):
    """A manual step: a person does it and says so."""

    kind: ClassVar[str] = "task"

    task: Text
    """What is to be done."""
    instructions: Text | None = None
    """How, in Markdown."""
    assign: tuple[Principal, ...] = Field(min_length=1)
    """Who does it: any one of these."""


class WaitUntil(Part):
    """Wait for a point in time."""

    until: Text
    """An RFC 3339 timestamp."""


class WaitWindow(Part):
    """Wait until a calendar's window is open."""

    window: str
    """The name of a calendar in towpath.yaml."""


class WaitEvent(Part):
    """Wait for an event from outside."""

    event: str
    """The kind of event, such as `github.pull_request`."""
    if_: BareCondition | None = Field(default=None, alias="if")
    """Which event it has to be; reads `event`."""


class WaitSignal(Part):
    """Wait for a signal that a person or a program sends to the run."""

    signal: Id
    """The signal's name."""


class WaitStep(Step):
    """Waits for time, a window, an event or a signal."""

    kind: ClassVar[str] = "wait"

    wait: WaitUntil | WaitWindow | WaitEvent | WaitSignal | Text
    """A duration, or what to wait for."""


class GroupStep(Step):
    """Steps one after the other: a scope for `catch` and `rollback`."""

    kind: ClassVar[str] = "steps"

    steps: tuple[AnyStep, ...] = Field(min_length=1)
    """The steps, in order."""

    def body(self) -> Iterator[tuple[str, tuple[AnyStep, ...]]]:
        """The steps."""
        yield "steps", self.steps


class ParallelStep(Step):
    """All at once, ordered only by `needs`."""

    kind: ClassVar[str] = "parallel"

    parallel: tuple[AnyStep, ...] = Field(min_length=1)
    """The steps."""
    max_parallel: Whole | None = Field(default=None, ge=1)
    """How many may run at the same time."""
    fail_fast: Flag = True
    """Whether a failure cancels the siblings that still run."""

    def body(self) -> Iterator[tuple[str, tuple[AnyStep, ...]]]:
        """The steps."""
        yield "parallel", self.parallel


BatchSize: TypeAlias = (
    Annotated[Whole, Field(ge=1)]
    | Annotated[str, StringConstraints(pattern=r"^(100|[1-9][0-9]?)%$"), BeforeValidator(_static)]
)
"""A number of items, or a percentage of all."""


class Matrix(Part):
    """Every combination of the values of some names."""

    matrix: Mapping[Id, tuple[Value, ...] | Text] = Field(min_length=1)
    """Name to values; an item is a map from name to one value."""


def _items_form(value: object) -> str | None:
    """Which of the forms of `each` a value is; a map with the key `matrix` is a matrix, right or wrong."""
    match value:
        case Matrix():
            return "Matrix"
        case str():
            return "text"
        case list() | tuple():
            return "tuple["
        case Mapping():
            return "Matrix" if "matrix" in value else "dict["
        case _:
            return None


class EachStep(Step):
    """The body for every item."""

    kind: ClassVar[str] = "each"

    each: Annotated[
        Annotated[Matrix, Tag("Matrix")]
        | Annotated[Text, Tag("text")]
        | Annotated[tuple[Value, ...], Tag("tuple[")]
        | Annotated[Mapping[str, Value], Tag("dict[")],
        Discriminator(_items_form),
    ]
    """A list, a map, an expression that gives one, or a matrix."""
    as_: Id = Field(default="item", alias="as")
    """The item's name in the body."""
    max_parallel: Whole | None = Field(default=None, ge=1)
    """Items that may run at the same time; all of a batch where it is not said, up to the engine's limit."""
    batch: Annotated[tuple[BatchSize, ...], Field(min_length=1)] | BatchSize | None = None
    """Sizes of the batches, as numbers or percentages of all items; the last size repeats."""
    max_failures: Annotated[Whole, Field(ge=0)] | Share = 0
    """Items that may fail before no further one starts, as a number or a percentage."""
    fail_fast: Flag = False
    """Whether going past `max_failures` cancels the items that still run."""
    steps: tuple[AnyStep, ...] = Field(min_length=1)
    """The body."""

    def body(self) -> Iterator[tuple[str, tuple[AnyStep, ...]]]:
        """The body."""
        yield "steps", self.steps


class Branch(Part):
    """One branch of `choose`: `if` with `steps`, or a last `else`."""

    if_: BareCondition | None = Field(default=None, alias="if")
    """The branch is taken when this holds and no earlier one did."""
    steps: tuple[AnyStep, ...] = ()
    """The branch's steps."""
    else_: tuple[AnyStep, ...] | None = Field(default=None, alias="else")
    """The steps when no branch holds."""


class ChooseStep(Step):
    """The first branch that holds."""

    kind: ClassVar[str] = "choose"

    choose: tuple[Branch, ...] = Field(min_length=1)
    """The branches."""

    def body(self) -> Iterator[tuple[str, tuple[AnyStep, ...]]]:
        """The branches, keyed by their position."""
        for position, branch in enumerate(self.choose):
            if branch.else_ is not None:
                yield f"choose/{position}/else", branch.else_
            else:
                yield f"choose/{position}/steps", branch.steps


class RepeatStep(Step):
    """The body until a condition holds."""

    kind: ClassVar[str] = "repeat"

    repeat: tuple[AnyStep, ...] = Field(min_length=1)
    """The body."""
    until: BareCondition
    """Ends the rounds when it holds after one."""
    every: Duration = 0.0
    """The wait between two rounds."""
    times: Whole | None = Field(default=None, ge=1, le=100_000)
    """Rounds at the most; the step fails when `until` never held."""

    def body(self) -> Iterator[tuple[str, tuple[AnyStep, ...]]]:
        """The body."""
        yield "repeat", self.repeat


class WorkflowStep(Step):
    """Another workflow, by name."""

    kind: ClassVar[str] = "workflow"

    workflow: Annotated[str, BeforeValidator(_static)]
    """The workflow's name."""
    with_: Mapping[str, Value] = Field(default_factory=dict, alias="with")
    """Its inputs."""
    detach: Flag = False
    """Whether to go on without waiting for its end."""


class End(Part):
    """How a run ends early."""

    status: Literal["succeeded", "failed", "rejected"] = "succeeded"
    """The end state."""
    outcome: Text | None = None
    """A word of one's own for lists and measures, such as `change_scheduled`."""
    message: Text | None = None
    """What people are shown."""


class EndStep(Step):
    """Ends the run."""

    kind: ClassVar[str] = "end"

    end: End
    """The end state, an outcome and a message."""


STEP_CLASSES: tuple[type[Step], ...] = (
    RunStep,
    UsesStep,
    ApproveStep,
    TaskStep,
    WaitStep,
    GroupStep,
    ParallelStep,
    EachStep,
    ChooseStep,
    RepeatStep,
    WorkflowStep,
    EndStep,
)
STEP_KINDS = tuple(cls.kind for cls in STEP_CLASSES)
"""The keys of which a step has exactly one; `steps` beside `each` is that step's body."""


def step_kind(value: object) -> str | None:
    """The one kind that the keys of *value* name, or None where there is none or more than one."""
    if isinstance(value, Step):
        return value.kind
    if not isinstance(value, Mapping):
        return None
    kinds = [kind for kind in STEP_KINDS if kind in value]
    if "each" in kinds and "steps" in kinds:
        kinds.remove("steps")
    return kinds[0] if len(kinds) == 1 else None


AnyStep: TypeAlias = Annotated[
    Annotated[RunStep, Tag("run")]
    | Annotated[UsesStep, Tag("uses")]
    | Annotated[ApproveStep, Tag("approve")]
    | Annotated[TaskStep, Tag("task")]
    | Annotated[WaitStep, Tag("wait")]
    | Annotated[GroupStep, Tag("steps")]
    | Annotated[ParallelStep, Tag("parallel")]
    | Annotated[EachStep, Tag("each")]
    | Annotated[ChooseStep, Tag("choose")]
    | Annotated[RepeatStep, Tag("repeat")]
    | Annotated[WorkflowStep, Tag("workflow")]
    | Annotated[EndStep, Tag("end")],
    Discriminator(step_kind),
]


class Canary(Part):
    """How many runs a new version gets first."""

    next: Whole = Field(ge=1, le=1_000)
    """The number of runs."""


class Release(Part):
    """How a new version of the file itself is taken into use."""

    canary: Canary
    """The runs that try the new version."""
    abort_when: BareCondition
    """Goes back to the old version when this holds; reads `failure_rate` and `runs`."""


Conditions: TypeAlias = Annotated[
    tuple[BareCondition, ...], BeforeValidator(lambda v: [v] if isinstance(v, str) else v)
]


class Laws(Part):
    """What has to be true of every run, whatever happens; `tow check` looks for a way to break it."""

    never: Conditions = ()
    """Conditions that hold in no state of any run, on the way or at its end; they read `status`, and what `outputs` reads."""
    always: Conditions = ()
    """Conditions that hold at the end of every run."""


class Workflow(Part):
    """A whole workflow file."""

    name: Annotated[str, StringConstraints(pattern=ID_PATTERN, max_length=ID_CHARS_MAX)]
    """The workflow's name, unique in the project; what people type."""
    title: str | None = Field(default=None, max_length=TITLE_CHARS_MAX)
    """What people are shown."""
    description: str | None = None
    """What it does, when to use it."""
    kind: Literal["deployment", "provisioning", "incident", "maintenance", "request", "backup", "task"] = (
        "task"
    )
    """What the runs count as in lists and measures."""
    environment: Text | None = None
    """The environment whose protection, secrets and windows apply to the whole run."""
    labels: Mapping[str, str] = Field(default_factory=dict)
    """Free words for lists and filters."""
    on: tuple[Value, ...] = ("manual",)
    """What starts it; `definition.triggers` has their shapes."""
    inputs: Mapping[Id, Input] = Field(default_factory=dict)
    """What a start may say."""
    vars: Mapping[Id, Value] = Field(default_factory=dict)
    """Names for values that are used more than once; they may read `inputs`."""
    env: Mapping[str, Value] = Field(default_factory=dict)
    """Environment variables of every script."""
    concurrency: Concurrency | None = None
    """How many runs may run at the same time."""
    timeout: Duration | None = None
    """The longest that a run may take."""
    workspace: Literal["project", "fresh"] = "project"
    """Whether steps start in the project's folder or in an empty one of the run's own."""
    release: Release | None = None
    """How a new version of this file is taken into use."""
    policies: tuple[str, ...] = ()
    """Policies that a run has to pass before it starts."""
    check: Laws | None = None
    """What has to be true of every run; `tow check` looks for a way to break it."""
    steps: tuple[AnyStep, ...] = Field(min_length=1)
    """The steps, in order."""
    on_failure: tuple[AnyStep, ...] = ()
    """Steps that run when the run fails, after the rollback."""
    catch: tuple[AnyStep, ...] = ()
    """Steps that recover from a failure of the run."""
    finally_: tuple[AnyStep, ...] = Field(default=(), alias="finally")
    """Steps that run at the end in any case."""
    outputs: Mapping[Id, Text] = Field(default_factory=dict)
    """What the run hands to whoever called it."""

    def children(self) -> Iterator[tuple[str, tuple[AnyStep, ...]]]:
        """The lists of steps in the file: (key as written, steps)."""
        yield "steps", self.steps
        yield "on_failure", self.on_failure
        yield "catch", self.catch
        yield "finally", self.finally_
