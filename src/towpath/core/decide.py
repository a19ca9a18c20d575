"""What becomes true of a run when something happens outside: the table of rules, one for each stimulus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from towpath.core import asking, events, flow, gates, invariants, stimuli
from towpath.core.blocks import BLOCKS, leaf, people, repeat, wait, workflow
from towpath.core.blocks.group import MICROS
from towpath.core.evolve import evolve
from towpath.core.plan import Plan
from towpath.core.run import ROOT, Node, Run
from towpath.core.turn import Turn
from towpath.errors import IllegalStimulus, Refused

__all__ = ["Decision", "advance", "decide", "evolve", "new_run"]

SIGNALS_KEPT_MAX = 1_000
"""Signals and events that a run keeps before anybody waits for them."""


class Decision(NamedTuple):
    """The facts that a stimulus made true, and the run after them."""

    facts: tuple[events.AnyEvent, ...]
    run: Run


def new_run(plan: Plan, run_id: str) -> Run:
    """A run of which nothing is true yet; `Start` is its first stimulus."""
    return Run(id=run_id, plan=plan)  # type: ignore[arg-type] # RunId is text


def decide(run: Run, stimulus: stimuli.AnyStimulus) -> tuple[events.AnyEvent, ...]:
    """What becomes true of *run* when *stimulus* arrives; raises IllegalStimulus, or Refused, and changes nothing."""
    return advance(run, stimulus).facts


def advance(run: Run, stimulus: stimuli.AnyStimulus) -> Decision:
    """What `decide` answers, together with the run that its facts lead to."""
    turn = Turn(run, at=stimulus.at, blocks=BLOCKS, gates=gates, seed=getattr(stimulus, "seed", 0))
    if run.state == "ended":
        raise IllegalStimulus(f"run {run.id} has ended: {run.status}")
    if (run.state == "new") != isinstance(stimulus, stimuli.Start):
        raise IllegalStimulus(f"run {run.id} is {run.state}: {type(stimulus).__name__} cannot be")
    _RULES[type(stimulus)](turn, stimulus)
    flow.drain(turn)
    facts = tuple(turn.facts)
    invariants.check(run, turn.run, facts)
    return Decision(facts, turn.run)


def _start(turn: Turn, s: stimuli.Start) -> None:
    plan: Plan = turn.run.plan
    texts = plan.root.texts
    turn.run = msgspec.structs.replace(
        turn.run, inputs=s.inputs, event=s.event, started_by=s.started_by, accepted_at=s.at
    )
    values = turn.plain(texts.get("vars"), ROOT) or {}
    turn.run = msgspec.structs.replace(turn.run, vars=values)
    environment = turn.plain(texts.get("environment"), ROOT) or ""
    group = turn.plain(texts.get("group"), ROOT)
    turn.emit(
        events.RunAccepted(
            at=s.at,
            run=s.run,
            workflow=plan.workflow.name,
            digest=s.digest,
            inputs=s.inputs,
            vars=values,
            environment=str(environment),
            started_by=s.started_by,
            edited_by=s.edited_by,
            protections=s.protections,
            break_glass=s.break_glass,
            commit=s.commit,
            url=s.url,
            trigger=s.event,
            queued=s.queue,
            group=None if group is None else str(group),
            mode=s.mode,
            continues=s.continues,
            carried=s.carried,
            parent=s.parent,
            timeout_at=None if s.queue else _run_timeout(plan, s.at),
        )
    )
    if s.skip:
        turn.emit(events.RunEnded(at=s.at, status="skipped", message="its concurrency group is full"))
    elif not s.queue:
        _begin(turn)


def _run_timeout(plan: Plan, at: int) -> int | None:
    timeout = plan.workflow.timeout
    return None if timeout is None else at + round(timeout * MICROS)


def _begin(turn: Turn) -> None:
    if turn.run.mode == "rollback":
        flow.settle(turn, ROOT, "succeeded")
    else:
        turn.later_advance(ROOT)


def _admit(turn: Turn, s: stimuli.Admit) -> None:
    if turn.run.state != "queued":
        raise IllegalStimulus(f"run {turn.run.id} is not queued")
    turn.emit(events.RunAdmitted(at=s.at, timeout_at=_run_timeout(turn.run.plan, s.at)))
    _begin(turn)


def _step_ended(turn: Turn, s: stimuli.StepEnded) -> None:
    leaf.ended(turn, _attempt(turn, s), s)


def _interrupted(turn: Turn, s: stimuli.Interrupted) -> None:
    leaf.interrupted(turn, _attempt(turn, s), s)


def _attempt(turn: Turn, s: stimuli.StepEnded | stimuli.Interrupted) -> Node:
    """The node whose attempt is meant; an attempt that is not the awaited one is illegal: results are recorded once."""
    node = turn.run.nodes.get(s.path)
    awaited = node is not None and node.status == "performing" and node.child is None
    if node is None or not awaited or (node.attempt, node.stage) != (s.attempt, s.stage):
        raise IllegalStimulus(f"attempt {s.attempt} of {s.path} in run {turn.run.id} is not awaited")
    return node


def _child_ended(turn: Turn, s: stimuli.ChildEnded) -> None:
    node = turn.run.nodes.get(s.path)
    if node is None or node.child != s.child or node.status != "performing":
        raise IllegalStimulus(f"{s.path} in run {turn.run.id} does not wait for run {s.child}")
    workflow.ended(turn, node, s)


def _timer_fired(turn: Turn, s: stimuli.TimerFired) -> None:
    node = turn.run.nodes.get(s.path)
    set_to = None if node is None else (node.due if s.purpose == "due" else node.timeout_at)
    if node is None or not node.is_open or set_to != s.due:
        raise IllegalStimulus(f"no timer of {s.path} in run {turn.run.id} is due at {s.due}")
    if s.purpose == "timeout":
        _time_is_up(turn, node)
    elif node.status == "retrying":
        leaf.try_attempt(turn, node)
    elif node.status == "asking":
        people.unanswered(turn, node)
    elif turn.planned(node).kind == "repeat":
        repeat.start_round(turn, node.path)
    else:
        flow.settle(turn, node.path, "succeeded")


def _time_is_up(turn: Turn, node: Node) -> None:
    if node.phase != "body" or turn.stop_reason(node.path) is not None:
        raise IllegalStimulus(f"the body of {node.path} in run {turn.run.id} is over, or is being stopped")
    flow.stop(turn, node.path, reason="timeout")


def _answered(turn: Turn, s: stimuli.Answered) -> None:
    people.answered(turn, _asking(turn, s.path), s)


def _about_question(turn: Turn, s: Any) -> None:  # noqa: ANN401 - the stimuli of `asking`
    asking.RULES[type(s)](turn, _asking(turn, s.path), s)


def _asking(turn: Turn, path: str) -> Node:
    node = turn.run.nodes.get(path)
    if node is None or node.status != "asking":
        raise Refused(
            f"nothing is asked at {path!r} in run {turn.run.id}",
            help="`tow show RUN` lists what it waits for",
        )
    return node


def _signalled(turn: Turn, s: stimuli.Signalled) -> None:
    waiting = [
        node
        for node in turn.run.open_leaves()
        if node.status == "waiting" and wait.matches(turn, node, s.kind, s.name, s.payload)
    ]
    if s.kind == "window":
        _window_opened(turn, s, waiting)
        return
    if s.kind == "place":
        _place_found(turn, s, waiting)
        return
    turn.emit(events.SignalReceived(at=s.at, kind=s.kind, name=s.name, payload=s.payload, by=s.by))
    if waiting:
        turn.emit(events.SignalTaken(at=s.at, position=len(turn.run.signals) - 1))
        flow.settle(turn, waiting[0].path, "succeeded", outputs=wait.outputs_of(s.payload))
    elif len(turn.run.signals) > SIGNALS_KEPT_MAX:
        raise Refused(f"run {turn.run.id} keeps {SIGNALS_KEPT_MAX} signals already (SIGNALS_KEPT_MAX)")


def _window_opened(turn: Turn, s: stimuli.Signalled, waiting: list[Node]) -> None:
    """A window is open for all who wait for it, and is not kept: for those who come later it may be closed again."""
    if not waiting:
        raise IllegalStimulus(f"nothing in run {turn.run.id} waits for the window {s.name!r}")
    for node in waiting:
        if node.frame == "gate":
            gates.window_opened(turn, node)
            continue
        flow.settle(turn, node.path, "succeeded", outputs=wait.outputs_of(s.payload))


def _place_found(turn: Turn, s: stimuli.Signalled, waiting: list[Node]) -> None:
    """There is a place in an environment for the run, or its payload says that it is `full`."""
    if not waiting:
        raise IllegalStimulus(f"run {turn.run.id} waits for no place in {s.name!r}")
    gates.place_found(turn, waiting[0], is_full=s.payload == "full")


def _cancel(turn: Turn, s: stimuli.Cancel) -> None:
    if turn.run.state == "queued":
        turn.emit(events.RunEnded(at=s.at, status="cancelled", message=s.reason or None))
        return
    _check_stoppable(turn)
    ending = ("cancelled", None, s.reason or f"cancelled by {s.by}")
    rolls_back = s.rollback and turn.run.rolls_back
    flow.stop(turn, ROOT, reason="cancelled", by=s.by, rollback=rolls_back, ending=ending)


def _check_stoppable(turn: Turn) -> None:
    if ROOT in turn.run.stops:
        raise Refused(f"run {turn.run.id} is being stopped already: {turn.run.stops[ROOT]}")
    phase = turn.node(ROOT).phase
    if phase in ("rollback", "finally"):
        raise Refused(f"run {turn.run.id} is ending already: its {phase} goes on to the end")


def _stop_step(turn: Turn, s: stimuli.StopStep) -> None:
    node = turn.run.nodes.get(s.path)
    if node is None or node.status != "performing":
        raise Refused(
            f"nothing is being done at {s.path!r} in run {turn.run.id}",
            help="`tow show RUN` lists the steps that are performed now",
        )
    if node.stopping or turn.stop_reason(s.path) is not None:
        raise Refused(f"{s.path} is being stopped already")
    turn.emit(events.StepStopRequested(at=s.at, path=s.path, by=s.by, reason=s.reason))


def _rollback(turn: Turn, s: stimuli.Rollback) -> None:
    if turn.run.state == "queued":
        turn.emit(events.RunEnded(at=s.at, status="cancelled", message=s.reason or None))
        return
    _check_stoppable(turn)
    if turn.node(ROOT).phase != "body":
        raise Refused(
            f"run {turn.run.id} has failed already and is in its {turn.node(ROOT).phase} steps",
            help="when it has ended, `tow rollback` undoes what still stands",
        )
    ending = ("rolled_back", None, s.reason or f"rolled back by {s.by}")
    flow.stop(turn, ROOT, reason="rollback", by=s.by, rollback=True, ending=ending)


def _retry(turn: Turn, s: stimuli.Retry) -> None:
    node = turn.run.nodes.get(s.path)
    if node is not None and node.status == "retrying":
        leaf.try_attempt(turn, node)
        return
    node = _asking(turn, s.path)
    people.answered(turn, node, stimuli.Answered(at=s.at, path=s.path, by=s.by, decision="retry"))


def _skip(turn: Turn, s: stimuli.Skip) -> None:
    node = turn.run.nodes.get(s.path)
    if node is not None and node.status == "retrying":
        turn.emit(events.BodyEnded(at=s.at, path=s.path, outcome="failed", error=node.error))
        turn.emit(events.FailureSettled(at=s.at, path=s.path, how="skipped", by=s.by))
        flow.proceed(turn, s.path)
        return
    node = _asking(turn, s.path)
    people.answered(
        turn, node, stimuli.Answered(at=s.at, path=s.path, by=s.by, decision="skip", comment=s.reason)
    )


_RULES: dict[type, Callable[[Turn, Any], None]] = {
    stimuli.Start: _start,
    stimuli.Admit: _admit,
    stimuli.StepEnded: _step_ended,
    stimuli.Interrupted: _interrupted,
    stimuli.TimerFired: _timer_fired,
    stimuli.Answered: _answered,
    **dict.fromkeys(asking.RULES, _about_question),
    stimuli.Signalled: _signalled,
    stimuli.ChildEnded: _child_ended,
    stimuli.Cancel: _cancel,
    stimuli.StopStep: _stop_step,
    stimuli.Retry: _retry,
    stimuli.Skip: _skip,
    stimuli.Rollback: _rollback,
}
