"""The public API of the engine, driven at random against a simple model of what it should do: no difference.

HYPOTHESIS_EXAMPLES says how many stories are told; without it a fixed number of always the same ones.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Coroutine
from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from simulation import simple
from simulation.simple import SimpleRun, View
from simulation.system import catalogue
from simulation.system.determinism import determined
from simulation.system.disk import Disk, ProcessStore
from simulation.system.machine import Machine, ProcessClock, ProcessLoop
from towpath.core import stimuli
from towpath.core.run import Error, Run
from towpath.core.stimuli import StepEnded
from towpath.definition import model
from towpath.engines import history
from towpath.engines.contract import StartRequest
from towpath.engines.embedded import EmbeddedEngine
from towpath.engines.performing.orders import Order
from towpath.errors import TowpathError
from towpath.people.desk import Desk
from towpath.store.contract import Definition, RunNumber

EXAMPLES: Final = int(os.environ.get("HYPOTHESIS_EXAMPLES", "0"))
STEPS: Final = 40
QUIET_MICROS: Final = 60_000
"""What the disk and the loop do by themselves is done within so long."""
RUNS_MAX: Final = 3
PEOPLE: Final = ("user:ann", "user:bob", "user:cy", "user:dee", "user:eli")
GOOD_WORDS: Final = {"approval": "approve", "failure": "retry", "unknown": "retry", "rollback": "retry"}
WORDS: Final = (
    "approve",
    "reject",
    "done",
    "retry",
    "skip",
    "failed",
    "rollback",
    "stop",
    "give_up",
    "nonsense",
)


class HeldPerformer:
    """Performs until it is told how the attempt ends."""

    def __init__(self) -> None:
        self.held: dict[tuple[RunNumber, str], asyncio.Future[bool]] = {}

    def perform_now(self, order: Order, *, at: Any) -> None:
        """Nothing is instant."""

    async def perform(self, order: Order, *, at: Any) -> StepEnded:
        """Waits for the word."""
        key = (order.number, order.command.path)
        self.held[key] = asyncio.get_running_loop().create_future()
        try:
            is_well = await self.held[key]
        finally:
            del self.held[key]
        return self._ended(order, at(), None if is_well else Error(kind="exit", message="it failed"))

    def stopped(self, order: Order, *, at: int) -> StepEnded:
        """How an attempt ended that was stopped."""
        return self._ended(order, at, Error(kind="cancelled", message="it was stopped"))

    def _ended(self, order: Order, at: int, error: Error | None) -> StepEnded:
        command = order.command
        return StepEnded(at=at, path=command.path, attempt=command.attempt, stage=command.stage, error=error)

    def run_ended(self, number: RunNumber, run: str) -> None:
        """Nothing is kept."""

    def clear(self, run: str) -> None:
        """Nothing is left."""

    def tidy(self, is_open: Any) -> None:
        """Nothing was left."""

    def hold(self, lock: int | None) -> None:
        """There is no lock."""

    async def close(self) -> None:
        """Nothing runs."""


class EngineAgainstModel(RuleBasedStateMachine):
    """An engine that is started, told things, killed and resumed, and beside it what should become of its runs."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = Machine(1)
        self.disk = Disk(self.machine)
        self.clock = ProcessClock(self.machine)
        self._determined = determined(self.machine, 1, time=self.disk.time)
        self.errors = self._determined.__enter__()
        text = json.dumps(simple.DOCUMENT)
        digest = hashlib.sha256(text.encode()).hexdigest()
        self.workflow = model.Workflow.model_validate(simple.DOCUMENT)
        self.definition = Definition(digest=digest, text=text)
        self.plans = history.Plans()
        self.plan = self.plans.lay_out(self.workflow, digest)
        self.expected: dict[RunNumber, SimpleRun] = {}
        self.seen: dict[RunNumber, Run] = {}
        self.ended: dict[RunNumber, str] = {}
        """What `until_ended` gave."""

    def teardown(self) -> None:
        """Lets go of the process."""
        self.loop.let_go()
        self._determined.__exit__(None, None, None)
        assert self.errors == []

    # ---- processes -------------------------------------------------------------------------------------------------

    @initialize()
    def boot(self) -> None:
        """A process starts."""
        self.loop = ProcessLoop(self.machine, "process")
        self.loop.park = lambda _handle, callback: getattr(callback, "__name__", "") == "_look"
        self.store = ProcessStore(self.disk, self.loop)
        self.performer = HeldPerformer()
        self.engine = EmbeddedEngine(
            self.store,
            plans=self.plans,
            performer=self.performer,  # type: ignore[arg-type] # what an engine asks of a performer
            library=catalogue.Library(),
            people=Desk(catalogue.project, catalogue.HERE),
            clock=self.clock,
        )
        self.outcome(self.engine.__aenter__())

    def outcome(self, asked: Coroutine[Any, Any, Any]) -> Any:
        """What the engine answers; a TowpathError is an answer too."""
        task = self.loop.create_task(asked)
        self.settle()
        assert task.done(), f"no answer to {asked}"
        if task.exception() is None:
            return task.result()
        assert isinstance(task.exception(), TowpathError), task.exception()
        return task.exception()

    def settle(self) -> None:
        """What follows by itself happens."""
        quiet: list[bool] = []
        self.machine.at(self.machine.now + QUIET_MICROS, lambda: quiet.append(True))
        while not quiet:
            self.machine.turn()
        while self.loop.is_ready:
            self.machine.turn()

    def _again(self) -> None:
        """Another process takes over what is open."""
        self.loop.let_go()
        self.boot()
        self.outcome(self.engine.resume_all())
        for run in self.expected.values():
            run.process_died()
        for number in self.expected:
            self._await_end(number)

    def _await_end(self, number: RunNumber) -> None:
        async def wait() -> None:
            self.ended[number] = (await self.engine.until_ended(number)).status

        self.loop.create_task(wait())
        self.settle()

    def _tell(self, number: RunNumber, stimulus: stimuli.AnyStimulus, *, is_taken: bool) -> None:
        answer = self.outcome(self.engine.tell(number, stimulus))

        assert isinstance(answer, TowpathError) != is_taken, f"{stimulus}: {answer!r}"

    # ---- rules -----------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.expected) < RUNS_MAX)
    @rule(key=st.sampled_from([None, None, "first", "second"]))
    def start(self, key: str | None) -> None:
        """Somebody starts a run; a key starts one only once."""
        request = StartRequest(
            workflow=self.workflow,
            definition=self.definition,
            inputs={},
            started_by=simple.STARTER,
            start_key=key,
        )
        rows = self.disk.tables.reader.runs()
        known = next((row.number for row in rows if key is not None and row.start_key == key), None)
        started = self.outcome(self.engine.start(request))

        assert (started.existing, started.number) == (known is not None, known or len(rows) + 1)
        if not started.existing:
            self.expected[started.number] = SimpleRun()
            self._await_end(started.number)

    @precondition(lambda self: self.performer.held)
    @rule(which=st.integers(0, RUNS_MAX), well=st.sampled_from([True, True, False]))
    def step_ends(self, which: int, well: bool) -> None:
        """An attempt comes to its end."""
        keys = sorted(self.performer.held)
        number, path = keys[which % len(keys)]

        assert path == self.expected[number].path
        self.performer.held[number, path].set_result(well)
        self.settle()
        self.expected[number].step_ended(well=well)

    @precondition(lambda self: self.expected)
    @rule(
        which=st.integers(0, RUNS_MAX),
        by=st.sampled_from(PEOPLE),
        word=st.sampled_from(WORDS),
        fits=st.sampled_from([True, True, False]),
    )
    def answer(self, which: int, by: str, word: str, fits: bool) -> None:
        """Somebody answers what a run asks, or what it does not ask."""
        number, run = self._pick(which)
        decision = run.choices[WORDS.index(word) % len(run.choices)] if fits and run.choices else word
        said = stimuli.Answered(at=self.clock.now(), path=run.path, by=by, decision=decision)
        self._tell(number, said, is_taken=run.answer(by, decision))

    @precondition(lambda self: self.expected)
    @rule(which=st.integers(0, RUNS_MAX), undoes=st.booleans(), sure=st.sampled_from([False, False, True]))
    def cancel(self, which: int, undoes: bool, sure: bool) -> None:
        """Somebody stops a run; seldom, as it ends so many stories."""
        number, run = self._pick(which)
        if sure:
            said = stimuli.Cancel(at=self.clock.now(), by="user:bob", rollback=undoes)
            is_performing = run.doing == "performing"
            self._tell(number, said, is_taken=run.cancel(undoes=undoes))
            if is_performing and run.is_stopping:
                run.step_ended(well=False)

    @precondition(lambda self: self.expected)
    @rule(which=st.integers(0, RUNS_MAX), word=st.sampled_from(["retry", "skip", "signal"]))
    def intervene(self, which: int, word: str) -> None:
        """Somebody has a step run again or passed over, or sends a signal."""
        number, run = self._pick(which)
        at = self.clock.now()
        if word == "retry":
            self._tell(number, stimuli.Retry(at=at, path=run.path, by="user:bob"), is_taken=run.retry())
        elif word == "skip":
            self._tell(number, stimuli.Skip(at=at, path=run.path, by="user:bob"), is_taken=run.skip())
        else:
            self._tell(number, stimuli.Signalled(at=at, kind="signal", name="go"), is_taken=run.signal())

    @rule(seconds=st.sampled_from([1, 11, 4_000]))
    def wind(self, seconds: int) -> None:
        """Time passes."""
        over: list[bool] = []
        self.machine.at(self.machine.now + seconds * 1_000_000, lambda: over.append(True))
        while not over:
            self.machine.turn()
        self.settle()
        for run in self.expected.values():
            run.wind(seconds)

    @precondition(lambda self: self.expected)
    @rule(which=st.integers(0, RUNS_MAX), times=st.integers(1, 6))
    def go_well(self, which: int, times: int) -> None:
        """What a run waits for happens, and goes well, a few times: so that stories get far."""
        number, run = self._pick(which)
        for _ in range(times):
            self._go_well(number, run)
            self.every_run_is_as_it_should_be()

    def _go_well(self, number: RunNumber, run: SimpleRun) -> None:
        match run.doing:
            case "performing":
                keys = sorted(self.performer.held)
                self.step_ends(keys.index((number, run.path)), well=True)
            case "asking":
                by = next(person for person in PEOPLE[1:] if person not in run.answers)
                said = stimuli.Answered(
                    at=self.clock.now(), path=run.path, by=by, decision=GOOD_WORDS[run.question]
                )
                self._tell(number, said, is_taken=run.answer(by, said.decision))
            case "waiting" if run.path == "d":
                said_go = stimuli.Signalled(at=self.clock.now(), kind="signal", name="go")
                self._tell(number, said_go, is_taken=run.signal())
            case "waiting" | "retrying":
                self.wind(4_000)
            case _:
                pass

    @rule(sure=st.sampled_from([False, True]), in_order=st.booleans())
    def die(self, sure: bool, in_order: bool) -> None:
        """The process is killed, or ends in order, and another one goes on."""
        if not sure:
            return
        if in_order:
            self.outcome(self.engine.__aexit__(None, None, None))
        self.store.die()
        self.loop.kill()
        self._again()

    def _pick(self, which: int) -> tuple[RunNumber, SimpleRun]:
        numbers = sorted(self.expected)
        number = numbers[which % len(numbers)]
        return number, self.expected[number]

    # ---- no difference ---------------------------------------------------------------------------------------------

    @invariant()
    def every_run_is_as_it_should_be(self) -> None:
        """What the journal tells of each run, and what is being performed, is what the model says."""
        reader = self.disk.tables.reader
        views = {n: _view(history.load_run(reader, reader.run(n), self.plans)) for n in self.expected}
        performing = {(n, run.path) for n, run in self.expected.items() if run.doing == "performing"}

        assert views == {number: run.view for number, run in self.expected.items()}
        if self.expected:
            assert set(self.performer.held) == performing
        statuses = {number: reader.run(number).summary.status for number in self.expected}
        assert statuses == {number: run.view.status for number, run in self.expected.items()}
        assert self.ended == {n: run.status for n, run in self.expected.items() if run.doing == "ended"}


def _view(run: Run) -> View:
    if run.has_ended:
        return View(run.status)
    (path,) = run.leaves
    node = run.nodes[path]
    question = node.question if node.status == "asking" else None
    return View(
        run.status,
        path,
        node.status,
        node.attempt if node.status == "performing" else 0,
        question.kind if question else "",
        tuple(answer.by for answer in node.answers) if question and question.kind == "approval" else (),
    )


TestEngineAgainstModel = EngineAgainstModel.TestCase
TestEngineAgainstModel.settings = settings(
    max_examples=EXAMPLES or 150,
    stateful_step_count=STEPS,
    derandomize=not EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
