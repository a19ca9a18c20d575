"""`towpath.rehearse`: in the middle of a run, the plan of the steps that follow; for people to approve before they happen."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Annotated, Any

from towpath.steps.contract import ActionFailed, Rehearsal, RehearsesSteps, StepContext, action

__all__ = ["rehearse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearseInputs:
    """What `towpath.rehearse` takes."""

    steps: Annotated[tuple[str, ...], "The ids of the steps to rehearse; all that follow when left out"] = ()
    expect: Annotated[
        str | dict[str, Any] | None,
        "The digest of an earlier plan, or the outputs of its step: fail with `conflict` when the plan is another one now",
    ] = None

    def __post_init__(self) -> None:
        if isinstance(self.expect, dict) and not isinstance(self.expect.get("digest"), str):
            raise ValueError(  # noqa: TRY004 - what a shape says of its own fields
                "`expect` holds no digest: give it the outputs of a step that made a plan"
            )

    @property
    def digest(self) -> str | None:
        """The digest that is expected."""
        return self.expect["digest"] if isinstance(self.expect, dict) else self.expect

    @property
    def plan(self) -> str | None:
        """The plan that is expected, where it was given."""
        return str(self.expect.get("plan", "")) if isinstance(self.expect, dict) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearseOutputs:
    """The plan."""

    plan: Annotated[str, "What would happen, as text for people"]
    digest: Annotated[str, "The digest of what would happen; the same as long as nothing changes"]
    changes: Annotated[int, "How many changes are foreseen"]
    unforeseen: Annotated[int, "How many steps would do something that nobody can foresee"]
    failing: Annotated[int, "How many steps would fail as things are now"]
    changes_nothing: Annotated[bool, "Whether it is certain that nothing would change"]


@action("towpath.rehearse", idempotent=True, effects="none")
async def rehearse(inputs: RehearseInputs, context: StepContext) -> RehearseOutputs:
    """Rehearses steps of this run that have not begun and hands on their plan; changes nothing."""
    if not isinstance(context, RehearsesSteps):
        raise ActionFailed("Steps can be rehearsed only inside a run.", kind="invalid")
    found = RehearseOutputs(**await context.rehearse_steps(inputs.steps))
    if inputs.digest is None or inputs.digest == found.digest:
        context.log(found.plan)
        return found
    context.log(found.plan if inputs.plan is None else _difference(inputs.plan, found.plan))
    raise ActionFailed(
        f"The plan has changed: its digest is {found.digest[:12]} and {inputs.digest[:12]} was expected.",
        kind="conflict",
        outputs={name: getattr(found, name) for name in found.__slots__},
        help="The log of this step shows what is different; have it approved again.",
    )


def _difference(before: str, after: str) -> str:
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2))[2:]
    return "\n".join(["what has changed in the plan:", *lines]) if lines else after


@rehearse.rehearsal
async def rehearse_rehearse(inputs: RehearseInputs, context: StepContext) -> Rehearsal:  # noqa: ARG001 - the contract of a rehearsal
    """Tells what would be rehearsed."""
    return Rehearsal(summary=f"shows the plan of {', '.join(inputs.steps) or 'all that follows'}")
