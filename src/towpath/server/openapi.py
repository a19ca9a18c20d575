"""The description of the API: OpenAPI 3.1, complete enough to generate a client from, and to ask the server whatever it allows.

FastAPI gathers routes, parameters and models. What every route has in common is put in here, once: problems are problem+json and one
schema, a POST may carry an `Idempotency-Key`, whoever asks shows a token or a session, and each route says which permission it asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from towpath.server import once
from towpath.server.guarding import SESSION_COOKIE
from towpath.server.problems import MEDIA_TYPE, PROBLEM_ANSWERS, Problem
from towpath.store.requests import REQUESTS_KEPT_DAYS

Object = dict[str, Any]  # JSON
VERSION: Final = "3.1.0"
PROBLEM: Final = "Problem"
_PROBLEM_REF: Final = {"$ref": f"#/components/schemas/{PROBLEM}"}
_KEY_REF: Final = {"$ref": "#/components/parameters/IdempotencyKey"}
_UNKNOWN, _INVALID = "401", "422"
_UNUSED: Final = ("HTTPValidationError", "ValidationError")
TAGS: Final[Mapping[str, str]] = {
    "runs": "Runs are started, watched and acted upon.",
    "questions": "What people are asked, and what they say.",
    "workflows": "What can be run.",
    "versions": "How workflows changed, and which version runs take.",
    "events": "What came from outside, and what it started.",
    "hooks": "Where deliveries from outside arrive.",
    "schedule": "What comes next.",
    "environments": "Where runs go, and under which rules.",
    "streams": "What happens, while it happens: server-sent events, which go on where they broke off.",
    "outbox": "Who was told what, and whether it reached them.",
    "people": "Who is who, and who is on call.",
    "project": "What `towpath.yaml` says.",
    "secrets": "The names of secrets. Their values go in, and never out.",
    "audit": "Who did what to which run, and the proof that nobody changed the record of it.",
    "me": "Who asks, and what they may do.",
    "users": "Who may sign in.",
    "tokens": "What programs show.",
    "sessions": "Who is signed in.",
    "login": "Signing in.",
    "health": "Whether everything works.",
    "metrics": "What is measured.",
    "probes": "Whether the process lives, and takes work.",
}
"""What is said of each tag, in the order in which they are described."""
ABOUT: Final = f"""
The API does all that the command line does. Whoever asks shows a token (`Authorization: Bearer …`; `tow tokens create` makes one) or has a
session of the pages. `x-permission` of a route says what one must be allowed to do; lists leave out what whoever asks may not see.

Errors are [problem+json](https://www.rfc-editor.org/rfc/rfc9457): `detail` says what happened, `help` what to try, `problems` names each
wrong field.

A POST may carry an `Idempotency-Key`: sent again within {REQUESTS_KEPT_DAYS} days, by the same person and with the same body, it does
nothing again and is answered as it was. A run that was started with a key is never started a second time by it.

Lists come in pages: `next` of an answer is `before` (or `after`) of the next request, and null at the end.
"""
_KEY_PARAMETER: Final[Object] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A key of your own, such as a UUID: the same request with the same key is done once.",
    "schema": {"type": "string", "pattern": f"^[!-~]{{1,{once.KEY_CHARS_MAX}}}$"},
}
_SCHEMES: Final[Object] = {
    "token": {"type": "http", "scheme": "bearer", "description": "A token of `tow tokens create`."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION_COOKIE,
        "description": "The session of somebody who signed in with a browser.",
    },
}


def operation_id(route: APIRoute) -> str:
    """What an operation is called: its handler's name, which never changes; house tests see that no two are the same."""
    return route.name


def describe(server: FastAPI) -> Object:
    """The description of what *server* serves; made once."""
    if server.openapi_schema is None:
        made = get_openapi(
            title=server.title,
            version=server.version,
            summary=server.summary,
            description=ABOUT.strip(),
            openapi_version=VERSION,
            routes=server.routes,
        )
        server.openapi_schema = _completed(made)
    return server.openapi_schema


def operations(described: Object) -> Iterator[tuple[str, str, Object]]:
    """Every operation, with its method and its path."""
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _completed(described: Object) -> Object:
    parts = described.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    for name in _UNUSED:
        schemas.pop(name, None)
    schemas[PROBLEM] = Problem.model_json_schema()
    parts["securitySchemes"] = _SCHEMES
    parts["parameters"] = {"IdempotencyKey": _KEY_PARAMETER}
    used: set[str] = set()
    for method, path, operation in operations(described):
        used.update(operation.get("tags", ()))
        _complete(operation, is_api=path.startswith("/api/"), is_post=method == "POST")
    described["tags"] = [{"name": tag, "description": said} for tag, said in TAGS.items() if tag in used]
    return described


def _complete(operation: Object, *, is_api: bool, is_post: bool) -> None:
    for status, answer in operation["responses"].items():
        if status.isdecimal() and int(status) in PROBLEM_ANSWERS and not _is_our_own(answer):
            answer["content"] = {MEDIA_TYPE: {"schema": _PROBLEM_REF}}
    if operation.get("x-permission") != "public":
        operation["security"] = [{name: []} for name in _SCHEMES]
    if is_post and is_api:
        operation.setdefault("parameters", []).append(_KEY_REF)


def _is_our_own(answer: Object) -> bool:
    """Whether a route answers this status in its own way, and not with a problem."""
    content = answer.get("content", {})
    return bool(content) and not any(kind in (MEDIA_TYPE, "application/json") for kind in content)
