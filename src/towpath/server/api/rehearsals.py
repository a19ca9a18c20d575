"""Rehearsals: what a run would do if it were started now. It looks at the world and changes nothing."""

from __future__ import annotations

import threading
from typing import Any, Final

from pydantic import Field

from towpath.engines.rehearsing import Effect, Happens
from towpath.errors import LimitExceeded
from towpath.server.api import acts
from towpath.server.api.told import Json, Told
from towpath.server.call import Asked
from towpath.server.routing import Routes
from towpath.trials import rehearsing

ROUTES = Routes(prefix="/api/v1/runs", tag="runs")
REHEARSALS_MAX: Final = 4
"""Rehearsals that go on at once; more are refused."""
_places = threading.BoundedSemaphore(REHEARSALS_MAX)


class Rehearse(acts.Start):
    """A run that somebody wants to know more about before it starts."""

    looks: bool = Field(
        default=True, description="Whether anything outside of the file is looked at, checks included."
    )


class Change(Told):
    """Something that would change."""

    verb: str = Field(description="What would be done to it.", examples=["create"])
    target: str = Field(description="What would change.", examples=["/etc/motd"])
    detail: str = Field(description="How.")


class Forecast(Told):
    """What one step would do. What does not apply is left out."""

    path: str = Field(default="", description="Where it would stand in the run.")
    name: str = Field(description="What people call it.")
    kind: str = Field(description="The kind of the step, or of what stands between steps.")
    does: str = Field(default="", description="The action, or the workflow, that it calls.")
    title: str = Field(default="", description="Its title.")
    happens: Happens = Field(description="Whether it would run.")
    effect: Effect = Field(description="What it would do.")
    says: list[str] = Field(default=[], description="What was found out, in words.")
    changes: list[Change] = Field(default=[], description="What would change.")
    detail: str = Field(default="", description="What a tool printed about its changes.")
    script: str = Field(default="", description="The script that would run.")
    given: dict[str, Json] = Field(default={}, description="What it would get; secrets are named.")
    later: list[str] = Field(default=[], description="The names in its values that only the run will know.")
    undone_by: list[str] = Field(default=[], description="The steps that would undo it.")
    steps: list[Forecast] = Field(default=[], description="The steps inside it.")


class Rehearsal(Told):
    """What a run would do."""

    dry_run: bool = Field(description="Always true: nothing was done.")
    workflow: str = Field(description="The workflow.")
    definition: str = Field(description="The digest of its definition.")
    inputs: dict[str, Json] = Field(description="Its inputs, complete.")
    digest: str = Field(description="Of all that would happen: the same digest, the same plan.")
    changes: int = Field(description="How many changes are known.")
    unforeseen: int = Field(
        description="How many steps might change something that nobody can tell beforehand."
    )
    failing: int = Field(description="How many steps would fail as things are now.")
    asking: int = Field(description="How often people would be asked.")
    changes_nothing: bool = Field(description="Whether nothing at all would change.")
    looked: bool = Field(description="Whether anything outside of the file was looked at.")
    steps: list[Forecast] = Field(description="The steps.")


@ROUTES.post(
    "/rehearse", permission="run.start", operation_id="rehearse_run", response_model_exclude_unset=True
)
def rehearse_run(call: Asked, body: Rehearse) -> Rehearsal:
    """Tell what a run would do, and do nothing: what `tow run --dry-run` tells."""
    request = acts.wanted(call, body)
    if not _places.acquire(blocking=False):
        raise LimitExceeded(
            f"{REHEARSALS_MAX} rehearsals go on already", limit="REHEARSALS_MAX", help="ask again in a moment"
        )
    try:
        found = rehearsing.rehearse_now(call.app, request, looks=body.looks)
    finally:
        _places.release()
    told: dict[str, Any] = rehearsing.as_json(found)  # Any: JSON
    return Rehearsal.model_validate(told)
