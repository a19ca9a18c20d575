"""The state after an event: total, mechanical, never deciding anything.

One rule for each kind of event. A rule touches the node that the event names and its parent, so an event costs the same
in a run of ten steps and in one of ten thousand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import immutables
import msgspec

from towpath.core import events
from towpath.core.run import (
    OPEN_STATUSES,
    ROOT,
    Awaited,
    Carried,
    Micros,
    Node,
    Path,
    Run,
    Undo,
    is_within,
)

_replace = msgspec.structs.replace
_LOOP_FRAMES = frozenset({"item", "round"})
_HANDLER_FRAMES = frozenset({"rollback", "catch", "on_failure", "finally", "gate"})
"""Frames that stand beside the body: they are not counted among the children."""


def evolve(run: Run, event: events.AnyEvent) -> Run:
    """*run* after *event*."""
    return _RULES[type(event)](run, event)


def parent_path(path: Path) -> Path | None:
    """The path of the node that *path* reports its end to; None for the root."""
    if not path:
        return None
    if path.endswith("]"):
        return path[: path.rindex("[")]
    cut = max(path.rfind("/"), path.rfind("~"))
    return path[:cut] if cut >= 0 else ROOT


def _accepted(run: Run, event: events.RunAccepted) -> Run:
    nodes = run.nodes.mutate()
    undo: Undo | None = None
    for position, carried in enumerate(event.carried, start=-len(event.carried)):
        nodes[carried.path] = _carried_node(carried, position)
        if carried.started and run.plan[carried.plan].has_rollback and not carried.frame:
            undo = Undo(carried.path, position, undo)
    nodes[ROOT] = _root(run, event.at, event.timeout_at)
    return _replace(
        run,
        sequence=run.sequence + 1,
        state="queued" if event.queued else "open",
        mode=event.mode,
        inputs=event.inputs,
        vars=event.vars,
        environment=event.environment,
        started_by=event.started_by,
        edited_by=event.edited_by,
        protections=event.protections,
        break_glass=event.break_glass,
        commit=event.commit,
        url=event.url,
        event=event.trigger,
        accepted_at=event.at,
        continues=event.continues,
        parent=event.parent,
        group=event.group,
        nodes=nodes.finish(),
        undo=undo,
    )


def _root(run: Run, at: Micros, timeout_at: Micros | None) -> Node:
    return Node(
        path=ROOT,
        plan=-1,
        frame="run",
        started_at=at,
        started_sequence=run.sequence + 1,
        timeout_at=timeout_at,
    )


def _carried_node(carried: Carried, order: int) -> Node:
    return Node(
        path=carried.path,
        plan=carried.plan,
        frame=carried.frame,
        status=carried.status,
        outputs=carried.outputs,
        attempt=carried.attempt,
        started_at=carried.started_at,
        ended_at=carried.ended_at,
        items=carried.items,
        cursor=carried.cursor,
        reason=carried.reason,
        started=carried.started,
        started_sequence=order,
        position=carried.position,
        value=carried.value,
        carried=True,
    )


def _admitted(run: Run, event: events.RunAdmitted) -> Run:
    root = _root(run, event.at, event.timeout_at)
    return _replace(run, sequence=run.sequence + 1, state="open", nodes=run.nodes.set(ROOT, root))


def _started(run: Run, event: events.StepStarted) -> Run:
    path = event.path
    before = run.nodes.get(path)
    is_again = before is not None and before.status in OPEN_STATUSES
    node = _started_node(run, event, before)
    nodes = run.nodes
    leaves = run.leaves
    parent = parent_path(path)
    is_handler = event.frame in _HANDLER_FRAMES
    holder = nodes.get(parent) if parent is not None and not is_again and not is_handler else None
    if holder is not None:
        if event.frame in _LOOP_FRAMES:
            node = _placed(node, holder)
        nodes = nodes.set(holder.path, _entered(holder, event))
        if holder.status == "waiting":
            leaves = leaves.delete(holder.path)
    performing = event.work is not None
    if performing:
        leaves = leaves.set(path, None)
    elif path in leaves:
        leaves = leaves.delete(path)
    undo = run.undo
    if event.undoable and node.started and not _is_in_undo_list(before):
        undo = Undo(path, node.started_sequence, undo)
    return _replace(
        run,
        sequence=run.sequence + 1,
        nodes=nodes.set(path, node),
        leaves=leaves,
        performing=run.performing + performing - (before is not None and before.status == "performing"),
        undo=undo,
    )


def _is_in_undo_list(before: Node | None) -> bool:
    """Whether this life of a step has its place already; one that was reset, and held after that, gets a new one."""
    if before is None or not before.started or before.status == "reset":
        return False
    return before.awaited is None or before.awaited.kind != "environment"


def _started_node(run: Run, event: events.StepStarted, before: Node | None) -> Node:
    is_again = before is not None and before.status in OPEN_STATUSES
    is_main = event.stage == "main" and not event.frame
    if before is None:
        tries, started = 1, is_main
    else:
        tries = 1 if event.fresh else before.tries + (event.attempt != before.attempt)
        had_effect = before.started and not before.undone and (is_again or before.status == "reset")
        started = is_main or had_effect
    return Node(
        path=event.path,
        plan=event.plan,
        frame=event.frame,
        status="open" if event.work is None else "performing",
        attempt=event.attempt,
        tries=tries,
        stage=event.stage,
        started_at=before.started_at if before is not None and is_again else event.at,
        started_sequence=run.sequence + 1,
        started=started,
        work=event.work,
        items=event.items,
        timeout_at=event.timeout_at,
        child=event.child,
    )


def _placed(node: Node, loop: Node) -> Node:
    if loop.items is None:
        return _replace(node, position=loop.cursor)
    return _replace(node, position=loop.cursor, value=loop.items[loop.cursor][1])


def _entered(holder: Node, event: events.StepStarted) -> Node:
    steps_on = not event.frame or event.frame in _LOOP_FRAMES
    entered = _replace(holder, active=holder.active + 1, cursor=holder.cursor + steps_on)
    if holder.status != "waiting":
        return entered
    return _replace(entered, status="open", awaited=None, due=None)


def _held(run: Run, event: events.StepHeld) -> Run:
    """A held step counts among its parent's children from now on, as one that has begun."""
    before = run.nodes.get(event.path)
    attempt = 0 if before is None else before.attempt
    begun = events.StepStarted(at=event.at, path=event.path, plan=event.plan, attempt=attempt, stage="check")
    run = _started(run, begun)
    awaited = Awaited(kind="environment", name=event.environment)
    node = _replace(run.nodes[event.path], status="waiting", awaited=awaited, tries=0)
    return _replace(run, nodes=run.nodes.set(event.path, node), leaves=run.leaves.set(event.path, None))


