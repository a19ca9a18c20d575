"""The files that every page uses: one stylesheet, two scripts, one picture. They carry their content in their name and are kept for a year.

Only what stands in FILES is served; a path names nothing on the disk.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from starlette.responses import Response

from towpath.errors import NotFound
from towpath.server.routing import PUBLIC, Routes

ROUTES = Routes(is_page=True)
FOLDER: Final = Path(__file__).parent / "static"
FILES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "towpath.css": "text/css; charset=utf-8",
        "towpath.js": "text/javascript; charset=utf-8",
        "htmx.min.js": "text/javascript; charset=utf-8",
        "favicon.svg": "image/svg+xml",
    }
)
"""What there is, and what it is."""
KEPT_SECONDS: Final = 365 * 86_400
DIGEST_CHARS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFile:
    """One file, read once."""

    content: bytes
    media_type: str


@ROUTES.get("/static/{path:path}", permission=PUBLIC)
async def static_file(path: str) -> Response:
    """A file of the pages, by the name that `address` gives it."""
    found = _files().get(path)
    if found is None:
        raise NotFound("there is no such file", help="pages name the files that there are")
    headers = {"Cache-Control": f"public, max-age={KEPT_SECONDS}, immutable"}
    return Response(found.content, media_type=found.media_type, headers=headers)


@functools.cache
def address(name: str) -> str:
    """Where a file is found: `/static/towpath.3f2a….css`."""
    return f"/static/{_hashed_name(name)}"


@functools.cache
def _files() -> Mapping[str, StaticFile]:
    return {
        _hashed_name(name): StaticFile(content=(FOLDER / name).read_bytes(), media_type=media_type)
        for name, media_type in FILES.items()
    }


def _hashed_name(name: str) -> str:
    digest = hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()[:DIGEST_CHARS]
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.{digest}.{suffix}"
