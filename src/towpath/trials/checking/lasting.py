"""How long steps may take by what their file says, and the time limits around them."""

from __future__ import annotations

from collections.abc import Iterator

from towpath.core.plan import Plan, PlanStep
from towpath.definition import model


def outwards(planned: PlanStep) -> Iterator[PlanStep]:
    """The step and the blocks around it."""
    outer: PlanStep | None = planned
    while outer is not None:
        yield outer
        outer = outer.parent


def limit_around(plan: Plan, planned: PlanStep) -> tuple[float, str] | None:
    """The tightest time limit around a step, in seconds, and whose it is."""
    found: list[tuple[float, str]] = []
    for outer in outwards(planned):
        if outer is planned:
            continue
        if outer.number < 0:
            if plan.workflow.timeout is not None:
                found.append((plan.workflow.timeout, "the run"))
        elif outer.step is not None and outer.step.timeout is not None and outer.kind not in ("run", "uses"):
            found.append((outer.step.timeout, f"`{outer.key}`"))
    return min(found, default=None)


def waits_of(planned: PlanStep) -> Iterator[tuple[str, float, str]]:
    """How long a step may wait by what its file says: key, seconds, words."""
    step = planned.step
    if step is None:
        return
    if step.retry is not None and planned.kind in ("run", "uses"):
        yield "retry", _retry_seconds(step.retry, step.timeout or 0.0), f"the {step.retry.attempts} attempts"
    if isinstance(step, model.WaitStep) and isinstance(step.wait, str) and "${{" not in step.wait:
        yield "wait", model.parse_duration(step.wait), "the wait"
    if isinstance(step, model.Question) and step.answer_within is not None:
        yield "answer_within", step.answer_within, "the time to answer"


def _retry_seconds(retry: model.Retry, timeout: float) -> float:
    """How long all attempts take when each of them uses its time, with the pauses between them."""
    total, delay = timeout * retry.attempts, retry.delay
    for _ in range(retry.attempts - 1):
        total += min(delay, retry.max_delay)
        delay = min(delay * retry.factor, retry.max_delay)
    return total


def span(seconds: float) -> str:
    """A duration as people write it: `1h 30m`."""
    whole = round(seconds)
    parts = [(whole // 86_400, "d"), (whole // 3_600 % 24, "h"), (whole // 60 % 60, "m"), (whole % 60, "s")]
    words = [f"{count}{unit}" for count, unit in parts if count]
    return " ".join(words[:2]) or f"{seconds:g}s"
