"""The ASGI application: every route of the API and every page, behind the same doors.

The doors, from the outside in: whose name the request calls us by (`Host`, against DNS rebinding), how long its body may be, whether a
browser sent it from another site (`guarding`), then the route's own permission (`routing`).
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence
from typing import Final

from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware

import towpath
from towpath.server import guarding, once, openapi, problems, routing
from towpath.server.call import Parts
from towpath.server.routing import Declared, Routes
from towpath.server.web import login, pages

API_PREFIX: Final = "/api/v1"
OPENAPI_PATH: Final = "/api/openapi.json"
MODULES: Final = (
    "towpath.server.api.hooks",
    "towpath.server.api.metrics",
    "towpath.server.api.probes",
    "towpath.server.api.runs",
    "towpath.server.api.acts",
    "towpath.server.api.rehearsals",
    "towpath.server.api.audit",
    "towpath.server.api.graphs",
    "towpath.server.api.logs",
    "towpath.server.api.streams",
    "towpath.server.api.rows",
    "towpath.server.api.artifacts",
    "towpath.server.api.evidence",
    "towpath.server.api.definitions",
    "towpath.server.api.questions",
    "towpath.server.api.answering",
    "towpath.server.api.workflows",
    "towpath.server.api.versions",
    "towpath.server.api.events",
    "towpath.server.api.schedule",
    "towpath.server.api.environments",
    "towpath.server.api.outbox",
    "towpath.server.api.people",
    "towpath.server.api.project",
    "towpath.server.api.secrets",
    "towpath.server.api.health",
    "towpath.server.api.me",
    "towpath.server.api.users",
    "towpath.server.api.tokens",
    "towpath.server.api.sessions",
    "towpath.server.api.login",
    "towpath.server.web.inbox",
    "towpath.server.web.login",
    "towpath.server.web.events",
    "towpath.server.web.schedule",
    "towpath.server.web.environments",
    "towpath.server.web.audit",
    "towpath.server.web.settings",
    "towpath.server.web.upkeep",
    "towpath.server.web.home",
    "towpath.server.web.run",
    "towpath.server.web.run_logs",
    "towpath.server.web.acts",
    "towpath.server.web.runs",
    "towpath.server.web.workflows",
    "towpath.server.web.versions",
    "towpath.server.web.static",
)
"""Every module with a `ROUTES`, in the order in which the API's description lists them; pages last."""


def make_server(parts: Parts, *, hosts: Sequence[str] = ("*",)) -> FastAPI:
    """The application of *parts*, which answers to *hosts*; raises BugError where a route does not say who may use it."""
    server = FastAPI(
        title="Towpath",
        version=towpath.__version__,
        summary="Workflows for hosting and IT operations",
        openapi_url=OPENAPI_PATH,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=openapi.operation_id,
    )
    server.openapi = functools.partial(openapi.describe, server)  # type: ignore[method-assign] # FastAPI's own way
    server.state.parts = parts
    server.state.error_page = pages.error_page
    server.state.login_page = login.refused_page
    declared: dict[str, Declared] = {}
    for routes in all_routes():
        routing.include(server, routes)
        declared.update({one.name: one for one in routes.declared})
    routing.check_served(server, declared)
    problems.install(server)
    server.add_middleware(once.DoneOnce, parts=parts)
    server.add_middleware(guarding.Guarding)
    server.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    return server


def all_routes() -> tuple[Routes, ...]:
    """The routes of every module."""
    found: list[Routes] = [importlib.import_module(name).ROUTES for name in MODULES]
    return tuple(found)
