"""What an expression may name at its spot, and of which type it is.

Names are laid out as small trees: a leaf has a type and is open below where its type says nothing more
(`dyn`, `map`); a branch lists what there is and is closed. A reference walks such a tree word by word, so the
first word that leads nowhere is known, with those it could have been.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

from towpath.definition import model
from towpath.definition.checks.context import Context, Place
from towpath.definition.checks.scope import refusal
from towpath.definition.checks.spots import USUAL, Spot
from towpath.definition.problems import did_you_mean, listed

Tree: TypeAlias = "str | Mapping[str, Tree]"
"""A type, or what there is by name."""

RUN: Tree = {
    "id": "string",
    "workflow": "string",
    "started_by": "dyn",
    "started_at": "string",
    "environment": "dyn",
    "status": "string",
    "url": "dyn",
}
ERROR: Tree = {"kind": "string", "message": "string", "step": "string", "exit_code": "dyn", "outputs": "map"}
STEP: Mapping[str, Tree] = {
    "outputs": "map",
    "status": "string",
    "error": ERROR,
    "attempts": "int",
    "started_at": "string",
    "ended_at": "string",
    "decided": "bool",
}
"""What there is of every step."""
SCRIPT_OUTPUTS: Mapping[str, Tree] = {"stdout": "string", "exit_code": "int"}
DECISION_OUTPUTS: Mapping[str, Tree] = {"decision": "string", "by": "dyn", "comment": "dyn"}
SECRETS_HELP = "secrets go into `with`, `env` and `stdin` only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """Why a path leads nowhere; *word* is the position of the word that does not fit."""

    name: str
    message: str
    help: str
    word: int = 0


@dataclass(slots=True, kw_only=True)
class Scope:
    """The names at one spot."""

    context: Context
    spot: Spot
    _roots: dict[str, Tree] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._roots = dict(_roots(self.context, self.spot))

    @property
    def roots(self) -> Mapping[str, Tree]:
        """The first words that there are."""
        return self._roots

    def read(self, path: tuple[str, ...]) -> Unknown | None:
        """Why *path* cannot be read here, or None when it can."""
        root = path[0]
        if root == "secrets":
            return Unknown(name="secret-outside", message="no secret can stand here", help=SECRETS_HELP)
        if root == "steps" and self.spot.only is None:
            return self._read_step(path)
        if root not in self._roots:
            return self._unknown_root(root)
        return _walk(path, self._roots[root], depth=1)

    def types(self, path: tuple[str, ...]) -> dict[str, str]:
        """The declarations that decide the type of *path*, which can be read."""
        root = path[0]
        if root == "steps" and self.spot.only is None:
            place = self.context.by_id.get(path[1]) if len(path) > 1 else None
            known: Tree = "dyn" if place is None else step_tree(self.context, place)
            return _types(path, known, 2) if len(path) > 1 else {"steps": "dyn"}
        return _types(path, self._roots.get(root, "dyn"), 1)

    def _read_step(self, path: tuple[str, ...]) -> Unknown | None:
        if len(path) == 1:
            return Unknown(
                name="expression-type",
                message="`steps` is not a value",
                help="name a step: steps.build.outputs",
            )
        if self.context.is_lost(path[1]):
            return None
        target = self.context.by_id.get(path[1])
        if target is None:
            return self._unknown_step(path)
        refused = refusal(self.spot.place, target, self.spot.moment)
        if refused is not None:
            return Unknown(name=refused.name, message=refused.message, help=refused.help, word=1)
        return self._walk_step(path, target)

    def _unknown_step(self, path: tuple[str, ...]) -> Unknown:
        known = self.context.by_id
        return Unknown(
            name="unknown-step",
            message=f"there is no step `{path[1]}`",
            help=did_you_mean(path[1], known) if known else "give the step an `id`",
            word=1,
        )

    def _walk_step(self, path: tuple[str, ...], target: Place) -> Unknown | None:
        unknown = _walk(path, step_tree(self.context, target), depth=2)
        if unknown is None or unknown.word != 2:  # noqa: PLR2004 - steps.<id>.<field>
            return unknown and _undeclared(self.context, path, target, unknown)
        word = path[2]
        outputs = outputs_of(self.context, target)
        inside = self.context.by_id.get(word)
        advice = unknown.help
        if isinstance(outputs, Mapping) and word in outputs:
            advice = f"write steps.{path[1]}.outputs.{word}"
        elif inside is not None and inside.parent is target:
            advice = f"ids are unique in the file: write steps.{word}"
            if target.kind == "each":
                advice = f"write steps.{path[1]}.items[0].{word}"
        return Unknown(name=unknown.name, message=unknown.message, help=advice, word=2)

    def _unknown_root(self, word: str) -> Unknown:
        advice = _elsewhere(word) or did_you_mean(word, [*self._roots, *self._steps_root()])
        if word in self.context.by_id:
            advice = f"write steps.{word}"
        elif word in self.context.workflow.inputs:
            advice = f"write inputs.{word}" if "inputs" in self._roots else "inputs are not known yet here"
        elif isinstance(own := self._roots.get("outputs"), Mapping) and word in own:
            advice = f"write outputs.{word}"
        elif word in (loops := _item_names(self.context)):
            advice = f"`{word}` is there inside {loops[word]}"
        elif word == "now":
            advice = "expressions have no clock; use run.started_at or a time from an event"
        return Unknown(name="unknown-name", message=f"there is no name `{word}` here", help=advice)

    def _steps_root(self) -> tuple[str, ...]:
        return ("steps",) if self.spot.only is None else ()


def _item_names(context: Context) -> dict[str, str]:
    """The `as` names of all loops, and where they are."""
    loops = (place for place in context.places if isinstance(place.step, model.EachStep))
    return {place.step.as_: place.name() for place in loops if isinstance(place.step, model.EachStep)}


_OWN = "is there in `success_when` and in a step's `outputs`"


def _elsewhere(word: str) -> str:
    """What to say of a name that exists, but not here."""
    return {
        "error": "`error` is there in `catch`, `on_failure`, `finally`, `rollback` and in `retry: {when: …}`",
        "step": "`step` is there in `rollback`",
        "outputs": f"`outputs` {_OWN}; elsewhere write steps.ID.outputs",
        "stdout": f"`stdout` {_OWN}; elsewhere write steps.ID.outputs.stdout",
        "index": "`index` is there inside `each` and `repeat`",
        "item": "`item` is there inside `each`",
        "steps": "steps have not run yet when this is worked out",
        "inputs": "inputs are not known yet when this is worked out",
        "env": "the environment is for scripts; name the value itself",
    }.get(word, "")


def _undeclared(context: Context, path: tuple[str, ...], target: Place, unknown: Unknown) -> Unknown:
    if unknown.word != 3 or path[2] != "outputs":  # noqa: PLR2004 - steps.<id>.outputs.<name>
        return unknown
    name = path[3]
    outputs = outputs_of(context, target)
    known = outputs if isinstance(outputs, Mapping) else {}
    advice = did_you_mean(name, known, otherwise=_how_to_declare(target, name, known))
    message = f"{target.name()} has no output `{name}`"
    return Unknown(name="undeclared-output", message=message, help=advice, word=3)


def _how_to_declare(target: Place, name: str, known: Mapping[str, Tree]) -> str:
    if target.kind == "run":
        return (
            f"declare it with `outputs: [{name}]`, and write it in the script: "
            f'echo "{name}=…" >>"$TOW_OUTPUT"'
        )
    if target.kind == "task":
        return f"its outputs are the fields of its `form`: add `{name}` there"
    return f"its outputs: {listed(known)}" if known else f"a `{target.kind}` step has no outputs"


# --- trees --------------------------------------------------------------------------------------------------


def _roots(context: Context, spot: Spot) -> Iterator[tuple[str, Tree]]:
    names = {*(spot.only if spot.only is not None else USUAL), *spot.roots}
    workflow = context.workflow
    known: dict[str, Tree] = {
        "inputs": {name: input_type(declared) for name, declared in workflow.inputs.items()},
        "vars": {name: _value_type(value) for name, value in workflow.vars.items()},
        "run": RUN,
        "event": "dyn",
        "error": ERROR,
        "step": STEP,
        "stdout": "string",
        "index": "int",
        "failure_rate": "double",
        "runs": "int",
        "status": "string",
    }
    for name in sorted(names & set(known)):
        yield name, known[name]
    if "outputs" in names and spot.place is not None:
        yield "outputs", _own_outputs(context, spot)
    if spot.only is None and spot.place is not None:
        yield from _items(context, spot.place)


def _items(context: Context, place: Place) -> Iterator[tuple[str, Tree]]:
    """The `as` names and `index` of the loops around a place, the innermost last."""
    chain = place.chain()
    for outer, inner in pairwise(chain):
        if outer.kind in ("each", "repeat") and inner.slot in ("steps", "repeat"):
            yield "index", "int"
            if isinstance(outer.step, model.EachStep):
                yield outer.step.as_, _item_type(context, outer.step.each)


_INPUT = re.compile(r"\$\{\{\s*inputs\.([a-z][a-z0-9_]*)\s*\}\}")


def _item_type(context: Context, each: object) -> Tree:
    match each:
        case str() if (found := _INPUT.fullmatch(each)) and found[1] in context.workflow.inputs:
            return _input_item_type(context.workflow.inputs[found[1]])
        case model.Matrix():
            return {name: _values_type(values) for name, values in each.matrix.items()}
        case Mapping():
            return {"key": "string", "value": "dyn"}
        case tuple():
            return _values_type(each)
        case _:
            return "dyn"


def _input_item_type(declared: model.Input) -> Tree:
    inner = input_type(declared.items) if declared.items is not None else "dyn"
    return {"key": "string", "value": inner} if declared.type == "map" else inner


def _values_type(values: object) -> str:
    kinds = {_value_type(value) for value in values} if isinstance(values, tuple) else {"dyn"}
    return kinds.pop() if len(kinds) == 1 else "dyn"


def _value_type(value: object) -> str:
    match value:
        case bool():
            return "bool"
        case int():
            return "int"
        case str() if "${{" not in value:
            return "string"
        case list() | tuple():
            return "list"
        case Mapping():
            return "map"
        case _:
            return "dyn"


def input_type(declared: model.Input) -> str:
    """The type of an input's value."""
    if declared.has_default and declared.default is None:
        return "dyn"
    match declared.type:
        case "string":
            return "string"
        case "integer":
            return "int"
        case "boolean":
            return "bool"
        case "list" | "map" as outer:
            inner = input_type(declared.items) if declared.items is not None else "dyn"
            return outer if inner == "dyn" else f"{outer}({inner})"
        case _:
            return "dyn"


