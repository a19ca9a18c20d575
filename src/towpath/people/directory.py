"""The directory: who stands behind `user:…`, `group:…` and `oncall:…` at an instant.

The rules:

- **A project whose file names no people** needs no directory: `user:x` is x, whoever that is. Groups and rotas
  need one; behind them stands nobody, and the answer says what to add to towpath.yaml.
- **A project whose file names people** knows those and no others. Behind a name that has gone from the file
  stands nobody, although an open question may still hold it.
- **With an identity provider** (`provider: oidc`) names that are not in the file may exist all the same: `user:x`
  is x, and who belongs to a group that is not in the file is known only when somebody signs in.
- **A group** is all of its members. Groups in groups are followed, each once; a circle adds nothing.
- **On call** is whoever has the turn, see `rotas`. Where nobody stands behind the turn that counts, because they
  are away without a deputy, the one below it counts.
- **Who is away is not asked**, and their deputy is asked instead; a deputy who is away has a deputy too. Days of an
  absence are days where the person lives, in their `time_zone`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from towpath.core.run import Micros
from towpath.definition.project import Group, ProjectFile, User
from towpath.errors import NotFound
from towpath.people import civil_time, rotas
from towpath.people.civil_time import FOREVER
from towpath.people.rotas import Rota

NESTING_MAX = 64
"""Groups, rotas and deputies that may stand behind each other."""
REASONS_MAX = 3
"""Reasons that are told of one empty group or rota."""
SHIFTS_MAX = 1_000
"""Shifts that one answer holds."""
CHANGES_MAX = 20_000
"""Moments at which a rota may change hands that are looked at for one answer."""

SERVICE = "service:"
"""What the names of service accounts begin with."""

Duties: TypeAlias = Mapping[str, frozenset[str]]
"""Who is on call in each rota."""

_MAIL = re.compile(r"<([^<>@\s]+@[^<>@\s]+)>\s*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Nobody:
    """A principal that nobody stands behind, and why."""

    principal: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """Who stands behind some principals at an instant."""

    people: frozenset[str]
    """Names of users, without `user:`."""
    nobody: tuple[Nobody, ...] = ()
    """The principals among those asked for that nobody stands behind."""
    groups_elsewhere: frozenset[str] = frozenset()
    """Groups whose members only the identity provider knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """Who is on call at an instant."""

    people: frozenset[str]
    principal: str | None = None
    """Who has the turn; None where nobody is on call."""
    because: str = ""
    """What says so: `an override`, or `rotation 1`."""
    reason: str = ""
    """Why nobody is on call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A time in which the same people are on call, for the same reason."""

    start: Micros
    end: Micros
    duty: Duty


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """A time in which somebody is not there."""

    start: Micros
    end: Micros
    deputy: str | None


def _nobody_made(_account: str) -> frozenset[str]:
    return frozenset()


