"""The states of runs that were looked at lately, folded on from where they were: a run that is watched is not folded anew each time.

A state is a value that shares its structure with the one before it, and the journal only grows at its end. So what was folded once stays
true, and the next look needs the facts since then, and no others.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from towpath.core.decide import new_run
from towpath.core.evolve import evolve
from towpath.core.run import Run
from towpath.engines.history import Plans
from towpath.observe.chronicle import Chronicle
from towpath.store import encoding
from towpath.store.contract import Reader, RunNumber, RunRow

RUNS_KEPT_MAX: Final = 64
NODES_KEPT_MAX: Final = 200_000
"""Steps of all runs that are kept: a few long runs, or many short ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """A run as the journal has it, with what its state does not keep."""

    run: Run
    chronicle: Chronicle


class Folds:
    """Runs that were looked at lately; any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[RunNumber, Folded] = OrderedDict()
        self._nodes = 0

    def look(self, reader: Reader, plans: Plans, row: RunRow) -> Folded:
        """A run as the journal has it now."""
        plan = plans.find(row.definition, reader)
        with self._lock:
            known = self._kept.get(row.number)
            if known is None or known.run.id != row.id:
                known = Folded(run=new_run(plan, row.id), chronicle=Chronicle())
            run, chronicle = known.run, known.chronicle.copy()
            for _, _, record in reader.events(row.number, after=run.sequence):
                fact = encoding.decode(record)
                run = evolve(run, fact)
                chronicle.note((fact,))
            found = Folded(run=run, chronicle=chronicle)
            self._keep(row.number, found)
        return found

    def _keep(self, number: RunNumber, found: Folded) -> None:
        """Keeps a state as the newest, and forgets the oldest that are too many."""
        before = self._kept.pop(number, None)
        self._nodes += len(found.run.nodes) - (0 if before is None else len(before.run.nodes))
        self._kept[number] = found
        while len(self._kept) > 1 and (len(self._kept) > RUNS_KEPT_MAX or self._nodes > NODES_KEPT_MAX):
            _, gone = self._kept.popitem(last=False)
            self._nodes -= len(gone.run.nodes)
