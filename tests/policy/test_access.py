"""Whatever is not granted is denied, with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from towpath.definition.project import Access
from towpath.policy.access import (
    BUILT_IN,
    PERMISSIONS,
    Actor,
    Allow,
    Deny,
    Target,
    authorize,
    permissions_of,
    roles_of,
    unknown_permissions,
)

SHOP = Target(workflow="release_shop", environment="staging")
LIVE = Target(workflow="release_shop", environment="production")
ACCESS = Access.model_validate(
    {
        "roles": {"releaser": ["run.start", "run.cancel"], "night": {"permissions": ["run.*"]}},
        "grants": [
            {"role": "viewer", "to": ["group:all"]},
            {"role": "releaser", "to": ["user:ann"], "workflows": ["release_*"], "environments": ["staging"]},
            {"role": "night", "to": ["oncall:platform"]},
            {"role": "admin", "to": ["user:root"]},
            {"role": "missing", "to": ["user:bob"]},
        ],
    }
)


def actor(*principals: str, **different: Any) -> Actor:
    """Somebody of group all who is also these."""
    return Actor(name=principals[0], principals=frozenset({"group:all", *principals}), **different)


ANN, BOB, ROOT = actor("user:ann"), actor("user:bob"), actor("user:root")
CASES = [
    (BOB, "run.view", LIVE, True),
    (BOB, "run.start", LIVE, False),
    (BOB, "audit.view", LIVE, False),
    (ANN, "run.start", SHOP, True),
    (ANN, "run.start", LIVE, False),
    (ANN, "run.start", Target(workflow="backup", environment="staging"), False),
    (ANN, "run.start", Target(workflow="release_shop"), False),
    (ANN, "run.rollback", SHOP, False),
    (actor("user:cy", "oncall:platform"), "run.rollback", LIVE, True),
    (ROOT, "token.manage", LIVE, True),
    (actor("user:root", scope=("*.view",)), "token.manage", LIVE, False),
    (actor("user:root", scope=("run.*",)), "run.start", LIVE, True),
    (actor("user:eve", is_owner=True), "secret.set", LIVE, True),
    (actor("user:eve", is_owner=True, scope=("run.view",)), "secret.set", LIVE, False),
    (Actor(name="user:stranger", principals=frozenset()), "run.view", LIVE, False),
]


@pytest.mark.parametrize(("who", "permission", "target", "may"), CASES)
def test_grants_and_scopes_decide(who: Actor, permission: str, target: Target, may: bool) -> None:
    """A role reaches as far as its grant says, and a token no further than its scope."""
    verdict = authorize(ACCESS, who, permission, target)

    assert isinstance(verdict, Allow) is may
    if isinstance(verdict, Deny):
        assert permission in verdict.reason


def test_without_grants_nobody_may_anything_but_the_owner() -> None:
    """A project that grants nothing lets in nobody by accident."""
    verdicts = {name: authorize(Access(), BOB, name) for name in PERMISSIONS}

    assert all(isinstance(verdict, Deny) for verdict in verdicts.values())
    assert all(
        isinstance(authorize(Access(), actor("user:me", is_owner=True), name), Allow) for name in PERMISSIONS
    )


def test_roles_have_permissions_that_exist() -> None:
    """No built-in role names a permission that is none; a project's slips are found."""
    assert [unknown_permissions(patterns) for patterns in BUILT_IN.values()] == [()] * len(BUILT_IN)
    assert unknown_permissions(("run.start", "run.strat", "runs.*", "*")) == ("run.strat", "runs.*")
    assert permissions_of(ACCESS, "releaser") == ("run.start", "run.cancel")
    assert roles_of(ACCESS, ANN) == ("viewer", "releaser")


@pytest.mark.parametrize(
    ("role", "permission", "may"),
    [
        ("viewer", "run.view", True),
        ("viewer", "secret.set", False),
        ("viewer", "audit.view", False),
        ("operator", "run.cancel", True),
        ("operator", "run.start_break_glass", False),
        ("operator", "token.manage", False),
        ("author", "run.start_break_glass", True),
        ("author", "secret.set", False),
        ("admin", "token.manage", True),
    ],
)
def test_built_in_roles(role: str, permission: str, may: bool) -> None:
    """A viewer looks, an operator acts, an author breaks the glass, an admin does everything."""
    access = Access.model_validate({"grants": [{"role": role, "to": ["user:ann"]}]})

    assert isinstance(authorize(access, ANN, permission, LIVE), Allow) is may
