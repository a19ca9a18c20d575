"""The page on which one signs in: the button that uses a one-time link up, a field for a token, the way to the identity provider.

Looking at it does nothing, with or without a link: mail scanners look at everything. It says nothing of who there is, and whatever does
not open the door gets one and the same answer.
"""

from __future__ import annotations

from typing import Final

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from towpath.server.call import Parts
from towpath.server.identity.codes import CODE_CHARS_MAX
from towpath.server.identity.signing_in import safe_next
from towpath.server.problems import Problem
from towpath.server.routing import PUBLIC, Routes
from towpath.server.web import pages

ROUTES = Routes(is_page=True)
_OK: Final = 200


@ROUTES.get("/login", permission=PUBLIC)
def login_page(request: Request, link: str = "", next: str = "/") -> HTMLResponse:  # noqa: A002 - the parameter's name
    """How one signs in."""
    return _page(request, link=link[:CODE_CHARS_MAX], next_path=safe_next(next))


def refused_page(request: Request, problem: Problem, next_path: str) -> Response:
    """The page once more, for whoever was not let in."""
    return _page(request, problem=problem, next_path=safe_next(next_path), status=problem.status)


def _page(
    request: Request, *, link: str = "", next_path: str, problem: Problem | None = None, status: int = _OK
) -> HTMLResponse:
    parts: Parts = request.app.state.parts
    return pages.page(
        None,
        "login.html",
        title="Sign in",
        status=status,
        link=link,
        next_path=next_path,
        problem=problem,
        provider=_provider(parts),
    )


def _provider(parts: Parts) -> str:
    """What the identity provider is called; empty where there is none."""
    oidc = parts.app.project_file().access.oidc
    return "" if oidc is None else oidc.title or "your organisation"
