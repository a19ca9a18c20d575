"""The inbox: what waits for people, and the page on which one of them decides. Opening a page decides nothing.

What was shown goes along with the answer, by its digest: evidence that has changed meanwhile voids it. A word that is refused is told
where it was said, with everything that was typed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, Response

from towpath.core import stimuli
from towpath.core.run import Json
from towpath.errors import Refused
from towpath.people import choices, inbox
from towpath.people.inbox import Item
from towpath.server import asking
from towpath.server.api import questions
from towpath.server.call import Asked, Call, Forbidden, target_of
from towpath.server.routing import Routes
from towpath.server.web import asked, fields, pages
from towpath.server.web.asked import Typed
from towpath.server.web.fields import Filled

ROUTES = Routes(is_page=True)
ITEMS_MAX: Final = 200
"""Questions on one page of the inbox."""
_CONFLICT: Final = 409
_UNPROCESSABLE: Final = 422
KINDS: Final = {
    "approval": "Approval",
    "task": "Task",
    "failure": "A step failed",
    "unknown": "Nobody knows how a step ended",
    "rollback": "A rollback failed",
}
"""What people are asked, in words."""
_WORDS: Final = {
    "asked": "For you",
    "held": "Asked, but not for you to decide",
    "answered": "You have answered; it takes more",
    "others": "For others",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The questions to which somebody stands alike."""

    title: str
    items: tuple[Item, ...]


@ROUTES.get("/inbox", permission="question.view")
def inbox_page(call: Asked, everybody: bool = False, group: str = "") -> HTMLResponse:  # noqa: FBT001, FBT002 - a query
    """What waits for whoever looks, or for anybody."""
    found = questions.waiting(
        call, inbox.Wanted(everything=everybody, group=group or None, items_max=ITEMS_MAX)
    )
    shown = tuple(
        Part(title=title, items=items)
        for standing, title in _WORDS.items()
        if (items := tuple(one for one in found.items if one.standing == standing))
    )
    return pages.page(
        call,
        "inbox.html",
        title="Inbox",
        section="inbox",
        shown=shown,
        found=found,
        everybody=everybody,
        group=group,
        silence=choices.silence,
        kinds=KINDS,
    )


@ROUTES.get("/inbox/{run}/{path:path}", permission="question.view")
def question_page(call: Asked, run: str, path: str) -> HTMLResponse:
    """One question, with all that there is to know before one answers."""
    return _question(call, run, path)


def _question(
    call: Call,
    run: str,
    path: str,
    *,
    typed: Typed | None = None,
    refused: Refused | None = None,
    status: int = 200,
) -> HTMLResponse:
    shown = asked.show(call, run, path, typed)
    waiting = questions.waiting(call, inbox.Wanted(items_max=2)).items
    others = [one for one in waiting if (one.run.number, one.path) != (shown.row.number, path)]
    return pages.page(
        call,
        "question.html",
        title=shown.question.text.strip().splitlines()[0] if shown.question.text.strip() else path,
        section="inbox",
        status=status,
        shown=shown,
        refused=refused,
        next_one=next((one for one in others if one.standing == "asked"), None),
        silence=choices.silence,
        kinds=KINDS,
        decision=choices.decision_of,
    )


# --- answering -----------------------------------------------------------------------------------------


@ROUTES.post("/inbox/{run}/{path:path}/answer", permission="question.answer")
async def answer(call: Asked, run: str, path: str, request: Request) -> Response:
    """Answers a question with what its page has sent: one of the choices, the form, a comment, the digest of what was shown."""
    sent = await _sent(request)
    typed = Typed(form=fields.typed_in(sent), comment=sent.get("comment", ""))
    try:
        found, read = await run_in_threadpool(_read, call, run, path, sent)
        if read.problems:
            wrong = dataclasses.replace(typed, problems=read.problems)
            return await run_in_threadpool(_question, call, run, path, typed=wrong, status=_UNPROCESSABLE)
        await call.tell(
            found.row,
            stimuli.Answered(
                at=call.app.now(),
                path=found.node.path,
                by=call.by,
                decision=sent.get("decision", ""),
                comment=typed.comment.strip(),
                form=read.values,
                digest=sent.get("digest") or None,
                via=call.via,
            ),
        )
    except Refused as refused:
        return await _refused(call, run, path, refused, typed)
    return pages.see_other(_address(run, path))


