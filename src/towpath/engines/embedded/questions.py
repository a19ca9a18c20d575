"""The questions of an engine's runs: when their ladders are due, what their files say, and when a window opens.

Nothing here is remembered. After a restart every open question is asked of again (`outstanding`), its ladder is worked out from the
question and from what was told already, and what came due meanwhile happens at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from towpath.core import commands, events, stimuli
from towpath.core.run import Json, Micros, Node, Path, Protection, Question, Run
from towpath.engines import summaries
from towpath.engines.contract import LadderKind, People, StartRequest
from towpath.errors import BugError, Refused, TowpathError
from towpath.store.contract import RunNumber

if TYPE_CHECKING:
    from towpath.core.events import AnyEvent
    from towpath.engines.embedded.loop import Drive, EmbeddedEngine

LADDER = "ladder"
"""A timer's purpose, with the moment of its question: a later question has a ladder of its own."""
WINDOW = "window"
LOOK_AGAIN_MICROS = 3_600 * 1_000_000
"""How often a window that never opens, as the calendar stands, is looked at: calendars change."""
_LOG = logging.getLogger("towpath.engine")


class NoPeople:
    """What an engine goes by that knows no people: everybody may speak, nobody is told, no window ever opens."""

    def judge(self, run: Run, stimulus: stimuli.AnyStimulus) -> None:
        """Lets everybody speak."""

    def next_at(self, node: Node, now: Micros) -> Micros | None:  # noqa: ARG002 - the contract of people
        """No ladder."""
        return None

    def due(self, node: Node, now: Micros) -> tuple[tuple[LadderKind, int], ...]:  # noqa: ARG002 - as above
        """Nothing."""
        return ()

    def window_opens_at(self, calendar: str, now: Micros) -> Micros | None:  # noqa: ARG002 - as above
        """Never."""
        return None

    def tell(
        self, number: RunNumber, run: Run, node: Node, *, why: str, times: int, to: tuple[str, ...]
    ) -> None:
        """Tells nobody."""

    def protections(self) -> Mapping[str, Protection]:
        """No environment is protected."""
        return {}

    def check_start(self, environment: str, now: Micros) -> None:
        """Nothing is frozen."""

    def review_of(self, number: RunNumber, run: Run) -> StartRequest:
        """Never asked: nothing is protected."""
        raise BugError(f"nobody could review run {number} ({run.id})")

    def read_evidence(self, run: Run, question: Question) -> Mapping[str, Json]:  # noqa: ARG002 - as above
        """The names of the files, unread."""
        return {name: {"file": file, "digest": "", "text": ""} for name, file in question.files.items()}


