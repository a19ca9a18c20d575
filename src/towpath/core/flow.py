"""How steps begin, end and hand on: the rules that every kind of step shares.

A body that is over goes through the phases that its outcome asks for, always in this order:

    outcome      rollback   catch   ask / on_failure   finally
    succeeded                                             x
    failed          x         x            x              x
    cancelled       x                                     x

`rollback` is for scopes only (blocks, items, branches, rounds, the run); a leaf is undone by the scope around it. `catch` and a person's
skip settle a failure: then the scope outside goes on. A stop by timeout turns a cancelled scope into a failed one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from towpath.core import events, rollback
from towpath.core.evolve import parent_path
from towpath.core.names import end_status
from towpath.core.plan import HANDLERS, Plan, PlanStep
from towpath.core.run import (
    ROOT,
    Answer,
    Error,
    Json,
    Node,
    NodeStatus,
    Outcome,
    Path,
    Phase,
    Question,
    is_protected,
)
from towpath.core.turn import Turn, error_from
from towpath.errors import ExpressionError, Refused

_PHASES: tuple[Phase, ...] = ("rollback", "catch", "ask", "on_failure", "finally")
FAILURE_CHOICES = ("retry", "skip", "rollback", "stop")
_replace = msgspec.structs.replace


def begin(turn: Turn, planned: PlanStep, path: Path) -> None:
    """Starts a step, or skips it, or takes over its result from the run that this one continues."""
    before = turn.run.nodes.get(path)
    if before is not None and before.carried and before.went_well:
        _end_unstarted(turn, planned, path, status=before.status, reason="carried")
    elif turn.stop_reason(path) is not None:
        _end_unstarted(turn, planned, path, status="cancelled", reason="stopped")
    else:
        _begin_if_wanted(turn, planned, path)


def _begin_if_wanted(turn: Turn, planned: PlanStep, path: Path) -> None:
    if planned.condition is not None:
        try:
            wanted = turn.holds(planned.condition, path)
        except ExpressionError as problem:
            fail_to_start(turn, planned, path, error_from(problem, path))
            return
        if not wanted:
            _end_unstarted(turn, planned, path, status="skipped", reason="condition")
            return
    _enter(turn, planned, path)


def _enter(turn: Turn, planned: PlanStep, path: Path) -> None:
    try:
        if not turn.gates.holds(turn, planned, path):
            turn.blocks[planned.kind].enter(turn, planned, path)
    except ExpressionError as problem:
        fail_to_start(turn, planned, path, error_from(problem, path))


def begin_held(turn: Turn, node: Node) -> None:
    """Starts a step that the gate of its environment had held."""
    _enter(turn, turn.planned(node), node.path)


def fail_to_start(turn: Turn, planned: PlanStep, path: Path, error: Error) -> None:
    """A step whose expressions cannot be evaluated has failed, with all that this means."""
    before = turn.run.nodes.get(path)
    if before is None or not before.is_open:
        attempt = 1 if before is None else before.attempt + 1
        turn.emit(
            events.StepStarted(at=turn.at, path=path, plan=planned.number, attempt=attempt, stage="check")
        )
    settle(turn, path, "failed", error=error)


def _end_unstarted(turn: Turn, planned: PlanStep, path: Path, *, status: str, reason: str) -> None:
    turn.emit(
        events.StepEnded(at=turn.at, path=path, plan=planned.number, status=status, reason=reason)  # type: ignore[arg-type] # one of the two that callers give
    )
    turn.later_child_ended(parent_path(path) or ROOT, path)


def settle(
    turn: Turn,
    path: Path,
    outcome: Outcome,
    *,
    outputs: Mapping[str, Json] | None = None,
    error: Error | None = None,
    reason: str = "",
) -> None:
    """The body of the node at *path* is over: its handlers begin, or it ends."""
    node = turn.node(path)
    if outcome == "cancelled" and turn.run.stops.get(path) == "timeout":
        outcome = "failed"
        error = Error(kind="timeout", message=f"{path or 'the run'} took longer than its timeout", step=path)
    elif outcome == "failed" and turn.stop_reason(path) not in (None, "timeout"):
        outcome = "cancelled"
    elif outcome == "cancelled" and node.frame == "rollback":
        outcome = "failed"
        error = error or Error(kind="cancelled", message="it could not be done", step=path)
    elif outcome == "succeeded" and path == ROOT:
        outcome, outputs, error = _with_outputs(turn)
    if outcome == "succeeded" and not _has_last_phases(turn, node):
        _end_well(turn, node, outputs, reason)
        return
    turn.emit(events.BodyEnded(at=turn.at, path=path, outcome=outcome, outputs=outputs, error=error))
    proceed(turn, path, reason=reason)


def _with_outputs(turn: Turn) -> tuple[Outcome, Mapping[str, Json] | None, Error | None]:
    """How the run's body ends when its steps went well: outputs that cannot be made are a failure of the run."""
    if turn.run.mode == "rollback":
        return "succeeded", None, None
    try:
        return "succeeded", turn.plain(turn.run.plan.root.texts.get("outputs"), ROOT), None
    except ExpressionError as problem:
        return "failed", None, Error(kind="invalid", message=f"outputs: {problem.message}")