def _read(call: Call, run: str, path: str, sent: Mapping[str, str]) -> tuple[asking.Asked, Filled]:
    """What was typed, judged; the form goes along with approving and doing only."""
    decision = sent.get("decision", "")
    found = _find(call, run, path, decision)
    problems: dict[str, tuple[str, ...]] = {}
    values: Mapping[str, Json] = {}
    if decision in asking.WITH_FORM:
        read = fields.read(asking.declared_fields(found.question), fields.typed_in(sent))
        values, problems = read.values, dict(read.problems)
    if decision in choices.COMMENTED and not sent.get("comment", "").strip():
        problems["comment"] = ("say why: the others will want to know",)
    return found, Filled(values=values, problems=problems)


@ROUTES.post("/inbox/{run}/{path:path}/claim", permission="question.answer")
async def claim(call: Asked, run: str, path: str, request: Request) -> Response:
    """Takes care of a question; with `force`, instead of whoever does."""
    force = (await _sent(request)).get("force") == "yes"
    said = stimuli.Claimed(at=call.app.now(), path=path, by=call.by, force=force)
    return await _say(call, run, path, "take_over" if force else "claim", said)


@ROUTES.post("/inbox/{run}/{path:path}/release", permission="question.answer")
async def release(call: Asked, run: str, path: str) -> Response:
    """Gives a claim back."""
    return await _say(call, run, path, "release", stimuli.Released(at=call.app.now(), path=path, by=call.by))


@ROUTES.post("/inbox/{run}/{path:path}/withdraw", permission="question.answer")
async def withdraw(call: Asked, run: str, path: str) -> Response:
    """Takes one's answer back."""
    return await _say(
        call, run, path, "withdraw", stimuli.Withdrawn(at=call.app.now(), path=path, by=call.by)
    )


@ROUTES.post("/inbox/{run}/{path:path}/comment", permission="question.answer")
async def comment(call: Asked, run: str, path: str, request: Request) -> Response:
    """Says something without deciding."""
    text = (await _sent(request)).get("text", "").strip()
    if not text:
        return pages.see_other(_address(run, path))
    said = stimuli.Commented(at=call.app.now(), path=path, by=call.by, text=text)
    return await _say(call, run, path, "comment", said)


@ROUTES.post("/inbox/{run}/{path:path}/hand_over", permission="question.answer")
async def hand_over(call: Asked, run: str, path: str, request: Request) -> Response:
    """Hands a question over to somebody else."""
    sent = await _sent(request)
    try:
        to = await run_in_threadpool(asking.principal, call.app, sent.get("to", "").strip())
    except Refused as refused:
        return await _refused(call, run, path, refused, Typed())
    why = sent.get("why", "").strip()
    said = stimuli.HandedOver(at=call.app.now(), path=path, by=call.by, to=to, comment=why)
    return await _say(call, run, path, "hand_over", said)


@ROUTES.post("/inbox/{run}/{path:path}/remind", permission="question.remind")
async def remind(call: Asked, run: str, path: str) -> Response:
    """Has those who are asked told once more."""
    try:
        found = await run_in_threadpool(_find, call, run, path, "remind")
    except Refused as refused:
        return await _refused(call, run, path, refused, Typed())
    said = stimuli.Climbed(
        at=call.app.now(),
        path=found.node.path,
        kind="reminder",
        asked_at=found.question.asked_at,
        number=found.node.told_reminders + 1,
    )
    return await _say(call, run, path, "remind", said)


async def _say(call: Call, run: str, path: str, says: str, said: stimuli.AnyStimulus) -> Response:
    try:
        found = await run_in_threadpool(_find, call, run, path, says)
        await run_in_threadpool(asking.check, call.app, found, says=says, actor=call.by)
        await call.tell(found.row, said)
    except Refused as refused:
        return await _refused(call, run, path, refused, Typed())
    return pages.see_other(_address(run, path))


def _find(call: Call, run: str, path: str, says: str) -> asking.Asked:
    found = asking.find(call.app, run, path, says=says, actor=call.by)
    call.allow("question.answer", target_of(found.row))
    return found


async def _refused(call: Call, run: str, path: str, refused: Refused, typed: Typed) -> Response:
    """The page once more, with why it was refused; where the question is over, with who decided it."""
    if isinstance(refused, Forbidden):
        raise refused
    return await run_in_threadpool(_question, call, run, path, typed=typed, refused=refused, status=_CONFLICT)


async def _sent(request: Request) -> dict[str, str]:
    """What a form has sent, texts only."""
    form = await request.form()
    return {name: value for name, value in form.items() if isinstance(value, str)}


def _address(run: str, path: str) -> str:
    return f"/inbox/{quote(run, safe='')}/{quote(path, safe='/')}"
