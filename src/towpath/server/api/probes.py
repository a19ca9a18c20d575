"""Whether the process lives, and whether it takes work: for load balancers and supervisors, who are told nothing else."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import PlainTextResponse

from towpath.server.call import Parts
from towpath.server.routing import PUBLIC, Routes

ROUTES = Routes(tag="probes")
_UNAVAILABLE = 503


@ROUTES.get("/healthz", permission=PUBLIC, response_class=PlainTextResponse)
async def live() -> PlainTextResponse:
    """Tell that the process lives: it answers, so its loop turns."""
    return PlainTextResponse("ok\n")


@ROUTES.get(
    "/readyz",
    permission=PUBLIC,
    response_class=PlainTextResponse,
    responses={
        _UNAVAILABLE: {"description": "It takes no work at the moment.", "content": {"text/plain": {}}}
    },
)
async def ready(request: Request) -> PlainTextResponse:
    """Tell whether work is taken: 503 while the server starts or stops, and while nothing can be written."""
    parts: Parts = request.app.state.parts
    if parts.pulse.refusal():
        return PlainTextResponse("not ready\n", _UNAVAILABLE)
    return PlainTextResponse("ok\n")
