"""Runs as the journal tells them: folded, without deciding anything."""

from __future__ import annotations

from collections.abc import Iterable

from towpath.core.decide import new_run
from towpath.core.evolve import evolve
from towpath.core.plan import Plan, Repeatable
from towpath.core.run import Run
from towpath.definition import loader, model
from towpath.errors import StoreUnavailable
from towpath.store import encoding
from towpath.store.contract import Definition, Reader, Record, RunRow

PLANS_MAX = 1_000
"""Definitions that are kept laid out."""


class Plans:
    """Definitions laid out for the core, by digest."""

    def __init__(self, repeatable: Repeatable | None = None) -> None:
        self._repeatable = repeatable
        self._plans: dict[str, Plan] = {}

    def of(self, definition: Definition) -> Plan:
        """The plan of a definition that was accepted once; it is not judged again."""
        plan = self._plans.get(definition.digest)
        if plan is None:
            checked = loader.check_workflow(definition.text, path=definition.path)
            if checked.workflow is None:
                raise StoreUnavailable(
                    f"the definition {definition.digest[:12]} in the store cannot be read any more",
                    help="please report this: what was accepted once has to load for ever",
                )
            plan = self.lay_out(checked.workflow, definition.digest)
        return plan

    def known(self, digest: str) -> Plan | None:
        """The plan with this digest, where it is laid out already."""
        return self._plans.get(digest)

    def lay_out(self, workflow: model.Workflow, digest: str) -> Plan:
        """Lays out a workflow and keeps its plan."""
        return self._keep(Plan(workflow, digest, repeatable=self._repeatable))

    def find(self, digest: str, reader: Reader) -> Plan:
        """The plan of the definition with this digest."""
        return self._plans.get(digest) or self.of(reader.definition(digest))

    def _keep(self, plan: Plan) -> Plan:
        if len(self._plans) >= PLANS_MAX:
            self._plans.pop(next(iter(self._plans)))
        self._plans[plan.digest] = plan
        return plan


def fold(plan: Plan, row: RunRow, records: Iterable[Record]) -> Run:
    """The run that these records tell of."""
    run = new_run(plan, row.id)
    decode = encoding.decode
    for _, _, record in records:
        run = evolve(run, decode(record))
    return run


def load_run(reader: Reader, row: RunRow, plans: Plans) -> Run:
    """The run as the journal has it now."""
    return fold(plans.find(row.definition, reader), row, reader.events(row.number))
