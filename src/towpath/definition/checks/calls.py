"""What is called: actions with their `with`, other workflows with theirs, and circles of calls."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from towpath.definition import expressions, model
from towpath.definition.actions import ActionCard
from towpath.definition.checks import values
from towpath.definition.checks.context import Context, Place
from towpath.definition.checks.names import schema_type
from towpath.definition.checks.order import find_cycle
from towpath.definition.checks.spots import texts_in
from towpath.definition.problems import did_you_mean, listed
from towpath.definition.projects import Head, head_of
from towpath.definition.shape import describe
from towpath.definition.source import DataPath
from towpath.errors import ExpressionError

OPEN = "${{"
REHEARSE = "towpath.rehearse"
"""The action that names steps of its own workflow."""
_NOWHERE = Path()


def check_actions(context: Context) -> None:
    """Tell unknown actions, and inputs that they need, do not take, or cannot use."""
    if context.cards is None:
        return
    for place in context.places:
        if place.stand_in:
            continue
        if isinstance(place.step, model.UsesStep):
            _check_action(context, place.path, place.step.uses, place.step.with_)
            if place.step.uses == REHEARSE:
                _check_rehearsed(context, place.path, place.step.with_.get("steps"))
        for name, asked in (("check", place.step.check), ("rehearse", place.step.rehearse)):
            if asked is not None and asked.uses is not None:
                _check_action(context, (*place.path, name), asked.uses, asked.with_)
        if place.step.rehearse is not None and place.step.rehearse.uses is not None:
            _check_can_rehearse(context, (*place.path, "rehearse", "uses"), place.step.rehearse.uses)


def _check_rehearsed(context: Context, path: DataPath, names: object) -> None:
    """The steps that a plan shall be made of are steps of the file."""
    known = {place.step.id for place in context.places if place.step.id is not None}
    for position, name in enumerate(names if isinstance(names, list | tuple) else ()):
        if isinstance(name, str) and OPEN not in name and name not in known:
            context.tell(
                "unknown-step",
                f"there is no step `{name}`",
                (*path, "with", "steps", position),
                help=did_you_mean(name, known),
            )


def _check_can_rehearse(context: Context, path: DataPath, name: str) -> None:
    """A rehearsal performs nothing: the action that it names has to be one that can tell what it would do."""
    assert context.cards is not None
    card = context.cards.get(name)
    if card is not None and not card.can_rehearse:
        context.tell(
            "keys-go-together",
            f"`{name}` cannot be rehearsed",
            path,
            help="name an action that can (`tow actions NAME` tells), or write a script that only looks",
        )


def _check_action(context: Context, path: DataPath, name: str, given: Mapping[str, object]) -> None:
    assert context.cards is not None
    if name not in context.cards:
        context.tell(
            "unknown-action",
            f"there is no action `{name}`",
            (*path, "uses"),
            help=did_you_mean(name, context.cards, otherwise=_same_space(name, context.cards)),
        )
        return
    card = context.cards[name]
    _check_given(context, path, card, given)
    missing = [
        key
        for key, parameter in card.inputs.items()
        if parameter.required and key not in given and not context.is_cut((*path, "with", key))
    ]
    if missing:
        context.tell(
            "missing-with",
            f"`{name}` needs {listed(missing)} in `with`",
            (*path, "uses"),
            help=_missing_help(card, missing),
        )


def _same_space(name: str, cards: Iterable[str]) -> str:
    space = name.split(".", maxsplit=1)[0]
    same = sorted(card for card in cards if card.split(".", maxsplit=1)[0] == space)
    return f"`{space}` has {listed(same)}" if same else "tow actions lists those that there are"


def _missing_help(card: ActionCard, missing: list[str]) -> str:
    shown = ", ".join(f"{key}: …" for key in missing)
    said = [f"{key}: {card.inputs[key].description}" for key in missing if card.inputs[key].description]
    return "\n".join([f"add with: {{{shown}}}", *said])


def _check_given(context: Context, path: DataPath, card: ActionCard, given: Mapping[str, object]) -> None:
    for key, value in given.items():
        at = (*path, "with", key)
        parameter = card.inputs.get(key)
        if parameter is None:
            if not card.open_inputs:
                context.tell(
                    "unknown-with",
                    f"`{card.name}` does not take `{key}`",
                    at,
                    of_key=True,
                    help=did_you_mean(key, card.inputs),
                )
            continue
        if not parameter.secret_allowed:
            _check_no_secret(context, at, card, key, value)
        wrong = schema_mismatch(parameter.schema, value)
        if wrong is not None:
            context.tell("wrong-with", f"`{key}` of `{card.name}` {wrong}", at, help=parameter.description)


def _check_no_secret(context: Context, path: DataPath, card: ActionCard, key: str, value: object) -> None:
    for at, text in texts_in(value, path):
        if OPEN in text and "secrets" in text and _secrets_in(text):
            offset = text.find("secrets")
            allowed = [name for name, parameter in card.inputs.items() if parameter.secret_allowed]
            context.tell_inside(
                "secret-outside",
                f"`{key}` of `{card.name}` takes no secret: it is shown and kept",
                at,
                offset=offset,
                length=len("secrets"),
                help=f"secrets go into {listed(allowed)}" if allowed else "this action takes no secrets",
            )


def _secrets_in(text: str) -> bool:
    try:
        return bool(expressions.parse_template(text, names=expressions.DYNAMIC).secrets)
    except ExpressionError:
        return False


_JSON_TYPES: Mapping[str, tuple[str, tuple[type, ...]]] = {
    "string": ("text", (str,)),
    "integer": ("a whole number", (int,)),
    "number": ("a number", (int, float)),
    "boolean": ("true or false", (bool,)),
    "array": ("a list", (list, tuple)),
    "object": ("a mapping", (dict,)),
}


def schema_mismatch(schema: Mapping[str, object], value: object) -> str | None:
    """Why *value* cannot be what *schema* describes, as far as a type or a choice tells."""
    kind = schema.get("type")
    if isinstance(value, str) and OPEN in value:
        return _template_mismatch(schema, value)
    if isinstance(kind, str) and kind in _JSON_TYPES:
        wanted, types = _JSON_TYPES[kind]
        fits = isinstance(value, types) and (kind == "boolean" or not isinstance(value, bool))
        if not fits:
            return f"has to be {wanted}, not {describe(value)}"
    choices = schema.get("enum")
    if isinstance(choices, list | tuple) and value not in choices:
        return f"has to be one of {listed(str(choice) for choice in choices)}, not {describe(value)}"
    return None


def _template_mismatch(schema: Mapping[str, object], text: str) -> str | None:
    """Text around an expression makes text of it; a whole expression is what the expression gives."""
    try:
        template = expressions.parse_template(text, names=expressions.DYNAMIC)
    except ExpressionError:
        return None
    kind = schema.get("type")
    if (
        template.is_whole
        or not isinstance(kind, str)
        or kind not in _JSON_TYPES
        or schema_type(schema) == "string"
    ):
        return None
    return f"has to be {_JSON_TYPES[kind][0]}, and text around an expression makes text of it"


# --- workflows ----------------------------------------------------------------------------------------------


def check_workflow_name(context: Context) -> None:
    """Tell a name that another file of the project has too."""
    if context.project is None or context.is_cut(("name",)):
        return
    mine = Path(context.source.path).absolute()
    files = [head.path.absolute() for head in context.project.heads().get(context.workflow.name, ())]
    others = [file for file in files if file != mine]
    if mine in files and others:
        context.tell(
            "duplicate-workflow",
            f"the workflow in {os.path.relpath(others[0])} is called `{context.workflow.name}` too",
            ("name",),
            help="names are unique in the project: they are what people type",
        )


def check_workflow_calls(context: Context) -> None:
    """Tell calls of unknown workflows, wrong inputs of calls, and circles."""
    project = context.project
    calls = [
        place for place in context.places if isinstance(place.step, model.WorkflowStep) and not place.stand_in
    ]
    if not calls:
        return
    known = dict(project.workflows) if project is not None else {}
    me = head_of(
        context.workflow, known[context.workflow.name].path if context.workflow.name in known else _NOWHERE
    )
    for place in calls:
        assert isinstance(place.step, model.WorkflowStep)
        name = place.step.workflow
        head = me if name == me.name else known.get(name)
        if head is not None:
            _check_call(context, place, head, place.step.with_)
        elif project is not None and known:
            context.tell(
                "unknown-workflow",
                f"the project has no workflow `{name}`",
                (*place.path, "workflow"),
                help=did_you_mean(name, known),
            )
    _check_circle(context, calls, {**known, me.name: me})


def _check_circle(context: Context, calls: list[Place], known: Mapping[str, Head]) -> None:
    name = context.workflow.name
    waiting = [
        place for place in calls if isinstance(place.step, model.WorkflowStep) and not place.step.detach
    ]
    for place in waiting:
        assert isinstance(place.step, model.WorkflowStep)
        edges = {head.name: list(head.calls) for head in known.values()}
        edges[name] = [place.step.workflow]
        cycle = find_cycle({name: edges[name], **_reachable(edges, place.step.workflow)})
        if name in cycle:
            start = cycle.index(name)
            round_trip = [*cycle[start:], *cycle[:start], name]
            context.tell(
                "workflow-cycle",
                f"workflows call each other in a circle: {' → '.join(f'`{word}`' for word in round_trip)}",
                (*place.path, "workflow"),
                help="use `repeat` inside one workflow, or `detach: true` for a call that nobody waits for",
            )


def _reachable(edges: Mapping[str, list[str]], start: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    due = [start]
    while due:
        name = due.pop()
        if name in edges and name not in found:
            found[name] = edges[name]
            due.extend(edges[name])
    return found


def _check_call(context: Context, place: Place, head: Head, given: Mapping[str, object]) -> None:
    for key, value in given.items():
        at = (*place.path, "with", key)
        declared = head.inputs.get(key)
        if declared is None:
            context.tell(
                "unknown-with",
                f"the workflow `{head.name}` has no input `{key}`",
                at,
                of_key=True,
                help=did_you_mean(key, head.inputs),
            )
            continue
        wrong = values.mismatch(declared, value)
        if wrong is not None:
            context.tell("wrong-with", f"`{key}` of `{head.name}` {wrong[0]}", at, help=wrong[1])
    missing = [
        key
        for key, declared in head.inputs.items()
        if not declared.has_default and key not in given and not context.is_cut((*place.path, "with", key))
    ]
    if missing:
        shown = ", ".join(f"{key}: …" for key in missing)
        context.tell(
            "missing-with",
            f"the workflow `{head.name}` needs {listed(missing)}",
            (*place.path, "workflow"),
            help=f"add with: {{{shown}}}, or give the input a default there",
        )
