"""Versions of workflows: which there were, who wrote them, what they changed, how their runs did; promoted, and sent back."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import Path, Query
from pydantic import Field

from towpath.editions import history
from towpath.editions.history import Version
from towpath.errors import NotFound
from towpath.policy.access import Target
from towpath.server.api import catalogue, reach
from towpath.server.api.told import NUMBER_MAX, Asking, Told
from towpath.server.api.workflows import FoundProblem
from towpath.server.call import Asked, Call, Forbidden
from towpath.server.routing import Routes
from towpath.server.shapes import versions as shapes
from towpath.store.versions import CommitId, VersionId
from towpath.triggers.contract import Broken

ROUTES = Routes(prefix="/api/v1", tag="versions")
PAGE_MAX: Final = 200
COMMENT_CHARS_MAX: Final = 2_000
Digest = Annotated[
    str,
    Path(
        description="A version's digest, or its beginning.",
        min_length=6,
        max_length=64,
        pattern="^[0-9a-f]+$",
        examples=["9b74c9897bac"],
    ),
]


class VersionTrial(Told):
    """How the runs do that try a version."""

    runs_wanted: int = Field(description="How many are to try it.")
    runs_started: int = Field(description="How many do, or did.")
    runs_open: int = Field(description="How many of them have not ended.")
    runs_judged: int = Field(description="How many ended by themselves: those speak for it or against it.")
    runs_failed: int = Field(description="How many of those failed.")
    failure_rate: float = Field(description="Their share.")


class WorkflowVersion(Told):
    """A version of a workflow."""

    workflow: str = Field(description="The workflow.")
    digest: str = Field(description="sha256 of its text.")
    state: Literal["current", "canary", "aborted", "broken", "former"] = Field(
        description="Whether runs take it: all (`current`), some that try it (`canary`), none any more (`aborted`, `former`), "
        "or none because it does not load (`broken`)."
    )
    since: str = Field(description="Since when it has been so.")
    until: str | None = Field(description="When another one took its place.")
    path: str = Field(description="Its file, in the project.")
    commit: str | None = Field(description="The Git commit; null in a plain folder.")
    author: str = Field(description="Who edited it last.")
    authored_at: str | None = Field(description="When.")
    message: str = Field(description="What the commit says.")
    runs: int = Field(description="How many runs it had.")
    failed: int = Field(description="How many of them failed.")
    trial: VersionTrial | None = Field(description="How the runs do that try it.")
    decided_by: str | None = Field(
        description="Who promoted it or sent it back; `towpath` where its runs did."
    )
    because: str = Field(description="Why it is what it is.")
    problems: list[FoundProblem] = Field(description="Why it does not load.")


class VersionPage(Told):
    """Some versions, the newest first."""

    items: list[WorkflowVersion] = Field(description="The versions.")
    next: int | None = Field(
        default=None, description="`before` of the next page; null where this is the last."
    )


class VersionDiff(Told):
    """What lies between two versions."""

    old: str = Field(description="The digest of the one.")
    new: str = Field(description="The digest of the other.")
    diff: str = Field(description="A unified diff; empty where they are the same.")


class Settled(Asking):
    """Why a version is promoted, or sent back."""

    comment: str = Field(
        default="", max_length=COMMENT_CHARS_MAX, description="The reason, for those who ask later."
    )


class ProjectCommit(Told):
    """A commit of the project."""

    commit: str = Field(description="Its id.")
    state: Literal["current", "broken", "former"] = Field(
        description="Whether runs take it; a `broken` one does not load, and the one before goes on."
    )
    url: str = Field(description="The repository, without a password.")
    ref: str = Field(description="The branch or tag.")
    author: str = Field(description="Who wrote it.")
    authored_at: str = Field(description="When.")
    message: str = Field(description="What it says of itself.")
    since: str = Field(description="When it was found.")
    until: str | None = Field(description="When another one took its place.")
    told: str | None = Field(description="What its host was told: `success`, `failure`, or why nothing.")
    told_error: str = Field(description="Why the host could not be told.")
    problems: list[FoundProblem] = Field(description="Why it does not load.")


class CommitPage(Told):
    """Some commits, the newest first."""

    items: list[ProjectCommit] = Field(
        description="The commits; none where the project is not followed in Git."
    )
    next: int | None = Field(description="`before` of the next page; null where this is the last.")


Before = Annotated[int | None, Query(ge=1, le=NUMBER_MAX, description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="How many at most.")]


@ROUTES.get("/workflows/{workflow}/versions", permission="workflow.view", operation_id="list_versions")
def list_versions(
    call: Asked, workflow: catalogue.WorkflowName, before: Before = None, limit: Limit = 50
) -> VersionPage:
    """List the versions of a workflow: who wrote them, since when runs take them, how their runs did."""
    found = page_of(call, workflow, before=before, limit=limit)
    return VersionPage(
        items=[told(one) for one in found], next=found[-1].row.id if len(found) == limit else None
    )


@ROUTES.get("/versions", permission="workflow.view", operation_id="list_standing_versions")
def list_standing(call: Asked) -> VersionPage:
    """List the versions of all workflows that count now: those that runs take, those that are tried, and those that do not load."""
    seen = [one for one in history.all_standing(call.app.reader.versions) if _may_see(call, one.row.workflow)]
    return VersionPage(items=[told(one) for one in seen])


@ROUTES.get(
    "/workflows/{workflow}/versions/{digest}/diff",
    permission="workflow.view",
    operation_id="compare_versions",
)
def compare_versions(
    call: Asked,
    workflow: catalogue.WorkflowName,
    digest: Digest,
    against: Annotated[
        str,
        Query(
            max_length=64,
            pattern="^[0-9a-f]*$",
            description="Another version; the one before where it is left out.",
        ),
    ] = "",
) -> VersionDiff:
    """Show what a version of a workflow changed."""
    found = difference(call, workflow, digest, against)
    return VersionDiff(old=found.old.digest, new=found.new.digest, diff=found.text)


@ROUTES.post(
    "/workflows/{workflow}/versions/{digest}/promote",
    permission="workflow.release",
    operation_id="promote_version",
)
def promote_version(
    call: Asked, workflow: catalogue.WorkflowName, digest: Digest, body: Settled
) -> WorkflowVersion:
    """Have all runs take a version that is being tried, or was sent back. Done twice, it is refused the second time."""
    return settle(call, workflow, digest, promote=True, comment=body.comment)


@ROUTES.post(
    "/workflows/{workflow}/versions/{digest}/abort",
    permission="workflow.release",
    operation_id="abort_version",
)
def abort_version(
    call: Asked, workflow: catalogue.WorkflowName, digest: Digest, body: Settled
) -> WorkflowVersion:
    """Send a version back that is being tried: no run takes it until its file changes, or somebody promotes it."""
    return settle(call, workflow, digest, promote=False, comment=body.comment)


@ROUTES.get("/commits", permission="workflow.view", operation_id="list_commits")
def list_commits(call: Asked, before: Before = None, limit: Limit = 50) -> CommitPage:
    """List the commits of a project that is followed in Git, with why those that do not load do not."""
    call.allow("workflow.view")
    rows = call.app.reader.versions.commits(
        before=None if before is None else CommitId(before), rows_max=limit
    )
    return CommitPage(
        items=[ProjectCommit.model_validate(shapes.commit_object(row)) for row in rows],
        next=rows[-1].id if len(rows) == limit else None,
    )


def page_of(call: Call, workflow: str, *, before: int | None = None, limit: int = 50) -> tuple[Version, ...]:
    """The versions of a workflow that whoever asks may see."""
    allow(call, "workflow.view", workflow)
    return history.versions_of(
        call.app.reader.versions, workflow, before=None if before is None else VersionId(before), limit=limit
    )


def difference(call: Call, workflow: str, digest: str, against: str = "") -> history.Difference:
    """What lies between two versions."""
    allow(call, "workflow.view", workflow)
    reader = call.app.reader
    return history.difference(
        reader.versions, lambda one: reader.definition(one).text, workflow, digest, against=against
    )


def settle(call: Call, workflow: str, digest: str, *, promote: bool, comment: str = "") -> WorkflowVersion:
    """Promotes a version or sends it back; the starts after this take what follows from it."""
    allow(call, "workflow.release", workflow)
    versions = call.app.store.versions
    row = history.settle(
        versions, workflow, digest, promote=promote, by=call.by, comment=comment, at=call.app.now()
    )
    if call.app.keeper is not None:
        call.app.keeper.look_again()
    return told(history.with_runs(versions, row))


def show(call: Call, workflow: str, digest: str) -> WorkflowVersion:
    """One version, by its digest."""
    allow(call, "workflow.view", workflow)
    versions = call.app.reader.versions
    return told(history.with_runs(versions, versions.find(workflow, digest)))


def told(one: Version) -> WorkflowVersion:
    """A version as the API tells it."""
    return WorkflowVersion.model_validate(shapes.version_object(one.row, one.counts, one.tally))


def allow(call: Call, permission: str, workflow: str) -> None:
    """Raises Forbidden where whoever asks may not do this with a workflow, be it one that is gone; NotFound for one that never was."""
    try:
        one = catalogue.find(call, workflow)
    except NotFound:
        call.allow("workflow.view", Target(workflow=workflow))
        if not call.app.reader.versions.versions(workflow, rows_max=1):
            raise
        environment = None
    else:
        environment = None if isinstance(one, Broken) else one.workflow.environment
    if permission == "workflow.release" and (environment is None or "${{" in environment):
        # Whoever may release it in one environment only, may not where it runs in others too.
        call.allow(permission, Target(workflow=workflow))
    reach.allow_with(call, permission, workflow, environment)


def _may_see(call: Call, workflow: str) -> bool:
    try:
        allow(call, "workflow.view", workflow)
    except (Forbidden, NotFound):
        return False
    return True
