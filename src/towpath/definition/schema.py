"""The JSON Schema of workflow files and of towpath.yaml, made from the models.

Editors complete from it, so it is shaped for them: every kind of step is a closed object with its own keys,
said once under `Step`; every kind of trigger is a key of one object; a key that may be short or long
(`rollback`, `check`) says both. What a schema cannot say (names in expressions, order, calls) the loader
says.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel

from towpath.definition import model, triggers
from towpath.definition.actions import ActionCards
from towpath.definition.checks.keys import ONLY_FOR
from towpath.definition.project import ProjectFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"
BASE_URL = "https://towpath.readthedocs.io/schema/"
Json: TypeAlias = dict[str, Any]  # Any: nested JSON

_STEP = {"$ref": "#/$defs/Step"}
_STEPS = {"type": "array", "items": _STEP}
_OPEN = r"\$\{\{"


def workflow_schema(*, cards: ActionCards | None = None) -> Json:
    """The schema of a workflow file; with *cards*, the actions and their inputs are in it."""
    schema = made_from(model.Workflow, "workflow", "A Towpath workflow")
    definitions = schema["$defs"]
    definitions["Step"] = _step(definitions)
    for cls in model.STEP_CLASSES:
        _mend_step(definitions[cls.__name__], cls)
    definitions["Branch"].update(_BRANCH)
    for name in ("Check", "Rehearse"):
        definitions[name]["oneOf"] = [{"required": ["run"]}, {"required": ["uses"]}]
    for name in ("ApproveStep", "TaskStep"):
        definitions[name]["dependentRequired"] = {
            "answer_within": ["if_unanswered"],
            "if_unanswered": ["answer_within"],
        }
    _mend_each(definitions["EachStep"]["properties"]["each"])
    definitions["Trigger"], more = _trigger()
    definitions.update(more)
    schema["properties"]["on"]["items"] = {"$ref": "#/$defs/Trigger"}
    if cards is not None:
        _add_actions(definitions, cards)
    return schema


def project_schema() -> Json:
    """The schema of towpath.yaml."""
    schema = made_from(ProjectFile, "project", "A Towpath project")
    definitions = schema["$defs"]
    people = definitions["People"]["properties"]
    _or_list(people["groups"], definitions["Group"]["properties"]["members"])
    _or_list(definitions["Access"]["properties"]["roles"], definitions["Role"]["properties"]["permissions"])
    for place, keys in {"Environment": ("windows", "freeze", "runs_on"), "Channel": ("to",)}.items():
        for key in keys:
            _or_one_word(definitions[place]["properties"][key])
    kinds = list(definitions["Provider"]["properties"])
    for kind in kinds:
        inner = definitions["Provider"]["properties"][kind]
        if not definitions[inner["$ref"].rpartition("/")[2]].get("required"):
            definitions["Provider"]["properties"][kind] = {
                "anyOf": [{"$ref": inner["$ref"]}, {"type": "null"}],
                "description": inner.get("description", ""),
            }
    definitions["Provider"]["minProperties"] = 1
    definitions["Provider"]["maxProperties"] = 1
    definitions["Secrets"]["properties"]["providers"]["items"] = {
        "anyOf": [
            {"enum": [kind for kind in kinds if kind not in ("file", "vault")]},
            {"$ref": "#/$defs/Provider"},
        ]
    }
    return schema


def _or_list(schema: Json, short: Json) -> None:
    """A mapping whose values may be written shorter, as lists."""
    patterns = schema["patternProperties"]
    schema["patternProperties"] = {pattern: {"anyOf": [short, inner]} for pattern, inner in patterns.items()}


def made_from(cls: type[BaseModel], name: str, title: str) -> Json:
    """The schema of a kind of file, made from its model and shaped for editors."""
    schema = _clean(cls.model_json_schema(by_alias=True))
    assert isinstance(schema, dict)
    for key, field in cls.model_fields.items():
        # Beside a reference with a default of its own, pydantic leaves the description out.
        schema["properties"][field.alias or key].setdefault("description", field.description or "")
    return {"$schema": DIALECT, "$id": f"{BASE_URL}{name}.json", **schema, "title": title}


def _clean(value: Any, *, named: bool = False) -> Any:  # noqa: ANN401 - nested JSON
    """A schema without the noise: no made-up titles, no `null` for keys left out, steps by reference."""
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if not isinstance(value, dict):
        return value
    if named:
        return {key: _clean(inner) for key, inner in value.items()}
    if _is_step_union(value):
        return dict(_STEP)
    cleaned = {key: _clean(inner, named=key in _NAMED) for key, inner in value.items() if key not in _NOISE}
    if "default" in cleaned and cleaned["default"] in (None, [], {}):
        del cleaned["default"]
    if "patternProperties" in cleaned:
        cleaned.setdefault("additionalProperties", False)
    choices = cleaned.get("anyOf")
    if isinstance(choices, list):
        kept = [choice for choice in choices if choice != {"type": "null"}]
        if len(kept) == 1:
            del cleaned["anyOf"]
            cleaned = {**kept[0], **cleaned}
        else:
            cleaned["anyOf"] = kept
    return cleaned


_NAMED = frozenset({"properties", "$defs", "patternProperties"})
"""Keys below which there are names, not words of the schema language."""
_NOISE = frozenset({"title", "discriminator"})


def _is_step_union(value: Json) -> bool:
    choices = value.get("oneOf")
    return (
        isinstance(choices, list)
        and len(choices) == len(model.STEP_CLASSES)
        and {"$ref": "#/$defs/RunStep"} in choices
    )


# --- steps ---


def _step(definitions: Json) -> Json:
    return {
        "title": "A step",
        "description": f"Exactly one of {', '.join(model.STEP_KINDS)} says what it does.",
        "type": "object",
        "oneOf": [
            {"$ref": f"#/$defs/{cls.__name__}"} for cls in model.STEP_CLASSES if cls.__name__ in definitions
        ],
    }


def _mend_step(schema: Json, cls: type[model.Step]) -> None:
    """The short forms that a step's keys have, and no keys that its kind cannot follow."""
    properties = schema["properties"]
    for key, kinds in ONLY_FOR.items():
        if cls.kind not in kinds:
            properties.pop(key, None)
    for key, (short, long) in _SHORT_FORMS.items():
        if key in properties:
            properties[key] = {"anyOf": [short, long], "description": properties[key].get("description", "")}
    if "runs_on" in properties:
        _or_one_word(properties["runs_on"])
    if cls is model.UsesStep:
        properties["outputs"] = {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "Names mapped to expressions, beside the action's own outputs.",
        }
    if cls is model.TaskStep:
        properties["if_unanswered"]["enum"] = ["fail", "continue"]
    schema["required"] = [cls.kind, *(key for key in schema.get("required", ()) if key != cls.kind)]
    schema["properties"] = {cls.kind: properties.pop(cls.kind), **properties}


