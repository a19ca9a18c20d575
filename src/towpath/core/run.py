"""The state of a run: the fold of its events.

A run is a tree of nodes kept in one persistent map from path to node. Every step that has begun has a node; so has every
*frame*, a list of steps that runs in order: the item of an `each` (`fleet[web1]`), the round of a `repeat` (`poll[3]`), the
branch of a `choose` (`pick[1]`), and the handlers of a step (`install~rollback`, `install~catch`, and `~finally` of the run
itself). The root frame has the empty path.

Sharing structure keeps the cost of one event independent of how many nodes there are. Times are microseconds since the epoch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NewType, TypeAlias

import immutables
import msgspec

RunId = NewType("RunId", str)
Path: TypeAlias = str
Micros: TypeAlias = int
Json: TypeAlias = Any  # what JSON can say; Python has no recursive alias that every checker follows

ROOT: Path = ""

RunStatus: TypeAlias = Literal[
    "queued",
    "running",
    "waiting",
    "succeeded",
    "partially_succeeded",
    "failed",
    "rolled_back",
    "rollback_failed",
    "rejected",
    "cancelled",
    "skipped",
]
END_STATES: frozenset[str] = frozenset(
    {
        "succeeded",
        "partially_succeeded",
        "failed",
        "rolled_back",
        "rollback_failed",
        "rejected",
        "cancelled",
        "skipped",
    }
)
"""Run states that never change. `skipped` is a run whose concurrency group was full with `when_full: skip`."""

NodeStatus: TypeAlias = Literal[
    "open",
    "performing",
    "retrying",
    "waiting",
    "asking",
    "succeeded",
    "failed",
    "skipped",
    "cancelled",
    "reset",
]
OPEN_STATUSES: frozenset[str] = frozenset({"open", "performing", "retrying", "waiting", "asking"})
GOOD_STATUSES: frozenset[str] = frozenset({"succeeded", "skipped"})

Phase: TypeAlias = Literal["body", "rollback", "catch", "ask", "on_failure", "finally"]
Outcome: TypeAlias = Literal["succeeded", "failed", "cancelled"]
Stage: TypeAlias = Literal["main", "check"]
ErrorKind: TypeAlias = Literal[
    "exit",
    "timeout",
    "interrupted",
    "unreachable",
    "denied",
    "conflict",
    "invalid",
    "rejected",
    "policy",
    "cancelled",
    "unanswered",
]


class Error(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Why a step failed; what `error` reads in expressions."""

    kind: str
    message: str
    step: Path = ""
    exit_code: int | None = None
    outputs: Mapping[str, Json] | None = None


class SecretUse(msgspec.Struct, frozen=True, gc=False):
    """A place in a step's values where text with secrets has to be put at the moment of use.

    *at* leads from the work to the place; *parts* alternate between plain text and names of secrets.
    """

    at: tuple[str | int, ...]
    parts: tuple[tuple[Literal["text", "secret"], str], ...]


