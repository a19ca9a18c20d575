"""The workflows of the project, as far as whoever asks may see them: all of them, and one by its name.

A name from outside is only ever looked up among the names of the project's workflows; it never becomes a path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from fastapi import Path

from towpath.definition import loader
from towpath.definition.loader import Checked, Loaded
from towpath.errors import NotFound
from towpath.policy.access import Target
from towpath.server.api import reach
from towpath.server.call import Call, Forbidden
from towpath.triggers.contract import Broken, Listener

WorkflowName = Annotated[
    str, Path(description="A workflow's name.", min_length=1, max_length=128, examples=["release"])
]


def workflows(call: Call) -> Iterator[tuple[str, Loaded | Broken]]:
    """Every workflow that whoever asks may see, in the order of names; one that does not load is called like its file."""
    known = call.app.listening.workflows()
    for name in sorted(known):
        if may_see(call, known[name]):
            yield name, known[name]


def listeners(call: Call) -> Mapping[str, Listener]:
    """What every workflow that loads listens to, by its name; worked out once for all of them."""
    known = (one for one in call.app.listening.listeners() if isinstance(one, Listener))
    return {one.workflow.name: one for one in known}


def may_see(call: Call, one: Loaded | Broken) -> bool:
    """Whether whoever asks may see a workflow."""
    if isinstance(one, Broken):
        # Nobody knows its environment: a grant for some environments is not enough.
        return call.may("workflow.view", Target(workflow=one.name))
    return reach.may_with(call, "workflow.view", one.workflow.name, one.workflow.environment)


def find(call: Call, name: str) -> Loaded | Broken:
    """A workflow by its name, whether it loads or not; raises NotFound or Forbidden."""
    known: Mapping[str, Loaded | Broken] = call.app.listening.workflows()
    found = known.get(name)
    if found is None:
        if not call.may("workflow.view"):
            raise Forbidden(f"{call.by} may not see a workflow {name!r} (workflow.view)")
        raise NotFound(f"there is no workflow {name!r}", help="GET /api/v1/workflows lists them")
    if isinstance(found, Broken):
        call.allow("workflow.view", Target(workflow=name))
    else:
        reach.allow_with(call, "workflow.view", name, found.workflow.environment)
    return found


def load(call: Call, name: str) -> Loaded:
    """A workflow by its name; raises NotFound, Forbidden, or DefinitionProblems where it does not load."""
    found = find(call, name)
    if isinstance(found, Loaded):
        return found
    return call.app.find(found.path)


def check(call: Call, text: str, path: str) -> Checked:
    """Everything that there is to say about a text, as a workflow of this project.

    What it names is compared with the project's workflows, environments and people only for whoever may see them all: what is said about
    a slip of the pen names others that are like it.
    """
    project = call.app.project if call.may("workflow.view") else None
    return loader.check_workflow(text, path=path, project=project, cards=call.app.cards)
