"""What the facts say and the state does not keep: since when a step waits, when its attempt began, which items failed."""

from __future__ import annotations

from collections.abc import Iterable

from towpath.core import events
from towpath.core.evolve import parent_path
from towpath.core.run import Micros, Path

FAILED_KEPT_MAX = 50
"""Failed items of one `each` that are kept for showing."""


class Chronicle:
    """A fold over the facts of one run, beside its state."""

    def __init__(self, facts: Iterable[events.AnyEvent] = ()) -> None:
        self.since: dict[Path, Micros] = {}
        """When the step began to wait as it does now."""
        self.attempt_at: dict[Path, Micros] = {}
        """When the attempt that is going on began."""
        self.failed_items: dict[Path, dict[Path, None]] = {}
        """The failed frames of every `each`, in the order of failing."""
        self.stop: events.StopRequested | None = None
        """The latest stop of the whole run."""
        self.note(facts)

    def copy(self) -> Chronicle:
        """The same, to be folded on without this one knowing."""
        made = Chronicle()
        made.since = dict(self.since)
        made.attempt_at = dict(self.attempt_at)
        made.failed_items = {path: dict(failed) for path, failed in self.failed_items.items()}
        made.stop = self.stop
        return made

    def note(self, facts: Iterable[events.AnyEvent]) -> None:
        """Takes in what became true."""
        for fact in facts:
            match fact:
                case events.StepStarted():
                    self.attempt_at[fact.path] = fact.at
                    self.since.pop(fact.path, None)
                case events.WaitStarted() | events.PeopleAsked() | events.StepRetrying():
                    self.since[fact.path] = fact.at
                case events.StepEnded():
                    self._ended(fact)
                case events.StepsReset():
                    self._reset(fact)
                case events.StopRequested() if not fact.path:
                    self.stop = fact
                case _:
                    pass

    def _ended(self, fact: events.StepEnded) -> None:
        self.since.pop(fact.path, None)
        self.attempt_at.pop(fact.path, None)
        if fact.status == "failed" and fact.path.endswith("]"):
            failed = self.failed_items.setdefault(parent_path(fact.path) or "", {})
            if len(failed) < FAILED_KEPT_MAX:
                failed[fact.path] = None

    def _reset(self, fact: events.StepsReset) -> None:
        for failed in self.failed_items.values():
            for path in fact.paths:
                failed.pop(path, None)
