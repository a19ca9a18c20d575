"""One simulated world: a case is played, then everything is put right, and every run has to come to its end."""

from __future__ import annotations

import dataclasses
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import msgspec

from simulation.system import catalogue, checks
from simulation.system.cases import Case, Fault, Say, Start
from simulation.system.crowd import Crowd
from simulation.system.determinism import determined
from simulation.system.diary import Diary, Saying, StartTold
from simulation.system.dice import Dice
from simulation.system.disk import Disk
from simulation.system.machine import Machine, ProcessClock
from simulation.system.processes import LOOKS_OWED, MailChannel, Process
from simulation.system.steps import Ledger, Scripted
from simulation.system.tracked import Tracked
from towpath.core import continuing, stimuli
from towpath.core.run import Micros, RunId
from towpath.engines.contract import StartRequest
from towpath.engines.embedded import mailroom
from towpath.errors import Refused, StoreUnavailable, TowpathError
from towpath.store.contract import Change, Life, NewRun, RunNumber

RESTART_SECONDS_MAX: Final = 3_600.0
CALM_ROUNDS_MAX: Final = 300
"""Rounds of putting everything right after which every run has to have ended."""
LOOK_AGAIN_SECONDS: Final = 7_200.0
ROUND_SECONDS_MAX: Final = 6 * 3_600.0
TURNS_MAX: Final = 400_000
"""Callbacks that one world may run; one that goes on for ever is a violation."""
CONTINUED: Final = 1_000_000
"""Numbers of starts that continue a run begin here."""
INPUTS: Final = {"yes": True}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a world."""

    case: Case
    violations: tuple[str, ...]
    runs: int
    events: int
    turns: int
    faults: Counter[str]
    """Those that happened, by kind."""
    statuses: Counter[str]
    """How the runs ended."""
    digest: str
    """Of everything that was written."""
    journal: bytes


class Violation(Exception):
    """Something that must not be true is: the world stops, so that its story ends there."""


class World:
    """Plays a case."""

    def __init__(self, case: Case) -> None:
        self.case = case
        catalogue.bring_back(case.workflows)
        self.machine = Machine(case.seed)
        self.disk = Disk(self.machine, syncs=case.syncs)
        self.disk.observer = self
        self.clock = ProcessClock(self.machine)
        self.scripted = Scripted(case.seed)
        self.ledger = Ledger()
        self.ledger.is_ordered = self._is_ordered
        self.channel = MailChannel(case.seed) if case.tells else None
        self.diary = Diary()
        self.tracked: dict[RunNumber, Tracked] = {}
        self.by_id: dict[RunId, Tracked] = {}
        self.slots: list[Process | None] = [None] * case.slots
        self.everybody: list[Process] = []
        self.started: dict[int, RunNumber] = {}
        """The run of every start that was accepted, by the start's number."""
        self.crowd = Crowd(self)
        self.is_calm = False
        self.calm_since: Micros = 0
        self.has_full_disk = False
        self.happened: Counter[str] = Counter()
        self._generation = 0
        self._writes = 0

    # ---- playing ---------------------------------------------------------------------------------------------------

    def play(self) -> Outcome:
        """Plays the case to its end."""
        violations: list[str] = []
        case = self.case
        with determined(
            self.machine, case.seed, time=self.disk.time, resident_max=case.resident_max
        ) as errors:
            try:
                self._go_wrong()
                self._put_right()
                checks.check_world(self, errors)
            except (Violation, AssertionError) as violation:
                violations = [_told(violation)]
            except Exception as error:  # noqa: BLE001 - whatever a changed source tree does, its seed has to be told
                violations = [f"it crashed: {_place_of(error)}"]
            finally:
                for process in self.everybody:
                    process.loop.let_go()
        return Outcome(
            case=self.case,
            violations=tuple(violations),
            runs=len(self.tracked),
            events=sum(len(records) for records in self.disk.tables._data.records.values()),
            turns=self.machine.turns,
            faults=self.happened,
            statuses=Counter(row.summary.status for row in self.disk.tables._data.rows.values()),
            digest=self.disk.digest(),
            journal=self.disk.journal_bytes(),
        )

    def _go_wrong(self) -> None:
        for slot in range(self.case.slots):
            self._boot(slot)
        self._look_now_and_then()
        last = 0.0
        for act in self.case.acts:
            last = max(last, act.at)
            self.machine.after(act.at, self._acting(act))
        is_over: list[bool] = []
        self.machine.after(last + 1, lambda: is_over.append(True))
        faults = list(self.case.faults)
        while not is_over:
            while faults and faults[0].turn <= self.machine.turns:
                self._fail(faults.pop(0))
            self._turn()
        for fault in faults:
            self._fail(fault)
            for _ in range(Dice(self.case.seed, "between", fault.turn).below(60)):
                self.machine.turn()

    def _look_now_and_then(self) -> None:
        """Windows open by themselves, so that processes look for places even where nothing has happened."""
        self.owners_changed()
        self.machine.after(LOOK_AGAIN_SECONDS, self._look_now_and_then)

    def _turn(self) -> None:
        if not self.machine.turn():
            raise Violation("P2: nothing will ever happen any more")
        if self.machine.turns > TURNS_MAX:
            raise Violation(f"P2: {TURNS_MAX} turns, and no end")
        if self.ledger.objections:
            raise Violation(self.ledger.objections[0])

    def _acting(self, act: Start | Say) -> Callable[[], None]:
        return lambda: self._start(act) if isinstance(act, Start) else self._say(act)

    # ---- processes -------------------------------------------------------------------------------------------------

    def _boot(self, slot: int, *, resumes: bool | None = None) -> Process:
        self._generation += 1
        dice = Dice(self.case.seed, "boot", slot, self._generation)
        process = Process(
            f"process{slot}.{self._generation}",
            machine=self.machine,
            disk=self.disk,
            clock=self.clock,
            scripted=self.scripted,
            ledger=self.ledger,
            channel=self.channel,
            performing_max=self.case.performing_max,
            resumes=dice.chance(3, 4) if resumes is None else resumes,
        )
        self.slots[slot] = process
        self.everybody.append(process)
        return process

    def _gone(self, slot: int, process: Process) -> None:
        """Somebody starts another process in the place of one that is gone, sooner or later."""
        if self.slots[slot] is process:
            self.slots[slot] = None
            dice = Dice(self.case.seed, "restart", slot, process.name)
            self.machine.after(
                dice.seconds(most=RESTART_SECONDS_MAX), lambda: self.slots[slot] or self._boot(slot)
            )

    def _fail(self, fault: Fault) -> None:
        """Has a fault happen, where it can."""
        process = self.slots[fault.slot % self.case.slots]
        slot = fault.slot % self.case.slots
        self.happened[fault.kind] += 1
        match fault.kind:
            case "power":
                self._lose_power()
            case "slow_disk":
                self.disk.slowness = 50.0
                self.machine.after(fault.seconds, self._quick_again)
            case "jump":
                self.clock.jump(round(fault.seconds * 1_000_000))
            case _ if process is None or process.is_dead:
                self.happened[fault.kind] -= 1
            case "kill":
                process.kill()
                self._gone(slot, process)
            case "stop":
                process.ask_to_stop()
                process.life.add_done_callback(lambda _: self._left(slot, process))
            case "disk_full" if process.store.journal is not None:
                process.store.journal.break_down()
                self.has_full_disk = True
                seconds = Dice(self.case.seed, "operator", fault.turn).seconds(most=600)
                self.machine.after(seconds, lambda: self._end_broken(slot, process))
            case "pause":
                process.loop.is_paused = True
                self.machine.after(fault.seconds, lambda: setattr(process.loop, "is_paused", False))
            case "resume" if process.is_up:
                self._resume_some(process, fault)
            case _:
                self.happened[fault.kind] -= 1

    def _quick_again(self) -> None:
        self.disk.slowness = 1.0

    def _lose_power(self) -> None:
        for slot, process in enumerate(self.slots):
            if process is not None:
                process.kill()
                self._gone(slot, process)
        if self.disk.lose_power():
            self._read_again()

    def _left(self, slot: int, process: Process) -> None:
        if not process.loop.is_dead:
            process.kill()  # it has said goodbye; nothing of it runs any more
            self._gone(slot, process)

    def _end_broken(self, slot: int, process: Process) -> None:
        process.kill()
        self._gone(slot, process)

    def _resume_all(self, process: Process) -> None:
        async def resume() -> None:
            try:
                await process.engine.resume_all()
            except StoreUnavailable:
                return

        process.loop.create_task(resume(), name="tow resume --all")

    def _resume_some(self, process: Process, fault: Fault) -> None:
        """Somebody types `tow resume`, for all or for one run, whoever drives it."""
        open_ = [number for number, tracked in self.tracked.items() if tracked.is_open]
        dice = Dice(self.case.seed, "resume", fault.turn)
        if not open_ or dice.chance(1, 2):
            self._resume_all(process)
            return
        number = dice.pick(open_)

        async def resume() -> None:
            try:
                await process.engine.resume(number)
            except (Refused, StoreUnavailable):
                return

        process.loop.create_task(resume(), name=f"tow resume {number}")

    def driver_of(self, number: RunNumber) -> Process | None:
        """The process that drives a run, where it lives."""
        owner = self.disk.tables._data.rows[number].owner
        for process in self.slots:
            if process is not None and process.owner == owner and not process.is_dead:
                return process
        return None

    # ---- acts ------------------------------------------------------------------------------------------------------

    def _start(self, act: Start, *, again: int = 0) -> None:
        process = self.slots[act.slot % self.case.slots]
        if process is None or not process.is_up or process.loop.is_paused:
            self._try_start_again(act, again)
            return
        listed = catalogue.find(act.workflow)
        request = StartRequest(
            workflow=listed.workflow,
            definition=listed.definition,
            inputs=INPUTS,
            started_by=act.by,
            edited_by="fay@example.org",
            break_glass=act.break_glass,
            start_key=act.key or None,
            run_id=self._run_id(act.number, again),
        )
        self._ask_to_start(process, act, request, again=again)

    def _run_id(self, *names: object) -> RunId:
        """An id that does not change when something else is left out of the case: what happens to a run depends on it."""
        return RunId(f"{Dice(self.case.seed, 'run', *names).below(1 << 64):016x}")

    def _try_start_again(self, act: Start, again: int) -> None:
        """Who got no answer asks again, elsewhere too; with a key that is harmless."""
        if act.key and again < 3:
            elsewhere = msgspec.structs.replace(act, slot=act.slot + 1)
            self.machine.after(60.0, lambda: self._start(elsewhere, again=again + 1))

    def _ask_to_start(self, process: Process, act: Start, request: StartRequest, *, again: int = 0) -> None:
        told = StartTold(act=act.number, key=act.key, workflow=request.workflow.name)
        self.diary.starts.append(told)

        async def start() -> None:
            try:
                told.started = await process.engine.start(request)
            except TowpathError as error:
                told.refused = error.message
                return
            self.started[act.number] = told.started.number

        process.loop.create_task(start(), name=f"start {request.workflow.name}")
        if act.key:
            self._try_start_again(act, again)

    def _say(self, act: Say) -> None:
        number = self.started.get(act.run)
        if number is None:
            return
        if act.says.startswith("continue"):
            self._continue(act, number)
            return
        mark = self.diary.new_mark()
        run = self.tracked[number].run
        paths = sorted(run.leaves) or sorted(run.nodes) or [""]
        path = paths[act.number % len(paths)]
        at = self.clock.now()
        says: dict[str, stimuli.AnyStimulus] = {
            "cancel": stimuli.Cancel(at=at, by="user:ann", reason=mark),
            "cancel_as_it_is": stimuli.Cancel(at=at, by="user:ann", rollback=False, reason=mark),
            "stop_step": stimuli.StopStep(at=at, path=path, by="user:bob", reason=mark),
            "roll_back": stimuli.Rollback(at=at, by="user:ann", reason=mark),
            "retry": stimuli.Retry(at=at, path=path, by="user:bob"),
            "skip": stimuli.Skip(at=at, path=path, by="user:bob", reason=mark),
            "signal": stimuli.Signalled(
                at=at, kind="signal", name="go", payload={"mark": mark}, by="user:bob"
            ),
            "event": stimuli.Signalled(at=at, kind="event", name="git.push", payload={"mark": mark}),
        }
        self.say(number, says[act.says], mark, dice=Dice(self.case.seed, "say", act.at))

    def say(
        self, number: RunNumber, stimulus: stimuli.AnyStimulus, mark: str, *, dice: Dice
    ) -> Saying | None:
        """Says something to a run: at the terminal of its process, or by a letter from another one."""
        row = self.disk.tables._data.rows.get(number)
        if row is None or not row.is_open:
            return None
        saying = Saying(mark=mark, run=number, stimulus=stimulus)
        self.diary.sayings.append(saying)
        driver = self.driver_of(number)
        if dice.chance(1, 3) and driver is not None and driver.is_up:
            self._say_here(driver, saying)
        elif row.owner is not None and self.disk.tables.owners.life(row.owner) is Life.ALIVE:
            self._post(saying)
            if dice.chance(1, 12):  # a client that got no answer posts the same words again
                twin = Saying(mark=mark, run=number, stimulus=stimulus)
                self.diary.sayings.append(twin)
                self.machine.after(dice.seconds(most=30), lambda: self._post(twin))
        else:
            saying.refused = "nobody drives the run"
        return saying

    def _post(self, saying: Saying) -> None:
        saying.letter = self.disk.write("mailbox", "post", saying.run, mailroom.write_letter(saying.stimulus))
        self.wrote_letter(saying.run)

    def _say_here(self, process: Process, saying: Saying) -> None:
        async def tell() -> None:
            try:
                await process.engine.tell(saying.run, saying.stimulus)
            except StoreUnavailable:
                return
            except TowpathError as error:
                saying.refused = error.message
                return
            saying.accepted = True

        process.loop.create_task(tell(), name=f"tell {type(saying.stimulus).__name__}")

    def _continue(self, act: Say, number: RunNumber) -> None:
        process = next((p for p in self.slots if p is not None and p.is_up and not p.loop.is_paused), None)
        tracked = self.tracked[number]
        if process is None or not tracked.run.has_ended:
            return
        how = act.says.removeprefix("continue_")
        run = tracked.run
        carry: dict[str, Any] = {
            "retry": continuing.carried_for_retry,
            "rollback": continuing.carried_for_rollback,
        }
        carried = carry[how](run) if how in carry else ()
        request = StartRequest(
            workflow=run.plan.workflow,
            definition=self.disk.tables.reader.definition(run.plan.digest),
            inputs=run.inputs,
            started_by="user:bob",
            event=run.event,
            mode="rollback" if how == "rollback" else "forward",
            continues=run.id if carried else None,
            carried=carried,
            origin=number,
            origin_reason=how,  # type: ignore[arg-type] # one of the three
            run_id=self._run_id(run.id, how, act.at),
        )
        again = Start(
            number=CONTINUED + len(self.diary.starts), at=act.at, slot=0, workflow=run.plan.workflow.name
        )
        self._ask_to_start(process, again, request)

    # ---- putting right ---------------------------------------------------------------------------------------------

    def _put_right(self) -> None:
        """Nothing goes wrong any more, people answer, and time passes until every run has ended."""
        self.is_calm = True
        self.calm_since = self.clock.now()
        self.scripted.is_fair = True
        if self.channel is not None:
            self.channel.is_fair = True
        self._quick_again()
        seconds = 30.0
        for round_ in range(CALM_ROUNDS_MAX):
            self._repair()
            until = self.machine.now + round(seconds * 1_000_000)
            is_over: list[bool] = []
            self.machine.at(until, lambda: is_over.append(True))  # noqa: B023 - this round's
            while not is_over:
                self._turn()
            checks.check_now(self)
            if not any(tracked.is_open for tracked in self.tracked.values()) and self._nobody_waits():
                return
            self.crowd.be_fair(round_)
            seconds = min(seconds * 1.3, ROUND_SECONDS_MAX)
        stuck = [
            f"run {number} ({tracked.run.plan.workflow.name}) is {tracked.run.status}:"
            f" {self.disk.tables._data.rows[number].summary.waiting_for}; open: {list(tracked.run.leaves)[:4]}"
            for number, tracked in self.tracked.items()
            if tracked.is_open
        ]
        raise Violation(f"P2: {len(stuck)} runs come to no end: {'; '.join(stuck[:3])}")

    def _nobody_waits(self) -> bool:
        """Whether every notice was sent, or will not be."""
        counts = self.disk.tables.outbox.counts()
        return not counts.get("waiting", 0) and not counts.get("sending", 0)

    def _repair(self) -> None:
        for slot, process in enumerate(self.slots):
            if process is not None:
                process.loop.is_paused = False
                if process.is_broken:
                    process.kill()
                    self.slots[slot] = None
        if self.slots[0] is None or self.slots[0].is_dead:
            self._boot(0, resumes=True)
        elif self.slots[0].is_up:
            self._resume_all(self.slots[0])

    # ---- looking on ------------------------------------------------------------------------------------------------

    def wrote_start(self, new: NewRun, number: RunNumber) -> None:
        """A run is durable."""
        plan = catalogue.PLANS.get(new.definition.digest)
        tracked = Tracked(number, new, plan)
        self.tracked[number] = self.by_id[new.id] = tracked
        facts = tracked.take(new.records)
        self._looked_at(tracked, facts)

    def wrote_change(self, change: Change) -> None:
        """A change of a run is durable."""
        tracked = self.tracked[change.run]
        facts = tracked.take(change.records)
        self._looked_at(tracked, facts)

    def _looked_at(self, tracked: Tracked, facts: tuple[Any, ...]) -> None:
        try:
            checks.check_write(self, tracked, facts)
        except AssertionError as violation:  # raised at the end of the turn: a loop would only complain of it
            self.ledger.objections.append(_told(violation))
        self.crowd.hears(tracked, facts)
        if tracked.run.has_ended or tracked.run.state == "queued":
            self.owners_changed()  # a place may be free

    def wrote_letter(self, run: RunNumber) -> None:
        """A letter for the owner of a run is durable."""
        owner = self.disk.tables._data.rows[run].owner
        for process in self.slots:
            if process is not None and process.owner in (owner, None):
                process.owe_looks(1)

    def owners_changed(self) -> None:
        """A process came or went, or took a run over."""
        for process in self.slots:
            if process is not None:
                process.owe_looks(LOOKS_OWED)

    def _is_ordered(self, attempt: Any) -> bool:
        node = self.by_id[attempt.run].run.nodes.get(attempt.path)
        return (
            node is not None
            and node.status == "performing"
            and (node.attempt, node.stage) == (attempt.attempt, attempt.stage)
        )

    def _read_again(self) -> None:
        """After a loss, what is known of the runs is what the disk still has."""
        data = self.disk.tables._data
        for number in [number for number in self.tracked if number not in data.rows]:
            del self.by_id[self.tracked.pop(number).run.id]
        for number, tracked in self.tracked.items():
            tracked.begin_again()
            tracked.take(tuple(data.records[number]))


def _told(violation: BaseException) -> str:
    """What is wrong; an assertion of the product that has no words is named by its place."""
    return str(violation) or _place_of(violation)


def _place_of(error: BaseException) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{error!r} at {last.filename}:{last.lineno}: {last.line}"


def play(case: Case) -> Outcome:
    """Plays a case."""
    return World(case).play()