class Work(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What one attempt is to do, its expressions evaluated and its secrets still references.

    The script or the action itself stands in the definition, which never changes.
    """

    env: Mapping[str, str] = {}
    with_: Mapping[str, Json] = msgspec.field(name="with", default_factory=dict)
    stdin: str | None = None
    cwd: str | None = None
    container: str | None = None
    environment: str | None = None
    artifacts: tuple[str, ...] = ()
    secrets: tuple[SecretUse, ...] = ()


class Question(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What people are asked; *digest* binds an approval to definition, inputs and evidence."""

    kind: Literal["approval", "task", "failure", "unknown", "rollback"]
    text: str
    choices: tuple[str, ...]
    who: tuple[str, ...] = ()
    quorum: int = 1
    four_eyes: bool = False
    instructions: str | None = None
    evidence: Mapping[str, Json] = {}
    form: Mapping[str, Json] = {}
    digest: str = ""
    due: Micros | None = None
    """When silence counts, where no calendar has a say."""
    if_unanswered: str | None = None
    send_back_to: str | None = None
    asked_at: Micros = 0
    answer_within: Micros | None = None
    """How long people have; with `hours`, in open hours of that calendar."""
    remind: Micros | None = None
    """How often they are reminded."""
    escalate: tuple[tuple[Micros, tuple[str, ...]], ...] = ()
    """The rungs: how long after the question, and who is told and may answer from then on."""
    hours: str | None = None
    """The calendar in whose open hours reminders, rungs and the time limit count."""
    files: Mapping[str, str] = {}
    """Evidence in files of the workspace: name to path; their digests and text join the evidence."""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What one person said, and when."""

    by: str
    decision: str
    at: Micros
    comment: str = ""
    form: Mapping[str, Json] = {}
    via: str = ""


class Awaited(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What a `wait` step waits for."""

    kind: Literal["time", "window", "event", "signal", "environment", "place"]
    name: str = ""
    due: Micros | None = None


class Protection(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What an environment asks of a run before its first step in it, as the project said when the run started."""

    who: tuple[str, ...] = ()
    """Who has to approve; nobody where it is empty."""
    quorum: int = 1
    four_eyes: bool = True
    answer_within: Micros | None = None
    if_unanswered: str | None = None
    has_window: bool = False
    """Whether calendars say when, or when not."""
    places: int | None = None
    """How many runs may be in it at once; None where that is not limited."""
    when_full: Literal["queue", "skip", "replace"] = "queue"
    """What a run does that finds no place."""


class Node(msgspec.Struct, frozen=True, gc=False):
    """One step, or one frame of steps, as far as it has come."""

    path: Path
    plan: int
    """The static step in the plan; for a frame, the step that it belongs to (-1: the run)."""
    frame: str = ""
    """Which list of the step a frame runs: `item`, `round`, `branch`, a handler's name, `run`; empty for a step."""
    status: NodeStatus = "open"
    phase: Phase = "body"
    attempt: int = 0
    """Attempts so far, never reset: with the path it makes an attempt's id."""
    tries: int = 0
    """Attempts since the step was last started afresh; the retry rule counts these."""
    stage: Stage = "main"
    started_at: Micros = 0
    ended_at: Micros = 0
    started_sequence: int = 0
    stopping: bool = False
    """A stop was asked for; the attempt's end is awaited."""
    outcome: Outcome | None = None
    """How the body ended, while handlers still run."""
    settled: bool = False
    """A failure was settled: by `catch`, by `on_failure: continue` or by a person's skip."""
    reason: str = ""
    outputs: Mapping[str, Json] | None = None
    error: Error | None = None
    started: bool = False
    """The step itself, not only its check, was started: there may be something to undo."""
    undone: bool = False
    undid: bool = False
    """Something in the node was rolled back, and no settled failure stands between."""
    carried: bool = False
    cursor: int = 0
    """Sequence: the next position. Each: the next item. Repeat: the round. Rollback: the next path to undo."""
    active: int = 0
    """Children that are open."""
    failed: int = 0
    """Children that failed and were not settled."""
    items: tuple[tuple[str, Json], ...] | None = None
    """Each: key and value of every item."""
    position: int = 0
    """A frame of an `each` or a `repeat`: which item or round, from 0."""
    value: Json = None
    """A frame of an `each`: its item."""
    undo: tuple[Path, ...] = ()
    """What the rollback phase undoes, in order; the cursor walks it."""
    work: Work | None = None
    question: Question | None = None
    answers: tuple[Answer, ...] = ()
    told_reminders: int = 0
    """Reminders of the question that were sent."""
    told_rungs: int = 0
    """Rungs of its escalation that were reached."""
    claimed_by: str = ""
    handed_to: tuple[str, ...] = ()
    """Who may answer because somebody who might handed it over."""
    comments: tuple[tuple[str, Micros, str], ...] = ()
    """Who said what, when, without deciding."""
    awaited: Awaited | None = None
    due: Micros | None = None
    """When the timer of this node fires: retry, wait, answer, next round."""
    timeout_at: Micros | None = None
    """When a block's time is up."""
    child: RunId | None = None

    @property
    def is_open(self) -> bool:
        """Whether the node has not ended yet."""
        return self.status in OPEN_STATUSES

    @property
    def went_well(self) -> bool:
        """Whether what follows may go on."""
        return self.status in GOOD_STATUSES or self.settled


class Carried(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A step that ended well in the run that this one continues."""

    path: Path
    plan: int
    status: NodeStatus
    frame: str = ""
    outputs: Mapping[str, Json] | None = None
    attempt: int = 0
    started_at: Micros = 0
    ended_at: Micros = 0
    started: bool = False
    items: tuple[tuple[str, Json], ...] | None = None
    cursor: int = 0
    reason: str = ""
    position: int = 0
    value: Json = None


class Undo(msgspec.Struct, frozen=True, gc=False):
    """The steps that were started and can be undone, the newest first, as a shared list."""

    path: Path
    sequence: int
    older: Undo | None


class Run(msgspec.Struct, frozen=True, gc=False):
    """One run of a workflow, as far as it has come."""

    id: RunId
    plan: Any  # core.plan.Plan: the compiled definition, not part of any event
    sequence: int = 0
    state: Literal["new", "queued", "open", "ended"] = "new"
    end_state: RunStatus = "succeeded"
    """Which end state, once the state is `ended`."""
    mode: Literal["forward", "rollback"] = "forward"
    inputs: Mapping[str, Json] = {}
    vars: Mapping[str, Json] = {}
    environment: str = ""
    started_by: str = ""
    edited_by: str = ""
    """Who last edited the definition."""
    url: str = ""
    event: Json = None
    accepted_at: Micros = 0
    ended_at: Micros = 0
    continues: RunId | None = None
    parent: tuple[RunId, Path] | None = None
    group: str | None = None
    nodes: immutables.Map[Path, Node] = immutables.Map()
    leaves: immutables.Map[Path, None] = immutables.Map()
    """Open nodes that wait for the world: performing, retrying, waiting or asking."""
    performing: int = 0
    """Leaves that a performer works on."""
    stops: immutables.Map[Path, str] = immutables.Map()
    """Subtrees that are being stopped, with the reason."""
    undo: Undo | None = None
    protections: Mapping[str, Protection] = {}
    """The environments that have a gate."""
    entered: frozenset[str] = frozenset()
    """The environments whose gate is open."""
    break_glass: str = ""
    """Why the gates do not count in this run; empty where they do."""
    commit: str = ""
    """The Git commit of the project that the run belongs to, its steps' folder included; empty where the project is a plain folder."""
    signals: tuple[tuple[str, str, Json], ...] = ()
    """Signals and events that came before anybody waited: (kind, name, payload)."""
    rolls_back: bool = True
    """Whether failing scopes roll back."""
    rollback_failed: bool = False
    partial: bool = False
    """A failure was passed over by `on_failure: continue` or a person's skip."""
    ending: tuple[str, str | None, str | None] | None = None
    """What an `end` step, or a stop, decided: status, outcome, message."""
    outcome: str | None = None
    message: str | None = None
    outputs: Mapping[str, Json] | None = None
    error: Error | None = None

    @property
    def has_ended(self) -> bool:
        """Whether the run is in an end state."""
        return self.state == "ended"

    @property
    def status(self) -> RunStatus:
        """The run's status: an end state, `queued`, `running` while something is performed, else `waiting`."""
        if self.state == "ended":
            return self.end_state
        if self.state != "open":
            return "queued"
        return "waiting" if self.leaves and not self.performing else "running"

    def node(self, path: Path) -> Node | None:
        """The node at *path*, or None where nothing has begun."""
        return self.nodes.get(path)

    def stop_reason(self, path: Path) -> str | None:
        """Why the subtree that *path* stands in is being stopped; None where it is not, or is an undoing or last step."""
        end = len(path)
        while True:
            reason = self.stops.get(path[:end])
            if reason is not None or end == 0:
                return reason
            cut = max(path.rfind("/", 0, end), path.rfind("~", 0, end), path.rfind("[", 0, end), 0)
            if path[cut:end] in PROTECTED:
                return None
            end = cut

    def open_leaves(self, below: Path = ROOT) -> list[Node]:
        """The open leaves in the subtree of *below*, itself included, in the order in which they started."""
        found = [self.nodes[path] for path in self.leaves if is_within(path, below)]
        return sorted(found, key=_start_order)


PROTECTED = frozenset({"~rollback", "~finally"})
"""Handlers that run to their end although the scope around them is being stopped."""


def is_protected(path: Path, scope: Path) -> bool:
    """Whether *path* stands in an undoing or a last step below *scope*."""
    return any(handler in PROTECTED for handler in re.findall(r"~[a-z_]+", path[len(scope) :]))


def _start_order(node: Node) -> tuple[int, Path]:
    return node.started_sequence, node.path


def is_within(path: Path, scope: Path) -> bool:
    """Whether *path* is *scope* or stands in its subtree."""
    return not scope or path == scope or (path.startswith(scope) and path[len(scope)] in "/[~")