def _has_last_phases(turn: Turn, node: Node) -> bool:
    if node.path == ROOT and turn.run.mode == "rollback":
        return True
    return bool(_handler_list(turn, node, "finally"))


def _end_well(turn: Turn, node: Node, outputs: Mapping[str, Json] | None, reason: str) -> None:
    """The short way of a body that succeeded and has nothing after it."""
    if node.path == ROOT:
        _end_run(turn, _replace(node, outcome="succeeded", outputs=outputs))
        return
    turn.emit(
        events.StepEnded(at=turn.at, path=node.path, status="succeeded", outputs=outputs, reason=reason)
    )
    turn.later_child_ended(_parent(node.path), node.path)


def proceed(turn: Turn, path: Path, *, reason: str = "") -> None:
    """Goes on to the next phase that the node at *path* has to go through, or ends it."""
    node = turn.node(path)
    position = _PHASES.index(node.phase) + 1 if node.phase != "body" else 0
    for phase in _PHASES[position:]:
        if _enter_phase(turn, turn.node(path), phase):
            return
    _finish(turn, path, reason=reason)


def _enter_phase(turn: Turn, node: Node, phase: Phase) -> bool:
    """Enters *phase* if the node wants it; whether it did. Nothing is mended in a scope that is being stopped."""
    failed = node.outcome == "failed" and not node.settled and turn.stop_reason(node.path) is None
    match phase:
        case "rollback":
            return _enter_rollback(turn, node)
        case "catch":
            return failed and _enter_handler(turn, node, "catch")
        case "ask":
            return failed and _enter_ask(turn, node)
        case "on_failure":
            return (failed or _ends_badly(turn, node)) and _enter_handler(turn, node, "on_failure")
        case _:
            return _enter_handler(turn, node, "finally")


def _ends_badly(turn: Turn, node: Node) -> bool:
    """Whether the run is being ended as failed or rejected, by an `end` step."""
    ending = turn.run.ending
    if node.path != ROOT or ROOT in turn.run.stops:
        return False
    return ending is not None and ending[0] in ("failed", "rejected", "rolled_back")


def _enter_rollback(turn: Turn, node: Node) -> bool:
    wanted = node.outcome == "failed" or (node.outcome == "cancelled" and not _ends_well(turn))
    if node.path == ROOT and turn.run.mode == "rollback":
        wanted = True
    if not wanted or not turn.run.rolls_back or not _is_scope(turn, node):
        return False
    undo = rollback.candidates(turn.run, node)
    if not undo:
        return False
    turn.emit(events.PhaseStarted(at=turn.at, path=node.path, phase="rollback", undo=undo))
    return rollback.undo_next(turn, node.path)


def _ends_well(turn: Turn) -> bool:
    """Whether an `end` step says that the run succeeded."""
    return turn.run.ending is not None and turn.run.ending[0] == "succeeded"


def _is_scope(turn: Turn, node: Node) -> bool:
    return bool(node.frame) or not turn.planned(node).is_leaf


def _handler_list(turn: Turn, node: Node, handler: str) -> tuple[PlanStep, ...]:
    if node.frame and node.frame != "run":
        return ()
    return turn.planned(node).lists.get(handler, ())