def step_tree(context: Context, place: Place) -> Tree:
    """What there is of a step: its status, its outputs, and of a loop its items."""
    tree: dict[str, Tree] = {**STEP, "outputs": outputs_of(context, place)}
    if place.kind == "each":
        tree["items"] = "list"
    return tree


def outputs_of(context: Context, place: Place) -> Tree:
    """The outputs that a step declares, or a type where they cannot be known."""
    if place.stand_in or context.is_cut((*place.path, "outputs")):
        return "dyn"
    own = _kind_outputs(context, place)
    if isinstance(own, str):
        return own
    declared = place.step.outputs
    return {**own, **dict.fromkeys(declared, "dyn")}


def _kind_outputs(context: Context, place: Place) -> Tree:  # noqa: PLR0911 - one answer for each kind
    match place.step:
        case model.RunStep() as step:
            return {**SCRIPT_OUTPUTS, "json": "dyn"} if step.parse == "json" else SCRIPT_OUTPUTS
        case model.UsesStep() as step:
            return _action_outputs(context, step.uses)
        case model.ApproveStep() as step:
            return {**DECISION_OUTPUTS, "form": form_tree(step.form)}
        case model.TaskStep() as step:
            return form_tree(step.form)
        case model.WaitStep(wait=model.WaitEvent() | model.WaitSignal()):
            return "dyn"
        case model.WorkflowStep() as step:
            return _workflow_outputs(context, step.workflow)
        case _:
            return {}


