"""A world round the pure core: steps, people and time that do what a test says.

What an engine does with processes, a database and a clock is done here with a script: a command is carried out as the script says, its end
comes back as a stimulus, and time passes only when nothing else is to happen. The rules are the core's, who may answer is judged by the
project's own people, and calendars are the project's own; only the edges are made up. The journal is kept as it would be, so that the
process can die at any moment: then the run is folded from what was written, and what is outstanding is done again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from towpath.core import advance, commands, continuing, new_run, stimuli
from towpath.core.events import AnyEvent
from towpath.core.evolve import evolve
from towpath.core.run import Carried, Json, Micros, Path, Run, RunId, Work
from towpath.definition.inputs import complete_inputs
from towpath.errors import BugError, IllegalStimulus, Refused, TowpathError
from towpath.store import encoding
from towpath.store.contract import RunNumber
from towpath.trials.testing import addresses, performing
from towpath.trials.testing.addresses import Place
from towpath.trials.testing.agenda import Agenda
from towpath.trials.testing.asking import Asking, Telling
from towpath.trials.testing.bench import Bench, Piece
from towpath.trials.testing.children import Children
from towpath.trials.testing.files import Answer, CheckResult, Happening, Result
from towpath.trials.testing.happening import Happenings
from towpath.trials.testing.script import Lines

TURNS_MAX = 50_000
"""Things that happen in a test before it is taken for one that never ends."""
MICROS = performing.MICROS
RUN_ID = "test"
STARTER = "user:somebody"
"""Who starts a run where a test does not say it."""

Began = Literal["step", "check", "question", "child"]
SIGNS: Mapping[Began, str] = {"step": "", "check": ":check", "question": "?", "child": ""}
"""What follows the path of a step in the order of things."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """One thing that was ordered: an attempt, a look, a question, another run."""

    place: Place
    kind: Began
    at: Micros
    work: Work | None = None

    @property
    def name(self) -> str:
        """The path with the sign of its kind: `go_live?`."""
        return f"{self.place.full}{SIGNS[self.kind]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surprise:
    """Something that somebody did in a test, and that went otherwise than the test says."""

    what: str
    expected: str
    got: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Something that the test did to the world, between the facts: a crash, a refused answer."""

    at: Micros
    text: str
    place: str = ""


