"""A world that does what a tape says: it fails, loses, delays, repeats and invents.

It keeps nothing in mind but the run itself: what can happen next is read from `outstanding`. So that a run ends at all shows that
`outstanding` names everything that an engine has to know after a restart.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from simulation.tape import Tape
from towpath.core import Plan, Run, advance, commands, continuing, events, new_run, stimuli
from towpath.core.evolve import evolve
from towpath.core.run import Error, Node, Protection
from towpath.definition import model
from towpath.engines.contract import LadderKind
from towpath.errors import ExpressionError, IllegalStimulus, Refused
from towpath.store import encoding

FAIR_TURNS_MAX = 3_000
"""Stimuli after which a run that is treated fairly has to have ended."""
FAIR_ANSWERS = ("approve", "done", "skip")
"""What people say so that a run goes on for sure: a retry may fail for ever."""
START = 1_800_000_000_000_000
_INPUTS = {"yes": True}


class Chaos:
    """One run, driven by a tape and then treated fairly until it ends."""

    def __init__(self, plan: Plan, tape: Tape, *, before: Chaos | None = None, how: str = "retry") -> None:
        self.tape = tape
        self.calm = 1 + tape.next(4)
        """How seldom things go wrong."""
        self.before = before
        self.how = how
        self.run: Run = new_run(plan, "run" if before is None else f"{before.run.id}_{how}")
        self.now = START
        self.journal: list[bytes] = []
        self.facts: list[events.AnyEvent] = []
        self.command_ids: list[str] = []
        self.told: list[stimuli.AnyStimulus] = []
        self.turns: list[int] = []
        """How long the journal was after every turn."""
        self.ordered: set[str] = set()

    def play(self) -> Chaos:
        """Starts the run, does what the tape says, and then is fair to it."""
        self._tell(self._start())
        while not self.tape.is_over and not self.run.has_ended:
            self._anything()
        return self.play_on()

    def come_back(self, other: Chaos, *, turn: int) -> Chaos:
        """Takes over the journal of another world as it was after a turn; what was performed then is lost."""
        count = other.turns[turn]
        self.journal, self.facts = other.journal[:count], other.facts[:count]
        self.now = other.now
        ordered = [command for fact in self.facts for command in commands.commands(fact)]
        self.ordered = {command.id for command in ordered}
        self.command_ids = [
            command.id
            for command in ordered
            if isinstance(command, commands.PerformStep | commands.StartChild)
        ]
        self.run = self._folded()
        if not self.run.has_ended:
            self._crash()
        return self

    def play_on(self) -> Chaos:
        """Is fair to the run until it ends."""
        for _ in range(FAIR_TURNS_MAX):
            if self.run.has_ended:
                return self
            self.fair_turn()
        raise AssertionError(f"no end: {self.run.status}, {list(self.run.leaves)[:5]}")

    def _start(self) -> stimuli.Start:
        start = stimuli.Start(
            at=self.now, run=self.run.id, digest="digest", inputs=_INPUTS, started_by="user:ann"
        )
        start = msgspec.structs.replace(start, protections=self._protections())
        if self.before is None:
            return start
        is_retry = self.how == "retry"
        carry = continuing.carried_for_retry if is_retry else continuing.carried_for_rollback
        return msgspec.structs.replace(
            start,
            continues=self.before.run.id,
            carried=carry(self.before.run),
            mode="forward" if is_retry else "rollback",
        )

    def _protections(self) -> dict[str, Protection]:
        """Which environments are protected in this run, and how."""
        hours = 3_600_000_000
        return {
            name: Protection(
                who=("group:x",) if self.tape.next(2) else (),
                has_window=bool(self.tape.next(2)),
                places=(None, 1)[self.tape.next(2)],
                answer_within=hours if self.tape.next(2) else None,
                if_unanswered="reject",
            )
            for name in ("production", "staging")
            if self.tape.next(2)
        }

    def standing(self) -> set[str]:
        """What this run and those before it started, can undo and did not undo; last steps do not count."""
        found = self.before.standing() if self.before is not None else set()
        for fact in self.facts:
            match fact:
                case events.StepStarted(stage="main", frame="") if self.run.plan[fact.plan].has_rollback:
                    found.add(fact.path)
                case events.StepUndone():
                    found.discard(fact.path)
                case _:
                    pass
        return {path for path in found if not path.startswith(("~finally", "~on_failure"))}

    # ---- being fair ------------------------------------------------------------------------------------------------

    def fair_turn(self) -> None:
        """The next thing that the run is owed happens, and goes well."""
        owed = commands.outstanding(self.run)
        working = [command for command in owed if not isinstance(command, commands.SetTimer)]
        silent = [
            leaf for leaf in self.run.open_leaves() if leaf.awaited is not None and leaf.status == "waiting"
        ]
        timers = sorted(
            (command for command in owed if isinstance(command, commands.SetTimer)),
            key=lambda timer: timer.due,
        )
        if working:
            self._tell(self._done(working[0]))
        elif any(leaf.awaited is not None and leaf.awaited.kind == "signal" for leaf in silent):
            self._tell(stimuli.Signalled(at=self.now, kind="signal", name="go"))
        else:
            assert timers, f"nothing will ever happen: {list(self.run.leaves)}"
            self._tell(self._fired(timers[0]))

    def _done(self, command: commands.AnyCommand) -> stimuli.AnyStimulus:  # noqa: PLR0911 - one for each kind
        match command:
            case commands.PerformStep():
                return self._ended(command, 0)
            case commands.AskPeople():
                fair = next(word for word in FAIR_ANSWERS if word in command.question.choices)
                return self._answered(command, fair, by=f"user:fair_{len(self.told)}")
            case commands.StartChild():
                return self._child_ended(command, "succeeded")
            case commands.AwaitWindow():
                return stimuli.Signalled(at=self.now, kind="window", name=command.window)
            case commands.AwaitPlace():
                payload = (None, None, "full")[self.tape.next(3)]
                return stimuli.Signalled(at=self.now, kind="place", name=command.environment, payload=payload)
            case commands.StopSteps():
                return self._stopped(self.run.nodes[command.leaves[0]])
            case commands.SetTimer():
                return self._fired(command)
            case commands.TellPeople():
                raise AssertionError("what people are told is owed to nobody")

    # ---- doing anything --------------------------------------------------------------------------------------------

    def _anything(self) -> None:
        owed = commands.outstanding(self.run)
        self.now += self.tape.next(60) * 1_000_000
        match self.tape.next(16 * self.calm):
            case 10:
                self._tell_unsure(self._from_above())
            case 11 if self.told:
                self._tell_unsure(self.told[-1 - self.tape.next(min(len(self.told), 20))])
            case 12:
                self._tell_unsure(self._nonsense())
            case 13:
                self._crash()
            case 9 | 15:
                self._tell_unsure(self._about_question(""))
            case 14:
                self._tell_unsure(stimuli.Signalled(at=self.now, kind="signal", name="go", payload={"n": 1}))
            case _ if owed:
                self._tell_unsure(self._something(owed[self.tape.next(len(owed))]))
            case _:
                pass

    def _something(self, command: commands.AnyCommand) -> stimuli.AnyStimulus:
        match command:
            case commands.PerformStep():
                return self._ended(command, self.tape.next(8 * self.calm))
            case commands.AskPeople():
                choice = command.question.choices[self.tape.next(len(command.question.choices))]
                return self._answered(command, choice, by=f"user:{self.tape.next(4)}")
            case commands.StartChild():
                return self._child_ended(
                    command, ("succeeded", "failed", "cancelled", "rejected")[self.tape.next(4)]
                )
            case _:
                return self._done(command)

    def _from_above(self) -> stimuli.AnyStimulus:
        paths = sorted(self.run.nodes)
        path = paths[self.tape.next(len(paths))] if paths else ""
        said: tuple[Callable[[], stimuli.AnyStimulus], ...] = (
            lambda: stimuli.Cancel(at=self.now, by="user:olga", rollback=bool(self.tape.next(2))),
            lambda: stimuli.Rollback(at=self.now, by="user:olga"),
            lambda: stimuli.Retry(at=self.now, path=path, by="user:olga"),
            lambda: stimuli.Skip(at=self.now, path=path, by="user:olga"),
            lambda: stimuli.Admit(at=self.now),
            lambda: self._about_question(path),
            lambda: stimuli.StopStep(at=self.now, path=path, by="user:olga"),
        )
        return said[self.tape.next(len(said))]()

    def _about_question(self, path: str) -> stimuli.AnyStimulus:
        asking = [leaf for leaf in self.run.open_leaves() if leaf.question is not None]
        node = asking[self.tape.next(len(asking))] if asking else None
        path = node.path if node is not None else path
        asked_at = node.question.asked_at if node is not None and node.question is not None else 0
        by = f"user:{self.tape.next(4)}"
        match self.tape.next(6):
            case 0:
                return (
                    stimuli.Claimed(at=self.now, path=path, by=by),
                    stimuli.Claimed(at=self.now, path=path, by=by, force=True),
                    stimuli.Released(at=self.now, path=path, by=by),
                )[self.tape.next(3)]
            case 1:
                return stimuli.HandedOver(at=self.now, path=path, by=by, to="user:1")
            case 2:
                return stimuli.Commented(at=self.now, path=path, by=by, text="hm")
            case 3:
                return stimuli.Withdrawn(at=self.now, path=path, by=by)
            case 4:
                return stimuli.EvidenceRead(at=self.now, path=path, asked_at=asked_at, evidence={"n": 1})
            case _:
                kinds: tuple[LadderKind, ...] = ("rung", "reminder", "expiry")
                kind = kinds[self.tape.next(3)]
                return stimuli.Climbed(
                    at=self.now, path=path, asked_at=asked_at, kind=kind, number=1 + self.tape.next(2)
                )

    def _nonsense(self) -> stimuli.AnyStimulus:
        paths = ["nowhere", "s1~rollback", "s1[1]/s2", "", *sorted(self.run.nodes)]
        path = paths[self.tape.next(len(paths))]
        attempt = self.tape.next(4)
        match self.tape.next(6):
            case 0:
                return stimuli.StepEnded(at=self.now, path=path, attempt=attempt)
            case 1:
                return stimuli.Interrupted(at=self.now, path=path, attempt=attempt, stage="check")
            case 2:
                return stimuli.TimerFired(at=self.now, path=path, purpose="timeout", due=self.now)
            case 3:
                return stimuli.Answered(at=self.now, path=path, by="user:eve", decision="approve")
            case 4:
                return stimuli.ChildEnded(at=self.now, path=path, child=self.run.id, status="succeeded")
            case _:
                return stimuli.Start(
                    at=self.now, run=self.run.id, digest="", inputs={}, started_by="user:eve"
                )

    def _ended(self, command: commands.PerformStep, how: int) -> stimuli.AnyStimulus:
        node = self.run.nodes[command.path]
        if node.stopping and how < 5:
            return self._stopped(node)
        match how:
            case 6:
                return stimuli.Interrupted(
                    at=self.now, path=command.path, attempt=command.attempt, stage=command.stage
                )
            case 4 | 5 | 7:
                kind = ("exit", "timeout")[how % 2]
                error = Error(kind=kind, message="it failed", exit_code=how)
                return stimuli.StepEnded(
                    at=self.now, path=command.path, attempt=command.attempt, stage=command.stage, error=error
                )
            case _:
                return stimuli.StepEnded(
                    at=self.now,
                    path=command.path,
                    attempt=command.attempt,
                    stage=command.stage,
                    outputs={"n": how},
                    done=how == 3 if command.stage == "check" else None,
                )

    def _stopped(self, node: Node) -> stimuli.AnyStimulus:
        if node.child is not None:
            return stimuli.ChildEnded(at=self.now, path=node.path, child=node.child, status="cancelled")
        error = Error(kind="cancelled", message="it was stopped")
        return stimuli.StepEnded(
            at=self.now, path=node.path, attempt=node.attempt, stage=node.stage, error=error
        )

    def _answered(self, command: commands.AskPeople, decision: str, *, by: str) -> stimuli.AnyStimulus:
        return stimuli.Answered(at=self.now, path=command.path, by=by, decision=decision)

    def _child_ended(self, command: commands.StartChild, status: str) -> stimuli.AnyStimulus:
        step = self.run.plan[command.plan].step
        assert isinstance(step, model.WorkflowStep)
        return stimuli.ChildEnded(
            at=self.now,
            path=command.path,
            child=command.child,
            status="running" if step.detach and status == "succeeded" else status,  # type: ignore[arg-type] # one of them
        )

    def _fired(self, timer: commands.SetTimer) -> stimuli.AnyStimulus:
        self.now = max(self.now, timer.due)
        return stimuli.TimerFired(
            at=self.now, path=timer.path, purpose=timer.purpose, due=timer.due, seed=self.tape.next(1000)
        )

    # ---- telling ---------------------------------------------------------------------------------------------------

    def _tell_unsure(self, stimulus: stimuli.AnyStimulus) -> None:
        """Tells what may be illegal or refused: then nothing has changed."""
        before = self.run
        try:
            self._tell(stimulus)
        except (IllegalStimulus, Refused, ExpressionError):
            assert self.run is before

    def _tell(self, stimulus: stimuli.AnyStimulus) -> None:
        decision = advance(self.run, stimulus)
        self.told.append(stimulus)
        self.run = decision.run
        self.facts.extend(decision.facts)
        self.journal.extend(encoding.encode(fact) for fact in decision.facts)
        self.turns.append(len(self.journal))
        ordered = [command for fact in decision.facts for command in commands.commands(fact)]
        self.ordered |= {command.id for command in ordered}
        self.command_ids += [
            command.id
            for command in ordered
            if isinstance(command, commands.PerformStep | commands.StartChild)
        ]
        if not self.run.has_ended:
            owed = {command.id for command in commands.outstanding(self.run)}
            stops = {
                command.id
                for command in commands.outstanding(self.run)
                if isinstance(command, commands.StopSteps)
            }
            assert owed - stops <= self.ordered, f"{owed - self.ordered} are owed and were never ordered"

    def _crash(self) -> None:
        """The process dies: the run is what the journal says, and what was performed is lost."""
        run = self._folded()
        assert run == self.run
        self.run = run
        for command in commands.outstanding(run):
            if isinstance(command, commands.PerformStep):
                lose(self, command)

    def _folded(self) -> Run:
        run = new_run(self.run.plan, self.run.id)
        for record in self.journal:
            run = evolve(run, encoding.decode(record))
        return run


def lose(world: Chaos, command: commands.PerformStep) -> None:
    """The performer of an attempt is lost: only what may be repeated is repeated, and only what may not asks."""
    before = world.run.nodes[command.path]
    planned = world.run.plan[command.plan]
    world._tell(
        stimuli.Interrupted(at=world.now, path=command.path, attempt=command.attempt, stage=command.stage)
    )
    after = world.run.nodes[command.path]
    if before.stopping:
        return
    if planned.step is not None and planned.step.check is not None:
        assert (after.status, after.stage) == ("performing", "check")
    elif world.run.plan.is_idempotent(planned, {}):
        assert (after.status, after.attempt) in (
            ("performing", before.attempt + 1),
            ("failed", before.attempt),
        )
    else:
        assert after.status == "asking"
        assert after.question is not None
        assert after.question.kind == "unknown"