def form_tree(form: Mapping[str, model.Input]) -> Tree:
    """The fields of a form; one that may be left out may be null."""
    return {
        name: input_type(item) if item.required and item.default is None else "dyn"
        for name, item in form.items()
    }


def _action_outputs(context: Context, name: str) -> Tree:
    card = context.cards.get(name) if context.cards is not None else None
    if card is None or card.outputs is None:
        return "dyn"
    return {output: schema_type(schema) for output, schema in card.outputs.items()}


def _workflow_outputs(context: Context, name: str) -> Tree:
    head = context.project.workflows.get(name) if context.project is not None else None
    if head is None:
        return "dyn"
    return {**dict.fromkeys(head.outputs, "dyn"), "run": "string", "status": "string"}


_SCHEMA_TYPES = {"string": "string", "integer": "int", "boolean": "bool", "array": "list", "object": "map"}


def schema_type(schema: Mapping[str, object]) -> str:
    """The type of the values that a JSON Schema describes."""
    return _SCHEMA_TYPES.get(str(schema.get("type")), "dyn")


def _own_outputs(context: Context, spot: Spot) -> Tree:
    """`outputs` inside a step's own keys: what the attempt gave, before `outputs` maps anything."""
    place = spot.place
    assert place is not None
    key = spot.path[len(place.path)] if len(spot.path) > len(place.path) else None
    if key in ("check", "rehearse"):
        asked = place.step.check if key == "check" else place.step.rehearse
        return _action_outputs(context, asked.uses) if asked is not None and asked.uses else SCRIPT_OUTPUTS
    if place.kind == "run" and isinstance(place.step.outputs, Mapping):
        return "map"  # the mapping reads what the script wrote, under names of the script's own
    return outputs_of(context, place)


