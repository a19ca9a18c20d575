"""What a store promises, in values and protocols; SQLite and memory both keep it.

The journal is the truth: for every run an unbroken sequence of records (encoded events), numbered from 1. A
*change* is what one decision adds to one run, and it is all or nothing. The sequence number is the fence: a
change says which number it continues from, and when somebody else has written that number already, this
change fails alone and nothing of it is kept.

A change that carries records only is the hot path: it touches one table. Everything else that a change may
carry (a new summary for the lists, the messages that caused it, a slot that it takes) happens in the same
transaction.

Threads: `Journal.commit` and `Journal.start` never block and are called from the loop's thread. Their
callbacks run in the loop's thread, once for a whole group, in the order of the commits. Every other method
may be called from any thread and blocks for as long as one short transaction takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Literal, NewType, Protocol, TypeAlias

import msgspec

from towpath.core.run import Answer, Question, RunId
from towpath.errors import Refused

RunNumber = NewType("RunNumber", int)
"""What people type; given by the store, rising, never used twice. Machines use the RunId."""
OwnerId = NewType("OwnerId", str)
"""One process that drives runs, for as long as it lives."""
MessageId = NewType("MessageId", int)

Microseconds: TypeAlias = int
"""A moment: microseconds since 1970 in UTC."""
Record: TypeAlias = tuple[int, Microseconds, bytes]
"""(sequence, at, encoded event); a plain tuple because thousands of them pass every second."""

RECORD_BYTES_MAX = 16 * 1024 * 1024
"""One encoded event; a longer one fails its change with LimitExceeded."""
STIMULUS_BYTES_MAX = 1024 * 1024
"""One message in a mailbox."""
MAILBOX_MESSAGES_MAX = 10_000
"""Messages that wait for one run; one more is refused."""
PAGE_ROWS_MAX = 1_000
"""Rows that one page of a list may hold."""
QUEUED_CHANGES_MAX = 200_000
"""Changes that wait for the writer; one more is refused."""
QUESTIONS_LISTED_MAX = 100
"""Open questions of one run that the lists hold, the oldest; of more, their number is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """The text that a run started with, kept for as long as a run needs it."""

    digest: str
    """sha256 of the text, in hex."""
    text: str
    path: str | None = None
    commit: str | None = None
    """The Git commit that the text came from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A place in a concurrency group: either held (guarded: refused with SlotsFull) or queued for."""

    group: str
    maximum: int = 1
    enter: Literal["hold", "queue"] = "hold"
    in_turn: bool = True
    """Refuse to hold while an earlier run of the group still queues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A place among the first runs of a new version of a workflow (guarded: refused with TrialFull).

    The runs of the version are counted when the run is accepted, but for those that go on from others: no place is lost with a process.
    """

    after: RunNumber
    """Runs with higher numbers count."""
    maximum: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place in an environment that only so many runs may be in at once; it is left when the run ends."""

    environment: str
    maximum: int


class OpenQuestion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A question that waits for people, with all that a list of them needs and nothing that is large.

    It is enough to tell who may answer, what is missing and what will happen; evidence, instructions, the form and
    comments stay in the journal.
    """

    path: str
    """The step's path."""
    question: Question
    """As it was asked, without evidence, instructions, form and files, and with a text of one line."""
    fields: tuple[str, ...] = ()
    """The fields of the form that an answer has to fill in."""
    edited_by: str = ""
    """Who last edited the definition."""
    answers: tuple[Answer, ...] = ()
    """Who said what and when, without comments and forms."""
    claimed_by: str = ""
    handed_to: tuple[str, ...] = ()
    told_reminders: int = 0
    told_rungs: int = 0
    comments: int = 0
    """How many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the lists show of a run and what changes while it goes on; always given as a whole.

    A run whose *ended_at* is set is closed: it holds no slot and waits in no queue any more.
    """

    status: str
    waiting_for: str | None = None
    waiting_since: Microseconds | None = None
    started_at: Microseconds | None = None
    ended_at: Microseconds | None = None
    outcome: str | None = None
    message: str | None = None
    questions: tuple[OpenQuestion, ...] = ()
    """What people are asked, the oldest question first; at most QUESTIONS_LISTED_MAX."""
    questions_more: int = 0
    """How many more are open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run to be accepted: its row, its definition and its first records become durable together."""

    id: RunId
    workflow: str
    definition: Definition
    owner: OwnerId | None
    started_by: str
    accepted_at: Microseconds
    summary: Summary
    records: tuple[Record, ...]
    """Sequences 1, 2, …; the first one must allow the row to be rebuilt."""
    kind: str = "task"
    environment: str | None = None
    origin: RunNumber | None = None
    """The run that this one continues, repeats, undoes or is a child of."""
    origin_reason: str | None = None
    """Why: `child`, `retry`, `rerun`, `rollback`, …"""
    start_key: str | None = None
    """At most one run for each key, for ever."""
    slot: Slot | None = None
    trial: Trial | None = None
    """The run tries a new version of its workflow, of which only so many runs may be the first."""
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    took: tuple[Taken, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A run was accepted; *existing*: its start key had started it before and nothing was written."""

    number: RunNumber
    id: RunId
    existing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A message that a change takes out of the mailbox, with what its sender may read as the answer."""

    message: MessageId
    reply: bytes | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What one decision adds to one run. Positional: `Change(run, after, records)` is the hot path."""

    run: RunNumber
    after: int
    """The last sequence that the decision knew of: the fence. The records go on from it without a gap."""
    records: tuple[Record, ...]
    summary: Summary | None = None
    took: tuple[Taken, ...] = ()
    holds: Slot | None = None
    """The run leaves the queue of its group and holds a slot; SlotsFull when there is none."""
    enters: Place | None = None
    """The run is in an environment from now on; PlacesFull when there is no place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run as the lists show it."""

    number: RunNumber
    id: RunId
    workflow: str
    kind: str
    environment: str | None
    definition: str
    """The digest of its definition."""
    started_by: str
    origin: RunNumber | None
    origin_reason: str | None
    start_key: str | None
    slot_group: str | None
    holds_slot: bool
    owner: OwnerId | None
    labels: Mapping[str, str]
    accepted_at: Microseconds
    summary: Summary
    last_sequence: int

    @property
    def is_open(self) -> bool:
        """Whether the run has not reached its end."""
        return self.summary.ended_at is None


class AskingRun(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An open run that asks people something, as the list of questions needs it."""

    number: RunNumber
    id: RunId
    workflow: str
    kind: str
    environment: str | None
    started_by: str
    owner: OwnerId | None
    accepted_at: Microseconds
    questions: tuple[OpenQuestion, ...]
    questions_more: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs a list holds; what is empty or None does not restrict. Newest first."""

    status: tuple[str, ...] = ()
    workflow: str | None = None
    environment: str | None = None
    kind: str | None = None
    owner: OwnerId | None = None
    origin: RunNumber | None = None
    is_open: bool | None = None
    is_waiting: bool | None = None
    since: Microseconds | None = None
    """Accepted at or after."""
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    text: str = ""
    """Words that have to stand in what the list shows: workflow, environment, message, wait, who started it, labels, or a number."""
    before: RunNumber | None = None
    """The next page: rows with a smaller number than the last one seen."""
    rows_max: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """Something in the lists has changed; of several changes of the same thing only the last one is kept."""

    position: int
    """Rising, never used twice: whoever knows one asks for what is behind it."""
    about: Literal["run", "questions", "event"]
    number: int
    """Of the run, or of the event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A stimulus that another process left for the owner of a run."""

    id: MessageId
    run: RunNumber
    posted_at: Microseconds
    stimulus: bytes
    taken_at: Microseconds | None = None
    reply: bytes | None = None


class Life(Enum):
    """What is known of the process that owns a run."""

    ALIVE = "alive"
    STOPPED = "stopped"
    """It said goodbye."""
    DEAD = "dead"
    """It did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerRow:
    """A process that drives, or drove, runs."""

    id: OwnerId
    pid: int
    host: str
    command: str
    started_at: Microseconds
    life: Life


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactRow:
    """A file that a step kept with its run; the bytes are found by *digest*."""

    run: RunNumber
    path: str
    """The step's path."""
    attempt: int
    name: str
    digest: str
    size: int
    kept_at: Microseconds


NOTICE_BYTES_MAX = 512 * 1024
"""One encoded notice; with a thousand recipients it is long, most are shorter than 2 KiB."""
SENDINGS_MAX = 1_000
"""Recipients and channels of one notice."""
OUTBOX_OPEN_MAX = 200_000
"""Sendings that wait; more are refused."""
SENDING_ERROR_CHARS_MAX = 500
"""How much of a channel's complaint is kept."""

NoticeId = NewType("NoticeId", str)
"""Follows from what happened: the same after a restart."""
SendingId = NewType("SendingId", int)

SendingState: TypeAlias = Literal["waiting", "sending", "sent", "given_up", "recalled", "unreachable"]
"""`recalled`: nobody needs to be told any more; `unreachable`: no channel leads to the recipient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSending:
    """One recipient of a notice, and the channel through which it goes."""

    recipient: str
    channel: str
    """Empty where none reaches the recipient; *error* says why."""
    address: str = ""
    """Empty: where the channel goes by itself."""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNotice:
    """Something that people are told once, with everybody who is told."""

    id: NoticeId
    run: RunNumber
    path: str
    why: str
    at: Microseconds
    body: bytes
    sendings: tuple[NewSending, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingRow:
    """A notice for one recipient through one channel, and what became of it."""

    id: SendingId
    notice: NoticeId
    run: RunNumber
    path: str
    why: str
    at: Microseconds
    body: bytes
    recipient: str
    channel: str
    address: str
    state: SendingState
    owner: OwnerId | None
    """The process that sends it, or did; None: whoever comes first."""
    attempts: int
    """Attempts that were begun."""
    due_at: Microseconds
    """When the next attempt is due, while it waits."""
    tried_at: Microseconds | None
    ended_at: Microseconds | None
    error: str
    """What the last attempt failed with, or why there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingEnded:
    """How one attempt to send ended; *again_at* is None where it was the last."""

    sending: SendingId
    attempt: int
    """Which attempt: the fence against another process that has taken the sending over."""
    at: Microseconds
    error: str = ""
    """Empty: it was sent."""
    again_at: Microseconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingFilter:
    """Which sendings a list holds; what is empty or None does not restrict. Newest first."""

    run: RunNumber | None = None
    path: str | None = None
    notice: NoticeId | None = None
    recipient: str | None = None
    channel: str | None = None
    states: tuple[SendingState, ...] = ()
    before: SendingId | None = None
    rows_max: int = 100


# --- what arrives from outside -----------------------------------------------------------------------------

EVENT_BYTES_MAX = 8 * 1024 * 1024
"""The payload of one event, as it is kept."""
EVENTS_WAITING_MAX = 100_000
"""Events that nobody has decided about; more are refused."""
EVENT_TITLE_CHARS_MAX = 200
REACTIONS_MAX = 10_000
"""Entries that say something about one event; the rest is counted only."""

EventId = NewType("EventId", int)
"""What people type; given by the store, rising, never used twice."""

EventState: TypeAlias = Literal["received", "held", "matched", "ignored", "failed"]
"""`held`: it starts something when it has been quiet for a while; `matched`: it started something, or let a run go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """Something that arrived and is to be kept."""

    source: str
    delivery: str
    """The source's own id: the same one is kept once."""
    kind: str
    title: str
    received_at: Microseconds
    way: str
    """How it is known who sent it."""
    payload: bytes
    secrets: tuple[str, ...] = ()
    """The names of the secrets that fitted."""
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptEvent:
    """An event is durable; *existing*: the same delivery was kept before."""

    id: EventId
    existing: bool = False


class Reaction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one entry of a workflow, or one waiting run, made of an event."""

    workflow: str
    position: int = 0
    """The entry of `on:`, from 0."""
    kind: str = ""
    run: int | None = None
    """The number of the run that it started, or let go on."""
    told: bool = False
    """Whether the run was there already and waited for it."""
    existing: bool = False
    """Whether it had started that run before."""
    held_until: int | None = None
    """When it starts something, if nothing more comes."""
    because: str = ""
    """Why it started nothing."""
    is_failure: bool = False


def event_state(reactions: Iterable[Reaction]) -> EventState:
    """What became of an event, by what everybody made of it."""
    known = tuple(reactions)
    if any(reaction.held_until is not None for reaction in known):
        return "held"
    if any(reaction.run is not None for reaction in known):
        return "matched"
    return "failed" if any(reaction.is_failure for reaction in known) else "ignored"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """An event as lists show it: without its payload."""

    id: EventId
    source: str
    delivery: str
    kind: str
    title: str
    received_at: Microseconds
    way: str
    secrets: tuple[str, ...]
    headers: Mapping[str, str]
    size: int
    """Of the payload, in bytes."""
    state: EventState
    owner: OwnerId | None
    """The process that is deciding about it."""
    attempts: int
    """How often that was begun."""
    settled_at: Microseconds | None
    because: str
    """Why it started nothing, as a whole."""
    reactions: tuple[Reaction, ...]
    repeats: int
    """How often the same delivery came again."""
    repeated_at: Microseconds | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSettled:
    """What was decided about an event."""

    event: EventId
    at: Microseconds
    reactions: tuple[Reaction, ...] = ()
    because: str = ""
    state: EventState | None = None
    """Where it does not follow from the reactions."""
    holds: tuple[EventHold, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventHold:
    """An entry waits until it has been quiet for a while, and then starts a run for the last event."""

    key: str
    """The entry."""
    event: EventId
    due_at: Microseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Up to where everything is done, by a name of its owner's choice."""

    name: str
    value: bytes
    version: int = 0
    """How often it was moved; 0: it was never set. Moving it fails where another one was quicker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events a list holds; what is empty or None does not restrict. Newest first."""

    states: tuple[EventState, ...] = ()
    source: str | None = None
    """`github`; `webhook` takes in `webhook/deploy`."""
    kind: str | None = None
    """`github.push`; `github` takes in all that begin so."""
    since: Microseconds | None = None
    before: EventId | None = None
    rows_max: int = 100


# --- who may sign in, and with what --------------------------------------------------------------------------

TOKENS_MAX = 200
"""Tokens of one user or service account that are valid at the same time."""
SESSIONS_MAX = 100
"""Sessions of one user that go on at the same time; one more ends the oldest."""
IDENTITY_ACTS_MAX = 1_000
"""Acts that one page holds."""

TokenId = NewType("TokenId", str)
SessionId = NewType("SessionId", str)
LinkId = NewType("LinkId", str)

SessionWay: TypeAlias = Literal["link", "token", "oidc"]
"""How somebody signed in: with a one-time link, with a token, through the identity provider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRow:
    """What is kept of a person; the people of towpath.yaml need no row."""

    name: str
    """Without `user:`."""
    title: str = ""
    email: str = ""
    subject: str = ""
    """The identity provider and its own id of the person."""
    made_at: Microseconds | None = None
    """When the person was made here; None: the project's file has them."""
    disabled_at: Microseconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """What a program shows instead of signing in."""

    id: TokenId
    digest: bytes = field(repr=False)
    """sha256 of its secret part."""
    owner: str
    """For whom it acts: `user:ada`, `service:deployer`."""
    name: str
    scope: tuple[str, ...]
    """What it may be used for, at most: permissions, or patterns of them."""
    made_at: Microseconds
    made_by: str
    expires_at: Microseconds
    last_used_at: Microseconds | None = None
    revoked_at: Microseconds | None = None

    def is_valid(self, at: Microseconds) -> bool:
        """Whether it may be used at a moment."""
        return self.revoked_at is None and at < self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """A browser in which somebody is signed in."""

    id: SessionId
    digest: bytes = field(repr=False)
    owner: str
    way: SessionWay
    token: TokenId | None = None
    """The token that was shown; the session is over when it is not valid any more."""
    groups: tuple[str, ...] = ()
    """Groups that the identity provider vouches for, without `group:`."""
    agent: str = ""
    """The browser, in short."""
    made_at: Microseconds
    seen_at: Microseconds
    ends_at: Microseconds
    ended_at: Microseconds | None = None

    def is_live(self, at: Microseconds) -> bool:
        """Whether it goes on at a moment."""
        return self.ended_at is None and at < self.ends_at


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRow:
    """A link with which one person may sign in, once."""

    id: LinkId
    digest: bytes = field(repr=False)
    owner: str
    made_at: Microseconds
    made_by: str
    ends_at: Microseconds
    used_at: Microseconds | None = None

    def is_open(self, at: Microseconds) -> bool:
        """Whether it may be used at a moment."""
        return self.used_at is None and at < self.ends_at


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityAct:
    """Something that was done to users, tokens, sessions or login links."""

    at: Microseconds
    by: str
    """Who did it: `user:ada`, `service:deployer`."""
    did: str
    """What, in a few words: `made a token`, `signed in`."""
    about: str
    """Whom or what it is about: `user:ben`, `token k3v9…`."""
    text: str = ""
    number: int = 0
    """Given by the store, rising."""


class StaleChange(Refused):
    """Somebody else has continued the run since the decision was made; nothing of the change was kept."""


class SlotsFull(Refused):
    """No slot is free in the group, or an earlier run queues for it; nothing of the change was kept."""

    def __init__(self, group: str, *, maximum: int) -> None:
        super().__init__(
            f"all {maximum} places of the concurrency group {group!r} are taken",
            help="Wait for a run of the group to end, or cancel one.",
        )
        self.group = group
        self.maximum = maximum


class PlacesFull(Refused):
    """As many runs as may be in the environment are in it; nothing of the change was kept."""

    def __init__(self, place: Place) -> None:
        super().__init__(
            f"all {place.maximum} places in {place.environment} are taken",
            help="Wait for a run in it to end, or cancel one.",
        )
        self.place = place


class TrialFull(Refused):
    """The new version has had its first runs, and nobody knows yet how they end; nothing of the change was kept."""

    def __init__(self, workflow: str, *, maximum: int) -> None:
        super().__init__(
            f"the {maximum} runs that try the new version of {workflow} have started",
            help=f"`tow versions {workflow}` tells how they do",
        )
        self.maximum = maximum


class StaleMark(Refused):
    """Somebody else has moved the mark meanwhile; nothing was kept."""


class MessageTaken(Refused):
    """A message that the change wanted to take is gone; nothing of the change was kept."""


OnDurable: TypeAlias = Callable[[Exception | None], None]
OnStarted: TypeAlias = Callable[[Started | Exception], None]
Deliver: TypeAlias = Callable[..., object]
"""Has a function called later in the loop's thread: `loop.call_soon_threadsafe`, `loop.call_soon`."""
Projection: TypeAlias = Callable[[RunNumber, Iterable[Record]], RunRow]
"""Folds the records of a run into its row; *owner* and *last_sequence* of the result are not looked at."""


class Journal(Protocol):
    """The one writer of a process. Opened by a process that drives runs; readers do not need it."""

    @property
    def stopped(self) -> Exception | None:
        """Why nothing can be written any more (full disk, I/O error, failed sync), or None. It is final."""

    def commit(self, change: Change, on_durable: OnDurable) -> None:
        """Make *change* durable, then call *on_durable* with None, or with why nothing of it was kept.

        Reasons: StaleChange, SlotsFull, PlacesFull, MessageTaken, LimitExceeded, and StoreUnavailable once it has
        stopped.
        """

    def start(self, new: NewRun, on_started: OnStarted) -> None:
        """Accept a run, then call *on_started* with its number, or with the reason why nothing was kept.

        Reasons: SlotsFull, TrialFull, MessageTaken, LimitExceeded, StoreUnavailable.
        A start key that was used before gives the run of that time (`existing`), and writes nothing.
        """

    def close(self) -> None:
        """Commit what is queued, then end the writer; its last callbacks are delivered."""


class Reader(Protocol):
    """What any process may ask at any time, while others write."""

    def events(self, run: RunNumber, *, after: int = 0) -> Iterator[Record]:
        """Stream the records of a run in order, those behind *after* only."""

    def last_sequence(self, run: RunNumber) -> int:
        """Return the sequence of the run's last record, 0 when there is none."""

    def run(self, name: str | RunNumber) -> RunRow:
        """Find a run by number, id, unique beginning of an id, or `last`; raises NotFound or Refused."""

    def run_by_start_key(self, start_key: str) -> RunRow | None:
        """Return the run that a start key has started."""

    def runs(self, where: RunFilter | None = None) -> tuple[RunRow, ...]:
        """List runs, newest first, one page."""

    def open_questions(
        self, *, after: RunNumber | None = None, rows_max: int = PAGE_ROWS_MAX
    ) -> tuple[AskingRun, ...]:
        """List the open runs that ask people something, oldest first, one page: those with a number beyond *after*."""

    def counts(self) -> Mapping[str, int]:
        """Count the runs by status."""

    def definition(self, digest: str) -> Definition:
        """Return the definition with this digest; raises NotFound."""

    def artifacts(self, run: RunNumber) -> tuple[ArtifactRow, ...]:
        """List what the steps of a run kept, in the order of keeping."""

    def slots_taken(self, group: str) -> int:
        """Count the open runs that hold a slot of the group."""

    def slot_queue(self, group: str) -> tuple[RunRow, ...]:
        """List the runs that queue for the group, first come first."""

    def places_taken(self, environment: str) -> tuple[RunNumber, ...]:
        """List the open runs that have a place in the environment, the oldest first."""


class Mailbox(Protocol):
    """Stimuli from other processes for whoever owns the run: durable, in order, taken once."""

    def post(self, run: RunNumber, stimulus: bytes) -> MessageId:
        """Leave a stimulus; it is durable when this returns."""

    def take(self, owner: OwnerId) -> tuple[Message, ...]:
        """Return messages for the runs of *owner* that this object has not returned before, oldest first.

        They stay in the mailbox until a change takes them (`Change.took`). Cheap: call it ten times a second.
        """

    def message(self, message: MessageId) -> Message:
        """Look at a message, for its sender: whether it was taken, and the reply; raises NotFound."""


class Owners(Protocol):
    """Who drives which run. An owner lives while its process holds a file lock, whatever the clock says."""

    def enter(self, command: str) -> OwnerId:
        """Become an owner until `leave`, or until the process ends in any way."""

    def leave(self, owner: OwnerId) -> None:
        """Say goodbye: the lock is released and the owner's runs may be claimed."""

    def life(self, owner: OwnerId) -> Life:
        """Tell whether the owner's process still lives."""

    def lock_of(self, owner: OwnerId) -> int | None:
        """Return the descriptor of our lock, if it has one; whoever holds it too keeps the owner alive."""

    def owners(self) -> tuple[OwnerRow, ...]:
        """List the owners that live or still own an open run."""

    def claim(self, run: RunNumber, owner: OwnerId) -> bool:
        """Take a run over from an owner that is gone, or from nobody; of several who try, one gets True."""


class Outbox(Protocol):
    """What people are to be told, and whether they were: durable, each thing once for each recipient and channel.

    A sending belongs to the process that put it and is sent by that one; when the process is gone, another adopts it. An attempt counts
    when it is begun, so that a notice that kills its process cannot do so for ever.
    """

    def put(self, notices: Sequence[NewNotice], *, owner: OwnerId) -> tuple[bool, ...]:
        """Keep notices to be sent; tells which were new. A notice that is known already is left as it is.

        Only where nobody could be reached is a known notice put again: the way may be there now. All or nothing; LimitExceeded.
        """

    def take(
        self, owner: OwnerId, channel: str, *, at: Microseconds, rows_max: int
    ) -> tuple[SendingRow, ...]:
        """Begin an attempt of the owner's sendings that are due in a channel, oldest first."""

    def end(self, ended: Sequence[SendingEnded], *, owner: OwnerId) -> None:
        """Note how attempts ended; one whose sending was taken over meanwhile is passed over."""

    def recall(self, run: RunNumber, path: str, why: Sequence[str], *, at: Microseconds, reason: str) -> int:
        """Say that nobody needs to be told any more; returns how many were waiting. What is being sent is not sent again."""

    def adopt(self, owner: OwnerId, *, at: Microseconds) -> int:
        """Take over what processes left that are gone; returns how many sendings."""

    def next_due(self, owner: OwnerId, channel: str) -> Microseconds | None:
        """When the owner's next sending in a channel is due."""

    def channels_waiting(self, owner: OwnerId) -> tuple[str, ...]:
        """The channels in which something of the owner's waits."""

    def try_again(self, sending: SendingId, *, at: Microseconds) -> bool:
        """Have something that was given up sent again, by whoever comes first; what waits for its next attempt is due at once."""

    def sendings(self, where: SendingFilter | None = None) -> tuple[SendingRow, ...]:
        """List sendings, newest first, one page."""

    def counts(self) -> Mapping[SendingState, int]:
        """Count the sendings by state."""


class Events(Protocol):
    """What arrived from outside: durable before anybody is answered, each delivery once, decided about by one process at a time."""

    def put(self, events: Sequence[NewEvent], *, mark: Mark | None = None) -> tuple[KeptEvent, ...]:
        """Keep events, and move a mark with them; all or nothing, and durable when this returns.

        A delivery that was kept before is counted as a repeat of that event. *mark* is the mark as it shall be, with the version
        that it had; raises StaleMark, LimitExceeded.
        """

    def mark(self, name: str) -> Mark | None:
        """Up to where everything is done; None where nobody has said so yet."""

    def take(self, owner: OwnerId) -> EventRow | None:
        """Begin to decide about the oldest event that waits; None where there is none.

        An event that another living process decides about is passed over. One owner takes one event after the other.
        """

    def settle(self, settled: EventSettled, *, owner: OwnerId) -> bool:
        """Note what was decided; False where another process has taken the event over. What it holds, holds from then on."""

    def due_holds(self, at: Microseconds) -> tuple[EventHold, ...]:
        """What was held back for long enough, in the order of its time."""

    def next_hold(self) -> Microseconds | None:
        """When something that is held back is due next."""

    def release(self, hold: EventHold, reaction: Reaction, *, at: Microseconds) -> bool:
        """Note what a held entry made of its event in the end; False where a later event has taken its place."""

    def again(self, event: EventId) -> bool:
        """Have an event decided about once more; False where that has not happened yet. Raises NotFound."""

    def event(self, event: EventId | Literal["last"]) -> EventRow:
        """Return one event; raises NotFound."""

    def payload(self, event: EventId) -> bytes:
        """Return what an event holds; raises NotFound."""

    def events(self, where: EventFilter | None = None) -> tuple[EventRow, ...]:
        """List events, newest first, one page."""

    def counts(self) -> Mapping[EventState, int]:
        """Count the events by state."""

    def forget(self, before: Microseconds, *, dry_run: bool = False) -> int:
        """Forget the events that were decided about before a moment; returns how many. Start keys stay."""


class Identities(Protocol):
    """Who may sign in, and with what. Every change is noted in the record of acts, in the same transaction."""

    def users(self) -> tuple[UserRow, ...]:
        """List those of whom something is kept, by name."""

    def user(self, name: str) -> UserRow | None:
        """What is kept of somebody."""

    def user_by_subject(self, subject: str) -> UserRow | None:
        """Whom the identity provider means."""

    def write_user(self, row: UserRow, act: IdentityAct) -> None:
        """Keep what is known of somebody, anew; whoever is disabled has no session and no login link from then on."""

    def token(self, token: TokenId) -> TokenRow | None:
        """Return one token, valid or not."""

    def tokens(self, owner: str | None = None) -> tuple[TokenRow, ...]:
        """List the tokens that act for somebody, or all of them, the newest first."""

    def add_token(self, row: TokenRow, act: IdentityAct) -> None:
        """Keep a new token; raises LimitExceeded."""

    def revoke_token(self, token: TokenId, act: IdentityAct) -> bool:
        """Make a token void, with the sessions that began with it; False where it was already."""

    def touch_token(self, token: TokenId, at: Microseconds) -> None:
        """Note when a token was used."""

    def token_makers(self, owner: str) -> frozenset[str]:
        """Who ever made a token that acts for somebody."""

    def session(self, session: SessionId) -> SessionRow | None:
        """Return one session, live or not."""

    def sessions(self, at: Microseconds, owner: str | None = None) -> tuple[SessionRow, ...]:
        """List the sessions that go on at a moment, of one person or of all, the newest first."""

    def add_session(self, row: SessionRow, act: IdentityAct, *, link: LinkId | None = None) -> bool:
        """Begin a session, and use up the login link; False where somebody else has used it up."""

    def end_session(self, session: SessionId, act: IdentityAct) -> bool:
        """End a session; False where it was over already."""

    def touch_session(self, session: SessionId, at: Microseconds) -> None:
        """Note when a session was used."""

    def link(self, link: LinkId) -> LinkRow | None:
        """Return one login link, open or not."""

    def add_link(self, row: LinkRow, act: IdentityAct) -> None:
        """Keep a new login link; what the person had before is void from then on."""

    def acts(self, *, before: int | None = None, rows_max: int = 100) -> tuple[IdentityAct, ...]:
        """List what was done, the newest first, one page."""

    def broken_act(self) -> int | None:
        """The number of the first act that is not what was written, or that follows on one that is gone; None where all hold."""

    def has_done(self, did: str) -> bool:
        """Whether anybody has ever done this."""

    def forget(self, before: Microseconds, *, dry_run: bool = False) -> int:
        """Forget the sessions and login links that were over before a moment; returns how many."""


class Store(Protocol):
    """A data folder that is open."""

    @property
    def reader(self) -> Reader:
        """What may be asked."""

    @property
    def mailbox(self) -> Mailbox:
        """Stimuli between processes."""

    @property
    def owners(self) -> Owners:
        """Who drives which run."""

    @property
    def outbox(self) -> Outbox:
        """What people are to be told."""

    @property
    def events(self) -> Events:
        """What arrived from outside."""

    def open_journal(self, deliver: Deliver, soon: Deliver | None = None) -> Journal:
        """Start the writer; *deliver* is `loop.call_soon_threadsafe`, *soon* is `loop.call_soon`.

        With *soon* a few changes on a quick disk are written at the end of the turn of the loop in which they
        came, without a thread; it is what makes one sequential run nearly as fast as the disk.
        """

    def keep_artifact(self, row: ArtifactRow) -> None:
        """Note that a step kept a file; its bytes are in `Artifacts` already. Doing it twice is harmless."""

    def rebuild(self, projection: Projection) -> int:
        """Write every row of the run list anew from the journal; returns how many."""

    def close(self) -> None:
        """Close every connection."""
