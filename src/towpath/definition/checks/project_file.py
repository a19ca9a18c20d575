"""towpath.yaml against itself: every name that it uses is there, and spans of time end after they start."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping

from towpath.definition.checks.context import Bench
from towpath.definition.checks.ladders import check_turns
from towpath.definition.checks.order import find_cycle
from towpath.definition.checks.people import unknown_principal
from towpath.definition.model import Part
from towpath.definition.problems import article, did_you_mean
from towpath.definition.project import (
    BUILT_IN_ROLES,
    Absence,
    Override,
    ProjectFile,
    Provider,
    Span,
)
from towpath.definition.source import DataPath

SERVICE = "service:"


def check_file(bench: Bench, file: ProjectFile) -> None:
    """Tell what does not fit together in a project's file."""
    for path, principal in _principals(file):
        unknown = unknown_principal(file.people, principal)
        if unknown is not None:
            bench.tell("unknown-principal", unknown[0], path, help=unknown[1])
    _check_groups(bench, file)
    check_turns(bench, file)
    _check_environments(bench, file)
    _check_providers(bench, file)
    _check_channels(bench, file)
    _check_engine(bench, file)
    _check_access(bench, file)
    for path, span in _spans(file):
        _check_span(bench, path, span)


def _principals(file: ProjectFile) -> Iterator[tuple[DataPath, str]]:
    people = file.people
    for name, user in people.users.items():
        for position, absence in enumerate(user.absences):
            if absence.deputy is not None:
                yield ("people", "users", name, "absences", position, "deputy"), absence.deputy
    for name, group in people.groups.items():
        for position, member in enumerate(group.members):
            yield ("people", "groups", name, "members", position), member
    yield from _on_call(file)
    yield from _granted(file)


def _on_call(file: ProjectFile) -> Iterator[tuple[DataPath, str]]:
    for name, rota in file.people.on_call.items():
        for layer, rotation in enumerate(rota.rotations):
            for position, person in enumerate(rotation.people):
                yield ("people", "on_call", name, "rotations", layer, "people", position), person
        for position, override in enumerate(rota.overrides):
            yield ("people", "on_call", name, "overrides", position, "who"), override.who


def _granted(file: ProjectFile) -> Iterator[tuple[DataPath, str]]:
    for name, environment in file.environments.items():
        if environment.approval is not None:
            for position, person in enumerate(environment.approval.who):
                yield ("environments", name, "approval", "who", position), person
    for grant, given in enumerate(file.access.grants):
        for position, person in enumerate(given.to):
            if not person.startswith(SERVICE):
                yield ("access", "grants", grant, "to", position), person
    for name, account in file.access.service_accounts.items():
        yield ("access", "service_accounts", name, "owner"), account.owner


def _check_groups(bench: Bench, file: ProjectFile) -> None:
    inside = {
        name: [member.partition(":")[2] for member in group.members if member.startswith("group:")]
        for name, group in file.people.groups.items()
    }
    cycle = find_cycle(inside)
    if cycle:
        words = " → ".join(f"`{name}`" for name in (*cycle, cycle[0]))
        bench.tell(
            "bad-project",
            f"groups are members of each other: {words}",
            ("people", "groups", cycle[0]),
            of_key=True,
            help="take one of them out of the other",
        )


def _check_environments(bench: Bench, file: ProjectFile) -> None:
    for name, environment in file.environments.items():
        path: DataPath = ("environments", name)
        for position, calendar in enumerate(environment.windows):
            _check_calendar(bench, (*path, "windows", position), calendar, file)
        for position, calendar in enumerate(environment.freeze):
            _check_calendar(bench, (*path, "freeze", position), calendar, file)
        approval = environment.approval
        if approval is not None and (approval.answer_within is None) != (approval.if_unanswered is None):
            bench.tell(
                "keys-go-together",
                "`answer_within` and `if_unanswered` go together",
                (*path, "approval"),
                of_key=True,
                help="write both, or none",
            )


def _check_calendar(bench: Bench, path: DataPath, name: str, file: ProjectFile) -> None:
    if name not in file.calendars:
        bench.tell(
            "unknown-calendar",
            f"the project has no calendar `{name}`",
            path,
            help=did_you_mean(name, file.calendars, otherwise="add it under `calendars`"),
        )


def _check_providers(bench: Bench, file: ProjectFile) -> None:
    for position, provider in enumerate(file.secrets.providers):
        kinds = [key for key in Provider.model_fields if getattr(provider, key) is not None]
        path: DataPath = ("secrets", "providers", position)
        if len(kinds) != 1 and not _is_touched(bench, path):
            bench.tell(
                "keys-go-together",
                f"a provider is exactly one of {', '.join(f'`{key}`' for key in Provider.model_fields)}",
                path,
                help="write for example - sealed, or - env: {prefix: TOW_SECRET_}",
            )


_NEEDS_URL = frozenset({"webhook", "teams", "mattermost", "apprise"})
_NEEDS_TO = frozenset({"email", "slack", "ntfy"})