_SHORT_FORMS: Mapping[str, tuple[Json, Json]] = {
    "rollback": (_STEP, _STEPS),
    "check": ({"type": "string"}, {"$ref": "#/$defs/Check"}),
    "rehearse": ({"type": "string"}, {"$ref": "#/$defs/Rehearse"}),
}


def _or_one_word(schema: Json) -> None:
    """A list of words may be written as one word."""
    description = schema.pop("description", "")
    many = {key: schema.pop(key) for key in list(schema)}
    schema["anyOf"] = [many.get("items", {"type": "string"}), many]
    if description:
        schema["description"] = description


def _mend_each(schema: Json) -> None:
    """A mapping with the key `matrix` is a matrix and nothing else."""
    forms = schema.pop("oneOf")
    for form in forms:
        if form.get("type") == "object":
            form["not"] = {"required": ["matrix"]}
    schema["anyOf"] = forms


_BRANCH: Json = {
    "oneOf": [
        {"required": ["if", "steps"], "not": {"required": ["else"]}},
        {"required": ["else"], "not": {"anyOf": [{"required": ["if"]}, {"required": ["steps"]}]}},
    ]
}


# --- triggers ---


def _trigger() -> tuple[Json, Json]:
    """The schema of an entry of `on`, and the definitions that it uses."""
    options = _clean(triggers.Options.model_json_schema(by_alias=True))["properties"]
    definitions: Json = {}
    kinds: Json = {}
    bare: list[str] = []
    for kind, cls in triggers.TRIGGER_CLASSES.items():
        made = _clean(cls.model_json_schema(by_alias=True))
        definitions.update(made.pop("$defs", {}))
        definitions.setdefault(cls.__name__, _mended_trigger(cls, made))
        reference = {"$ref": f"#/$defs/{cls.__name__}"}
        kinds[kind] = reference if cls in _WITH_SETTINGS else {"anyOf": [reference, {"type": "null"}]}
        if cls not in _WITH_SETTINGS:
            bare.append(kind)
    entry = {
        "type": "object",
        "properties": {**kinds, **options},
        "additionalProperties": False,
        "oneOf": [{"required": [kind]} for kind in kinds],
    }
    return {
        "title": "A trigger",
        "description": "What starts the workflow.",
        "anyOf": [{"enum": bare}, entry],
    }, definitions


