"""Saying something to a question: an answer, or what does not decide it.

Whether the person may is judged by the owner of the run, at the moment when it decides; four eyes, claims and time included. Whoever comes
too late is told who was quicker. An answer is bound to what the person saw: it says the digest of it, and is refused where the question
shows something else by now.
"""

from __future__ import annotations

from typing import Final

from pydantic import Field
from starlette.concurrency import run_in_threadpool

from towpath.core import stimuli
from towpath.core.run import Question
from towpath.core.stimuli import AnyStimulus
from towpath.definition.inputs import InputsInvalid, complete_inputs
from towpath.errors import Refused
from towpath.observe import audit
from towpath.server import asking
from towpath.server.api import finding
from towpath.server.api.told import Asking, Json, Told
from towpath.server.call import Asked, Call
from towpath.server.once import Once, OnceOnly
from towpath.server.routing import Routes

ROUTES = Routes(prefix="/api/v1/runs/{run}/questions", tag="questions")
COMMENT_CHARS_MAX: Final = 10_000
PRINCIPAL_CHARS_MAX: Final = 200
_CHOICE_CHARS_MAX: Final = 64
_DIGEST_CHARS_MAX: Final = 128


class Answer(Asking):
    """An answer to a question."""

    decision: str = Field(max_length=_CHOICE_CHARS_MAX, description="One of the question's choices.")
    comment: str = Field(default="", max_length=COMMENT_CHARS_MAX, description="Kept with the answer.")
    form: dict[str, Json] = Field(
        default_factory=dict, description="The fields of the form, with `approve` and `done`."
    )
    digest: str = Field(
        default="",
        max_length=_DIGEST_CHARS_MAX,
        description="The `digest` of the question as the person saw it; needed with `approve`, `reject` and `done`.",
    )


class Claim(Asking):
    """Taking care of a question."""

    force: bool = Field(default=False, description="Take it over from whoever has claimed it.")


class HandOver(Asking):
    """Letting somebody else answer as well."""

    to: str = Field(
        min_length=1,
        max_length=PRINCIPAL_CHARS_MAX,
        description="`user:ben`, or just `ben`; `group:shop`; `oncall:platform`.",
    )
    comment: str = Field(default="", max_length=COMMENT_CHARS_MAX, description="For whoever gets it.")


class Remark(Asking):
    """Something to say without deciding."""

    text: str = Field(
        min_length=1, max_length=COMMENT_CHARS_MAX, description="What everybody who looks at it sees."
    )


class Spoken(Told):
    """Something was said, and is durable."""

    run_number: int = Field(description="The run that asks.")
    path: str = Field(description="The step that asks.")
    outcome: str = Field(description="What came of it, in words.")
    is_open: bool = Field(description="Whether the question still waits.")


@ROUTES.post("/{path:path}/answer", permission="question.answer", operation_id="answer_question")
async def answer(call: Asked, run: str, path: str, body: Answer, once: OnceOnly = None) -> Spoken:
    """Answer a question: approve, reject, send back, done, failed, retry, skip, … — one of its choices."""
    if (before := await _said_before(call, run, path, once, did=audit.did_of(body.decision))) is not None:
        return before
    asked = await _find(call, run, path, says=body.decision)
    said = stimuli.Answered(
        at=call.app.now(),
        path=asked.node.path,
        by=call.by,
        decision=body.decision,
        comment=body.comment,
        form=completed(asked.question, body),
        digest=body.digest or None,
        via=call.via,
    )
    await _tell(call, asked, said)
    outcome = await run_in_threadpool(asking.outcome, call.app, asked, body.decision, actor=call.by)
    return await _spoken(call, asked, outcome)


@ROUTES.post("/{path:path}/claim", permission="question.answer", operation_id="claim_question")
async def claim(call: Asked, run: str, path: str, body: Claim, once: OnceOnly = None) -> Spoken:
    """Say that you take care of a question; the others see it, and leave it to you until you give it back."""
    if (before := await _said_before(call, run, path, once, did="claimed")) is not None:
        return before
    asked = await _find(call, run, path, says="take_over" if body.force else "claim")
    told = stimuli.Claimed(at=call.app.now(), path=asked.node.path, by=call.by, force=body.force)
    await _tell(call, asked, told)
    return await _spoken(call, asked, f"{_me(call)} takes care of it")


@ROUTES.post("/{path:path}/release", permission="question.answer", operation_id="release_question")
async def release(call: Asked, run: str, path: str, once: OnceOnly = None) -> Spoken:
    """Give a question that you have claimed back to the others."""
    if (before := await _said_before(call, run, path, once, did="gave the claim back")) is not None:
        return before
    asked = await _find(call, run, path, says="release")
    await _tell(call, asked, stimuli.Released(at=call.app.now(), path=asked.node.path, by=call.by))
    return await _spoken(call, asked, f"{_me(call)} has given it back to the others")


@ROUTES.post("/{path:path}/hand_over", permission="question.answer", operation_id="hand_over_question")
async def hand_over(call: Asked, run: str, path: str, body: HandOver, once: OnceOnly = None) -> Spoken:
    """Let somebody else answer as well. Those who were asked may still answer; four eyes go on to count."""
    if (before := await _said_before(call, run, path, once, did="handed over")) is not None:
        return before
    asked = await _find(call, run, path, says="hand_over")
    heir = await run_in_threadpool(asking.principal, call.app, body.to)
    told = stimuli.HandedOver(
        at=call.app.now(), path=asked.node.path, by=call.by, to=heir, comment=body.comment
    )
    await _tell(call, asked, told)
    return await _spoken(call, asked, f"{heir} may answer it, too")


