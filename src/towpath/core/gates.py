"""The gate of a protected environment: nothing in it begins before its rules are met.

The rules come with the start of the run, from the project and not from the workflow, so no workflow can leave them out. The first step that
would begin in the environment opens the gate and is held; so are all that come after it, until the gate lets them in or not. The gate is a
node of its own beside the body of the run (`~gate_production`). It asks for the approval first; an approved change is scheduled, and waits
for its window; and last for a place, where only so many runs may be in the environment at once. What can change while one waits comes last.
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
    elif protection.who:
        _ask(turn, environment, protection)
    else:
        _await_window(turn, environment, protection)


def approved(turn: Turn, gate: Node) -> None:
    """People let the run in: the change is scheduled."""
    environment = environment_of(gate)
    _await_window(turn, environment, turn.run.protections[environment])


def _await_window(turn: Turn, environment: str, protection: Protection) -> None:
    if protection.has_window:
        _await(turn, environment, Awaited(kind="window", name=f"{WINDOW_PREFIX}{environment}"))
    else:
        _await_place(turn, environment, protection)


def window_opened(turn: Turn, gate: Node) -> None:
    """The environment's window is open: a place in it is next, or the approval where a gate asked for its window first."""
    environment = environment_of(gate)
    protection = turn.run.protections[environment]
    if protection.who and gate.question is None:
        _ask(turn, environment, protection)
    else:
        _await_place(turn, environment, protection)


def _await_place(turn: Turn, environment: str, protection: Protection) -> None:
    if protection.places is None:
        flow.settle(turn, gate_path(environment), "succeeded")
    else:
        _await(turn, environment, Awaited(kind="place", name=environment))


def _await(turn: Turn, environment: str, awaited: Awaited) -> None:
    turn.emit(events.WaitStarted(at=turn.at, path=gate_path(environment), awaited=awaited))


def place_found(turn: Turn, gate: Node, *, is_full: bool) -> None:
    """The run has its place in the environment, or will not wait for one."""
    if not is_full:
        flow.settle(turn, gate.path, "succeeded")
        return
    environment = environment_of(gate)
    places = turn.run.protections[environment].places
    message = f"all of its places are taken ({places}), and `when_full: skip` does not wait for one"
    flow.settle(turn, gate.path, "failed", error=Error(kind="conflict", message=message))


def _ask(turn: Turn, environment: str, protection: Protection) -> None:
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
        how = _how(turn, environment, gate)
        turn.emit(events.EnvironmentEntered(at=turn.at, environment=environment, how=how))
    for node in held:
        if gate.went_well:
            flow.begin_held(turn, node)
        else:
            _refuse(turn, node, gate)


def _how(
    turn: Turn, environment: str, gate: Node
) -> Literal["approved", "unanswered", "window", "place", "break_glass"]:
    if turn.run.break_glass:
        return "break_glass"
    protection = turn.run.protections[environment]
    if protection.who:
        approvals = sum(answer.decision == "approve" for answer in gate.answers)
        return "approved" if approvals >= protection.quorum else "unanswered"
    return "window" if protection.has_window else "place"


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
