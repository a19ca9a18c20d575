"""`approve` and `task`: questions to people, and what their answers, or their silence, mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from towpath.core import events, flow
from towpath.core.blocks import leaf
from towpath.core.blocks.group import MICROS, start_block
from towpath.core.plan import PlanStep
from towpath.core.run import Answer, Error, Json, Node, Path, Question
from towpath.core.stimuli import Answered
from towpath.core.turn import Turn
from towpath.definition import model
from towpath.errors import Refused


def enter(turn: Turn, planned: PlanStep, path: Path) -> None:
    """Asks."""
    question = make_question(turn, planned, path)
    start_block(turn, planned, path)
    turn.emit(events.PeopleAsked(at=turn.at, path=path, question=question))


def child_ended(turn: Turn, node: Node, child: Node) -> None:
    """A question has no children."""
    raise AssertionError(f"{node.path} has no child {child.path}")


def make_question(turn: Turn, planned: PlanStep, path: Path) -> Question:
    """The question that the step asks, with its evidence and the digest that binds an approval to it."""
    step = planned.step
    assert isinstance(step, model.Question)
    within = None if step.answer_within is None else round(step.answer_within * MICROS)
    due = None if within is None or step.hours is not None else turn.at + within
    form = {name: field.model_dump(mode="json", exclude_unset=True) for name, field in step.form.items()}
    shown = turn.plain(planned.texts.get("show"), path) or {}
    files = {name: str(value["file"]) for name, value in shown.items() if _is_file(value)}
    evidence = {name: value for name, value in shown.items() if name not in files}
    ladder: dict[str, Any] = {
        "asked_at": turn.at,
        "answer_within": within,
        "remind": None if step.remind is None else round(step.remind * MICROS),
        "escalate": tuple((round(rung.after * MICROS), rung.to) for rung in step.escalate),
        "hours": step.hours,
    }
    if isinstance(step, model.ApproveStep):
        text = str(turn.plain(planned.texts["approve"], path))
        choices = ("approve", "reject") if step.send_back_to is None else ("approve", "reject", "send_back")
        return Question(
            kind="approval",
            text=text,
            choices=choices,
            who=step.who,
            quorum=step.quorum,
            four_eyes=step.four_eyes,
            evidence=evidence,
            form=form,
            digest=_digest(turn, text, evidence, form),
            due=due,
            if_unanswered=step.if_unanswered,
            send_back_to=step.send_back_to,
            files=files,
            **ladder,
        )
    assert isinstance(step, model.TaskStep)
    text = str(turn.plain(planned.texts["task"], path))
    instructions = turn.plain(planned.texts.get("instructions"), path)
    return Question(
        kind="task",
        text=text,
        choices=("done", "failed"),
        who=step.assign,
        instructions=None if instructions is None else str(instructions),
        form=form,
        digest=_digest(turn, text, evidence, form),
        due=due,
        if_unanswered=step.if_unanswered,
        **ladder,
    )


def _is_file(value: Json) -> bool:
    """Whether evidence stands in a file of the workspace: `{file: plan.txt}`."""
    return isinstance(value, Mapping) and list(value) == ["file"]


def _digest(turn: Turn, text: str, evidence: Json, form: Json) -> str:
    bound = [turn.run.plan.digest, turn.run.inputs, text, evidence, form]
    return flow.digest_of(bound)


def answered(turn: Turn, node: Node, stimulus: Answered) -> None:
    """A person answered the question of *node*; raises Refused where they may not, or cannot, say this."""
    question = node.question
    assert question is not None
    _check(turn, node, question, stimulus)
    answer = Answer(
        by=stimulus.by,
        decision=stimulus.decision,
        at=turn.at,
        comment=stimulus.comment,
        form=stimulus.form,
        via=stimulus.via,
    )
    turn.emit(events.AnswerGiven(at=turn.at, path=node.path, answer=answer))
    _RULES[question.kind](turn, turn.node(node.path), question, answer)


def _check(turn: Turn, node: Node, question: Question, stimulus: Answered) -> None:
    if stimulus.decision not in question.choices:
        raise Refused(
            f"{node.path} cannot be answered with {stimulus.decision!r}",
            help=f"answer with one of: {', '.join(question.choices)}",
        )
    missing = [name for name in question.files if name not in question.evidence]
    if missing:
        raise Refused(
            f"the evidence of {node.path} is not read yet: {', '.join(missing)}", help="try again in a moment"
        )
    if stimulus.digest is not None and stimulus.digest != question.digest:
        raise Refused(f"{node.path} was asked again since: what you saw is not what is asked now")
    if question.kind == "approval" and any(a.by == stimulus.by for a in node.answers):
        raise Refused(f"{stimulus.by} has answered {node.path} already")
    if question.four_eyes and stimulus.decision == "approve":
        if stimulus.by == turn.run.started_by:
            raise Refused(f"{stimulus.by} started the run and may not approve it (four_eyes)")
        if stimulus.by in (turn.run.edited_by, stimulus.editor):
            raise Refused(f"{stimulus.by} last edited the workflow and may not approve it (four_eyes)")


def _approval(turn: Turn, node: Node, question: Question, answer: Answer) -> None:
    match answer.decision:
        case "reject":
            message = f"{answer.by} rejected it" + (f": {answer.comment}" if answer.comment else "")
            outputs = _outputs(node, "rejected")
            error = Error(kind="rejected", message=message, step=node.path)
            flow.settle(turn, node.path, "failed", outputs=outputs, error=error)
        case "send_back":
            flow.send_back(turn, node, to=question.send_back_to or "", answer=answer)
        case _ if sum(a.decision == "approve" for a in node.answers) >= question.quorum:
            _let_on(turn, node, "approved")


def _let_on(turn: Turn, node: Node, decision: str, reason: str = "") -> None:
    """The decision lets the run go on: behind the question, or further through the gate of an environment."""
    if node.frame == "gate":
        turn.gates.approved(turn, node)
    else:
        flow.settle(turn, node.path, "succeeded", outputs=_outputs(node, decision), reason=reason)


def _outputs(node: Node, decision: str) -> dict[str, Json]:
    form: dict[str, Json] = {}
    for answer in node.answers:
        form.update(answer.form)
    return {
        "decision": decision,
        "by": [answer.by for answer in node.answers],
        "comment": "\n".join(a.comment for a in node.answers if a.comment),
        "form": form,
    }


def _task(turn: Turn, node: Node, question: Question, answer: Answer) -> None:
    if answer.decision == "done":
        flow.settle(turn, node.path, "succeeded", outputs=answer.form)
        return
    message = f"{answer.by} could not do it" + (f": {answer.comment}" if answer.comment else "")
    flow.settle(turn, node.path, "failed", error=Error(kind="exit", message=message, step=node.path))


def _failure(turn: Turn, node: Node, question: Question, answer: Answer) -> None:
    match answer.decision:
        case "retry":
            flow.run_again(turn, node, by=answer.by, comment=answer.comment)
        case "skip":
            turn.emit(events.FailureSettled(at=turn.at, path=node.path, how="skipped", by=answer.by))
            flow.proceed(turn, node.path)
        case "stop":
            flow.stop_as_it_is(turn, node, by=answer.by)
        case _:
            flow.proceed(turn, node.path)


def _unknown(turn: Turn, node: Node, question: Question, answer: Answer) -> None:
    match answer.decision:
        case "done":
            flow.settle(turn, node.path, "succeeded", outputs=answer.form, reason=f"done, says {answer.by}")
        case "retry":
            leaf.try_attempt(turn, node, fresh=True)
        case "skip":
            turn.emit(events.BodyEnded(at=turn.at, path=node.path, outcome="failed", error=node.error))
            turn.emit(events.FailureSettled(at=turn.at, path=node.path, how="skipped", by=answer.by))
            flow.proceed(turn, node.path)
        case _:
            flow.settle(turn, node.path, "failed", error=node.error)


def _rollback(turn: Turn, node: Node, question: Question, answer: Answer) -> None:
    match answer.decision:
        case "retry":
            flow.roll_back_again(turn, node, by=answer.by, comment=answer.comment)
        case "done":
            flow.rollback_settled(turn, node, how="by_hand", by=answer.by)
        case _:
            flow.rollback_settled(turn, node, how="given_up", by=answer.by)


def unanswered(turn: Turn, node: Node) -> None:
    """Nobody answered in time: what the file says silence means, happens."""
    question = node.question
    assert question is not None
    match question.if_unanswered:
        case "approve":
            _let_on(turn, node, "approved", "unanswered")
        case "continue":
            _let_on(turn, node, "none", "unanswered")
        case "reject":
            error = Error(kind="rejected", message="nobody answered in time", step=node.path)
            flow.settle(turn, node.path, "failed", outputs=_outputs(node, "rejected"), error=error)
        case _:
            error = Error(kind="unanswered", message="nobody answered in time", step=node.path)
            flow.settle(turn, node.path, "failed", outputs=_outputs(node, "none"), error=error)


_RULES = {
    "approval": _approval,
    "task": _task,
    "failure": _failure,
    "unknown": _unknown,
    "rollback": _rollback,
}
