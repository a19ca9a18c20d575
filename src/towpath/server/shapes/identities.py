"""Users, what they may do, tokens, sessions, and what was done to them. No secret has a place here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from towpath.server.shapes.moments import stamp, stamp_or_none

if TYPE_CHECKING:
    from collections.abc import Iterable

    from towpath.server.identity.accounts import Account, RoleHeld
    from towpath.store.contract import IdentityAct, SessionRow, TokenRow

Object = dict[str, Any]  # JSON


def user_object(account: Account, roles: Iterable[RoleHeld] = ()) -> Object:
    """A person or a service account, with the names of the roles."""
    return {
        "principal": account.principal,
        "name": account.name,
        "title": account.title,
        "email": account.email,
        "source": account.source,
        "owner": account.owner,
        "disabled_at": stamp_or_none(account.disabled_at),
        "made_at": stamp_or_none(account.made_at),
        "roles": list(dict.fromkeys(held.role for held in roles)),
    }


def role_object(held: RoleHeld) -> Object:
    """A role that somebody has, for what, and why."""
    return {
        "role": held.role,
        "title": held.title,
        "permissions": list(held.permissions),
        "through": list(held.through),
        "workflows": list(held.workflows),
        "environments": list(held.environments),
    }


def token_object(row: TokenRow, *, now: int) -> Object:
    """A token, without its secret."""
    state = "valid" if row.is_valid(now) else "revoked" if row.revoked_at is not None else "expired"
    return {
        "id": row.id,
        "name": row.name,
        "owner": row.owner,
        "scope": list(row.scope),
        "state": state,
        "made_at": stamp(row.made_at),
        "made_by": row.made_by,
        "expires_at": stamp(row.expires_at),
        "last_used_at": stamp_or_none(row.last_used_at),
        "revoked_at": stamp_or_none(row.revoked_at),
    }


def session_object(row: SessionRow, *, current: str = "") -> Object:
    """A session; *current* is the one that asks."""
    return {
        "id": row.id,
        "owner": row.owner,
        "way": row.way,
        "token": row.token,
        "groups": list(row.groups),
        "agent": row.agent,
        "made_at": stamp(row.made_at),
        "seen_at": stamp(row.seen_at),
        "ends_at": stamp(row.ends_at),
        "is_current": row.id == current,
    }


def identity_act_object(act: IdentityAct) -> Object:
    """What somebody did to users, tokens, sessions and links."""
    return {
        "number": act.number,
        "at": stamp(act.at),
        "by": act.by,
        "did": act.did,
        "about": act.about,
        "text": act.text,
    }