@dataclass(frozen=True, slots=True)
class Directory:
    """The people of a project, read once from its file for many questions."""

    file: ProjectFile
    makers: Callable[[str], frozenset[str]] = field(default=_nobody_made, repr=False, compare=False)
    """Who made tokens that act for a service account: whoever made one may hold it."""
    rotas: Mapping[str, Rota] = field(init=False, repr=False, compare=False)
    absences: Mapping[str, tuple[Away, ...]] = field(init=False, repr=False, compare=False)
    emails: Mapping[str, frozenset[str]] = field(init=False, repr=False, compare=False)
    around: Mapping[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)
    """The groups that name a principal among their members."""

    def __post_init__(self) -> None:
        """Read rotas, absences and addresses."""
        people = self.file.people
        read = {name: rotas.read(rota) for name, rota in people.on_call.items()}
        object.__setattr__(self, "rotas", read)  # the dataclass is frozen for everybody else
        object.__setattr__(self, "absences", _absences(people.users))
        object.__setattr__(self, "emails", _emails(people.users))
        object.__setattr__(self, "around", _around(people.groups))

    @property
    def names_people(self) -> bool:
        """Whether the project's file says who there is."""
        people = self.file.people
        return bool(people.users or people.groups or people.on_call)

    @property
    def is_closed(self) -> bool:
        """Whether there is nobody beside those in the file."""
        return self.names_people and self.file.people.provider == "file"

    def people(self, principals: Iterable[str], at: Micros) -> frozenset[str]:
        """The users who stand behind *principals* at an instant."""
        return self.resolve(principals, at).people

    def resolve(self, principals: Iterable[str], at: Micros) -> Resolution:
        """The users who stand behind *principals* at an instant, and why nobody stands behind some of them."""
        asked = tuple(dict.fromkeys(principals))
        search = _Search(self, at)
        found = {principal: search.find(principal) for principal in asked}
        return Resolution(
            people=frozenset().union(*(each.people for each in found.values())),
            nobody=tuple(
                Nobody(principal=principal, reason=each.reason)
                for principal, each in found.items()
                if not each.people
            ),
            groups_elsewhere=frozenset(search.groups_elsewhere),
        )

    def who_is_on_call(self, name: str, at: Micros) -> Duty:
        """Who is on call in the rota *name* at an instant; raises NotFound where there is no such rota."""
        self._check_rota(name)
        return _Search(self, at).duty(name, NESTING_MAX)

    def shifts(self, name: str, start: Micros, end: Micros) -> tuple[Shift, ...]:
        """Who is on call in the rota *name* from *start* up to *end*, in order and without a gap.

        Neighbours differ. At most `SHIFTS_MAX` are told and `CHANGES_MAX` changes looked at: where the last shift
        ends before *end*, ask again from there. Raises NotFound where there is no such rota.
        """
        self._check_rota(name)
        changes = _Changes.of(self, name)
        found: list[Shift] = []
        for _ in range(CHANGES_MAX):
            if start >= end:
                break
            until = min(changes.after(start), end)
            duty = self.who_is_on_call(name, start)
            if found and found[-1].duty == duty:
                found[-1] = Shift(start=found[-1].start, end=until, duty=duty)
            elif len(found) == SHIFTS_MAX:
                break
            else:
                found.append(Shift(start=start, end=until, duty=duty))
            start = until
        return tuple(found)

    def away(self, name: str, at: Micros) -> Away | None:
        """The absence of a user at an instant: of several, the last one in the file; None when they are there."""
        found = [each for each in self.absences.get(name, ()) if each.start <= at < each.end]
        return found[-1] if found else None

    def duties(self, at: Micros) -> Duties:
        """Who is on call in every rota at an instant."""
        return {name: self.who_is_on_call(name, at).people for name in self.rotas}

    def principals_of(
        self, name: str, at: Micros, *, groups: Iterable[str] = (), duties: Duties | None = None
    ) -> frozenset[str]:
        """All whom a grant may name when it means the user *name*: the name, the groups around it, the rotas of this moment.

        Who is away belongs to their groups all the same: an absence says who is asked, and not who may look. *groups* are those that an
        identity provider vouches for; they count in a project that has one, and where the file does not say itself who is in them.
        *duties* are those of the moment, where they were asked for already.
        """
        people = self.file.people
        elsewhere = set(groups) - set(people.groups) if people.provider == "oidc" else set()
        turns = self.duties(at) if duties is None else duties
        due = [
            f"user:{name}",
            *(f"group:{group}" for group in elsewhere),
            *(f"oncall:{rota}" for rota, on_duty in turns.items() if name in on_duty),
        ]
        found: set[str] = set()
        while due:  # from the inside out
            principal = due.pop()
            if principal not in found:
                found.add(principal)
                due.extend(self.around.get(principal, ()))
        return frozenset(found)

    def user(self, name: str) -> User | None:
        """What the file says of a user."""
        return self.file.people.users.get(name)

    def user_by_email(self, email: str) -> str | None:
        """The name of the user with that address; None where nobody, or more than one, has it."""
        found = self.emails.get(email.strip().casefold(), frozenset())
        return next(iter(found)) if len(found) == 1 else None

    def names_of(self, actor: str) -> frozenset[str]:
        """The users whom an actor's name stands for; the name itself where the file knows nobody like it.

        An actor is `user:anna`, `anna`, an address, or `Anna Bell <anna@example.org>` as Git writes it. A service account stands for
        the person who owns it, and for everybody who made a token of it.
        """
        if actor.startswith(SERVICE):
            return self._behind(actor) or frozenset({actor})
        name = actor.strip().removeprefix("user:")
        if name in self.file.people.users:
            return frozenset({name})
        mail = _MAIL.search(name)
        address = (mail[1] if mail else name).casefold()
        alike = frozenset(user for user in self.file.people.users if user.casefold() == address)
        return self.emails.get(address) or alike or frozenset({mail[1] if mail else name})

    def _behind(self, service: str) -> frozenset[str]:
        """The users who may act as a service account, through other accounts too."""
        found: set[str] = set()
        seen: set[str] = set()
        due = [service]
        while due:
            actor = due.pop()
            if actor in seen:
                continue
            seen.add(actor)
            if actor.startswith(SERVICE):
                account = self.file.access.service_accounts.get(actor.removeprefix(SERVICE))
                due.extend((*(() if account is None else (account.owner,)), *self.makers(actor)))
            else:
                found |= self.names_of(actor)
        return frozenset(found)

    def are_one(self, actor: str, other: str) -> bool:
        """Whether two actors are, or may well be, the same person: four eyes rather doubt than trust.

        An address that nobody in the file has is taken for that of the person who is called like the part before
        its `@`, unless the file has another address for them.
        """
        names, others = self.names_of(actor), self.names_of(other)
        if names & others:
            return True
        return any(self._may_have(one, two) or self._may_have(two, one) for one in names for two in others)

    def _may_have(self, name: str, address: str) -> bool:
        """Whether the person *name*, of whom the file has no address, may be the one with *address*."""
        user = self.user(name)
        is_known = "@" in name or (user is not None and user.email is not None)
        return not is_known and address.casefold().startswith(f"{name.casefold()}@")

    def why_not(self, name: str, principals: Iterable[str], at: Micros) -> str:
        """Why the user *name* does not stand behind *principals* at an instant; empty when they do."""
        asked = tuple(principals)
        if name in self.people(asked, at):
            return ""
        if self.is_closed and name not in self.file.people.users:
            return f"the project knows nobody called {name}"
        reach = _Reach.of(self, asked)
        away = self.away(name, at)
        if away is not None and name in reach.users:
            return self._away_reason(name, away)
        shared = [rota for rota in reach.rotas if name in _Reach.of(self, [f"oncall:{rota}"]).users]
        if shared:
            duty = self.who_is_on_call(shared[0], at)
            return f"{name} is not on call for {shared[0]} now: {listed(duty.people) or 'nobody'} is"
        return f"{name} does not belong to {', '.join(asked)}"

    def _away_reason(self, name: str, away: Away) -> str:
        user = self.user(name)
        zone = civil_time.zone_of((user.time_zone if user else None) or "UTC")
        instead = "" if away.deputy is None else f"; {away.deputy} is asked instead"
        return f"{name} is away until {civil_time.said(away.end, zone)}{instead}"

    def _check_rota(self, name: str) -> None:
        if name not in self.rotas:
            raise NotFound(
                f"the project has no rota {name!r}",
                help=f"it has: {', '.join(self.rotas)}" if self.rotas else "add it under people: on_call:",
            )