_WITH_SETTINGS = tuple(
    cls
    for cls in dict.fromkeys(triggers.TRIGGER_CLASSES.values())
    if cls in (triggers.Schedule, triggers.Webhook)
    or any(info.is_required() for info in cls.model_fields.values())
)
"""Triggers that mean nothing without their settings."""


def _mended_trigger(cls: type[BaseModel], schema: Json) -> Json:
    for definition in (schema, *schema.get("$defs", {}).values()):
        for key, inner in definition.get("properties", {}).items():
            if inner.get("type") == "array" and key in _LISTS:
                _or_one_word(inner)
    if cls is triggers.Schedule:
        schema["oneOf"] = [{"required": ["cron"]}, {"required": ["every"]}]
    if cls is triggers.Webhook:
        schema["anyOf"] = [
            {"required": ["verify"]},
            {"required": ["unsafe_unverified"], "properties": {"unsafe_unverified": {"const": True}}},
        ]
    return schema


_LISTS = frozenset(_key for _cls in triggers.TRIGGER_CLASSES.values() for _key in _cls.model_fields)
"""Settings of triggers that are lists: each may be one word."""


# --- actions ---


def _add_actions(definitions: Json, cards: ActionCards) -> None:
    """Names of actions, and for each of them what `with` takes."""
    step = definitions["UsesStep"]
    names = sorted(cards)
    step["properties"]["uses"] = {
        "type": "string",
        "enum": names,
        "description": step["properties"]["uses"].get("description", ""),
    }
    step["allOf"] = [
        {
            "if": {"properties": {"uses": {"const": name}}, "required": ["uses"]},
            "then": _then(cards, name),
        }
        for name in names
    ]


def _then(cards: ActionCards, name: str) -> Json:
    card = cards[name]
    required = [key for key, parameter in card.inputs.items() if parameter.required]
    given: Json = {
        "type": "object",
        "description": card.summary,
        "properties": {
            key: {**_or_expression(dict(parameter.schema)), "description": parameter.description}
            for key, parameter in card.inputs.items()
        },
        "additionalProperties": card.open_inputs,
    }
    if required:
        given["required"] = required
    then: Json = {"properties": {"with": given}}
    if required:
        then["required"] = ["with"]
    return then


def _or_expression(schema: Json) -> Json:
    """A value of a given type may also be an expression that gives one."""
    definitions = schema.pop("$defs", None)
    inlined: Json = _inline(schema, definitions or {}, depth=0)
    if inlined.get("type") in ("string", None) and "enum" not in inlined and "pattern" not in inlined:
        return inlined
    return {"anyOf": [inlined, {"type": "string", "pattern": _OPEN}]}


_INLINE_DEPTH_MAX = 8


def _inline(schema: Any, definitions: Mapping[str, Any], *, depth: int) -> Any:  # noqa: ANN401 - nested JSON
    """A schema whose references are written out: an action's own definitions have no place in ours."""
    if depth > _INLINE_DEPTH_MAX:
        return {}
    if isinstance(schema, list):
        return [_inline(item, definitions, depth=depth) for item in schema]
    if not isinstance(schema, Mapping):
        return copy.deepcopy(schema)
    reference = schema.get("$ref")
    if isinstance(reference, str):
        target = definitions.get(reference.rpartition("/")[2], {})
        return _inline(target, definitions, depth=depth + 1)
    return {key: _inline(value, definitions, depth=depth) for key, value in schema.items()}


def described_keys(schema: Json) -> Iterator[tuple[str, str]]:
    """Every key of a schema with its description, for tests that look for gaps."""
    for place, definition in {"": schema, **schema.get("$defs", {})}.items():
        for key, inner in definition.get("properties", {}).items():
            if isinstance(inner, dict):
                yield f"{place}.{key}", str(inner.get("description", ""))
