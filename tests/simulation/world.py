"""A world for the core to live in: scripted steps, scripted people, and time that passes only when nothing else happens.

The world does what commands ask for, in the order of virtual time. It keeps the journal, so that a crash can happen at any
moment: the run is folded from what was written, attempts that were performed are lost, and what is outstanding is ordered again.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from towpath.core import Plan, Run, advance, commands, continuing, events, new_run, stimuli
from towpath.core.evolve import evolve
from towpath.core.run import END_STATES, Error, Protection
from towpath.definition import loader, model
from towpath.errors import IllegalStimulus, Refused
from towpath.store import encoding

SECOND = 1_000_000
DAY_ONE = 1_800_000_000 * SECOND
"""When a scenario begins: 15 January 2027, 08:00 UTC."""
TURNS_MAX = 20_000
"""Stimuli after which a scenario is taken for one that never ends."""
STOP_MICROS = 1_000
"""What stopping an attempt takes."""


def plan_of(text: str, *, idempotent_actions: tuple[str, ...] = (), is_checked: bool = True) -> Plan:
    """The plan of a workflow's text, which may leave out its name."""
    if not text.startswith("name:") and "\nname:" not in text:
        text = f"name: scenario\n{text}"
    if is_checked:
        workflow: model.Workflow | None = loader.load_workflow(text).workflow
    else:
        workflow = loader.check_workflow(text).workflow
    assert workflow is not None
    return Plan(workflow, "digest", idempotent_actions=frozenset(idempotent_actions))


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one attempt goes."""

    outputs: Mapping[str, Any] = field(default_factory=dict)
    error: Error | None = None
    done: bool | None = None
    takes: float = 1.0
    """Seconds."""
    is_lost: bool = False
    hangs: bool = False
    """It ends only when it is stopped, or times out."""
    when_stopped: str = "cancelled"
    """What answers a stop: `cancelled`, `ok`, `lost`."""


OK = Result()


_WORDS: Mapping[str, Result] = {
    "ok": OK,
    "fail": Result(error=Error(kind="exit", message="exit code 1", exit_code=1)),
    "lost": Result(is_lost=True),
    "hang": Result(hangs=True),
    "done": Result(done=True),
    "not_done": Result(done=False),
}


def result_of(said: Any) -> Result:
    """The result that a scenario's word or map says; any other word is a kind of error."""
    if isinstance(said, str):
        return _WORDS.get(said) or Result(error=Error(kind=said, message=f"it ended with {said}"))
    error = None
    if "fail" in said:
        message = said.get("message", f"it ended with {said['fail']}")
        error = Error(kind=said["fail"], message=message, exit_code=said.get("exit_code"))
    return Result(
        outputs=said.get("outputs", {}),
        error=error,
        takes=float(said.get("takes", 1.0)),
        done=said.get("done"),
        hangs=said.get("hangs", False),
        is_lost=said.get("lost", False),
        when_stopped=said.get("when_stopped", "cancelled"),
    )


@dataclass(slots=True, kw_only=True)
class Script:
    """What the world does: results by path, answers by path, and what happens at a moment."""

    steps: Mapping[str, Any] = field(default_factory=dict)
    """Path to a result, or to a list of them: one for each attempt, and the last one from then on."""
    answers: Mapping[str, Any] = field(default_factory=dict)
    """Path to an answer, or to a list of them, in order; `after` says how many seconds a person takes."""
    children: Mapping[str, Any] = field(default_factory=dict)
    windows: Mapping[str, float] = field(default_factory=dict)
    """Seconds until a window opens; never, where it is not named."""
    places: Mapping[str, float | str] = field(default_factory=dict)
    """Seconds until an environment has a place, or `full` where the run does not wait for one."""
    """Calendar to the seconds until it opens."""
    happens: Iterable[Mapping[str, Any]] = ()
    """`{at: seconds, …}` or `{when: performed path, …}` with `do` and what it needs."""
    editor: str | None = None


