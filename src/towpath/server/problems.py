"""What went wrong, as answers: problem+json (RFC 9457) for programs, a page for people.

Every error that is raised on purpose has its status here. What nobody expected is a 500 that tells no inside: the log has it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from towpath.definition.inputs import InputsInvalid
from towpath.definition.problems import DefinitionProblems
from towpath.errors import (
    AuthorError,
    BugError,
    LimitExceeded,
    NotFound,
    Refused,
    RemoteError,
    StoreUnavailable,
    TowpathError,
)
from towpath.server.call import Forbidden, Unauthenticated
from towpath.triggers.contract import Malformed, NobodyListens, Unverified

_LOG = logging.getLogger("towpath.server")
MEDIA_TYPE: Final = "application/problem+json"
TOO_MANY_LIMITS: Final = frozenset(
    {
        "EVENTS_WAITING_MAX",
        "HOOKS_AT_ONCE_MAX",
        "QUEUED_CHANGES_MAX",
        "REHEARSALS_MAX",
        "REQUESTS_MAX",
        "MAILBOX_MESSAGES_MAX",
        "LOGINS_MAX",
        "STREAMS_MAX",
    }
)
"""Limits that time heals: the answer is 429 and not 413."""
_UNAUTHENTICATED: Final = 401
_NAMED: Final = re.compile(r"`([^`\[]+)")
"""What is wrong with an input begins with its name."""
RETRY_SECONDS: Final = 5
"""What a 429 and a 503 ask for."""

_STATUS: Final[tuple[tuple[type[TowpathError], int, str], ...]] = (
    (Unauthenticated, 401, "Nobody knows who you are"),
    (Unverified, 401, "Nobody knows who sent this"),
    (Forbidden, 403, "You may not do this"),
    (NobodyListens, 404, "Nothing listens here"),
    (NotFound, 404, "There is no such thing"),
    (Malformed, 400, "This cannot be read"),
    (LimitExceeded, 413, "This is too large"),
    (StoreUnavailable, 503, "Nothing can be written at the moment"),
    (Refused, 409, "This cannot be done now"),
    (AuthorError, 422, "This has to be mended first"),
    (RemoteError, 502, "Another system did not do what was asked of it"),
)
"""The first that fits says the status and the title."""


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(default="about:blank", description="What kind of problem it is.")
    title: str = Field(description="The kind in a few words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(default="", description="What happened, where.")
    help: str = Field(default="", description="What to try.")
    problems: list[dict[str, Any]] = Field(
        default_factory=list, description="Every problem of a file or of a request, each with its place."
    )


PROBLEM_ANSWERS: Final[Mapping[int | str, dict[str, Any]]] = {
    status: {
        "model": Problem,
        "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
        "description": title,
    }
    for status, title in (
        (400, "This cannot be read"),
        (401, "Nobody knows who you are"),
        (403, "You may not do this"),
        (404, "There is no such thing"),
        (409, "This cannot be done now"),
        (413, "This is too large"),
        (422, "This has to be mended first"),
        (429, "Too many at once"),
        (503, "Nothing can be written at the moment"),
    )
}
"""What every route of the API may answer besides."""


def problem_of(error: Exception) -> Problem:
    """An error as it is told; one that nobody expected says nothing of the inside."""
    if isinstance(error, RequestValidationError):
        wrong = [
            {"where": ".".join(str(part) for part in one["loc"]), "problem": str(one["msg"])}
            for one in error.errors()
        ]
        told = "; ".join(f"{one['where']}: {one['problem']}" for one in wrong)
        return Problem(title="This has to be mended first", status=422, detail=told, problems=wrong)
    if isinstance(error, HTTPException):
        title = _TITLES.get(error.status_code, "This cannot be answered")
        return Problem(title=title, status=error.status_code, detail=str(error.detail))
    if isinstance(error, BugError) or not isinstance(error, TowpathError):
        return Problem(title="Something broke", status=500, detail="the server's log tells what")
    status, title = next(
        ((status, title) for kind, status, title in _STATUS if isinstance(error, kind)),
        (500, "Something broke"),
    )
    if isinstance(error, LimitExceeded) and error.limit in TOO_MANY_LIMITS:
        status, title = 429, "Too many at once"
    return Problem(
        title=title, status=status, detail=error.message, help=error.help, problems=_problems(error)
    )


def _problems(error: TowpathError) -> list[dict[str, Any]]:
    """Every problem of a file, or of each input."""
    if isinstance(error, DefinitionProblems):
        return [one.as_json() for one in error.problems]
    if isinstance(error, InputsInvalid):
        return [{"where": named[1], "problem": one} for one in error.problems if (named := _NAMED.match(one))]
    return []


def answer(error: Exception) -> Response:
    """An error as problem+json."""
    problem = problem_of(error)
    headers = {"Retry-After": str(RETRY_SECONDS)} if problem.status in (429, 503) else {}
    if problem.status == _UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(
        problem.model_dump(exclude_defaults=False), problem.status, headers=headers, media_type=MEDIA_TYPE
    )


def note(request: Request, error: Exception) -> None:
    """What nobody expected goes to the log, with all that is known of it."""
    is_ours = isinstance(error, BugError)
    if is_ours or not isinstance(error, TowpathError | RequestValidationError | HTTPException):
        _LOG.error("server.request_failed %s %s", request.method, request.url.path, exc_info=error)


def is_for_programs(request: Request) -> bool:
    """Whether an answer goes to a program: to everybody but a browser that opens a page."""
    path = request.url.path
    return path.startswith(("/api/", "/hooks/")) or "text/html" not in request.headers.get("accept", "")


def install(server: FastAPI) -> None:
    """Has every error of the application answered here; `web` answers those of its pages."""

    async def handle(request: Request, error: Exception) -> Response:
        note(request, error)
        show = getattr(request.app.state, "error_page", None)
        if show is not None and not is_for_programs(request):
            shown: Response = show(request, problem_of(error))
            return shown
        return answer(error)

    for kind in (TowpathError, RequestValidationError, HTTPException, Exception):
        server.add_exception_handler(kind, handle)


_TITLES: Final = {
    400: "This cannot be read",
    404: "There is no such thing",
    405: "This cannot be done here",
    413: "This is too large",
}
