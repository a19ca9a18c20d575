"""From a start that somebody wants to the rehearsal of its run."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Protocol

from towpath.core.run import Micros
from towpath.engines.contract import People, StartRequest
from towpath.engines.rehearsing import Announce, Forecast, Imagined, RehearsedRun, Rehearser
from towpath.errors import Refused


class Project(Protocol):
    """What a rehearsal needs of the project: `app.App` is one."""

    @property
    def desk(self) -> People:
        """Who guards the environments."""
        ...

    def rehearser(self) -> Rehearser:
        """What looks at the world."""
        ...

    def now(self) -> Micros:
        """The time."""
        ...


def rehearse_now(
    app: Project, request: StartRequest, *, looks: bool = True, announce: Announce | None = None
) -> RehearsedRun:
    """What the run of this start would do; without *looks* nothing outside of its file is looked at."""
    return asyncio.run(rehearse(app, request, looks=looks, announce=announce))


async def rehearse(
    app: Project, request: StartRequest, *, looks: bool = True, announce: Announce | None = None
) -> RehearsedRun:
    """The same inside a loop; *announce* hears of every step before it is looked at."""
    rehearser = app.rehearser()
    if announce is not None:
        rehearser.announce = announce
    start = Imagined(
        workflow=request.workflow,
        digest=request.definition.digest,
        inputs=request.inputs,
        started_by=request.started_by,
        event=request.event,
        protections=app.desk.protections(),
        break_glass=request.break_glass,
        commit=request.commit,
    )
    try:
        found = await rehearser.before(start, looks=looks)
    finally:
        await rehearser.close()
    refused = None if request.break_glass else _refused(app, request, found)
    return found if refused is None else dataclasses.replace(found, steps=(refused, *found.steps))


def _refused(app: Project, request: StartRequest, found: RehearsedRun) -> Forecast | None:
    """Why the start itself would be refused now."""
    if not found.environment:
        return None
    try:
        app.desk.check_start(found.environment, app.now())
    except Refused as problem:
        says = f"would be refused now: {problem.message}"
        return Forecast(
            path="", name=request.workflow.name, kind="gate", does="start", effect="fails", says=(says,)
        )
    return None