class World:
    """Drives one run with a script."""

    def __init__(self, plan: Plan, script: Script, *, run_id: str = "run", now: int = DAY_ONE) -> None:
        self.plan = plan
        self.script = script
        self.now = now
        self.run: Run = new_run(plan, run_id)
        self.journal: list[bytes] = []
        self.facts: list[events.AnyEvent] = []
        self.performed: list[str] = []
        """What was ordered: `path`, `path:check`, `path?` for a question, `path>` for a child run."""
        self.stopped: list[str] = []
        self.refused: list[str] = []
        self.effects: list[tuple[str, int]] = []
        """Main attempts that really did something: (path, attempt)."""
        self.command_ids: list[str] = []
        self.works: dict[str, Any] = {}
        """What the last attempt of every step was to do, as plain data."""
        self.after_turn: Callable[[World], None] | None = None
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._attempts: dict[str, int] = {}
        self._answered: dict[str, int] = {}
        self._performing: dict[str, Callable[[], bool]] = {}
        self._moments: list[dict[str, Any]] = [dict(moment) for moment in script.happens]

    # ---- telling ---------------------------------------------------------------------------------------------------

    def start(self, **start: Any) -> World:
        """Starts the run and plays until it ends or nothing is left to happen."""
        for moment in self._moments:
            if "at" in moment:
                self._later(float(moment["at"]), lambda moment=moment: self._do(moment))  # type: ignore[misc] # bound
        protections = msgspec.convert(start.pop("protections", {}), dict[str, Protection])
        said = {"inputs": {}, "started_by": "user:ann", "protections": protections, **start}
        self.tell(stimuli.Start(at=self.now, run=self.run.id, digest="digest", **said))
        return self.play()

    def start_only(self) -> World:
        """Starts the run and lets a minute pass."""
        self._later(60.0, self._agenda.clear)
        return self.start()

    def play(self) -> World:
        """Lets happen what is to happen, in the order of time."""
        for _ in range(TURNS_MAX):
            if not self._agenda or self.run.has_ended:
                return self
            at, _, act = heapq.heappop(self._agenda)
            self.now = max(self.now, at)
            act()
        raise AssertionError(
            f"no end after {TURNS_MAX} turns: {self.run.status}, {list(self.run.leaves)[:5]}"
        )

    def tell(self, stimulus: stimuli.AnyStimulus) -> None:
        """Decides, writes the facts down, and does what they ask for."""
        decision = advance(self.run, stimulus)
        self.run = decision.run
        self.facts.extend(decision.facts)
        self.journal.extend(encoding.encode(fact) for fact in decision.facts)
        if self.after_turn is not None:
            self.after_turn(self)
        for fact in decision.facts:
            for command in commands.commands(fact):
                if isinstance(command, commands.PerformStep | commands.StartChild):
                    self.command_ids.append(command.id)
                self.order(command)

    def tell_late(self, stimulus: stimuli.AnyStimulus) -> None:
        """Tells what may be out of date by now: then it changes nothing."""
        before = self.run
        try:
            self.tell(stimulus)
        except IllegalStimulus:
            assert self.run is before

    def tell_refusable(self, stimulus: stimuli.AnyStimulus) -> None:
        """Tells what may be refused, and keeps the reason."""
        before = self.run
        try:
            self.tell(stimulus)
        except Refused as refusal:
            assert self.run is before
            self.refused.append(refusal.message)

    def crash(self) -> None:
        """The process dies and comes back: what was not written is gone, and so are all performers."""
        run = new_run(self.plan, self.run.id)
        for record in self.journal:
            run = evolve(run, encoding.decode(record))
        assert run == self.run
        self.run = run
        self._agenda.clear()
        self._performing.clear()
        for command in commands.outstanding(self.run):
            if isinstance(command, commands.PerformStep):
                self.tell_late(
                    stimuli.Interrupted(
                        at=self.now, path=command.path, attempt=command.attempt, stage=command.stage
                    )
                )
            else:
                self.order(command)

    # ---- doing what commands ask for -------------------------------------------------------------------------------

    def order(self, command: commands.AnyCommand) -> None:
        """Does what *command* asks for."""
        match command:
            case commands.PerformStep():
                self._perform(command)
            case commands.SetTimer():
                self._at(command.due, lambda: self._timer(command))
            case commands.AwaitWindow():
                self._open_window(command)
            case commands.AwaitPlace():
                self._find_place(command)
            case commands.AskPeople():
                self._note(f"{command.path}?")
                self._answer_later(command.path)
            case commands.StartChild():
                self._start_child(command)
            case commands.StopSteps():
                self._stop(command)

    def _perform(self, command: commands.PerformStep) -> None:
        name = command.path + (":check" if command.stage == "check" else "")
        self.works[name] = msgspec.json.decode(msgspec.json.encode(command.work))
        result = self._scripted(
            self.script.steps, name, default="not_done" if command.stage == "check" else "ok"
        )
        step = self.plan[command.plan].step
        assert step is not None
        seconds = result.takes
        if result.hangs and step.timeout is not None and command.stage == "main":
            seconds = step.timeout
            result = Result(error=Error(kind="timeout", message="it took too long"))
        self._end_later(command, result, seconds)
        self._note(name)

    def _end_later(self, command: commands.PerformStep, result: Result, seconds: float) -> None:
        is_over = False

        def end(result: Result) -> bool:
            nonlocal is_over
            if is_over:
                return False
            is_over = True
            self._performing.pop(command.path, None)
            if command.stage == "main" and result.error is None:
                self.effects.append((command.path, command.attempt))
            self.tell(self._ended(command, result))
            return True

        def stop() -> bool:
            words = {
                "cancelled": Result(error=Error(kind="cancelled", message="stopped")),
                "lost": result_of("lost"),
            }
            answer = words.get(result.when_stopped, Result(outputs=result.outputs))
            self._later(STOP_MICROS / SECOND, lambda: end(answer))
            return True

        self._performing[command.path] = stop
        if not result.hangs:
            self._later(seconds, lambda: end(result))

    def _ended(self, command: commands.PerformStep, result: Result) -> stimuli.AnyStimulus:
        if result.is_lost:
            return stimuli.Interrupted(
                at=self.now, path=command.path, attempt=command.attempt, stage=command.stage
            )
        return stimuli.StepEnded(
            at=self.now,
            path=command.path,
            attempt=command.attempt,
            stage=command.stage,
            outputs=result.outputs,
            error=result.error,
            done=result.done,
        )

    def _timer(self, command: commands.SetTimer) -> None:
        self.tell_late(
            stimuli.TimerFired(at=self.now, path=command.path, purpose=command.purpose, due=command.due)
        )

    def _open_window(self, command: commands.AwaitWindow) -> None:
        seconds = self.script.windows.get(command.window)
        if seconds is not None:
            opened = stimuli.Signalled
            self._later(
                seconds, lambda: self.tell_late(opened(at=self.now, kind="window", name=command.window))
            )

    def _find_place(self, command: commands.AwaitPlace) -> None:
        said = self.script.places.get(command.environment, 0.0)
        payload, seconds = ("full", 0.0) if isinstance(said, str) else (None, said)
        self._later(
            seconds,
            lambda: self.tell_late(
                stimuli.Signalled(at=self.now, kind="place", name=command.environment, payload=payload)
            ),
        )

    def _start_child(self, command: commands.StartChild) -> None:
        step = self.plan[command.plan].step
        assert isinstance(step, model.WorkflowStep)
        said = self._scripted(self.script.children, command.path, default={})
        is_over = False

        def end(status: str, outputs: Mapping[str, Any], error: Error | None) -> bool:
            nonlocal is_over
            if is_over:
                return False
            is_over = True
            self.tell(
                stimuli.ChildEnded(
                    at=self.now,
                    path=command.path,
                    child=command.child,
                    status=status,  # type: ignore[arg-type] # the scenario says one of them
                    outputs=outputs,
                    error=error,
                )
            )
            return True

        status = said.get("status", "running" if step.detach else "succeeded")
        message = said.get("error")
        error = None if message is None else Error(kind=said.get("kind", "exit"), message=message)
        self._performing[command.path] = lambda: bool(
            self._later(STOP_MICROS / SECOND, lambda: end("cancelled", {}, None))
        )
        if not said.get("hangs", False):
            self._later(float(said.get("takes", 1.0)), lambda: end(status, said.get("outputs", {}), error))
        self._note(f"{command.path}>")

    def _stop(self, command: commands.StopSteps) -> None:
        for path in command.leaves:
            self.stopped.append(path)
            stop = self._performing.get(path)
            if stop is not None:
                stop()

    def _answer_later(self, path: str) -> None:
        answers = self.script.answers.get(path)
        if answers is None:
            return
        listed = answers if isinstance(answers, list) else [answers]
        position = self._answered.get(path, 0)
        if position < len(listed):
            self._answered[path] = position + 1
            self._say_later(path, listed[position])

    def _say_later(self, path: str, answer: Mapping[str, Any]) -> None:
        said = dict(answer)
        self._later(float(said.pop("after", 60.0)), lambda: self._answer(path, said))

    def _answer(self, path: str, said: dict[str, Any]) -> None:
        self.tell_refusable(
            stimuli.Answered(
                at=self.now, path=path, **{"by": "user:bob", "editor": self.script.editor, **said}
            )
        )
        node = self.run.nodes.get(path)
        if node is not None and node.status == "asking" and not self._has_agenda_for(path):
            self._answer_later(path)

    def _has_agenda_for(self, path: str) -> bool:
        """Whether the question was asked anew by the answer itself, so that its answer is on its way."""
        last = next((fact for fact in reversed(self.facts) if isinstance(fact, events.PeopleAsked)), None)
        return last is not None and last.path == path and last.at == self.now

    # ---- what else happens -----------------------------------------------------------------------------------------

    def _note(self, name: str) -> None:
        self.performed.append(name)
        count = self.performed.count(name)
        for moment in list(self._moments):
            if moment.get("when") == name and int(moment.get("time", 1)) == count:
                self._moments.remove(moment)
                self._later(float(moment.get("after", 0.0)), lambda moment=moment: self._do(moment))  # type: ignore[misc] # bound

    def _do(self, moment: Mapping[str, Any]) -> None:
        by = moment.get("by", "user:olga")
        path = moment.get("path", "")
        match moment["do"]:
            case "cancel" | "rollback" | "stop_step" | "retry" | "skip" as said:
                told = self._from_above(said, moment, by=by, path=path)
            case "signal" | "event" as kind:
                told = stimuli.Signalled(
                    at=self.now, kind=kind, name=moment["name"], payload=moment.get("payload"), by=by
                )
            case "admit":
                told = stimuli.Admit(at=self.now)
            case "answer":
                told = stimuli.Answered(at=self.now, path=path, by=by, decision=moment["decision"])
            case "claim" | "release" | "hand_over" | "remind" as said:
                told = self._about_question(said, moment, by=by, path=path)
            case "crash":
                self.crash()
                return
            case other:
                raise ValueError(f"nothing is called {other!r}")
        self.tell_refusable(told)

    def _from_above(self, said: str, moment: Mapping[str, Any], *, by: str, path: str) -> stimuli.AnyStimulus:
        reason = moment.get("reason", "")
        match said:
            case "cancel":
                undoes = moment.get("rollback", True)
                return stimuli.Cancel(at=self.now, by=by, rollback=undoes, reason=reason)
            case "rollback":
                return stimuli.Rollback(at=self.now, by=by, reason=reason)
            case "stop_step":
                return stimuli.StopStep(at=self.now, path=path, by=by, reason=reason)
            case "retry":
                return stimuli.Retry(at=self.now, path=path, by=by)
        return stimuli.Skip(at=self.now, path=path, by=by, reason=reason)

    def _about_question(
        self, said: str, moment: Mapping[str, Any], *, by: str, path: str
    ) -> stimuli.AnyStimulus:
        match said:
            case "claim":
                return stimuli.Claimed(at=self.now, path=path, by=by, force=moment.get("force", False))
            case "release":
                return stimuli.Released(at=self.now, path=path, by=by)
            case "hand_over":
                return stimuli.HandedOver(at=self.now, path=path, by=by, to=moment["to"])
        node = self.run.nodes[path]
        asked_at = 0 if node.question is None else node.question.asked_at
        number = node.told_reminders + 1
        return stimuli.Climbed(at=self.now, path=path, kind="reminder", asked_at=asked_at, number=number)

    def _scripted(self, table: Mapping[str, Any], name: str, *, default: Any) -> Any:
        words = table.get(name, default)
        position = self._attempts.get(name, 0)
        self._attempts[name] = position + 1
        if isinstance(words, list):
            words = words[min(position, len(words) - 1)]
        return result_of(words) if table is self.script.steps else words

    def _later(self, seconds: float, act: Callable[[], Any]) -> bool:
        self._at(self.now + round(seconds * SECOND), act)
        return True

    def _at(self, at: int, act: Callable[[], Any]) -> None:
        heapq.heappush(self._agenda, (at, next(self._count), act))


def continue_run(world: World, how: str, script: Script) -> World:
    """A new run that goes on where the one of *world* ended, or undoes it."""
    before = world.run
    assert before.status in END_STATES
    is_retry = how == "retry"
    carried = (continuing.carried_for_retry if is_retry else continuing.carried_for_rollback)(before)
    again = World(world.plan, script, run_id=f"{before.id}_{how}", now=world.now + 3600 * SECOND)
    return again.start(
        inputs=before.inputs,
        continues=before.id,
        carried=carried,
        mode="forward" if is_retry else "rollback",
    )
