"""What an engine promises; both engines keep it, and differ only in waiting and remembering."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Protocol

from towpath.core.events import AnyEvent
from towpath.core.run import Carried, Json, Micros, Node, Path, Protection, Question, Run, RunId
from towpath.core.stimuli import AnyStimulus
from towpath.definition import model
from towpath.store.contract import Definition, RunNumber, Started, Trial

OriginReason = Literal["child", "retry", "rerun", "rollback", "review"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """The version of a workflow that a run takes where it finds no place among those that try a new one."""

    workflow: model.Workflow
    definition: Definition
    inputs: Mapping[str, Json]
    edited_by: str = ""
    commit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """A run that somebody or something wants; inputs are complete and valid."""

    workflow: model.Workflow
    definition: Definition
    inputs: Mapping[str, Json]
    started_by: str
    edited_by: str = ""
    """Who last edited the definition."""
    break_glass: str = ""
    """The reason of an emergency start, which no gate of an environment holds up."""
    commit: str = ""
    """The Git commit of the project to which the run belongs; empty where the project is a plain folder."""
    event: Json = None
    """What started it, for a trigger."""
    mode: Literal["forward", "rollback"] = "forward"
    continues: RunId | None = None
    """The ended run whose steps *carried* takes over."""
    carried: tuple[Carried, ...] = ()
    start_key: str | None = None
    """At most one run for each key."""
    origin: RunNumber | None = None
    """The run that this one continues, repeats, undoes or is a child of."""
    origin_reason: OriginReason | None = None
    parent: tuple[RunId, Path] | None = None
    run_id: RunId | None = None
    """Given for child runs, whose id follows from their parent; else made by the engine."""
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    trial: Trial | None = None
    """The run tries a new version, of which only so many runs are the first."""
    steady: Steady | None = None
    """What it takes where all of them have started; without it the start is refused then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What became true at once, and the run after it."""

    run: Run
    facts: tuple[AnyEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """Something that whoever watches a run is told, and that is no fact of it."""

    text: str


LadderKind = Literal["reminder", "rung", "expiry"]


class Library(Protocol):
    """Where an engine finds the workflows that others call by name."""

    def find(self, name: str, *, commit: str = "") -> tuple[model.Workflow, Definition]:
        """A workflow as it was at a commit, or its current version without one; raises NotFound or DefinitionError."""

    def edited_by(self, definition: Definition) -> str:
        """Who last edited a definition that was found; empty where nobody knows. May block."""


class People(Protocol):
    """Who may say what, and who is told when, as an engine needs to know it. Called in the loop, but for `read_evidence`."""

    def judge(self, run: Run, stimulus: AnyStimulus) -> None:
        """Raises Refused, with the reason, where the person who says this may not."""

    def next_at(self, node: Node, now: Micros) -> Micros | None:
        """When a question's ladder is due next, not before *now*; None where nothing more will come."""

    def due(self, node: Node, now: Micros) -> tuple[tuple[LadderKind, int], ...]:
        """What of a question's ladder is due and was not told, in order: kind and number."""

    def window_opens_at(self, calendar: str, now: Micros) -> Micros | None:
        """When a calendar's window is open next, *now* where it is; None where it never opens, as it stands."""

    def tell(
        self, number: RunNumber, run: Run, node: Node, *, why: str, times: int, to: tuple[str, ...]
    ) -> None:
        """Has people told; returns at once, and what was told is not told again. Without *to*: who was asked."""

    def protections(self) -> Mapping[str, Protection]:
        """What protected environments ask of a run before its first step in them."""

    def check_start(self, environment: str, now: Micros) -> None:
        """Raises Refused where the environment of a whole run is frozen now, naming the calendar's entry."""

    def review_of(self, number: RunNumber, run: Run) -> StartRequest:
        """The start of the review that an emergency start leaves behind."""

    def read_evidence(self, run: Run, question: Question) -> Mapping[str, Json]:
        """The files that a question shows: name to digest and text. May block."""


class Engine(Protocol):
    """Drives runs; used inside one asyncio loop, as a context manager."""

    async def start(self, request: StartRequest) -> Started:
        """Accepts a run: it is durable when this returns, and begins at once unless it is queued."""

    async def tell(self, run: RunNumber, stimulus: AnyStimulus) -> None:
        """Tells a run of this engine something; its facts are durable when this returns; raises Refused."""

    async def resume(self, run: RunNumber) -> None:
        """Takes over an open run that nobody drives, and goes on with what is outstanding; raises Refused."""

    def watch(self, run: RunNumber) -> AsyncIterator[Step]:
        """The run as it is, and then every step of it, until it has ended."""

    async def until_ended(self, run: RunNumber) -> Run:
        """Waits for the run's end."""