def _enter_handler(turn: Turn, node: Node, handler: Phase) -> bool:
    if not _handler_list(turn, node, handler):
        return False
    turn.emit(events.PhaseStarted(at=turn.at, path=node.path, phase=handler))
    frame = f"{node.path}~{handler}"
    before = turn.run.nodes.get(frame)
    attempt = 1 if before is None else before.attempt + 1
    turn.emit(events.StepStarted(at=turn.at, path=frame, plan=node.plan, frame=handler, attempt=attempt))
    turn.later_advance(frame)
    return True


def _enter_ask(turn: Turn, node: Node) -> bool:
    if node.frame == "rollback":
        message = node.error.message if node.error is not None else "it was stopped"
        question = rollback.question(node.path.removesuffix("~rollback"), message, at=turn.at)
    elif node.frame:
        return False
    else:
        step = turn.planned(node).step
        if step is None or isinstance(step.on_failure, tuple) or step.on_failure == "stop":
            return False
        if step.on_failure == "continue":
            turn.emit(events.FailureSettled(at=turn.at, path=node.path, how="continued"))
            return False
        message = node.error.message if node.error is not None else ""
        text = f"{node.path} failed: {message}"
        question = Question(kind="failure", text=text, choices=FAILURE_CHOICES, asked_at=turn.at)
    turn.emit(events.PhaseStarted(at=turn.at, path=node.path, phase="ask"))
    turn.emit(events.PeopleAsked(at=turn.at, path=node.path, question=question))
    return True


def _finish(turn: Turn, path: Path, *, reason: str) -> None:
    """All phases are over: the node ends and its parent is told, or the run ends."""
    node = turn.node(path)
    if path == ROOT:
        _end_run(turn, node)
        return
    status = node.outcome or "succeeded"
    if status == "cancelled" and _ends_well(turn):
        reason = "ended"
    turn.emit(events.StepEnded(at=turn.at, path=path, status=status, reason=reason))
    turn.later_child_ended(_parent(path), path)


def _end_run(turn: Turn, root: Node) -> None:
    _close_gates(turn)
    run = turn.run
    status = end_status(run, root)
    outcome = run.ending[1] if run.ending else None
    message = run.ending[2] if run.ending else None
    error = root.error if root.outcome == "failed" and not root.settled else None
    outputs = root.outputs
    if root.settled and run.ending is None:
        went, outputs, problem = _with_outputs(turn)
        if went == "failed":
            status, error = "failed", problem
    if status not in ("succeeded", "partially_succeeded"):
        outputs = None
    turn.emit(
        events.RunEnded(
            at=turn.at,
            status=status,  # type: ignore[arg-type] # end_status gives end states
            outcome=outcome,
            message=message,
            outputs=outputs,
            error=error,
        )
    )


def _close_gates(turn: Turn) -> None:
    """Gates that are still open have nobody left to let in: what they had held was stopped."""
    for leaf in turn.run.open_leaves():
        if leaf.frame == "gate":
            reason = "nothing waits for it any more"
            turn.emit(events.StepEnded(at=turn.at, path=leaf.path, status="cancelled", reason=reason))


def child_ended(turn: Turn, path: Path, child_path: Path) -> None:
    """The node at *path* hears that one of its children ended."""
    node = turn.run.nodes[path]
    child = turn.node(child_path)
    if child.frame in HANDLERS:
        _handler_ended(turn, path, child)
    elif child.frame == "gate":
        turn.gates.gate_ended(turn, child)
    elif not node.is_open or node.phase != "body" or child.is_open:
        return
    elif node.frame or turn.planned(node).kind == "steps":
        _sequence_child_ended(turn, node, child)
    else:
        turn.blocks[turn.planned(node).kind].child_ended(turn, node, child)


def _sequence_child_ended(turn: Turn, node: Node, child: Node) -> None:
    if not child.went_well:
        pass_on(turn, node.path, child)
    elif turn.stop_reason(node.path) is not None:
        settle(turn, node.path, "cancelled")
    else:
        turn.later_advance(node.path)


def pass_on(turn: Turn, path: Path, child: Node) -> None:
    """The node at *path* ends as its child did."""
    if child.went_well:
        settle(turn, path, "succeeded")
    elif child.status == "failed":
        settle(turn, path, "failed", error=child.error)
    else:
        settle(turn, path, "cancelled")


