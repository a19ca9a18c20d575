"""The project: what towpath.yaml says, without anything that could be a secret, and what is wrong with it."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import Field

from towpath.definition import loader
from towpath.definition.project import ProjectFile
from towpath.definition.projects import PROJECT_FILE
from towpath.server.api.told import Json, Told
from towpath.server.api.workflows import FoundProblem, problem_object
from towpath.server.call import Asked, Call
from towpath.server.routing import Routes

ROUTES = Routes(prefix="/api/v1/project", tag="project")
HIDDEN: Final = "…"
"""Stands where an address or a value may hold a secret."""


class Project(Told):
    """A project."""

    name: str | None = Field(description="Its name.")
    title: str | None = Field(description="What people are shown.")
    workflows: int = Field(description="How many workflow files it has.")
    is_good: bool = Field(
        description="Whether towpath.yaml and all workflows load; what does not, is as it was before."
    )
    problems: list[FoundProblem] = Field(
        description="What is wrong with it; for whoever may see people and environments."
    )
    file: dict[str, Json] | None = Field(
        description="What it says; addresses of channels and values of variables are left out. Null for whoever may not see all of it."
    )


@ROUTES.get("", permission="workflow.view", operation_id="show_project")
def show_project(call: Asked) -> Project:
    """Show what towpath.yaml says and what is wrong with it."""
    file = call.app.project_file()
    sees_all = all(call.may(one) for one in ("workflow.view", "people.view", "environment.view"))
    problems = _problems(call)
    return Project(
        name=file.name,
        title=file.title,
        workflows=len(call.app.project.workflow_files()),
        is_good=not any(one.severity == "error" for one in problems),
        problems=problems if sees_all else [],
        file=tellable(file) if sees_all else None,
    )


def _problems(call: Call) -> list[FoundProblem]:
    if call.app.keeper is not None:
        found = call.app.keeper.state.problems
        return [FoundProblem.model_validate(problem_object(one)) for one in found]
    path = call.app.settings.project / PROJECT_FILE
    if not path.is_file():
        return []
    _, problems = loader.check_project(path, path=PROJECT_FILE)
    return [FoundProblem.model_validate(problem_object(one)) for one in problems]


def tellable(said: ProjectFile) -> dict[str, Any]:
    """The file as it may be told: a URL may hold a token, and a variable a password that should have been a secret."""
    file = said.model_dump(mode="json", by_alias=True, exclude_unset=True)
    for channel in file.get("channels", {}).values():
        if "url" in channel:
            channel["url"] = _without_secrets(channel["url"])
    for environment in file.get("environments", {}).values():
        environment["vars"] = dict.fromkeys(environment.get("vars", {}), HIDDEN)
    engine = file.get("engine", {})
    if "database" in engine:
        engine["database"] = _without_secrets(engine["database"])
    for user in file.get("people", {}).get("users", {}).values():
        user.pop("contact", None)
    return file


def _without_secrets(url: str) -> str:
    """Where a URL goes, without user, path and query."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return HIDDEN
    return f"{parts.scheme}://{host or ''}/{HIDDEN}"