def listed(names: Iterable[str]) -> str:
    """Names as a sentence holds them: `anna`, `anna and ben`, `anna, ben and carl`."""
    *first, last = sorted(names) or [""]
    return f"{', '.join(first)} and {last}" if first else last


# --- looking for people -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Found:
    """The people behind one principal, and the reason where there are none."""

    people: frozenset[str] = frozenset()
    reason: str = ""


_CIRCLE = _Found(reason="it goes round in a circle")


@dataclass(slots=True)
class _Search:
    """One search at one instant; a principal that comes up again is not followed twice."""

    directory: Directory
    at: Micros
    known: dict[str, _Found] = field(default_factory=dict)
    groups_elsewhere: set[str] = field(default_factory=set)

    def find(self, principal: str, depth: int = NESTING_MAX) -> _Found:
        """Who stands behind *principal*; at most *depth* further principals lie between."""
        if principal in self.known:
            return self.known[principal]
        if depth < 0:
            return _Found(reason=f"more than {NESTING_MAX} stand behind each other (NESTING_MAX)")
        self.known[principal] = _CIRCLE
        kind, _, name = principal.partition(":")
        match kind:
            case "user":
                found = self._user(name, depth)
            case "group":
                found = self._group(name, depth)
            case "oncall":
                found = self._on_call(name, depth)
            case _:
                found = _Found(reason=f"{principal} is no user:…, group:… or oncall:…")
        self.known[principal] = found
        return found

    def _user(self, name: str, depth: int) -> _Found:
        directory = self.directory
        away = directory.away(name, self.at)
        if away is not None:
            return self._deputy(name, away, depth)
        if name in directory.file.people.users or not directory.is_closed:
            return _Found(people=frozenset({name}))
        return _Found(reason=f"the project has no person {name!r}")

    def _deputy(self, name: str, away: Away, depth: int) -> _Found:
        reason = self.directory._away_reason(name, away)  # noqa: SLF001 - the search is a part of the directory
        if away.deputy is None:
            return _Found(reason=f"{reason}, without a deputy")
        found = self.find(away.deputy, depth - 1)
        return found if found.people else _Found(reason=f"{reason}, and {found.reason}")

    def _group(self, name: str, depth: int) -> _Found:
        group = self.directory.file.people.groups.get(name)
        if group is not None:
            return self._union(
                [self.find(member, depth - 1) for member in group.members], f"the group {name}"
            )
        if self.directory.file.people.provider == "oidc":
            self.groups_elsewhere.add(name)
            return _Found(reason=f"only the identity provider knows who is in the group {name!r}")
        return self._missing("group", name, "groups")

    def _on_call(self, name: str, depth: int) -> _Found:
        if name not in self.directory.rotas:
            return self._missing("rota", name, "on_call")
        duty = self.duty(name, depth)
        return _Found(people=duty.people, reason=duty.reason)

    def duty(self, name: str, depth: int) -> Duty:
        """Who is on call in a rota that there is: the first holder behind whom somebody stands."""
        reasons: list[str] = []
        for holder in rotas.holders(self.directory.rotas[name], self.at):
            found = self.find(holder.principal, depth - 1)
            if found.people:
                return Duty(people=found.people, principal=holder.principal, because=holder.because)
            reasons.append(found.reason)
        why = "; ".join(reasons[:REASONS_MAX]) or "none of its rotations counts at this time"
        return Duty(people=frozenset(), reason=f"nobody is on call for {name}: {why}")

    def _missing(self, what: str, name: str, key: str) -> _Found:
        named = "" if self.directory.names_people else ", and names no people at all"
        return _Found(
            reason=f"the project has no {what} {name!r}{named}: add it to towpath.yaml under people: {key}:"
        )

    def _union(self, members: list[_Found], what: str) -> _Found:
        people = frozenset().union(*(each.people for each in members))
        if people:
            return _Found(people=people)
        if not members:
            return _Found(reason=f"{what} has no members")
        reasons = [each.reason for each in members]
        return _Found(reason=f"nobody of {what} is there: {'; '.join(reasons[:REASONS_MAX])}")


