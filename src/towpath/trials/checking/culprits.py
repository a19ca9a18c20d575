"""Which expression of a step could not be worked out, and whether something that it reads is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from towpath.core.names import dynamic_path, names_for
from towpath.core.plan import Plan, PlanStep
from towpath.core.run import ROOT, Error, Path, Run
from towpath.definition import expressions, model
from towpath.definition.actions import ActionCards
from towpath.errors import ExpressionError
from towpath.trials.checking import sources
from towpath.trials.checking.sources import Source

_AFTER = {"success_when": ("success_when",), "outputs": ("outputs",), "until": ("until",)}
"""What a message begins with that comes from an expression which is worked out after the attempt."""
_STEP_OUTPUT = 4
"""Words in `steps.scan.outputs.critical`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Culprit:
    """An expression that failed."""

    source: Source | None
    absent: tuple[str, str] | None = None
    """What it reads that is not there, and why it is not."""
    is_wished: bool = False
    """Whether it is not there because a person passed over the step: that is their own doing."""
    references: tuple[tuple[str, ...], ...] = ()


def find(plan: Plan, run: Run, path: Path, error: Error) -> Culprit | None:
    """The expression because of which the step at *path* failed; None where it was something else."""
    node = run.nodes.get(path)
    if path == ROOT:
        candidates: Iterable[Source] = (one for one in sources.sources(plan) if one.owner is None)
        return _first(plan, run, path, (one for one in candidates if one.key[:1] == ("outputs",)))
    if node is None:
        return None
    planned = plan[node.plan]
    prefix = error.message.partition(":")[0]
    if prefix == "check":
        prefix = error.message.partition(":")[2].strip().partition(":")[0]
    if prefix in _AFTER:
        source = next((one for one in sources.step_sources(planned) if one.key[:1] == _AFTER[prefix]), None)
        return None if source is None else _of(plan, run, path, source)
    return _first(plan, run, path, _before(planned)) or Culprit(source=None)


def _before(planned: PlanStep) -> Iterator[Source]:
    """The expressions that are worked out before the attempt; the variables of the blocks around it are among them."""
    outer: PlanStep | None = planned
    while outer is not None and outer.number >= 0:
        for source in sources.step_sources(outer):
            if not source.is_after and (outer is planned or source.key[:1] in (("env",), ("environment",))):
                yield source
        outer = outer.parent


def _first(plan: Plan, run: Run, path: Path, sources: Iterable[Source]) -> Culprit | None:
    for source in sources:
        expression = expressions.compile_expression(source.text, names=expressions.DYNAMIC)
        try:
            expression.evaluate(names_for(run, path, [one.path for one in expression.references]))
        except ExpressionError:
            return _of(plan, run, path, source)
    return None


def _of(plan: Plan, run: Run, path: Path, source: Source) -> Culprit:
    expression = expressions.compile_expression(source.text, names=expressions.DYNAMIC)
    references = tuple(one.path for one in expression.references)
    absent = next((found for one in references if (found := _absent(plan, run, path, one))), None)
    is_wished = any(_was_skipped(plan, run, path, one) for one in references)
    return Culprit(source=source, absent=absent, is_wished=is_wished, references=references)


def _was_skipped(plan: Plan, run: Run, path: Path, reference: tuple[str, ...]) -> bool:
    """Whether a person skipped the step that a reference reads."""
    planned = plan.by_id.get(reference[1]) if reference[:1] == ("steps",) and len(reference) > 1 else None
    target = dynamic_path(run, path, planned) if planned is not None else None
    node = run.nodes.get(target) if target is not None else None
    return node is not None and node.settled and node.reason == "skipped"


_WHY = {
    "skipped": "was skipped",
    "failed": "failed",
    "cancelled": "was stopped",
    "reset": "has not run again",
}


def _absent(plan: Plan, run: Run, path: Path, reference: tuple[str, ...]) -> tuple[str, str] | None:
    """What is not there of a step's output, and why."""
    if len(reference) < _STEP_OUTPUT or reference[0] != "steps" or reference[2] != "outputs":
        return None
    planned = plan.by_id.get(reference[1])
    target = dynamic_path(run, path, planned) if planned is not None else None
    node = run.nodes.get(target) if target is not None else None
    if node is not None and (node.status == "succeeded" or reference[3] in (node.outputs or {})):
        return None
    why = _WHY.get(node.status, "had not ended") if node is not None else "did not run"
    return ".".join(reference[:_STEP_OUTPUT]), f"`{reference[1]}` {why}"


def is_sure(plan: Plan, run: Run, found: Culprit, cards: ActionCards | None) -> bool:
    """Whether every value that the expression reads is of a type that somebody declared: then it may really occur."""
    return found.source is not None and all(
        _is_declared(plan, one, cards) or (one[0] == "event" and run.event is None)
        for one in found.references
    )


def _is_declared(plan: Plan, reference: tuple[str, ...], cards: ActionCards | None) -> bool:  # noqa: PLR0911 - one answer for each kind of path
    match reference:
        case ("inputs" | "run" | "index" | "vars", *_):
            return True
        case ("error", "kind" | "message" | "step" | "exit_code") | ("step", *_):
            return True
        case ("steps", name, "outputs", output, *_):
            planned = plan.by_id.get(name)
            step = planned.step if planned is not None else None
            if isinstance(step, model.RunStep):
                return output != "json"
            if isinstance(step, model.UsesStep):
                card = cards.get(step.uses) if cards is not None else None
                return card is not None and card.outputs is not None and output in card.outputs
            return isinstance(step, model.Question)
        case ("steps", _, "status" | "decided" | "attempts", *_):
            return True
        case _:
            return False
