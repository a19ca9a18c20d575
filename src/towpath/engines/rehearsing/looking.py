"""Looking at the world for a rehearsal: actions are asked what they would do, checks are asked, scripts that only look are run.

The performer of real steps does it, with its hands tied: no log is written, no file is kept, requests other than reading ones are
refused, and what scripts need of files lies in a folder of their own that is gone afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Final, TypeAlias

from towpath.core.commands import PerformStep
from towpath.core.plan import PlanStep
from towpath.core.run import Error, Path, Run, Stage, Work
from towpath.core.stimuli import StepEnded
from towpath.definition import model
from towpath.engines.performing import Order, Performer, Tools
from towpath.engines.performing.orders import WORKSPACE, AttemptLog
from towpath.errors import TowpathError
from towpath.steps.contract import (
    SAFE_METHODS,
    ActionFailed,
    Egress,
    HttpRequest,
    HttpResponse,
    Rehearsal,
    check_kind,
)
from towpath.store.contract import RunNumber

if TYPE_CHECKING:
    from towpath.steps.secrets import Masker

LOOK_SECONDS: Final = 60.0
"""How long an action or a check may take to tell."""
REHEARSE_SECONDS: Final = 900.0
"""How long a step's own `rehearse` may take: a plan of a large estate takes minutes."""
Announce: TypeAlias = Callable[[Path], None]
REHEARSAL_VARIABLE: Final = "TOW_REHEARSAL"
"""Tells a script that it is asked in a rehearsal."""
_MEMORY = FilePath("/dev/shm")  # noqa: S108 - the folder in it is made with a name of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in which run something is looked at."""

    run: Run
    number: RunNumber
    planned: PlanStep
    path: Path


class Looker:
    """Asks the world for the rehearsals of one process."""

    def __init__(self, performer: Performer, announce: Announce) -> None:
        self._performer = performer
        self._announce = announce

    def workspace(self, run: Run) -> FilePath:
        """The workspace that a run of its own workspace would find: an empty one, for the rehearsal alone."""
        return self._performer.tools.workspaces / run.id / WORKSPACE

    async def action(self, name: str, place: Place, work: Work) -> Rehearsal:
        """What an action says that it would do, with nothing secret in it; raises ActionFailed where it would fail now."""
        from towpath.engines.performing.actions import Context

        self._announce(place.path)
        order = _order(place, work, stage="main")
        tools = self._performer.tools
        masker = tools.secrets.masker_for(order.plan, order.place)
        try:
            self._performer.check_labels(order)
            async with asyncio.timeout(LOOK_SECONDS):
                env, with_, _ = tools.secrets.fill(work, order.place)
                masker = tools.secrets.masker_for(order.plan, order.place)
                context = Context(self._performer, order, self._performer.log_for(order), env)
                told = await tools.actions(name, place.run.commit).rehearse(with_, context)
        except TimeoutError:
            return Rehearsal(summary=f"{name} did not tell within {LOOK_SECONDS:g} s", known=False)
        except ActionFailed as problem:
            raise _masked_failure(problem, masker) from None
        except TowpathError as problem:
            raise ActionFailed(masker.text(problem.message), kind="invalid") from None
        except Exception as problem:  # noqa: BLE001 - an action's own mistake is told, and costs only its forecast
            return Rehearsal(
                summary=masker.text(f"{name} cannot tell: {type(problem).__name__}: {problem}"), known=False
            )
        return _masked(told, masker)

    async def check(self, place: Place, work: Work) -> StepEnded:
        """What the step's check says."""
        self._announce(place.path)
        return await self._perform(_order(place, work, stage="check"), LOOK_SECONDS)

    async def script(self, place: Place, rehearse: model.Rehearse, work: Work) -> StepEnded:
        """What the step's own `rehearse` script prints."""
        self._announce(place.path)
        return await self._perform(
            _order(dataclasses.replace(place, planned=_as_step(place.planned, rehearse)), work, stage="main"),
            REHEARSE_SECONDS,
        )

    async def _perform(self, order: Order, seconds: float) -> StepEnded:
        try:
            async with asyncio.timeout(seconds):
                return await self._performer.perform(order, at=_no_time)
        except TimeoutError:
            path, stage = order.command.path, order.command.stage
            slow = Error(kind="timeout", message=f"it did not end within {seconds:g} s", step=path)
            return StepEnded(at=0, path=path, attempt=1, stage=stage, error=slow)


