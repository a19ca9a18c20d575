"""The definitions that runs started with. They are kept for as long as a run needs them, whatever happens to the files."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import Field

from towpath.policy.access import Target
from towpath.server.api.told import Told
from towpath.server.call import Asked
from towpath.server.routing import Routes

ROUTES = Routes(prefix="/api/v1/definitions", tag="runs")


class Definition(Told):
    """A text that runs started with."""

    digest: str = Field(description="The sha256 of the text.")
    workflow: str = Field(description="The workflow that it defines.")
    path: str | None = Field(description="The file that it came from.")
    commit: str | None = Field(description="The Git commit that it came from.")
    text: str = Field(description="The text.")


@ROUTES.get("/{digest}", permission="workflow.view", operation_id="show_definition")
def show_definition(
    call: Asked,
    digest: Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="The sha256 of its text, in hex.")],
) -> Definition:
    """Show a definition that a run started with."""
    found = call.app.reader.definition(digest)
    workflow = call.app.plans.of(found).workflow.name
    call.allow("workflow.view", Target(workflow=workflow))
    return Definition(
        digest=found.digest, workflow=workflow, path=found.path, commit=found.commit, text=found.text
    )
