"""What arrives from outside, and what the triggers of a project say about it, in values.

An *event* is something that happened elsewhere: a sender delivered it, a schedule came round, a repository was
looked at. It is kept before anything is done about it, under the name of its source and the source's own id for
the delivery; the same delivery is never kept twice.

A *verdict* is what one entry of `on:` says about an event: the run that it starts, or why it starts none. Nothing
is ignored in silence.

What is inside an event is data. It is compared, and handed to expressions as `event`; it is never evaluated and
never becomes a word of a command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Protocol, TypeAlias

from towpath.core.run import Json, Micros
from towpath.definition import model
from towpath.definition.triggers import Trigger, triggers_of
from towpath.engines.contract import StartRequest
from towpath.errors import Refused

BODY_BYTES_MAX = 4 * 1024 * 1024
"""One delivery; a longer one is refused and not kept."""
PAYLOAD_DEPTH_MAX = 64
"""Lists and maps inside each other in a delivery."""
HEADERS_MAX = 100
"""Headers of one delivery that are looked at."""
RUN_CHAIN_MAX = 20
"""Runs that start one another through `run` triggers; the end of the last one starts nothing."""
SKEW_SECONDS_MAX = 300
"""How far the time in a signed delivery may be from ours: older ones may be repeats."""
DELIVERY_CHARS_MAX = 200
"""Of an id that a sender gave its delivery; a longer one is replaced by its digest."""
KIND_CHARS_MAX = 100

Way: TypeAlias = Literal["signature", "token", "local", "nobody"]
"""How the sender is known: it signed, it knew a secret word, it is this machine, or it could be anybody."""

NOTHING: Mapping[str, str] = MappingProxyType({})


def _nothing() -> Mapping[str, str]:
    return NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """How it is known who sent an event."""

    way: Way
    secrets: tuple[str, ...] = ()
    """The names of the secrets that fitted."""

    @property
    def is_trusted(self) -> bool:
        """Whether it is known at all."""
        return self.way != "nobody"


LOCAL = Verified(way="local")
NOBODY = Verified(way="nobody")


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRequest:
    """An HTTP request as it came, before anybody has looked into it."""

    path: str
    """Below the place where deliveries arrive: `/github`, or the `path` of a webhook."""
    headers: Mapping[str, str]
    """Names in any case."""
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened elsewhere, as it is kept."""

    source: str
    """Within a source a delivery's id is unique: `github`, `webhook/deploy`, `schedule`, …"""
    delivery: str
    received_at: Micros
    kind: str
    """The first of its kinds, such as `github.push`."""
    payload: Json
    """What expressions read as `event`."""
    headers: Mapping[str, str] = field(default_factory=_nothing)
    """Those that say what the payload is, with small letters; never one that holds a secret."""
    verified: Verified = LOCAL


# --- what the filters of triggers ask ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeFacts:
    """Something happened in a repository."""

    repository: str = ""
    """`owner/name`."""
    branch: str = ""
    """The branch, of a pull request the one that it goes to; empty where there is none."""
    tag: str = ""
    action: str = ""
    """`opened`, `closed`, `deleted`, …; of most pushes nothing."""
    paths: tuple[str, ...] | None = None
    """The files that changed; None where the event does not tell all of them."""
    is_fork: bool = False
    """Whether what it is about comes from somebody else's copy of the repository."""
    others: tuple[CodeFacts, ...] = ()
    """What else moved with it: one push may move several branches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertNews:
    """One alert, and whether it is right again."""

    name: str
    status: Literal["firing", "resolved"]
    labels: Mapping[str, str] = field(default_factory=_nothing)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFacts:
    """A monitoring system told of some alerts."""

    alerts: tuple[AlertNews, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketFacts:
    """A ticket was created or changed."""

    project: str = ""
    type: str = ""
    labels: tuple[str, ...] = ()
    fields: Mapping[str, Json] = field(default_factory=_nothing)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandFacts:
    """Somebody typed a slash command."""

    command: str
    channels: tuple[str, ...] = ()
    """The channel's id and its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildFacts:
    """A build ended, or is on its way."""

    job: str
    result: str = ""
    """`success`, `unstable`, `failure`, `aborted` or `not_built`; empty while it is on its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudEventFacts:
    """An event in the CloudEvents format."""

    type: str
    source: str
    subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookFacts:
    """A request to the path of a webhook."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleFacts:
    """A schedule came round."""

    workflow: str
    schedule: str
    """Which of its schedules: `schedule.identity_of`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """A file changed."""

    path: str
    change: str
    """`created`, `modified` or `deleted`."""
    watch: str
    """The `path` of the trigger that saw it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollFacts:
    """A ref of a repository moved."""

    url: str
    branch: str = ""
    tag: str = ""
    is_default: bool = False
    """Whether the branch is the repository's default."""
    paths: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """A run ended."""

    workflow: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFacts:
    """A query has held for a while."""

    server: str
    query: str
    for_seconds: float