def _entered_environment(run: Run, event: events.EnvironmentEntered) -> Run:
    return _replace(run, sequence=run.sequence + 1, entered=run.entered | {event.environment})


def _retrying(run: Run, event: events.StepRetrying) -> Run:
    node = run.nodes[event.path]
    return _wait_leaf(run, _replace(node, status="retrying", error=event.error, due=event.due, work=None))


def _wait_started(run: Run, event: events.WaitStarted) -> Run:
    node = run.nodes[event.path]
    return _wait_leaf(
        run, _replace(node, status="waiting", awaited=event.awaited, due=event.awaited.due, work=None)
    )


def _asked(run: Run, event: events.PeopleAsked) -> Run:
    node = run.nodes[event.path]
    question = event.question
    if not question.asked_at:  # older journals gave no moment to what a failure asks
        question = _replace(question, asked_at=event.at)
    asking = _replace(
        node,
        status="asking",
        question=question,
        answers=(),
        told_reminders=0,
        told_rungs=0,
        claimed_by="",
        handed_to=(),
        comments=(),
        due=event.question.due,
        error=event.error if event.error is not None else node.error,
        work=None,
    )
    return _wait_leaf(run, asking)


def _wait_leaf(run: Run, node: Node) -> Run:
    was_performing = run.nodes[node.path].status == "performing"
    return _replace(
        run,
        sequence=run.sequence + 1,
        nodes=run.nodes.set(node.path, node),
        leaves=run.leaves.set(node.path, None),
        performing=run.performing - was_performing,
    )


def _answered(run: Run, event: events.AnswerGiven) -> Run:
    node = run.nodes[event.path]
    return _touch(run, _replace(node, answers=(*node.answers, event.answer)))


def _withdrawn(run: Run, event: events.AnswerWithdrawn) -> Run:
    node = run.nodes[event.path]
    return _touch(run, _replace(node, answers=tuple(a for a in node.answers if a.by != event.by)))


def _voided(run: Run, event: events.AnswersVoided) -> Run:
    node = run.nodes[event.path]
    question = event.question
    return _touch(
        run,
        _replace(node, question=question, answers=(), due=question.due, told_reminders=0, told_rungs=0),
    )


def _shown(run: Run, event: events.EvidenceShown) -> Run:
    return _touch(run, _replace(run.nodes[event.path], question=event.question))


def _claimed(run: Run, event: events.QuestionClaimed) -> Run:
    return _touch(run, _replace(run.nodes[event.path], claimed_by=event.by))


