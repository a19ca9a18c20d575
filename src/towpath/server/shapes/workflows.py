"""Workflows: what a start may say, and what starts them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from towpath.definition.model import Input
from towpath.definition.triggers import Schedule, Trigger

Object = dict[str, Any]  # JSON
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_TYPES: Final[Mapping[str, str]] = {"list": "array", "map": "object"}
_LENGTHS: Final[Mapping[str, tuple[str, str]]] = {
    "string": ("minLength", "maxLength"),
    "list": ("minItems", "maxItems"),
    "map": ("minProperties", "maxProperties"),
}


def inputs_schema(inputs: Mapping[str, Input]) -> Object:
    """The inputs of a workflow, or the fields of a form, as JSON Schema."""
    return {
        "$schema": DIALECT,
        "type": "object",
        "properties": {name: input_schema(declared) for name, declared in inputs.items()},
        "required": [
            name
            for name, declared in inputs.items()
            if not declared.has_default and declared.required is not False
        ],
        "additionalProperties": False,
    }


def input_schema(declared: Input) -> Object:
    """One input as JSON Schema."""
    told: Object = {"type": _TYPES.get(declared.type, declared.type)}
    said = {
        "title": declared.title,
        "description": declared.description,
        "enum": None if declared.enum is None else list(declared.enum),
        "pattern": None if declared.pattern is None else f"^(?:{declared.pattern})$",
        "minimum": declared.minimum,
        "maximum": declared.maximum,
    }
    told |= {key: value for key, value in said.items() if value is not None}
    if declared.has_default:
        told["default"] = declared.default
    shortest, longest = _LENGTHS.get(declared.type, ("", ""))
    if shortest and declared.min_length is not None:
        told[shortest] = declared.min_length
    if longest and declared.max_length is not None:
        told[longest] = declared.max_length
    if declared.items is not None:
        told["items" if declared.type == "list" else "additionalProperties"] = input_schema(declared.items)
    return told


def trigger_object(trigger: Trigger) -> Object:
    """One entry of `on:`."""
    settings = trigger.settings.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return {
        "entry": trigger.position + 1,
        "kind": trigger.kind,
        "settings": settings,
        "condition": trigger.if_,
        "inputs": dict(trigger.inputs),
        "debounce_seconds": trigger.debounce,
        "is_schedule": isinstance(trigger.settings, Schedule),
    }
