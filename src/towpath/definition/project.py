"""What the project's own file says: people, environments, calendars, secrets, channels, engine, access.

Everything is parsed and checked here, in one pass, so that a rota with an unknown person or a window in a
time zone that does not exist is told when the file is written and not at three in the morning. Other rooms
carry it out.
"""

from __future__ import annotations

import datetime
import functools
import re
import zoneinfo
from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from towpath.definition.model import (
    ID_CHARS_MAX,
    ID_PATTERN,
    Duration,
    Flag,
    Id,
    Part,
    Principal,
    Size,
    Whole,
)

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.@-]*$"
NAME_CHARS_MAX = 128
USERS_MAX = 10_000
SUBJECT_CHARS_MAX = 255
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


# --- words of calendars -------------------------------------------------------------------------------------


def parse_time_zone(text: object) -> str:
    """A time zone's name from the IANA database; raises ValueError."""
    if isinstance(text, str) and len(text) <= NAME_CHARS_MAX and is_time_zone(text):
        return text
    raise ValueError("is not a time zone: write a name of the IANA database, such as Europe/Berlin or UTC")


@functools.lru_cache(maxsize=1024)
def is_time_zone(text: str) -> bool:
    """Whether the machine knows the time zone."""
    try:
        return zoneinfo.ZoneInfo(text).key == text
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False


_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")


def parse_clock(text: str) -> int:
    """Minutes since midnight of `HH:MM`; raises ValueError."""
    if not _CLOCK.fullmatch(text):
        raise ValueError("is not a time of day: write HH:MM, such as 09:00")
    return int(text[:2]) * 60 + int(text[3:])


def parse_hours(text: object) -> object:
    """Spans of a day, such as `09:00-12:00, 13:00-17:30`; raises ValueError."""
    if not isinstance(text, str):
        raise ValueError("is not a span of hours: write 09:00-17:00, or several with commas")  # noqa: TRY004 - pydantic's
    for span in text.split(","):
        start, dash, end = span.strip().partition("-")
        if not dash:
            raise ValueError("is not a span of hours: write 09:00-17:00, or several with commas")
        if parse_clock(start) >= parse_clock(end):
            raise ValueError(
                "ends before it starts: a span over midnight is two, 22:00-24:00 and 00:00-02:00"
            )
    return text


def parse_days(text: object) -> object:
    """Days of the week: `mon`, `mon-fri`, `sat, sun`; raises ValueError."""
    if isinstance(text, str):
        days_of(text)
        return text
    raise ValueError("is not a day of the week: write mon, mon-fri or sat, sun")


def days_of(text: str) -> tuple[int, ...]:
    """The days that `mon-fri` or `sat, sun` names, Monday being 0; raises ValueError."""
    found: list[int] = []
    for part in text.lower().split(","):
        first, _, last = part.strip().partition("-")
        if first not in WEEKDAYS or (last and last not in WEEKDAYS):
            raise ValueError("is not a day of the week: write mon, mon-fri or sat, sun")
        start = WEEKDAYS.index(first)
        span = (WEEKDAYS.index(last) - start) % 7 if last else 0
        found.extend((start + step) % 7 for step in range(span + 1))
    return tuple(dict.fromkeys(found))


def parse_date(text: object) -> object:
    """A day, `2026-12-24`; raises ValueError."""
    try:
        datetime.date.fromisoformat(text)  # type: ignore[arg-type]  # a wrong type is the error that is caught
    except (TypeError, ValueError):
        raise ValueError("is not a date: write it as 2026-12-24") from None
    return text


def parse_moment(text: object) -> object:
    """A day or a point in time, `2026-12-24` or `2026-12-24T18:00`; raises ValueError."""
    try:
        datetime.datetime.fromisoformat(text)  # type: ignore[arg-type]  # a wrong type is the error that is caught
    except (TypeError, ValueError):
        raise ValueError("is not a date or time: write 2026-12-24 or 2026-12-24T18:00") from None
    return text


def parse_handover(text: object) -> object:
    """When a shift changes hands: `09:00` every day, or `mon 09:00`; raises ValueError."""
    if isinstance(text, str):
        day, _, clock = text.rpartition(" ")
        if (not day or day.strip().lower() in WEEKDAYS) and _CLOCK.fullmatch(clock):
            return text
    raise ValueError("is not a time to hand over: write mon 09:00, or 09:00")