def _no_time() -> int:
    return 0


def _silently(_path: Path) -> None:
    """Announces nothing."""


@contextlib.asynccontextmanager
async def looking(
    tools: Tools, *, own_workspaces: bool, announce: Announce = _silently
) -> AsyncIterator[Looker]:
    """A looker with folders of its own, which are gone afterwards.

    With *own_workspaces* a run with a workspace of its own finds an empty one; else it finds what its steps have put there. *announce*
    hears of every step before it is looked at.
    """
    memory = _MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else None
    base = tools.environment_base
    folder = FilePath(tempfile.mkdtemp(prefix="towpath-rehearsal-", dir=memory))
    tied = dataclasses.replace(
        tools,
        environment_base=dataclasses.replace(base, variables={**base.variables, REHEARSAL_VARIABLE: "1"}),
        egress=ReadingEgress(tools.egress),
        private=folder,
        workspaces=folder / "workspaces" if own_workspaces else tools.workspaces,
        keep_artifact=lambda _path, _row: None,
    )
    try:
        yield Looker(_QuietPerformer(tied), announce)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # small, and in memory


class ReadingEgress:
    """The way out for rehearsals: only requests that ask for something, and never into a file."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Sends a reading request; raises ActionFailed `denied` for every other one."""
        if request.method.upper() not in SAFE_METHODS or request.save_to is not None:
            raise ActionFailed(
                f"A rehearsal sends no {request.method.upper()} and saves nothing.",
                kind="denied",
                help="The rehearsal of an action may only ask: GET, HEAD or OPTIONS.",
            )
        return await self._egress.send(request)


class _QuietPerformer(Performer):
    """A performer that keeps no log."""

    def log_for(self, order: Order) -> AttemptLog:
        """A log that is not kept."""
        secrets = self.tools.secrets
        return _Unkept(self.tools.logs, order, lambda: secrets.masker_for(order.plan, order.place))


class _Unkept(AttemptLog):
    """A log that nobody reads."""

    __slots__ = ()

    def write(self, stream: str, data: bytes) -> None:
        """Keeps nothing."""

    def say(self, text: str) -> None:
        """Keeps nothing."""


def _order(place: Place, work: Work, *, stage: Stage) -> Order:
    command = PerformStep(path=place.path, attempt=1, stage=stage, work=work, plan=place.planned.number)
    return Order(
        number=place.number,
        run=place.run.id,
        plan=place.run.plan,
        planned=place.planned,
        command=command,
        started_by=place.run.started_by,
        commit=place.run.commit,
    )


def _as_step(planned: PlanStep, rehearse: model.Rehearse) -> PlanStep:
    """The rehearsal of a step, as a script that can be performed."""
    step = planned.step
    assert step is not None, "the run itself has no rehearsal"
    script = model.RunStep(
        run=rehearse.run or "",
        shell=rehearse.shell or "bash",
        outputs=step.outputs if isinstance(step.outputs, tuple) else (),
        timeout=step.timeout,
        runs_on=step.runs_on,
    )
    return PlanStep(script, number=planned.number, key=planned.key, parent=planned.parent, slot=planned.slot)


def _masked(told: Rehearsal, masker: Masker) -> Rehearsal:
    if not masker:
        return told
    return dataclasses.replace(
        told,
        summary=masker.text(told.summary),
        detail=masker.text(told.detail),
        changes=tuple(
            dataclasses.replace(one, target=masker.text(one.target), detail=masker.text(one.detail))
            for one in told.changes
        ),
        outputs=None if told.outputs is None else _map(masker.value(dict(told.outputs))),
    )


def _masked_failure(problem: ActionFailed, masker: Masker) -> ActionFailed:
    return ActionFailed(
        masker.text(problem.message),
        kind=check_kind(problem.kind),
        outputs=_map(masker.value(dict(problem.outputs))),
        is_complete=problem.is_complete,
        exit_code=problem.exit_code,
        help=problem.help,
    )


def _map(value: object) -> dict[str, object]:
    assert isinstance(value, dict), "a map stays a map"
    return value
