"""A page that goes on by itself, for whoever another site has sent here.

A cookie that is `SameSite=Strict` does not come along when another site has sent the browser here: from a link in a mail on the web, from a
chat, or back from the identity provider, redirects included. So the first answer is a page of ours that goes on to the same place. What the
browser asks for then comes from us, and brings the cookie, if there is one.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Final

from starlette.responses import HTMLResponse

from towpath.server.identity.signing_in import safe_next

if TYPE_CHECKING:
    from starlette.requests import Request

_ELSEWHERE: Final = frozenset({"cross-site", "same-site"})


def was_sent_here(request: Request) -> bool:
    """Whether another site has a browser open a page of ours: our cookie was left at home."""
    headers = request.headers
    is_opened = request.method == "GET" and headers.get("sec-fetch-mode") == "navigate"
    return is_opened and headers.get("sec-fetch-site") in _ELSEWHERE


def going_on(path: str) -> HTMLResponse:
    """A page that goes on to a path of ours."""
    there = html.escape(safe_next(path), quote=True)
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
        f'<meta http-equiv="refresh" content="0;url={there}"><title>Towpath</title></head>'
        f'<body><p><a href="{there}">Go on</a></p></body></html>'
    )