@ROUTES.post("/{path:path}/comment", permission="question.answer", operation_id="comment_question")
async def comment(call: Asked, run: str, path: str, body: Remark, once: OnceOnly = None) -> Spoken:
    """Say something about a question without deciding it. Everybody who looks at it sees it."""
    if (before := await _said_before(call, run, path, once, did="commented")) is not None:
        return before
    asked = await _find(call, run, path, says="comment")
    told = stimuli.Commented(at=call.app.now(), path=asked.node.path, by=call.by, text=body.text)
    await _tell(call, asked, told)
    return await _spoken(call, asked, f"{_me(call)} has said something")


@ROUTES.post("/{path:path}/withdraw", permission="question.answer", operation_id="withdraw_answer")
async def withdraw(call: Asked, run: str, path: str, once: OnceOnly = None) -> Spoken:
    """Take your answer back, as long as the question is not decided. You may then give another one."""
    if (before := await _said_before(call, run, path, once, did="took the answer back")) is not None:
        return before
    asked = await _find(call, run, path, says="withdraw")
    await _tell(call, asked, stimuli.Withdrawn(at=call.app.now(), path=asked.node.path, by=call.by))
    return await _spoken(call, asked, f"{_me(call)} has taken the answer back")


@ROUTES.post("/{path:path}/remind", permission="question.remind", operation_id="remind_question")
async def remind(call: Asked, run: str, path: str) -> Spoken:
    """Tell those who are asked once more, now. It counts as the next reminder, so nobody is told twice in a row."""
    asked = await _find(call, run, path, says="remind", permission="question.remind")
    await run_in_threadpool(asking.check, call.app, asked, says="remind", actor=call.by)
    told = stimuli.Climbed(
        at=call.app.now(),
        path=asked.node.path,
        kind="reminder",
        asked_at=asked.question.asked_at,
        number=asked.node.told_reminders + 1,
    )
    await _tell(call, asked, told)
    return await _spoken(call, asked, await run_in_threadpool(asking.reminded, call.app, asked))


def completed(question: Question, said: Answer) -> dict[str, Json]:
    """The form of an answer, complete; raises InputsInvalid with all that is missing or does not fit."""
    missing = []
    if said.decision in asking.BOUND and question.digest and not said.digest:
        missing.append("`digest` is required: say the digest of the question as you saw it")
    if said.decision == "send_back" and not said.comment:
        missing.append("`comment` is required: say what has to be better")
    if said.form and said.decision not in asking.WITH_FORM:
        missing.append(f"`form` goes with approve and done, not with {asking.spoken(said.decision)}")
    if missing:
        raise InputsInvalid(missing)
    if said.decision not in asking.WITH_FORM:
        return {}
    if not question.form:
        return dict(said.form)
    return complete_inputs(asking.declared_fields(question), said.form, is_text=True)


async def _find(
    call: Call, run: str, path: str, *, says: str, permission: str = "question.answer"
) -> asking.Asked:
    """The question that is meant; raises Forbidden, NotFound or Refused, and tells who decided it where it is over."""

    def find() -> asking.Asked:
        row = finding.find_run(call, run, permission)
        return asking.find(call.app, str(row.number), path, says=says, actor=call.by)

    return await run_in_threadpool(find)


async def _said_before(call: Call, run: str, path: str, once: Once | None, *, did: str) -> Spoken | None:
    """What a request with a key did that broke off before its answer: the journal shows it. None where it did nothing yet."""
    if once is None or not once.is_again:
        return None

    def look() -> Spoken | None:
        row = finding.find_run(call, run, "question.answer")
        mine = (act for act in audit.acts(call.app.reader.events(row.number)) if act.by == call.by)
        if not any((act.path, act.did) == (path, did) and act.at >= once.since for act in mine):
            return None
        node = finding.state_of(call, row).nodes.get(path)
        is_open = node is not None and node.status == "asking"
        return Spoken(run_number=row.number, path=path, outcome=f"{_me(call)}: {did}", is_open=is_open)

    return await run_in_threadpool(look)


async def _tell(call: Call, asked: asking.Asked, stimulus: AnyStimulus) -> None:
    """Has the owner of the run told; raises Refused, and tells who decided where somebody was quicker."""
    try:
        await call.tell(asked.row, stimulus)
    except Refused:
        await run_in_threadpool(asking.raise_late, call.app, asked)
        raise


async def _spoken(call: Call, asked: asking.Asked, outcome: str) -> Spoken:
    def is_open() -> bool:
        _, run = call.app.run(str(asked.row.number))
        node = run.nodes.get(asked.node.path)
        return node is not None and node.status == "asking" and not run.has_ended

    return Spoken(
        run_number=asked.row.number,
        path=asked.node.path,
        outcome=outcome,
        is_open=await run_in_threadpool(is_open),
    )


def _me(call: Call) -> str:
    return call.by.removeprefix("user:")
