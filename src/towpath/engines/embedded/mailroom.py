"""What processes that share a data folder tell each other: durable letters, taken by the owner of a run.

A letter is a stimulus. Its reply says that its facts are durable, or why it was refused; both are written together with the
facts, so a letter is answered exactly once.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import msgspec

from towpath.core import stimuli
from towpath.core.run import RunId
from towpath.errors import NotFound, StoreUnavailable, TowpathError
from towpath.store.contract import PAGE_ROWS_MAX, Change, Message, RunFilter, RunNumber, RunRow, Taken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from towpath.engines.embedded.loop import EmbeddedEngine, OnSettled

LOOK_SECONDS = 0.1
"""How often an owner looks for letters."""
_LOOKS_FOR_QUEUES = 10
_LOG = logging.getLogger("towpath.engine")
_DECODER = msgspec.json.Decoder(stimuli.AnyStimulus)


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the owner answers to a letter."""

    refused: str = ""
    help: str = ""


def write_letter(stimulus: stimuli.AnyStimulus) -> bytes:
    """A stimulus as a letter."""
    return msgspec.json.encode(stimulus)


def read_reply(data: bytes) -> Reply:
    """The owner's answer."""
    return msgspec.json.decode(data, type=Reply)


class Mailroom:
    """Takes the letters for the runs of an engine, and posts those of its own."""

    def __init__(self, engine: EmbeddedEngine) -> None:
        self._engine = engine
        self._looks = 0
        self._next: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Begins to look for letters."""
        self._next = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def close(self) -> None:
        """Looks no more; letters stay for whoever takes the runs over."""
        if self._next is not None:
            self._next.cancel()

    def _look(self) -> None:
        self.open()
        self._looks += 1
        try:
            for message in self._engine.store.mailbox.take(self._engine.owner):
                self._deliver(message)
            if self._looks % _LOOKS_FOR_QUEUES == 0:
                self._engine.queues.look()
                self._engine.places.look()
        except StoreUnavailable as error:
            _LOG.warning("engine.mailbox_unreadable: %s", error)

    def _deliver(self, message: Message) -> None:
        engine = self._engine
        try:
            stimulus = msgspec.structs.replace(_DECODER.decode(message.stimulus), at=engine.clock.now())
        except msgspec.MsgspecError as error:
            self._refuse(message, TowpathError(f"a letter could not be read: {error}"))
            return
        if isinstance(stimulus, stimuli.Admit):
            self._refuse(message, None)
            engine.queues.admit(message.run)
            return
        accepted = Taken(message=message.id, reply=msgspec.json.encode(Reply()))

        def on_settled(error: Exception | None) -> None:
            if error is not None:
                self._refuse(message, error)

        if isinstance(stimulus, stimuli.Answered) and engine.questions.shows_files(
            message.run, stimulus.path
        ):
            engine.spawn(self._answer(message.run, stimulus, on_settled, accepted))
        else:
            engine.tell_soon(message.run, stimulus, on_settled, took=(accepted,))

    async def _answer(
        self, run: RunNumber, stimulus: stimuli.Answered, on_settled: OnSettled, accepted: Taken
    ) -> None:
        """An answer counts for what the evidence is now: it is read again first."""
        try:
            await self._engine.questions.refresh_evidence(run, stimulus.path)
        except TowpathError as error:
            on_settled(error)
            return
        self._engine.tell_soon(run, stimulus, on_settled, took=(accepted,))

    def _refuse(self, message: Message, error: Exception | None) -> None:
        """Answers a letter that makes nothing true."""
        reply = Reply() if error is None else Reply(refused=str(error), help=getattr(error, "help", ""))
        taken = Taken(message=message.id, reply=msgspec.json.encode(reply))
        after = self._engine.sequence_of(message.run)
        self._engine.journal.commit(Change(message.run, after, (), None, (taken,)), _log_error)

    def tell_or_post(self, run_id: RunId, stimulus: stimuli.AnyStimulus) -> None:
        """Tells a run of this engine at once, and leaves a letter for one of another."""
        try:
            row = self._engine.store.reader.run(run_id)
        except NotFound:
            return
        if row.summary.ended_at is not None:
            return
        if self._engine.owns(row.number):
            self._engine.tell_soon(row.number, stimulus)
        else:
            self._engine.store.mailbox.post(row.number, write_letter(stimulus))

    def admit_next(self, group: str) -> None:
        """Tells the run that has queued longest, where another process drives it."""
        for row in self._engine.store.reader.slot_queue(group)[:1]:
            if not self._engine.owns(row.number):
                letter = write_letter(stimuli.Admit(at=self._engine.clock.now()))
                self._engine.store.mailbox.post(row.number, letter)

    def make_room(self, group: str, *, newcomer: RunNumber) -> None:
        """Cancels what *newcomer* replaces: the oldest run that holds a place, and those that queued for it before."""
        members = [row for row in self._open_runs() if row.slot_group == group and row.number < newcomer]
        holders = [row for row in members if row.holds_slot]
        for row in [*holders[-1:], *(row for row in members if not row.holds_slot)]:
            by = f"run {newcomer}, which replaces it"
            cancel = stimuli.Cancel(at=self._engine.clock.now(), by=by, reason=f"replaced by run {newcomer}")
            self.tell_or_post(row.id, cancel)

    def _open_runs(self) -> Iterator[RunRow]:
        """Every open run, the newest first."""
        reader = self._engine.store.reader
        before: RunNumber | None = None
        while rows := reader.runs(RunFilter(is_open=True, before=before, rows_max=PAGE_ROWS_MAX)):
            before = rows[-1].number
            yield from rows


def _log_error(error: Exception | None) -> None:
    if error is not None:
        _LOG.warning("engine.letter_not_answered: %s", error)
