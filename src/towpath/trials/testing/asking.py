"""People, as the script says: who answers what and when; judged, reminded and told by the project's own rules.

Authority, ladders, windows and protections are those of `people.desk`, asked at virtual times. Only what people say is made up: as the test
writes it, or, where it writes nothing, a yes to approvals and tasks by the first of those who may. To a failure, an unknown outcome or a
failed rollback nobody says anything by themselves: what happens then is what a test is for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.core import commands, events, stimuli
from towpath.core.run import Json, Micros, Node, Path, Question, Run
from towpath.engines import summaries
from towpath.errors import TowpathError
from towpath.people import authority
from towpath.people.desk import Desk
from towpath.store.contract import RunNumber
from towpath.trials.testing import plausible
from towpath.trials.testing.addresses import Place
from towpath.trials.testing.files import SILENCE, Answer

if TYPE_CHECKING:
    from towpath.trials.testing.world import Drive, World

MICROS = 1_000_000
THINKING: Micros = 60 * MICROS
"""What a person takes to answer where the test does not say it."""
STRANGERS_MAX = 200
"""People who are made up where the project names none."""
_EXPECTED = frozenset({"approval", "task"})
"""Questions that people answer by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """Once that people were told of a question."""

    at: Micros
    why: str
    place: Place
    number: int
    """Which reminder or rung; 0 for everything else."""
    to: tuple[str, ...]
    people: tuple[str, ...]


class ScriptedDesk(Desk):
    """The project's desk, with the files that a test makes up."""

    files: dict[str, str]

    def read_evidence(self, run: Run, question: Question) -> Mapping[str, Json]:  # noqa: ARG002 - the contract of people
        """The files that a question shows, as the test says."""
        return {name: self._made_up(file) for name, file in question.files.items()}

    def _made_up(self, file: str) -> dict[str, Json]:
        text = self.files.get(file, f"the text of {file}")
        return {"file": file, "digest": hashlib.sha256(text.encode()).hexdigest(), "text": text}