Name: TypeAlias = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=NAME_CHARS_MAX)]
"""A user's or a group's name, as the identity provider writes it."""
TimeZone: TypeAlias = Annotated[
    str,
    BeforeValidator(parse_time_zone),
    WithJsonSchema({"type": "string", "examples": ["Europe/Berlin", "UTC"]}),
]
Hours: TypeAlias = Annotated[
    str,
    BeforeValidator(parse_hours),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^\s*\d\d:\d\d-\d\d:\d\d\s*(,\s*\d\d:\d\d-\d\d:\d\d\s*)*$",
            "examples": ["09:00-17:00"],
        }
    ),
]
_DAY = "([mM][oO][nN]|[tT][uU][eE]|[wW][eE][dD]|[tT][hH][uU]|[fF][rR][iI]|[sS][aA][tT]|[sS][uU][nN])"
_DAYS_PATTERN = rf"^\s*{_DAY}(-{_DAY})?\s*(,\s*{_DAY}(-{_DAY})?\s*)*$"
Days: TypeAlias = Annotated[
    str, BeforeValidator(parse_days), WithJsonSchema({"type": "string", "pattern": _DAYS_PATTERN})
]
Date: TypeAlias = Annotated[
    str, BeforeValidator(parse_date), WithJsonSchema({"type": "string", "format": "date"})
]
Moment: TypeAlias = Annotated[
    str, BeforeValidator(parse_moment), WithJsonSchema({"type": "string", "examples": ["2026-12-24T18:00"]})
]
Handover: TypeAlias = Annotated[
    str, BeforeValidator(parse_handover), WithJsonSchema({"type": "string", "examples": ["mon 09:00"]})
]


# --- people -------------------------------------------------------------------------------------------------


class Absence(Part):
    """A time in which somebody is not asked."""

    from_: Moment = Field(alias="from")
    """Its first day or moment."""
    until: Moment
    """Its last day, or the moment of return."""
    deputy: Principal | None = None
    """Who is asked instead."""


class User(Part):
    """One person."""

    name: str | None = None
    """What others are shown."""
    email: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$")] | None = None
    """Where mail goes; also how a sign-in is recognised."""
    subject: Annotated[str, StringConstraints(min_length=1, max_length=SUBJECT_CHARS_MAX)] | None = None
    """The identity provider's own id of the person (`sub`), where a sign-in is not to be recognised by its address."""
    contact: Mapping[Id, str] = Field(default_factory=dict)
    """Addresses in channels: `slack: U012AB3`."""
    time_zone: TimeZone | None = None
    """Where the person lives."""
    absences: tuple[Absence, ...] = ()
    """When the person is not there."""


class Group(Part):
    """People who act together."""

    title: str | None = None
    """What others are shown."""
    members: tuple[Principal, ...] = ()
    """Users, other groups and rotas."""


class Override(Part):
    """Somebody else has the shift for a time."""

    from_: Moment = Field(alias="from")
    """Its start."""
    until: Moment
    """Its end."""
    who: Principal
    """Who has the shift."""


class Layer(Part):
    """One rotation of a rota: who takes turns, and how long a turn is."""

    people: tuple[Principal, ...] = Field(min_length=1)
    """Who takes turns, in this order."""
    every: Duration = 7 * 86_400.0
    """How long one turn is."""
    handover: Handover = "mon 09:00"
    """When a turn ends."""
    start: Date | None = None
    """The day on which the first person's first turn starts; 1 January 2024 where it is not said."""
    days: Days | None = None
    """The days of the week on which this rotation counts."""
    hours: Hours | None = None
    """The hours in which this rotation counts."""


class OnCall(Part):
    """A rota: who is on call when."""

    title: str | None = None
    """What others are shown."""
    time_zone: TimeZone = "UTC"
    """In which its times are read."""
    rotations: tuple[Layer, ...] = Field(min_length=1)
    """Its rotations; where several count, the last one does."""
    overrides: tuple[Override, ...] = ()
    """Exceptions."""


def _group(value: object) -> object:
    return {"members": value} if isinstance(value, list | tuple) else value


class People(Part):
    """Who there is."""

    users: Annotated[Mapping[Name, User], Field(max_length=USERS_MAX)] = Field(default_factory=dict)
    """People by the name that principals use: `user:anna`."""
    groups: Mapping[
        Name,
        Annotated[
            Group,
            BeforeValidator(_group),
        ],
    ] = Field(default_factory=dict)
    """Groups: a list of members, or a mapping with `members`."""
    on_call: Mapping[Name, OnCall] = Field(default_factory=dict)
    """Rotas by the name that principals use: `oncall:platform`."""
    provider: Literal["file", "oidc"] = "file"
    """Where groups come from; with `oidc`, names that are not written here may exist all the same."""


