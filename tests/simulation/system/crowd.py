"""The people and programs around the engines: they answer, claim, hand over, think twice, come late, or say nothing.

What each does about a question follows from the seed and the question, so that it does not change when a fault is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from simulation.system import catalogue
from simulation.system.dice import Dice
from towpath.core import events, stimuli
from towpath.core.run import Node, Path
from towpath.people import inbox

if TYPE_CHECKING:
    from simulation.system.tracked import Tracked
    from simulation.system.world import World

USERS: Final = ("ann", "bob", "cy", "dee", "eli", "fay")
FAIR: Final = ("approve", "done", "skip")
"""What people say so that a run goes on for sure: a retry may fail for ever."""
SIGNALS: Final = {"signal": "go", "event": "git.push"}
LATE_SECONDS_MAX: Final = 12 * 3_600.0


class Crowd:
    """Everybody who is asked something."""

    def __init__(self, world: World) -> None:
        self._world = world

    def hears(self, tracked: Tracked, facts: tuple[Any, ...]) -> None:
        """Something about a run has become durable."""
        if self._world.is_calm:
            return
        for fact in facts:
            match fact:
                case events.PeopleAsked() | events.AnswersVoided():
                    self._will_answer(tracked, fact.path, fact.at)
                case events.WaitStarted() if fact.awaited.kind in SIGNALS:
                    self._will_signal(tracked, fact)
                case _:
                    pass

    def _will_answer(self, tracked: Tracked, path: Path, asked_at: int) -> None:
        world = self._world
        dice = Dice(world.case.seed, "asked", tracked.run.id, path, asked_at // 60_000_000)
        for position in range(dice.below(5)):
            after = dice.seconds(most=LATE_SECONDS_MAX)
            own = Dice(world.case.seed, "answer", tracked.run.id, path, asked_at // 60_000_000, position)
            world.machine.after(after, lambda own=own: self._speak(tracked, path, own))  # type: ignore[misc] # bound

    def _speak(self, tracked: Tracked, path: Path, dice: Dice) -> None:
        node = tracked.run.nodes.get(path)
        if node is None or node.question is None:
            return
        world = self._world
        mark = world.diary.new_mark()
        stimulus = self._words(node, dice, mark)
        world.say(tracked.number, stimulus, mark, dice=dice)
        if dice.chance(1, 8):  # twice in one breath
            again = world.diary.new_mark()
            world.say(tracked.number, self._words(node, dice, again), again, dice=dice)

    def _words(self, node: Node, dice: Dice, mark: str) -> stimuli.AnyStimulus:
        question = node.question
        assert question is not None
        by = f"user:{dice.pick(USERS)}"
        at, path = self._world.clock.now(), node.path
        match dice.below(12):
            case 0:
                return stimuli.Claimed(at=at, path=path, by=by, force=dice.chance(1, 3))
            case 1:
                to = f"user:{dice.pick(USERS)}"
                return stimuli.HandedOver(at=at, path=path, by=by, to=to, comment=mark)
            case 2:
                return stimuli.Commented(at=at, path=path, by=by, text=mark)
            case 3:
                kind = stimuli.Withdrawn if dice.chance(2, 3) else stimuli.Released
                return kind(at=at, path=path, by=by)
            case 4 | 5:
                decision = dice.pick(question.choices)
            case _:
                decision = question.choices[0]
        digest = question.digest if dice.chance(1, 2) else None
        return stimuli.Answered(at=at, path=path, by=by, decision=decision, comment=mark, digest=digest)

    def _will_signal(self, tracked: Tracked, fact: events.WaitStarted) -> None:
        world = self._world
        dice = Dice(world.case.seed, "wait", tracked.run.id, fact.path, fact.at // 60_000_000)
        for _ in range(dice.below(3)):
            after = dice.seconds(most=LATE_SECONDS_MAX)
            world.machine.after(after, lambda: self._signal(tracked, fact.awaited.kind))

    def _signal(self, tracked: Tracked, kind: Any) -> None:
        world = self._world
        mark = world.diary.new_mark()
        at = world.clock.now()
        told = stimuli.Signalled(at=at, kind=kind, name=SIGNALS[kind], payload={"mark": mark}, by="user:bob")
        world.say(
            tracked.number, told, mark, dice=Dice(world.case.seed, "signal", tracked.run.id, at // 60_000_000)
        )

    # ---- when everything is put right ------------------------------------------------------------------------------

    def be_fair(self, round_: int) -> None:
        """Everybody looks into the inbox and answers what is theirs; who is waited for, comes."""
        world = self._world
        for person in USERS:
            seen = inbox.look(
                world.disk.tables.reader.open_questions(),
                directory=self._directory(),
                person=person,
                at=world.clock.now(),
            )
            for item in seen.items:
                if item.standing == "asked":
                    self._answer_fairly(item, person, round_)
        for tracked in world.tracked.values():
            for leaf in tracked.run.open_leaves() if tracked.is_open else ():
                if leaf.status == "waiting" and leaf.awaited is not None and leaf.awaited.kind in SIGNALS:
                    self._signal(tracked, leaf.awaited.kind)

    def _answer_fairly(self, item: inbox.Item, person: str, round_: int) -> None:
        world = self._world
        question = item.open.question
        fair = next((word for word in FAIR if word in question.choices), question.choices[0])
        mark = world.diary.new_mark()
        answer = stimuli.Answered(
            at=world.clock.now(), path=item.path, by=f"user:{person}", decision=fair, comment=mark
        )
        world.say(
            item.run.number, answer, mark, dice=Dice(world.case.seed, "fair", round_, person, item.path)
        )

    def _directory(self) -> Any:
        from towpath.people.directory import Directory

        return Directory(file=catalogue.project())