class Asking:
    """Looks after the questions of all runs of a test."""

    def __init__(self, world: World) -> None:
        self._world = world
        project = world.bench.project
        self.told: list[Telling] = []
        self.desk = ScriptedDesk(lambda: project.file, project.folder, bell=self)
        self.desk.files = dict(world.setting.files)
        self._rung: set[tuple[int, Path, str, int]] = set()
        """What was told, so that nothing is told twice after a crash."""
        self._answered: set[tuple[int, Path, Micros]] = set()
        """Questions for which somebody thinks about an answer, or has given it."""
        self._armed: dict[tuple[int, Path], Micros] = {}
        self.on_their_way: list[tuple[Place, Answer]] = []
        """What the test has somebody say, and what was not said yet."""

    # ---- what an engine asks of people -----------------------------------------------------------------------------

    def judge(self, run: Run, stimulus: stimuli.AnyStimulus) -> None:
        """Raises Refused, with the reason, where the person who says this may not."""
        if hasattr(stimulus, "by") and hasattr(stimulus, "path"):
            self.desk.judge(run, stimulus)

    def asked(self, drive: Drive, command: commands.AskPeople) -> None:
        """A question is open: people are told, its ladder begins, and somebody thinks about an answer."""
        node = drive.run.nodes.get(command.path)
        if node is None or node.question != command.question:
            return
        if any(name not in command.question.evidence for name in command.question.files):
            asked_at = command.question.asked_at
            self._world.agenda.later(
                0, lambda: self._read_evidence(drive, command.path, asked_at), of_process=True
            )
            return
        self.desk.tell(drive.number, drive.run, node, why="asked", times=command.question.asked_at, to=())
        self._arm(drive, node)
        key = (drive.number, command.path, command.question.asked_at)
        if key not in self._answered:
            self._answered.add(key)
            self._world.began(self._place(drive, node), "question")
            self._think(drive, node)

    def tell_more(self, drive: Drive, command: commands.TellPeople) -> None:
        """More is told about an open question; its ladder is armed again by what climbs it."""
        node = drive.run.nodes.get(command.path)
        if node is not None and node.question is not None:
            self.desk.tell(
                drive.number, drive.run, node, why=command.why, times=command.number, to=command.to
            )

    def closed(self, drive: Drive, before: Run, facts: tuple[events.AnyEvent, ...]) -> None:
        """Those who were asked are told where a question was decided, or needs no answer any more."""
        for path in summaries.closed_questions(before, drive.run, facts):
            node = before.nodes[path]
            question = node.question
            assert question is not None, path
            answered = any(isinstance(fact, events.AnswerGiven) and fact.path == path for fact in facts)
            is_cancelled = drive.run.nodes[path].status == "cancelled"
            rungs = tuple(one for _, told in question.escalate[: node.told_rungs] for one in told)
            self.desk.tell(
                drive.number,
                drive.run,
                node,
                why="withdrawn" if is_cancelled and not answered else "decided",
                times=question.asked_at,
                to=tuple(dict.fromkeys((*question.who, *rungs))),
            )

    def await_window(self, drive: Drive, command: commands.AwaitWindow) -> None:
        """A step waits for a calendar's window; one that never opens is waited for without end."""
        opens_at = self.desk.window_opens_at(command.window, self._world.now)
        if opens_at is not None:
            self._world.agenda.at(opens_at, lambda: self._look_at_window(drive, command), of_process=True)

    def lose_all(self) -> None:
        """The process died: ladders are armed again when the run is resumed."""
        self._armed.clear()

    # ---- the bell --------------------------------------------------------------------------------------------------

    def ring(
        self,
        number: RunNumber,
        run: Run,  # noqa: ARG002 - the contract of a bell
        node: Node,
        *,
        why: str,
        times: int,
        to: tuple[str, ...],
    ) -> None:
        """Writes down who is told, once."""
        key = (number, node.path, why, times)
        if key in self._rung:
            return
        self._rung.add(key)
        drive = self._world.drives[number - 1]
        everybody = (*to, *node.handed_to) if why in ("decided", "withdrawn") else to
        principals = [one if ":" in one else f"user:{one}" for one in everybody]
        people: Iterable[str] = ()
        if self.desk.directory.names_people:
            people = self.desk.directory.people(principals, self._world.now)
        self.told.append(
            Telling(
                at=self._world.now,
                why=why,
                place=self._place(drive, node),
                number=times if why in ("reminder", "rung") else 0,
                to=to,
                people=tuple(sorted(people)),
            )
        )

    # ---- ladders, windows, evidence --------------------------------------------------------------------------------

    def _arm(self, drive: Drive, node: Node) -> None:
        due = self.desk.next_at(node, self._world.now)
        key = (drive.number, node.path)
        if due is None or self._armed.get(key) == due:
            return
        self._armed[key] = due
        self._world.agenda.at(due, lambda: self._climb(drive, node.path, due), of_process=True)

    def _climb(self, drive: Drive, path: Path, due: Micros) -> None:
        """What is due happens, in order; then the ladder waits for its next rung."""
        if self._armed.get((drive.number, path)) == due:
            del self._armed[drive.number, path]
        node = drive.run.nodes.get(path)
        if node is None or node.status != "asking" or node.question is None:
            return
        now = self._world.now
        for kind, number in self.desk.due(node, now):
            climbed = stimuli.Climbed(
                at=now, path=path, kind=kind, number=number, asked_at=node.question.asked_at
            )
            self._world.tell_late(drive, climbed)
        node = drive.run.nodes.get(path)
        if node is not None and node.status == "asking":
            self._arm(drive, node)

    def _look_at_window(self, drive: Drive, command: commands.AwaitWindow) -> None:
        now = self._world.now
        opens_at = self.desk.window_opens_at(command.window, now)
        if opens_at is not None and opens_at <= now:
            self._world.tell_late(drive, stimuli.Signalled(at=now, kind="window", name=command.window))
        else:
            self.await_window(drive, command)

    def _read_evidence(self, drive: Drive, path: Path, asked_at: Micros) -> None:
        node = drive.run.nodes.get(path)
        if node is None or node.question is None:
            return
        evidence = self.desk.read_evidence(drive.run, node.question)
        read = stimuli.EvidenceRead(at=self._world.now, path=path, asked_at=asked_at, evidence=evidence)
        self._world.tell_late(drive, read)

    # ---- answers ---------------------------------------------------------------------------------------------------

    def _think(self, drive: Drive, node: Node) -> None:
        """The next thing that somebody says to a question is on its way."""
        question = node.question
        assert question is not None, node.path
        place = self._place(drive, node)
        answer = self._world.answers.next(place)
        if answer is None and not self._world.answers.says(place) and self._is_answered_anyway(question):
            answer = Answer.model_validate({"decision": question.choices[0]})
        if answer is None or answer.decision == SILENCE:
            return
        said = answer
        scripted = (place, said) if self._world.answers.says(place) else None
        if scripted is not None:
            self.on_their_way.append(scripted)
        agenda = self._world.agenda
        span = THINKING
        if said.after is not None:
            span = max(0, question.asked_at + round(said.after * MICROS) - self._world.now)
        seen = question

        def say() -> None:
            if scripted is not None:
                self.on_their_way.remove(scripted)
            self._say(drive, node.path, seen, said, is_scripted=scripted is not None)

        agenda.later(span, self._world.when_up(say))

    def _is_answered_anyway(self, question: Question) -> bool:
        return question.kind in _EXPECTED and not self._world.setting.is_silent

    def _say(self, drive: Drive, path: Path, seen: Question, answer: Answer, *, is_scripted: bool) -> None:
        """Somebody says what was on its way, to the question as they saw it."""
        node = drive.run.nodes.get(path)
        place = Place(path=path, outer=drive.outer)
        if node is None or node.question is None or node.status != "asking":
            if is_scripted:
                self._too_late(drive, path, answer)
            return
        by = answer.by or self._somebody(drive, node, answer)
        if by is None:
            self._world.note(
                f"nobody can say {_words(answer.decision)}: {self._why_nobody(drive, node)}", place.full
            )
            return
        what = f"{by.removeprefix('user:')}'s {_words(answer.decision)} to {place.full}"
        try:
            stimulus = self._stimulus(path, node.question, seen, answer, by)
        except TowpathError as problem:
            self._world.no_fit(what, problem.message)
            return
        if node.question.files and isinstance(stimulus, stimuli.Answered):
            self._read_evidence(drive, path, node.question.asked_at)
        self._world.tell_refusable(drive, stimulus, what=what, refused=answer.refused)
        after = drive.run.nodes.get(path)
        if (
            after is not None
            and after.status == "asking"
            and after.question is not None
            and after.question.asked_at == seen.asked_at
        ):
            self._think(drive, after)

    def _too_late(self, drive: Drive, path: Path, answer: Answer) -> None:
        by = answer.by or "somebody"
        what = f"{by.removeprefix('user:')}'s {_words(answer.decision)} to {path}"
        told = stimuli.Answered(at=self._world.now, path=path, by=by, decision=answer.decision)
        self._world.tell_refusable(drive, told, what=what, refused=answer.refused)

    def _stimulus(
        self, path: Path, question: Question, seen: Question, answer: Answer, by: str
    ) -> stimuli.AnyStimulus:
        """What a person says, as the core is told it; raises where the form does not fit."""
        now = self._world.now
        match answer.decision:
            case "claim":
                return stimuli.Claimed(at=now, path=path, by=by, force=answer.force)
            case "release":
                return stimuli.Released(at=now, path=path, by=by)
            case "hand_over":
                return stimuli.HandedOver(
                    at=now, path=path, by=by, to=answer.to or "", comment=answer.comment
                )
            case "comment":
                return stimuli.Commented(at=now, path=path, by=by, text=answer.comment)
            case "withdraw":
                return stimuli.Withdrawn(at=now, path=path, by=by)
            case decision:
                given = answer.form or {}
                fills_in = decision in ("approve", "done") and question.kind in _EXPECTED
                form = plausible.form_of(question.form, given) if fills_in else dict(given)
                return stimuli.Answered(
                    at=now,
                    path=path,
                    by=by,
                    decision=decision,
                    comment=answer.comment,
                    form=form,
                    digest=seen.digest or None,
                    via="test",
                )

    def _somebody(self, drive: Drive, node: Node, answer: Answer) -> str | None:
        """The first person who may say this now."""
        directory = self.desk.directory
        now = self._world.now
        assert node.question is not None, node.path
        if not directory.names_people:
            taken = {given.by for given in node.answers}
            return next(
                name for number in range(1, STRANGERS_MAX) if (name := f"user:person{number}") not in taken
            )
        case = authority.case_of(drive.run, node, self.desk.calendar(node.question.hours))
        for name in sorted(authority.asked(directory, case, now)):
            says = "take_over" if answer.decision == "claim" and answer.force else answer.decision
            verdict = authority.judge(directory, case, by=f"user:{name}", says=says, at=now)
            if isinstance(verdict, authority.Allow):
                return f"user:{name}"
        return None

    def _why_nobody(self, drive: Drive, node: Node) -> str:
        assert node.question is not None, node.path
        case = authority.case_of(drive.run, node, self.desk.calendar(node.question.hours))
        found = authority.outlook(self.desk.directory, case, self._world.now)
        return found.warning or "those who are asked may not"

    def _place(self, drive: Drive, node: Node) -> Place:
        return (
            drive.place(node.path, node.plan) if not node.frame else Place(path=node.path, outer=drive.outer)
        )


def _words(decision: str) -> str:
    return decision.replace("_", " ")