@dataclass(slots=True, kw_only=True)
class Drive:
    """One run of a test."""

    number: RunNumber
    piece: Piece
    run: Run
    outer: Place | None = None
    """The step that started the run."""
    on_end: Callable[[Run], None] | None = None
    journal: list[bytes] = field(default_factory=list)
    facts: list[AnyEvent] = field(default_factory=list)

    def place(self, path: Path, plan: int) -> Place:
        """The place of a step of this run."""
        planned = self.piece.plan[plan]
        step = planned.step
        return Place(
            path=path,
            id=step.id if step is not None else None,
            outer=self.outer,
            loops=addresses.loops_around(planned),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """The run that a new one goes on from, undoes or repeats."""

    run: Run
    how: Literal["retry", "rollback", "rerun"]

    @property
    def carried(self) -> tuple[Carried, ...]:
        """The steps that the new run takes over."""
        if self.how == "rerun":
            return ()
        carry = continuing.carried_for_retry if self.how == "retry" else continuing.carried_for_rollback
        return carry(self.run)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Everything that a test says about the world."""

    workflow: str
    inputs: Mapping[str, Json]
    at: Micros
    zone: str = "UTC"
    started_by: str = STARTER
    edited_by: str = ""
    break_glass: str = ""
    event: Json = None
    steps: Mapping[str, Result | tuple[Result, ...]] = field(default_factory=dict)
    checks: Mapping[str, CheckResult | tuple[CheckResult, ...]] = field(default_factory=dict)
    answers: Mapping[str, Answer | tuple[Answer, ...]] = field(default_factory=dict)
    is_silent: bool = False
    files: Mapping[str, str] = field(default_factory=dict)
    happens: tuple[Happening, ...] = ()
    stop_after: float | None = None
    before: Before | None = None
    own: frozenset[str] = frozenset()
    """The addresses under `steps`, `checks` and `answers` that the test itself says, apart from its file."""


class World:
    """Plays one test."""

    def __init__(self, bench: Bench, setting: Setting) -> None:
        self.bench = bench
        self.setting = setting
        self.agenda = Agenda(setting.at)
        self.drives: list[Drive] = []
        self.ordered: list[Ordered] = []
        """Everything that was ordered, in order."""
        self.story: list[tuple[Drive, AnyEvent] | Moment] = []
        """Everything that became true, and what the test did, in order."""
        self.surprises: list[Surprise] = []
        """What the test did not expect: an answer that was refused, and such."""
        self.refusal: str | None = None
        """Why the run could not start."""
        self.is_endless = False
        self._is_down = False
        self._waiting_for_process: list[Callable[[], None]] = []
        self.results: Lines[Result] = Lines(setting.steps, own=setting.own, repeats=True)
        self.checks: Lines[CheckResult] = Lines(setting.checks, own=setting.own, repeats=True)
        self.answers: Lines[Answer] = Lines(setting.answers, own=setting.own, repeats=False)
        self.performing = performing.Performing(self)
        self.children = Children(self)
        self.asking = Asking(self)
        self.happenings = Happenings(self, setting.happens)

    @property
    def now(self) -> Micros:
        """What the clock shows."""
        return self.agenda.now

    @property
    def told(self) -> list[Telling]:
        """Who was told what, in order."""
        return self.asking.told

    @property
    def root(self) -> Drive:
        """The run that is tested."""
        return self.drives[0]

    # ---- playing ---------------------------------------------------------------------------------------------------

    def play(self) -> World:
        """Starts the run and lets happen what is to happen, in the order of time."""
        piece = self.bench.piece(self.setting.workflow)
        self.happenings.plan()
        try:
            before = self.setting.before
            drive = self.start(
                piece,
                RunId(RUN_ID if before is None else f"{before.run.id}_{before.how}"),
                inputs=complete_inputs(piece.workflow.inputs, self.setting.inputs),
                is_first=True,
            )
        except TowpathError as refusal:
            self.refusal = refusal.message
            return self
        if drive.run.break_glass:
            self.children.start_review(drive)
        self._play()
        return self

    def _play(self) -> None:
        stop_after = self.setting.stop_after
        end = None if stop_after is None else self.setting.at + round(stop_after * MICROS)
        for _ in range(TURNS_MAX):
            following = self.agenda.next_at
            if all(drive.run.has_ended for drive in self.drives) or following is None:
                return
            if end is not None and following > end:
                self.agenda.pass_until(end)
                return
            self.agenda.turn()
        self.is_endless = True

    # ---- runs ------------------------------------------------------------------------------------------------------

    def start(
        self,
        piece: Piece,
        run_id: RunId,
        *,
        inputs: Mapping[str, Json],
        is_first: bool = False,
        outer: Place | None = None,
        parent: tuple[RunId, Path] | None = None,
        break_glass: str = "",
        on_end: Callable[[Run], None] | None = None,
    ) -> Drive:
        """Starts a run; raises Refused where its environment is frozen."""
        desk = self.asking.desk
        before = self.setting.before if is_first else None
        break_glass = self.setting.break_glass if is_first else break_glass
        is_forward = before is None or before.how != "rollback"
        carried = () if before is None else before.carried
        start = stimuli.Start(
            at=self.now,
            run=run_id,
            digest=piece.digest,
            inputs=inputs,
            started_by=self.setting.started_by,
            edited_by=self.setting.edited_by,
            protections=desk.protections() if is_forward else {},
            break_glass=break_glass,
            event=self.setting.event if is_first else None,
            mode="forward" if is_forward else "rollback",
            continues=before.run.id if before is not None and carried else None,
            carried=carried,
            parent=parent,
        )
        begun = new_run(piece.plan, run_id)
        if not break_glass and is_forward:
            desk.check_start(advance(begun, start).run.environment, self.now)
        number = RunNumber(len(self.drives) + 1)
        drive = Drive(number=number, piece=piece, run=begun, outer=outer, on_end=on_end)
        self.drives.append(drive)
        self.tell(drive, start)
        return drive

    def tell(self, drive: Drive, stimulus: stimuli.AnyStimulus) -> None:
        """Decides, writes the facts down, and does what they ask for; raises Refused where somebody may not say this."""
        before = drive.run
        self.asking.judge(before, stimulus)
        decision = advance(before, stimulus)
        drive.run = decision.run
        drive.facts.extend(decision.facts)
        drive.journal.extend(encoding.encode(fact) for fact in decision.facts)
        self.story.extend((drive, fact) for fact in decision.facts)
        self.asking.closed(drive, before, decision.facts)
        for fact in decision.facts:
            for command in commands.commands(fact):
                self.order(drive, command)
        if decision.run.has_ended and drive.on_end is not None:
            drive.on_end(decision.run)

    def tell_late(self, drive: Drive, stimulus: stimuli.AnyStimulus) -> None:
        """Tells what may be out of date by now: then it changes nothing."""
        if drive.run.has_ended:
            return
        try:
            self.tell(drive, stimulus)
        except (IllegalStimulus, Refused):
            return

    def tell_refusable(
        self, drive: Drive, stimulus: stimuli.AnyStimulus, *, what: str, refused: str | None
    ) -> None:
        """Tells what may be refused, and compares the reason with what the test expects."""
        try:
            self.tell(drive, stimulus)
        except (Refused, IllegalStimulus) as refusal:
            reason = (
                refusal.message if isinstance(refusal, Refused) else "the run is over, or has not come so far"
            )
            self.note(f"{what} was refused: {reason}")
            if refused is None or refused not in reason:
                expected = "it is taken" if refused is None else f"it is refused: …{refused}…"
                self.surprises.append(Surprise(what=what, expected=expected, got=f"it was refused: {reason}"))
        else:
            if refused is not None:
                expected = f"it is refused: …{refused}…"
                self.surprises.append(Surprise(what=what, expected=expected, got="it was taken"))

    def no_fit(self, what: str, reason: str) -> None:
        """What somebody says in the test does not fit the form that is asked for."""
        self.surprises.append(Surprise(what=what, expected="it fits the form", got=reason))

    def order(self, drive: Drive, command: commands.AnyCommand) -> None:
        """Does what *command* asks for."""
        match command:
            case commands.PerformStep():
                self.performing.perform(drive, command)
            case commands.SetTimer():
                self._set_timer(drive, command)
            case commands.AwaitWindow():
                self.asking.await_window(drive, command)
            case commands.AwaitPlace():
                found = stimuli.Signalled(at=self.now, kind="place", name=command.environment)
                self.agenda.later(0, lambda: self.tell_late(drive, found), of_process=True)
            case commands.AskPeople():
                self.asking.asked(drive, command)
            case commands.TellPeople():
                self.asking.tell_more(drive, command)
            case commands.StartChild():
                self.children.start(drive, command)
            case commands.StopSteps():
                self._stop(drive, command)

    def began(self, place: Place, kind: Began, *, work: Work | None = None) -> None:
        """Writes down what was ordered, and lets happen what happens because of it."""
        self.ordered.append(Ordered(place=place, kind=kind, at=self.now, work=work))
        self.happenings.began(place, kind)

    def note(self, text: str, place: str = "") -> None:
        """Writes down what the test did."""
        self.story.append(Moment(at=self.now, text=text, place=place))

    def _set_timer(self, drive: Drive, command: commands.SetTimer) -> None:
        def fire() -> None:
            fired = stimuli.TimerFired(
                at=self.now, path=command.path, purpose=command.purpose, due=command.due
            )
            self.tell_late(drive, fired)

        self.agenda.at(command.due, fire, of_process=True)

    def _stop(self, drive: Drive, command: commands.StopSteps) -> None:
        for path in command.leaves:
            if not self.performing.stop(drive, path):
                self.children.stop(drive, path)

    # ---- the process -----------------------------------------------------------------------------------------------

    def when_up(self, act: Callable[[], None]) -> Callable[[], None]:
        """Something that somebody does to a run, as soon as there is a process that hears it."""

        def do() -> None:
            if self._is_down:
                self._waiting_for_process.append(act)
            else:
                act()

        return do

    def crash(self, down: Micros) -> None:
        """The process dies; after a while another one resumes what it left."""
        if self._is_down:
            return
        self._is_down = True
        self.note("the process dies")
        self.agenda.lose_process()
        self.performing.lose_all()
        self.asking.lose_all()
        self.agenda.later(down, self._resume)

    def _resume(self) -> None:
        self._is_down = False
        self.note("another process resumes the run")
        for drive in list(self.drives):
            if not drive.run.has_ended:
                drive.run = self._folded(drive)
        for drive in list(self.drives):
            for command in () if drive.run.has_ended else commands.outstanding(drive.run):
                if isinstance(command, commands.PerformStep):
                    self.tell_late(drive, performing.interrupted(command, at=self.now))
                else:
                    self.order(drive, command)
        waiting, self._waiting_for_process = self._waiting_for_process, []
        for act in waiting:
            act()

    def _folded(self, drive: Drive) -> Run:
        """The run as its journal tells it."""
        run = new_run(drive.piece.plan, drive.run.id)
        for record in drive.journal:
            run = evolve(run, encoding.decode(record))
        if run != drive.run:
            raise BugError(f"the journal of {drive.piece.workflow.name} does not tell the run as it was")
        return run