# --- calendars ----------------------------------------------------------------------------------------------


class Span(Part):
    """A stretch of time with a beginning and an end."""

    from_: Moment = Field(alias="from")
    """Its start."""
    until: Moment
    """Its end."""
    title: str | None = None
    """Why."""


class Calendar(Part):
    """When something is open."""

    title: str | None = None
    """What people are shown."""
    time_zone: TimeZone = "UTC"
    """In which its times are read."""
    hours: Mapping[Days, Hours] = Field(default_factory=dict)
    """Open hours by days of the week; always open where nothing is said."""
    holidays: tuple[Date, ...] = ()
    """Days on which it is closed."""
    maintenance: tuple[Span, ...] = ()
    """Times in which it is open whatever the hours say."""
    freezes: tuple[Span, ...] = ()
    """Times in which it is closed whatever the hours say."""


# --- environments -------------------------------------------------------------------------------------------


class Approval(Part):
    """The approval that an environment asks for before the first step in it."""

    who: tuple[Principal, ...] = Field(min_length=1)
    """Who may approve."""
    quorum: Whole = Field(default=1, ge=1, le=100)
    """Approvals that are needed."""
    four_eyes: Flag = True
    """Neither who started the run nor who last edited the file may approve."""
    answer_within: Duration | None = None
    """How long people have; goes together with `if_unanswered`."""
    if_unanswered: Literal["reject", "approve", "fail", "continue"] | None = None
    """What silence means."""


class Places(Part):
    """How many runs may be in an environment at the same time."""

    max: Whole = Field(default=1, ge=1, le=10_000)
    """Places."""
    when_full: Literal["queue", "skip", "replace"] = "queue"
    """What a run does that finds no place."""


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Environment(Part):
    """Where things are deployed to, with its own rules."""

    title: str | None = None
    """What people are shown."""
    url: str | None = None
    """Where it can be looked at."""
    approval: Approval | None = None
    """The approval before the first step in it."""
    windows: Annotated[tuple[Id, ...], BeforeValidator(_listed)] = ()
    """Calendars: steps start only when one of them is open."""
    freeze: Annotated[tuple[Id, ...], BeforeValidator(_listed)] = ()
    """Calendars whose freezes keep steps from starting."""
    secrets: Mapping[Id, str] = Field(default_factory=dict)
    """Secrets that only steps in this environment get: their names in workflows and at the provider."""
    runs_on: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    """Labels that a worker has to have."""
    concurrency: Places | None = None
    """How many runs may be in it."""
    vars: Mapping[Id, str] = Field(default_factory=dict)
    """Environment variables of the scripts in it."""
    policies: tuple[Id, ...] = ()
    """Policies that a run has to pass before it enters."""


# --- secrets and channels -----------------------------------------------------------------------------------


class EnvironmentVariables(Part):
    """Secrets in environment variables of the server."""

    prefix: str = "TOW_SECRET_"
    """What the variables' names start with."""


class SecretFiles(Part):
    """Secrets in files, one for each."""

    folder: str
    """The folder; only its owner may read the files."""


class Vault(Part):
    """Secrets in HashiCorp Vault or OpenBao."""

    address: str
    """The server's URL."""
    mount: str = "secret"
    """The key-value engine."""
    path: str = ""
    """The path below it."""
    auth: Literal["token", "approle", "kubernetes"] = "token"
    """How the server signs in."""
    role: str | None = None
    """The role of the sign-in."""
    namespace: str | None = None
    """The namespace, where the server has them."""


class AwsSecrets(Part):
    """Secrets in AWS Secrets Manager."""

    region: str | None = None
    """The region; from the environment where it is not said."""
    prefix: str = ""
    """What the secrets' names start with."""


class Sealed(Part):
    """The encrypted store of `tow secrets`."""


class Provider(Part):
    """One place where secrets come from; exactly one of its keys."""

    env: EnvironmentVariables | None = None
    """Environment variables."""
    file: SecretFiles | None = None
    """Files."""
    sealed: Sealed | None = None
    """The encrypted store."""
    vault: Vault | None = None
    """HashiCorp Vault or OpenBao."""
    aws: AwsSecrets | None = None
    """AWS Secrets Manager."""