def _handler_ended(turn: Turn, path: Path, frame: Node) -> None:
    match frame.frame:
        case "rollback":
            _rollback_ended(turn, path, "rolled_back" if frame.went_well else "given_up")
        case "catch":
            if frame.went_well or _ended_here(turn, frame):
                turn.emit(events.FailureSettled(at=turn.at, path=path, how="caught"))
            proceed(turn, path)
        case "on_failure":
            if _ended_here(turn, frame):
                turn.emit(events.FailureSettled(at=turn.at, path=path, how="caught"))
            proceed(turn, path)
        case "finally":
            _finally_ended(turn, path, frame)
        case other:
            raise AssertionError(f"no handler is called {other!r}")


def _ended_here(turn: Turn, frame: Node) -> bool:
    """Whether the handler was cut short because an `end` step in it says that the run succeeded."""
    return frame.status == "cancelled" and _ends_well(turn)


def _rollback_ended(turn: Turn, path: Path, how: str, by: str = "") -> None:
    scope = rollback.scope_of(turn.run, path)
    turn.emit(events.StepUndone(at=turn.at, path=path, scope=scope, how=how, by=by))  # type: ignore[arg-type] # one of three
    if not rollback.undo_next(turn, scope):
        proceed(turn, scope)


def _finally_ended(turn: Turn, path: Path, frame: Node) -> None:
    node = turn.node(path)
    went_well = (
        node.outcome == "succeeded" or node.settled or (node.outcome == "cancelled" and _ends_well(turn))
    )
    if frame.status == "failed" and went_well:
        turn.emit(events.BodyEnded(at=turn.at, path=path, outcome="failed", error=frame.error))
    proceed(turn, path)


def advance(turn: Turn, path: Path) -> None:
    """Starts the next step of the frame or group at *path*, or ends it."""
    node = turn.node(path)
    if not node.is_open or node.phase != "body":
        return
    if turn.stop_reason(path) is not None:
        settle(turn, path, "cancelled")
        return
    steps = steps_of(turn.run.plan, node)
    if node.cursor < len(steps):
        planned = steps[node.cursor]
        begin(turn, planned, child_path(path, planned.key))
    else:
        settle(turn, path, "succeeded")


def steps_of(plan: Plan, node: Node) -> tuple[PlanStep, ...]:
    """The steps that the frame or group *node* runs in order."""
    planned = plan[node.plan]
    match node.frame:
        case "run" | "" | "item":
            return planned.lists["steps"]
        case "round":
            return planned.lists["repeat"]
        case "branch":
            position = int(node.path[node.path.rindex("[") + 1 : -1]) - 1
            return planned.lists.get(planned.branches[position][1], ())
        case handler:
            return planned.lists[handler]


def child_path(frame: Path, key: str) -> Path:
    """The path of the step *key* in the frame or group at *frame*."""
    return f"{frame}/{key}" if frame else key


def drain(turn: Turn) -> None:
    """Works off what is to be followed up, until nothing is left."""
    agenda = turn.agenda
    while agenda:
        what, path, child = agenda.popleft()
        if what == "advance":
            advance(turn, path)
        else:
            child_ended(turn, path, child)


def _parent(path: Path) -> Path:
    parent = parent_path(path)
    return ROOT if parent is None else parent


def skip(turn: Turn, planned: PlanStep, path: Path, *, reason: str) -> None:
    """A step that is not to run ends as skipped."""
    _end_unstarted(turn, planned, path, status="skipped", reason=reason)


def carry(turn: Turn, planned: PlanStep, before: Node) -> None:
    """A frame whose result comes from the run that this one continues ends as it did there."""
    turn.emit(
        events.StepEnded(
            at=turn.at,
            path=before.path,
            plan=planned.number,
            frame=before.frame,
            status=before.status,
            reason="carried",
        )
    )
    turn.later_child_ended(_parent(before.path), before.path)


def _give_up_waiting(turn: Turn, node: Node) -> None:
    """A node that waits for time, people or a retry is stopped: it ends at once."""
    if node.phase == "ask":
        proceed(turn, node.path)
    else:
        settle(turn, node.path, "cancelled", error=node.error)


def settle_already_done(turn: Turn, node: Node) -> None:
    """The check says that the step is done: it ends as skipped."""
    turn.emit(events.StepEnded(at=turn.at, path=node.path, status="skipped", reason="already_done"))
    turn.later_child_ended(_parent(node.path), node.path)


