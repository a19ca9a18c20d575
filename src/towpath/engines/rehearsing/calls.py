"""A workflow that calls another: the other one is rehearsed with the inputs that it would get."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from towpath.core.decide import new_run
from towpath.core.plan import Plan
from towpath.core.run import Json, Protection, Run
from towpath.definition import model
from towpath.definition.inputs import complete_inputs
from towpath.engines.rehearsing.forecast import Forecast
from towpath.engines.rehearsing.knowledge import Knowledge, Sketch
from towpath.errors import Refused

if TYPE_CHECKING:
    from towpath.engines.rehearsing.ground import Surroundings

REHEARSAL_ID = "rehearsal"
"""The id of a run that will never be."""


def imagine(
    workflow: model.Workflow,
    digest: str,
    inputs: Mapping[str, Json],
    *,
    started_by: str,
    event: Json = None,
    protections: Mapping[str, Protection] | None = None,
    break_glass: str = "",
    commit: str = "",
) -> Run:
    """A run that has been accepted and has done nothing."""
    run = msgspec.structs.replace(
        new_run(Plan(workflow, digest), REHEARSAL_ID),
        inputs=inputs,
        event=event,
        started_by=started_by,
        protections=protections or {},
        break_glass=break_glass,
        commit=commit,
    )
    template = run.plan.root.texts.get("environment")
    if template is None:
        return run
    sketch = Knowledge(run).sketch(template.constant)
    return msgspec.structs.replace(run, environment=str(sketch.filled or "") if sketch.is_known else "")


async def rehearse_call(
    name: str, with_: Sketch, caller: Run, around: Surroundings, *, has_changed: bool
) -> tuple[tuple[Forecast, ...], bool]:
    """What a called workflow would do, and whether it would change anything; raises TowpathError where it cannot start."""
    from towpath.engines.rehearsing.walking import Walk

    if name in around.calls:
        raise Refused(f"{name} calls itself")
    workflow, definition = around.library.find(name, commit=caller.commit)
    inputs, unknown = _inputs(workflow, with_)
    run = imagine(
        workflow,
        definition.digest,
        inputs,
        started_by=caller.started_by,
        protections=caller.protections,
        break_glass=caller.break_glass,
        commit=caller.commit,
    )
    inner = dataclasses.replace(around, calls=(*around.calls, name))
    walk = Walk(run, Knowledge(run, unknown_inputs=unknown), inner, has_changed=has_changed)
    return await walk.whole(), walk.would_change


def _inputs(workflow: model.Workflow, with_: Sketch) -> tuple[dict[str, Json], frozenset[str]]:
    """The inputs that are known, and the names of those that are not."""
    shown: Mapping[str, Json] = with_.shown or {}
    if with_.is_known:
        return complete_inputs(workflow.inputs, with_.filled or {}), frozenset()
    unknown = frozenset(name for name, value in shown.items() if "${{" in str(value))
    known = {name: value for name, value in shown.items() if name not in unknown}
    declared = {name: one for name, one in workflow.inputs.items() if name not in unknown}
    return complete_inputs(declared, known), unknown
