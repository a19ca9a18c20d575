"""A project, runs and a clock in memory, for the tests of what arrives."""

from __future__ import annotations

import hashlib
import hmac
import json
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from towpath.core.run import Run, RunId
from towpath.core.stimuli import Signalled
from towpath.definition import loader
from towpath.engines.contract import StartRequest
from towpath.errors import NotFound
from towpath.store.contract import Definition, EventRow, RunNumber, RunRow, Started
from towpath.store.memory import MemoryStore
from towpath.triggers import Decider, Inbox, RawRequest, Wanted
from towpath.triggers.contract import Broken, Listener

SECOND = 1_000_000
NOW = 1_700_000_000 * SECOND
SECRETS = {
    "github_webhook": "hush",
    "deploy": "opensesame",
    "other": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}


@dataclass
class FakeProject:
    """Workflows from texts, and a few secrets."""

    found: list[Listener | Broken] = field(default_factory=list)
    open_hours: bool = True

    def add(self, name: str, on: str, *, names_secrets: bool = False, inputs: str = "") -> None:
        """Adds a workflow."""
        entries = textwrap.indent(textwrap.dedent(on).strip(), "  ")
        text = f"name: {name}\n{inputs}on:\n{entries}\nsteps: [{{run: make}}]\n"
        self.found.append(Listener(workflow=loader.load_workflow(text).workflow, names_secrets=names_secrets))

    def listeners(self) -> Sequence[Listener | Broken]:
        """Every workflow."""
        return self.found

    def request(self, wanted: Wanted) -> StartRequest:
        """The start of a run."""
        known = {one.workflow.name: one for one in self.found if isinstance(one, Listener)}
        return StartRequest(
            workflow=known[wanted.workflow].workflow,
            definition=Definition(digest="d", text=""),
            inputs=wanted.inputs,
            started_by=wanted.started_by,
            start_key=wanted.start_key,
        )

    def secret(self, name: str) -> str:
        """The value of a secret."""
        if name not in SECRETS:
            raise NotFound(f"there is no secret {name}")
        return SECRETS[name]

    def is_open(self, calendar: str, at: int) -> bool:
        """Whether a calendar is open."""
        assert (calendar, at > 0) == ("office", True)
        return self.open_hours


@dataclass
class FakeRuns:
    """Runs that are only counted."""

    keys: dict[str, int] = field(default_factory=dict)
    wanted: list[Wanted] = field(default_factory=list)
    told: list[tuple[int, Signalled]] = field(default_factory=list)
    waiting: list[tuple[RunRow, Run]] = field(default_factory=list)
    error: Exception | None = None

    async def start(self, wanted: Wanted) -> Started:
        """Starts a run, once for each key."""
        if self.error is not None:
            raise self.error
        existing = wanted.start_key in self.keys
        number = self.keys.setdefault(wanted.start_key, len(self.keys) + 1)
        if not existing:
            self.wanted.append(wanted)
        return Started(number=RunNumber(number), id=RunId(f"r{number}"), existing=existing)

    def open_runs(self, kinds: Sequence[str]) -> Iterable[tuple[RunRow, Run]]:
        """The runs that wait."""
        assert kinds
        return self.waiting

    def was_told(self, row: RunRow, by: str) -> bool:
        """Whether a run was told by this one."""
        return any(number == row.number and told.by == by for number, told in self.told)

    async def tell(self, row: RunRow, stimulus: Signalled) -> None:
        """Notes what a run is told."""
        if self.error is not None:
            raise self.error
        self.told.append((row.number, stimulus))


class World:
    """A store, a project, runs, a clock that is wound by hand, and one process that decides."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.project = FakeProject()
        self.runs = FakeRuns()
        self.at = NOW
        self.inbox = Inbox(self.store.events, self.project, now=lambda: self.at)
        self.decider = self.another_decider()

    def another_decider(self, store: MemoryStore | None = None) -> Decider:
        """Another process that decides, with a view of its own on the store."""
        store = store or self.store.another()
        owner = store.owners.enter("test")
        return Decider(store.events, self.project, self.runs, owner=owner, now=lambda: self.at)

    def row(self, number: Any = "last") -> EventRow:
        """An event as it is kept."""
        return self.store.events.event(number)

    def made_of(self, number: Any = "last") -> list[tuple[str, int | None, str]]:
        """Who made what of an event: workflow, run, and why none."""
        return [(one.workflow, one.run, one.because) for one in self.row(number).reactions]


def push(
    *, delivery: str = "d1", secret: str = "hush", signature: str | None = None, **payload: Any
) -> RawRequest:
    """A signed delivery of GitHub."""
    said = {"ref": "refs/heads/main", "after": "abc", "repository": {"full_name": "octo/shop"}, **payload}
    body = json.dumps(said).encode()
    made = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": delivery, "Content-Type": "application/json"}
    return RawRequest(
        path="/github", headers={**headers, "X-Hub-Signature-256": signature or made}, body=body
    )