def _released(run: Run, event: events.ClaimReleased) -> Run:
    return _touch(run, _replace(run.nodes[event.path], claimed_by=""))


def _handed_over(run: Run, event: events.QuestionHandedOver) -> Run:
    node = run.nodes[event.path]
    claimed_by = "" if node.claimed_by == event.by else node.claimed_by
    return _touch(run, _replace(node, handed_to=(*node.handed_to, event.to), claimed_by=claimed_by))


def _commented(run: Run, event: events.CommentAdded) -> Run:
    node = run.nodes[event.path]
    return _touch(run, _replace(node, comments=(*node.comments, (event.by, event.at, event.text))))


def _told(run: Run, event: events.PeopleTold) -> Run:
    node = run.nodes[event.path]
    if event.kind == "rung":
        return _touch(run, _replace(node, told_rungs=event.number))
    return _touch(run, _replace(node, told_reminders=event.number))


def _touch(run: Run, node: Node) -> Run:
    return _replace(run, sequence=run.sequence + 1, nodes=run.nodes.set(node.path, node))


def _body_ended(run: Run, event: events.BodyEnded) -> Run:
    node = run.nodes[event.path]
    ended = _replace(
        node,
        status="open",
        outcome=event.outcome,
        settled=False,
        outputs=event.outputs if event.outputs is not None else node.outputs,
        error=event.error,
        work=None,
        question=None,
        awaited=None,
        due=None,
        stopping=False,
    )
    return _leave_world(_touch(run, ended), node)


def _leave_world(run: Run, before: Node) -> Run:
    """Takes a node out of the open leaves, and its subtree out of those being stopped."""
    if before.path not in run.leaves and before.path not in run.stops:
        return run
    return _replace(
        run,
        leaves=run.leaves.delete(before.path) if before.path in run.leaves else run.leaves,
        stops=run.stops.delete(before.path) if before.path in run.stops else run.stops,
        performing=run.performing - (before.status == "performing"),
    )


def _phase_started(run: Run, event: events.PhaseStarted) -> Run:
    node = run.nodes[event.path]
    cursor = 0 if event.phase == "rollback" else node.cursor
    entered = _replace(
        node, phase=event.phase, undo=event.undo, cursor=cursor, status="open", question=None, due=None
    )
    return _leave_world(_touch(run, entered), node)


def _settled(run: Run, event: events.FailureSettled) -> Run:
    node = run.nodes[event.path]
    partial = run.partial or event.how != "caught"
    return _replace(_touch(run, _replace(node, settled=True, reason=event.how)), partial=partial)


def _undone(run: Run, event: events.StepUndone) -> Run:
    scope = run.nodes[event.scope]
    given_up = event.how == "given_up"
    scope = _replace(scope, cursor=scope.cursor + 1, undid=scope.undid or not given_up)
    run = _replace(run, nodes=run.nodes.set(scope.path, scope))
    run = _touch(run, _replace(run.nodes[event.path], undone=True))
    return _replace(run, rollback_failed=run.rollback_failed or given_up)


def _step_ended(run: Run, event: events.StepEnded) -> Run:
    path = event.path
    before = run.nodes.get(path)
    was_open = before is not None and before.status in OPEN_STATUSES
    if before is None:
        base = Node(path=path, plan=event.plan, frame=event.frame, started_sequence=run.sequence + 1)
    elif was_open:
        base = before
    else:
        base = _replace(before if before.carried else _reset_node(before), started_sequence=run.sequence + 1)
    node = _replace(
        base,
        status=event.status,
        ended_at=event.at,
        outputs=event.outputs if event.outputs is not None else base.outputs,
        error=event.error if event.error is not None else base.error,
        reason=event.reason or base.reason,
        work=None,
        question=None,
        awaited=None,
        due=None,
        stopping=False,
    )
    nodes = run.nodes
    parent = parent_path(path)
    holder = nodes.get(parent) if parent is not None and node.frame not in _HANDLER_FRAMES else None
    if holder is not None:
        nodes = nodes.set(holder.path, _left(holder, event, node, was_open=was_open))
    run = _replace(run, sequence=run.sequence + 1, nodes=nodes.set(path, node))
    return _leave_world(run, before) if before is not None else run


def _left(holder: Node, event: events.StepEnded, node: Node, *, was_open: bool) -> Node:
    failed = event.status == "failed" and not node.settled
    if was_open:
        undid = holder.undid or (node.undid and not node.went_well)
        return _replace(holder, active=holder.active - 1, failed=holder.failed + failed, undid=undid)
    steps_on = not event.frame or event.frame in _LOOP_FRAMES
    return _replace(holder, cursor=holder.cursor + steps_on, failed=holder.failed + failed)


