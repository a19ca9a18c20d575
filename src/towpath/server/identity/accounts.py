"""Who is known: people of towpath.yaml, people who were made here, people of an identity provider, service accounts.

- The people of towpath.yaml are users without further ado. Where the file names its people, there are no others.
- Where it names none, or where an identity provider knows more, people can be made here; the provider's people are made when they
  sign in.
- Whoever started the server is always known. In a project without `access: grants:` that person owns everything, and nobody else may do
  anything.
- Service accounts stand in towpath.yaml; they act with tokens only.
- Whoever is disabled is nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from towpath.definition.project import NAME_CHARS_MAX, NAME_PATTERN
from towpath.errors import NotFound, Refused
from towpath.people.directory import SERVICE
from towpath.people.vouched import Vouched
from towpath.policy import access
from towpath.policy.access import Actor
from towpath.server.identity.standing import Standings
from towpath.store.contract import IdentityAct, UserRow

if TYPE_CHECKING:
    from towpath.app import App
    from towpath.definition.project import Grant, ProjectFile

USER: Final = "user:"
TEXT_CHARS_MAX: Final = 200
"""Titles, addresses and names of tokens."""
Source = Literal["file", "store", "process", "service"]
"""Where somebody is known from: towpath.yaml, made here, whoever started the process, a service account."""
_MAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody, or some program, that may come."""

    principal: str
    """`user:ada`, `service:deployer`."""
    title: str = ""
    email: str = ""
    source: Source
    owner: str = ""
    """Who answers for a service account."""
    is_disabled: bool = False
    disabled_at: int | None = None
    made_at: int | None = None

    @property
    def name(self) -> str:
        """Without what it is."""
        return self.principal.partition(":")[2]

    @property
    def is_person(self) -> bool:
        """Whether it is a person."""
        return self.principal.startswith(USER)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleHeld:
    """A role that somebody has, for what, and through whom."""

    role: str
    title: str
    permissions: tuple[str, ...]
    through: tuple[str, ...]
    """The principals that the grant names and that stand for them: `group:operators`."""
    workflows: tuple[str, ...]
    """Patterns; empty: all."""
    environments: tuple[str, ...]
    """Empty: all."""


def principal_of(name: str) -> str:
    """`user:ada` of `ada`; what says itself what it is stays so."""
    return name if ":" in name else USER + name


def find(app: App, principal: str) -> Account | None:
    """Who that is; None where nobody is known by this name, and whoever is disabled is found as such."""
    kind, _, name = principal.partition(":")
    file = app.project_file()
    if kind == "service":
        return _service(file, name)
    if kind != "user" or not name:
        return None
    row = app.store.identities.user(name)
    return _person(app, name, row)


def known(app: App, principal: str) -> Account:
    """Who that is; raises NotFound, with what to do."""
    found = find(app, principal)
    if found is not None:
        return found
    kind, _, name = principal.partition(":")
    if kind == "service":
        raise NotFound(
            f"the project has no service account {name!r}",
            help="towpath.yaml has them under access: service_accounts:",
        )
    advice = (
        "add them to towpath.yaml under people: users:"
        if app.desk.directory.is_closed
        else f"`tow users add {name}` makes one"
    )
    raise NotFound(f"nobody is known as {name!r}", help=advice)


def everybody(app: App) -> tuple[Account, ...]:
    """All people, by name, and then all service accounts."""
    rows = {row.name: row for row in app.store.identities.users()}
    file = app.project_file()
    names = {*file.people.users, *rows, app.settings.user}
    people = (_person(app, name, rows.get(name)) for name in sorted(names))
    services = (_service(file, name) for name in sorted(file.access.service_accounts))
    return tuple(one for one in (*people, *services) if one is not None)


def actor_of(
    app: App,
    account: Account,
    *,
    scope: tuple[str, ...] = ("*",),
    groups: Iterable[str] | None = None,
    standings: Standings | None = None,
) -> Actor:
    """Somebody as those see them who say what they may do; *groups* are those that this very sign-in vouches for."""
    if not account.is_person:
        return Actor(name=account.principal, principals=frozenset({account.principal}), scope=scope)
    if groups is None:
        groups = vouched(app).groups_of(account.principal) if _has_provider(app) else ()
    return Actor(
        name=account.principal,
        principals=(standings or Standings()).principals_of(
            app.desk.directory, account.name, app.now(), groups
        ),
        scope=scope,
        is_owner=is_owner(app, account.principal),
    )


def is_owner(app: App, principal: str) -> bool:
    """Whether somebody started the process of a project that grants nothing to anybody."""
    return not app.project_file().access.grants and principal == USER + app.settings.user


def roles_of(app: App, actor: Actor) -> tuple[RoleHeld, ...]:
    """What somebody may do and why, in the order of the project's file."""
    rules = app.project_file().access
    if actor.is_owner:
        held = RoleHeld(
            role="owner",
            title="the project grants nothing to anybody, and whoever started the server owns it",
            permissions=("*",),
            through=(actor.name,),
            workflows=(),
            environments=(),
        )
        return (held,)
    found = ((grant, tuple(one for one in grant.to if one in actor.principals)) for grant in rules.grants)
    return tuple(_held(app, grant, through) for grant, through in found if through)


