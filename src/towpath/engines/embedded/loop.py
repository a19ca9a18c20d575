"""The loop of the embedded engine: stimuli in, facts to the journal, and only then orders to the world.

Every run that this process drives is a *drive*. A stimulus is decided at once on the drive's state; its facts go to the
journal; when they are durable, their commands are performed and whoever watches is told. Decisions of one run may follow
each other before the first is durable: the journal keeps their order, and when one fails all later ones of that run fail.

A run that only waits is dropped from memory after a while and folded again when something happens to it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import logging
import secrets
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Self, TypeAlias

import msgspec

from towpath.core import commands, stimuli
from towpath.core.decide import Decision, advance, new_run
from towpath.core.events import AnyEvent
from towpath.core.plan import Plan
from towpath.core.run import Micros, Path, Run, RunId
from towpath.engines import contract, history, summaries
from towpath.engines.clock import Clock
from towpath.engines.contract import StartRequest, Steady, Step
from towpath.engines.embedded import recovery
from towpath.engines.embedded.attempts import Attempts
from towpath.engines.embedded.children import Children
from towpath.engines.embedded.mailroom import Mailroom
from towpath.engines.embedded.places import Places
from towpath.engines.embedded.questions import NoPeople, Questions
from towpath.engines.embedded.queues import Queues
from towpath.engines.embedded.timers import Timers
from towpath.engines.performing import Performer
from towpath.errors import BugError, LimitExceeded, NotFound, Refused, StoreUnavailable, TowpathError
from towpath.store import encoding
from towpath.store.contract import (
    Change,
    Journal,
    NewRun,
    OnStarted,
    OwnerId,
    RunNumber,
    RunRow,
    Slot,
    SlotsFull,
    Started,
    Store,
    Summary,
    Taken,
    TrialFull,
)

RESIDENT_WAITING_MAX = 100
"""Runs that only wait and are kept in memory all the same, so that quick waits need not be folded again."""
COLLECTOR_THRESHOLDS = (50_000, 20, 100)
"""See `gc.set_threshold`."""
_LOG = logging.getLogger("towpath.engine")

FROM_PEOPLE = frozenset(
    {
        stimuli.Answered,
        stimuli.Claimed,
        stimuli.Released,
        stimuli.HandedOver,
        stimuli.Commented,
        stimuli.Withdrawn,
        stimuli.Retry,
        stimuli.Skip,
    }
)
"""What people say about a question; whether they may is asked in the same breath as the decision."""
Beside: TypeAlias = Callable[[OwnerId], AbstractAsyncContextManager[object]]
"""What runs beside an engine, for its owner: entered after it has opened, left before it closes."""
OnSettled: TypeAlias = Callable[[Exception | None], None]


class Drive:
    """One run that this process drives, as far as it is kept in memory."""

    __slots__ = ("has_unsaved", "number", "run", "saved", "since", "watchers")

    def __init__(self, number: RunNumber, run: Run) -> None:
        self.number = number
        self.run = run
        """With everything that was decided, durable or on its way."""
        self.saved = run
        """As far as it is durable: all that anybody is shown."""
        self.since: Micros = run.accepted_at
        """When the run came to its present status."""
        self.has_unsaved = 0
        """Decisions that are on their way to the disk."""
        self.watchers: list[asyncio.Queue[Step | Exception]] = []


class EmbeddedEngine:
    """Drives runs in this process; use it as an async context manager."""

    def __init__(  # noqa: PLR0913 - what is plugged together stands in one place, app.py
        self,
        store: Store,
        *,
        plans: history.Plans,
        performer: Performer,
        library: contract.Library,
        people: contract.People | None = None,
        beside: Beside | None = None,
        clock: Clock,
        command: str = "tow",
        performing_max: int = 64,
        base_url: str = "",
    ) -> None:
        self.store = store
        self.plans = plans
        self.performer = performer
        self.people = people or NoPeople()
        self.questions = Questions(self, self.people)
        self.clock = clock
        self.command = command
        self._beside = beside
        self._companions = AsyncExitStack()
        self._base_url = base_url
        self.attempts = Attempts(self, performing_max=performing_max)
        self.children = Children(self, library)
        self.queues = Queues(self)
        self.places = Places(self)
        self._drives: dict[RunNumber, Drive] = {}
        self._resident: OrderedDict[RunNumber, None] = OrderedDict()
        self._evicted: dict[RunNumber, None] = {}
        self._others: set[asyncio.Task[None]] = set()
        self.is_closing = False
        self.counts: Counter[str] = Counter()
        """Facts that were written here, by their kind."""
        self._failure: Exception | None = None
        self._idle: asyncio.Future[None] | None = None
        self._awaited: dict[RunNumber, list[asyncio.Future[Run]]] = {}
        """Who waits for the end of which run."""

    # ---- opening and closing ---------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._loop = loop
        _quiet_the_collector()
        self.owner: OwnerId = self.store.owners.enter(self.command)
        self.performer.hold(self.store.owners.lock_of(self.owner))
        self.journal: Journal = self.store.open_journal(loop.call_soon_threadsafe, loop.call_soon)
        self._timers = Timers(self.clock, self._timer_due)
        self.mailroom = Mailroom(self)
        self.mailroom.open()
        self.performer.tidy(self._is_open)
        if self._beside is not None:
            await self._companions.enter_async_context(self._beside(self.owner))
        return self

    def _is_open(self, run_id: RunId) -> bool:
        try:
            return self.store.reader.run(run_id).is_open
        except (NotFound, Refused):
            return False

    async def __aexit__(self, *_: object) -> None:
        """Stops gracefully: attempts are ended and left as interrupted, and every run can be resumed."""
        self.is_closing = True
        self.mailroom.close()
        self._timers.close()
        tasks = [*self.attempts.tasks(), *self._others]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._companions.aclose()
        await self.performer.close()
        await asyncio.to_thread(self.journal.close)
        await asyncio.sleep(0)
        try:
            self.store.owners.leave(self.owner)
        except StoreUnavailable as error:
            _LOG.warning("engine.goodbye_not_written: %s", error)  # the lock is released all the same

    # ---- what others ask of an engine ------------------------------------------------------------------------------

    async def start(self, request: StartRequest) -> Started:
        """Accepts a run: it is durable when this returns, and begins at once unless it is queued."""
        try:
            return await self._start(request)
        except TrialFull:
            if request.steady is None:
                raise
            return await self._start(_steady(request, request.steady))

    async def _start(self, request: StartRequest) -> Started:
        plan = self._plan(request)
        run_id = request.run_id or RunId(secrets.token_hex(8))
        stimulus = self._start_stimulus(request, run_id)
        decision = advance(new_run(plan, run_id), stimulus)
        if not request.break_glass and request.mode == "forward":
            self.people.check_start(decision.run.environment, stimulus.at)
        concurrency = request.workflow.concurrency
        if concurrency is None:
            return await self._accept(request, decision, slot=None)
        slot = Slot(group=_group_of(decision), maximum=concurrency.max)
        try:
            return await self._accept(request, decision, slot=slot)
        except SlotsFull:
            return await self._start_later(request, plan, stimulus, slot, concurrency.when_full)

    async def tell(self, run: RunNumber, stimulus: stimuli.AnyStimulus) -> None:
        """Tells a run of this engine something; its facts are durable when this returns; raises Refused."""
        if isinstance(stimulus, stimuli.Answered):
            await self.questions.refresh_evidence(run, stimulus.path)
        settled: asyncio.Future[None] = self._loop.create_future()

        def on_settled(error: Exception | None) -> None:
            if not settled.done():
                settled.set_result(None) if error is None else settled.set_exception(error)

        self.tell_soon(run, stimulus, on_settled)
        await settled

    async def resume(self, run: RunNumber) -> None:
        """Takes over an open run that nobody drives, and goes on with what is outstanding; raises Refused."""
        await recovery.resume(self, run)

    async def watch(self, run: RunNumber) -> AsyncIterator[Step]:
        """The run as it is, and then every step of it, until it has ended."""
        drive = self.drive(run)
        queue: asyncio.Queue[Step | Exception] = asyncio.Queue()
        drive.watchers.append(queue)
        try:
            ended = drive.saved.has_ended
            yield Step(run=drive.saved, facts=())
            while not ended:
                step = await queue.get()
                if isinstance(step, Exception):
                    raise step
                ended = step.run.has_ended
                yield step
        finally:
            drive.watchers.remove(queue)
            self.settle_down(drive)

    async def until_ended(self, run: RunNumber) -> Run:
        """Waits for the run's end."""
        row = self.store.reader.run(run)
        if row.summary.ended_at is not None:
            return history.load_run(self.store.reader, row, self.plans)
        self.drive(run)
        ended: asyncio.Future[Run] = self._loop.create_future()
        self._awaited.setdefault(run, []).append(ended)
        return await ended

    async def until_idle(self) -> None:
        """Waits until no run of this engine performs anything: each has ended or waits."""
        while any(drive.run.status == "running" or drive.has_unsaved for drive in self._drives.values()):
            self._idle = self._loop.create_future()
            await self._idle

    async def resume_all(self) -> int:
        """Takes over every open run that nobody drives, at a pace that lets others be served; returns how many."""
        return await recovery.resume_all(self)

    # ---- accepting -------------------------------------------------------------------------------------------------

    def _plan(self, request: StartRequest) -> Plan:
        known = self.plans.known(request.definition.digest)
        return known or self.plans.lay_out(request.workflow, request.definition.digest)

    def _start_stimulus(self, request: StartRequest, run_id: RunId) -> stimuli.Start:
        return stimuli.Start(
            at=self.clock.now(),
            run=run_id,
            digest=request.definition.digest,
            inputs=request.inputs,
            started_by=request.started_by,
            edited_by=request.edited_by,
            protections=self.people.protections() if request.mode == "forward" else {},
            break_glass=request.break_glass,
            commit=request.commit,
            url=f"{self._base_url}/runs/{run_id}" if self._base_url else "",
            event=request.event,
            mode=request.mode,
            continues=request.continues,
            carried=request.carried,
            parent=request.parent,
        )

    async def _start_later(
        self, request: StartRequest, plan: Plan, stimulus: stimuli.Start, slot: Slot, when_full: str
    ) -> Started:
        """The concurrency group is full: the run queues, ends as skipped, or takes the place of the oldest."""
        if when_full == "skip":
            skipped = msgspec.structs.replace(stimulus, skip=True)
            return await self._accept(request, advance(new_run(plan, stimulus.run), skipped), slot=None)
        queueing = msgspec.structs.replace(stimulus, queue=True)
        decision = advance(new_run(plan, stimulus.run), queueing)
        queue = Slot(group=slot.group, maximum=slot.maximum, enter="queue")
        started = await self._accept(request, decision, slot=queue)
        if started.existing:
            return started
        self.queues.add(started.number, slot)
        if when_full == "replace":
            self.mailroom.make_room(slot.group, newcomer=started.number)
        self.queues.look()
        return started

    async def _accept(self, request: StartRequest, decision: Decision, *, slot: Slot | None) -> Started:
        accepted: asyncio.Future[Started] = self._loop.create_future()

        def heard(result: Started | Exception) -> None:
            if accepted.cancelled():
                return
            if isinstance(result, Exception):
                accepted.set_exception(result)
            else:
                accepted.set_result(result)

        self._accept_soon(request, decision, slot=slot, heard=heard)
        return await accepted

    def start_soon(self, request: StartRequest) -> None:
        """Has a run accepted that asks for no place, before anything that is written after this; where it cannot be, that is logged."""

        def heard(result: Started | Exception) -> None:
            if isinstance(result, Exception):
                _LOG.warning("engine.run_not_accepted workflow=%s: %s", request.workflow.name, result)

        stimulus = self._start_stimulus(request, request.run_id or RunId(secrets.token_hex(8)))
        decision = advance(new_run(self._plan(request), stimulus.run), stimulus)
        self._accept_soon(request, decision, slot=None, heard=heard)

    def _accept_soon(
        self, request: StartRequest, decision: Decision, *, slot: Slot | None, heard: OnStarted
    ) -> None:
        run = decision.run
        summary = summaries.summary_of(run, run.accepted_at)
        new = NewRun(
            id=run.id,
            workflow=request.workflow.name,
            definition=request.definition,
            owner=self.owner,
            started_by=request.started_by,
            accepted_at=run.accepted_at,
            summary=summary,
            records=_records(decision.facts, after=0),
            kind=request.workflow.kind,
            environment=run.environment or None,
            origin=request.origin,
            origin_reason=request.origin_reason,
            start_key=request.start_key,
            slot=slot,
            trial=request.trial,
            labels={**request.workflow.labels, **request.labels},
        )

        def on_started(result: Started | Exception) -> None:
            if not isinstance(result, Exception) and not result.existing:
                self._drives[result.number] = drive = Drive(result.number, run)
                if run.break_glass and request.origin_reason != "child":
                    self.questions.leave_review(result.number, run)
                self._happened(drive, decision.facts, run)
            heard(result)

        self.journal.start(new, on_started)

    # ---- deciding --------------------------------------------------------------------------------------------------

    def tell_soon(
        self,
        number: RunNumber,
        stimulus: stimuli.AnyStimulus,
        on_settled: OnSettled | None = None,
        *,
        took: tuple[Taken, ...] = (),
        holds: Slot | None = None,
    ) -> None:
        """Decides at once and has the facts written; *on_settled* hears when they are durable, or why they are not."""
        try:
            drive = self.drive(number)
            before = drive.run
            if type(stimulus) in FROM_PEOPLE:
                self.people.judge(before, stimulus)
            decision = advance(before, stimulus)
        except TowpathError as error:
            if on_settled is not None:
                on_settled(error)
            return
        except Exception as error:  # noqa: BLE001 - one poisonous run must not stop the others
            self.poisoned(number, type(stimulus).__name__, error)
            if on_settled is not None:
                on_settled(BugError(f"run {number} cannot go on: {error!r}"))
            return
        self._commit(drive, before, decision, on_settled, took=took, holds=holds)

    def _commit(
        self,
        drive: Drive,
        before: Run,
        decision: Decision,
        on_settled: OnSettled | None,
        *,
        took: tuple[Taken, ...],
        holds: Slot | None,
    ) -> None:
        facts, run = decision
        drive.run = run
        drive.has_unsaved += 1

        def on_durable(error: Exception | None) -> None:
            drive.has_unsaved -= 1
            if error is None:
                self._happened(drive, facts, run)
            else:
                self._not_saved(drive, before, run, error)
            if on_settled is not None:
                on_settled(error)

        records = _records(facts, after=before.sequence)
        summary = self._changed_summary(drive, before, decision)
        change = Change(drive.number, before.sequence, records, summary, took, holds)
        self.journal.commit(change, on_durable)

    def _changed_summary(self, drive: Drive, before: Run, decision: Decision) -> Summary | None:
        """The new row for the lists; None while the run just goes on running: the hot path writes one table.

        A branch may ask people while another one runs: then the row tells of the question.
        """
        facts, after = decision
        if after.status == before.status == "running" and not summaries.touches_questions(before, facts):
            return None
        if after.status != before.status:
            drive.since = self.clock.now()
        return summaries.summary_of(after, drive.since)

    def _not_saved(self, drive: Drive, before: Run, after: Run, error: Exception) -> None:
        """Nothing of the decision is true: the run is as it was, or the journal has the last word on it."""
        if self.journal.stopped is not None:
            self._fail(self.journal.stopped)
        elif isinstance(error, SlotsFull | LimitExceeded) and drive.run is after:
            drive.run = before
        elif self._drives.get(drive.number) is drive:
            self._forget(drive, error)
            if self.store.reader.run(drive.number).owner == self.owner:
                self._evicted[drive.number] = None

    def _fail(self, error: Exception) -> None:
        """The store cannot be written any more: nothing new begins, and everybody who waits is told why."""
        if self._failure is not None:
            return
        self._failure = error
        for drive in list(self._drives.values()):
            self._forget(drive, error)

    def _forget(self, drive: Drive, error: Exception) -> None:
        self._drives.pop(drive.number, None)
        self._resident.pop(drive.number, None)
        for queue in drive.watchers:
            queue.put_nowait(error)
        for awaited in self._awaited.pop(drive.number, ()):
            if not awaited.done():
                awaited.set_exception(error)
        self.attempts.drop(drive.number)

    def poisoned(self, number: RunNumber, by: str, error: Exception) -> None:
        """The run cannot go on, by our own mistake: it is left as it is and says so, and the others go on."""
        _LOG.error("engine.run_poisoned run=%s by=%s", number, by, exc_info=error)
        drive = self._drives.get(number)
        sequence = self.sequence_of(number)
        if drive is not None:
            self._forget(drive, BugError(f"run {number} cannot go on: {error!r}"))
        self._evicted[number] = None
        why = f"it cannot go on, by a mistake of Towpath: {error!r}"[: summaries.WAITING_FOR_CHARS_MAX]
        summary = Summary(status="waiting", waiting_for=why, waiting_since=self.clock.now())
        self.journal.commit(Change(number, sequence, (), summary), lambda _: None)

    # ---- after facts are durable -----------------------------------------------------------------------------------

    def _happened(self, drive: Drive, facts: tuple[AnyEvent, ...], run: Run) -> None:
        """The facts are durable: whoever watches is told, and their commands are performed."""
        before, drive.saved = drive.saved, run
        for fact in facts:
            self.counts[type(fact).__name__] += 1
        for queue in drive.watchers:
            queue.put_nowait(Step(run=run, facts=facts))
        if self.is_closing or self._failure is not None:
            return
        try:
            self._follow(drive, facts, run)
            if before is not run:
                self.questions.ended(drive, before, facts)
        except StoreUnavailable as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - one poisonous run must not stop the others
            self.poisoned(drive.number, type(facts[-1]).__name__, error)

    def _follow(self, drive: Drive, facts: tuple[AnyEvent, ...], run: Run) -> None:
        """Does what facts ask for."""
        for fact in facts:
            for command in commands.commands(fact):
                self.order(drive, command)
        if run.has_ended:
            self._ended(drive, run)
            self._came_to_rest()
        elif run.status == "waiting":
            self.settle_down(drive)
            self._came_to_rest()
        elif drive.number in self._resident:
            del self._resident[drive.number]

    def _came_to_rest(self) -> None:
        """One run more that does not run: whoever waits for all of them looks again."""
        if self._idle is not None and not self._idle.done() and len(self._drives) <= RESIDENT_WAITING_MAX:
            self._idle.set_result(None)

    def order(self, drive: Drive, command: commands.AnyCommand) -> None:
        """Has the world do what *command* says."""
        match command:
            case commands.PerformStep():
                self.attempts.perform(drive, command)
            case commands.SetTimer():
                self._timers.set(drive.number, command.path, command.purpose, command.due)
            case commands.StopSteps():
                self._stop(drive, command)
            case commands.StartChild():
                self.spawn(self.children.start(drive, command))
            case commands.AskPeople():
                self.questions.asked(drive, command)
            case commands.TellPeople():
                self.questions.told(drive, command)
            case commands.AwaitWindow():
                self.questions.await_window(drive.number, command)
            case commands.AwaitPlace():
                self.places.wanted(drive, command)

    def _stop(self, drive: Drive, command: commands.StopSteps) -> None:
        for path in command.leaves:
            if self.attempts.stop(drive.number, path):
                continue
            node = drive.run.nodes.get(path)
            if node is not None and node.child is not None:
                self.children.stop(drive, node.child)

    def set_timer(self, number: RunNumber, path: Path, purpose: str, due: Micros) -> None:
        """Has a timer fire that is the engine's own and not the core's."""
        self._timers.set(number, path, purpose, due)

    def _timer_due(self, number: RunNumber, path: Path, purpose: str, due: Micros) -> None:
        if purpose not in ("due", "timeout"):
            self.questions.timer_due(number, path, purpose)
            return
        fired = stimuli.TimerFired(
            at=self.clock.now(),
            path=path,
            purpose=purpose,  # type: ignore[arg-type] # what SetTimer said
            due=due,
            seed=secrets.randbits(30),
        )
        self.tell_soon(number, fired)

    def _ended(self, drive: Drive, run: Run) -> None:
        self._drives.pop(drive.number, None)
        self._resident.pop(drive.number, None)
        self.queues.remove(drive.number)
        self.performer.run_ended(drive.number, run.id)
        for awaited in self._awaited.pop(drive.number, ()):
            if not awaited.done():
                awaited.set_result(run)
        self.children.tell_parent(run)
        if run.entered:
            self.places.look()
        if run.group is not None:
            self.queues.look()
            self.mailroom.admit_next(run.group)

    # ---- memory ----------------------------------------------------------------------------------------------------

    def owns(self, number: RunNumber) -> bool:
        """Whether this engine drives the run."""
        return number in self._drives or number in self._evicted

    def sequence_of(self, number: RunNumber) -> int:
        """The last sequence of a run as its drive knows it, durable or on its way."""
        drive = self._drives.get(number)
        return drive.run.sequence if drive is not None else self.store.reader.last_sequence(number)

    def adopt(self, row: RunRow, run: Run) -> Drive:
        """Begins to drive a run that was claimed, or comes back into memory."""
        self._drives[row.number] = drive = Drive(row.number, run)
        drive.since = row.summary.waiting_since or run.accepted_at
        summary = summaries.summary_of(run, drive.since)
        if (row.summary.status, row.summary.questions) != (run.status, summary.questions):
            self.journal.commit(Change(row.number, run.sequence, (), summary), lambda _: None)
        return drive

    def drive(self, number: RunNumber) -> Drive:
        """The drive of a run of this engine, folded from the journal where it is not in memory."""
        drive = self._drives.get(number)
        if drive is not None:
            return drive
        if self._failure is not None:
            raise self._failure
        if number not in self._evicted:
            raise NotFound(f"run {number} is not driven by this process")
        del self._evicted[number]
        row = self.store.reader.run(number)
        run = history.load_run(self.store.reader, row, self.plans)
        return self.adopt(row, run)

    def settle_down(self, drive: Drive) -> None:
        """A run that only waits: the longest undisturbed ones leave the memory."""
        number = drive.number
        if drive.run.status not in ("waiting", "queued") or self._drives.get(number) is not drive:
            return
        self._resident[number] = None
        self._resident.move_to_end(number)
        for candidate in list(self._resident)[: max(0, len(self._resident) - RESIDENT_WAITING_MAX)]:
            waiting = self._drives[candidate]
            if not waiting.watchers and not waiting.has_unsaved:
                del self._resident[candidate]
                del self._drives[candidate]
                self._evicted[candidate] = None

    def spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        """Has a coroutine run beside the loop until the engine closes."""
        task = self._loop.create_task(coroutine)
        self._others.add(task)
        task.add_done_callback(self._others.discard)


def _quiet_the_collector() -> None:
    """Has Python look for cycles less often: an engine holds many values for long, and its values have none.

    With 5,000 runs in memory the default spends a quarter of the time on looking.
    """
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)


def _steady(request: StartRequest, steady: Steady) -> StartRequest:
    """The same start with the version that is not being tried."""
    return dataclasses.replace(
        request,
        workflow=steady.workflow,
        definition=steady.definition,
        inputs=steady.inputs,
        edited_by=steady.edited_by,
        commit=steady.commit,
        trial=None,
        steady=None,
    )


def _records(facts: Iterable[AnyEvent], *, after: int) -> tuple[tuple[int, Micros, bytes], ...]:
    encode = encoding.encode
    return tuple((sequence, fact.at, encode(fact)) for sequence, fact in enumerate(facts, start=after + 1))


def _group_of(decision: Decision) -> str:
    group = decision.run.group
    if group is None:
        raise Refused("the concurrency group has no name")
    return group
