"""What an event starts: every entry of `on:` is asked, runs are started, waiting runs are told, and all of it is noted.

One event after the other, in the order in which they came. An event is taken before it is decided about, so that
one that ends its process is noticed: after `ATTEMPTS_MAX` such ends it is left alone. Whatever happens in between,
nothing starts twice: runs have start keys, and a run that was told of an event carries its number.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Protocol

import msgspec

from towpath.core import stimuli
from towpath.core.names import names_for
from towpath.core.run import Json, Micros, Node, Run
from towpath.errors import ExpressionError, StoreUnavailable, TowpathError
from towpath.store.contract import (
    EventHold,
    EventId,
    EventRow,
    Events,
    EventSettled,
    OwnerId,
    Reaction,
    RunRow,
    Started,
)
from towpath.triggers import matching, payloads
from towpath.triggers.contract import Event, Listener, Project, Reading, Verdict, Verified, Wanted, Way

_LOG = logging.getLogger(__name__)
ATTEMPTS_MAX = 5
"""How often an event is begun that ends the process which decides about it."""
WAITING_RUNS_MAX = 1_000
"""Runs that one event lets go on."""


class Runs(Protocol):
    """The runs of the data folder, as far as events are about them."""

    async def start(self, wanted: Wanted) -> Started:
        """Start a run, or find the one that the same key has started; it is durable when this returns. Raises TowpathError."""

    def open_runs(self, kinds: Sequence[str]) -> Iterable[tuple[RunRow, Run]]:
        """The open runs in which a step may wait for an event of one of these kinds; too many do no harm."""

    def was_told(self, row: RunRow, by: str) -> bool:
        """Whether a run has been told something by this one."""

    async def tell(self, row: RunRow, stimulus: stimuli.Signalled) -> None:
        """Tell a run something; it is durable when this returns. Raises Refused."""


class Decider:
    """Decides about what has arrived, for one owner, one event after the other."""

    def __init__(
        self, events: Events, project: Project, runs: Runs, *, owner: OwnerId, now: Callable[[], Micros]
    ) -> None:
        self._events = events
        self._project = project
        self._runs = runs
        self._owner = owner
        self._now = now

    async def work(self) -> tuple[EventId, ...]:
        """Decide about everything that waits, and about what was held back for long enough; gives the events, in order."""
        done: list[EventId] = []
        while (row := self._events.take(self._owner)) is not None:
            await self._decide_safely(row)
            done.append(row.id)
        for hold in self._events.due_holds(self._now()):
            await self._release_safely(hold)
            done.append(hold.event)
        return tuple(done)

    async def _decide_safely(self, row: EventRow) -> None:
        """Decide about an event; one that breaks something has failed, and stops none of those behind it."""
        try:
            await self._decide(row)
        except StoreUnavailable:
            raise  # nothing was kept, and nothing can be: the event waits
        except Exception as error:  # noqa: BLE001 - the edge of an event: what goes wrong with it is told with it
            why = _told(row.id, error)
            self._settle(EventSettled(event=row.id, at=self._now(), because=why, state="failed"))

    async def _decide(self, row: EventRow) -> None:
        if row.attempts > ATTEMPTS_MAX:
            why = f"the process that decided about it ended {ATTEMPTS_MAX} times"
            self._settle(EventSettled(event=row.id, at=self._now(), because=why, state="failed"))
            return
        event, reading = self._read(row)
        judged = matching.judge(event, reading, self._project.listeners())
        holds: list[EventHold] = []
        reactions: list[Reaction] = []
        for verdict in judged.verdicts:
            if verdict.wanted is not None and verdict.debounce is not None:
                hold = _hold(verdict, row, verdict.debounce)
                holds.append(hold)
                reactions.append(_reaction(verdict, held_until=hold.due_at))
            else:
                reactions.append(await self._react(verdict))
        reactions += [told async for told in self._tell_waiting(row, event, reading)]
        because = "" if any(one.run is not None for one in reactions) else judged.note
        self._settle(
            EventSettled(
                event=row.id,
                at=self._now(),
                reactions=tuple(reactions),
                because=because,
                holds=tuple(holds),
            )
        )

    def _settle(self, settled: EventSettled) -> None:
        # Where another process has taken the event over it comes to the same: keys and numbers are the same.
        self._events.settle(settled, owner=self._owner)

    def _read(self, row: EventRow) -> tuple[Event, Reading]:
        """An event and what it is, from what is kept of it; raises Malformed."""
        event = event_of(row, msgspec.json.decode(self._events.payload(row.id)))
        return event, payloads.read(event)

    async def _react(self, verdict: Verdict) -> Reaction:
        if verdict.wanted is None:
            return _reaction(verdict, because=verdict.because, is_failure=verdict.is_failure)
        try:
            started = await self._runs.start(verdict.wanted)
        except StoreUnavailable:
            raise  # nothing was kept, and nothing can be: the event waits
        except TowpathError as problem:
            return _reaction(verdict, because=problem.message, is_failure=True)
        return _reaction(verdict, run=int(started.number), existing=started.existing)

    async def _release_safely(self, hold: EventHold) -> None:
        """Start what was held back; what breaks something has failed, and is held back no longer."""
        workflow, _, position = hold.key.rpartition("/")
        try:
            reaction = await self._release(hold, workflow, int(position))
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            why = _told(hold.event, error)
            reaction = Reaction(workflow=workflow, position=int(position), because=why, is_failure=True)
        self._events.release(hold, reaction, at=self._now())

    async def _release(self, hold: EventHold, workflow: str, position: int) -> Reaction:
        """What becomes of an event that was held back: its entry is asked once more, as it is now."""
        event, reading = self._read(self._events.event(hold.event))
        listeners = [
            one
            for one in self._project.listeners()
            if isinstance(one, Listener) and one.workflow.name == workflow
        ]
        for verdict in matching.judge(event, reading, listeners).verdicts:
            if verdict.position == position:
                return await self._react(dataclasses.replace(verdict, debounce=None))
        return Reaction(workflow=workflow, position=position, because="the entry is not there any more")

    async def _tell_waiting(self, row: EventRow, event: Event, reading: Reading) -> AsyncIterator[Reaction]:
        """Tell the runs that wait for such an event; one that nobody has verified lets nothing go on."""
        by = f"event:{row.id}"
        told = 0
        for run_row, run in self._runs.open_runs(reading.kinds) if reading.kinds else ():
            name = awaited_by(run, reading.kinds, event.payload)
            if name is None or self._runs.was_told(run_row, by):
                continue
            told += 1
            yield await self._tell(run_row, name, event, by, is_one_too_many=told > WAITING_RUNS_MAX)

    async def _tell(
        self, row: RunRow, name: str, event: Event, by: str, *, is_one_too_many: bool
    ) -> Reaction:
        waits = Reaction(workflow=row.workflow, kind=name, told=True)
        if not event.verified.is_trusted:
            why = f"run {row.number} waits for it, but nobody knows who sent it"
            return msgspec.structs.replace(waits, because=why, is_failure=True)
        if is_one_too_many:
            why = f"run {row.number} waits for it, but more than {WAITING_RUNS_MAX} runs do"
            return msgspec.structs.replace(waits, because=why, is_failure=True)
        stimulus = stimuli.Signalled(at=self._now(), kind="event", name=name, payload=event.payload, by=by)
        try:
            await self._runs.tell(row, stimulus)
        except StoreUnavailable:
            raise
        except TowpathError as problem:
            why = f"run {row.number} waits for it: {problem.message}"
            return msgspec.structs.replace(waits, because=why, is_failure=True)
        return msgspec.structs.replace(waits, run=int(row.number))


def awaited_by(run: Run, kinds: Sequence[str], payload: Json) -> str | None:
    """The kind of event for which a step of the run waits and whose condition this one fulfils; None where there is none."""
    for node in run.open_leaves():
        awaited = node.awaited
        if node.status != "waiting" or awaited is None or awaited.kind != "event":
            continue
        if awaited.name in kinds and _is_wanted(run, node, payload):
            return awaited.name
    return None


def _is_wanted(run: Run, node: Node, payload: Json) -> bool:
    condition = run.plan[node.plan].wait_if
    if condition is None:
        return True
    try:
        return bool(condition.holds(names_for(run, node.path, condition.references, {"event": payload})))
    except ExpressionError:
        return False


def _hold(verdict: Verdict, row: EventRow, debounce: Micros) -> EventHold:
    return EventHold(
        key=f"{verdict.workflow}/{verdict.position}", event=row.id, due_at=row.received_at + debounce
    )


def _told(event: EventId, error: Exception) -> str:
    """What went wrong with an event: as it is told where somebody can put it right, else with its name."""
    if isinstance(error, TowpathError):
        return error.message
    _LOG.error("trigger.event_failed event=%s", event, exc_info=error)
    return f"{type(error).__name__}: {error}"


def _reaction(
    verdict: Verdict,
    *,
    run: int | None = None,
    existing: bool = False,
    held_until: Micros | None = None,
    because: str = "",
    is_failure: bool = False,
) -> Reaction:
    return Reaction(
        workflow=verdict.workflow,
        position=verdict.position,
        kind=verdict.kind,
        run=run,
        existing=existing,
        held_until=held_until,
        because=because,
        is_failure=is_failure,
    )


def event_of(row: EventRow, payload: Json) -> Event:
    """An event as it was when it was received."""
    way: Way = row.way  # type: ignore[assignment] # the store keeps the word that it was given
    return Event(
        source=row.source,
        delivery=row.delivery,
        received_at=row.received_at,
        kind=row.kind,
        payload=payload,
        headers=row.headers,
        verified=Verified(way=way, secrets=row.secrets),
    )
