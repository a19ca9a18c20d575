"""Fields of forms: declared inputs become real inputs, and what was typed becomes their values."""

from __future__ import annotations

from typing import Any

import pytest

from towpath.definition.model import Input
from towpath.server.web import fields


@pytest.mark.parametrize(
    ("declared", "typed", "value"),
    [
        ({"type": "string"}, "v1.2", "v1.2"),
        ({"type": "string"}, "two\r\nlines", "two\nlines"),
        ({"type": "string", "enum": ["a", "b"]}, "b", "b"),
        ({"type": "integer"}, " 12 ", 12),
        ({"type": "number"}, "1.5", 1.5),
        ({"type": "integer", "enum": [1, 2]}, "2", 2),
        ({"type": "boolean", "default": False}, "true", True),
        ({"type": "boolean", "default": True}, None, False),
        ({"type": "boolean"}, "false", False),
        ({"type": "list", "items": {"type": "string"}}, "web1, a\nweb2\n\n", ["web1, a", "web2"]),
        ({"type": "list", "items": {"type": "integer"}}, "1\n2", [1, 2]),
        ({"type": "list"}, '["a", {"b": 1}]', ["a", {"b": 1}]),
        ({"type": "map"}, '{"a": 1}', {"a": 1}),
        ({"type": "string", "default": "main"}, "", ""),
    ],
)
def test_what_was_typed_becomes_a_value_of_the_declared_type(
    declared: dict[str, Any], typed: str | None, value: object
) -> None:
    """Texts of a browser become what the declaration says; what is not ticked is false, what was emptied is empty."""
    declaration = Input.model_validate(declared)
    filled = fields.read({"it": declaration}, {} if typed is None else {"it": typed})

    assert (dict(filled.values), dict(filled.problems)) == ({"it": value}, {})


@pytest.mark.parametrize(
    ("declared", "typed", "problem"),
    [
        ({"type": "string"}, "  ", "has to be filled in"),
        ({"type": "integer"}, "twelve", "has to be an integer"),
        ({"type": "integer", "maximum": 9}, "10", "at most 9"),
        ({"type": "string", "pattern": "v[0-9]+"}, "1", "does not match"),
        ({"type": "string", "enum": ["a"]}, "b", "one of a"),
        ({"type": "map"}, "{", "has to be a map"),
        ({"type": "boolean"}, "", "has to be filled in"),
    ],
)
def test_what_is_wrong_stands_at_its_field_with_what_was_typed(
    declared: dict[str, Any], typed: str, problem: str
) -> None:
    """A value that does not fit is shown again as it was typed, with the reason beside it."""
    declaration = {"it": Input.model_validate(declared)}
    filled = fields.read(declaration, {"it": typed})
    (shown,) = fields.fields_of(declaration, typed={"it": typed}, problems=filled.problems)

    assert "it" not in filled.values
    assert problem in " ".join(shown.problems)
    assert shown.value == typed


def test_a_field_that_may_be_left_out_is_left_out() -> None:
    """What need not be filled in and is not, has no value: the default counts, or nothing does."""
    declared = {
        "link": Input.model_validate({"type": "string", "required": False}),
        "hosts": Input.model_validate({"type": "list", "default": ["a"]}),
    }

    assert dict(fields.read(declared, {"link": "", "hosts": ""}).values) == {}
