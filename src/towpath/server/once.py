"""Asking twice does nothing twice: `Idempotency-Key`.

Whoever sends a POST with a key of their own may send it again, for as long as REQUESTS_KEPT_DAYS: the same request gets the same answer.
The key is noted before anything is done, durably, and the answer after it. Where the server dies between the two, the request is done
again, and what does it is told so: a run that was started is found by its key, and what was said to a run is looked up in its journal.

A request that was refused did nothing: its key is free again. The answers of a few routes hold secrets that are shown once; those are
not kept, and asking again tells that it was done.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from towpath.errors import AuthorError, Refused, TowpathError
from towpath.server import problems
from towpath.server.call import Call, Parts
from towpath.store.requests import Another, Begun, Busy, KeptAnswer

HEADER: Final = "idempotency-key"
REPLAYED: Final = "Idempotency-Replayed"
"""Says in an answer that it is the one of the first time."""
KEY_CHARS_MAX: Final = 200
WITH_SECRETS: Final = ("/api/v1/tokens", "/api/v1/users", "/api/v1/me", "/api/v1/secrets", "/api/v1/login")
"""Routes whose requests or answers may hold secrets: neither is kept, not even as a digest."""
HEADERS_KEPT: Final = ("content-type", "location")
_KEY: Final = re.compile(rf"[!-~]{{1,{KEY_CHARS_MAX}}}")
_MADE_MIN, _MADE_MAX = 200, 299
_BROKE_OFF_MIN: Final = 500
_SCOPE_KEY: Final = "once"


class KeyUsed(AuthorError):
    """The key was used for another request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """A request that is to be done once, however often it is sent."""

    id: str
    """The same for the same request of the same person, and for no other."""
    since: int = 0
    """When it was sent first; microseconds since 1970, UTC."""
    is_again: bool = False
    """It was begun before, and nobody knows how far it came."""

    @property
    def start_key(self) -> str:
        """At most one run is started with this."""
        return f"request:{self.id}"


def once_of(request: Request) -> Once | None:
    """What a request with a key is known by; None without one."""
    found: Once | None = request.scope.get(_SCOPE_KEY)
    return found


OnceOnly = Annotated[Once | None, Depends(once_of)]
"""A parameter of a route that acts."""


def once_for_form(call: Call, key: str) -> Once | None:
    """The same for a form of a page with a hidden key: however often it is sent, one run is started."""
    if not key:
        return None
    return Once(id=_id_of(call.by, f"form:{key}", b""), since=call.app.now())


class DoneOnce:
    """The middleware: answers what was answered before, and notes what is asked with a key."""

    def __init__(self, app: ASGIApp, *, parts: Parts) -> None:
        self.app = app
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on what has no key, and what is to be done; answers the rest itself."""
        key = _key_of(scope)
        if key is None:
            await self.app(scope, receive, send)
            return
        try:
            request = await self._asked(key, scope, receive)
        except TowpathError as error:
            await problems.answer(error)(scope, receive, send)
            return
        if isinstance(request, Response):
            await request(scope, receive, send)
        elif request is None:
            await self.app(scope, receive, send)
        else:
            await self._do(request, scope, receive, send)

    async def _asked(self, key: str, scope: Scope, receive: Receive) -> _Keyed | Response | None:
        """What is to be done now, or how it was answered before; None for somebody whom nobody knows."""
        if not _KEY.fullmatch(key):
            raise KeyUsed(
                f"Idempotency-Key has to be 1 to {KEY_CHARS_MAX} visible characters", help="a UUID will do"
            )
        request = Request(scope)
        visitor = await run_in_threadpool(self._parts.identity.visitor_of, request)
        if visitor is None:
            return None
        actor, at = visitor.actor.name, self._parts.app.now()
        body = await _body(receive)
        fingerprint = _fingerprint(request, b"" if _has_secrets(request.url.path) else body)
        begun = await run_in_threadpool(
            self._parts.app.store.requests.begin,
            actor,
            key,
            fingerprint,
            owner=self._parts.engine.owner,
            at=at,
        )
        if not isinstance(begun, Begun):
            return _known(begun)
        once = Once(id=_id_of(actor, key, fingerprint), since=begun.since, is_again=begun.is_again)
        return _Keyed(actor=actor, key=key, body=body, once=once)

    async def _do(self, request: _Keyed, scope: Scope, receive: Receive, send: Send) -> None:
        kept = _Keeping(send)
        try:
            await self.app({**scope, _SCOPE_KEY: request.once}, _replayed(request.body, receive), kept.send)
        finally:
            with_body = not _has_secrets(scope["path"])
            await run_in_threadpool(self._keep, request.actor, request.key, kept, with_body=with_body)

    def _keep(self, actor: str, key: str, kept: _Keeping, *, with_body: bool) -> None:
        requests = self._parts.app.store.requests
        if _MADE_MIN <= kept.status <= _MADE_MAX and kept.is_whole:
            body = bytes(kept.body) if with_body else None
            requests.answer(actor, key, KeptAnswer(status=kept.status, headers=kept.headers, body=body))
        elif kept.status == 0 or kept.status >= _BROKE_OFF_MIN:
            requests.leave(actor, key)
        else:
            requests.release(actor, key)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Keyed:
    """A request with a key that is to be done now."""

    actor: str
    key: str
    body: bytes
    once: Once


class _Keeping:
    """Passes an answer on, and keeps it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.is_whole = False

    async def send(self, message: Message) -> None:
        """Passes a part on."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = Headers(raw=message["headers"])
            self.headers = {name: headers[name] for name in HEADERS_KEPT if name in headers}
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")
            self.is_whole = not message.get("more_body", False)
        await self._send(message)


def _key_of(scope: Scope) -> str | None:
    if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith("/api/"):
        return None
    return Headers(scope=scope).get(HEADER)


def _known(found: KeptAnswer | Busy | Another) -> Response:
    """What somebody is answered who asks again."""
    if isinstance(found, Another):
        raise KeyUsed(
            "this Idempotency-Key was used for another request", help="use a new key for a new request"
        )
    if isinstance(found, Busy):
        raise Refused("the same request is being answered at this moment", help="ask again in a moment")
    if found.body is None:
        where = f": {found.headers['location']}" if "location" in found.headers else ""
        raise Refused(f"this was done already, and its answer is not kept{where}")
    return Response(found.body, found.status, headers={**found.headers, REPLAYED: "true"})


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] != "http.request" or not message.get("more_body", False):
            return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body that was read already, and then whatever else comes."""
    is_given = False

    async def replayed() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _has_secrets(path: str) -> bool:
    return path.startswith(WITH_SECRETS)


def _fingerprint(request: Request, body: bytes) -> bytes:
    head = f"{request.method}\n{request.url.path}\n{request.url.query}\n".encode()
    return hashlib.sha256(head + body).digest()


def _id_of(actor: str, key: str, fingerprint: bytes) -> str:
    return hashlib.sha256(f"{actor}\n{key}\n".encode() + fingerprint).hexdigest()
