"""The files that runs keep. They come from steps, so they are handed out as attachments, and nothing of them is shown or run."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import Path, Query
from fastapi.responses import StreamingResponse
from pydantic import Field

from towpath.server.api import finding
from towpath.server.api.runs import RunName
from towpath.server.api.told import Told
from towpath.server.call import Asked, Call
from towpath.server.routing import Routes
from towpath.server.shapes import artifacts as shapes
from towpath.store.contract import ArtifactRow, RunRow

ROUTES = Routes(prefix="/api/v1/runs", tag="runs")
NAME_CHARS_MAX: Final = 1_000
FILE_POLICY: Final = "default-src 'none'; sandbox"
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The file, as an attachment. One that is damaged is cut off before its end.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class Artifact(Told):
    """A file that a step kept with its run."""

    name: str = Field(description="Its name, with the folders in which it lay.", examples=["report.html"])
    step: str = Field(description="The step that kept it.")
    attempt: int = Field(description="Which attempt of it.")
    size: int = Field(description="Its bytes.")
    sha256: str = Field(description="The digest of its bytes.")
    kept_at: str = Field(description="When it was kept.")


class ArtifactList(Told):
    """The files of a run, in the order in which they were kept."""

    items: list[Artifact] = Field(description="The files.")


@ROUTES.get("/{run}/artifacts", permission="artifact.view", operation_id="list_artifacts")
def list_artifacts(
    call: Asked,
    run: RunName,
    step: Annotated[
        str | None, Query(max_length=NAME_CHARS_MAX, description="Only what this step kept.")
    ] = None,
) -> ArtifactList:
    """List the files that a run kept."""
    row = finding.find_run(call, run, "artifact.view")
    return ArtifactList(
        items=[Artifact.model_validate(shapes.artifact_object(one)) for one in _kept(call, row, step)]
    )


@ROUTES.get(
    "/{run}/artifacts/{name:path}",
    permission="artifact.view",
    operation_id="fetch_artifact",
    response_class=StreamingResponse,
    response_model=None,
    responses=_ANSWERS,
)
def fetch_artifact(
    call: Asked,
    run: RunName,
    name: Annotated[
        str, Path(max_length=NAME_CHARS_MAX, description="Its name, the end of its name, or its digest.")
    ],
    step: Annotated[
        str | None, Query(max_length=NAME_CHARS_MAX, description="Only what this step kept.")
    ] = None,
) -> StreamingResponse:
    """Fetch a file that a run kept, as an attachment."""
    row = finding.find_run(call, run, "artifact.view")
    one = shapes.newest(_kept(call, row, step), name)
    call.app.artifacts.path(one.digest)  # one that is gone is told before the answer begins
    return StreamingResponse(
        _whole(call.app.artifacts.read(one.digest)),
        media_type="application/octet-stream",
        headers={
            "Content-Length": str(one.size),
            "Content-Disposition": disposition(one.name),
            "Content-Security-Policy": FILE_POLICY,
            "ETag": f'"{one.digest}"',
        },
    )


def _kept(call: Call, row: RunRow, step: str | None) -> list[ArtifactRow]:
    return [one for one in call.app.reader.artifacts(row.number) if step is None or one.path == step]


def _whole(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces, each held back until the next one is there: the last is not sent where the whole turns out to be damaged."""
    held = b""
    for piece in pieces:
        if held:
            yield held
        held = piece
    yield held


def disposition(name: str) -> str:
    """The header that has a browser keep a file under the last part of *name* (RFC 6266), whatever that holds."""
    last = posixpath.basename(name) or "file"
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._- ") else "_" for c in last)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(last, safe='')}"
