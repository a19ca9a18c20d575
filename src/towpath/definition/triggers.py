"""What starts a workflow: the shapes of the entries of `on:`.

An entry is a bare kind (`- manual`) or a mapping with exactly one kind (`- schedule: {…}`), and beside it
`if`, `inputs`, `dedupe` and `debounce`. The kinds stand in one table; the loader, the schema and the docs
read it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema, create_model

from towpath.definition.model import (
    BareCondition,
    Duration,
    Flag,
    Id,
    Part,
    Text,
    Value,
)
from towpath.definition.project import TimeZone

TRIGGERS_MAX = 100
"""Entries of `on:` in one workflow."""
SCHEDULE_SECONDS_MIN = 1.0
"""The shortest `every` of a schedule."""
CRON_CHARS_MAX = 200


# --- cron ---------------------------------------------------------------------------------------------------

CRON_WORDS: Mapping[str, str] = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


@dataclass(frozen=True, slots=True, kw_only=True)
class _CronField:
    """One of the five fields: its name, its numbers, and the words that stand for numbers."""

    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()

    def number(self, text: str) -> int:
        """The number that *text* is; raises ValueError."""
        if text.upper() in self.words:
            return self.words.index(text.upper()) + (self.low if self.name == "month" else 0)
        if not re.fullmatch(r"[0-9]{1,2}", text) or not self.low <= int(text) <= self.high:
            raise ValueError(f"is not a cron expression: `{text}` is no {self.name} ({self.low}-{self.high})")
        return int(text)


_CRON_FIELDS = (
    _CronField(name="minute", low=0, high=59),
    _CronField(name="hour", low=0, high=23),
    _CronField(name="day of the month", low=1, high=31),
    _CronField(name="month", low=1, high=12, words=_MONTHS),
    _CronField(name="day of the week", low=0, high=7, words=_DAYS),
)
_DAYS_OF_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def parse_cron(text: object) -> str:
    """A cron expression with five fields, or a word such as `@daily`, as five fields; raises ValueError."""
    if not isinstance(text, str) or len(text) > CRON_CHARS_MAX:
        raise ValueError('is not a cron expression: write five fields, such as "0 3 * * 1-5", or @daily')
    if text.startswith("@"):
        if text not in CRON_WORDS:
            raise ValueError(f"is not a cron expression: known words are {', '.join(CRON_WORDS)}")
        return CRON_WORDS[text]
    fields = text.split()
    if len(fields) != len(_CRON_FIELDS):
        raise ValueError(
            f"is not a cron expression: {len(fields)} fields, not five (minute, hour, day, month, weekday)"
        )
    for known, written in zip(_CRON_FIELDS, fields, strict=True):
        _check_cron_field(known, written)
    _check_some_day(fields[2], fields[3], fields[4])
    return " ".join(fields)


def _check_cron_field(known: _CronField, written: str) -> None:
    for part in written.split(","):
        span, slash, step = part.partition("/")
        if slash and (not step.isdigit() or int(step) < 1):
            raise ValueError(f"is not a cron expression: `{part}` has no step after `/`")
        if known.name == "day of the month" and span in ("L", "LW"):
            continue
        if known.name == "day of the week" and (
            match := re.fullmatch(r"([A-Za-z]{3}|[0-7])(#[1-5]|L)", span)
        ):
            known.number(match[1])
            continue
        if span == "*":
            continue
        first, dash, last = span.partition("-")
        start = known.number(first)
        if dash and start > known.number(last):
            raise ValueError(f"is not a cron expression: `{span}` ends before it starts")


def _check_some_day(days: str, months: str, weekdays: str) -> None:
    """Refuse a day that no month has, such as 30 February: it would never come."""
    if weekdays != "*" or not re.fullmatch(r"[0-9,]+", days) or not re.fullmatch(r"[0-9,]+", months):
        return
    longest = max(_DAYS_OF_MONTH[int(month) - 1] for month in months.split(",") if month)
    if min(int(day) for day in days.split(",") if day) > longest:
        raise ValueError("is a day that never comes: no such month is that long")


Cron: TypeAlias = Annotated[
    str,
    BeforeValidator(parse_cron),
    WithJsonSchema({"type": "string", "examples": ["0 3 * * 1-5", "@daily"]}),
]


# --- kinds --------------------------------------------------------------------------------------------------


class Manual(Part):
    """A person or a program starts it: page, command line or API."""


class Schedule(Part):
    """Starts at points in time: `cron` or `every`."""

    cron: Cron | None = None
    """A cron expression with five fields, or `@daily` and its like."""
    every: Annotated[Duration, Field(ge=SCHEDULE_SECONDS_MIN)] | None = None
    """The time from one start to the next."""
    timezone: TimeZone = "UTC"
    """In which `cron` is read."""
    catch_up: Literal["none", "latest", "all"] = "latest"
    """What happens to starts that were missed while nothing ran."""
    jitter: Duration = 0.0
    """Starts are spread over this long, the same way every time."""
    calendar: Id | None = None
    """A calendar: starts outside its hours are left out."""


class HmacVerifier(Part):
    """A signature over the raw bytes."""

    secret: Id
    """The secret with the key."""
    header: str = "X-Signature-256"
    """The header with the signature."""
    algorithm: Literal["sha256", "sha512"] = "sha256"
    """The hash."""
    prefix: str = "sha256="
    """What stands before the signature."""
    encoding: Literal["hex", "base64"] = "hex"
    """How the signature is written."""
    timestamp_header: str | None = None
    """The header with the time, which is signed too; late deliveries are refused."""


class TokenVerifier(Part):
    """A secret word in a header."""

    secret: Id
    """The secret with the word."""
    header: str = "Authorization"
    """The header."""
    prefix: str = "Bearer "
    """What stands before the word."""


class StandardWebhooksVerifier(Part):
    """The signature of standardwebhooks.com."""

    secret: Id
    """The secret with the key."""


class Verify(Part):
    """How a delivery is verified; exactly one of its keys."""

    hmac: HmacVerifier | None = None
    """A signature over the raw bytes."""
    token: TokenVerifier | None = None
    """A secret word in a header."""
    standard_webhooks: StandardWebhooksVerifier | None = None
    """The signature of standardwebhooks.com."""


class Webhook(Part):
    """An HTTP request arrives."""

    path: Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9_./-]*$", max_length=200)]
    """The path below `/hooks`."""
    verify: Verify | None = None
    """How a delivery is verified."""
    unsafe_unverified: Flag = False
    """Takes deliveries from anybody. Shown in red."""
    delivery_id: str | None = None
    """The header with the delivery's id, for which one run starts only."""


