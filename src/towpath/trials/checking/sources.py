"""Where expressions stand in a plan: whose each is, under which key it stands, and whether it decides something or only tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from towpath.core.plan import Plan, PlanStep
from towpath.core.run import Json
from towpath.definition import expressions, model

Owner: TypeAlias = int | None
"""The number of the step that an expression belongs to; None for the workflow's own keys and its laws."""
Weight: TypeAlias = Literal["decides", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One expression and where it stands."""

    text: str
    owner: Owner
    key: tuple[str, ...]
    """Under which keys of its step."""
    weight: Weight = "text"
    is_condition: bool = False
    is_whole: bool = False
    """Whether it is a whole value, and not a part of a text."""
    is_after: bool = False
    """Whether it is worked out when the attempt has ended: it sees `outputs`."""


def sources(plan: Plan) -> Iterator[Source]:
    """Every expression of a plan."""
    workflow = plan.workflow
    for name, value in workflow.vars.items():
        yield from templates(value, None, ("vars", name))
    yield from templates(workflow.environment, None, ("environment",), "decides")
    for name, text in workflow.outputs.items():
        yield from templates(text, None, ("outputs", name))
    laws = workflow.check
    for key in ("never", "always"):
        for text in getattr(laws, key, ()):
            yield Source(text=text, owner=None, key=("check", key), weight="decides", is_condition=True)
    for planned in plan.steps:
        yield from step_sources(planned)


def step_sources(planned: PlanStep) -> Iterator[Source]:
    """The expressions of one step, in the order in which they are worked out."""
    step, owner = planned.step, planned.number
    assert step is not None
    yield from _condition(step.if_, owner, ("if",))
    if step.environment is not None:
        yield from templates(step.environment, owner, ("environment",), "decides")
    yield from _kind_sources(planned)
    for key in ("env", "stdin", "cwd", "container", "artifacts"):
        yield from templates(getattr(step, key, None), owner, (key,))
    if step.check is not None:
        yield from templates(dict(step.check.with_), owner, ("check", "with"))
        yield from templates(dict(step.check.env), owner, ("check", "env"))
        yield from _condition(step.check.done_when, owner, ("check", "done_when"), is_after=True)
    yield from _condition(step.success_when, owner, ("success_when",), is_after=True)
    if step.retry is not None:
        yield from _condition(step.retry.when, owner, ("retry", "when"), is_after=True)
    if isinstance(step.outputs, Mapping):
        yield from templates(dict(step.outputs), owner, ("outputs",), is_after=True)


def _kind_sources(planned: PlanStep) -> Iterator[Source]:
    step, owner = planned.step, planned.number
    match step:
        case model.UsesStep() | model.WorkflowStep():
            yield from templates(dict(step.with_), owner, ("with",))
        case model.ApproveStep():
            yield from templates(step.approve, owner, ("approve",))
            yield from templates(dict(step.show), owner, ("show",))
        case model.TaskStep():
            yield from templates(step.task, owner, ("task",))
            yield from templates(step.instructions, owner, ("instructions",))
        case model.WaitStep():
            yield from _wait_sources(step, owner)
        case model.EachStep():
            matrix = dict(step.each.matrix) if isinstance(step.each, model.Matrix) else step.each
            yield from templates(matrix, owner, ("each",), "decides")
        case model.ChooseStep():
            for position, branch in enumerate(step.choose):
                yield from _condition(branch.if_, owner, ("choose", str(position), "if"))
        case model.RepeatStep():
            yield from _condition(step.until, owner, ("until",))
        case model.EndStep():
            yield from templates(step.end.message, owner, ("end", "message"))
            yield from templates(step.end.outcome, owner, ("end", "outcome"))
        case _:
            return


def _wait_sources(step: model.WaitStep, owner: int) -> Iterator[Source]:
    match step.wait:
        case str() as text:
            yield from templates(text, owner, ("wait",), "decides")
        case model.WaitUntil(until=until):
            yield from templates(until, owner, ("wait", "until"), "decides")
        case model.WaitEvent(if_=condition):
            yield from _condition(condition, owner, ("wait", "if"), is_after=True)
        case _:
            return


def _condition(
    text: str | None, owner: Owner, key: tuple[str, ...], *, is_after: bool = False
) -> Iterator[Source]:
    if text is not None:
        yield Source(text=text, owner=owner, key=key, weight="decides", is_condition=True, is_after=is_after)


def templates(
    value: Json, owner: Owner, key: tuple[str, ...], weight: Weight = "text", *, is_after: bool = False
) -> Iterator[Source]:
    """The expressions of a value, however deep they stand in it."""
    match value:
        case str() if "${{" in value:
            template = expressions.parse_template(value, names=expressions.DYNAMIC)
            for part in template.parts:
                if isinstance(part, expressions.Expression):
                    yield Source(
                        text=part.source,
                        owner=owner,
                        key=key,
                        weight=weight,
                        is_whole=template.is_whole,
                        is_after=is_after,
                    )
        case dict():
            for name, inner in value.items():
                yield from templates(inner, owner, (*key, str(name)), weight, is_after=is_after)
        case list() | tuple():
            for inner in value:
                yield from templates(inner, owner, key, weight, is_after=is_after)
        case _:
            return


def whole_expression(value: object) -> str | None:
    """The expression that a value is as a whole, without its `${{ }}`; None where it is anything else."""
    if not isinstance(value, str) or "${{" not in value:
        return None
    template = expressions.parse_template(value, names=expressions.DYNAMIC)
    part = template.parts[0]
    return part.source if template.is_whole and isinstance(part, expressions.Expression) else None
