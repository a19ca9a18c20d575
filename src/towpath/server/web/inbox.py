"""The inbox: what waits for people, and the page on which one of them decides. Opening a page decides nothing.

What was shown goes along with the answer, by its digest: evidence that has changed meanwhile voids it. A word that is refused is told
where it was said, with everything that was typed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from fastapi import Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, Response

from towpath.core.run import Json
from towpath.errors import AuthorError, Refused, TowpathError
from towpath.people import choices, inbox, sendings
from towpath.people.inbox import Item
from towpath.server import asking
from towpath.server.api import answering, questions
from towpath.server.call import Asked, Call, Forbidden
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
    refused: TowpathError | None = None,
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
        whom=sendings.whom,
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

    async def act() -> object:
        read = await run_in_threadpool(_read, call, run, path, sent)
        if read.problems:
            raise _WrongError(read.problems)
        said = answering.Answer(
            decision=sent.get("decision", ""),
            comment=typed.comment.strip(),
            form=dict(read.values),
            digest=sent.get("digest", ""),
        )
        return await answering.answer(call, run, path, said)

    return await _act(call, run, path, act, typed)


def _read(call: Call, run: str, path: str, sent: Mapping[str, str]) -> Filled:
    """What was typed, judged; the form goes along with approving and doing only."""
    decision = sent.get("decision", "")
    seen = questions.see(call, run, path)
    problems: dict[str, tuple[str, ...]] = {}
    values: Mapping[str, Json] = {}
    if decision in asking.WITH_FORM:
        read = fields.read(asking.declared_fields(seen.history.question), fields.typed_in(sent))
        values, problems = read.values, dict(read.problems)
    if decision in choices.COMMENTED and not sent.get("comment", "").strip():
        problems["comment"] = ("say why: the others will want to know",)
    return Filled(values=values, problems=problems)


@ROUTES.post("/inbox/{run}/{path:path}/claim", permission="question.answer")
async def claim(call: Asked, run: str, path: str, request: Request) -> Response:
    """Takes care of a question; with `force`, instead of whoever does."""
    said = answering.Claim(force=(await _sent(request)).get("force") == "yes")
    return await _act(call, run, path, lambda: answering.claim(call, run, path, said))


@ROUTES.post("/inbox/{run}/{path:path}/release", permission="question.answer")
async def release(call: Asked, run: str, path: str) -> Response:
    """Gives a claim back."""
    return await _act(call, run, path, lambda: answering.release(call, run, path))


@ROUTES.post("/inbox/{run}/{path:path}/withdraw", permission="question.answer")
async def withdraw(call: Asked, run: str, path: str) -> Response:
    """Takes one's answer back."""
    return await _act(call, run, path, lambda: answering.withdraw(call, run, path))


@ROUTES.post("/inbox/{run}/{path:path}/comment", permission="question.answer")
async def comment(call: Asked, run: str, path: str, request: Request) -> Response:
    """Says something without deciding."""
    text = (await _sent(request)).get("text", "").strip()
    return await _act(
        call, run, path, lambda: answering.comment(call, run, path, answering.Remark(text=text))
    )


@ROUTES.post("/inbox/{run}/{path:path}/hand_over", permission="question.answer")
async def hand_over(call: Asked, run: str, path: str, request: Request) -> Response:
    """Has somebody else asked as well."""
    sent = await _sent(request)
    to, why = sent.get("to", "").strip(), sent.get("why", "").strip()
    return await _act(
        call,
        run,
        path,
        lambda: answering.hand_over(call, run, path, answering.HandOver(to=to, comment=why)),
    )


@ROUTES.post("/inbox/{run}/{path:path}/remind", permission="question.remind")
async def remind(call: Asked, run: str, path: str) -> Response:
    """Has those who are asked told once more."""
    return await _act(call, run, path, lambda: answering.remind(call, run, path))


class _WrongError(Exception):
    """What was typed does not fit."""

    def __init__(self, problems: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self.problems = problems


async def _act(
    call: Call, run: str, path: str, act: Callable[[], Awaitable[object]], typed: Typed | None = None
) -> Response:
    """Does it, and shows the page as it is then; where it was refused, with the reason and all that was typed."""
    kept = typed or Typed()
    try:
        await act()
    except Forbidden:
        raise
    except _WrongError as wrong:
        kept = dataclasses.replace(kept, problems=wrong.problems)
        return await run_in_threadpool(_question, call, run, path, typed=kept, status=_UNPROCESSABLE)
    except (Refused, AuthorError) as refused:
        return await run_in_threadpool(
            _question, call, run, path, typed=kept, refused=refused, status=_CONFLICT
        )
    except ValidationError as error:
        wrong_body = Refused("; ".join(str(one["msg"]) for one in error.errors()))
        return await run_in_threadpool(
            _question, call, run, path, typed=kept, refused=wrong_body, status=_UNPROCESSABLE
        )
    return pages.see_other(_address(run, path))


async def _sent(request: Request) -> dict[str, str]:
    """What a form has sent, texts only."""
    form = await request.form()
    return {name: value for name, value in form.items() if isinstance(value, str)}


def _address(run: str, path: str) -> str:
    return f"/inbox/{quote(run, safe='')}/{quote(path, safe='/')}"
