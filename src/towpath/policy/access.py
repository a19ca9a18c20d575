"""Who may do what: one question that page, API and command line ask alike.

Somebody acts; what they want to do is a permission (`run.start`); it is about something (a workflow, in an environment). The project's
`access:` grants roles to people, a role is a list of permissions. Whatever is not granted is denied, with the reason. A token may do
less than its owner, never more.

Whether somebody may decide a question is not asked here: the question names its people (`people.authority`). `question.answer` only lets
them speak at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, TypeAlias

from towpath.definition.project import Access, Grant

PERMISSIONS: Final[Mapping[str, str]] = {
    "artifact.view": "list and fetch the files that runs keep",
    "audit.view": "read who did what, and verify the record",
    "environment.view": "see environments, their rules and who is in them",
    "event.add": "hand in an event from outside",
    "event.replay": "have an event looked at once more",
    "event.view": "see what came from outside, and what it started",
    "health.view": "see whether everything works, in detail",
    "log.view": "read what steps printed",
    "outbox.view": "see who was told what",
    "people.view": "see users, groups, rotas and who is on call",
    "question.answer": "answer questions that go to them, claim them, hand them over, comment",
    "question.remind": "have people reminded",
    "question.view": "see what is asked",
    "run.cancel": "stop a run, or one of its steps",
    "run.retry": "go on from where a run failed, repeat it, take it over",
    "run.rollback": "undo what a run did",
    "run.signal": "send a signal to a run",
    "run.skip": "pass over a step",
    "run.start": "start runs",
    "run.start_break_glass": "start an emergency change, past every gate",
    "run.view": "see runs, their steps and what they handed on",
    "secret.set": "keep and remove secrets of the encrypted store",
    "token.manage": "make and revoke tokens of others",
    "user.manage": "make and disable users, make login links, end the sessions of others",
    "workflow.release": "promote a version that is being tried, or send it back",
    "workflow.view": "see workflows and their versions",
}
"""Every permission, and what it lets somebody do."""

_VIEWS: Final = (
    "artifact.view",
    "environment.view",
    "event.view",
    "log.view",
    "people.view",
    "question.view",
    "run.view",
    "workflow.view",
)
_RUNS: Final = ("run.cancel", "run.retry", "run.rollback", "run.signal", "run.skip", "run.start")
BUILT_IN: Final[Mapping[str, tuple[str, ...]]] = {
    "viewer": _VIEWS,
    "operator": ("*.view", *_RUNS, "question.*", "event.*"),
    "author": ("*.view", "run.*", "question.*", "event.*", "workflow.*"),
    "admin": ("*",),
}
"""The roles that every project has. An operator does not break the glass; an author does; an admin does everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Somebody who wants something."""

    name: str
    """`user:ada`, `service:deployer`."""
    principals: frozenset[str]
    """All whom grants may name: the name itself, the groups, the rotas of this moment."""
    scope: tuple[str, ...] = ("*",)
    """What the token that they came with may be used for, at most."""
    is_owner: bool = False
    """Whoever runs the process: may do everything, whatever is granted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What it is about."""

    workflow: str = ""
    environment: str = ""


ANYTHING: Final = Target()
"""Nothing in particular: the whole project."""


@dataclass(frozen=True, slots=True)
class Allow:
    """It may happen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny:
    """It may not."""

    reason: str
    help: str = ""


Verdict: TypeAlias = Allow | Deny


def authorize(access: Access, actor: Actor, permission: str, target: Target = ANYTHING) -> Verdict:
    """Whether *actor* may do this with *target*."""
    assert permission in PERMISSIONS, permission
    if not covers(actor.scope, permission):
        return Deny(
            reason=f"this token may not be used for {permission}", help=f"it is for {', '.join(actor.scope)}"
        )
    if actor.is_owner or any(_applies(access, grant, actor, permission, target) for grant in access.grants):
        return Allow()
    about = f" of {target.workflow}" if target.workflow else ""
    where = f" in {target.environment}" if target.environment else ""
    return Deny(
        reason=f"{actor.name} may not {PERMISSIONS[permission]} ({permission}{about}{where})",
        help="`access: grants:` in towpath.yaml says who may",
    )


def authorize_at_all(access: Access, actor: Actor, permission: str) -> Verdict:
    """Whether there is anything that *actor* may do this with: asked before it is known what it is about."""
    assert permission in PERMISSIONS, permission
    if not covers(actor.scope, permission):
        return authorize(access, actor, permission)
    if actor.is_owner or any(_grants(access, grant, actor, permission) for grant in access.grants):
        return Allow()
    return authorize(access, actor, permission)


def roles_of(access: Access, actor: Actor) -> tuple[str, ...]:
    """The roles that somebody has anywhere, in the order of the project's file."""
    return tuple(dict.fromkeys(grant.role for grant in access.grants if actor.principals & set(grant.to)))


def unknown_permissions(patterns: Iterable[str]) -> tuple[str, ...]:
    """Those that stand for no permission at all: a slip of the pen that would grant nothing."""
    return tuple(
        pattern for pattern in patterns if not any(fnmatchcase(known, pattern) for known in PERMISSIONS)
    )


def _applies(access: Access, grant: Grant, actor: Actor, permission: str, target: Target) -> bool:
    return (
        _grants(access, grant, actor, permission)
        and (not grant.workflows or any(fnmatchcase(target.workflow, one) for one in grant.workflows))
        and (not grant.environments or target.environment in grant.environments)
    )


def _grants(access: Access, grant: Grant, actor: Actor, permission: str) -> bool:
    """Whether a grant gives somebody this permission, for whatever it is about."""
    return bool(actor.principals & set(grant.to)) and covers(permissions_of(access, grant.role), permission)


def permissions_of(access: Access, role: str) -> tuple[str, ...]:
    """What a role may do: the project's own, or a built-in one; nothing where there is no such role."""
    own = access.roles.get(role)
    return BUILT_IN.get(role, ()) if own is None else own.permissions


def covers(patterns: Iterable[str], permission: str) -> bool:
    """Whether a scope, or a role, holds a permission or a narrower pattern."""
    return any(fnmatchcase(permission, pattern) for pattern in patterns)
