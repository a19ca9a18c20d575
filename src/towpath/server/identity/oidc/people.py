"""Whom the identity provider means: a claim becomes a user of this project, or nobody.

1. Somebody whose `subject` stands in towpath.yaml is who has that `sub`, whatever address the provider says.
2. Somebody who was recognised by `sub` before is the same again.
3. Else an address that the provider has verified is that of the user who has it.
4. Where the provider knows more people than the file (`people: provider: oidc`), others become users, by their verified address.

An address that is bound to one `sub` is never that of another one: addresses are given to others when people leave.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from towpath.definition.project import NAME_PATTERN
from towpath.server.identity import accounts
from towpath.server.identity.accounts import USER
from towpath.server.identity.oidc.verifying import Json, NotVouched
from towpath.store.contract import UserRow

if TYPE_CHECKING:
    from towpath.app import App

GROUPS_MAX: Final = 1_000
"""Groups of one person; a provider that says more of somebody is told so, and nobody gets half of their groups."""
_GROUP: Final = re.compile(r"[A-Za-z0-9_.@-]{1,128}")


def person_of(app: App, issuer: str, claims: Json) -> str:
    """The principal of whoever the claims are about; makes a user where the project wants that. Raises NotVouched."""
    sub = str(claims["sub"])
    subject = f"{issuer} {sub}"
    users = app.project_file().people.users
    named = next((name for name, user in users.items() if user.subject == sub), None)
    if named is not None:
        return USER + named
    row = app.store.identities.user_by_subject(subject)
    if row is not None:
        return USER + _not_of_another(app, row.name, sub)
    email = _verified_email(claims)
    name = app.desk.directory.user_by_email(email)
    if name is not None:
        return USER + _not_of_another(app, name, sub)
    return USER + _bound(app, email, subject, claims)


def groups_of(claims: Json, claim: str) -> tuple[str, ...]:
    """The groups that the provider vouches for, as far as they can be names here; raises NotVouched for too many."""
    said = claims.get(claim, [])
    listed = [said] if isinstance(said, str) else said
    if not isinstance(listed, list):
        return ()
    if len(listed) > GROUPS_MAX:
        raise NotVouched(f"the provider names more than {GROUPS_MAX:,} groups (GROUPS_MAX)")
    names = (one.removeprefix("/") for one in listed if isinstance(one, str))
    return tuple(dict.fromkeys(name for name in names if _GROUP.fullmatch(name)))


def _not_of_another(app: App, name: str, sub: str) -> str:
    user = app.project_file().people.users.get(name)
    if user is not None and user.subject not in (None, sub):
        raise NotVouched(f"towpath.yaml has another `subject` for {name}")
    return name


def _verified_email(claims: Json) -> str:
    email, is_verified = claims.get("email"), claims.get("email_verified")
    if not isinstance(email, str) or "@" not in email:
        raise NotVouched("the provider says no address, and no `subject` in towpath.yaml fits")
    if is_verified not in (True, "true"):
        raise NotVouched("the provider has not verified the address, and no `subject` in towpath.yaml fits")
    return email.strip().lower()


def _bound(app: App, email: str, subject: str, claims: Json) -> str:
    """A user who was made here and has this address, or a new one; from now on bound to the `sub`."""
    rows = app.store.identities.users()
    row = next((one for one in rows if email in (one.email.casefold(), one.name.casefold())), None)
    if row is not None and row.subject not in ("", subject):
        raise NotVouched(f"the address of {row.name} is bound to another `sub` of the provider")
    if row is None:
        row = _new(app, email, claims)
    bound = replace(row, subject=subject, email=row.email or email)
    app.store.identities.write_user(
        bound, accounts.act(app, USER + row.name, "was recognised", USER + row.name, subject)
    )
    return row.name


def _new(app: App, email: str, claims: Json) -> UserRow:
    people = app.project_file().people
    if people.provider != "oidc" or not re.fullmatch(NAME_PATTERN, email) or email in people.users:
        raise NotVouched(
            "nobody in this project has that address",
            help="add the person to towpath.yaml, or let the provider say who there is: people: provider: oidc",
        )
    title = claims.get("name")
    shown = title[: accounts.TEXT_CHARS_MAX] if isinstance(title, str) and title.isprintable() else ""
    return UserRow(name=email, title=shown, email=email, made_at=app.now())