def run_again(turn: Turn, node: Node, *, by: str, comment: str = "") -> None:
    """A person has a failed step run once more, from its beginning."""
    frame = turn.node(_parent(node.path))
    turn.emit(
        events.StepsReset(
            at=turn.at, paths=(node.path,), frame=frame.path, by=by, comment=comment, cursor=frame.cursor - 1
        )
    )
    _begin_if_wanted(turn, turn.planned(node), node.path)


def send_back(turn: Turn, node: Node, *, to: str, answer: Answer) -> None:
    """A person returns the work: the run goes on again from the step *to*, or from the block around it that this step can see."""
    target = turn.run.plan.by_id.get(to)
    while target is not None:
        frame = _frame_with(turn, node.path, target)
        if frame is not None:
            break
        target = target.parent
    else:
        raise Refused(f"{node.path} cannot be sent back to {to!r}: no such step comes before it")
    steps = steps_of(turn.run.plan, frame)
    cursor = steps.index(target)
    paths = tuple(child_path(frame.path, step.key) for step in steps[cursor : frame.cursor])
    busy = [leaf.path for path in paths for leaf in turn.run.open_leaves(path) if leaf.status == "performing"]
    if busy:
        raise Refused(
            f"{node.path} cannot be sent back while {', '.join(busy[:3])} still runs",
            help="wait until it has ended",
        )
    turn.emit(
        events.StepsReset(
            at=turn.at, paths=paths, frame=frame.path, by=answer.by, comment=answer.comment, cursor=cursor
        )
    )
    turn.later_advance(frame.path)


def _frame_with(turn: Turn, path: Path, target: PlanStep) -> Node | None:
    """The nearest frame around *path* that runs *target* in its list."""
    outer: Path | None = parent_path(path)
    while outer is not None:
        node = turn.node(outer)
        is_sequence = bool(node.frame) or turn.planned(node).kind == "steps"
        if is_sequence and target in steps_of(turn.run.plan, node):
            return node
        outer = parent_path(outer)
    return None


def stop_as_it_is(turn: Turn, node: Node, *, by: str) -> None:
    """A person who was asked about *node* ends the run as failed and leaves everything as it stands."""
    stop(turn, ROOT, reason="stopped", by=by, rollback=False, ending=("failed", None, f"stopped by {by}"))
    if turn.node(node.path).status == "asking":  # in an undoing or a last step, which a stop does not reach
        proceed(turn, node.path)


def roll_back_again(turn: Turn, frame: Node, *, by: str, comment: str = "") -> None:
    """A person has a failed rollback tried once more."""
    step = _parent(frame.path)
    turn.emit(events.StepsReset(at=turn.at, paths=(frame.path,), frame=step, by=by, comment=comment))
    rollback.start(turn, step)


def rollback_settled(turn: Turn, frame: Node, *, how: str, by: str) -> None:
    """A person says how a failed rollback came out."""
    status: NodeStatus = "succeeded" if how == "by_hand" else "failed"
    turn.emit(events.StepEnded(at=turn.at, path=frame.path, status=status, reason=how))
    _rollback_ended(turn, _parent(frame.path), how, by)


def stop(
    turn: Turn,
    scope: Path,
    *,
    reason: str,
    by: str = "",
    rollback: bool | None = None,
    ending: tuple[str, str | None, str | None] | None = None,
) -> None:
    """Stops everything open at and below *scope*: attempts are told, what only waits ends at once.

    Undoing and last steps go on to their end.
    """
    leaves = [leaf for leaf in turn.run.open_leaves(scope) if not is_protected(leaf.path, scope)]
    working = tuple(leaf.path for leaf in leaves if leaf.status == "performing")
    turn.emit(
        events.StopRequested(
            at=turn.at, path=scope, reason=reason, leaves=working, by=by, rollback=rollback, ending=ending
        )
    )
    for leaf in leaves:
        if leaf.status != "performing":
            _give_up_waiting(turn, leaf)


def digest_of(value: Json) -> str:
    """A digest that is the same for the same value."""
    return hashlib.sha256(json_text(value).encode()).hexdigest()


def json_text(value: Json) -> str:
    """Compact JSON with sorted keys: the same value always gives the same text."""
    return msgspec.json.encode(value, order="deterministic").decode()
