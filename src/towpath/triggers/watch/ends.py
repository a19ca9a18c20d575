"""Runs that have ended are looked for in the news of the store, and each end that a trigger asks for becomes an event.

The mark is the position in the news up to which everything was looked at; it moves in the transaction that keeps the events. A run is
known by its id, so one that changes once more after its end, or a mark that was lost, repeats nothing. The first look starts nothing.

A run may start a run that starts a run: how long that chain is stands in the event, and at `RUN_CHAIN_MAX` it ends. Two workflows that
start each other would go on for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from towpath.core.run import END_STATES, Json, Micros, Run
from towpath.definition.triggers import RunEnded
from towpath.store.contract import Events, Mark, NewEvent, News, RunNumber, RunRow, StaleMark
from towpath.triggers import filters, listening
from towpath.triggers.contract import Project, RunFacts
from towpath.triggers.inbox import local_event
from towpath.triggers.payloads import source_named

if TYPE_CHECKING:
    from towpath.triggers.watch.watcher import Looked

_LOG = logging.getLogger(__name__)
NEWS_MAX: Final = 500
"""Changes that one look goes through; the next look takes the next."""
ORIGINS_MAX: Final = 100
"""How far back the beginning of a run is looked for: through retries, and through the runs that it is a part of."""
STARTED_BY: Final = "trigger:run"
MARK: Final = "runs/ended"
_SOURCE = source_named("run")


class Runs(Protocol):
    """The runs of the data folder, as far as their ends are looked for."""

    def news(self, *, after: int, rows_max: int = ...) -> tuple[News, ...]:
        """What has changed behind a position, in order."""

    def last_news(self) -> int:
        """The position of the last change."""

    def runs_of(self, numbers: Collection[int]) -> tuple[RunRow, ...]:
        """The runs with these numbers."""

    def run(self, name: str | RunNumber) -> RunRow:
        """One run; raises NotFound."""


class Ends:
    """Keeps an event for every end of a run that a trigger asks for."""

    def __init__(
        self,
        events: Events,
        project: Project,
        runs: Callable[[], Runs],
        *,
        load: Callable[[RunRow], Run],
        now: Callable[[], Micros],
    ) -> None:
        self._events = events
        self._project = project
        self._runs = runs
        self._load = load
        self._now = now

    def look(self) -> Looked:
        """Look at what has changed since the last look; what is kept is durable when this returns."""
        from towpath.triggers.watch.watcher import Looked

        runs = self._runs()
        mark = self._events.mark(MARK)
        if mark is None:
            self._put((), Mark(name=MARK, value=str(runs.last_news()).encode()))
            return Looked()
        news = runs.news(after=int(mark.value), rows_max=NEWS_MAX)
        if not news:
            return Looked()
        asked = tuple(self._asked_for())
        numbers = {one.number for one in news if one.about == "run"}
        ended = [row for row in self._rows(numbers) if row.summary.status in END_STATES]
        events = [self._event(row) for row in ended if _is_asked_for(row, asked)]
        self._put(events, Mark(name=MARK, value=str(news[-1].position).encode(), version=mark.version))
        return Looked(kept=len(events), next_at=self._now() if len(news) == NEWS_MAX else None)

    def _rows(self, numbers: Collection[int]) -> Sequence[RunRow]:
        """The runs in the order in which they were accepted."""
        return sorted(self._runs().runs_of(numbers), key=lambda row: row.number) if numbers else ()

    def _asked_for(self) -> Iterator[RunEnded]:
        for _, trigger in listening.entries(self._project.listeners()):
            if isinstance(trigger.settings, RunEnded):
                yield trigger.settings

    def _put(self, events: Sequence[NewEvent], mark: Mark) -> None:
        try:
            self._events.put(events, mark=mark)
        except StaleMark:
            return  # another process was quicker, and has kept the same

    def _event(self, row: RunRow) -> NewEvent:
        summary = row.summary
        payload: dict[str, Json] = {
            "id": row.id,
            "number": row.number,
            "workflow": row.workflow,
            "status": summary.status,
            "outcome": summary.outcome,
            "message": summary.message,
            "environment": row.environment,
            "kind": row.kind,
            "started_by": row.started_by,
            "origin": row.origin,
            "origin_reason": row.origin_reason,
            "labels": dict(row.labels),
            **self._of_run(row),
        }
        return local_event(_SOURCE, payload, kind="run", at=self._now())

    def _of_run(self, row: RunRow) -> dict[str, Json]:
        """What only the run itself knows; one that cannot be read tells less, and keeps nobody else's end back."""
        try:
            run = self._load(row)
            return {
                "chain": self._chain(row),
                "inputs": dict(run.inputs),
                "outputs": dict(run.outputs or {}),
                "error": None if run.error is None else run.error.message,
            }
        except Exception:  # noqa: BLE001 - one poisonous run must not keep back the ends of others
            _LOG.exception("trigger.run_not_read run=%s", row.number)
            return {"chain": 1, "inputs": {}, "outputs": {}, "error": None}

    def _chain(self, row: RunRow) -> int:
        """How many runs started one another up to the end of this one: 1 for a run that no run's end has started."""
        for _ in range(ORIGINS_MAX):
            if row.started_by == STARTED_BY or row.origin is None:
                break
            row = self._runs().run(row.origin)
        event = self._load(row).event if row.started_by == STARTED_BY else None
        known = event.get("chain") if isinstance(event, dict) else 0
        return (known if isinstance(known, int) else 0) + 1


def _is_asked_for(row: RunRow, asked: Sequence[RunEnded]) -> bool:
    facts = RunFacts(workflow=row.workflow, status=row.summary.status)
    return any(not filters.refusal(settings, facts) for settings in asked)
