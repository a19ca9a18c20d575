"""Requests to a server, and what becomes of its refusals: the same errors, with the same help, as if it had happened here."""

from __future__ import annotations

import ipaddress
import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn, TypeVar
from urllib.parse import quote, urlsplit

import httpx2

import towpath
from towpath.definition.inputs import InputsInvalid
from towpath.errors import (
    AuthorError,
    LimitExceeded,
    NotFound,
    Refused,
    RemoteError,
    StoreUnavailable,
    TowpathError,
    Unreachable,
)
from towpath.server.shapes import rows

API: Final = "/api/v1"
CONNECT_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 60.0
"""How long the server may take for one answer."""
POST_TRIES: Final = 3
"""How often an order is sent whose answer was lost; its key keeps it from being carried out twice."""
POST_AGAIN_SECONDS: Final = 0.5
ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
T = TypeVar("T")


class NotAllowed(Refused):
    """Whoever asks may not do this on the server."""


class Wire:
    """A server, and the token by which it knows us. For one thread at a time."""

    def __init__(self, url: str, token: str, *, transport: httpx2.BaseTransport | None = None) -> None:
        self.url = check_url(url)
        self._headers = {"Authorization": f"Bearer {token}", "User-Agent": f"tow/{towpath.__version__}"}
        self._client = httpx2.Client(
            base_url=self.url,
            headers=self._headers,
            timeout=httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            follow_redirects=False,
            transport=transport,
        )

    def rows(self, name: str, kind: type[T] | Any, /, **query: object) -> Any:  # noqa: ANN401 - a value of *kind*
        """Values of the store; *kind* is their type."""
        given = {key: value for key, value in query.items() if value is not None}
        return rows.decode(self.get(f"{API}/rows/{name}", **given), kind)

    def get(self, path: str, **query: object) -> bytes:
        """What a route answers; raises what the server refused with, or Unreachable."""
        return self._answer("GET", path, params=query)

    def post(
        self, path: str, body: object = None, *, key: str | None = None, seconds: float = ANSWER_SECONDS
    ) -> Any:  # noqa: ANN401 - JSON
        """Has something done, once, however often the request has to be sent; gives the answer, which may take *seconds*."""
        timeout = httpx2.Timeout(seconds, connect=CONNECT_SECONDS)
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        for left in reversed(range(POST_TRIES)):
            try:
                answer = self._answer(
                    "POST", path, content=rows.encode(body or {}), headers=headers, timeout=timeout
                )
            except Unreachable:
                if not left:
                    raise
                time.sleep(POST_AGAIN_SECONDS)
            else:
                return json.loads(answer) if answer else None
        raise AssertionError

    def call(self, method: str, path: str, body: object = None, *, seconds: float = ANSWER_SECONDS) -> Any:  # noqa: ANN401 - JSON
        """Any other request; gives the answer, which may take *seconds*."""
        timeout = httpx2.Timeout(seconds, connect=CONNECT_SECONDS)
        content = {} if body is None else {"content": rows.encode(body)}
        answer = self._answer(method, path, timeout=timeout, **content)
        return json.loads(answer) if answer else None

    def parts(self, path: str, **query: Any) -> Iterator[bytes]:  # noqa: ANN401 - httpx2's own
        """A long answer, bit by bit."""
        try:
            with self._client.stream("GET", f"{API}/{path}", params=query) as answer:
                if not answer.is_success:
                    answer.read()
                    raise_problem(answer, self.url)
                yield from answer.iter_bytes()
        except httpx2.HTTPError as error:
            raise away(self.url, error) from error

    def streaming(self) -> httpx2.AsyncClient:
        """A client for streams, which may be silent for a while."""
        timeout = httpx2.Timeout(None, connect=CONNECT_SECONDS, read=ANSWER_SECONDS)
        return httpx2.AsyncClient(base_url=self.url, headers=self._headers, timeout=timeout)

    def close(self) -> None:
        """Ends the connections."""
        self._client.close()

    def _answer(self, method: str, path: str, **options: Any) -> bytes:  # noqa: ANN401 - httpx2's own
        headers = {"Content-Type": "application/json", **options.pop("headers", {})}
        try:
            answer = self._client.request(method, path, headers=headers, **options)
        except httpx2.HTTPError as error:
            raise away(self.url, error) from error
        if not answer.is_success:
            raise_problem(answer, self.url)
        if len(answer.content) > ANSWER_BYTES_MAX:
            raise LimitExceeded("the server's answer is too long", limit="ANSWER_BYTES_MAX")
        return answer.content


def away(url: str, error: Exception) -> Unreachable:
    """Says that nobody answers."""
    what = str(error) or type(error).__name__
    return Unreachable(f"the server {url} does not answer: {what}", help="does it run? `tow up` starts it")


def check_url(url: str) -> str:
    """The address of a server, without a slash at its end; refused where it would carry the token in the open."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise Refused(
            f"the address of a server is like https://tow.example.org, not {url!r}",
            help="give it with --server, or in TOW_SERVER",
        )
    is_open = parts.scheme == "http" and not _is_here(parts.hostname)
    if is_open and os.environ.get("TOW_UNSAFE_PLAIN_HTTP") != "1":
        raise Refused(
            f"other machines could read your token on its way to {url}",
            help="use https; TOW_UNSAFE_PLAIN_HTTP=1 does it nevertheless",
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def segment(text: str) -> str:
    """A text as one part of a path."""
    return quote(text, safe="")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def raise_problem(answer: httpx2.Response, url: str) -> NoReturn:
    """Raises the error that a server told (RFC 9457)."""
    try:
        told = json.loads(answer.content)
        problem: Mapping[str, Any] = told if isinstance(told, dict) else {}
    except ValueError:
        problem = {}
    raise error_of(answer.status_code, problem, url)


def error_of(status: int, problem: Mapping[str, Any], url: str) -> TowpathError:
    """The error behind a status and a problem."""
    title, help_text = str(problem.get("title", "")), str(problem.get("help", ""))
    message = str(problem.get("detail") or title or f"the server answered {status}")
    if not problem:
        return RemoteError(
            f"{url} answered {status}, and not as a Towpath server does",
            help="is this its address? A proxy in front of it may answer in its place",
        )
    listed = [str(one.get("problem") or one.get("message")) for one in problem.get("problems", ())]
    match status:
        case 401:
            return Refused(
                f"the server {url} does not know who you are",
                help=f"`tow login {url}` keeps a token; TOW_TOKEN gives one to a script",
            )
        case 413 | 429:
            return LimitExceeded(message, limit="of the server", help=help_text)
        case 422 if listed:
            return InputsInvalid(listed, help=help_text)
        case _:
            return _KINDS.get(status, Refused)(message, help=help_text)


_KINDS: Final[Mapping[int, type[TowpathError]]] = {
    403: NotAllowed,
    404: NotFound,
    422: AuthorError,
    500: RemoteError,
    502: RemoteError,
    503: StoreUnavailable,
    504: RemoteError,
}
"""Refused is every other one."""
