"""The rehearser: a start in, what its run would do out; or, in the middle of a run, what its next steps would do."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from towpath.core.names import dynamic_path
from towpath.core.plan import HANDLERS, PlanStep
from towpath.core.run import Json, Path, Protection, Run
from towpath.definition import model
from towpath.engines.contract import Library
from towpath.engines.performing import Order, Tools
from towpath.engines.rehearsing.calls import imagine
from towpath.engines.rehearsing.forecast import Forecast, RehearsedRun
from towpath.engines.rehearsing.ground import Surroundings
from towpath.engines.rehearsing.knowledge import Knowledge
from towpath.engines.rehearsing.looking import Announce, Looker, looking
from towpath.engines.rehearsing.telling import digest_of, text_of
from towpath.engines.rehearsing.walking import Walk
from towpath.errors import Refused, StepError
from towpath.store.contract import RunNumber

NO_RUN: Final = RunNumber(0)
OWN_WORKSPACE: Final = "(workspace)"
"""What is shown for the workspace of a run that will have its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imagined:
    """A start that is only imagined."""

    workflow: model.Workflow
    digest: str
    inputs: Mapping[str, Json]
    started_by: str
    event: Json = None
    protections: Mapping[str, Protection] = field(default_factory=lambda: MappingProxyType({}))
    break_glass: str = ""
    commit: str = ""


class Rehearser:
    """Rehearses runs with the tools of one process."""

    def __init__(self, tools: Tools, library: Library, *, effects_of: Callable[[str], str | None]) -> None:
        self.announce: Announce = lambda _: None
        """Hears of every step before it is looked at."""
        self._tools = tools
        self._library = library
        self._effects_of = effects_of

    async def before(self, start: Imagined, *, looks: bool = True) -> RehearsedRun:
        """What a run would do; without *looks* nothing outside of its file is looked at."""
        run = imagine(
            start.workflow,
            start.digest,
            start.inputs,
            started_by=start.started_by,
            event=start.event,
            protections=start.protections,
            break_glass=start.break_glass,
            commit=start.commit,
        )
        async with self._looker(looks=looks, own_workspaces=True) as looker:
            steps = await Walk(run, Knowledge(run), self._around(looker, NO_RUN, run)).whole()
            if looker is not None:
                made_up = str(looker.workspace(run))
                steps = tuple(one.renamed(made_up, OWN_WORKSPACE) for one in steps)
        return _rehearsed(run, steps, is_static=not looks)

    async def following(self, order: Order, names: tuple[str, ...]) -> RehearsedRun:
        """What the steps of these names would do, or all that follow, as seen from a step in the middle of its run."""
        run = order.state
        if run is None:
            raise Refused("this engine cannot rehearse in the middle of a run")
        here = order.command.path
        wanted = _named(run, here, names) if names else _following(order.planned, here)
        async with self._looker(looks=True, own_workspaces=False) as looker:
            knowledge = Knowledge(run, base=here, is_live=True)
            steps = await Walk(run, knowledge, self._around(looker, order.number, run)).these(wanted)
        return _rehearsed(run, steps, is_static=False)

    async def for_step(self, order: Order, names: tuple[str, ...]) -> Mapping[str, Json]:
        """The outputs of `towpath.rehearse`."""
        found = await self.following(order, names)
        return {
            "plan": text_of(found),
            "digest": digest_of(found),
            "changes": found.changes,
            "unforeseen": found.unforeseen,
            "failing": found.failing,
            "changes_nothing": found.changes_nothing,
        }

    async def close(self) -> None:
        """Ends what still runs; for whoever rehearses without an engine."""
        await self._tools.processes.close()

    @contextlib.asynccontextmanager
    async def _looker(self, *, looks: bool, own_workspaces: bool) -> AsyncIterator[Looker | None]:
        if not looks:
            yield None
            return
        async with looking(self._tools, own_workspaces=own_workspaces, announce=self.announce) as looker:
            yield looker

    def _around(self, looker: Looker | None, number: RunNumber, run: Run) -> Surroundings:
        return Surroundings(
            looker=looker,
            library=self._library,
            effects_of=self._effects_of,
            number=number,
            calls=(run.plan.workflow.name,),
        )


def _rehearsed(run: Run, steps: tuple[Forecast, ...], *, is_static: bool) -> RehearsedRun:
    return RehearsedRun(
        workflow=run.plan.workflow.name,
        definition=run.plan.digest,
        inputs=run.inputs,
        steps=steps,
        environment=run.environment,
        is_static=is_static,
    )


def _named(run: Run, here: Path, names: tuple[str, ...]) -> tuple[tuple[PlanStep, Path], ...]:
    found = []
    for name in names:
        planned = run.plan.by_id.get(name)
        if planned is None:
            raise StepError(f"there is no step `{name}` to rehearse", kind="invalid")
        found.append((planned, dynamic_path(run, here, planned) or name))
    return tuple(sorted(found, key=lambda one: one[0].number))


def _following(planned: PlanStep, here: Path) -> tuple[tuple[PlanStep, Path], ...]:
    """What comes after a step, from its own list outwards to the end of the workflow."""
    found: list[tuple[PlanStep, Path]] = []
    path = here
    step: PlanStep | None = planned
    while step is not None and step.parent is not None:
        above = path[: path.rfind("/") + 1] if "/" in path else ""
        siblings = step.parent.lists[step.slot]
        if step.slot != "parallel" and step.slot not in HANDLERS:
            found += [(one, f"{above}{one.key}") for one in siblings if one.number > step.number]
        step, path = step.parent, _outer(above)
    return tuple(found)


def _outer(above: Path) -> Path:
    """The path of the step that holds a list: without the instance of the list."""
    trimmed = above.removesuffix("/")
    return trimmed[: trimmed.rfind("[")] if trimmed.endswith("]") else trimmed
