"""Names from the project's file: people, calendars, environments, policies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from towpath.definition import model, triggers
from towpath.definition.checks.context import Context, Place
from towpath.definition.problems import closest, did_you_mean, listed
from towpath.definition.project import People, ProjectFile
from towpath.definition.projects import Project
from towpath.definition.source import DataPath

OPEN = "${{"
_KINDS = {"user": "users", "group": "groups", "oncall": "on_call"}


def check_people(context: Context) -> None:
    """Tell principals, calendars, environments and policies that the project does not have."""
    project = context.project
    if project is None or not project.has_file:
        _check_named_approvers(context)
        return
    file = project.file
    for path, name in _principals(context):
        unknown = unknown_principal(file.people, name)
        if unknown is not None:
            context.tell("unknown-principal", unknown[0], path, help=unknown[1])
    for path, name in _calendars(context):
        _check_known(context, path, name, file.calendars, "calendar")
    for path, name in _environments(context):
        _check_known(context, path, name, file.environments, "environment")
    _check_policies(context, project)
    for place in context.places:
        if isinstance(place.step, model.ApproveStep) and not place.stand_in:
            _check_approvers(context, place, place.step, file)


def _check_known(context: Context, path: DataPath, name: str, known: Mapping[str, object], what: str) -> None:
    if name not in known:
        context.tell(
            f"unknown-{what}",
            f"the project has no {what} `{name}`",
            path,
            help=did_you_mean(name, known, otherwise=f"add it to towpath.yaml under `{what}s`"),
        )


def _check_policies(context: Context, project: Project) -> None:
    if project.file.policies.server is not None:
        return  # the server knows its policies
    folder = project.folder / project.file.policies.folder
    known = {file.stem: file for file in sorted(folder.glob("**/*.rego"))}
    for position, name in enumerate(context.workflow.policies):
        if name not in known:
            context.tell(
                "unknown-policy",
                f"the project has no policy `{name}`",
                ("policies", position),
                help=did_you_mean(
                    name, known, otherwise=f"write it in {project.file.policies.folder}/{name}.rego"
                ),
            )


def knows_people(people: People) -> bool:
    """Whether the project's file says who there is; an identity provider may know more."""
    return people.provider == "file" and bool(people.users or people.groups or people.on_call)


def unknown_principal(people: People, principal: str) -> tuple[str, str] | None:
    """Why the project does not know *principal*, and what to do; None when it does."""
    if not knows_people(people):
        return None
    kind, _, name = principal.partition(":")
    known: Mapping[str, object] = getattr(people, _KINDS[kind])
    if name in known:
        return None
    everybody = [f"{word}:{other}" for word, key in _KINDS.items() for other in getattr(people, key)]
    advice = f"known here: {listed(everybody)}"
    elsewhere = [word for word in everybody if word.partition(":")[2] == name]
    if elsewhere:
        advice = f"did you mean `{elsewhere[0]}`?"
    elif (near := closest(name, known)) is not None:
        advice = f"did you mean `{kind}:{near}`?"
    what = {"user": "person", "group": "group", "oncall": "rota"}[kind]
    return f"the project has no {what} `{name}`", advice


def _principals(context: Context) -> Iterator[tuple[DataPath, str]]:
    for place in context.places:
        if place.stand_in or not isinstance(place.step, model.Question):
            continue
        for key in ("who", "assign"):
            yield from _each(getattr(place.step, key, ()), (*place.path, key))
        for position, rung in enumerate(place.step.escalate):
            yield from _each(rung.to, (*place.path, "escalate", position, "to"))


def _each(names: Sequence[str], path: DataPath) -> Iterator[tuple[DataPath, str]]:
    for position, name in enumerate(names):
        yield (*path, position), name


def _calendars(context: Context) -> Iterator[tuple[DataPath, str]]:
    for place in context.places:
        step = place.step
        if place.stand_in:
            continue
        if isinstance(step, model.Question) and step.hours is not None:
            yield (*place.path, "hours"), step.hours
        if isinstance(step, model.WaitStep) and isinstance(step.wait, model.WaitWindow):
            yield (*place.path, "wait", "window"), step.wait.window
    for trigger in context.triggers:
        if isinstance(trigger.settings, triggers.Schedule) and trigger.settings.calendar is not None:
            yield ("on", trigger.position, "schedule", "calendar"), trigger.settings.calendar


def _environments(context: Context) -> Iterator[tuple[DataPath, str]]:
    if context.workflow.environment is not None and OPEN not in context.workflow.environment:
        yield ("environment",), context.workflow.environment
    for place in context.places:
        name = place.step.environment
        if name is not None and OPEN not in name and not place.stand_in:
            yield (*place.path, "environment"), name


def _check_named_approvers(context: Context) -> None:
    """Without a directory, a quorum can be judged where all approvers are named themselves."""
    for place in context.places:
        if not isinstance(place.step, model.ApproveStep) or place.stand_in:
            continue
        step = place.step
        named = {*step.who, *(name for rung in step.escalate for name in rung.to)}
        if all(name.startswith("user:") for name in named) and len(named) < step.quorum:
            _tell_too_few(context, place, step.quorum, len(named))


def _tell_too_few(context: Context, place: Place, quorum: int, possible: int) -> None:
    context.tell(
        "too-few-approvers",
        f"`quorum` is {quorum}, and only {possible} may approve",
        (*place.path, "who"),
        of_key=True,
        help="add people to the group, or ask another one",
    )


# --- who may approve ----------------------------------------------------------------------------------------


def _check_approvers(context: Context, place: Place, step: model.ApproveStep, file: ProjectFile) -> None:
    if not knows_people(file.people):
        return
    possible = members(file.people, [*step.who, *(name for rung in step.escalate for name in rung.to)])
    if possible is None:
        return
    path = (*place.path, "who")
    if len(possible) < step.quorum:
        _tell_too_few(context, place, step.quorum, len(possible))
    elif step.four_eyes and len(possible) == 1:
        context.tell(
            "four-eyes-alone",
            f"only `user:{next(iter(possible))}` may approve, and never a run that they started",
            path,
            of_key=True,
            help="name more people, or write four_eyes: false",
        )


def members(people: People, principals: Iterable[str]) -> frozenset[str] | None:
    """The users whom *principals* name; None where one of them is not known."""
    found: set[str] = set()
    seen: set[str] = set()
    due = list(principals)
    while due:
        principal = due.pop()
        if principal in seen:
            continue
        seen.add(principal)
        kind, _, name = principal.partition(":")
        match kind:
            case "user" if name in people.users:
                found.add(name)
            case "group" if name in people.groups:
                due.extend(people.groups[name].members)
            case "oncall" if name in people.on_call:
                rota = people.on_call[name]
                due.extend(who for layer in rota.rotations for who in layer.people)
                due.extend(override.who for override in rota.overrides)
            case _:
                return None
    return frozenset(found)