# --- whoever may come into it -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Reach:
    """The users and rotas that may come to stand behind some principals at one time or another."""

    users: frozenset[str]
    rotas: tuple[str, ...]

    @classmethod
    def of(cls, directory: Directory, principals: Iterable[str]) -> _Reach:
        people = directory.file.people
        seen: dict[str, None] = {}
        due = list(principals)
        while due:
            principal = due.pop()
            if principal in seen:
                continue
            seen[principal] = None
            kind, _, name = principal.partition(":")
            if kind == "group" and name in people.groups:
                due.extend(people.groups[name].members)
            elif kind == "oncall" and name in people.on_call:
                due.extend(who for layer in people.on_call[name].rotations for who in layer.people)
                due.extend(override.who for override in people.on_call[name].overrides)
            elif kind == "user":
                due.extend(each.deputy for each in directory.absences.get(name, ()) if each.deputy)
        return cls(
            users=frozenset(_named(seen, "user")),
            rotas=tuple(name for name in _named(seen, "oncall") if name in people.on_call),
        )


def _named(principals: Iterable[str], kind: str) -> Iterator[str]:
    return (each.partition(":")[2] for each in principals if each.startswith(f"{kind}:"))


@dataclass(frozen=True, slots=True)
class _Changes:
    """When a rota may change hands: its own turns, those of rotas inside it, and comings and goings."""

    rotas: tuple[Rota, ...]
    absences: tuple[Away, ...]

    @classmethod
    def of(cls, directory: Directory, name: str) -> _Changes:
        reach = _Reach.of(directory, [f"oncall:{name}"])
        return cls(
            rotas=tuple(directory.rotas[rota] for rota in reach.rotas),
            absences=tuple(away for user in reach.users for away in directory.absences.get(user, ())),
        )

    def after(self, at: Micros) -> Micros:
        """The first instant after *at* at which somebody else may be on call."""
        edges = [edge for away in self.absences for edge in (away.start, away.end) if edge > at]
        edges.extend(rotas.next_change(rota, at) for rota in self.rotas)
        return min(edges, default=FOREVER)


# --- reading ------------------------------------------------------------------------------------------------


def _absences(users: Mapping[str, User]) -> dict[str, tuple[Away, ...]]:
    found: dict[str, tuple[Away, ...]] = {}
    for name, user in users.items():
        if user.absences:
            zone = civil_time.zone_of(user.time_zone or "UTC")
            found[name] = tuple(
                Away(
                    start=civil_time.start_of(absence.from_, zone),
                    end=civil_time.end_of(absence.until, zone),
                    deputy=absence.deputy,
                )
                for absence in user.absences
            )
    return found


def _around(groups: Mapping[str, Group]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, group in groups.items():
        for member in group.members:
            found[member] = (*found.get(member, ()), f"group:{name}")
    return found


def _emails(users: Mapping[str, User]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for name, user in users.items():
        if user.email is not None:
            key = user.email.casefold()
            found[key] = found.get(key, frozenset()) | {name}
    return found