class Verified(Part):
    """Settings of triggers whose sender signs what it sends."""

    secret: Id | None = None
    """The secret with the key; the integration's own where it is not said."""
    unsafe_unverified: Flag = False
    """Takes deliveries from anybody. Shown in red."""


Patterns: TypeAlias = Annotated[
    tuple[str, ...], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
]
"""One glob pattern, or a list of them."""


class CodeEvent(Verified):
    """Something happened in a repository."""

    repository: Patterns = ()
    """`owner/name` patterns."""
    branches: Patterns = ()
    """Branch patterns; of a pull request, those that it goes to."""
    tags: Patterns = ()
    """Tag patterns."""
    paths: Patterns = ()
    """Only when one of these files changed."""
    actions: Patterns = ()
    """Of a pull request, issue or release: `opened`, `closed`, `published`, …"""
    forks: Flag = False
    """Whether events from forks count; their runs have no secrets."""


class GitPoll(Part):
    """Looks into a repository from time to time; needs no webhook."""

    url: str
    """The repository."""
    branches: Patterns = ()
    """Branch patterns; the default branch where nothing is said."""
    tags: Patterns = ()
    """Tag patterns."""
    paths: Patterns = ()
    """Only when one of these files changed."""
    every: Annotated[Duration, Field(ge=5.0)] = 60.0
    """How often it looks."""
    secret: Id | None = None
    """The secret with the password or token."""


class Alert(Verified):
    """A monitoring system tells that something is wrong, or right again."""

    status: Annotated[
        tuple[Literal["firing", "resolved"], ...],
        BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    ] = ("firing",)
    """Which news start a run."""
    labels: Mapping[str, str] = Field(default_factory=dict)
    """Labels that the alert has to have; values are glob patterns."""
    names: Patterns = ()
    """Patterns of the alert's name."""


class IssueEvent(Verified):
    """A ticket was created or changed."""

    project: Patterns = ()
    """Projects or tables."""
    types: Patterns = ()
    """Types of tickets."""
    labels: Patterns = ()
    """Labels that the ticket has to have."""
    fields: Mapping[str, str] = Field(default_factory=dict)
    """Fields that have to have these values."""


class SlackCommand(Verified):
    """Somebody types a slash command."""

    command: Annotated[str, StringConstraints(pattern=r"^/[a-z0-9_-]+$")]
    """The command."""
    channels: Patterns = ()
    """Where it may be typed."""


class JenkinsBuild(Verified):
    """A Jenkins build ended."""

    job: Patterns = ()
    """Patterns of the job's name."""
    results: Annotated[
        tuple[Literal["success", "unstable", "failure", "aborted", "not_built"], ...],
        BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    ] = ("success",)
    """Which results start a run."""


class File(Part):
    """A file or folder changes."""

    path: str
    """The path, or a glob pattern, inside the project or absolute."""
    events: Annotated[
        tuple[Literal["created", "modified", "deleted"], ...],
        BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    ] = ("created", "modified")
    """Which changes count."""
    settle: Duration = 1.0
    """How long it has to stay the same before a run starts."""


class Metric(Part):
    """A Prometheus query holds for a while."""

    server: str
    """The URL of Prometheus."""
    query: str
    """The query; it holds when it gives a result."""
    for_: Duration = Field(default=0.0, alias="for")
    """How long it has to hold."""
    every: Annotated[Duration, Field(ge=1.0)] = 30.0
    """How often it is asked."""
    secret: Id | None = None
    """The secret with the token."""