Facts: TypeAlias = (
    CodeFacts
    | AlertFacts
    | TicketFacts
    | CommandFacts
    | BuildFacts
    | CloudEventFacts
    | WebhookFacts
    | ScheduleFacts
    | FileFacts
    | PollFacts
    | RunFacts
    | MetricFacts
    | None
)
"""What the filters ask of an event; None where nothing can be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a payload is: made from the payload and its headers alone, so it is the same whenever it is made."""

    kinds: tuple[str, ...]
    """What triggers call it: a pushed tag is `github.push` and `github.tag`. Empty: nothing that a trigger names."""
    delivery: str
    """The sender's id for it, or a fingerprint of what it tells: the same news have the same one."""
    facts: Facts = None
    title: str = ""
    """What it is, in a few words for people."""
    note: str = ""
    """Why no trigger can be meant, where that is so: a `ping`, for example."""


# --- what triggers say -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A run that a trigger wants."""

    workflow: str
    position: int
    """The entry of `on:`, from 0."""
    inputs: Mapping[str, Json]
    start_key: str
    """At most one run for each."""
    event: Json
    """What the run reads as `event`."""
    started_by: str
    without_secrets: bool = False
    """The event is from somebody who must not see any: a fork, or nobody knows who."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one entry of `on:` says about an event: the run that it wants, or why none."""

    workflow: str
    position: int
    kind: str
    wanted: Wanted | None = None
    debounce: Micros | None = None
    """It starts when nothing more has come for this long."""
    because: str = ""
    """Why it starts nothing."""
    is_failure: bool = False
    """Something is wrong, and the author should know; else the event is only not meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A workflow whose triggers are asked."""

    workflow: model.Workflow
    names_secrets: bool
    """Whether it, or a workflow that it calls, names a secret."""
    triggers: tuple[Trigger, ...] = field(init=False)
    """The entries of its `on:`, understood."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "triggers", triggers_of(self.workflow.on))


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A workflow that does not load, and so cannot be asked."""

    name: str
    why: str
    text: str = ""
    """What its file says; it is only asked about events whose kind it names."""
    path: str = ""
    """The file."""


class Project(Protocol):
    """What triggers need of the project. Called from one thread; may read files."""

    def listeners(self) -> Sequence[Listener | Broken]:
        """Every workflow, as it is now."""

    def request(self, wanted: Wanted) -> StartRequest:
        """The start of a run; raises TowpathError where its inputs do not fit."""

    def secret(self, name: str) -> str:
        """The value of a secret; raises NotFound or Refused."""

    def is_open(self, calendar: str, at: Micros) -> bool:
        """Whether a calendar of the project is open at an instant; raises NotFound."""


class Unverified(Refused):
    """Nobody knows who sent this: no signature, a wrong one, or an old one. Nothing was kept."""


class Malformed(Refused):
    """It does not look as the sender's format does. Nothing was kept."""


class NobodyListens(Refused):
    """There is no such path, and no trigger that waits for this sender. Nothing was kept."""
