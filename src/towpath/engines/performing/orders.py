"""What a performer is given, and the log that it writes while it works."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from types import MappingProxyType

from towpath.core.commands import PerformStep
from towpath.core.plan import Plan, PlanStep
from towpath.core.run import Error, Json, Run, RunId
from towpath.steps.secrets import Masker
from towpath.store.contract import RunNumber
from towpath.store.logs import Logs, StepLog

WORKSPACE = "files"
"""The folder of a run in which its steps work, where it has one of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One attempt that is to be performed, with what it needs to know of its run."""

    number: RunNumber
    run: RunId
    plan: Plan
    planned: PlanStep
    command: PerformStep
    started_by: str
    commit: str = ""
    """The commit of the project that the run belongs to."""
    state: Run | None = None
    """The run when the attempt began, for the action that rehearses what follows; None where an engine does not tell."""

    @property
    def place(self) -> str:
        """The environment in which the step runs; the core leaves it out where its gate is not open."""
        return self.command.work.environment or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an attempt ended, before what is secret in it is masked."""

    outputs: Mapping[str, Json] = field(default_factory=lambda: MappingProxyType({}))
    error: Error | None = None
    done: bool | None = None
    """A check's answer."""
    is_complete: bool = False
    """There is a whole answer although there is an *error*: `success_when` may call it a success."""


class AttemptLog:
    """The log of one attempt; it costs nothing until the first line comes."""

    __slots__ = ("_log", "_logs", "_masker", "_order")

    def __init__(self, logs: Logs, order: Order, masker: Callable[[], Masker]) -> None:
        self._logs = logs
        self._masker = masker
        self._order = order
        self._log: StepLog | None = None

    def write(self, stream: str, data: bytes) -> None:
        """Appends what a process wrote, masked already."""
        self._open().write(stream, data)  # type: ignore[arg-type] # the runner's names are the log's

    def say(self, text: str) -> None:
        """Appends what Towpath or an action says; it is masked here."""
        self._open().say(self._masker().text(text))

    def _open(self) -> StepLog:
        if self._log is None:
            command = self._order.command
            self._log = self._logs.step(self._order.number, command.path, command.attempt)
        return self._log


def is_ours_alone(folder: FilePath) -> bool:
    """Whether a folder is a real one that this user owns and nobody else may enter."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return True  # there is none: nobody else's is in the way
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
