"""The gate of a protected environment: nothing in it begins before its rules are met.

The rules come with the start of the run, from the project and not from the workflow, so no workflow can leave them out. The first step that
would begin in the environment opens the gate and is held; so are all that come after it, until the gate lets them in or not. The gate is a
node of its own beside the body of the run (`~gate_production`): first it waits for the window, then it asks for the approval.
"""

from __future__ import annotations

from typing import Literal

from towpath.core import events, flow
from towpath.core.plan import ROOT_NUMBER, PlanStep
from towpath.core.run import Awaited, Error, Node, Path, Protection, Question
from towpath.core.turn import Turn

_PREFIX = "~gate_"
_LAST_STEPS = ("~on_failure", "~finally", "~catch")
WINDOW_PREFIX = "environment:"
"""Before the environment's name: the window that its calendars, and their freezes, leave open."""


def gate_path(environment: str) -> Path:
    """The path of an environment's gate."""
    return f"{_PREFIX}{environment}"


def holds(turn: Turn, planned: PlanStep, path: Path) -> bool:
    """Holds the step at *path* where its environment's gate is not open; whether it did. Raises ExpressionError."""
    run = turn.run
    if not run.protections:
        return False
    rendered = turn.plain(planned.environment_template, path) or run.environment
    environment = "" if rendered is None else str(rendered)
    if environment not in run.protections or environment in run.entered:
        return False
    gate = run.nodes.get(gate_path(environment))
    if gate is not None and not gate.is_open and _tells_of_the_end(planned, path):
        return False
    turn.emit(events.StepHeld(at=turn.at, path=path, plan=planned.number, environment=environment))
    if gate is None:
        _open(turn, environment, run.protections[environment])
    elif not gate.is_open:
        _refuse(turn, turn.node(path), gate)
    return True


def _tells_of_the_end(planned: PlanStep, path: Path) -> bool:
    """Whether a step only inherits the run's environment and handles its end: it runs outside of the environment."""
    return planned.environment_template is None and path.startswith(_LAST_STEPS)


def environment_for(turn: Turn, rendered: str | None) -> str | None:
    """The environment whose secrets and variables a step gets: a protected one only when its gate is open."""
    if rendered in turn.run.protections and rendered not in turn.run.entered:
        return None
    return rendered


def _open(turn: Turn, environment: str, protection: Protection) -> None:
    path = gate_path(environment)
    turn.emit(events.StepStarted(at=turn.at, path=path, plan=ROOT_NUMBER, frame="gate"))
    if turn.run.break_glass:
        flow.settle(turn, path, "succeeded")
    elif protection.has_window:
        awaited = Awaited(kind="window", name=f"{WINDOW_PREFIX}{environment}")
        turn.emit(events.WaitStarted(at=turn.at, path=path, awaited=awaited))
    else:
        _ask(turn, environment, protection)


def window_opened(turn: Turn, gate: Node) -> None:
    """The environment's window is open: its approval is asked for."""
    environment = environment_of(gate)
    _ask(turn, environment, turn.run.protections[environment])


def _ask(turn: Turn, environment: str, protection: Protection) -> None:
    if not protection.who:
        flow.settle(turn, gate_path(environment), "succeeded")
        return
    digest = flow.digest_of([turn.run.plan.digest, turn.run.inputs, environment])
    due = None if protection.answer_within is None else turn.at + protection.answer_within
    question = Question(
        kind="approval",
        text=f"May {turn.run.plan.workflow.name} go into {environment}?",
        choices=("approve", "reject"),
        who=protection.who,
        quorum=protection.quorum,
        four_eyes=protection.four_eyes,
        evidence={"inputs": turn.run.inputs, "environment": environment},
        digest=digest,
        due=due,
        if_unanswered=protection.if_unanswered,
        asked_at=turn.at,
        answer_within=protection.answer_within,
    )
    turn.emit(events.PeopleAsked(at=turn.at, path=gate_path(environment), question=question))


def gate_ended(turn: Turn, gate: Node) -> None:
    """The gate was decided: what was held begins, or fails as the gate did."""
    environment = environment_of(gate)
    held = [node for node in turn.run.open_leaves() if _is_held(node, environment)]
    if gate.went_well:
        how = _how(turn, environment)
        turn.emit(events.EnvironmentEntered(at=turn.at, environment=environment, how=how))
    for node in held:
        if gate.went_well:
            flow.begin_held(turn, node)
        else:
            _refuse(turn, node, gate)


def _how(turn: Turn, environment: str) -> Literal["approved", "window", "break_glass"]:
    if turn.run.break_glass:
        return "break_glass"
    return "approved" if turn.run.protections[environment].who else "window"


def _refuse(turn: Turn, node: Node, gate: Node) -> None:
    if gate.status == "cancelled":
        flow.settle(turn, node.path, "cancelled")
        return
    reason = gate.error or Error(kind="policy", message="it was not let in")
    message = f"{environment_of(gate)}: {reason.message}"
    flow.settle(turn, node.path, "failed", error=Error(kind=reason.kind, message=message, step=node.path))


def _is_held(node: Node, environment: str) -> bool:
    return node.status == "waiting" and node.awaited == Awaited(kind="environment", name=environment)


def environment_of(gate: Node) -> str:
    """The environment whose gate this is."""
    return gate.path.removeprefix(_PREFIX)
