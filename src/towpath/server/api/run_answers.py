"""What the API answers of runs; the same values that `tow … --json` prints, with every field described."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from towpath.core.run import NodeStatus, RunStatus
from towpath.server.api.told import Json, Told

LifeName = Literal["alive", "stopped", "dead"]


class Run(Told):
    """A run, as lists show it."""

    number: int = Field(description="What people call it.", examples=[12])
    id: str = Field(description="What machines call it.", examples=["3f2a9c1e5b7d8640"])
    workflow: str = Field(description="The workflow's name.", examples=["release"])
    kind: str = Field(description="The workflow's kind.", examples=["deployment"])
    environment: str | None = Field(description="The environment of the whole run.")
    status: RunStatus = Field(description="How far it has come.")
    outcome: str | None = Field(description="What an `end` step called the outcome.")
    message: str | None = Field(description="Why it ended so.")
    waiting_for: str | None = Field(description="What it waits for, in one line.")
    waiting_since: str | None = Field(description="Since when.")
    started_by: str = Field(description="Who or what started it.", examples=["user:ada"])
    accepted_at: str = Field(description="When it was accepted.", examples=["2026-11-22T08:00:00.000Z"])
    ended_at: str | None = Field(description="When it ended; null while it is open.")
    origin: int | None = Field(description="The run that it continues, repeats, undoes, or is a child of.")
    origin_reason: str | None = Field(description="Why: child, retry, rerun, rollback or review.")
    owner: str | None = Field(description="The process that drives it, or did.")
    owner_life: LifeName | None = Field(
        description="Whether that process lives, for an open run: one whose owner is stopped or dead waits for `resume`."
    )
    labels: dict[str, str] = Field(description="Labels.")


class RunPage(Told):
    """Some runs, the newest first."""

    items: list[Run] = Field(description="The runs.")
    next: int | None = Field(description="`before` of the next page; null where this is the last.")


class RunCounts(Told):
    """How many runs there are."""

    by_status: dict[str, int] = Field(description="How many there are in each status.")
    open: int = Field(description="How many have not ended.")
    total: int = Field(description="How many there are.")
    is_complete: bool = Field(
        description="False where there are more than one request looks at: the newest were counted."
    )


class RunError(Told):
    """Why a run or a step failed."""

    kind: str = Field(description="Which kind of error.", examples=["exit"])
    message: str = Field(description="What happened.")
    step: str = Field(default="", description="The path of the step where it arose.")
    exit_code: int | None = Field(default=None, description="How its process ended.")
    outputs: dict[str, Json] | None = Field(default=None, description="What it handed on all the same.")


class Step(Told):
    """A step, or a frame of steps (an item, a round, a branch, a handler), as far as it has come.

    What does not apply is left out.
    """

    path: str = Field(description="Where it stands in the run.", examples=["fleet[web1]/install"])
    status: NodeStatus = Field(description="How far it has come.")
    attempts: int = Field(default=0, description="Attempts so far.")
    started_at: str | None = Field(default=None, description="When it began.")
    ended_at: str | None = Field(default=None, description="When it ended.")
    reason: str | None = Field(default=None, description="Why it ended so, in a word.")
    frame: str | None = Field(
        default=None, description="Which list of a step this runs: item, round, branch, a handler's name."
    )
    undone: bool = Field(default=False, description="Whether it was rolled back.")
    outputs: dict[str, Json] | None = Field(default=None, description="What it handed on.")
    error: RunError | None = Field(default=None, description="Why it failed.")
    question: dict[str, Json] | None = Field(default=None, description="What it asks people.")
    due: str | None = Field(default=None, description="When its timer fires.")


class Wait(Told):
    """One reason why a run does not go on by itself."""

    step: str = Field(description="The step that waits; empty for the run as a whole.")
    reason: str = Field(description="Why, in words.", examples=["asks group:shop: Go live?"])
    since: str | None = Field(description="Since when.")
    until: str | None = Field(description="Until when at most.")
    then: str = Field(description="What happens then.")
    asks: bool = Field(description="Whether people are asked.")


class DefinitionRef(Told):
    """The definition that a run started with."""

    digest: str = Field(description="The sha256 of its text.")
    path: str | None = Field(description="The file that it came from.")
    commit: str | None = Field(description="The Git commit that it came from.")


class Owner(Told):
    """The process that drives a run."""

    id: str = Field(description="Its id.")
    pid: int = Field(description="Its process id.")
    host: str = Field(description="Its machine.")
    command: str = Field(description="What it was started as.", examples=["tow up"])
    started_at: str = Field(description="When it began.")
    life: LifeName = Field(description="Whether it lives.")


class Links(Told):
    """Where more is told of a run."""

    self: str = Field(description="The run itself.")
    events: str = Field(description="Its facts.")
    steps: str = Field(description="Its steps.")
    graph: str = Field(description="Its picture.")
    logs: str = Field(description="What its steps printed.")
    artifacts: str = Field(description="The files that it kept.")
    children: str = Field(description="The runs that came of it.")
    origin: str | None = Field(description="The run that it came of.")
    definition: str = Field(description="The definition that it started with.")


class RunDetail(Run):
    """A run with its state, now or as it was when its first `sequence` facts were true."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    inputs: dict[str, Json] = Field(description="What it was given.")
    outputs: dict[str, Json] | None = Field(description="What it handed on.")
    error: RunError | None = Field(description="Why it failed.")
    steps: list[Step] = Field(description="Its steps in the order in which they began, the first of them.")
    steps_more: int = Field(description="How many more there are; `steps` lists them page by page.")
    sequence: int = Field(description="How many of its facts this state is made of.")
    last_sequence: int = Field(description="How many facts there are.")
    mode: Literal["forward", "rollback"] = Field(
        description="Whether it does something, or undoes another run."
    )
    break_glass: str = Field(
        description="Why it passed the gates of its environments; empty where it did not."
    )
    edited_by: str = Field(description="Who last edited its definition.")
    definition: DefinitionRef = Field(description="What it runs.")
    waits: list[Wait] = Field(description="Everything that it waits for, questions to people first.")
    owner_process: Owner | None = Field(description="Who drives it, or did, while it is open.")
    links: Links = Field(description="Where more is told of it.")


class StepPage(Told):
    """Some steps of a run, in the order in which they began."""

    items: list[Step] = Field(description="The steps.")
    next: int | None = Field(description="`after` of the next page; null where this is the last.")
    total: int = Field(description="How many there are, as far as they fit.")
    sequence: int = Field(description="How many of the run's facts this state is made of.")


class Fact(Told):
    """A fact of a run, with all fields of its kind: the reference of events describes them.

    Its fields without the first three are the event as the journal has it: whoever folds them gets the state.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    run_number: int = Field(description="Its run.")
    sequence: int = Field(description="Its place among the facts of the run, from 1.")
    time: str = Field(description="When it became true.")
    event: str = Field(description="Which kind of fact.", examples=["step_ended"])
    at: int = Field(description="When it became true, in microseconds since 1970, UTC.")


class FactPage(Told):
    """Some facts of a run, in their order."""

    items: list[Fact] = Field(description="The facts.")
    next: int | None = Field(description="`after` of the next page; null where these are the last so far.")
    last_sequence: int = Field(description="The last fact that there is.")
