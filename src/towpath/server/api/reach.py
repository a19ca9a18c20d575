"""Whether somebody may do something with a workflow wherever it runs, or in an environment whatever runs there.

A grant may be limited to workflows and to environments. Some things are about one of the two only: the rules of an environment, the file of
a workflow. There the other limit does not count.
"""

from __future__ import annotations

from towpath.policy.access import Target
from towpath.server.call import Call, Forbidden


def may_in(call: Call, permission: str, environment: str) -> bool:
    """Whether whoever asks may do this in an environment, for any workflow."""
    # A pattern stands for the workflows that it fits, and itself fits itself.
    patterns = {one for grant in call.app.project_file().access.grants for one in grant.workflows}
    return any(
        call.may(permission, Target(workflow=workflow, environment=environment))
        for workflow in ("", *sorted(patterns))
    )


def may_with(call: Call, permission: str, workflow: str, environment: str | None) -> bool:
    """Whether whoever asks may do this with a workflow; where it does not say its environment, in any of them."""
    if environment is not None and "${{" not in environment:
        return call.may(permission, Target(workflow=workflow, environment=environment))
    return any(
        call.may(permission, Target(workflow=workflow, environment=one))
        for one in ("", *call.app.project_file().environments)
    )


def allow_in(call: Call, permission: str, environment: str) -> None:
    """Raises Forbidden where whoever asks may not do this in an environment."""
    if not may_in(call, permission, environment):
        call.allow(permission, Target(environment=environment))


def allow_with(call: Call, permission: str, workflow: str, environment: str | None) -> None:
    """Raises Forbidden where whoever asks may not do this with a workflow."""
    if not may_with(call, permission, workflow, environment):
        call.allow(permission, Target(workflow=workflow, environment=environment or ""))
        raise Forbidden(f"{call.by} may not do this with {workflow} ({permission})")
