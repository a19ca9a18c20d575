"""What every request passes and every answer carries, whatever the route: the length of bodies, the site they come from, safe headers.

A browser sends its cookie with every request to us, whoever caused it. So a request that changes something and comes with our cookie has
to come from our own pages: its `Origin` (or `Sec-Fetch-Site`, where there is none) has to be ours. A program that shows a token is not
asked: no site can make a browser show one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from towpath.errors import LimitExceeded
from towpath.server import problems
from towpath.server.call import Forbidden

SESSION_COOKIE: Final = "towpath_session"
BODY_BYTES_MAX: Final = 4 * 1024 * 1024
"""One request; a longer one is answered with 413 before it is read to its end."""
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""No script and no style but our own files, nothing from elsewhere, and nobody frames us."""
HEADERS: Final = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
"""What every answer carries that does not say otherwise itself."""


class Guarding:
    """The middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on what may pass, and answers the rest itself."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        refused = _refusal(request)
        if refused is not None:
            await _with_headers(problems.answer(refused), scope, receive, send)
            return
        await _with_headers(self.app, scope, _bounded(receive), send)


def is_ours(headers: Headers, *, scheme: str) -> bool:
    """Whether a browser's request was made by our own pages; a request that says nothing of it was not."""
    origin = headers.get("origin")
    if origin is not None:
        found = urlsplit(origin)
        return found.scheme == scheme and found.netloc == headers.get("host", "")
    return headers.get("sec-fetch-site") in ("same-origin", "none")


def _refusal(request: Request) -> Exception | None:
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > BODY_BYTES_MAX:
        return too_long()
    is_unsafe = request.method not in SAFE_METHODS
    if (
        is_unsafe
        and SESSION_COOKIE in request.cookies
        and not is_ours(request.headers, scheme=request.url.scheme)
    ):
        return Forbidden("this request comes from another site", help="use the page's own buttons")
    return None


def too_long() -> LimitExceeded:
    """What a body that is too long is answered with."""
    return LimitExceeded(
        f"the request is longer than BODY_BYTES_MAX ({BODY_BYTES_MAX:,} bytes)", limit="BODY_BYTES_MAX"
    )


def _bounded(receive: Receive) -> Receive:
    """The body, as far as it may be: one that does not say its length is cut off where it becomes too long."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b"") or b"")
        if seen > BODY_BYTES_MAX:
            raise too_long()
        return message

    return counted


async def _with_headers(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _missing(headers):
                headers[name] = value
        await send(message)

    await app(scope, receive, sending)


def _missing(headers: MutableHeaders) -> Iterable[tuple[str, str]]:
    return [(name, value) for name, value in HEADERS.items() if name not in headers]
