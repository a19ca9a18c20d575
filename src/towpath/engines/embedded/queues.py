"""Runs of an engine that queue for a place in their concurrency group."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from towpath.core import stimuli
from towpath.store.contract import Life, RunNumber, Slot, SlotsFull

if TYPE_CHECKING:
    from towpath.engines.embedded.loop import EmbeddedEngine


class Queues:
    """Begins queued runs when there is a place; who is first is decided by the store."""

    def __init__(self, engine: EmbeddedEngine) -> None:
        self._engine = engine
        self._queued: dict[RunNumber, Slot] = {}

    def add(self, number: RunNumber, slot: Slot) -> None:
        """Notes that a run of this engine queues for a place."""
        self._queued[number] = slot

    def remove(self, number: RunNumber) -> None:
        """Forgets a run that queues no more."""
        self._queued.pop(number, None)

    def _is_only_behind_the_dead(self, number: RunNumber, slot: Slot) -> bool:
        """Whether all that queue before a run have owners that died: nobody would ever admit those, so they hold up nobody."""
        store = self._engine.store
        owners = {row.owner for row in store.reader.slot_queue(slot.group) if row.number < number}
        return bool(owners) and all(
            owner is None or store.owners.life(owner) is not Life.ALIVE for owner in owners
        )

    def look(self) -> None:
        """Begins queued runs of this engine that have a place now, the oldest first."""
        taken: dict[str, int] = {}
        for number, slot in sorted(self._queued.items(), key=lambda queued: queued[0]):
            if slot.group not in taken:
                taken[slot.group] = self._engine.store.reader.slots_taken(slot.group)
            if taken[slot.group] < slot.maximum:
                taken[slot.group] += 1
                self.admit(number, slot)

    def admit(self, number: RunNumber, slot: Slot | None = None) -> None:
        """Begins a queued run where its group has a place."""
        wanted = slot or self._queued.get(number)
        if wanted is None:
            return

        def on_settled(error: Exception | None) -> None:
            if isinstance(error, SlotsFull):
                self.add(number, wanted)
            else:
                self.remove(number)

        in_turn = not self._is_only_behind_the_dead(number, wanted)
        admit = stimuli.Admit(at=self._engine.clock.now())
        self._engine.tell_soon(number, admit, on_settled, holds=replace(wanted, in_turn=in_turn))