def _reset(run: Run, event: events.StepsReset) -> Run:
    nodes = run.nodes.mutate()
    for path, node in run.nodes.items():
        if _is_in(path, event.paths):
            nodes[path] = _reset_node(node)
    frame = run.nodes[event.frame]
    again = [run.nodes[path] for path in event.paths if path in run.nodes]
    reopened = sum(node.is_open and node.frame not in _HANDLER_FRAMES for node in again)
    cursor = frame.cursor if event.cursor is None else event.cursor
    nodes[event.frame] = _replace(frame, cursor=cursor, active=frame.active - reopened)
    return _replace(
        run,
        sequence=run.sequence + 1,
        nodes=nodes.finish(),
        leaves=immutables.Map({path: None for path in run.leaves if not _is_in(path, event.paths)}),
        stops=immutables.Map({path: why for path, why in run.stops.items() if not _is_in(path, event.paths)}),
        undo=_without_undone(run),
    )


def _is_in(path: Path, scopes: tuple[Path, ...]) -> bool:
    return any(is_within(path, scope) for scope in scopes)


def _reset_node(node: Node) -> Node:
    """What stays of a node that will run again: its count of attempts, and that there may be something to undo."""
    return Node(
        path=node.path,
        plan=node.plan,
        frame=node.frame,
        status="reset",
        attempt=node.attempt,
        started=node.started and not node.undone,
        started_sequence=node.started_sequence,
        position=node.position,
        value=node.value,
    )


def _without_undone(run: Run) -> Undo | None:
    """What was rolled back before a reset must not be rolled back again."""
    kept: list[Undo] = []
    undo = run.undo
    while undo is not None:
        if not run.nodes[undo.path].undone:
            kept.append(undo)
        undo = undo.older
    result: Undo | None = None
    for entry in reversed(kept):
        result = Undo(entry.path, entry.sequence, result)
    return result


def _step_stop_requested(run: Run, event: events.StepStopRequested) -> Run:
    return _replace(run, sequence=run.sequence + 1)


def _stop_requested(run: Run, event: events.StopRequested) -> Run:
    nodes = run.nodes
    for path in event.leaves:
        nodes = nodes.set(path, _replace(nodes[path], stopping=True))
    return _replace(
        run,
        sequence=run.sequence + 1,
        nodes=nodes,
        stops=run.stops.set(event.path, event.reason),
        rolls_back=run.rolls_back if event.rollback is None else event.rollback,
        ending=event.ending if event.ending is not None else run.ending,
    )


def _signal_received(run: Run, event: events.SignalReceived) -> Run:
    kept = (*run.signals, (event.kind, event.name, event.payload))
    return _replace(run, sequence=run.sequence + 1, signals=kept)


def _signal_taken(run: Run, event: events.SignalTaken) -> Run:
    kept = run.signals[: event.position] + run.signals[event.position + 1 :]
    return _replace(run, sequence=run.sequence + 1, signals=kept)


def _run_ended(run: Run, event: events.RunEnded) -> Run:
    return _replace(
        run,
        sequence=run.sequence + 1,
        state="ended",
        end_state=event.status,
        ended_at=event.at,
        outcome=event.outcome,
        message=event.message,
        outputs=event.outputs,
        error=event.error,
    )


_RULES: dict[type, Callable[[Run, Any], Run]] = {
    events.RunAccepted: _accepted,
    events.RunAdmitted: _admitted,
    events.StepStarted: _started,
    events.StepHeld: _held,
    events.EnvironmentEntered: _entered_environment,
    events.StepRetrying: _retrying,
    events.WaitStarted: _wait_started,
    events.PeopleAsked: _asked,
    events.AnswerGiven: _answered,
    events.AnswerWithdrawn: _withdrawn,
    events.AnswersVoided: _voided,
    events.EvidenceShown: _shown,
    events.QuestionClaimed: _claimed,
    events.ClaimReleased: _released,
    events.QuestionHandedOver: _handed_over,
    events.CommentAdded: _commented,
    events.PeopleTold: _told,
    events.BodyEnded: _body_ended,
    events.PhaseStarted: _phase_started,
    events.FailureSettled: _settled,
    events.StepUndone: _undone,
    events.StepEnded: _step_ended,
    events.StepsReset: _reset,
    events.StopRequested: _stop_requested,
    events.StepStopRequested: _step_stop_requested,
    events.SignalReceived: _signal_received,
    events.SignalTaken: _signal_taken,
    events.RunEnded: _run_ended,
}