def _provider(value: object) -> object:
    """`- sealed` is `- sealed: {}`; a key without a value takes its defaults."""
    if isinstance(value, str):
        return {value: {}}
    if isinstance(value, dict):
        return {key: {} if inner is None else inner for key, inner in value.items()}
    return value


class Secrets(Part):
    """Where secrets come from."""

    providers: tuple[Annotated[Provider, BeforeValidator(_provider)], ...] = Field(
        default_factory=lambda: (Provider(env=EnvironmentVariables()), Provider(sealed=Sealed()))
    )
    """Asked in this order."""


class Channel(Part):
    """One way to tell people something; `kind` says which."""

    kind: Literal[
        "slack", "email", "webhook", "teams", "mattermost", "ntfy", "pagerduty", "opsgenie", "apprise"
    ]
    """What it is."""
    to: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    """Where it goes: channel names, addresses."""
    url: str | None = None
    """The service's URL."""
    secret: Id | None = None
    """The secret with its token or password."""
    from_: str | None = Field(default=None, alias="from")
    """Who a mail comes from."""
    default: Flag = False
    """Whether it is used for everybody without a contact of their own."""


# --- engine, limits, policies, access -----------------------------------------------------------------------


class Temporal(Part):
    """The Temporal server."""

    address: str = "localhost:7233"
    """Host and port."""
    namespace: str = "default"
    """The namespace."""
    task_queue: Id = "towpath"
    """What the names of task queues start with."""
    tls: Flag = False
    """Whether the connection is encrypted."""
    api_key_secret: Id | None = None
    """The secret with the API key."""


class Engine(Part):
    """What drives the runs."""

    kind: Literal["embedded", "temporal"] = "embedded"
    """The built-in engine, or Temporal."""
    data: str | None = None
    """The data folder of the embedded engine."""
    database: str | None = None
    """The PostgreSQL server for the journal, without its password."""
    temporal: Temporal | None = None
    """Where Temporal is."""


class Limits(Part):
    """Limits of this project; each may only be made smaller or larger within what the program allows."""

    runs_open_max: Whole | None = Field(default=None, ge=1, le=10_000_000)
    """Runs that may be open at the same time."""
    steps_running_max: Whole | None = Field(default=None, ge=1, le=100_000)
    """Steps that may run at the same time on this machine."""
    run_timeout: Duration | None = None
    """The longest that a run may take where the workflow says nothing."""
    step_timeout: Duration | None = None
    """The longest that a step may take where it says nothing."""
    output_max: Size | None = None
    """The most that one step may write to its log."""
    artifact_max: Size | None = None
    """The largest artifact."""
    keep_runs: Duration | None = None
    """How long ended runs are kept."""
    keep_logs: Duration | None = None
    """How long their logs are kept."""


class PolicyServer(Part):
    """A remote Open Policy Agent."""

    url: str
    """Its URL."""
    secret: Id | None = None
    """The secret with its token."""
    timeout: Duration = 5.0
    """How long an answer may take; a late one denies."""


class Policies(Part):
    """Policy as code."""

    folder: str = "policies"
    """Where the `.rego` files are."""
    server: PolicyServer | None = None
    """A server that decides instead."""
    required: tuple[Id, ...] = ()
    """Policies that every run has to pass."""


Permission: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^(\*|[a-z][a-z_]*(\.(\*|[a-z][a-z_]*))?)$")
]
"""A verb such as `run.start`; `run.*` and `*` are more."""


class Role(Part):
    """What somebody may do."""

    title: str | None = None
    """What people are shown."""
    permissions: tuple[Permission, ...] = Field(min_length=1)
    """Its verbs: `run.start`, `run.*`, `*`."""


Grantee: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^(user|group|oncall|service):[A-Za-z0-9_.@-]+$")
]
"""`user:…`, `group:…`, `oncall:…` or `service:…`."""
Person: TypeAlias = Annotated[str, StringConstraints(pattern=r"^user:[A-Za-z0-9_.@-]+$")]
"""`user:…`."""


class Grant(Part):
    """Who has a role, and for what."""

    role: Id
    """The role."""
    to: tuple[Grantee, ...] = Field(min_length=1)
    """Who has it."""
    workflows: tuple[str, ...] = ()
    """Names or patterns of workflows; all where it is not said."""
    environments: tuple[str, ...] = ()
    """Environments; all where it is not said."""


