"""Routes, each with what one must be allowed to do: one that does not say so stops the start of the server.

A module of `api` or of `web` collects its routes in one `Routes`; `making` puts them all into one ASGI application. Before a handler is
called, whoever asks is known and has the route's permission for something at least; the handler asks again for what it finds.

A plain `def` is called in a thread and may read the store; an `async def` runs in the engine's loop and must not block.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from towpath.errors import BugError
from towpath.policy.access import PERMISSIONS
from towpath.server.call import Call, Parts, Unauthenticated
from towpath.server.problems import PROBLEM_ANSWERS

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Handler = TypeVar("Handler", bound=Callable[..., Any])

SIGNED_IN: Final = "signed-in"
"""Whoever is known, whatever they may do: their own name and their own tokens."""
PUBLIC: Final = "public"
"""Anybody at all. Such a route is named in PUBLIC_ROUTES too."""
PUBLIC_ROUTES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "GET /healthz": "whether the process lives; says nothing else",
        "GET /readyz": "whether it takes work; says nothing else",
        "GET /login": "the page on which one signs in",
        "POST /login": "signing in with a one-time link or a token, which it verifies itself",
        "GET /login/oidc": "on the way to the identity provider",
        "GET /login/oidc/back": "on the way back, verified by state, nonce and PKCE",
        "POST /hooks/{path:path}": "deliveries from outside, verified by their own signatures",
        "GET /static/{path:path}": "the stylesheet, scripts and fonts, the same for everybody",
        "GET /api/openapi.json": "what the API looks like, the same for everybody",
    }
)
"""Every route that anybody may use, and why. The documentation prints it, and a test compares it with what is served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One route, as its module declares it."""

    method: Method
    path: str
    permission: str
    handler: Callable[..., Any]
    options: Mapping[str, Any]
    """What FastAPI is told besides: the status, the summary, …"""
    is_page: bool

    @property
    def name(self) -> str:
        """`GET /api/v1/runs`."""
        return f"{self.method} {self.path}"


@dataclass(slots=True, kw_only=True)
class Routes:
    """The routes of one noun, or of one page."""

    prefix: str = ""
    tag: str = ""
    """Under which the API's description lists them."""
    is_page: bool = False
    """Pages are not part of the API: they are HTML, and errors in them are pages too."""
    declared: list[Declared] = field(default_factory=list)

    def get(self, path: str, *, permission: str, **options: Any) -> Callable[[Handler], Handler]:  # noqa: ANN401 - FastAPI's own
        """A route that only reads: it decides nothing and changes nothing."""
        return self.add("GET", path, permission=permission, **options)

    def post(self, path: str, *, permission: str, **options: Any) -> Callable[[Handler], Handler]:  # noqa: ANN401 - as above
        """A route that makes something or does something."""
        return self.add("POST", path, permission=permission, **options)

    def put(self, path: str, *, permission: str, **options: Any) -> Callable[[Handler], Handler]:  # noqa: ANN401 - as above
        """A route that sets something to what is said."""
        return self.add("PUT", path, permission=permission, **options)

    def delete(self, path: str, *, permission: str, **options: Any) -> Callable[[Handler], Handler]:  # noqa: ANN401 - as above
        """A route that takes something away."""
        return self.add("DELETE", path, permission=permission, **options)

    def add(
        self,
        method: Method,
        path: str,
        *,
        permission: str,
        **options: Any,  # noqa: ANN401 - FastAPI's own
    ) -> Callable[[Handler], Handler]:
        """Declares a route."""

        def declare(handler: Handler) -> Handler:
            self.declared.append(
                Declared(
                    method=method,
                    path=self.prefix + path,
                    permission=permission,
                    handler=handler,
                    options=MappingProxyType({"tags": [self.tag], **options} if self.tag else options),
                    is_page=self.is_page,
                )
            )
            return handler

        return declare


def include(server: FastAPI, routes: Routes) -> None:
    """Puts the routes of a module into the application; raises BugError for one that does not say who may use it."""
    for one in routes.declared:
        _check(one)
        api = {} if one.is_page else {"responses": {**PROBLEM_ANSWERS, **one.options.get("responses", {})}}
        page = {"include_in_schema": False, "response_model": None} if one.is_page else {}
        server.router.add_api_route(
            one.path,
            one.handler,
            methods=[one.method],
            route_class_override=APIRoute if one.permission == PUBLIC else _guarded(one.permission),
            openapi_extra=None if one.is_page else {"x-permission": one.permission},
            **{**page, **one.options, **api},
        )


def check_served(server: FastAPI, declared: Mapping[str, Declared]) -> None:
    """Raises BugError where the application serves anything that was not declared: nothing gets in beside the table."""
    for route in server.routes:
        for name in _names_of(route):
            if name not in declared and name not in PUBLIC_ROUTES:
                raise BugError(f"{name} is served, and nobody has said who may use it")


def _check(one: Declared) -> None:
    if one.permission == PUBLIC:
        if one.name not in PUBLIC_ROUTES:
            raise BugError(f"{one.name} is public, and PUBLIC_ROUTES does not say why")
    elif one.permission != SIGNED_IN and one.permission not in PERMISSIONS:
        raise BugError(f"{one.name} asks for {one.permission!r}, and there is no such permission")


def _names_of(route: BaseRoute) -> list[str]:
    if isinstance(route, Mount):
        return [f"GET {route.path}/{{path:path}}"]
    if isinstance(route, Route):
        return [f"{method} {route.path}" for method in sorted(route.methods or ()) if method != "HEAD"]
    return [f"? {getattr(route, 'path', route)}"]


def _guarded(permission: str) -> type[APIRoute]:
    """Routes that are asked about before anything of the request is read: nobody has a body parsed who may not come in."""
    guard = _guard(permission)

    class Guarded(APIRoute):
        """A route behind its guard."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            """The handler, behind the guard."""
            handle = super().get_route_handler()

            async def guarded(request: Request) -> Response:
                await guard(request)
                return await handle(request)

            return guarded

    return Guarded


def _guard(permission: str) -> Callable[[Request], Any]:
    """Lets in whoever is known and has the permission for something."""

    async def guard(request: Request) -> None:
        parts: Parts = request.app.state.parts
        visitor = await run_in_threadpool(parts.identity.visitor_of, request)
        if visitor is None:
            raise Unauthenticated(
                "nobody knows who you are",
                help="sign in at /login, or send a token: `Authorization: Bearer …` (`tow tokens create` makes one)",
            )
        call = Call(parts=parts, visitor=visitor)
        if permission != SIGNED_IN:
            call.allow_at_all(permission)
        request.state.call = call

    return guard