def _check_channels(bench: Bench, file: ProjectFile) -> None:
    for name, channel in file.channels.items():
        path: DataPath = ("channels", name)
        if channel.kind in _NEEDS_URL and channel.url is None and channel.secret is None:
            bench.tell(
                "keys-go-together",
                f"{article(channel.kind)} `{channel.kind}` channel needs `url`, or `secret` with the URL",
                path,
                of_key=True,
                help="add url: https://…",
            )
        if channel.kind in _NEEDS_TO and not channel.to and not _is_touched(bench, (*path, "to")):
            bench.tell(
                "keys-go-together",
                f"{article(channel.kind)} `{channel.kind}` channel needs `to`",
                path,
                of_key=True,
                help="add to: […]",
            )


def _check_engine(bench: Bench, file: ProjectFile) -> None:
    engine = file.engine
    if engine.kind == "temporal" and engine.database is None and not _is_touched(bench, ("engine",)):
        bench.tell(
            "keys-go-together",
            "with Temporal, the journal is in PostgreSQL: `database` is missing",
            ("engine",),
            of_key=True,
            help="add database: postgresql://HOST/NAME",
        )
    if engine.kind == "embedded" and engine.temporal is not None:
        bench.tell(
            "ignored-key",
            "the embedded engine does not use Temporal",
            ("engine", "temporal"),
            of_key=True,
            help="write kind: temporal, or remove it",
        )
    if (
        engine.database is not None
        and "@" in engine.database
        and ":" in engine.database.split("@")[0].split("//")[-1]
    ):
        bench.tell(
            "bad-project",
            "a password does not belong into this file",
            ("engine", "database"),
            help="leave it out and set PGPASSWORD or a password file",
        )


def _check_access(bench: Bench, file: ProjectFile) -> None:
    _check_oidc(bench, file)
    roles = [*BUILT_IN_ROLES, *file.access.roles]
    for position, grant in enumerate(file.access.grants):
        path: DataPath = ("access", "grants", position)
        if grant.role not in roles:
            bench.tell(
                "bad-project",
                f"there is no role `{grant.role}`",
                (*path, "role"),
                help=did_you_mean(grant.role, roles),
            )
        for index, name in enumerate(grant.to):
            account = name.removeprefix(SERVICE)
            if name.startswith(SERVICE) and account not in file.access.service_accounts:
                bench.tell(
                    "unknown-principal",
                    f"the project has no service account `{account}`",
                    (*path, "to", index),
                    help=did_you_mean(
                        account,
                        file.access.service_accounts,
                        otherwise="add it to towpath.yaml under access: service_accounts:",
                    ),
                )
        for index, name in enumerate(grant.environments):
            if name not in file.environments:
                bench.tell(
                    "unknown-environment",
                    f"the project has no environment `{name}`",
                    (*path, "environments", index),
                    help=did_you_mean(name, file.environments),
                )


def _check_oidc(bench: Bench, file: ProjectFile) -> None:
    oidc = file.access.oidc
    if oidc is not None and "openid" not in oidc.scopes and not _is_touched(bench, ("access", "oidc")):
        bench.tell(
            "keys-go-together",
            "without the scope `openid` nobody can sign in",
            ("access", "oidc", "scopes"),
            help="write scopes: [openid, profile, email]",
        )
    subjects: dict[str, str] = {}
    for name, user in file.people.users.items():
        if user.subject is not None and (other := subjects.setdefault(user.subject, name)) != name:
            bench.tell(
                "bad-project",
                f"`{other}` has the same subject: the identity provider gives each person one of their own",
                ("people", "users", name, "subject"),
                help="remove one of them",
            )


# --- spans of time ------------------------------------------------------------------------------------------


def _spans(part: object, path: DataPath = ()) -> Iterator[tuple[DataPath, Absence | Override | Span]]:
    if isinstance(part, Absence | Override | Span):
        yield path, part
    elif isinstance(part, Part):
        for name, info in type(part).model_fields.items():
            yield from _spans(getattr(part, name), (*path, info.alias or name))
    elif isinstance(part, Mapping):
        for key, value in part.items():
            yield from _spans(value, (*path, str(key)))
    elif isinstance(part, tuple):
        for position, value in enumerate(part):
            yield from _spans(value, (*path, position))


def _check_span(bench: Bench, path: DataPath, span: Absence | Override | Span) -> None:
    start, end = (datetime.datetime.fromisoformat(text) for text in (span.from_, span.until))
    if (start.tzinfo is None) != (end.tzinfo is None):
        bench.tell(
            "bad-project",
            "one end has a time zone and the other has none",
            (*path, "until"),
            help="write both alike",
        )
        return
    is_day = len(span.until) <= len("2026-12-24")
    if end < start or (end == start and not is_day):
        bench.tell(
            "bad-project", "this ends before it starts", (*path, "until"), help="swap `from` and `until`"
        )


def _is_touched(bench: Bench, path: DataPath) -> bool:
    return any(cut[: len(path)] == path for cut in bench.cut)