class ServiceAccount(Part):
    """A program that acts by itself, with tokens of its own."""

    title: str | None = None
    """What people are shown."""
    owner: Person
    """The person who answers for it: they make its tokens, and may not approve what it started (four_eyes)."""


def parse_issuer(text: object) -> object:
    """The address of an identity provider, without a slash too many; raises ValueError."""
    if isinstance(text, str):
        try:
            found = urlsplit(text)
            is_safe = found.scheme == "https" or (
                found.scheme == "http" and found.hostname in ("localhost", "127.0.0.1", "::1")
            )
        except ValueError:
            is_safe = False
        if is_safe and found.hostname and not (found.query or found.fragment or found.username):
            return text
    raise ValueError("is not the address of an identity provider: write https://…, as its own document says")


Issuer: TypeAlias = Annotated[
    str,
    BeforeValidator(parse_issuer),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^https?://[^?#@]+$",
            "examples": ["https://login.example.org/realms/ops"],
        }
    ),
]
Scope: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[!#-\[\]-~]+$", max_length=NAME_CHARS_MAX)]
"""A word of OAuth 2."""


class Oidc(Part):
    """An identity provider that people sign in with (OpenID Connect)."""

    issuer: Issuer
    """Its address; `/.well-known/openid-configuration` is found below it."""
    client_id: Annotated[str, StringConstraints(min_length=1, max_length=SUBJECT_CHARS_MAX)]
    """What Towpath is called there."""
    client_secret: Id | None = None
    """The name of the secret with the client's secret; without one the client is public and PKCE alone protects the sign-in."""
    scopes: tuple[Scope, ...] = ("openid", "profile", "email")
    """What is asked for; `openid` is always among it."""
    groups_claim: Annotated[str, StringConstraints(min_length=1, max_length=NAME_CHARS_MAX)] = "groups"
    """The claim that lists the groups; they count where `people: provider:` is `oidc`."""
    title: str | None = None
    """What the button of the sign-in page says."""
    session: Duration = 12 * 3600.0
    """How long a sign-in lasts: until then groups are as the provider said."""


def _role(value: object) -> object:
    return {"permissions": value} if isinstance(value, list | tuple) else value


class Access(Part):
    """Who may do what."""

    roles: Mapping[
        Id,
        Annotated[
            Role,
            BeforeValidator(_role),
        ],
    ] = Field(default_factory=dict)
    """Roles of this project, beside the built-in viewer, operator, author and admin."""
    grants: tuple[Grant, ...] = ()
    """Who has which role."""
    service_accounts: Mapping[Name, ServiceAccount] = Field(default_factory=dict)
    """Programs with tokens of their own, by the name that grants use: `service:deployer`."""
    oidc: Oidc | None = None
    """The identity provider that people sign in with."""


BUILT_IN_ROLES = ("viewer", "operator", "author", "admin")


class CommitStatus(Part):
    """Where the host of the repository is told whether a commit of this project loads."""

    host: Literal["github", "gitlab", "gitea"]
    """Which API it speaks."""
    repository: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+$|^[0-9]+$", max_length=300)
    ]
    """Its name there, `acme/operations`; at GitLab a number will do."""
    token: Id
    """The secret with the token that may set a status."""
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s?#@]+$", max_length=500)] | None = None
    """The API's address, where it is not github.com, gitlab.com or gitea.com: `https://git.example.org/api/v1`."""


class ProjectFile(Part):
    """A whole project file, towpath.yaml."""

    name: Annotated[str, StringConstraints(pattern=ID_PATTERN, max_length=ID_CHARS_MAX)] | None = None
    """The project's name."""
    title: str | None = None
    """What people are shown."""
    people: People = Field(default_factory=People)
    """Who there is."""
    environments: Mapping[Id, Environment] = Field(default_factory=dict)
    """Where things are deployed to."""
    calendars: Mapping[Id, Calendar] = Field(default_factory=dict)
    """When things are open."""
    secrets: Secrets = Field(default_factory=Secrets)
    """Where secrets come from."""
    channels: Mapping[Id, Channel] = Field(default_factory=dict)
    """How people are told things."""
    engine: Engine = Field(default_factory=Engine)
    """What drives the runs."""
    limits: Limits = Field(default_factory=Limits)
    """Limits of this project."""
    policies: Policies = Field(default_factory=Policies)
    """Policy as code."""
    access: Access = Field(default_factory=Access)
    """Who may do what."""
    commit_status: CommitStatus | None = None
    """Where it is told whether a commit of a project that is followed in Git loads."""