class Questions:
    """Looks after what waits for people, in one engine."""

    def __init__(self, engine: EmbeddedEngine, people: People) -> None:
        self._engine = engine
        self._people = people

    def asked(self, drive: Drive, command: commands.AskPeople) -> None:
        """A question is open: people are told, its evidence is read, and its ladder begins."""
        node = drive.run.nodes.get(command.path)
        if node is None or node.question != command.question:
            return
        if any(name not in command.question.evidence for name in command.question.files):
            self._engine.spawn(self._read_evidence(drive.number, command.path, command.question.asked_at))
            return
        self._people.tell(drive.number, drive.run, node, why="asked", times=command.question.asked_at, to=())
        self._arm(drive, node)

    def told(self, drive: Drive, command: commands.TellPeople) -> None:
        """More is to be told about an open question."""
        node = drive.run.nodes.get(command.path)
        if node is not None and node.question is not None:
            self._people.tell(
                drive.number, drive.run, node, why=command.why, times=command.number, to=command.to
            )

    def ended(self, drive: Drive, before: Run, facts: tuple[AnyEvent, ...]) -> None:
        """All who were asked are told that a question is decided, or needs no answer any more."""
        for path in summaries.closed_questions(before, drive.saved, facts):
            asked = before.nodes[path]
            question = asked.question
            assert question is not None, path
            given = tuple(f.answer for f in facts if isinstance(f, events.AnswerGiven) and f.path == path)
            is_stopped = not given and drive.saved.nodes[path].status == "cancelled"
            rungs = (one for _, told in question.escalate[: asked.told_rungs] for one in told)
            self._people.tell(
                drive.number,
                drive.saved,
                msgspec.structs.replace(asked, answers=(*asked.answers, *given)),
                why="withdrawn" if is_stopped else "decided",
                times=question.asked_at,
                to=tuple(dict.fromkeys((*question.who, *rungs))),
            )

    def await_window(self, number: RunNumber, command: commands.AwaitWindow) -> None:
        """A step waits for a calendar's window."""
        now = self._engine.clock.now()
        opens_at = self._people.window_opens_at(command.window, now)
        due = now + LOOK_AGAIN_MICROS if opens_at is None else min(opens_at, now + LOOK_AGAIN_MICROS)
        self._engine.set_timer(number, command.path, f"{WINDOW}:{command.window}", due)

    def timer_due(self, number: RunNumber, path: Path, purpose: str) -> None:
        """A ladder is due, or a window may be open; whatever is wrong with one run or calendar stops no other timer."""
        if not self._engine.owns(number):
            return
        what, _, which = purpose.partition(":")
        try:
            if what == LADDER:
                self._climb(number, path, int(which))
            else:
                self._look_at_window(number, path, which)
        except TowpathError as error:
            _LOG.warning("engine.people_unknown run=%s: %s", number, error)
            self._engine.set_timer(number, path, purpose, self._engine.clock.now() + LOOK_AGAIN_MICROS)
        except Exception as error:  # noqa: BLE001 - one poisonous run must not stop the others
            self._engine.poisoned(number, purpose, error)

    def leave_review(self, number: RunNumber, run: Run) -> None:
        """An emergency start leaves a review behind, once: it is written before anything that the run does.

        Whatever is wrong with the review holds no emergency up; it is left again when the run is resumed.
        """
        try:
            self._engine.start_soon(self._people.review_of(number, run))
        except Exception:  # noqa: BLE001 - the edge between an emergency and its paperwork
            _LOG.exception("engine.review_not_left run=%s", number)

    def shows_files(self, number: RunNumber, path: Path) -> bool:
        """Whether the question at *path* shows files, which have to be read again before an answer counts."""
        if not self._engine.owns(number):
            return False
        node = self._engine.drive(number).run.nodes.get(path)
        return node is not None and node.question is not None and bool(node.question.files)

    async def refresh_evidence(self, number: RunNumber, path: Path) -> None:
        """Reads the files that a question shows again, before somebody answers it; raises Refused where they have changed.

        Nobody has seen yet what stands there now, so no answer can mean it, least of all one that does not name what was seen.
        """
        node = self._engine.drive(number).run.nodes.get(path)
        if node is None or node.question is None or not node.question.files:
            return
        await self._read_evidence(number, path, node.question.asked_at)
        again = self._engine.drive(number).run.nodes.get(path)
        if again is not None and again.question is not None and again.question.digest != node.question.digest:
            raise Refused(
                f"{path} was asked again since: what it shows has changed",
                help=f"look at it again before you answer: `tow inbox`, or `tow show {number}`",
            )

    async def _read_evidence(self, number: RunNumber, path: Path, asked_at: Micros) -> None:
        drive = self._engine.drive(number)
        node = drive.run.nodes.get(path)
        if node is None or node.question is None:
            return
        evidence = await asyncio.to_thread(self._people.read_evidence, drive.run, node.question)
        read = stimuli.EvidenceRead(
            at=self._engine.clock.now(), path=path, asked_at=asked_at, evidence=evidence
        )
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_settled(_: Exception | None) -> None:
            if not settled.done():  # whoever waited may be gone: the engine closes
                settled.set_result(None)

        self._engine.tell_soon(number, read, on_settled)
        await settled

    def _arm(self, drive: Drive, node: Node) -> None:
        """The ladder's next step gets its timer. A question has one timer at a time, however often it is told of."""
        due = self._people.next_at(node, self._engine.clock.now())
        if due is not None and node.question is not None:
            self._engine.set_timer(drive.number, node.path, f"{LADDER}:{node.question.asked_at}", due)

    def _climb(self, number: RunNumber, path: Path, asked_at: Micros) -> None:
        """What is due happens, in order, each only once; then the ladder waits for its next step."""
        drive = self._engine.drive(number)
        node = _asking(drive, path, asked_at)
        if node is not None:
            now = self._engine.clock.now()
            for kind, step in self._people.due(node, now):
                climbed = stimuli.Climbed(at=now, path=path, kind=kind, number=step, asked_at=asked_at)
                self._engine.tell_soon(number, climbed)
            node = _asking(drive, path, asked_at)
        if node is not None:
            self._arm(drive, node)
        self._engine.settle_down(drive)

    def _look_at_window(self, number: RunNumber, path: Path, window: str) -> None:
        """While a window is closed, nothing of a run that waits for it is read."""
        now = self._engine.clock.now()
        opens_at = self._people.window_opens_at(window, now)
        if opens_at is None or opens_at > now:
            self.await_window(number, commands.AwaitWindow(path=path, window=window))
            return
        drive = self._engine.drive(number)
        node = drive.run.nodes.get(path)
        if node is not None and node.status == "waiting":
            self._engine.tell_soon(number, stimuli.Signalled(at=now, kind="window", name=window))
        self._engine.settle_down(drive)


def _asking(drive: Drive, path: Path, asked_at: Micros) -> Node | None:
    """The node that still asks the question of that moment."""
    node = drive.run.nodes.get(path)
    if node is None or node.status != "asking" or node.question is None:
        return None
    return node if node.question.asked_at == asked_at else None
