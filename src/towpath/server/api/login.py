"""Coming in and going out: what the forms of the sign-in page send, and the way to the identity provider and back.

The page itself, `GET /login`, is one of `web`: it shows a form with a hidden `link` (from the address) or with a field `token`, and `next`.
Where something does not open the door, a browser gets that page again: `app.state.login_page(request, problem, next)` makes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

from fastapi import Form, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from towpath.errors import LimitExceeded, RemoteError
from towpath.server import problems
from towpath.server.call import Asked, Forbidden, Unauthenticated
from towpath.server.guarding import SESSION_COOKIE, is_ours
from towpath.server.identity import coming_back, signing_in
from towpath.server.identity.codes import CODE_CHARS_MAX
from towpath.server.identity.door import Door, door_of, not_vouched
from towpath.server.identity.oidc.carried import CARRIED_SECONDS, COOKIE, COOKIE_PATH, Carried
from towpath.server.identity.oidc.verifying import NotVouched
from towpath.server.identity.signing_in import NewSession
from towpath.server.problems import Problem
from towpath.server.routing import PUBLIC, SIGNED_IN, Routes

ROUTES = Routes(is_page=True)
SEE_OTHER: Final = 303
CODE_OF_PROVIDER_CHARS_MAX: Final = 4_000
LoginPage = Callable[[Request, Problem, str], Response]

_Code = Annotated[str, Form(max_length=CODE_CHARS_MAX)]
_Next = Annotated[str, Form(max_length=signing_in.NEXT_CHARS_MAX)]


@ROUTES.post("/login", permission=PUBLIC)
def sign_in(request: Request, link: _Code = "", token: _Code = "", next: _Next = "/") -> Response:  # noqa: A002 - the field's name
    """Signs in with a one-time link or a token, and goes on to where one wanted to go."""
    try:
        _check_site(request)
        session = door_of(request).show(
            link=link, token=token, address=_address_of(request), agent=_agent_of(request)
        )
    except (Unauthenticated, LimitExceeded, Forbidden) as error:
        return _again(request, error, next)
    answer = RedirectResponse(signing_in.safe_next(next), SEE_OTHER)
    _keep(answer, request, session)
    return answer


@ROUTES.post("/logout", permission=SIGNED_IN)
def sign_out(call: Asked, request: Request) -> Response:
    """Ends the session, and forgets its cookie."""
    if call.visitor.way == "session":
        signing_in.sign_out(call.app, call.visitor.key, by=call.by)
    answer = RedirectResponse("/login", SEE_OTHER)
    answer.delete_cookie(
        SESSION_COOKIE, path="/", secure=_is_secure(request), httponly=True, samesite="strict"
    )
    return answer


@ROUTES.get("/login/oidc", permission=PUBLIC)
async def to_provider(request: Request, next: str = "/") -> Response:  # noqa: A002 - the parameter's name
    """Goes to the identity provider; nothing is changed here, the browser carries what has begun."""
    door = door_of(request)
    try:
        address, cookie = await door.way_to_provider(base_url=_base_url(request), next_path=next)
    except RemoteError as error:
        return _again(request, not_vouched(error), next)
    answer = RedirectResponse(address, SEE_OTHER)
    answer.set_cookie(
        COOKIE,
        cookie,
        max_age=round(CARRIED_SECONDS),
        path=COOKIE_PATH,
        secure=_is_secure(request),
        httponly=True,
        samesite="lax",  # the provider sends the browser back: a strict one would not come along
    )
    return answer


@ROUTES.get("/login/oidc/back", permission=PUBLIC)
async def from_provider(request: Request, state: str = "") -> Response:
    """Comes back from the identity provider, with a code that is worth one sign-in."""
    door = door_of(request)
    next_path = "/"
    try:
        door.attempts.check(_address_of(request))
        begun = door.came_back(request.cookies.get(COOKIE, ""), state=state)
        next_path = begun.next
        session = await _let_in(door, request, begun)
    except (Unauthenticated, LimitExceeded) as refused:
        if isinstance(refused, Unauthenticated):
            door.attempts.failed(_address_of(request))
        answer = _again(request, refused, next_path)
    else:
        answer = coming_back.going_on(next_path)
        _keep(answer, request, session)
    answer.delete_cookie(COOKIE, path=COOKIE_PATH, secure=_is_secure(request), httponly=True, samesite="lax")
    return answer


async def _let_in(door: Door, request: Request, begun: Carried) -> NewSession:
    """The session of whoever comes back with a code; raises Unauthenticated."""
    code = request.query_params.get("code", "")
    try:
        if not 0 < len(code) <= CODE_OF_PROVIDER_CHARS_MAX:
            why = request.query_params.get("error", "")
            raise NotVouched(f"the provider gave no code: {why[:100]!r}")
        claims = await door.vouched_claims(begun, base_url=_base_url(request), code=code)
        return await run_in_threadpool(door.let_in, claims, agent=_agent_of(request))
    except RemoteError as refused:
        raise not_vouched(refused) from None


def _again(request: Request, error: Exception, next_path: str) -> Response:
    """The sign-in page once more, with what went wrong; a program gets the problem."""
    show: LoginPage | None = getattr(request.app.state, "login_page", None)
    if show is None or problems.is_for_programs(request):
        return problems.answer(error)
    return show(request, problems.problem_of(error), signing_in.safe_next(next_path))


def _check_site(request: Request) -> None:
    """Nobody is signed in from another site's form: they would work under a name that is not theirs."""
    is_browser = "origin" in request.headers or "sec-fetch-site" in request.headers
    if is_browser and not is_ours(request.headers, scheme=request.url.scheme):
        raise Forbidden("this request comes from another site", help="use the page's own buttons")


def _keep(answer: Response, request: Request, session: NewSession) -> None:
    row = session.row
    answer.set_cookie(
        SESSION_COOKIE,
        session.cookie,
        max_age=(row.ends_at - row.made_at) // 1_000_000,
        path="/",
        secure=_is_secure(request),
        httponly=True,
        samesite="strict",
    )


def _is_secure(request: Request) -> bool:
    return _base_url(request).startswith("https://")


def _base_url(request: Request) -> str:
    """Where people reach this server: as it was told, else as this request did."""
    told: str = request.app.state.parts.app.settings.base_url
    return told or str(request.base_url)


def _address_of(request: Request) -> str:
    return request.client.host if request.client is not None else ""


def _agent_of(request: Request) -> str:
    return request.headers.get("user-agent", "")
