"""`run` and `uses`: attempts that a performer makes, with their check, their retries and their unknown outcomes."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import msgspec

from towpath.core import events, flow, gates, retries
from towpath.core.plan import PlanStep
from towpath.core.run import Error, Json, Node, Path, Question, SecretUse, Stage, Work
from towpath.core.stimuli import Interrupted
from towpath.core.stimuli import StepEnded as Ended
from towpath.core.turn import Turn, error_from
from towpath.errors import ExpressionError

UNKNOWN_CHOICES = ("done", "retry", "skip", "failed")


def enter(turn: Turn, planned: PlanStep, path: Path) -> None:
    """Starts the first attempt, or the check that comes before it."""
    before = turn.run.nodes.get(path)
    attempt = 1 if before is None else before.attempt + 1
    has_check = planned.step is not None and planned.step.check is not None
    start_attempt(turn, planned, path, attempt=attempt, stage="check" if has_check else "main", fresh=True)


def child_ended(turn: Turn, node: Node, child: Node) -> None:
    """A leaf has no children but its handlers."""
    raise AssertionError(f"{node.path} has no child {child.path}")


def start_attempt(
    turn: Turn, planned: PlanStep, path: Path, *, attempt: int, stage: Stage, fresh: bool = False
) -> None:
    """Makes it true that an attempt began; raises ExpressionError where its values cannot be made."""
    turn.emit(
        events.StepStarted(
            at=turn.at,
            path=path,
            plan=planned.number,
            attempt=attempt,
            stage=stage,
            work=make_work(turn, planned, path, stage=stage),
            undoable=planned.has_rollback,
            fresh=fresh,
        )
    )


def try_attempt(turn: Turn, node: Node, *, stage: Stage = "main", fresh: bool = False) -> None:
    """Starts the next attempt of a step that has begun before; fails it where its values cannot be made."""
    planned = turn.planned(node)
    attempt = node.attempt + (stage == "check" or node.stage == "main" or fresh)
    try:
        start_attempt(turn, planned, node.path, attempt=attempt, stage=stage, fresh=fresh)
    except ExpressionError as problem:
        flow.settle(turn, node.path, "failed", error=error_from(problem, node.path))


def make_work(turn: Turn, planned: PlanStep, path: Path, *, stage: Stage) -> Work:
    """What the performer gets: the step's values, evaluated; raises ExpressionError."""
    if stage == "main" and planned.is_constant:
        work = _constant_work(planned, turn.run.environment)
    else:
        work = _rendered_work(turn, planned, path, stage=stage)
    if not turn.run.protections:
        return work
    return msgspec.structs.replace(work, environment=gates.environment_for(turn, work.environment))


@functools.lru_cache(maxsize=4096)
def _constant_work(planned: PlanStep, environment: str) -> Work:
    def value(name: str) -> Json:
        template = planned.texts.get(name)
        return None if template is None else template.constant

    own = planned.environment_template
    return Work(
        env={key: env_text(key, part) for key, part in (value("env") or {}).items()},
        with_=value("with") or {},
        stdin=_text(value("stdin")),
        cwd=_text(value("cwd")),
        container=_text(value("container")),
        environment=_text((own.constant if own is not None else None) or environment or None),
        artifacts=tuple(value("artifacts") or ()),
    )


def _rendered_work(turn: Turn, planned: PlanStep, path: Path, *, stage: Stage) -> Work:
    texts = planned.texts if stage == "main" else {**planned.texts, **planned.check_texts}
    secrets: list[SecretUse] = []

    def value(name: str) -> Json:
        rendered, uses = turn.render(texts.get(name), path)
        secrets.extend(SecretUse(at=(name, *use.at), parts=use.parts) for use in uses)
        return rendered

    environment = turn.plain(planned.environment_template, path) or turn.run.environment or None
    return Work(
        env={key: env_text(key, part) for key, part in (value("env") or {}).items()},
        with_=value("with") or {},
        stdin=_text(value("stdin")),
        cwd=_text(turn.plain(texts.get("cwd"), path)),
        container=_text(turn.plain(texts.get("container"), path)),
        environment=_text(environment),
        artifacts=tuple(turn.plain(texts.get("artifacts"), path) or ()),
        secrets=tuple(secrets),
    )