class CloudEvent(Verified):
    """An event in the CloudEvents format arrives."""

    type: Patterns = ()
    """Patterns of the event's type."""
    source: Patterns = ()
    """Patterns of its source."""
    subject: Patterns = ()
    """Patterns of its subject."""


class RunEnded(Part):
    """A run of another workflow ended."""

    workflow: Patterns = Field(min_length=1)
    """The workflows."""
    status: Annotated[
        tuple[
            Literal[
                "succeeded",
                "partially_succeeded",
                "failed",
                "rolled_back",
                "rollback_failed",
                "rejected",
                "cancelled",
            ],
            ...,
        ],
        BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    ] = ("succeeded",)
    """Which ends count."""


_GITHUB = (
    "push", "pull_request", "pull_request_review", "tag", "release", "issues", "issue_comment",
    "workflow_run", "check_suite", "deployment", "deployment_status", "create", "delete",
    "repository_dispatch",
)  # fmt: skip
_GITLAB = ("push", "merge_request", "tag", "release", "issue", "note", "pipeline", "job", "deployment")
_GITEA = ("push", "pull_request", "tag", "release", "issues", "issue_comment", "create", "delete")
_BITBUCKET = ("push", "pull_request", "tag", "issue", "commit_comment")
_TICKETS = ("created", "updated", "commented", "closed")

TRIGGER_CLASSES: Mapping[str, type[Part]] = {
    "manual": Manual,
    "schedule": Schedule,
    "webhook": Webhook,
    **{f"github.{event}": CodeEvent for event in _GITHUB},
    **{f"gitlab.{event}": CodeEvent for event in _GITLAB},
    **{f"gitea.{event}": CodeEvent for event in _GITEA},
    **{f"bitbucket.{event}": CodeEvent for event in _BITBUCKET},
    "git.poll": GitPoll,
    "alertmanager": Alert,
    "grafana": Alert,
    "datadog": Alert,
    "pagerduty": Alert,
    **{f"jira.{event}": IssueEvent for event in _TICKETS},
    **{f"servicenow.{event}": IssueEvent for event in _TICKETS},
    "slack.command": SlackCommand,
    "jenkins.build": JenkinsBuild,
    "file": File,
    "metric": Metric,
    "cloudevent": CloudEvent,
    "run": RunEnded,
}
"""The settings of every kind of trigger."""


class Options(Part):
    """What may stand beside the kind of a trigger."""

    if_: BareCondition | None = Field(default=None, alias="if")
    """Starts a run only when this holds; reads `event`."""
    inputs: Mapping[Id, Value] = Field(default_factory=dict)
    """The run's inputs, from `event`."""
    dedupe: Text | None = None
    """One run for each value of this text."""
    debounce: Duration | None = None
    """Waits until it has been quiet for this long, and starts one run for the last event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """One entry of `on:`, understood."""

    kind: str
    settings: Part
    position: int
    """Its place in `on:`, from 0."""
    if_: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)  # Any: JSON with `${{ … }}` inside its strings
    dedupe: str | None = None
    debounce: float | None = None


@cache
def entry_model(kind: str) -> type[Options]:
    """The model of a whole entry with this kind: its settings under the kind's name, and the options."""
    cls = TRIGGER_CLASSES[kind]
    # A kind without a value (`- schedule:`) has no settings; whether that is enough they say themselves.
    annotation: Any = Annotated[  # Any: a type made here has no name for the checker
        cls,
        BeforeValidator(lambda value: {} if value is None else value),
    ]
    return create_model(
        f"On_{kind.replace('.', '_')}",
        __base__=Options,
        __doc__=cls.__doc__,
        settings_=(annotation, Field(alias=kind, description=cls.__doc__)),
    )


def kinds_in(entry: Mapping[str, object]) -> list[str]:
    """The keys of an entry that are no options: exactly one, a kind, is right."""
    options = {info.alias or name for name, info in Options.model_fields.items()}
    return [key for key in entry if key not in options]


def as_entry(entry: object) -> object:
    """An entry with its kind as a key: `manual` is `{manual: {}}`."""
    return {entry: {}} if isinstance(entry, str) else entry


def trigger_of(kind: str, position: int, entry: Options) -> Trigger:
    """The trigger that a valid entry says."""
    return Trigger(
        kind=kind,
        settings=entry.settings_,  # type: ignore[attr-defined]  # the field that entry_model adds
        position=position,
        if_=entry.if_,
        inputs=entry.inputs,
        dedupe=entry.dedupe,
        debounce=entry.debounce,
    )


def triggers_of(on: tuple[object, ...]) -> tuple[Trigger, ...]:
    """The triggers of a workflow that was loaded: its `on` was checked then."""
    found = []
    for position, raw in enumerate(on):
        entry = as_entry(raw)
        assert isinstance(entry, dict)
        (kind,) = kinds_in(entry)
        found.append(trigger_of(kind, position, entry_model(kind).model_validate(entry)))
    return tuple(found)