def permissions_of(app: App, actor: Actor) -> tuple[str, ...]:
    """Every permission that somebody has for anything at all."""
    rules = app.project_file().access
    return tuple(
        permission
        for permission in access.PERMISSIONS
        if isinstance(access.authorize_at_all(rules, actor, permission), access.Allow)
    )


def add(app: App, name: str, *, title: str = "", email: str = "", by: str) -> Account:
    """Makes a user here; raises Refused where the project's file says who there is."""
    name = name.removeprefix(USER)
    if app.desk.directory.is_closed:
        raise Refused(
            f"towpath.yaml names the people of this project, and {name} is not among them"
            if find(app, USER + name) is None
            else f"{name} stands in towpath.yaml already",
            help="add people there under people: users:, so that groups, rotas and four eyes know them too",
        )
    check_name(name)
    if email and not _MAIL.fullmatch(email):
        raise Refused(f"{email!r} is not an address")
    for text in (title, email):
        if len(text) > TEXT_CHARS_MAX:
            raise Refused(f"a title or an address has at most {TEXT_CHARS_MAX} characters")
    before = app.store.identities.user(name)
    if name in app.project_file().people.users or (before is not None and before.made_at is not None):
        raise Refused(f"there is a user {name} already", help=f"`tow users show {name}` shows them")
    _check_address_is_free(app, email)
    row = UserRow(name=name, title=title, email=email, made_at=app.now())
    app.store.identities.write_user(row, act(app, by, "made a user", USER + name))
    return known(app, USER + name)


def disable(app: App, name: str, *, by: str) -> bool:
    """Lets somebody in no more, from this moment: sessions and links end, tokens are refused. False where it was so already."""
    account = known(app, USER + name.removeprefix(USER))
    if account.is_disabled:
        return False
    row = replace(_row(app, account.name), disabled_at=app.now())
    app.store.identities.write_user(row, act(app, by, "disabled a user", account.principal))
    return True


def enable(app: App, name: str, *, by: str) -> bool:
    """Lets somebody in again; False where they were not disabled."""
    account = known(app, USER + name.removeprefix(USER))
    if not account.is_disabled:
        return False
    row = replace(_row(app, account.name), disabled_at=None)
    app.store.identities.write_user(row, act(app, by, "enabled a user", account.principal))
    return True


def act(app: App, by: str, did: str, about: str, text: str = "") -> IdentityAct:
    """Something that is done now."""
    return IdentityAct(at=app.now(), by=by, did=did, about=about, text=text)


def vouched(app: App) -> Vouched:
    """What the identity provider said of people when they signed in."""
    return Vouched(lambda: app.store.identities, app.now)


def check_name(name: str) -> None:
    """Raises Refused for what cannot be the name of a user."""
    if not re.fullmatch(NAME_PATTERN, name) or len(name) > NAME_CHARS_MAX:
        raise Refused(
            f"{name!r} cannot be the name of a user",
            help="letters, digits, and after the first one also _ . @ -",
        )


def _check_address_is_free(app: App, email: str) -> None:
    """An address is how a sign-in is recognised: it has one owner."""
    if not email:
        return
    has_it = app.desk.directory.user_by_email(email) or next(
        (row.name for row in app.store.identities.users() if row.email.casefold() == email.casefold()), None
    )
    if has_it is not None:
        raise Refused(f"{has_it} has the address {email} already")


def _person(app: App, name: str, row: UserRow | None) -> Account | None:
    file = app.project_file()
    said = file.people.users.get(name)
    row = row or UserRow(name=name)
    source: Source
    if said is not None:
        source = "file"
    elif row.made_at is not None and not app.desk.directory.is_closed:
        source = "store"
    elif name == app.settings.user:
        source = "process"
    else:
        return None
    title = (said.name if said is not None else None) or row.title
    email = (said.email if said is not None else None) or row.email
    return Account(
        principal=USER + name,
        title=title,
        email=email,
        source=source,
        is_disabled=row.disabled_at is not None,
        disabled_at=row.disabled_at,
        made_at=row.made_at,
    )


def _service(file: ProjectFile, name: str) -> Account | None:
    said = file.access.service_accounts.get(name)
    if said is None:
        return None
    return Account(principal=SERVICE + name, title=said.title or "", source="service", owner=said.owner)


def _row(app: App, name: str) -> UserRow:
    return app.store.identities.user(name) or UserRow(name=name)


def _held(app: App, grant: Grant, through: tuple[str, ...]) -> RoleHeld:
    rules = app.project_file().access
    own = rules.roles.get(grant.role)
    return RoleHeld(
        role=grant.role,
        title=(own.title if own is not None else None) or "",
        permissions=access.permissions_of(rules, grant.role),
        through=through,
        workflows=grant.workflows,
        environments=grant.environments,
    )


def _has_provider(app: App) -> bool:
    return app.project_file().people.provider == "oidc"


def people(accounts: Iterable[Account]) -> Iterator[Account]:
    """The persons among them."""
    return (one for one in accounts if one.is_person)