# --- walking ------------------------------------------------------------------------------------------------


def _walk(path: tuple[str, ...], tree: Tree, *, depth: int) -> Unknown | None:
    for position in range(depth, len(path)):
        if isinstance(tree, str):
            return _nothing_inside(path, position, tree)
        if path[position] not in tree:
            return _no_such(path, position, tree)
        tree = tree[path[position]]
    return None


_SCALARS = {"string": "text", "int": "a number", "double": "a number", "bool": "true or false"}


def _nothing_inside(path: tuple[str, ...], position: int, type_text: str) -> Unknown | None:
    """A value of a known type that has no parts with names."""
    kind = _SCALARS.get(type_text, "a list" if type_text.startswith("list") else "")
    if not kind:
        return None
    before = ".".join(path[:position])
    advice = f"read one item: {before}[0], or ask all: {before}.all(i, …)" if kind == "a list" else ""
    return Unknown(
        name="expression-type",
        message=f"`{before}` is {kind}, and has no `{path[position]}`",
        help=advice,
        word=position,
    )


def _no_such(path: tuple[str, ...], position: int, tree: Mapping[str, Tree]) -> Unknown:
    word, before = path[position], ".".join(path[:position])
    if before == "inputs":
        advice = did_you_mean(word, tree) if tree else f"declare it: inputs: {{{word}: {{type: string}}}}"
        return Unknown(
            name="unknown-input", message=f"the workflow has no input `{word}`", help=advice, word=position
        )
    if before == "vars":
        advice = did_you_mean(word, tree) if tree else f"declare it: vars: {{{word}: …}}"
        return Unknown(
            name="unknown-var", message=f"the workflow has no variable `{word}`", help=advice, word=position
        )
    advice = did_you_mean(word, tree)
    return Unknown(name="unknown-name", message=f"`{before}` has no `{word}`", help=advice, word=position)


def _types(path: tuple[str, ...], tree: Tree, depth: int) -> dict[str, str]:
    position = depth
    while position < len(path) and not isinstance(tree, str) and path[position] in tree:
        tree = tree[path[position]]
        position += 1
    return {".".join(path[:position]): tree if isinstance(tree, str) else "map"}
