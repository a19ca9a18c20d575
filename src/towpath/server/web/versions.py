"""The versions of a workflow: a list, and each with what it changed; one that is tried is promoted or sent back from here."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from fastapi import Form, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, Response

from towpath.errors import NotFound, Refused, TowpathError
from towpath.policy.access import Target
from towpath.server.api import catalogue, versions
from towpath.server.api.told import NUMBER_MAX
from towpath.server.api.versions import COMMENT_CHARS_MAX, Digest, WorkflowVersion
from towpath.server.call import Asked, Call, Forbidden
from towpath.server.routing import Routes
from towpath.server.web import pages

ROUTES = Routes(is_page=True)
PAGE_VERSIONS: Final = 30
DIFF_LINES_MAX: Final = 5_000
"""Lines of a difference that a page shows."""
_CONFLICT: Final = 409


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffLine:
    """One line of a difference."""

    text: str
    tone: Literal["add", "cut", "at", ""]


@ROUTES.get("/workflows/{workflow}/versions", permission="workflow.view")
def list_versions(
    call: Asked,
    workflow: catalogue.WorkflowName,
    before: Annotated[int | None, Query(ge=1, le=NUMBER_MAX)] = None,
) -> HTMLResponse:
    """The versions of a workflow, the newest first."""
    found = versions.page_of(call, workflow, before=before, limit=PAGE_VERSIONS)
    path = f"/workflows/{pages.path_part(workflow)}/versions"
    older = pages.address(path, before=found[-1].row.id) if len(found) == PAGE_VERSIONS else ""
    return pages.page(
        call,
        "versions.html",
        title=f"Versions of {workflow}",
        section="workflows",
        workflow=workflow,
        items=[versions.told(one) for one in found],
        older=older,
        newer=path if before else "",
        micros=micros,
        may_release=_may_release(call, workflow),
    )


@ROUTES.get("/workflows/{workflow}/versions/{digest}", permission="workflow.view")
def show_version(
    call: Asked,
    workflow: catalogue.WorkflowName,
    digest: Digest,
    against: Annotated[str, Query(max_length=64, pattern="^[0-9a-f]*$")] = "",
) -> HTMLResponse:
    """One version, and what it changed."""
    return _page(call, workflow, digest, against=against)


@ROUTES.post("/workflows/{workflow}/versions/{digest}/promote", permission="workflow.release")
async def promote(
    call: Asked,
    workflow: catalogue.WorkflowName,
    digest: Digest,
    comment: Annotated[str, Form(max_length=COMMENT_CHARS_MAX)] = "",
) -> Response:
    """Has all runs take a version."""
    return await run_in_threadpool(_settle, call, workflow, digest, comment, promote=True)


@ROUTES.post("/workflows/{workflow}/versions/{digest}/abort", permission="workflow.release")
async def abort(
    call: Asked,
    workflow: catalogue.WorkflowName,
    digest: Digest,
    comment: Annotated[str, Form(max_length=COMMENT_CHARS_MAX)] = "",
) -> Response:
    """Sends a version back."""
    return await run_in_threadpool(_settle, call, workflow, digest, comment, promote=False)


def micros(stamp: str) -> int:
    """A moment of the API as the filters of pages take it."""
    return round(datetime.datetime.fromisoformat(stamp).timestamp() * 1_000_000)


def _settle(call: Call, workflow: str, digest: str, comment: str, *, promote: bool) -> Response:
    try:
        versions.settle(call, workflow, digest, promote=promote, comment=comment.strip())
    except Refused as error:
        if isinstance(error, Forbidden):
            raise
        return _page(call, workflow, digest, refused=error)
    return pages.see_other(f"/workflows/{pages.path_part(workflow)}/versions")


def _page(
    call: Call, workflow: str, digest: str, *, against: str = "", refused: TowpathError | None = None
) -> HTMLResponse:
    it = versions.show(call, workflow, digest)
    lines, old = _difference(call, workflow, it, against)
    return pages.page(
        call,
        "version.html",
        status=200 if refused is None else _CONFLICT,
        title=f"Version {it.digest[:12]} of {workflow}",
        section="workflows",
        workflow=workflow,
        it=it,
        lines=lines[:DIFF_LINES_MAX],
        lines_more=max(0, len(lines) - DIFF_LINES_MAX),
        old=old,
        micros=micros,
        may_release=_may_release(call, workflow) and it.until is None and it.state in ("canary", "aborted"),
        refused=refused,
    )


def _difference(call: Call, workflow: str, it: WorkflowVersion, against: str) -> tuple[list[DiffLine], str]:
    try:
        found = versions.difference(call, workflow, it.digest, against)
    except NotFound:
        return [], ""  # it is the first one
    return [DiffLine(text=text, tone=_tone(text)) for text in found.text.splitlines()], found.old.digest


def _tone(text: str) -> Literal["add", "cut", "at", ""]:
    if text.startswith(("+++", "---", "@@")):
        return "at"
    tones: dict[str, Literal["add", "cut"]] = {"+": "add", "-": "cut"}
    return tones.get(text[:1], "")


def _may_release(call: Call, workflow: str) -> bool:
    return call.may("workflow.release", Target(workflow=workflow)) or call.may_at_all("workflow.release")
