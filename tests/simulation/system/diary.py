"""What those outside were told: which starts and sayings were accepted, and which were refused. It is held against the journal."""

from __future__ import annotations

from dataclasses import dataclass, field

from towpath.core.stimuli import AnyStimulus
from towpath.store.contract import MessageId, RunNumber, Started


@dataclass(slots=True, kw_only=True)
class StartTold:
    """A start, and what was answered."""

    act: int
    key: str
    workflow: str
    started: Started | None = None
    refused: str = ""


@dataclass(slots=True, kw_only=True)
class Saying:
    """Something that was said to a run, and what was answered."""

    mark: str
    """Stands in the event that it causes, and in no other."""
    run: RunNumber
    stimulus: AnyStimulus
    letter: MessageId | None = None
    accepted: bool = False
    refused: str = ""


@dataclass(slots=True)
class Diary:
    """Everything that was answered."""

    starts: list[StartTold] = field(default_factory=list)
    sayings: list[Saying] = field(default_factory=list)

    def new_mark(self) -> str:
        """A mark that was not used before."""
        return f"(said {len(self.sayings) + 1})"