def env_text(key: str, value: Json) -> str:
    """The text of an environment variable: booleans as true and false, lists and maps as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return flow.json_text(value) if not isinstance(value, bool) else str(value).lower()


def _text(value: Json) -> str | None:
    return None if value is None else str(value)


def ended(turn: Turn, node: Node, stimulus: Ended) -> None:
    """The attempt that was awaited ended."""
    if node.stage == "check":
        _check_ended(turn, node, stimulus)
        return
    planned = turn.planned(node)
    outputs = dict(stimulus.outputs)
    error = stimulus.error
    if error is None or error.kind == "exit" or stimulus.is_complete:
        error = _judge(turn, planned, node.path, outputs, error)
    if error is None:
        outputs, error = _declared(turn, planned, node.path, outputs)
    if error is None:
        flow.settle(turn, node.path, "succeeded", outputs=outputs)
    elif node.stopping or turn.stop_reason(node.path) is not None:
        _stopped(turn, node, outputs, error)
    else:
        _failed(turn, node, planned, outputs, error)


def _judge(
    turn: Turn, planned: PlanStep, path: Path, outputs: Mapping[str, Json], error: Error | None
) -> Error | None:
    """The error after `success_when` had its say."""
    condition = planned.success_when
    if condition is None:
        return error
    extra = {"outputs": outputs, "stdout": outputs.get("stdout", "")}
    try:
        if turn.holds(condition, path, extra):
            return None
    except ExpressionError as problem:
        return Error(kind="invalid", message=f"success_when: {problem.message}", step=path)
    if error is not None:
        return error
    return Error(kind="invalid", message=f"success_when does not hold: {condition.source}", step=path)


def _declared(
    turn: Turn, planned: PlanStep, path: Path, outputs: dict[str, Json]
) -> tuple[dict[str, Json], Error | None]:
    """The outputs with those that `outputs` maps to expressions."""
    template = planned.texts.get("outputs")
    if template is None:
        return outputs, None
    extra = {"outputs": outputs, "stdout": outputs.get("stdout", "")}
    try:
        mapped = turn.plain(template, path, extra)
    except ExpressionError as problem:
        return outputs, Error(kind="invalid", message=f"outputs: {problem.message}", step=path)
    return {**outputs, **mapped}, None


def _stopped(turn: Turn, node: Node, outputs: Mapping[str, Json], error: Error) -> None:
    stopped = Error(kind="cancelled", message=error.message, step=node.path, exit_code=error.exit_code)
    flow.settle(turn, node.path, "cancelled", outputs=outputs, error=stopped)


def _failed(turn: Turn, node: Node, planned: PlanStep, outputs: Mapping[str, Json], error: Error) -> None:
    error = Error(
        kind=error.kind,
        message=error.message,
        step=node.path,
        exit_code=error.exit_code,
    )
    due = _retry_due(turn, node, planned, error, outputs)
    if due is None:
        flow.settle(turn, node.path, "failed", outputs=outputs, error=error)
    else:
        turn.emit(
            events.StepRetrying(at=turn.at, path=node.path, attempt=node.attempt + 1, error=error, due=due)
        )


def _retry_due(
    turn: Turn, node: Node, planned: PlanStep, error: Error, outputs: Mapping[str, Json]
) -> int | None:
    retry = planned.step.retry if planned.step is not None else None
    if retry is None:
        return None
    if planned.retry_when is not None:
        seen = {
            "kind": error.kind,
            "message": error.message,
            "step": error.step,
            "exit_code": -1 if error.exit_code is None else error.exit_code,
            "outputs": outputs,
        }
        try:
            if not turn.holds(planned.retry_when, node.path, {"error": seen}):
                return None
        except ExpressionError:
            return None
    return retries.next_attempt_at(retry, tries=node.tries, error=error, at=turn.at, seed=turn.seed)


def _check_ended(turn: Turn, node: Node, stimulus: Ended) -> None:
    """Before an attempt, or after an unknown outcome, the check has spoken."""
    error, done = _spoken(turn, node, stimulus)
    if error is not None and node.stopping:
        _stopped(turn, node, stimulus.outputs, error)
    elif error is not None:
        error = Error(kind=error.kind, message=f"check: {error.message}", step=node.path)
        flow.settle(turn, node.path, "failed", error=error)
    elif done and node.started:
        flow.settle(turn, node.path, "succeeded", reason="already_done")
    elif done:
        flow.settle_already_done(turn, node)
    elif turn.stop_reason(node.path) is not None:
        flow.settle(turn, node.path, "cancelled")
    else:
        try_attempt(turn, node)


def _spoken(turn: Turn, node: Node, stimulus: Ended) -> tuple[Error | None, bool]:
    """What the check says: `done_when` decides from its outputs, else its performer has decided."""
    done_when = turn.planned(node).done_when
    if stimulus.error is not None or done_when is None:
        return stimulus.error, bool(stimulus.done)
    extra = {"outputs": stimulus.outputs, "stdout": stimulus.outputs.get("stdout", "")}
    try:
        return None, turn.holds(done_when, node.path, extra)
    except ExpressionError as problem:
        return Error(kind="invalid", message=f"done_when: {problem.message}"), False


def interrupted(turn: Turn, node: Node, stimulus: Interrupted) -> None:
    """The performer was lost: what the attempt did is unknown."""
    planned = turn.planned(node)
    lost = Error(kind="interrupted", message="its performer was lost; what it did is unknown", step=node.path)
    if node.stopping or turn.stop_reason(node.path) is not None:
        flow.settle(turn, node.path, "cancelled", error=lost)
    elif planned.step is not None and planned.step.check is not None:
        try_attempt(turn, node, stage="check")
    elif turn.run.plan.is_idempotent(planned, {} if node.work is None else node.work.with_):
        try_attempt(turn, node)
    else:
        text = f"{node.path} was interrupted (attempt {stimulus.attempt}); did it do its work?"
        question = Question(kind="unknown", text=text, choices=UNKNOWN_CHOICES, asked_at=turn.at)
        turn.emit(events.PeopleAsked(at=turn.at, path=node.path, question=question, error=lost))
