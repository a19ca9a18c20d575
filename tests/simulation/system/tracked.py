"""A run as the durable journal tells it, folded here a second time, record by record, beside the engine that decided it."""

from __future__ import annotations

from towpath.core import Plan, Run, events, new_run
from towpath.core.evolve import evolve
from towpath.store import encoding
from towpath.store.contract import NewRun, Record, RunNumber


class Tracked:
    """One run, from its records alone."""

    def __init__(self, number: RunNumber, new: NewRun, plan: Plan | None) -> None:
        if plan is None:  # a workflow of the product's own, such as a review
            from towpath.definition import loader

            checked = loader.check_workflow(new.definition.text, path=new.definition.path)
            assert checked.workflow is not None
            plan = Plan(checked.workflow, new.definition.digest)
        self.number = number
        self.start_key = new.start_key
        self._id = new.id
        self._plan = plan
        self.begin_again()

    def begin_again(self) -> None:
        """Forgets what it has read."""
        self.run: Run = new_run(self._plan, self._id)
        self.facts: list[events.AnyEvent] = []
        self.journal: list[bytes] = []

    @property
    def is_open(self) -> bool:
        """Whether the run has not ended."""
        return not self.run.has_ended

    def take(self, records: tuple[Record, ...]) -> tuple[events.AnyEvent, ...]:
        """Folds the next records; gives their facts."""
        facts = tuple(encoding.decode(record) for _, _, record in records)
        run = self.run
        for fact in facts:
            run = evolve(run, fact)
        self.run = run
        self.facts.extend(facts)
        self.journal.extend(record for _, _, record in records)
        return facts
